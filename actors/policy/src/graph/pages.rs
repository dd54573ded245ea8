//! What is remembered of single tasks: small entries on pages that exist only once something on them has
//! happened, so that an array of a million tasks costs nothing until it is touched.

use crate::event::LogPosition;
use crate::graph::state::TaskState;

/// Entries on a page: 24 KiB, little beside the million tasks that make paging worth it, and enough that
/// the page table of ten million tasks stays small (10,000 pointers).
const PAGE: u32 = 1024;

/// What is remembered of one task. 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Entry {
    /// Where its last record starts in the log; 0 where it has none of its own.
    pub position: LogPosition,
    /// The number of that record among the task's records; 0 where it has none.
    pub sequence: u32,
    /// The number of its last attempt; 0 before the first.
    pub attempts: u32,
    /// Its state; `None` where it is as its item says of all members nothing else is known of.
    pub state: Option<TaskState>,
    /// Whether its end has a record of its own.
    pub recorded: bool,
    /// Whether somebody asked to cancel it while it was active.
    pub cancel_asked: bool,
}

/// Neighbours that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// How many, from 1.
    pub count: u32,
    /// The state of each.
    pub state: Option<TaskState>,
    /// Whether each one's end is recorded.
    pub recorded: bool,
}

/// The entries of one graph's tasks, by offset from the graph's first.
#[derive(Debug, Default)]
pub(super) struct Pages {
    tasks: u32,
    pages: Vec<Option<Box<[Entry]>>>,
}

impl Pages {
    /// Makes room for so many tasks. A page that was shorter than others is made anew.
    pub(super) fn grow(&mut self, tasks: u32) {
        let last = self.pages.last_mut().and_then(Option::as_mut);
        let length = PAGE.min(tasks - self.tasks / PAGE * PAGE) as usize;
        if let Some(page) = last.filter(|page| page.len() < PAGE as usize) {
            let mut longer = page.to_vec();
            longer.resize(length, Entry::default());
            *page = longer.into();
        }
        let pages = tasks.div_ceil(PAGE) as usize;
        if self.pages.is_empty() {
            self.pages.reserve_exact(pages);
        }
        self.pages.resize(pages, None);
        self.tasks = tasks;
    }

    /// The entry of a task; a blank one where nothing is remembered of it.
    pub(super) fn get(&self, offset: u32) -> Entry {
        self.pages[(offset / PAGE) as usize]
            .as_ref()
            .map_or_else(Entry::default, |page| page[(offset % PAGE) as usize])
    }

    /// The entry of a task, to change.
    pub(super) fn touch(&mut self, offset: u32) -> &mut Entry {
        let number = offset / PAGE;
        let length = PAGE.min(self.tasks - number * PAGE);
        let page =
            self.pages[number as usize].get_or_insert_with(|| vec![Entry::default(); length as usize].into());
        &mut page[(offset % PAGE) as usize]
    }

    /// The tasks from `offset` on, at most `limit` (from 1), that are alike.
    pub(super) fn stretch(&self, offset: u32, limit: u32) -> Stretch {
        let Entry { state, recorded, .. } = self.get(offset);
        let mut count = 0;
        while count < limit {
            let at = offset + count;
            let rest = (PAGE - at % PAGE).min(limit - count);
            let alike = match &self.pages[(at / PAGE) as usize] {
                None if state.is_none() && !recorded => rest,
                None => 0,
                Some(page) => alike(&page[(at % PAGE) as usize..][..rest as usize], state, recorded),
            };
            count += alike;
            if alike < rest {
                break;
            }
        }
        Stretch { count, state, recorded }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let entries: usize = self.pages.iter().flatten().map(|page| page.len()).sum();
        size_of_val(&*self.pages) + entries * size_of::<Entry>()
    }
}

fn alike(entries: &[Entry], state: Option<TaskState>, recorded: bool) -> u32 {
    let other = entries.iter().position(|entry| entry.state != state || entry.recorded != recorded);
    u32::try_from(other.unwrap_or(entries.len())).unwrap_or(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_24_bytes() {
        assert_eq!(size_of::<Entry>(), 24);
    }

    fn pages(tasks: u32) -> Pages {
        let mut pages = Pages::default();
        pages.grow(tasks);
        pages
    }

    #[test]
    fn untouched_pages_cost_a_pointer_each() {
        assert!(pages(1_000_000).bytes() < 20_000);
        assert!(pages(1).bytes() < 32);
    }

    #[test]
    fn more_tasks_find_room_behind_those_that_are_there() {
        let mut pages = pages(2);
        pages.touch(1).attempts = 7;
        for tasks in [3, 1024, 1025, 5000] {
            pages.grow(tasks);
            pages.touch(tasks - 1).sequence = tasks;
            assert_eq!((pages.get(1).attempts, pages.get(tasks - 1).sequence), (7, tasks));
        }
        assert_eq!(pages.get(0), Entry::default());
    }

    #[test]
    fn a_stretch_ends_where_a_task_differs_and_crosses_pages() {
        let mut pages = pages(5000);
        pages.touch(3000).state = Some(TaskState::Active);
        pages.touch(3001).state = Some(TaskState::Active);
        let count = |offset| pages.stretch(offset, 5000 - offset).count;
        assert_eq!((count(0), count(3000), count(3002)), (3000, 2, 1998));
        assert_eq!(pages.stretch(10, 7), Stretch { count: 7, state: None, recorded: false });
    }
}
