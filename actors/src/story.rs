//! A task's story: its records in the log, walked backwards from the last one.
//!
//! Each record of a task names the position of the one before it, so a task that sleeps needs no memory
//! but one position. Reads the log, never writes.

pub(crate) mod told;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use policy::event::{Event, GraphEvent, Item, LogPosition, Record};
use policy::lifecycle::Life;
use rustc_hash::FxHashMap;

use crate::archive::Archive;
use crate::log::ReadError;

/// Records of one task that are walked at the most: a thousand attempts with all they bring. A chain that
/// is longer is damaged.
const RECORDS_LIMIT: usize = 10_000;

/// Specifications kept in memory: members of an array and retries share one, and a fleet has about this
/// many different ones in hand at a time.
const SPECS_LIMIT: usize = 1024;

/// Bytes of the log that are read at once where items are asked for in their order: some fifty of them.
const AHEAD_BYTES: usize = 16 * 1024;

/// Why a story cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// A record cannot be read.
    #[error("the record at {position} cannot be read: {source}")]
    Unreadable {
        /// Where it should be.
        position: LogPosition,
        /// Why not.
        source: ReadError,
    },
    /// Another kind of record than expected.
    #[error("the record at {0} is not of the kind expected there")]
    Unexpected(LogPosition),
    /// It does not end.
    #[error("the story that ends at {0} has more than 10,000 records")]
    Endless(LogPosition),
}

/// A task's state, folded from its records.
#[derive(Debug, Default)]
pub struct Story {
    /// Its life.
    pub life: Life,
    /// The number of its last event among its own.
    pub sequence: u32,
    /// The number of its last record in the log; 0 where there is none.
    pub number: u64,
}

/// Folds the story that ends at `last`; 0 for none yet.
///
/// # Errors
/// When a record cannot be read or is not the task's.
pub fn so_far(archive: &Archive, last: LogPosition) -> Result<Story, StoryError> {
    let mut story = Story::default();
    for (position, record) in records(archive, last)? {
        let Event::Task { sequence, event, .. } = &record.event else {
            return Err(StoryError::Unexpected(position));
        };
        story.life.apply(event);
        story.sequence = *sequence;
        story.number = record.number;
    }
    Ok(story)
}

/// All records of the story that ends at `last`, in order.
///
/// # Errors
/// When a record cannot be read or is not a task's.
pub fn records(archive: &Archive, last: LogPosition) -> Result<Vec<(LogPosition, Record)>, StoryError> {
    let mut backwards = Vec::new();
    let mut position = last;
    while position != 0 {
        let record = read(archive, position)?;
        let Event::Task { previous, .. } = record.event else {
            return Err(StoryError::Unexpected(position));
        };
        backwards.push((position, record));
        position = previous;
        if backwards.len() > RECORDS_LIMIT {
            return Err(StoryError::Endless(last));
        }
    }
    backwards.reverse();
    Ok(backwards)
}

/// One record of a story; `None` at position 0, where there is none.
///
/// # Errors
/// When it cannot be read.
pub fn record(archive: &Archive, position: LogPosition) -> Result<Option<Record>, StoryError> {
    (position != 0).then(|| read(archive, position)).transpose()
}

fn read(archive: &Archive, position: LogPosition) -> Result<Record, StoryError> {
    archive.read(position).map_err(|source| StoryError::Unreadable { position, source })
}

/// What is at an item's record.
#[derive(Debug, Clone)]
pub struct ItemRecord {
    /// The item.
    pub item: Arc<Item>,
    /// The record's own number.
    pub number: u64,
    /// The flow it belongs to: its graph's number.
    pub correlation: u64,
    /// When it was submitted.
    pub at: policy::time::Timestamp,
}

/// Items by their position in the log, the last used ones kept.
#[derive(Debug, Default)]
pub struct Items(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    items: FxHashMap<LogPosition, ItemRecord>,
    order: VecDeque<LogPosition>,
    /// Where the last item was that was not kept.
    last_missed: LogPosition,
}

impl Items {
    /// The item whose record is at `position`.
    ///
    /// # Errors
    /// When there is no such record.
    pub fn get(&self, archive: &Archive, position: LogPosition) -> Result<ItemRecord, StoryError> {
        if let Some(kept) = self.kept().items.get(&position) {
            return Ok(kept.clone());
        }
        if self.is_in_order(position) {
            let ahead = archive.read_ahead(position, AHEAD_BYTES, |record| is_item(&record.event));
            let ahead = ahead.into_iter().filter_map(|(at, record)| Some((at, item_of(record)?)));
            ahead.for_each(|(at, item)| self.keep(at, item));
            if let Some(kept) = self.kept().items.get(&position) {
                return Ok(kept.clone());
            }
        }
        let item = read_item(archive, position)?;
        self.keep(position, item.clone());
        Ok(item)
    }

    /// Whether items are asked for in the order in which they stand in the log, as when tasks that were
    /// submitted together are granted one after the other.
    fn is_in_order(&self, position: LogPosition) -> bool {
        let last = std::mem::replace(&mut self.kept().last_missed, position);
        last < position && position - last <= 2 * AHEAD_BYTES as LogPosition
    }

    fn keep(&self, position: LogPosition, item: ItemRecord) {
        let mut kept = self.kept();
        if kept.items.insert(position, item).is_none() {
            kept.order.push_back(position);
        }
        if kept.order.len() > SPECS_LIMIT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.items.remove(&oldest);
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an item past the kept ones, for readers that pass over many.
///
/// # Errors
/// When there is no such record.
pub fn read_item(archive: &Archive, position: LogPosition) -> Result<ItemRecord, StoryError> {
    item_of(read(archive, position)?).ok_or(StoryError::Unexpected(position))
}

pub(crate) fn item_of(record: Record) -> Option<ItemRecord> {
    let Record { number, correlation, at, event, .. } = record;
    let Event::Graph(_, GraphEvent::ItemAdmitted(item)) = event else { return None };
    Some(ItemRecord { item: Arc::new(item), number, correlation, at })
}

fn is_item(event: &Event) -> bool {
    matches!(event, Event::Graph(_, GraphEvent::ItemAdmitted(_)))
}
