//! What an attempt has left where it ran, fetched from its machine.
//!
//! `remote/keep.sh` there tells what lies where patterns look, the chooser of `policy::artifact` says here which of it is kept,
//! and the files come one after the other, each whole or not at all. Where the connection is cut the next one goes on with the
//! first file that is not here. Nothing of this ever fails: what could not be had is said beside what was.
//! Must not know of workers, manifests or tasks.

mod listing;
mod parcel;

use std::path::Path;
use std::time::Duration;

use policy::artifact::{Artifacts, Choice, KeepLimits, LOOKED_LIMIT, LeftOut, Matcher, WhyLeftOut, choose};
use policy::time::Moment;

use super::again::Again;
use super::exchange::Patience;
use super::script::Script;
use super::{SessionError, Sessions};
use crate::clock::Clock;
use crate::workspace::Cancel;
use listing::Listing;
use parcel::{Parcel, Wanted};

/// How long fetching all that is kept of one attempt may take: a gigabyte over a slow line.
pub const FETCH_TIMEOUT: Duration = Duration::from_mins(10);
/// How long a machine looks for files: a large directory on a slow disk.
const FIND_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections in a row that fail, without a file having come, before it is given up.
const FAILURES_LIMIT: u32 = 6;
/// The longest pause between two connections.
const PAUSE_LIMIT: Duration = Duration::from_secs(8);
/// Bytes of what is told of files: [`LOOKED_LIMIT`] of them.
const LISTING_BYTES_LIMIT: usize = 32 * 1024 * 1024;
/// Files that are asked for at once: what comes of them is a thousand lines.
const ASKED_FILES_LIMIT: usize = 250;
/// Bytes of the paths that are asked for at once: what a shell reads in a moment.
const ASKED_BYTES_LIMIT: usize = 64 * 1024;

/// Where an attempt has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site<'a> {
    /// Its key, where something of it may still run, which is then ended first.
    pub key: Option<&'a str>,
    /// Below which directory its repository is.
    pub base: &'a str,
    /// The repository.
    pub repo: &'a str,
    /// Where it ran, seen from the repository's directory; empty for that.
    pub directory: &'a [u8],
}

/// What is to be fetched of it, and where to.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Which files.
    pub artifacts: &'a Artifacts,
    /// How many of them.
    pub limits: KeepLimits,
    /// The directory here, which is there; what lies in it under the same names is replaced.
    pub into: &'a Path,
    /// Who may give it up.
    pub cancel: &'a Cancel,
}

/// What has come of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// What is here now, under its path.
    pub kept: Vec<Choice>,
    /// What matched and is not, and patterns that nothing matched.
    pub left_out: Vec<LeftOut>,
    /// Why not all could be looked at or fetched; `None` where all went well.
    pub fault: Option<Box<str>>,
}

impl Sessions {
    /// Fetches what is to be kept of an attempt of which nothing runs any more. `cut` is told of every connection that failed
    /// and is made again.
    pub fn fetch(&self, site: &Site<'_>, wish: &Wish<'_>, cut: &mut dyn FnMut(&SessionError)) -> Fetched {
        let fault = |why: String| Fetched { fault: Some(why.into()), ..Fetched::default() };
        let matcher = match wish.artifacts.matcher() {
            Ok(matcher) => matcher,
            Err(error) => return fault(error.to_string()),
        };
        let mut turns = Turns::new(wish.cancel, cut);
        match self.listed(site, wish, &mut turns) {
            Ok(listing) => self.fetch_of(site, wish, (&matcher, listing), &mut turns),
            Err(error) => fault(format!("cannot look for files: {error}")),
        }
    }

    fn listed(
        &self,
        site: &Site<'_>,
        wish: &Wish<'_>,
        turns: &mut Turns<'_>,
    ) -> Result<Listing, SessionError> {
        loop {
            match self.look_for(site, wish, turns.left()) {
                Ok(listing) => return Ok(listing),
                Err(error) => turns.failed(error, false)?,
            }
        }
    }

    fn look_for(&self, site: &Site<'_>, wish: &Wish<'_>, within: Duration) -> Result<Listing, SessionError> {
        let limit = LOOKED_LIMIT as u64;
        let (lines, seconds) = (limit.to_string(), FIND_TIMEOUT.as_secs().to_string());
        let mut words = site.words("find");
        words.extend([lines.as_bytes(), seconds.as_bytes()]);
        words.extend(wish.artifacts.roots().into_iter().map(str::as_bytes));
        let patience = Patience { within: Some(within), cancel: Some(wish.cancel) };
        let said = self.lines(&Script::keep(&words)?, patience, LISTING_BYTES_LIMIT)?;
        Listing::read(&said, limit).ok_or_else(|| self.strange(&said))
    }

    fn fetch_of(
        &self,
        site: &Site<'_>,
        wish: &Wish<'_>,
        (matcher, mut listing): (&Matcher, Listing),
        turns: &mut Turns<'_>,
    ) -> Fetched {
        let chosen = choose(matcher, std::mem::take(&mut listing.found), wish.limits);
        let mode = |choice: &Choice| listing.modes.get(choice.path.as_bytes()).copied().unwrap_or_default();
        let wanted = chosen.kept.into_iter();
        let mut wanted: Vec<Wanted> =
            wanted.map(|choice| Wanted { mode: mode(&choice), choice, came: None }).collect();
        let mut faults: Vec<String> = listing.more.into_iter().map(str::to_owned).collect();
        if listing.unnamed > 0 {
            faults.push(format!("names with a newline are left out: {}", listing.unnamed));
        }
        if let Err(error) = self.fetch_all(site, wish, &mut wanted, turns) {
            faults.push(format!("cannot fetch all files: {error}"));
        }
        let mut fetched = Fetched { left_out: chosen.left_out, ..Fetched::default() };
        for Wanted { choice, came, .. } in wanted {
            let why = match came {
                Some(Ok(())) => {
                    fetched.kept.push(choice);
                    continue;
                }
                Some(Err(why)) => why,
                None => WhyLeftOut::Unreadable("it has not been fetched".into()),
            };
            fetched.left_out.push(LeftOut { path: (*choice.path).into(), why });
        }
        fetched.fault = (!faults.is_empty()).then(|| faults.join("; ").into());
        fetched
    }

    /// As many as are asked for at once, and again, until none is missing.
    fn fetch_all(
        &self,
        site: &Site<'_>,
        wish: &Wish<'_>,
        wanted: &mut [Wanted],
        turns: &mut Turns<'_>,
    ) -> Result<(), SessionError> {
        let missing = |wanted: &[Wanted]| wanted.iter().filter(|one| one.came.is_none()).count();
        let mut left = missing(wanted);
        while left > 0 {
            let given = self.give(site, wish, wanted, turns.left());
            let before = std::mem::replace(&mut left, missing(wanted));
            match given {
                // Who gives nothing of what is there is not asked for ever.
                Ok(()) if left == before => return Err(self.strange(b"nothing")),
                Ok(()) => {}
                Err(error) => turns.failed(error, left < before)?,
            }
        }
        Ok(())
    }

    fn give(
        &self,
        site: &Site<'_>,
        wish: &Wish<'_>,
        wanted: &mut [Wanted],
        within: Duration,
    ) -> Result<(), SessionError> {
        let script = Script::keep(&asked(site, wanted).iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let patience = Patience { within: Some(within), cancel: Some(wish.cancel) };
        let mut parcel = Parcel::new(wish.into, wanted);
        self.frames(&script, patience, &mut |part, bytes| parcel.take(part, bytes)).map(drop)
    }

    fn strange(&self, said: &[u8]) -> SessionError {
        let said = String::from_utf8_lossy(&said[..said.len().min(200)]).into_owned();
        SessionError::Garbled { host: self.host(), said: said.into() }
    }
}

impl<'a> Site<'a> {
    fn words(&self, action: &'a str) -> Vec<&'a [u8]> {
        let key = self.key.unwrap_or("-");
        vec![key.as_bytes(), self.base.as_bytes(), self.repo.as_bytes(), self.directory, action.as_bytes()]
    }
}

/// Asks for the first of those that are missing.
fn asked(site: &Site<'_>, wanted: &[Wanted]) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = site.words("give").into_iter().map(<[u8]>::to_vec).collect();
    let missing = wanted.iter().enumerate().filter(|(_, one)| one.came.is_none());
    let mut bytes = 0;
    for (place, one) in missing.take(ASKED_FILES_LIMIT) {
        bytes += one.choice.path.len();
        if bytes > ASKED_BYTES_LIMIT {
            break;
        }
        let numbers = [place.to_string(), one.choice.bytes.to_string()];
        words.extend(numbers.map(String::into_bytes));
        words.push(one.choice.path.as_bytes().to_vec());
    }
    words
}

/// Connections, one after the other, until all has come, nobody wants it any more, or the time is over.
struct Turns<'a> {
    clock: Clock,
    until: Moment,
    cancel: &'a Cancel,
    cut: &'a mut dyn FnMut(&SessionError),
    again: Again,
}

impl<'a> Turns<'a> {
    fn new(cancel: &'a Cancel, cut: &'a mut dyn FnMut(&SessionError)) -> Self {
        let clock = Clock::system();
        let again = Again::new(PAUSE_LIMIT, FAILURES_LIMIT);
        Self { clock, until: clock.now() + FETCH_TIMEOUT, cancel, cut, again }
    }

    /// How long the next one may take.
    fn left(&self) -> Duration {
        self.until.since(self.clock.now())
    }

    /// One has failed: waits until it is time for another one, if that may do better. `came` is whether it has brought anything.
    fn failed(&mut self, error: SessionError, came: bool) -> Result<(), SessionError> {
        if came {
            self.again.brought();
        }
        let may_again = matches!(error, SessionError::Unreachable { .. }) && !self.left().is_zero();
        let pause = self.again.failed().filter(|_| may_again && !self.cancel.is_cancelled());
        let Some(pause) = pause else { return Err(error) };
        (self.cut)(&error);
        self.cancel.wait(pause);
        Ok(())
    }
}
