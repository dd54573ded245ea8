//! The queue actor: one per priority.
//!
//! **Role.** Owns the order in which ready tasks of its priority are taken (P6).
//! **Decides with** `policy::queue`. **Parent** the scheduler side's core. **Hears** scheduler: `Push`,
//! `PutBack`, `Remove`, `Pick`. **Tells** scheduler: `Picked`, one for each `Pick`.
//! **Its crash** restarts the core, which fills the queues again from the log.
//! **Invariant.** A task is in at most one queue, at most once.

use std::fmt;
use std::sync::Arc;

use policy::id::{TaskId, TaskRange};
use policy::placement::ShapeId;
pub use policy::queue::Line;
use policy::queue::{Arrival, Queue, Taken};
use policy::task::Priority;
use policy::trap;
use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Me, Message};

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
        /// The place of the first in the order of arrival; each other has the next.
        arrival: Arrival,
    },
    /// One that was picked did not fit after all: back to its place.
    PutBack(Taken),
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
        /// Told the answer.
        found: Located,
    },
    /// Up to `want` of those whose shapes fit somewhere.
    Pick {
        /// How many.
        want: u32,
        /// Ascending.
        fitting: Arc<[ShapeId]>,
    },
}

/// What is done with the answer to `Locate`.
pub struct Located(Box<dyn FnOnce(Line) + Send>);

impl Located {
    fn tell(self, line: Line) {
        (self.0)(line);
    }
}

impl<F: FnOnce(Line) + Send + 'static> From<F> for Located {
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
}

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
            QueueMessage::Push { tasks, shape, arrival } => self.ready.push(tasks, shape, arrival),
            QueueMessage::PutBack(taken) => self.ready.put_back(taken),
            QueueMessage::Remove { tasks, shape } => self.ready.remove(tasks, shape),
            QueueMessage::Locate { task, shape, found } => found.tell(self.ready.line(task, shape)),
            QueueMessage::Pick { want, fitting } => self.pick(want, &fitting),
        }
        Ok(())
    }
}

impl QueueActor {
    fn pick(&mut self, want: u32, fitting: &[ShapeId]) {
        let fits = |shape: ShapeId| fitting.binary_search(&shape).is_ok();
        let taken = std::iter::from_fn(|| self.ready.pop(fits)).take(want as usize).collect();
        let priority = self.args.priority;
        self.args.side.scheduler.tell(SchedulerMessage::Picked { priority, taken });
    }
}
