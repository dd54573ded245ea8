//! What is asked of each queue in one round: so many of each priority by their time slices, and before them the
//! lines that have waited too long.
//!
//! A line at the top is served first, whatever the slices say, the oldest before the younger: it asks for one start
//! and waits anew after it, so that slices are put off by a start for each line and never by a stream. Below the
//! top a line that has climbed is served in the slice of the class it has climbed to.
//!
//! What the queues give is started in the turns of the plan, so that every beginning of a round is shared out as the
//! whole is: a round can be of hundreds of starts, of which the last wait on a node, or find no room.

use crate::placement::ShapeId;
use crate::queue::{AgedLine, Arrival};
use crate::task::Priority;
use crate::time_slice::{Backlog, Fairness, Shares, SharesRefused, TimeSlice};

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
    /// The starts of the present round, in their order.
    turns: Vec<Turn>,
    /// Whether some of them are for aged lines.
    has_lines: bool,
    /// By priority: all turns of its own before this one are taken, but for those of aged lines.
    next: [usize; 4],
}

/// One start of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    /// Whose slice pays, and what had something to start then; `None` where nobody pays.
    charge: Option<(Priority, Backlog)>,
    /// The queue that is asked.
    born: Priority,
    /// The aged line that is asked for, if one is.
    aged: Option<AgedLine>,
    is_taken: bool,
}

/// The turn of something that was picked: smaller is started first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnId(usize);

impl Plan {
    /// How many are asked of a queue.
    #[must_use]
    pub fn asked(&self, priority: Priority) -> u32 {
        let first = u32::try_from(self.first[priority as usize].len()).unwrap_or(u32::MAX);
        self.want[priority as usize].saturating_add(first)
    }

    /// One of this need is served before all else, of `most`: room was held for it. It is in place of another one of its
    /// queue, or, where that is asked for none, of the least urgent.
    pub fn ask_first(&mut self, priority: Priority, shape: ShapeId, most: u32) {
        let own = priority as usize;
        if self.first[own].contains(&shape) {
            return;
        }
        self.first[own].push(shape);
        if self.want[own] > 0 {
            self.want[own] -= 1;
        } else if self.total() > most
            && let Some(want) = self.want.iter_mut().find(|want| **want > 0)
        {
            *want -= 1;
        }
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
    /// Another rule and other shares from now on.
    ///
    /// # Errors
    ///
    /// When they cannot be used; then nothing changes.
    pub fn set_shares(&mut self, fairness: Fairness, shares: Shares) -> Result<(), SharesRefused> {
        if (self.slices.fairness(), self.slices.shares()) != (fairness, shares) {
            self.slices = TimeSlice::new(shares)?.ruled(fairness);
        }
        Ok(())
    }

    /// All lines of a queue that have climbed, in place of those it named before.
    pub fn aged(&mut self, born: Priority, lines: impl IntoIterator<Item = AgedLine>) {
        self.aged.retain(|aged| aged.born != born);
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
        (self.next, self.has_lines) = ([0; 4], false);
        self.turns.clear();
        let aged = std::mem::take(&mut self.aged);
        let (mut climbing, mut stay) = (Vec::new(), Vec::new());
        let waiting: Backlog = fitting.map(|count| count > 0);
        for one in aged {
            let fits = fits(one.born, one.line.shape);
            match one.line.standing.class {
                Priority::Critical if fits && !is_enough(&plan) => self.ask(&mut plan, one, &waiting),
                Priority::Normal | Priority::High if fits => climbing.push(one),
                _ => stay.push(one),
            }
        }
        // On a copy: what is asked for and does not start after all must not cost its priority a turn.
        let mut slices = self.slices.clone();
        while !is_enough(&plan) {
            let born = |one: usize| u64::from(plan.asked(PRIORITIES[one])) < fitting[one];
            // The first of a line may be asked for already, in the turn of its own priority: never more than there are.
            let climbs = |aged: &Aged, one: usize| {
                aged.line.standing.class as usize == one && born(aged.born as usize)
            };
            let climbed = |one: usize| climbing.iter().any(|aged| climbs(aged, one));
            let backlog: Backlog = [0, 1, 2, 3].map(|one| born(one) || climbed(one));
            let Some(class) = slices.pick(&backlog) else { break };
            match climbing.iter().position(|aged| climbs(aged, class as usize)) {
                Some(place) => self.ask(&mut plan, climbing.remove(place), &backlog),
                None => {
                    plan.want[class as usize] += 1;
                    let charge = Some((class, backlog));
                    self.turns.push(Turn { charge, born: class, aged: None, is_taken: false });
                }
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

    /// Asks for the first of an aged line: at the top nobody pays for it but its own priority.
    fn ask(&mut self, plan: &mut Plan, aged: Aged, backlog: &Backlog) {
        let Aged { born, line } = aged;
        plan.first[born as usize].push(line.shape);
        let class = line.standing.class;
        let pays = class != Priority::Critical || born == Priority::Critical;
        let mut backlog = *backlog;
        backlog[class as usize] = true;
        let charge = pays.then_some((class, backlog));
        self.has_lines = true;
        self.turns.push(Turn { charge, born, aged: Some(line), is_taken: false });
    }

    /// The first of a line was taken, and the line waits anew. Whose turn that is.
    pub fn served(&mut self, born: Priority, shape: ShapeId) -> TurnId {
        if !self.aged.is_empty() {
            self.aged.retain(|aged| aged.born != born || aged.line.shape != shape);
        }
        let place = self.turn_of(born, shape);
        if let Some(turn) = self.turns.get_mut(place) {
            turn.is_taken = true;
        }
        TurnId(place)
    }

    /// The turn in which the line was asked for, or else the next one of its priority.
    fn turn_of(&mut self, born: Priority, shape: ShapeId) -> usize {
        let of_line = |turn: &Turn| {
            !turn.is_taken && turn.born == born && turn.aged.is_some_and(|line| line.shape == shape)
        };
        if self.has_lines
            && let Some(place) = self.turns.iter().position(of_line)
        {
            return place;
        }
        let (from, end) = (self.next[born as usize], self.turns.len());
        let is_next = |turn: &Turn| turn.born == born && turn.aged.is_none();
        let found = self.turns[from.min(end)..].iter().position(is_next);
        let place = found.map_or(end, |more| from + more);
        self.next[born as usize] = place + 1;
        place
    }

    /// What was picked in this turn went back to its queue: if it was the first of an aged line that has waited since
    /// then, the line is one still.
    pub fn put_back(&mut self, turn: TurnId, since: Arrival) {
        let Some(Turn { born, aged: Some(line), .. }) = self.turns.get(turn.0).copied() else { return };
        let is_known = |aged: &Aged| aged.born == born && aged.line.shape == line.shape;
        if line.since == since && !self.aged.iter().any(is_known) {
            let place = self.aged.partition_point(|other| other.line.since <= since);
            self.aged.insert(place, Aged { born, line });
        }
    }

    /// What was picked in this turn was started: its slice pays.
    pub fn started(&mut self, turn: TurnId) {
        if let Some((payer, backlog)) = self.turns.get(turn.0).and_then(|turn| turn.charge) {
            self.slices.charge(payer, &backlog);
        }
    }
}

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

#[cfg(test)]
mod tests;
