//! The queue actor: one per priority.
//!
//! **Role.** Owns the order in which ready tasks of its priority are taken (P6).
//! **Decides with** `policy::{queue, share}`. **Parent** the scheduler side's core. **Hears** scheduler: `Push`,
//! `PutBack`, `PutBehind`, `Remove`, `Holds`, `Served`, `Pick`, `Age`. **Tells** scheduler: `Picked`, one for each `Pick`; `Aged`, one for
//! each `Age`.
//! **Its crash** restarts the core, which fills the queues again from the log.
//! **Invariant.** A task is in at most one queue, at most once.

use std::fmt;
use std::sync::Arc;

use policy::ageing::Ladder;
use policy::demand::Demand;
use policy::id::{TaskId, TaskRange};
use policy::placement::ShapeId;
use policy::queue::{Arrival, InQueue, Pick, Queue, Scale, Taken};
use policy::task::Priority;
use policy::trap;
use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Fact, Me, Message};

use crate::scheduler::SchedulerMessage;
use crate::side::Side;

/// What a queue can be told.
#[derive(Debug, IntoStaticStr)]
pub enum QueueMessage {
    /// These are ready.
    Push {
        /// The tasks.
        tasks: TaskRange,
        /// What each needs.
        shape: ShapeId,
        /// What that is, and whose.
        demand: Arc<Demand>,
        /// The place of the first in the order of arrival; each other has the next.
        arrival: Arrival,
    },
    /// One that was picked did not fit after all: back to its place.
    PutBack(Taken),
    /// One that was picked has no room where others of its line have: behind them.
    PutBehind {
        /// Which.
        taken: Taken,
        /// Its new place in the order of arrival.
        arrival: Arrival,
    },
    /// These are ready no more.
    Remove {
        /// The tasks.
        tasks: TaskRange,
        /// What each needs.
        shape: ShapeId,
    },
    /// Who is before this task?
    Locate {
        /// Which.
        task: TaskId,
        /// What it needs.
        shape: ShapeId,
        /// What fits, ascending, its own need among it.
        fitting: Arc<[ShapeId]>,
        /// The lines of which the first goes before all else.
        first: Vec<ShapeId>,
        /// Told the answer.
        found: Located,
    },
    /// An attempt at such a task was granted before a restart, and counts as its tenant's.
    Holds {
        /// What it needs.
        shape: ShapeId,
        /// What that is, and whose.
        demand: Arc<Demand>,
    },
    /// A line was served before a restart.
    Served {
        /// Which.
        shape: ShapeId,
        /// The place in the order of arrival that was the next then.
        at: Arrival,
    },
    /// Who is next?
    Pick {
        /// What is to be taken.
        pick: Pick,
        /// The needs of attempts that are over since the last one.
        ended: Vec<ShapeId>,
        /// Against what shares are measured.
        scale: Arc<Scale>,
    },
    /// Whose first has waited long?
    Age(Box<Ladder>),
}

/// What is done with the answer to `Locate`.
pub struct Located(Box<dyn FnOnce(Option<InQueue>) + Send>);

impl Located {
    fn tell(self, ahead: Option<InQueue>) {
        (self.0)(ahead);
    }
}

impl<F: FnOnce(Option<InQueue>) + Send + 'static> From<F> for Located {
    fn from(act: F) -> Self {
        Self(Box::new(act))
    }
}

impl fmt::Debug for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Located")
    }
}

impl Message for QueueMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }

    fn shown(&self) -> Option<String> {
        match self {
            Self::Push { tasks, .. } | Self::Remove { tasks, .. } => {
                Some(format!("{} from {} on", tasks.count, tasks.first))
            }
            Self::PutBack(taken) | Self::PutBehind { taken, .. } => Some(taken.task.to_string()),
            Self::Locate { task, .. } => Some(task.to_string()),
            Self::Pick { pick, .. } => Some(format!("{} and {} first", pick.want, pick.first.len())),
            Self::Holds { .. } | Self::Served { .. } | Self::Age(_) => None,
        }
    }
}

/// Lines that are shown to who looks: what fits on a screen.
const SHOWN: usize = 16;

/// Everything a queue needs to start.
#[derive(Debug, Clone)]
pub struct QueueArgs {
    /// Whom it knows.
    pub side: Arc<Side>,
    /// Whose tasks it holds.
    pub priority: Priority,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct QueueActor {
    args: QueueArgs,
    ready: Queue,
}

impl Actor for QueueActor {
    const KIND: &'static str = "queue";
    type Message = QueueMessage;
    type Args = QueueArgs;

    fn start(args: QueueArgs, _: &Me<QueueMessage>) -> Result<Self, ActorError> {
        Ok(Self { args, ready: Queue::new() })
    }

    fn handle(&mut self, message: QueueMessage, _: &Me<QueueMessage>) -> Result<(), ActorError> {
        trap!(Queue);
        match message {
            QueueMessage::Push { tasks, shape, demand, arrival } => {
                self.ready.push(tasks, shape, &demand, arrival);
            }
            QueueMessage::PutBack(taken) => self.ready.put_back(taken),
            QueueMessage::PutBehind { taken, arrival } => self.ready.put_behind(taken, arrival),
            QueueMessage::Remove { tasks, shape } => self.ready.remove(tasks, shape),
            QueueMessage::Locate { task, shape, fitting, first, found } => {
                found.tell(self.ready.ahead(task, shape, &fitting, &first));
            }
            QueueMessage::Holds { shape, demand } => self.ready.holds(shape, &demand),
            QueueMessage::Served { shape, at } => self.ready.was_served(shape, at),
            QueueMessage::Pick { pick, ended, scale } => self.pick(&pick, &ended, &scale),
            QueueMessage::Age(ladder) => self.age(&ladder),
        }
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        let mut facts = vec![
            Fact::new("tasks", self.ready.len()),
            Fact::new("lines", self.ready.lanes().count()),
            Fact::new("memory", crate::say::size(self.ready.bytes() as u64)),
        ];
        let lanes = self.ready.lanes().take(SHOWN);
        facts.extend(lanes.map(|(shape, _, tasks)| Fact::new(format!("line {}", shape.0), tasks)));
        facts
    }
}

impl QueueActor {
    fn pick(&mut self, pick: &Pick, ended: &[ShapeId], scale: &Arc<Scale>) {
        self.ready.rescale(scale);
        self.ready.ended(ended);
        let (priority, answer) = (self.args.priority, self.ready.answer(pick));
        self.args.side.scheduler.tell(SchedulerMessage::Picked { priority, answer });
    }

    fn age(&mut self, ladder: &Ladder) {
        let (priority, lines) = (self.args.priority, self.ready.aged(ladder));
        self.args.side.scheduler.tell(SchedulerMessage::Aged { priority, lines });
    }
}
