//! Whether a submission is taken in: whole or not at all, and a refusal names everything that is wrong.
//!
//! It judges what was handed in by itself; whether nodes exist that could run it is `placement`'s matter, and
//! whether there is room for it now is asked with [`room`]. Fields are named as a task file names them.

mod about;
mod addition;
mod artifact;
mod claims;
mod cycle;
mod gang;
mod handler;
mod limits;
mod misfit;
mod provision;
mod spec;
mod stages;
mod workspace;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

pub use crate::admission::addition::{Existing, find_own_names, give_usual_timeout, place};
pub use crate::admission::claims::check_declared;
pub use crate::admission::limits::{AdmissionLimits, PROBLEMS_LIMIT};
pub use crate::admission::misfit::{Unschedulable, misfit};

use crate::dependency::On;
use crate::event::Item;
use crate::planted;
use crate::submission::Submission;

/// Why a submission is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rejection {
    /// What is wrong with it, at most [`PROBLEMS_LIMIT`].
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The item, by its place in the submission; `None` where it is the graph as a whole.
    pub item: Option<usize>,
    /// The field; empty where it is none.
    pub field: Box<str>,
    /// Its value, shortened where it is long; empty where there is none to show.
    pub value: Box<str>,
    /// What it must be.
    pub expected: Box<str>,
}

/// There is no room now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{waiting} tasks are waiting and {new} more would exceed the limit of {limit}")]
pub struct Busy {
    /// Tasks that wait.
    pub waiting: u64,
    /// Tasks that would come to them.
    pub new: u64,
    /// How many may wait.
    pub limit: u64,
    /// When to try again.
    pub retry_after: Duration,
}

/// A rate at which waiting tasks are taken to be started, per second, to say when to try again: slow enough
/// for a small machine, since asking too early costs more than asking late.
const DRAIN_PER_SECOND: u64 = 1000;
/// The longest wait that is asked for: by then much can have changed.
const RETRY_AFTER_LIMIT_SECONDS: u64 = 60;

/// Whether the submission is sound, under the default limits.
///
/// # Errors
///
/// With everything that is wrong with it.
pub fn check(submission: &Submission) -> Result<(), Rejection> {
    check_within(submission, &AdmissionLimits::default())
}

/// Whether the submission is sound.
///
/// # Errors
///
/// With everything that is wrong with it.
pub fn check_within(submission: &Submission, limits: &AdmissionLimits) -> Result<(), Rejection> {
    let mut found = Findings::default();
    graph(submission, limits, &mut found);
    names(&submission.items, &mut found);
    for (place, item) in submission.items.iter().enumerate() {
        found.item = Some(place);
        spec::check(&item.spec, limits, &mut found);
        array(item, &mut found);
        gang::check(item, &mut found);
        dependencies(place, submission, limits, &mut found);
    }
    if let Some(cycle) = cycle::find(&submission.items) {
        found.item = cycle.first().copied();
        let expected = "must not lead back to the task itself (each waits for the next)";
        found.push("after", &cycle::shown(&cycle, &submission.items), expected);
    }
    found.done()
}

/// Whether there is room for `new` tasks beside those that are `waiting`. Where none is waiting there is room
/// for every graph that was found sound: otherwise it would be sent away for ever.
///
/// # Errors
///
/// When there is not, with a time after which to try again.
pub fn room(waiting: u64, new: u64, limits: &AdmissionLimits) -> Result<(), Busy> {
    let limit = limits.waiting_tasks;
    let sum = waiting.saturating_add(new);
    if waiting == 0 || sum <= limit || planted!(NoBound) {
        return Ok(());
    }
    let excess = (sum - limit).min(waiting);
    let seconds = excess.div_ceil(DRAIN_PER_SECOND).min(RETRY_AFTER_LIMIT_SECONDS);
    Err(Busy { waiting, new, limit, retry_after: Duration::from_secs(seconds) })
}

/// What was found so far, and of which item.
#[derive(Debug, Default)]
struct Findings {
    item: Option<usize>,
    rejection: Rejection,
}

impl Findings {
    /// All of them, in the order of the items.
    fn done(mut self) -> Result<(), Rejection> {
        self.rejection.problems.sort_by_key(|problem| problem.item);
        if self.rejection.problems.is_empty() { Ok(()) } else { Err(self.rejection) }
    }

    fn push(&mut self, field: &str, value: &dyn fmt::Display, expected: impl fmt::Display) {
        if self.rejection.problems.len() == PROBLEMS_LIMIT {
            self.rejection.more += 1;
            return;
        }
        self.rejection.problems.push(Problem {
            item: self.item,
            field: field.into(),
            value: value.to_string().into(),
            expected: expected.to_string().into(),
        });
    }

    /// Adds a problem unless `amount` is between the two.
    fn range(&mut self, field: &str, amount: u64, (low, high): (u64, u64), unit: &str) {
        if !(low..=high).contains(&amount) {
            self.push(field, &amount, format_args!("must be between {low} and {high} ({unit})"));
        }
    }
}

fn graph(submission: &Submission, limits: &AdmissionLimits, found: &mut Findings) {
    let (items, tasks) = (submission.items.len(), submission.tasks());
    if items == 0 {
        found.push("", &"", "there is no task in it");
    }
    if items > limits.items {
        let expected = format_args!("must have at most {} items: split it, or use arrays", limits.items);
        found.push("", &format_args!("{items} items"), expected);
    }
    if tasks > limits.tasks {
        found.push(
            "",
            &format_args!("{tasks} tasks"),
            format_args!("must make at most {} tasks", limits.tasks),
        );
    }
    let edges: usize = submission.items.iter().map(|item| item.dependencies.len()).sum();
    if edges > limits.dependencies {
        let expected = format_args!("must have at most {} dependencies in all", limits.dependencies);
        found.push("after", &edges, expected);
    }
    spec::name(&submission.name, found);
}

fn names(items: &[Item], found: &mut Findings) {
    let mut seen: FxHashMap<&str, usize> = FxHashMap::default();
    for (place, item) in items.iter().enumerate() {
        if let Some(first) = seen.insert(&item.spec.name, place) {
            found.item = Some(place);
            found.push(
                "name",
                &spec::quoted(&item.spec.name),
                format_args!("item {first} of the graph has this name"),
            );
        }
    }
}

fn array(item: &Item, found: &mut Findings) {
    let Some(array) = item.array else { return };
    let value = format_args!("{} from {}", array.count, array.first).to_string();
    if array.count == 0 {
        found.push("array", &value, "must have at least 1 index");
    }
    if array.first.checked_add(array.count).is_none() {
        found.push("array", &value, format_args!("the last index must be less than {}", u64::MAX));
    }
    if array.parallel_limit == Some(0) {
        found.push("array", &"limit 0", "must let at least 1 run at once");
    }
}

/// The same dependency twice is harmless, the graph counts it once.
fn dependencies(place: usize, submission: &Submission, limits: &AdmissionLimits, found: &mut Findings) {
    let (items, on) = (&submission.items, &submission.items[place].dependencies);
    if on.len() > limits.dependencies_per_item {
        let expected = format_args!("must be at most {} dependencies", limits.dependencies_per_item);
        found.push("after", &format_args!("{} dependencies", on.len()), expected);
    }
    for dependency in on {
        match &dependency.on {
            On::Item(other) if *other as usize == place => {
                found.push("after", &spec::quoted(&items[place].spec.name), "a task cannot wait for itself");
            }
            On::Item(other) if *other as usize >= items.len() => {
                found.push("after", other, format_args!("no such item: the graph has {}", items.len()));
            }
            On::Name(name) if submission.into.is_none() => {
                found.push("after", &spec::quoted(name), "no task of the graph has this name");
            }
            On::Task(task) if submission.into.is_none() => {
                found.push("after", task, "only what is added to a graph can name tasks of it");
            }
            On::Item(_) | On::Name(_) | On::Task(_) => {}
        }
    }
}

impl Problem {
    /// It in a line of its own, naming the task.
    #[must_use]
    pub fn line(&self, submission: &Submission) -> String {
        let task = self.item.and_then(|place| submission.items.get(place));
        let task = task.map(|item| format!("task {}: ", spec::quoted(&item.spec.name)));
        format!("{}{self}", task.unwrap_or_default())
    }
}

/// `cpus = 0: must be at least 1`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, expected, .. } = self;
        match (field.is_empty(), value.is_empty()) {
            (true, true) => f.write_str(expected),
            (true, false) => write!(f, "{value}: {expected}"),
            (false, true) => write!(f, "{field}: {expected}"),
            (false, false) => write!(f, "{field} = {value}: {expected}"),
        }
    }
}
