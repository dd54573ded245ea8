//! One node as dispatching sees it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::breaker::{Key, Seen, Tripped};
use crate::constraint::Company;
use crate::demand::Demand;
use crate::directive::Closed;
use crate::fleet::Said;
use crate::id::{NodeId, TaskId};
use crate::node::Room;
use crate::placement::{self, Candidate, Choice, Held, Rank, Search, ShapeId};
use crate::reserve::LineId;
use crate::resources::Resources;
use crate::strain::{Level, Strain};

/// One node.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) id: NodeId,
    /// `None` while it takes nothing.
    pub(super) room: Option<Room>,
    /// What it had when it was there last.
    pub(super) last_room: Option<Room>,
    pub(super) said: Said,
    /// What an operator has said of it.
    pub(super) closed: Option<Closed>,
    /// Reservations ever sent.
    pub(super) sent: u64,
    /// What was sent and is not in `room` yet, by number.
    pub(super) unseen: VecDeque<(u64, Resources)>,
    /// Who is to have the room that is left here.
    pub(super) hold: Option<Hold>,
}

/// Room that is held for the first of a line, see `reserve`.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    pub(super) line: LineId,
    /// Who was first when it began.
    pub(super) task: TaskId,
    /// What it needs.
    pub(super) need: Resources,
    /// What it says of those beside it.
    pub(super) company: Option<Arc<Company>>,
    /// Whether others were asked to make this room.
    pub(super) is_made: bool,
}

/// Why nothing is sent to a node that is up.
#[derive(Debug)]
pub(super) enum Shut {
    Closed(Closed),
    HaltedHere,
    Tripped(Tripped),
    Strained(Strain),
    Suspect,
}

impl fmt::Display for Shut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) => closed.fmt(f),
            Self::HaltedHere => f.write_str("was halted on the machine itself"),
            Self::Tripped(tripped) => tripped.fmt(f),
            Self::Strained(strain) => {
                let what = if strain.level == Level::Warn { "nothing heavy" } else { "nothing" };
                write!(f, "takes {what} while it is strained, {strain}")
            }
            Self::Suspect => f.write_str(
                "a task runs there that may have taken a machine down, as this one may: they are kept apart",
            ),
        }
    }
}

impl Site {
    /// One of which nothing is known yet.
    pub(super) fn new(id: NodeId) -> Self {
        Self {
            id,
            room: None,
            last_room: None,
            said: Said::default(),
            closed: None,
            sent: 0,
            unseen: VecDeque::new(),
            hold: None,
        }
    }

    /// Whether it is up, and tasks of this demand are sent here and may run here.
    pub(super) fn may_take(&self, demand: &Demand) -> bool {
        self.room.is_some() && self.open_to(demand).is_ok() && demand.constraints.met(&self.said.labels)
    }

    /// How much it lacks of the first request that it could ever take, and that request; `None` where it takes nothing of
    /// the kind.
    pub(super) fn lacking(&self, demand: &Demand) -> Option<(u128, Resources)> {
        let room = self.room.as_ref()?;
        let need = demand.requests().map(|(_, need)| need).find(|need| room.capacity.covers(need));
        need.filter(|_| self.may_take(demand)).map(|need| (placement::lacking(need, room), need.clone()))
    }

    /// How well it suits one who has not failed anywhere; `None` where it does not run it now.
    pub(super) fn rank(&self, place: usize, demand: &Demand, line: Option<LineId>) -> Option<(Rank, Choice)> {
        self.open_to(demand).ok()?;
        Search::of(demand).best_on(place, &self.candidate(line, Ok(()))?)
    }

    /// As a line sees it; `None` while it is not up.
    pub(super) fn candidate<'a>(
        &'a self,
        line: Option<LineId>,
        accepting: Result<(), &'a str>,
    ) -> Option<Candidate<'a>> {
        let held = match &self.hold {
            None => Held::No,
            Some(hold) if Some(hold.line) == line => Held::ForIt,
            Some(hold) => Held::For(hold.task, &hold.need),
        };
        let (room, labels) = (self.room.as_ref()?, &*self.said.labels);
        Some(Candidate { room, labels, accepting, held, against: None, dislike: 0 })
    }

    /// How many attempts fit now that need this and are of this shape.
    fn times(&self, need: &Resources, shape: ShapeId, limit: u32) -> u32 {
        match (&self.room, &self.hold) {
            (None, _) => 0,
            (Some(room), Some(hold)) if hold.line.shape != shape => {
                room.times_beside(need, &hold.need, limit)
            }
            (Some(room), _) => room.times(need, limit),
        }
    }

    /// How many attempts of a demand, which is that of this shape, fit now: of several requests that of which most do. What
    /// is counted too much comes back to its queue.
    pub(super) fn times_of(&self, demand: &Demand, shape: ShapeId, limit: u32) -> u32 {
        if !self.may_take(demand) {
            return 0;
        }
        demand.requests().map(|(_, need)| self.times(need, shape, limit)).max().unwrap_or(0)
    }

    /// Whether one of a demand, which is that of this shape, would start here now and wait for nobody.
    pub(super) fn starts_one(&self, demand: &Demand, shape: ShapeId) -> bool {
        let starts =
            |need| self.room.as_ref().is_some_and(|room| room.starts(need)) && self.times(need, shape, 1) > 0;
        self.may_take(demand) && demand.requests().any(|(_, need)| starts(need))
    }

    /// Whether tasks of a demand are sent here though it is up.
    pub(super) fn open_to(&self, demand: &Demand) -> Result<(), Shut> {
        if let Some(closed) = self.closed {
            return Err(Shut::Closed(closed));
        }
        if self.said.halted_here {
            return Err(Shut::HaltedHere);
        }
        let strain = self.said.strain;
        if self.room.as_ref().is_some_and(|room| strain.refuses(demand, &room.capacity)) {
            return Err(Shut::Strained(strain));
        }
        let concerned = |(kind, _): &&(Key, Seen)| kind.is_none() || *kind == demand.kind;
        let tripped = self.said.tripped.iter().find(concerned).cloned();
        tripped.map_or(Ok(()), |(kind, seen)| Err(Shut::Tripped(Tripped { kind, seen })))
    }
}
