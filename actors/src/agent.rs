//! An agent that handles: tasks of a kind are messages to it, under the leases, fencing, retries and breakers of all tasks.
//!
//! To the scheduler an agent is a node, which has places of its kinds and nothing else (`policy::handler`); so its worker is
//! the one of every machine, and what stands in the place of the process host is a [`desk`](desk::Desk) that calls
//! functions. An agent that dies is a lost machine: its lease runs out and what it had runs elsewhere. What agents ask is
//! `client`'s.
//!
//! # What it keeps
//! Nothing of what it has begun: writing that down before each call would cost more than most calls. What was granted before
//! an agent registered for the first time in this life is sent to it again where nobody has reported it, and counts as lost
//! there: an earlier life may have begun it, and under one token nothing is begun twice.
//!
//! # What cannot be stopped
//! A function is stopped where it awaits. One that computes without awaiting goes on, also when its lease is over and the
//! task runs elsewhere: what computes for long belongs on a thread that looks at [`Call::is_cancelled`], or into a process.

pub mod call;
pub mod desk;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::fcntl::{Flock, FlockArg};
use policy::handler;
use policy::id::{Incarnation, NodeId};
use supervision::Ending;
use supervision::supervisor::StartError;

pub use call::Call;

use crate::client::transport::BoxFuture;
use crate::client::{COOKIE_NAME, Endpoint, default_data_dir};
use crate::clock::Clock;
use crate::link::preamble::is_name;
use crate::link::secret::CookieError;
use crate::link::{self, Cookie, Dial};
use crate::machine::{Machine, MachineOptions, Runs};
use crate::output::retention::Retention;
use crate::output::spool::{OutputLimits, close_orphan};
use crate::process::host;
use crate::process::protocol::HostDirectory;
use crate::trust::line::NoInvitation;
use crate::trust::{self, Invitation, Own, TrustError};
use crate::worker::environment::BaseEnvironment;
use crate::worker::stages::Hooks;

/// The label of every agent among the nodes.
pub const REACHED: (&str, &str) = (policy::constraint::REACHED, "agent");

/// What is called for a task; what it refuses with is written to the task's standard error.
pub(crate) type Function = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What is handled, by kind.
#[derive(Clone, Default)]
pub struct Handlers(BTreeMap<Box<str>, (u32, Function)>);

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Handlers {
    /// With tasks of `kind` calling `function`, `at_once` of them at a time.
    #[must_use]
    pub fn with<F, R, E>(mut self, kind: &str, at_once: u32, function: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let function = Arc::new(function);
        let function: Function = Arc::new(move |call| {
            let function = Arc::clone(&function);
            // What the function itself does runs where its future does, so that its panics are the task's.
            Box::pin(async move { function(call).await.map_err(|error| error.to_string()) })
        });
        self.0.insert(kind.into(), (at_once, function));
        self
    }

    pub(crate) fn of(&self, kind: &str) -> Option<&Function> {
        self.0.get(kind).map(|(_, function)| function)
    }

    /// What an agent has that handles these.
    #[must_use]
    pub fn capacity(&self) -> policy::resources::Resources {
        handler::capacity(self.0.iter().map(|(kind, (at_once, _))| (&**kind, u64::from(*at_once))))
    }
}

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its name, or that of a kind, is none.
    #[error("{0:?} must be a short name of a-z 0-9 . _ -, beginning with a letter or digit")]
    Name(Box<str>),
    /// It would do nothing.
    #[error("an agent handles at least one kind, at least one at once")]
    NoHandler,
    /// There is no place for what it keeps.
    #[error("no home directory: name a directory with Agent::in_directory")]
    NoHome,
    /// Its directory cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another one has its name here.
    #[error("another agent called {0} runs with this directory")]
    Taken(Box<str>),
    /// The invitation is none.
    #[error(transparent)]
    Invitation(#[from] NoInvitation),
    /// There is no certificate for it.
    #[error("its certificate: {0}")]
    Trust(#[from] TrustError),
    /// Its certificate is somebody else's.
    #[error("it was invited as {role} {name}: invite it with crab cluster invite {wanted} --role worker")]
    Misnamed {
        /// As what it was.
        role: policy::trust::FleetRole,
        /// And under which name.
        name: Arc<str>,
        /// What it is called.
        wanted: Box<str>,
    },
    /// Neither a certificate nor the cookie of a scheduler on this machine.
    #[error(
        "no certificate: join with an invitation (crab cluster invite NAME --role worker) in place of the address: {0}"
    )]
    Cookie(#[from] CookieError),
    /// An actor did not start.
    #[error("its actors did not start")]
    Start(#[from] StartError),
}

/// An agent, before it starts.
#[derive(Debug, Clone)]
pub struct Agent {
    name: Box<str>,
    data: Option<PathBuf>,
    handlers: Handlers,
}

impl Agent {
    /// One of this name, which is a name among those of all machines: whoever comes under the same displaces it.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), data: default_data_dir(), handlers: Handlers::default() }
    }

    /// It keeps output and its certificate in `agents/NAME` of this data directory; else of the user's.
    #[must_use]
    pub fn in_directory(self, data: PathBuf) -> Self {
        Self { data: Some(data), ..self }
    }

    /// Has tasks of `kind` call `function`, `at_once` of them at a time. One that gives back an error, or panics, has failed
    /// as a command fails that exits with 1, or with 101.
    #[must_use]
    pub fn handle<F, R, E>(self, kind: &str, at_once: u32, function: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        Self { handlers: self.handlers.with(kind, at_once, function), ..self }
    }

    /// Joins the scheduler at `endpoint`: by its socket on this machine, or by an address with a certificate, which the
    /// line of an invitation in its place gets it. It connects, and connects again, until it is stopped.
    ///
    /// # Errors
    /// Where it has no name, nothing to do, no place, or no right to join.
    pub async fn start(self, endpoint: &Endpoint) -> Result<Handling, AgentError> {
        self.check()?;
        let data = self.data.clone().ok_or(AgentError::NoHome)?;
        let home = data.join("agents").join(&*self.name);
        let lock = lock(&home, &self.name)?;
        let directory = HostDirectory::new(home.join("desk"));
        make_ready(&directory)?;
        let clock = Clock::system();
        let incarnation = Incarnation(clock.wall().0);
        let dial = self.dial(endpoint, (&data, &home), incarnation).await?;
        let own = dial.own.clone();
        let options = MachineOptions {
            node: NodeId::from(&*self.name),
            incarnation,
            directory: directory.path().to_owned(),
            capacity: self.handlers.capacity(),
            labels: vec![(REACHED.0.into(), REACHED.1.into())],
            base: BaseEnvironment::default(),
            output: OutputLimits::default(),
            retention: Retention::default(),
            workspaces: None,
            artifacts: None,
            hooks: Hooks::default(),
            offer: None,
            suites: None,
            strain: None,
            runs: Runs::Handlers(self.handlers),
            clock,
        };
        let machine = Machine::dialling(dial, incarnation.0, options).await?;
        let renewing = own.map(|own| AbortOnDrop(tokio::spawn(trust::keep_good(home, own))));
        Ok(Handling { machine, _renewing: renewing, _lock: lock })
    }

    fn check(&self) -> Result<(), AgentError> {
        if !is_name(&self.name) {
            return Err(AgentError::Name(self.name.clone()));
        }
        if let Some(kind) = self.handlers.0.keys().find(|kind| !handler::is_kind(kind)) {
            return Err(AgentError::Name(kind.clone()));
        }
        let works = !self.handlers.0.is_empty() && self.handlers.0.values().all(|(at_once, _)| *at_once > 0);
        if works { Ok(()) } else { Err(AgentError::NoHandler) }
    }

    async fn dial(
        &self,
        endpoint: &Endpoint,
        (data, home): (&Path, &Path),
        incarnation: Incarnation,
    ) -> Result<Dial, AgentError> {
        let (endpoint, own, cookie) = match endpoint {
            Endpoint::Socket(path) => (link::Endpoint::Unix(path.clone()), None, None),
            Endpoint::Address(text) => {
                let own = self.certificate(text, home).await?;
                let cookie = if own.is_none() { Some(Cookie::read(&data.join(COOKIE_NAME))?) } else { None };
                let address = own.as_ref().map_or(text.as_str(), Own::address).to_owned();
                (link::Endpoint::Tcp(address), own, cookie)
            }
        };
        let own = own.map(|own| Arc::new(ArcSwap::from_pointee(own)));
        // Many agents may be in one process, and none needs more of the cluster than its frames.
        Ok(Dial::worker(endpoint, (&self.name, incarnation), (cookie, own), None))
    }

    /// The one that it has, or gets with an invitation; renewed where that is due.
    async fn certificate(&self, text: &str, home: &Path) -> Result<Option<Own>, AgentError> {
        let own = if Invitation::is_meant(text) {
            Some(trust::join(home, &text.parse()?).await?)
        } else {
            Own::of_worker(home)?
        };
        let Some(own) = own else { return Ok(None) };
        let member = own.member();
        if member.role != policy::trust::FleetRole::Worker || *member.name != *self.name {
            let (role, name) = (member.role, Arc::clone(&member.name));
            return Err(AgentError::Misnamed { role, name, wanted: self.name.clone() });
        }
        if !own.is_due(Clock::system().wall()) {
            return Ok(Some(own));
        }
        // The old one is still good, for a while.
        Ok(Some(own.renew(home).await.unwrap_or(own)))
    }
}

/// An agent that handles. Dropped, it ends as if it had been killed.
#[derive(Debug)]
pub struct Handling {
    machine: Machine,
    _renewing: Option<AbortOnDrop>,
    _lock: Flock<File>,
}

/// A task that ends with what it is for.
#[derive(Debug)]
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Handling {
    /// Waits until it has ended and says why. Cancel safe.
    pub async fn join(&mut self) -> Ending {
        self.machine.join().await
    }

    /// Takes nothing new, waits for what it handles, which after `within` is cancelled and runs elsewhere, and leaves.
    pub async fn stop(self, within: Option<Duration>) -> Ending {
        self.machine.drain(within).await;
        self.machine.stop(true).await
    }
}

/// Directories for this user only. What an agent of this name that was killed has written ends where it ended.
fn make_ready(directory: &HostDirectory) -> Result<(), AgentError> {
    let failed = |source| AgentError::Directory { path: directory.path().to_owned(), source };
    host::prepare(directory).map_err(|error| failed(io::Error::other(error)))?;
    let now = Clock::system().wall();
    for file in std::fs::read_dir(directory.output()).map_err(failed)? {
        let path = file.map_err(failed)?.path();
        if path.extension().is_some_and(|kind| kind == "spool") {
            close_orphan(&path, now).map_err(failed)?;
        }
    }
    Ok(())
}

/// The directory of this agent alone: the system lets go of it whatever happens.
fn lock(home: &Path, name: &str) -> Result<Flock<File>, AgentError> {
    let failed = |source| AgentError::Directory { path: home.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(failed)?;
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(home.join("lock"));
    Flock::lock(file.map_err(failed)?, FlockArg::LockExclusiveNonblock)
        .map_err(|_| AgentError::Taken(name.into()))
}
