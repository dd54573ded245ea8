//! What a machine gives to attempts beside a directory: secrets, a share of its jobserver, a sandbox.
//!
//! Everything here blocks, and is called on threads for such work. What an attempt is given is in a directory of its own,
//! `TOKEN.NUMBER` below the root, which is this user's alone: there before the attempt starts, removed before its end is
//! told. A daemon that was killed at any moment finds all that it has left by these names. **Invariant.** No byte of a
//! secret is anywhere else, and nothing of what is said to anybody holds one.
//! Must not know of leases, hosts or schedulers.

mod files;
pub mod jobserver;
pub mod sandbox;
pub mod secrets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policy::constraint::{JOBSERVER, SANDBOX};
use policy::id::Token;
use policy::provision::Provision;
use policy::task::SpawnFailure;

use crate::process::os;
use etcetera::BaseStrategy;
use jobserver::{Jobserver, SLOTS_LIMIT};
use sandbox::Sandboxing;
use secrets::Secrets;

/// Below a data directory: where what was given lies.
pub const PRIVATE: &str = "private";
/// Below the user's directory for configurations.
const USUAL_SECRETS: &str = "knittingcrab/secrets";
/// Where an attempt that is in a sandbox has its TMPDIR, unless that is its own anyway.
const TEMPORARY: &str = "tmp";
/// Where its secrets are.
const SECRETS: &str = "secrets";
/// There where it shares the jobserver.
const CLIENT: &str = "jobserver";

/// What a machine can give.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Where what is given lies meanwhile.
    pub root: PathBuf,
    /// Where its secrets are; nobody needs to have made it.
    pub secrets: PathBuf,
    /// Slots of its jobserver; 0 where it has none.
    pub slots: u32,
    /// What makes a sandbox; `None` where there is nothing.
    pub sandbox: Option<Arc<Sandboxing>>,
}

/// What was given to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Tells it from others of the same attempt.
    pub number: u64,
    /// Variables, each with what it says.
    pub variables: Vec<(Box<str>, PathBuf)>,
    /// A TMPDIR of its own; only in a sandbox, and there where it has none beside its workspace.
    pub temporary: Option<PathBuf>,
    /// What makes its sandbox; `None` where it is in none.
    pub sandbox: Option<Arc<Sandboxing>>,
}

/// All that a machine gives and has given. It outlives the actor that uses it.
#[derive(Debug)]
pub struct Provisions {
    offer: Option<Offer>,
    secrets: Secrets,
    jobserver: Option<Jobserver>,
    next: AtomicU64,
    given: Mutex<BTreeMap<Token, Vec<u64>>>,
}

impl Offer {
    /// What a machine has whose user has configured nothing.
    #[must_use]
    pub fn usual(root: PathBuf) -> Self {
        let configuration = etcetera::choose_base_strategy().ok().map(|base| base.config_dir());
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            root,
            secrets: configuration.map(|base| base.join(USUAL_SECRETS)).unwrap_or_default(),
            slots: u32::try_from(os::cores()).unwrap_or(SLOTS_LIMIT),
            sandbox: Sandboxing::find(&path).map(Arc::new),
        }
    }
}

impl Provisions {
    /// A machine that gives nothing.
    #[must_use]
    pub fn none() -> Arc<Self> {
        let secrets = Secrets::new(PathBuf::new());
        let (given, next) = (Mutex::default(), AtomicU64::new(1));
        Arc::new(Self { offer: None, secrets, jobserver: None, next, given })
    }

    /// One that gives this, with what earlier daemons have left.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub fn open(offer: Offer) -> io::Result<Arc<Self>> {
        let root = std::path::absolute(&offer.root)?;
        let offer = Offer { root, ..offer };
        let left = files::all(&offer.root)?;
        let mut given: BTreeMap<Token, Vec<u64>> = BTreeMap::new();
        for (token, number) in &left {
            given.entry(*token).or_default().push(*number);
        }
        let next = left.iter().map(|(_, number)| number + 1).max().unwrap_or(1);
        let clients = left
            .iter()
            .filter(|(token, number)| files::place(&offer.root, *token, *number).join(CLIENT).exists());
        let jobserver = Jobserver::open(&offer.root, offer.slots, clients.copied());
        let jobserver = jobserver.unwrap_or_else(|error| {
            tracing::warn!(%error, "no jobserver");
            None
        });
        let secrets = Secrets::new(offer.secrets.clone());
        let (given, next) = (Mutex::new(given), AtomicU64::new(next));
        Ok(Arc::new(Self { offer: Some(offer), secrets, jobserver, next, given }))
    }

    /// What is said of the machine, so that who asks for these finds it.
    #[must_use]
    pub fn labels(&self) -> Vec<(Box<str>, Box<str>)> {
        let Some(offer) = &self.offer else { return Vec::new() };
        let jobserver = self.jobserver.as_ref().map(|one| (JOBSERVER.into(), one.slots().to_string().into()));
        let sandbox = offer.sandbox.as_ref().map(|one| (SANDBOX.into(), one.kind().into()));
        self.secrets.labels().into_iter().chain(jobserver).chain(sandbox).collect()
    }

    /// Whether an attempt has been given something.
    #[must_use]
    pub fn holds(&self, token: Token) -> bool {
        self.offer.is_some() && self.given().contains_key(&token)
    }

    /// Gives an attempt what it asks for.
    ///
    /// # Errors
    /// When it cannot have that, with the reason; nothing is left of it then.
    pub fn give(&self, token: Token, wanted: &Provision, has_home: bool) -> Result<Given, SpawnFailure> {
        let offer = self.offer.as_ref().ok_or_else(|| SpawnFailure::of_node("this machine gives nothing"))?;
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        self.given().entry(token).or_default().push(number);
        let given = self.fill(offer, (token, number), wanted, has_home);
        if given.is_err() {
            self.take_back(token, Some(number));
        }
        given
    }

    fn fill(
        &self,
        offer: &Offer,
        (token, number): (Token, u64),
        wanted: &Provision,
        has_home: bool,
    ) -> Result<Given, SpawnFailure> {
        let place = files::place(&offer.root, token, number);
        let failed = |error: io::Error| SpawnFailure::of_node(format!("{}: {error}", place.display()));
        files::own_root(&offer.root).and_then(|()| files::make(&place)).map_err(failed)?;
        let mut given = Given { number, variables: Vec::new(), temporary: None, sandbox: None };
        if wanted.sandbox.is_some() {
            given.sandbox = Some(self.sandbox(offer)?);
            if !has_home {
                let temporary = place.join(TEMPORARY);
                files::make(&temporary).map_err(failed)?;
                given.temporary = Some(temporary);
            }
        }
        if wanted.jobserver {
            let none = || SpawnFailure::of_node("this machine has no jobserver");
            let jobserver = self.jobserver.as_ref().ok_or_else(none)?;
            files::touch(&place.join(CLIENT)).map_err(failed)?;
            jobserver.join((token, number));
            given.variables.push(("MAKEFLAGS".into(), jobserver.flags()));
        }
        if !wanted.secrets.is_empty() {
            let within = place.join(SECRETS);
            files::make(&within).map_err(failed)?;
            for secret in &wanted.secrets {
                let file = self.secrets.copy(&secret.name, &within).map_err(SpawnFailure::of_task)?;
                given.variables.push((secret.variable.clone(), file));
            }
        }
        Ok(given)
    }

    fn sandbox(&self, offer: &Offer) -> Result<Arc<Sandboxing>, SpawnFailure> {
        let none = || SpawnFailure::of_node("no sandbox on this machine");
        let sandbox = offer.sandbox.as_ref().ok_or_else(none)?;
        match sandbox.works() {
            Ok(()) => Ok(Arc::clone(sandbox)),
            Err(why) => Err(SpawnFailure::of_node(format!("no sandbox on this machine: {why}"))),
        }
    }

    /// An attempt is over, and nothing of it runs: what it was given goes, or of that what has this number.
    pub fn take_back(&self, token: Token, only: Option<u64>) {
        let Some(offer) = &self.offer else { return };
        let numbers = self.given().get(&token).cloned().unwrap_or_default();
        for number in numbers.into_iter().filter(|number| only.is_none_or(|only| only == *number)) {
            if let Some(jobserver) = &self.jobserver {
                jobserver.leave((token, number));
            }
            let place = files::place(&offer.root, token, number);
            match files::remove(&place) {
                Ok(()) => self.forget(token, number),
                Err(error) => {
                    tracing::warn!(path = %place.display(), %error, "cannot be removed; this is tried again");
                }
            }
        }
    }

    fn forget(&self, token: Token, number: u64) {
        let mut given = self.given();
        if let Some(numbers) = given.get_mut(&token) {
            numbers.retain(|one| *one != number);
            if numbers.is_empty() {
                given.remove(&token);
            }
        }
    }

    /// Whether this machine gives nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.offer.is_none()
    }

    /// All that was given, to whom.
    #[must_use]
    pub fn all(&self) -> Vec<(Token, u64)> {
        let given = self.given();
        given.iter().flat_map(|(token, numbers)| numbers.iter().map(|number| (*token, *number))).collect()
    }

    fn given(&self) -> MutexGuard<'_, BTreeMap<Token, Vec<u64>>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
