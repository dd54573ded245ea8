//! What was: the records of the log up to some number, folded into the state they come to.
//!
//! The table of tasks is made by the reducer with which the daemon recovers (`policy::graph::Replay`), the rows by
//! what makes them for living tasks (`story::told`); so what is shown of a moment is what was shown then.

mod fold;
mod journal;
#[cfg(test)]
mod rewound;
#[cfg(test)]
mod tests;

use policy::event::Record;
use policy::time::Timestamp;

use crate::client::Client;
use crate::console::fault::{Fault, Sort};
use crate::wire::client::EventFilter;

pub use fold::Fold;
pub use journal::open as open_journal;

/// Records that are held: some 200 MB.
pub const RECORDS_LIMIT: usize = 500_000;

/// All records that can be had, and the state at one of them.
#[derive(Debug, Default)]
pub struct Past {
    records: Vec<Record>,
    fold: Fold,
    /// How many of them are folded.
    folded: usize,
}

impl Past {
    /// Of these records, in the order of their numbers.
    #[must_use]
    pub fn of(records: Vec<Record>) -> Self {
        Self { records, ..Self::default() }
    }

    /// Fetches what has happened since the last time.
    ///
    /// # Errors
    /// Nobody answers, or there are too many.
    pub async fn fetch(&mut self, client: &Client) -> Result<(), Fault> {
        let last = client.hello().await?.durable;
        let mut after = self.last();
        while after < last {
            let page = client.events_page(after, EventFilter::All, std::time::Duration::ZERO).await?;
            if page.next_after <= after {
                break;
            }
            after = page.next_after;
            self.records.extend(page.records);
            if self.records.len() > RECORDS_LIMIT {
                let text = format!("the log has more than {RECORDS_LIMIT} records");
                return Err(Fault::of(Sort::Refused, text).help("take a part of it: --journal COPY"));
            }
        }
        Ok(())
    }

    /// The number of the first record; 0 where there is none.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.records.first().map_or(0, |record| record.number)
    }

    /// The number of the last record; 0 where there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.records.last().map_or(0, |record| record.number)
    }

    /// The number of the last record that was written by this time.
    #[must_use]
    pub fn by(&self, time: Timestamp) -> u64 {
        // Records stand in the order of their numbers; the wall clock may have jumped a little between two.
        self.records.iter().rev().find(|record| record.at <= time).map_or(0, |record| record.number)
    }

    /// When the last record was written.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.records.last().map_or(Timestamp(0), |record| record.at)
    }

    /// The records up to a number.
    pub fn upto(&self, number: u64) -> impl DoubleEndedIterator<Item = &Record> {
        let end = self.records.partition_point(|record| record.number <= number);
        self.records[..end].iter()
    }

    /// The state after the record of this number.
    ///
    /// # Errors
    /// There is no such record, or a record contradicts those before it.
    pub fn seek(&mut self, number: u64) -> Result<&Fold, Fault> {
        if number < self.first() || number > self.last() {
            let text = format!("there is no event {number}: there are {} to {}", self.first(), self.last());
            return Err(Fault::of(Sort::NotFound, text));
        }
        if number < self.fold.number() {
            (self.fold, self.folded) = (Fold::default(), 0);
        }
        while let Some(record) = self.records.get(self.folded).filter(|record| record.number <= number) {
            self.fold.apply(record).map_err(|why| Fault::of(Sort::Refused, why.to_string()))?;
            self.folded += 1;
        }
        Ok(&self.fold)
    }

    /// The first record behind this number.
    #[must_use]
    pub fn after(&self, number: u64) -> Option<&Record> {
        self.records.get(self.records.partition_point(|record| record.number <= number))
    }

    /// The state that was sought last.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.fold
    }
}
