//! The names of a graph's tasks, known from what was submitted: events only carry ids.

use std::sync::Arc;

use policy::event::ArraySpec;
use policy::submission::Submission;

/// The items in order, with the place of each one's first task.
#[derive(Debug)]
pub(super) struct Plan {
    items: Vec<PlannedItem>,
    tasks: u64,
}

#[derive(Debug)]
struct PlannedItem {
    first: u64,
    name: Arc<str>,
    array: Option<ArraySpec>,
}

impl Plan {
    pub(super) fn of(submission: &Submission) -> Self {
        let mut tasks = 0_u64;
        let mut items = Vec::with_capacity(submission.items.len());
        for item in &submission.items {
            items.push(PlannedItem { first: tasks, name: Arc::clone(&item.spec.name), array: item.array });
            tasks = tasks.saturating_add(item.tasks());
        }
        Self { items, tasks }
    }

    /// How many tasks there are.
    pub(super) fn tasks(&self) -> u64 {
        self.tasks
    }

    /// The name of the task at this place, counted from 0 within the graph.
    pub(super) fn name(&self, place: u64) -> String {
        let after = self.items.partition_point(|item| item.first <= place);
        match after.checked_sub(1).and_then(|at| self.items.get(at)) {
            None => format!("task {place}"),
            Some(item) => match item.array {
                None => item.name.to_string(),
                Some(array) => format!("{}[{}]", item.name, array.first.saturating_add(place - item.first)),
            },
        }
    }

    /// Columns of the longest name of an item, for alignment.
    pub(super) fn width(&self) -> usize {
        self.items.iter().map(|item| item.name.chars().count()).max().unwrap_or(0)
    }
}
