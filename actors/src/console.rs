//! The language in which operators ask: from a line to a reply, and from that to text. Knows no terminal.
//!
//! [`syntax`] reads a line by the table of [`verb`], [`Console::answer`] asks a daemon or, for what was, the
//! [`past`], [`pipe`] narrows the rows, [`render`] writes them. What is wrong is a [`fault`] that points into
//! the line. `cluster-top` is the terminal around it; the replies are the same to whoever links the library.

pub mod act;
mod ask;
pub mod command;
pub mod complete;
pub mod export;
mod eye;
pub mod fault;
pub mod fuzzy;
pub mod header;
pub mod lint;
pub mod past;
pub mod pipe;
pub mod render;
pub mod reply;
pub mod syntax;
#[cfg(test)]
mod tests;
pub mod verb;

use std::sync::Arc;
use std::time::Duration;

use policy::event::Record;
use policy::time::Timestamp;

use crate::client::Client;
use crate::clock::Clock;
use crate::wire::client::Target;
use ask::followed::Followed;
use ask::incoming::Seen;
use eye::Eye;
use fault::{Fault, Sort};
use past::Past;
use reply::Reply;
use syntax::{Line, Word};

pub use ask::gather::Gathered;
pub use header::Header;

/// Answers lines.
#[derive(Debug)]
pub struct Console {
    /// The daemon; `None` over a copy of the log.
    client: Option<Client>,
    past: Past,
    /// The number of the event at which is looked; `None` for now.
    at: Option<u64>,
    clock: Clock,
    seen: Seen,
    /// What inspectors have told, while one looks again and again.
    followed: Option<Arc<Followed>>,
}

impl Console {
    /// Asks this daemon.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client: Some(client),
            past: Past::default(),
            at: None,
            clock: Clock::system(),
            seen: Seen::default(),
            followed: None,
        }
    }

    /// Asks this daemon, and reads this clock.
    #[must_use]
    pub fn timed(client: Client, clock: Clock) -> Self {
        Self { clock, ..Self::new(client) }
    }

    /// Asks these records, of the last of them unless told otherwise.
    #[must_use]
    pub fn offline(past: Past) -> Self {
        let at = Some(past.last());
        let (clock, seen) = (Clock::system(), Seen::default());
        let mut console = Self { client: None, past, at, clock, seen, followed: None };
        // The first answer would say what is wrong with them as well.
        let _ = console.past.seek(console.past.last());
        console
    }

    /// The daemon, where there is one and one looks at what is.
    #[must_use]
    pub fn client(&self) -> Option<&Client> {
        self.client.as_ref().filter(|_| self.at.is_none())
    }

    /// The daemon, wherever one looks.
    #[must_use]
    pub fn daemon(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// The number of the event at which is looked, and when that was; `None` for now.
    #[must_use]
    pub fn moment(&self) -> Option<(u64, Timestamp)> {
        self.at.map(|number| (number, self.past.fold().at()))
    }

    /// As which time ages are told.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.moment().map_or_else(|| self.clock.wall(), |(_, at)| at)
    }

    /// Whether one looks again and again from now on: then inspectors are asked for what has changed.
    pub fn follow(&mut self, again: bool) {
        self.followed = again.then(|| Arc::new(Followed::new(self.clock)));
    }

    /// What is to be said of answers that did not come.
    fn dropped(&self) -> Option<String> {
        let dropped = self.followed.as_ref()?.dropped();
        let text = || format!("{} did not come; all is told anew", crate::say::count(dropped, "answer"));
        (dropped > 0).then(text)
    }

    fn eye(&self) -> Result<Eye<'_>, Fault> {
        match (self.at, &self.client) {
            (None, Some(client)) => Ok(Eye::Live(client)),
            _ => Ok(Eye::Past(self.past.fold())),
        }
    }

    /// The daemon of now, for what the log does not tell.
    fn live(&self, what: &str) -> Result<&Client, Fault> {
        self.client().ok_or_else(|| {
            let fault = Fault::of(Sort::Refused, format!("{what} does not stand in the log"));
            let help =
                if self.client.is_some() { "`live` goes back to what is" } else { "it needs a daemon" };
            fault.help(help)
        })
    }

    /// Answers a line that looks: one reply, or several below each other, the stages applied to the first.
    ///
    /// # Errors
    /// What is wrong with it, or that nobody answers.
    pub async fn answer(&mut self, line: &Line) -> Result<Vec<Reply>, Fault> {
        let mut replies = ask::ask(self, line).await?;
        if let Some(first) = replies.first_mut() {
            *first = pipe::apply(std::mem::take(first), &line.stages)?;
        }
        if !line.stages.is_empty() {
            replies.truncate(1);
        }
        Ok(replies)
    }

    /// What the head of a screen tells.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn header(&self) -> Result<Header, Fault> {
        header::of(self).await
    }

    /// What a word names: `t12`, `g12`, or a name.
    ///
    /// # Errors
    /// Nothing has the name, or more than one thing.
    pub async fn target(&self, word: &Word) -> Result<Target, Fault> {
        self.eye()?.target(word).await
    }

    /// Goes to the moment that a word names.
    ///
    /// # Errors
    /// There is no such moment, or the log cannot be had.
    pub async fn go(&mut self, word: &Word) -> Result<(), Fault> {
        let number = self.number_of(word).await?;
        self.past.seek(number).map_err(|fault| fault.at(word.span.clone()))?;
        self.at = Some(number);
        Ok(())
    }

    /// Goes so many events on, or back.
    ///
    /// # Errors
    /// There are not so many.
    pub async fn step(&mut self, by: i64) -> Result<(), Fault> {
        self.fetch().await?;
        let from = self.at.unwrap_or_else(|| self.past.last());
        let number = from.saturating_add_signed(by).clamp(self.past.first(), self.past.last());
        self.past.seek(number)?;
        self.at = Some(number);
        Ok(())
    }

    /// The next event that is known, and how long after the present moment it came; `None` at the last.
    ///
    /// # Errors
    /// One looks at what is.
    pub fn next(&self) -> Result<Option<(&Record, Duration)>, Fault> {
        let fault = || Fault::of(Sort::Refused, "what is plays by itself").help("`at -5m` goes back first");
        let (number, at) = self.moment().ok_or_else(fault)?;
        Ok(self.past.after(number).map(|record| (record, record.at.since(at))))
    }

    /// Goes on with all events of so much time, and with one at least; `false` where there is none.
    ///
    /// # Errors
    /// As [`Console::next`].
    pub fn play(&mut self, time: Duration) -> Result<bool, Fault> {
        let Some((next, _)) = self.next()? else { return Ok(false) };
        let (next, from) = (next.number, self.past.fold().at());
        let number = self.past.by(from + time).max(next);
        self.past.seek(number)?;
        self.at = Some(number);
        Ok(true)
    }

    /// Back to what is; over a copy of the log, to its end.
    pub fn go_live(&mut self) {
        self.at = self.client.is_none().then(|| self.past.last());
        if let Some(last) = self.at {
            // It was there when the log was read.
            let _ = self.past.seek(last);
        }
    }

    /// What is otherwise at the second moment than at the first, or with the second task than with the first.
    ///
    /// # Errors
    /// As [`Console::go`].
    pub async fn diff(&mut self, (one, other): (&Word, &Word)) -> Result<Reply, Fault> {
        if !is_moment(&one.text) && !is_moment(&other.text) {
            let (one, other) =
                (ask::tasks::detail_of(self, one).await?, ask::tasks::detail_of(self, other).await?);
            return Ok(ask::diff::tasks((&one, &other), self.now()));
        }
        let (one, other) = (self.number_of(one).await?, self.number_of(other).await?);
        let back = self.at;
        let before = ask::diff::Standing::of(self.past.seek(one)?);
        let after = ask::diff::Standing::of(self.past.seek(other)?);
        if let Some(back) = back {
            self.past.seek(back)?;
        }
        Ok(ask::diff::reply(&before, &after, (one, other)))
    }

    async fn fetch(&mut self) -> Result<(), Fault> {
        match &self.client {
            Some(client) => self.past.fetch(client).await,
            None => Ok(()),
        }
    }

    /// `-5m`, `seq=81`, `@-5m`, `@81`, `81`: as the number of an event.
    async fn number_of(&mut self, word: &Word) -> Result<u64, Fault> {
        self.fetch().await?;
        let text = word.text.trim_start_matches('@');
        let number = text.strip_prefix("seq=").or_else(|| text.strip_prefix("event=")).unwrap_or(text);
        if let Ok(number) = number.trim_start_matches('e').parse() {
            return Ok(number);
        }
        let ago = text.strip_prefix('-').and_then(|ago| crate::taskfile::quantity::duration(ago).ok());
        let Some(ago) = ago else {
            let fault = Fault::usage(word.span.clone(), format!("{} is no moment", word.text));
            return Err(fault.help("possible: -5m (so long ago), seq=81 (the event of this number)"));
        };
        let end = if self.client.is_some() { self.clock.wall() } else { self.past.end() };
        match self.past.by(end - ago) {
            0 => {
                let text = format!("nothing had happened by then; the first event is {}", self.past.first());
                Err(Fault::of(Sort::NotFound, text).at(word.span.clone()))
            }
            number => Ok(number),
        }
    }
}

/// Whether a word is written as a point in time, and not as a task.
fn is_moment(word: &str) -> bool {
    let number = word.trim_start_matches("event=").trim_start_matches("seq=");
    word.starts_with(['@', '-']) || number != word || word.starts_with(|c: char| c.is_ascii_digit())
}
