//! Budgets and what operators say: at every moment the fold is what the machines of the daemon were then. The machines
//! are driven as the scheduler drives them, and asked after each step.

use std::time::Duration;

use policy::budget::{Budget, Charge, Ledger, OnReached, Raise, Reached, Spent, Start, is_retry};
use policy::directive::{Directive, Directives, Scope};
use policy::event::{ArraySpec, SchedulerEvent};
use policy::event::{Event, GraphEvent, GraphHead, Item, Next, NodeEvent, Record, SubmissionKey, TaskEvent};
use policy::id::{AttemptNumber, Epoch, GraphId, Incarnation, NodeId, NodeSession, TaskId, Token};
use policy::resources::Resources;
use policy::task::{AttemptOutcome, Priority, TaskOutcome, TaskSpec, Usage};
use policy::time::Timestamp;
use proptest::prelude::*;

use super::{Fold, Past};

const GRAPH: GraphId = GraphId(1);
const TASKS: u64 = 12;
const NODES: [&str; 2] = ["mac-1", "mac-2"];

/// What somebody does next.
#[derive(Debug, Clone)]
enum Step {
    /// An attempt is asked for.
    Attempt,
    /// The oldest that runs is over, after so many seconds, well or not.
    End {
        seconds: u64,
        fails: bool,
    },
    /// One that waits is cancelled.
    Cancel,
    Resume(Raise),
    Direct(Directive),
    /// A machine that is drained is empty.
    Drained(NodeId),
    /// A new reign: machines join anew.
    Restart,
}

/// What is shown of a moment.
type Shown = (Option<(Budget, Spent, Option<Reached>)>, Vec<Scope>, bool, Vec<(NodeId, [bool; 4])>);

#[derive(Debug, Default)]
struct Live {
    ledger: Ledger,
    directives: Directives,
    drained: Vec<NodeId>,
    records: Vec<Record>,
    /// Tasks that can be granted, those that run, and how far their records and attempts are.
    waiting: Vec<TaskId>,
    running: Vec<(TaskId, Token)>,
    told: std::collections::BTreeMap<TaskId, (u32, u32)>,
}

impl Live {
    fn begin(budget: Budget) -> Self {
        let mut live = Self { waiting: (1..=TASKS).rev().map(TaskId).collect(), ..Self::default() };
        let name = "g".into();
        let head = GraphHead { name, key: SubmissionKey(1), items: 1, tasks: TASKS, digest: [0; 16], budget };
        live.ledger.open(GRAPH, budget);
        let mut item = Item::new(TaskSpec::new("a", vec!["true".into()]));
        item.array = Some(ArraySpec { first: 1, count: TASKS, parallel_limit: None });
        live.record(Event::Graph(GRAPH, GraphEvent::Admitted(head)));
        live.record(Event::Graph(GRAPH, GraphEvent::ItemAdmitted(item)));
        live.join();
        live
    }

    fn record(&mut self, event: Event) {
        let number = self.records.len() as u64 + 1;
        let at = Timestamp(number * 1000);
        self.records.push(Record { number, at, cause: 0, correlation: 0, event });
    }

    fn join(&mut self) {
        for (node, session) in NODES.into_iter().zip(1..) {
            let capacity = Resources::cpus(2000);
            let (session, incarnation) = (NodeSession(session), Incarnation(1));
            self.record(Event::Node(node.into(), NodeEvent::Joined { session, incarnation, capacity }));
        }
    }

    fn of_task(&mut self, task: TaskId, event: TaskEvent) {
        let (sequence, _) = self.told.entry(task).or_default();
        *sequence += 1;
        let sequence = *sequence;
        self.record(Event::Task { task, sequence, previous: 0, event });
    }

    fn reached(&mut self, reached: Reached, follows: OnReached) {
        self.record(Event::Graph(GRAPH, GraphEvent::BudgetReached { reached, follows }));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Attempt => self.attempt(),
            Step::End { seconds, fails } => self.end(seconds, fails),
            Step::Cancel => self.cancel(),
            Step::Resume(raise) => {
                let budget = self.ledger.account(GRAPH).map(|account| *account.budget());
                let budget = raise.of(&budget.unwrap_or_default());
                if self.ledger.resume(GRAPH, budget).is_ok() {
                    self.record(Event::Graph(GRAPH, GraphEvent::Resumed { budget }));
                }
            }
            Step::Direct(directive) => {
                self.directives.apply(&directive);
                let directives = &self.directives;
                self.drained.retain(|node| directives.drain(node).is_some());
                self.record(Event::Scheduler(SchedulerEvent::Directed {
                    directive,
                    by: "a".into(),
                    reason: "".into(),
                }));
            }
            Step::Drained(node) => {
                if self.directives.drain(&node).is_some() && !self.drained.contains(&node) {
                    self.drained.push(node.clone());
                    self.record(Event::Node(node, NodeEvent::Drained));
                }
            }
            Step::Restart => {
                let version = "1".into();
                self.record(Event::Scheduler(SchedulerEvent::Started { epoch: 2, version }));
                self.drained.clear();
                self.join();
            }
        }
    }

    fn attempt(&mut self) {
        let Some(task) = self.waiting.last().copied() else { return };
        match self.ledger.reserve(GRAPH) {
            Start::Held => {}
            Start::Reached(reached, follows) => self.reached(reached, follows),
            Start::Yes => {
                self.waiting.pop();
                self.ledger.granted(GRAPH, task);
                let token = Token::numbered(Epoch(1), self.records.len() as u64 + 1);
                let (_, attempts) = self.told.entry(task).or_default();
                *attempts += 1;
                let attempt = AttemptNumber(*attempts);
                self.running.push((task, token));
                let (node, session) = (NODES[0].into(), NodeSession(1));
                let (request, indices, gang) = Default::default();
                self.of_task(
                    task,
                    TaskEvent::Granted {
                        token,
                        attempt,
                        node,
                        session,
                        request,
                        indices,
                        gang,
                        waited: Vec::new(),
                    },
                );
            }
        }
    }

    /// The one that waits and came back last, if any.
    fn cancel(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let task = self.waiting.remove(0);
        self.ledger.ended(GRAPH, task);
        self.of_task(task, TaskEvent::Finished(TaskOutcome::Cancelled));
    }

    fn end(&mut self, seconds: u64, fails: bool) {
        if self.running.is_empty() {
            return;
        }
        let (task, token) = self.running.remove(0);
        let usage =
            Usage { wall: Duration::from_secs(seconds), cpu: Duration::from_secs(1), ..Usage::default() };
        let outcome = AttemptOutcome::Exited(i32::from(fails));
        let next =
            if fails { Next::RetryAfter(Duration::ZERO) } else { Next::Finish(TaskOutcome::Succeeded) };
        let (charge, retries) = (Charge::of(&usage, None), is_retry(&next, &outcome, None));
        let ended = outcome.clone();
        self.of_task(task, TaskEvent::AttemptEnded { token, outcome, usage, order: 0, next, report: None });
        let charged = self.ledger.charge(GRAPH, &charge);
        if retries {
            match self.ledger.retry(GRAPH, task) {
                Ok(()) => self.waiting.insert(0, task),
                Err(reached) => {
                    let outcome = TaskOutcome::OutOfRetries { last: ended, budget: reached.limit };
                    self.of_task(task, TaskEvent::Finished(outcome));
                }
            }
        }
        if let Some((reached, follows)) = charged {
            self.reached(reached, follows);
        }
    }

    fn shown(&self) -> Shown {
        let account = self.ledger.account(GRAPH);
        let budget = account.map(|of| (*of.budget(), *of.spent(), self.ledger.reached(GRAPH)));
        let of = |node: &str| {
            let node = NodeId::from(node);
            let (drain, halted) = (self.directives.drain(&node), self.directives.is_halted(&node));
            let said =
                [self.directives.is_cordoned(&node), drain.is_some(), self.drained.contains(&node), halted];
            (node, said)
        };
        let nodes = NODES.into_iter().map(of).collect();
        (budget, self.directives.paused(), self.directives.is_everything_halted(), nodes)
    }
}

fn shown(fold: &Fold) -> Shown {
    let row = fold.graph(GRAPH).expect("it was admitted");
    let budget = row.budget.map(|budget| (budget.budget, budget.spent, budget.reached));
    let of = |row: crate::wire::client::NodeRow| {
        let said = row.directed;
        (row.node, [said.cordoned, said.draining, said.drained, said.halted])
    };
    let nodes = fold.nodes().into_iter().map(of).collect();
    (budget, fold.directives().paused(), fold.directives().is_everything_halted(), nodes)
}

fn directive() -> impl Strategy<Value = Directive> {
    let node = || prop::sample::select(&NODES[..]).prop_map(NodeId::from);
    let scope = || {
        prop::sample::select(vec![Scope::All, Scope::Priority(Priority::Low), Scope::Tenant("ann".into())])
    };
    prop_oneof![
        node().prop_map(Directive::Cordon),
        node().prop_map(Directive::Uncordon),
        node().prop_map(|node| Directive::Drain { node, deadline: None }),
        prop::option::of(node()).prop_map(Directive::Halt),
        prop::option::of(node()).prop_map(Directive::Unhalt),
        scope().prop_map(Directive::Pause),
        scope().prop_map(Directive::Resume),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let raise = |attempts, wall| Raise { attempts, wall, ..Raise::default() };
    prop_oneof![
        4 => Just(Step::Attempt),
        4 => (0..40_u64, any::<bool>()).prop_map(|(seconds, fails)| Step::End { seconds, fails }),
        1 => Just(Step::Cancel),
        1 => (prop::option::of(0..9_u64), prop::option::of((0..99_u64).prop_map(Duration::from_secs)))
            .prop_map(move |(attempts, wall)| Step::Resume(raise(attempts, wall))),
        3 => directive().prop_map(Step::Direct),
        1 => prop::sample::select(&NODES[..]).prop_map(|node| Step::Drained(node.into())),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #[test]
    fn budgets_and_directives_are_at_each_moment_what_they_were_live(
        (attempts, seconds, retries) in (0..9_u64, 0..99_u64, 0..4_u64),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let wall = Duration::from_secs(seconds);
        let mut live = Live::begin(Budget { attempts, wall, retries, ..Budget::default() });
        let mut moments = vec![(live.records.len() as u64, live.shown())];
        for step in steps {
            live.step(step);
            moments.push((live.records.len() as u64, live.shown()));
        }
        let mut past = Past::of(live.records);
        for (number, then) in moments.iter().chain(moments.iter().rev()) {
            let fold = past.seek(*number).expect("it is there");
            prop_assert_eq!(&shown(fold), then, "at {}", number);
        }
    }
}
