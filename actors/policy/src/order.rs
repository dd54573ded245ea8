//! What is asked of each queue in one round: so many of each priority by their time slices, and before them the
//! lines that have waited too long.
//!
//! A line at the top is served first, whatever the slices say, the oldest before the younger: it asks for one start
//! and waits anew after it, so that slices are put off by a start for each line and never by a stream. Below the
//! top a line that has climbed is served in the slice of the class it has climbed to.

use crate::placement::ShapeId;
use crate::queue::{AgedLine, Arrival};
use crate::task::Priority;
use crate::time_slice::{Backlog, Shares, SharesRefused, TimeSlice};

/// What one round asks of the queues, each by `Priority as usize`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The needs of which one task each is served before all else.
    pub first: [Vec<ShapeId>; 4],
    /// How many more.
    pub want: [u32; 4],
}

/// An aged line, and in which queue it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Aged {
    born: Priority,
    line: AgedLine,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Order {
    slices: TimeSlice,
    /// Lines that have climbed, the oldest first.
    aged: Vec<Aged>,
    /// Those of them that the present round has asked for.
    asked: Vec<Aged>,
    /// What had something to start when the present round was planned.
    backlog: Backlog,
}

impl Plan {
    /// How many are asked of a queue.
    #[must_use]
    pub fn asked(&self, priority: Priority) -> u32 {
        let first = u32::try_from(self.first[priority as usize].len()).unwrap_or(u32::MAX);
        self.want[priority as usize].saturating_add(first)
    }

    /// How many are asked of all.
    #[must_use]
    pub fn total(&self) -> u32 {
        [Priority::Low, Priority::Normal, Priority::High, Priority::Critical]
            .map(|one| self.asked(one))
            .iter()
            .sum()
    }
}

impl Order {
    /// Other shares from now on.
    ///
    /// # Errors
    ///
    /// When they cannot be used; then nothing changes.
    pub fn set_shares(&mut self, shares: Shares) -> Result<(), SharesRefused> {
        if self.slices.shares() != shares {
            self.slices = TimeSlice::new(shares)?;
        }
        Ok(())
    }

    /// All lines of a queue that have climbed, in place of those it named before.
    pub fn aged(&mut self, born: Priority, lines: impl IntoIterator<Item = AgedLine>) {
        self.aged.retain(|aged| aged.born != born);
        self.asked.retain(|aged| aged.born != born);
        self.aged.extend(lines.into_iter().map(|line| Aged { born, line }));
        self.aged.sort_by_key(|aged| (aged.line.since, aged.born, aged.line.shape));
    }

    /// What to ask for `most` starts, where so many of each priority wait whose needs fit.
    pub fn plan(&mut self, most: u32, fitting: [u64; 4], fits: impl Fn(Priority, ShapeId) -> bool) -> Plan {
        self.plan_until(fitting, fits, |plan| plan.total() >= most)
    }

    /// As [`Self::plan`], start by start until it is enough: on a copy it tells what would be asked for.
    pub fn plan_until(
        &mut self,
        fitting: [u64; 4],
        fits: impl Fn(Priority, ShapeId) -> bool,
        is_enough: impl Fn(&Plan) -> bool,
    ) -> Plan {
        let mut plan = Plan::default();
        self.asked.clear();
        let aged = std::mem::take(&mut self.aged);
        let (mut climbing, mut stay) = (Vec::new(), Vec::new());
        for one in aged {
            let fits = fits(one.born, one.line.shape);
            match one.line.standing.class {
                Priority::Critical if fits && !is_enough(&plan) => self.ask(&mut plan, one),
                Priority::Normal | Priority::High if fits => climbing.push(one),
                _ => stay.push(one),
            }
        }
        self.backlog = fitting.map(|count| count > 0);
        // On a copy: what is asked for and does not start after all must not cost its priority a turn.
        let mut slices = self.slices.clone();
        while !is_enough(&plan) {
            let born = |one: usize| u64::from(plan.asked(PRIORITIES[one])) < fitting[one];
            let climbed = |one: usize| climbing.iter().any(|aged| aged.line.standing.class as usize == one);
            let backlog: Backlog = [0, 1, 2, 3].map(|one| born(one) || climbed(one));
            let Some(class) = slices.pick(&backlog) else { break };
            match climbing.iter().position(|aged| aged.line.standing.class == class) {
                Some(place) => self.ask(&mut plan, climbing.remove(place)),
                None => plan.want[class as usize] += 1,
            }
        }
        self.aged = stay;
        self.aged.append(&mut climbing);
        self.aged.sort_by_key(|aged| (aged.line.since, aged.born, aged.line.shape));
        plan
    }

    /// The needs of the lines at the top of a queue, the oldest first: the first of each goes before all else.
    #[must_use]
    pub fn top(&self, born: Priority) -> Vec<ShapeId> {
        let top = |aged: &&Aged| aged.born == born && aged.line.standing.class == Priority::Critical;
        self.aged.iter().filter(top).map(|aged| aged.line.shape).collect()
    }

    /// Whether lines of a queue have climbed and are not at the top: when they are served is a matter of slices.
    #[must_use]
    pub fn is_climbing(&self, born: Priority) -> bool {
        self.aged.iter().any(|aged| aged.born == born && aged.line.standing.class != Priority::Critical)
    }

    fn ask(&mut self, plan: &mut Plan, aged: Aged) {
        plan.first[aged.born as usize].push(aged.line.shape);
        self.asked.push(aged);
    }

    /// A task that was asked for went back to its queue: if it was the first of an aged line, the line is one still.
    pub fn put_back(&mut self, born: Priority, shape: ShapeId, since: Arrival) {
        let is_it = |aged: &Aged| aged.born == born && aged.line.shape == shape && aged.line.since == since;
        let asked = self.asked.iter().position(is_it);
        if let Some(place) = asked {
            let aged = self.asked.remove(place);
            let place = self.aged.partition_point(|other| other.line.since <= since);
            self.aged.insert(place, aged);
        }
    }

    /// A task that was asked for was started: whose slice pays for it. A line at the top is paid for by none.
    pub fn started(&mut self, born: Priority, shape: ShapeId, since: Arrival) {
        let is_it = |aged: &&Aged| aged.born == born && aged.line.shape == shape && aged.line.since == since;
        let class = self.asked.iter().find(is_it).map(|aged| aged.line.standing.class);
        if class == Some(Priority::Critical) && born != Priority::Critical {
            return;
        }
        let (payer, mut backlog) = (class.unwrap_or(born), self.backlog);
        backlog[payer as usize] = true;
        self.slices.charge(payer, &backlog);
    }

    /// The first of a line was taken, by whatever turn: the line waits anew.
    pub fn served(&mut self, born: Priority, shape: ShapeId) {
        if !self.aged.is_empty() {
            self.aged.retain(|aged| aged.born != born || aged.line.shape != shape);
        }
    }

    /// Whether the present round asks for the first of this line before all else.
    #[must_use]
    pub fn is_asked_first(&self, born: Priority, shape: ShapeId, since: Arrival) -> bool {
        self.asked.iter().any(|aged| {
            aged.born == born
                && aged.line.shape == shape
                && aged.line.since == since
                && aged.line.standing.class == Priority::Critical
        })
    }
}

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

#[cfg(test)]
mod tests;
