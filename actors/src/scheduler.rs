//! The scheduler actor: which task comes next, and where.
//!
//! **Role.** Owns the table of tasks (P5), the choice between queues and between nodes.
//! **Decides with** `policy::{graph, order, placement}`. **Parent** the scheduler side's core.
//! **Hears** gateway: requests; tasks: `Stepped`; queues: `Picked`, `Aged`; nodes: `NodeChanged`, `Returned`,
//! `NotAwake`; itself: timers. **Tells** queues, nodes, and tasks by waking them.
//! **Its crash** restarts the core, which makes the table again from the log.
//! **Invariant.** Nothing is acknowledged before its record is on disk; no task is sent to a node before all
//! it depends on has succeeded.

mod addition;
mod budget;
mod claims;
mod directives;
mod dispatch;
mod explain;
mod fit;
mod guard;
mod heard;
mod intake;
mod late;
mod lend;
mod order;
mod placed;
mod prioritise;
mod queries;
mod reading;
mod recovery;
mod rows;
mod show;
mod spending;
mod steps;
mod survey;
mod unwritten;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use policy::blame::Blame;
use policy::budget::Raise;
use policy::directive::{Author, Directive};
use policy::event::{LogPosition, SubmissionKey};
use policy::fleet::Said;
use policy::graph::{Graphs, Mark, Unwritten};
use policy::history::History;
use policy::id::{GraphId, NodeId, TaskId, TaskRange};
use policy::node::Room;
use policy::placement::Shapes;
use policy::queue::{AgedLine, Arrival, Picked};
use policy::submission::Submission;
use policy::task::Priority;
use policy::time::Moment;
use policy::trap;
use rustc_hash::FxHashMap;
use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Fact, Me, Reply};

use crate::archive::Known;
pub use crate::scheduler::addition::{Addition, Grounds};
use crate::scheduler::claims::Claiming;
use crate::scheduler::dispatch::Dispatch;
pub use crate::scheduler::explain::RawExplanation;
use crate::scheduler::guard::Guard;
use crate::scheduler::late::Lateness;
use crate::scheduler::placed::Placed;
pub use crate::scheduler::rows::{NamedAt, RawRow};
use crate::scheduler::steps::no_effects;
use crate::scheduler::survey::Survey;
use crate::side::Side;
use crate::task::{Acknowledge, Step};
use crate::wire::client::{Response, ServerInfo, Status, Target, TaskFilter, WhatIf};

/// What the scheduler can be told.
#[derive(Debug, IntoStaticStr)]
pub enum SchedulerMessage {
    /// A graph that admission has checked.
    Admit {
        /// The graph.
        submission: Box<Submission>,
        /// Tells it from another one under the same key.
        digest: [u8; 16],
        /// Answered once it is on disk.
        reply: Reply<Response>,
    },
    /// Somebody wants to add to a graph: what is there?
    Grounds {
        /// The graph.
        graph: GraphId,
        /// The key and digest of what is to be added.
        submission: (SubmissionKey, [u8; 16]),
        /// The place of the first item that is not known yet.
        from: usize,
        /// Where the answer goes.
        reply: Reply<Grounds>,
    },
    /// More for a graph, which admission has checked.
    Extend {
        /// What, and to which.
        addition: Box<Addition>,
        /// Answered once it is on disk; `None` where the graph is not as it was any more.
        reply: Reply<Option<Response>>,
    },
    /// Somebody asks for an end.
    Cancel {
        /// Of what.
        target: Target,
        /// Answered once that is on disk, and whoever is on its way to a machine has heard it.
        reply: Reply<Response>,
    },
    /// Somebody asks for another try.
    Retry {
        /// Of what.
        target: Target,
        /// Answered once that is on disk.
        reply: Reply<Response>,
    },
    /// An operator says how urgent something is from now on. Answered once that is on disk.
    Prioritise(Target, Priority, Reply<Response>),
    /// Something has happened to a task.
    Stepped {
        /// Which.
        task: TaskId,
        /// What.
        step: Step,
        /// Its record.
        mark: Mark,
    },
    /// Somebody says that a graph is to go on.
    Resume {
        /// Which.
        graph: GraphId,
        /// What it may use up from now on.
        raise: Raise,
        /// Answered once that is on disk.
        reply: Reply<Response>,
    },
    /// A queue's answer to what it was asked for.
    Picked {
        /// Which queue.
        priority: Priority,
        /// The next tasks that may fit somewhere, and who was first in turn and does not fit, where that was asked.
        answer: Picked,
    },
    /// A queue's lines whose first has waited long.
    Aged {
        /// Which queue.
        priority: Priority,
        /// The lines, the oldest first.
        lines: Vec<AgedLine>,
    },
    /// Timer: look at ages.
    Beat,
    /// What a node can still be given.
    NodeChanged {
        /// Which.
        node: NodeId,
        /// `None` while it takes nothing.
        room: Option<Room>,
        /// How many reservations this takes into account.
        reservations: u64,
        /// What else it says.
        said: Said,
    },
    /// A node is forgotten, and its actor ends.
    NodeGone {
        /// Which.
        node: NodeId,
    },
    /// An operator says something.
    Direct {
        /// What.
        directive: Box<Directive>,
        /// Who, and why.
        said: Author,
        /// Answered once that is on disk.
        reply: Reply<Response>,
    },
    /// A node has no room for these after all, or their actors gave up.
    Returned {
        /// Which.
        tasks: Vec<TaskId>,
    },
    /// A task that was to be cancelled is not awake on the node where it was last.
    NotAwake {
        /// Which.
        task: TaskId,
        /// To be done once the cancellation is on disk.
        acknowledge: Acknowledge,
    },
    /// Timer: a task's wait may be over.
    BackoffDue,
    /// Timer: something may have waited beyond its time.
    WaitsDue,
    /// Timer: a rate may let somebody in.
    ClaimsDue,
    /// There is more of a long work to do.
    Continue,
    /// Timer: look whether something waits that no node can run.
    Survey,
    /// How is everything?
    Status {
        /// Who answers.
        server: ServerInfo,
        /// Where the answer goes.
        reply: Reply<Box<Status>>,
    },
    /// Graphs, the newest first.
    Graphs {
        /// Only those before this one.
        before: Option<GraphId>,
        /// At most so many.
        limit: u32,
        /// Where the answer goes.
        reply: Reply<Response>,
    },
    /// One graph.
    Graph {
        /// Which.
        graph: GraphId,
        /// Where the answer goes.
        reply: Reply<Response>,
    },
    /// The ids of a graph's tasks.
    Parts {
        /// Which.
        graph: GraphId,
        /// Where the answer goes; nothing where there is no such graph.
        reply: Reply<Vec<TaskRange>>,
    },
    /// One graph, when it has ended.
    AwaitGraph {
        /// Which.
        graph: GraphId,
        /// Where the answer goes.
        reply: Reply<Response>,
    },
    /// Tasks, by id.
    Rows {
        /// Only these.
        filter: TaskFilter,
        /// Only those after this one.
        after: Option<TaskId>,
        /// At most so many.
        limit: u32,
        /// Where the answer goes.
        reply: Reply<Vec<RawRow>>,
    },
    /// One task.
    Row {
        /// Which.
        task: TaskId,
        /// Where the answer goes.
        reply: Reply<Option<RawRow>>,
    },
    /// What does this task wait for?
    Explain {
        /// Which, and what it is supposed to ask for.
        about: (TaskId, Option<Box<WhatIf>>),
        /// Where the answer goes; `None` where it is not known.
        reply: Reply<Option<RawExplanation>>,
    },
    /// What of the fleet is claimed, and who waits for it?
    Claims(Reply<Response>),
    /// What is ready of the items that came first, of at most so many of them?
    Oldest(usize, Reply<Response>),
    /// Which graphs are still of use?
    Known(Reply<Known>),
    /// Whose are these, in the same order? A graph is its first task's tenant's; `None` for what is not there.
    Tenants(Vec<Target>, Reply<Vec<Option<Arc<str>>>>),
    /// Where the names of the newest graphs and their items are.
    Names(Reply<Vec<NamedAt>>),
}

/// Everything the scheduler needs to start.
#[derive(Debug, Clone)]
pub struct SchedulerArgs {
    /// Whom it knows.
    pub side: Arc<Side>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct SchedulerActor {
    side: Arc<Side>,
    graphs: Graphs,
    shapes: Shapes,
    /// The names of graphs that were asked for, and of new ones.
    names: BTreeMap<GraphId, Arc<str>>,
    dispatch: Dispatch,
    claiming: Claiming,
    guard: Guard,
    history: History,
    survey: Survey,
    /// The next place in the order of arrival, over all queues.
    next_arrival: Arrival,
    /// Where active tasks were sent.
    placed: FxHashMap<TaskId, Placed>,
    /// Where the last attempts of tasks that are to be tried again did not succeed.
    failed_on: BTreeMap<TaskId, NodeId>,
    /// How long tasks may wait, and who has waited too long.
    lateness: Lateness,
    /// Who may have taken machines down: no two of them run on one node.
    blame: Blame,
    /// When whose wait is over, and the record that says so: one that waits anew has another.
    backing_off: BinaryHeap<Reverse<(Moment, TaskId, LogPosition)>>,
    backoff_armed: Option<Moment>,
    /// Ends by consequence, and returns from them, whose records are still to be written.
    unwritten: Unwritten,
    continuing: bool,
    waiters: FxHashMap<GraphId, Vec<Reply<Response>>>,
}

impl Actor for SchedulerActor {
    const KIND: &'static str = "scheduler";
    type Message = SchedulerMessage;
    type Args = SchedulerArgs;

    fn start(args: SchedulerArgs, me: &Me<SchedulerMessage>) -> Result<Self, ActorError> {
        Self::recover(args.side, me)
    }

    fn handle(&mut self, message: SchedulerMessage, me: &Me<SchedulerMessage>) -> Result<(), ActorError> {
        trap!(Scheduler);
        match message {
            SchedulerMessage::Admit { submission, digest, reply } => self.admit(&submission, digest, reply),
            SchedulerMessage::Grounds { graph, submission, from, reply } => {
                self.grounds(graph, submission, from, reply)
            }
            SchedulerMessage::Extend { addition, reply } => self.extend(&addition, reply),
            SchedulerMessage::Cancel { target, reply } => self.cancel(target, reply),
            SchedulerMessage::Retry { target, reply } => self.retry(target, reply),
            SchedulerMessage::Resume { graph, raise, reply } => self.resume(graph, &raise, reply),
            SchedulerMessage::Prioritise(target, priority, reply) => self.prioritise(target, priority, reply),
            SchedulerMessage::Stepped { task, step, mark } => self.stepped(task, step, mark),
            SchedulerMessage::Picked { priority, answer } => self.picked(priority, answer),
            SchedulerMessage::Aged { priority, lines } => self.aged(priority, lines),
            SchedulerMessage::Beat => self.beat(),
            SchedulerMessage::NodeChanged { node, room, reservations, said } => {
                self.node_changed(&node, (room, reservations), said);
            }
            SchedulerMessage::NodeGone { node } => self.node_gone(&node),
            SchedulerMessage::Direct { directive, said, reply } => self.direct(&directive, said, reply),
            SchedulerMessage::Returned { tasks } => self.returned(tasks),
            SchedulerMessage::NotAwake { task, acknowledge } => self.not_awake(task, acknowledge),
            SchedulerMessage::BackoffDue => self.backoff_due(),
            SchedulerMessage::ClaimsDue => self.claims_due(),
            SchedulerMessage::WaitsDue => self.waits_due(),
            SchedulerMessage::Continue => self.go_on(),
            SchedulerMessage::Survey => self.look_around(),
            SchedulerMessage::Status { server, reply } => reply.send(Box::new(self.status(server))),
            SchedulerMessage::Graphs { before, limit, reply } => reply.send(self.list_graphs(before, limit)),
            SchedulerMessage::Graph { graph, reply } => reply.send(self.graph(graph)),
            SchedulerMessage::Parts { graph, reply } => reply.send(self.graphs.parts_of(graph).collect()),
            SchedulerMessage::AwaitGraph { graph, reply } => self.await_graph(graph, reply),
            SchedulerMessage::Rows { filter, after, limit, reply } => {
                reply.send(self.rows(&filter, after, limit))
            }
            SchedulerMessage::Row { task, reply } => reply.send(self.row(task)),
            SchedulerMessage::Explain { about, reply } => self.explain(about, reply),
            SchedulerMessage::Claims(reply) => reply.send(self.claims_view()),
            SchedulerMessage::Oldest(limit, reply) => {
                reply.send(Response::Oldest(self.graphs.ready_items(limit)));
            }
            SchedulerMessage::Known(reply) => self.tell_known(reply),
            SchedulerMessage::Tenants(targets, reply) => reply.send(self.tenants_of(&targets)),
            SchedulerMessage::Names(reply) => reply.send(self.named()),
        }
        self.after_message(me);
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        self.facts()
    }
}

impl SchedulerActor {
    /// What any message may have made due: picks, timers, the next slice of a long work.
    fn after_message(&mut self, me: &Me<SchedulerMessage>) {
        self.observe_pressure();
        self.start_round();
        self.arm_beat(me);
        self.arm_backoff(me);
        self.arm_claims(me);
        self.arm_waits(me);
        self.arm_survey(me);
        let has_more = !self.unwritten.is_empty() || self.lateness.has_more();
        if has_more && !self.continuing {
            self.continuing = true;
            me.address().tell(SchedulerMessage::Continue);
        }
    }
}

/// The least wait before a timer is armed again.
const TIMER_RESOLUTION: Duration = Duration::from_millis(1);
