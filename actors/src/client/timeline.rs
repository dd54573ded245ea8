//! What became of a graph in time, folded from its events.

use std::time::Duration;

use policy::event::Record;
use policy::id::GraphId;
use policy::time::Timestamp;
use policy::timeline::Timeline;

use super::watch::{Seen, Watch};
use super::{Client, ClientError};
use crate::wire::client::{EventFilter, PAGE_LIMIT};

impl Client {
    /// The timeline of a graph up to now, without tasks where retention has removed all of its events; beside it the
    /// first number that can still be read, where some were removed.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`].
    pub async fn timeline(&self, graph: GraphId) -> Result<(Timeline, Option<u64>), ClientError> {
        let (last, submitted) = (self.hello().await?.durable, self.graph(graph).await?.submitted);
        let after = self.number_before(submitted, last).await?;
        let mut watch = self.events(after, EventFilter::Graph(graph));
        let (mut timeline, mut lost_before) = (Timeline::default(), None);
        while let Some(seen) = watch.next_until(last).await? {
            match seen {
                Seen::Record(record) => timeline.apply(&record),
                Seen::Gap { resumes_at } => lost_before = Some(resumes_at),
            }
        }
        Ok((timeline, lost_before))
    }

    /// A number before all events since a time, of those up to `last`: found by halves, since they are in the order of
    /// time.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn number_before(&self, since: Timestamp, last: u64) -> Result<u64, ClientError> {
        let is_earlier = |record: &&Record| record.at < since;
        let (mut early, mut late) = (0, last);
        while late - early > u64::from(PAGE_LIMIT) {
            let middle = early + (late - early) / 2;
            let page = self.events_page(middle, EventFilter::All, Duration::ZERO).await?;
            match page.records.first().filter(is_earlier) {
                Some(record) => early = record.number,
                None => late = middle,
            }
        }
        Ok(early)
    }
}

impl Watch {
    /// The next event up to `last`; pages without an event of interest are skipped.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn next_until(&mut self, last: u64) -> Result<Option<Seen>, ClientError> {
        loop {
            match self.next_past().await? {
                Some(Seen::Record(record)) if record.number > last => return Ok(None),
                Some(seen) => return Ok(Some(seen)),
                None if self.fetched() >= last => return Ok(None),
                None => {}
            }
        }
    }
}
