//! The accounts of all graphs that have a budget. A graph without one costs nothing here.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::budget::{Account, Budget, Charge, OnReached, Reached, is_retry};
use crate::event::{Event, GraphEvent, TaskEvent};
use crate::id::{GraphId, TaskId};

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    accounts: FxHashMap<GraphId, Entry>,
    /// Tasks that have failed and wait for another attempt: the retry of each is taken, or is so in
    /// [`Self::settle`] while records are read. No more than there are tasks.
    failed: FxHashSet<TaskId>,
}

#[derive(Debug, Clone)]
struct Entry {
    account: Account,
    /// What was used up, until somebody says to go on.
    reached: Option<Reached>,
}

/// Whether an attempt may be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It may.
    Yes,
    /// The budget was used up before.
    Held,
    /// The budget is used up, as shows now.
    Reached(Reached, OnReached),
}

impl Ledger {
    /// Whether no graph has a budget.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// A new graph, with this budget.
    pub fn open(&mut self, graph: GraphId, budget: Budget) {
        if !budget.is_unlimited() {
            self.accounts.insert(graph, Entry { account: Account::new(budget), reached: None });
        }
    }

    /// A graph is forgotten.
    pub fn close(&mut self, graph: GraphId) {
        self.accounts.remove(&graph);
    }

    /// The account of a graph, if it has a budget.
    #[must_use]
    pub fn account(&self, graph: GraphId) -> Option<&Account> {
        self.accounts.get(&graph).map(|entry| &entry.account)
    }

    /// What of the budget was used up, until [`Self::resume`].
    #[must_use]
    pub fn reached(&self, graph: GraphId) -> Option<Reached> {
        self.accounts.get(&graph)?.reached
    }

    /// Every graph whose budget is used up, with what follows.
    #[must_use]
    pub fn all_reached(&self) -> Vec<(GraphId, OnReached)> {
        let reached = self.accounts.iter().filter(|(_, entry)| entry.reached.is_some());
        let mut all: Vec<_> =
            reached.map(|(graph, entry)| (*graph, entry.account.budget().on_reached)).collect();
        all.sort_unstable_by_key(|(graph, _)| *graph);
        all
    }

    /// Sets an attempt aside.
    pub fn reserve(&mut self, graph: GraphId) -> Start {
        let Some(entry) = self.accounts.get_mut(&graph) else { return Start::Yes };
        if entry.reached.is_some() {
            return Start::Held;
        }
        match entry.account.reserve() {
            Ok(()) => Start::Yes,
            Err(reached) => {
                entry.reached = Some(reached);
                Start::Reached(reached, entry.account.budget().on_reached)
            }
        }
    }

    /// What was set aside is not wanted any more.
    pub fn release(&mut self, graph: GraphId) {
        if let Some(entry) = self.accounts.get_mut(&graph) {
            entry.account.release();
        }
    }

    /// What was set aside is granted to this task.
    pub fn granted(&mut self, graph: GraphId, task: TaskId) {
        if let Some(entry) = self.accounts.get_mut(&graph) {
            entry.account.granted();
            self.failed.remove(&task);
        }
    }

    /// Takes a retry for a task that has failed.
    ///
    /// # Errors
    /// Where none is left.
    pub fn retry(&mut self, graph: GraphId, task: TaskId) -> Result<(), Reached> {
        let Some(entry) = self.accounts.get_mut(&graph) else { return Ok(()) };
        entry.account.retry()?;
        self.failed.insert(task);
        Ok(())
    }

    /// A task has ended. One that waited for its next attempt gives back the retry it had taken.
    pub fn ended(&mut self, graph: GraphId, task: TaskId) {
        if let Some(entry) = self.accounts.get_mut(&graph)
            && self.failed.remove(&task)
        {
            entry.account.give_back_retry();
        }
    }

    /// An attempt is over and has used this: what is used up by that, and what follows.
    pub fn charge(&mut self, graph: GraphId, charge: &Charge) -> Option<(Reached, OnReached)> {
        let entry = self.accounts.get_mut(&graph)?;
        let reached = entry.account.charge(charge)?;
        entry.reached.get_or_insert(reached);
        Some((reached, entry.account.budget().on_reached))
    }

    /// The graph goes on, with this budget.
    ///
    /// # Errors
    /// Where that is used up already: then nothing changes.
    pub fn resume(&mut self, graph: GraphId, budget: Budget) -> Result<(), Reached> {
        let spent = self.accounts.get(&graph).map(|entry| entry.account).unwrap_or_default();
        let mut account = spent;
        account.set_budget(budget);
        account.covers_attempt()?;
        self.accounts.insert(graph, Entry { account, reached: None });
        Ok(())
    }

    /// Takes in a record, in the order of the log.
    pub fn replay(&mut self, event: &Event, graph_of: impl Fn(TaskId) -> Option<GraphId>) {
        match event {
            Event::Graph(graph, GraphEvent::Admitted(head)) => self.open(*graph, head.budget),
            Event::Graph(graph, GraphEvent::BudgetReached { reached, .. }) => {
                if let Some(entry) = self.accounts.get_mut(graph) {
                    // What was used up first stands until somebody says to go on.
                    entry.reached.get_or_insert(*reached);
                }
            }
            Event::Graph(graph, GraphEvent::Resumed { budget }) => {
                let entry = self.accounts.entry(*graph);
                let entry = entry.or_insert_with(|| Entry { account: Account::default(), reached: None });
                entry.account.set_budget(*budget);
                entry.reached = None;
            }
            Event::Task { task, event, .. } if !self.is_empty() => {
                if let Some(graph) = graph_of(*task).filter(|graph| self.accounts.contains_key(graph)) {
                    self.replay_task(graph, *task, event);
                }
            }
            Event::Graph(..) | Event::Task { .. } | Event::Node(..) | Event::Scheduler(_) => {}
        }
    }

    fn replay_task(&mut self, graph: GraphId, task: TaskId, event: &TaskEvent) {
        let Some(Entry { account, .. }) = self.accounts.get_mut(&graph) else { return };
        match event {
            TaskEvent::Granted { .. } => {
                account.granted();
                if self.failed.remove(&task) {
                    account.retried();
                }
            }
            TaskEvent::AttemptEnded { outcome, usage, next, report, .. } => {
                account.charge(&Charge::of(usage, report.as_deref()));
                if is_retry(next, outcome, report.as_deref()) {
                    self.failed.insert(task);
                }
            }
            TaskEvent::Finished(_) | TaskEvent::RetryAsked => {
                self.failed.remove(&task);
            }
            TaskEvent::Started { .. }
            | TaskEvent::CancelAsked
            | TaskEvent::EvictAsked { .. }
            | TaskEvent::ReportIgnored { .. }
            | TaskEvent::StepBegan { .. } => {}
        }
    }

    /// All records were read: takes the retries of those that wait for one, in their order. The tasks for which
    /// none is left, with how many there are in all.
    pub fn settle(&mut self, graph_of: impl Fn(TaskId) -> Option<GraphId>) -> Vec<(TaskId, u64)> {
        let mut failed: Vec<_> = std::mem::take(&mut self.failed).into_iter().collect();
        failed.sort_unstable();
        let refused = |task| Some((task, self.retry(graph_of(task)?, task).err()?.limit));
        failed.into_iter().filter_map(refused).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::claims::Indices;
    use crate::event::{GraphHead, Next, SubmissionKey};
    use crate::id::{AttemptNumber, NodeSession, Token};
    use crate::task::{AttemptOutcome, TaskOutcome, Usage};

    const GRAPH: GraphId = GraphId(7);

    impl Ledger {
        fn spent_retries(&self) -> u64 {
            self.account(GRAPH).unwrap().spent().retries
        }
    }

    fn task(event: TaskEvent) -> Event {
        Event::Task { task: TaskId(7), sequence: 1, previous: 0, event }
    }

    fn granted() -> Event {
        let (token, attempt, node, session) = (Token(1), AttemptNumber(1), "a".into(), NodeSession(1));
        let request = crate::task::RequestNumber::default();
        task(TaskEvent::Granted {
            token,
            attempt,
            node,
            session,
            request,
            indices: Indices::new(),
            gang: Vec::new(),
            waited: Vec::new(),
        })
    }

    fn ended(seconds: u64, next: Next) -> Event {
        let usage = Usage { wall: Duration::from_secs(seconds), ..Usage::default() };
        let (token, outcome, order) = (Token(1), AttemptOutcome::Exited(1), 0);
        task(TaskEvent::AttemptEnded { token, outcome, usage, order, next, report: None })
    }

    fn replayed(budget: Budget, events: &[Event]) -> Ledger {
        let head = GraphHead {
            name: "g".into(),
            key: SubmissionKey(1),
            items: 1,
            tasks: 1,
            digest: [0; 16],
            budget,
        };
        let mut ledger = Ledger::default();
        let all = [Event::Graph(GRAPH, GraphEvent::Admitted(head))];
        all.iter().chain(events).for_each(|event| ledger.replay(event, |_| Some(GRAPH)));
        ledger
    }

    #[test]
    fn what_was_used_is_known_again_from_the_records() {
        let budget = Budget { attempts: 2, wall: Duration::from_mins(5), ..Budget::default() };
        let again = || Next::RetryAfter(Duration::ZERO);
        let mut ledger = replayed(budget, &[granted(), ended(10, again()), granted(), ended(20, again())]);
        let spent = ledger.account(GRAPH).unwrap().spent();
        assert_eq!((spent.attempts, spent.wall), (2, Duration::from_secs(30)));
        let reached = Reached { meter: crate::budget::Meter::Attempts, used: 2, limit: 2 };
        assert_eq!(ledger.reserve(GRAPH), Start::Reached(reached, OnReached::Pause));
        assert_eq!(ledger.reserve(GRAPH), Start::Held, "that is told once");
        assert_eq!(ledger.resume(GRAPH, budget), Err(reached));
        assert_eq!(ledger.resume(GRAPH, Budget { attempts: 3, ..budget }), Ok(()));
        assert_eq!(ledger.reserve(GRAPH), Start::Yes);
    }

    #[test]
    fn a_pause_outlives_a_restart_and_ends_when_somebody_says_so() {
        let budget = Budget { attempts: 1, ..Budget::default() };
        let reached = Reached { meter: crate::budget::Meter::Attempts, used: 1, limit: 1 };
        let pause = Event::Graph(GRAPH, GraphEvent::BudgetReached { reached, follows: OnReached::Pause });
        let mut ledger = replayed(budget, &[granted(), pause.clone()]);
        assert_eq!(
            (ledger.reserve(GRAPH), ledger.all_reached()),
            (Start::Held, vec![(GRAPH, OnReached::Pause)])
        );
        let resumed = Event::Graph(GRAPH, GraphEvent::Resumed { budget: Budget { attempts: 9, ..budget } });
        assert_eq!(replayed(budget, &[granted(), pause, resumed]).reserve(GRAPH), Start::Yes);
    }

    #[test]
    fn a_retry_that_was_refused_is_refused_again_after_a_crash() {
        let (budget, again) =
            (Budget { retries: 1, ..Budget::default() }, || Next::RetryAfter(Duration::ZERO));
        let of_graph = |_| Some(GRAPH);
        let one = [granted(), ended(1, again())];
        assert_eq!(replayed(budget, &one).settle(of_graph), []);
        let two = [granted(), ended(1, again()), granted(), ended(1, again())];
        assert_eq!(replayed(budget, &two).settle(of_graph), [(TaskId(7), 1)]);
        let told = TaskOutcome::OutOfRetries { last: AttemptOutcome::Exited(1), budget: 1 };
        let told = two.into_iter().chain([task(TaskEvent::Finished(told))]).collect::<Vec<_>>();
        assert_eq!(replayed(budget, &told).settle(of_graph), []);
    }

    #[test]
    fn a_retry_of_which_nothing_comes_is_given_back_as_after_a_crash() {
        let (budget, task) = (Budget { retries: 1, ..Budget::default() }, TaskId(7));
        let mut ledger = replayed(budget, &[]);
        assert_eq!(ledger.retry(GRAPH, task), Ok(()));
        assert!(ledger.retry(GRAPH, TaskId(8)).is_err());
        ledger.ended(GRAPH, task);
        ledger.ended(GRAPH, task);
        assert_eq!((ledger.spent_retries(), ledger.retry(GRAPH, TaskId(8))), (0, Ok(())));
        ledger.granted(GRAPH, TaskId(8));
        ledger.ended(GRAPH, TaskId(8));
        assert_eq!(ledger.spent_retries(), 1, "what was granted is used");
        let cancelled = self::task(TaskEvent::Finished(TaskOutcome::Cancelled));
        let events = [granted(), ended(1, Next::RetryAfter(Duration::ZERO)), cancelled];
        let mut read = replayed(budget, &events);
        assert_eq!((read.settle(|_| Some(GRAPH)), read.spent_retries()), (vec![], 0));
    }

    #[test]
    fn a_graph_without_a_budget_costs_nothing() {
        let mut ledger = replayed(Budget::default(), &[granted()]);
        assert!(ledger.is_empty() && ledger.account(GRAPH).is_none());
        assert_eq!((ledger.reserve(GRAPH), ledger.retry(GRAPH, TaskId(7))), (Start::Yes, Ok(())));
    }
}
