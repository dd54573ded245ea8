//! Which tasks have waited too long, and which are past their deadline.
//!
//! It knows what tasks say of waiting, by stretches of tasks that say the same, and since when those wait that are ready.
//! Tasks that say nothing cost nothing. How long one has waited counts anew with each time it becomes ready, and from
//! the start of the scheduler where that was later: the log does not say when a task became ready.

mod stretches;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bounds::{Overrun, TimeBounds, TimeLimit};
use crate::event::{Event, GraphEvent, Record, SchedulerEvent};
use crate::id::{GraphId, TaskId, TaskRange};
use crate::time::{Moment, Timestamp};
use crate::waits::stretches::{Due, Stretches};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Waits {
    said: Stretches<Said>,
    /// Those that are ready and may not wait for ever.
    waiting: Stretches<Since>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    submitted: Timestamp,
    queue_timeout: Option<Duration>,
    deadline: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Since {
    ready: Moment,
    queue_timeout: Duration,
}

/// Tasks that are to end if they have not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// Which.
    pub tasks: TaskRange,
    /// What they have exceeded.
    pub overrun: Overrun,
}

impl Waits {
    /// Whether there is nothing to be watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// These tasks are there, and this is what they say.
    pub fn admitted(&mut self, tasks: TaskRange, bounds: Option<&TimeBounds>, submitted: Timestamp) {
        let Some(bounds) = bounds else { return };
        let (queue_timeout, deadline) = (bounds.queue_timeout, bounds.deadline.map(|at| at.of(submitted)));
        if queue_timeout.is_none() && deadline.is_none() {
            return;
        }
        let said = Said { submitted, queue_timeout, deadline };
        if !self.said.join(tasks, |before| *before == said) {
            self.said.put(tasks, said);
        }
    }

    /// Nothing is known of these tasks any more.
    pub fn forget(&mut self, tasks: TaskRange) {
        self.waiting.cut(tasks);
        self.said.cut(tasks);
    }

    /// These may start from now on. Those of them that are past their deadline.
    pub fn ready(&mut self, tasks: TaskRange, (now, wall): (Moment, Timestamp)) -> Vec<Late> {
        let mut late = Vec::new();
        for (part, said) in self.said.parts(tasks) {
            if let Some(overrun) = said.exceeded(wall) {
                late.push(Late { tasks: part, overrun });
            } else if let Some(queue_timeout) = said.queue_timeout {
                self.waiting.put(part, Since { ready: now, queue_timeout });
            }
        }
        late
    }

    /// These are not ready any more.
    pub fn gone(&mut self, tasks: TaskRange) {
        if !self.waiting.is_empty() {
            self.waiting.cut(tasks);
        }
    }

    /// What a task has exceeded that is about to wait for another attempt.
    #[must_use]
    pub fn past_deadline(&self, task: TaskId, wall: Timestamp) -> Option<Overrun> {
        let said = self.said.parts(TaskRange { first: task, count: 1 }).first()?.1;
        said.exceeded(wall)
    }

    /// How long until there is something late.
    #[must_use]
    pub fn next(&self, (now, wall): (Moment, Timestamp)) -> Option<Duration> {
        let due = self.waiting.next().map(|due| due.since(now));
        let deadline = self.said.next().map(|deadline| deadline.since(wall));
        due.into_iter().chain(deadline).min()
    }

    /// The next that are late, told once.
    pub fn overdue(&mut self, (now, wall): (Moment, Timestamp)) -> Option<Late> {
        if let Some((tasks, since)) = self.waiting.pop(now) {
            self.waiting.cut(tasks);
            let (limit, used) = (TimeLimit::QueueTimeout, now.since(since.ready));
            return Some(Late { tasks, overrun: Overrun { limit, allowed: since.queue_timeout, used } });
        }
        let (tasks, said) = self.said.pop(wall)?;
        Some(Late { tasks, overrun: said.exceeded(wall)? })
    }
}

impl Said {
    fn exceeded(&self, wall: Timestamp) -> Option<Overrun> {
        let deadline = self.deadline.filter(|deadline| *deadline <= wall)?;
        let (allowed, used) = (deadline.since(self.submitted), wall.since(self.submitted));
        Some(Overrun { limit: TimeLimit::Deadline, allowed, used })
    }
}

impl Due for Said {
    type At = Timestamp;

    fn due(&self) -> Option<Timestamp> {
        self.deadline
    }
}

impl Due for Since {
    type At = Moment;

    fn due(&self) -> Option<Moment> {
        Some(self.ready + self.queue_timeout)
    }
}

/// Makes [`Waits`] again from the records of the log.
#[derive(Debug, Default)]
pub struct WaitsReplay {
    waits: Waits,
    /// The next task of each graph that is being written, how many items are to come, and since when.
    building: BTreeMap<GraphId, (TaskId, u32, Timestamp)>,
}

impl WaitsReplay {
    /// Takes in the next record.
    pub fn hear(&mut self, record: &Record) {
        match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(head)) => {
                self.building.insert(*graph, (graph.first_task(), head.items, record.at));
            }
            Event::Graph(graph, GraphEvent::Extended(part)) => {
                self.building.insert(*graph, (part.first, part.items, record.at));
            }
            Event::Graph(graph, GraphEvent::ItemAdmitted(item)) => {
                let Some((next, left, at)) = self.building.get_mut(graph) else { return };
                let count = u32::try_from(item.tasks()).unwrap_or(u32::MAX);
                self.waits.admitted(TaskRange { first: *next, count }, item.spec.bounds.as_deref(), *at);
                (*next, *left) = (TaskId(next.0 + u64::from(count)), *left - 1);
                if *left == 0 {
                    self.building.remove(graph);
                }
            }
            // Whoever was writing a graph then has never acknowledged it.
            Event::Scheduler(SchedulerEvent::Started { .. }) => self.building.clear(),
            _ => {}
        }
    }

    /// All records have been given; `is_known` tells of which tasks anything is known.
    #[must_use]
    pub fn finish(self, is_known: impl Fn(TaskId) -> bool) -> Waits {
        let mut waits = self.waits;
        let unknown: Vec<_> = waits.said.all().filter(|tasks| !is_known(tasks.first)).collect();
        unknown.into_iter().for_each(|tasks| waits.forget(tasks));
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Deadline;

    fn at(seconds: u64) -> (Moment, Timestamp) {
        (Moment(seconds * 1_000_000), Timestamp((1000 + seconds) * 1_000_000))
    }

    fn range(first: u64, count: u32) -> TaskRange {
        TaskRange { first: TaskId(first), count }
    }

    fn waits(queue: u64, deadline: u64) -> Waits {
        let some = |seconds| (seconds > 0).then(|| Duration::from_secs(seconds));
        let bounds = TimeBounds {
            queue_timeout: some(queue),
            deadline: some(deadline).map(Deadline::After),
            ..TimeBounds::default()
        };
        let mut waits = Waits::default();
        waits.admitted(range(10, 3), Some(&bounds), at(0).1);
        waits.admitted(range(13, 2), Some(&bounds), at(0).1);
        waits
    }

    fn all(waits: &mut Waits, seconds: u64) -> Vec<(TaskRange, TimeLimit, u64)> {
        let late = std::iter::from_fn(|| waits.overdue(at(seconds)));
        late.map(|late| (late.tasks, late.overrun.limit, late.overrun.used.as_secs())).collect()
    }

    #[test]
    fn what_says_nothing_costs_nothing() {
        let mut waits = Waits::default();
        waits.admitted(range(1, 9), None, at(0).1);
        waits.admitted(range(1, 9), Some(&TimeBounds::default()), at(0).1);
        assert!(waits.is_empty() && waits.ready(range(1, 9), at(0)).is_empty());
        assert_eq!(waits.next(at(0)), None);
    }

    #[test]
    fn what_waits_too_long_is_late_unless_it_has_begun() {
        let mut waits = waits(5, 0);
        assert!(waits.ready(range(10, 5), at(1)).is_empty());
        assert_eq!(waits.next(at(1)), Some(Duration::from_secs(5)));
        waits.gone(range(12, 1));
        assert_eq!(all(&mut waits, 5), []);
        let limit = TimeLimit::QueueTimeout;
        assert_eq!(all(&mut waits, 7), [(range(10, 2), limit, 6), (range(13, 2), limit, 6)]);
        // It waits for its next attempt, and its time begins anew.
        assert!(waits.ready(range(12, 1), at(8)).is_empty());
        assert_eq!(all(&mut waits, 12), []);
        assert_eq!(all(&mut waits, 13), [(range(12, 1), limit, 5)]);
    }

    #[test]
    fn a_deadline_counts_whatever_a_task_waits_for() {
        let mut waits = waits(0, 60);
        assert_eq!(waits.past_deadline(TaskId(11), at(59).1), None);
        assert_eq!(all(&mut waits, 61), [(range(10, 5), TimeLimit::Deadline, 61)]);
        assert_eq!(all(&mut waits, 62), [], "told once");
        assert_eq!(waits.past_deadline(TaskId(11), at(62).1).unwrap().limit, TimeLimit::Deadline);
        assert_eq!(waits.ready(range(8, 4), at(62))[0].tasks, range(10, 2));
    }

    #[test]
    fn what_is_forgotten_is_late_no_more() {
        let mut waits = waits(5, 60);
        waits.ready(range(10, 5), at(0));
        waits.forget(range(10, 5));
        assert!(waits.is_empty() && all(&mut waits, 1000).is_empty());
    }
}
