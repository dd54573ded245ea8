//! Follows events: in order, none left out, none twice, through lost connections and restarts.

use std::collections::VecDeque;

use policy::event::Record;

use super::wait::Patience;
use super::{Client, ClientError};
use crate::wire::client::{EventFilter, EventsPage, WAIT_LIMIT};

/// Events as they happen. Ask with [`Watch::next`]; keep [`Watch::position`] to go on later from there.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    filter: EventFilter,
    /// What was handed out up to here.
    position: u64,
    /// What was asked for up to here.
    fetched: u64,
    waiting: VecDeque<Seen>,
    patience: Patience,
}

/// What a watch sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// An event.
    Record(Record),
    /// Events were removed by retention before they could be read; the next one is not before this number.
    Gap {
        /// The first number that can still be read.
        resumes_at: u64,
    },
}

impl Watch {
    pub(super) fn new(client: Client, after: u64, filter: EventFilter) -> Self {
        let (waiting, patience) = (VecDeque::new(), Patience::default());
        Self { client, filter, position: after, fetched: after, waiting, patience }
    }

    /// Goes on after a page that is there already, which is handed out first.
    pub(super) fn resumed(client: Client, page: EventsPage, filter: EventFilter) -> Self {
        let mut watch = Self::new(client, 0, filter);
        watch.accept(page);
        watch
    }

    /// The number of the last event that was handed out: a new watch after it goes on with the next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The number up to which was asked already, events that are not wanted included.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        self.fetched
    }

    /// The next event; waits until there is one. A scheduler that does not answer is tried again for a
    /// minute. Cancel safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// The scheduler stays away, or refuses.
    pub async fn next(&mut self) -> Result<Seen, ClientError> {
        loop {
            if let Some(seen) = self.take() {
                return Ok(seen);
            }
            self.fetch(WAIT_LIMIT).await?;
        }
    }

    /// The next event that has happened already; `None` where there is none.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn next_past(&mut self) -> Result<Option<Seen>, ClientError> {
        if self.waiting.is_empty() {
            self.fetch(std::time::Duration::ZERO).await?;
        }
        Ok(self.take())
    }

    fn take(&mut self) -> Option<Seen> {
        let seen = self.waiting.pop_front()?;
        if let Seen::Record(record) = &seen {
            self.position = record.number;
        }
        Some(seen)
    }

    fn accept(&mut self, page: EventsPage) {
        if page.lost_before > self.fetched + 1 {
            self.waiting.push_back(Seen::Gap { resumes_at: page.lost_before });
        }
        // What is known already is left out, should an answer begin too early.
        let known = self.fetched;
        let records = page.records.into_iter().filter(|record| record.number > known);
        self.waiting.extend(records.map(Seen::Record));
        self.fetched = self.fetched.max(page.next_after);
    }

    /// Asks for more once, and again for as long as nobody answers.
    async fn fetch(&mut self, wait: std::time::Duration) -> Result<(), ClientError> {
        loop {
            match self.client.events_page(self.fetched, self.filter, wait).await {
                Ok(page) => {
                    self.patience.renew();
                    self.accept(page);
                    return Ok(());
                }
                Err(error) => self.patience.endure(&self.client, error).await?,
            }
        }
    }
}
