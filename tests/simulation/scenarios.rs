//! Histories that are told beforehand: what seeds once found, by what it took and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use policy::breaker::Change;
use policy::budget::{Budget, OnReached};
use policy::event::{Event, Item, Next, NodeEvent, Record, SchedulerEvent, SubmissionKey, TaskEvent};
use policy::id::{GraphId, TaskId};
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::{AttemptOutcome, LossReason, Priority, RetryPolicy, TaskOutcome, TaskSpec};

use super::agents::for_handler;
use super::clients::submit;
use super::house::House;
use super::program::Program;
use super::run::{Plan, Run, run};
use super::world::World;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    /// A graph is cancelled, and the task that runs dies before it hears of it.
    #[cfg(feature = "mutants")]
    CancelUnheard,
    /// Of a tenant that may run one task at a time the next in turn belongs to a graph that may start nothing more.
    BudgetUsedUp,
    /// What has waited for ninety of a hundred ticks goes on waiting after a restart.
    Aged,
    /// A machine has failed four times of five in a row, and the scheduler side begins anew.
    NearlyOpen,
    /// An agent dies with what it begins, before it has said so; the second time the scheduler side dies as well.
    AgentForgets,
    /// Beside a task that takes its machine down others run that do nothing of the kind.
    Neighbours,
}

impl Scenario {
    /// The rules under which it happens.
    pub(super) fn house(self) -> House {
        match self {
            #[cfg(feature = "mutants")]
            Self::CancelUnheard => House::default(),
            Self::BudgetUsedUp => House::one_at_a_time(),
            Self::Aged | Self::NearlyOpen | Self::AgentForgets | Self::Neighbours => House::default(),
        }
    }

    /// How many agents there are beside the machine.
    pub(super) fn agents(self) -> usize {
        usize::from(self == Self::AgentForgets)
    }
}

fn keeps_its_promises(scenario: Scenario) -> Run {
    let run = run(1, Plan::told(scenario));
    let violations = run.violations();
    assert!(violations.is_empty(), "{}", run.describe(&violations, true));
    run
}

/// What was recorded before the second reign, and in it.
fn before_and_after(run: &Run) -> (Vec<&Record>, Vec<&Record>) {
    let is_start = |record: &Record| matches!(record.event, Event::Scheduler(SchedulerEvent::Started { .. }));
    let records = || run.history.records.iter().map(|(_, record)| record);
    let starts: Vec<u64> = records().filter(|one| is_start(one)).map(|one| one.number).collect();
    let [_, second] = starts[..] else { panic!("one restart: {starts:?}") };
    records().partition(|record| record.number < second)
}

pub(super) fn a_task_whose_budget_is_used_up_takes_nobodys_turn() {
    keeps_its_promises(Scenario::BudgetUsedUp);
}

pub(super) fn what_has_waited_before_a_restart_is_old_soon_after() {
    let run = keeps_its_promises(Scenario::Aged);
    let (_, after) = before_and_after(&run);
    let late = after.iter().find_map(|record| match record.event {
        Event::Scheduler(SchedulerEvent::AgedBoost { waited, is_late: true, .. }) => {
            Some((record.at, waited))
        }
        _ => None,
    });
    let (at, waited) = late.expect("it has waited for too long");
    let limit = run.history.limits.scheduling.ageing.objective();
    let took = at.since(after[0].at);
    assert!(waited >= limit && took < limit / 5, "{waited:?}, {took:?} after the restart");
}

pub(super) fn a_breaker_that_was_nearly_open_opens_at_the_next_failure_after_a_restart() {
    let run = keeps_its_promises(Scenario::NearlyOpen);
    let (before, after) = before_and_after(&run);
    let is_end =
        |record: &&&Record| matches!(record.event, Event::Task { event: TaskEvent::AttemptEnded { .. }, .. });
    let opens = |record: &&Record| {
        matches!(record.event, Event::Node(_, NodeEvent::Breaker { change: Change::Opened { .. }, .. }))
    };
    assert_eq!(before.iter().filter(is_end).count(), 4);
    let opened = after.iter().position(opens).expect("it opens");
    assert_eq!(after[..opened].iter().filter(is_end).count(), 1);
}

pub(super) fn what_an_agent_may_have_begun_before_it_died_is_lost_and_granted_anew() {
    let run = keeps_its_promises(Scenario::AgentForgets);
    let ends = |task: u64| {
        run.history.records.iter().filter_map(move |(_, record)| match &record.event {
            Event::Task { task: of, event: TaskEvent::AttemptEnded { outcome, .. }, .. } if of.0 == task => {
                Some(outcome.clone())
            }
            _ => None,
        })
    };
    let tasks: BTreeSet<TaskId> = run.history.processes.iter().map(|process| process.task).collect();
    assert_eq!((tasks.len(), run.history.processes.len()), (2, 4), "each was begun twice");
    for task in tasks {
        let ends: Vec<_> = ends(task.0).collect();
        assert_eq!(ends, [AttemptOutcome::Lost(LossReason::HostDied), AttemptOutcome::Exited(0)]);
    }
}

pub(super) fn nobody_is_set_aside_for_a_neighbour_that_takes_machines_down() {
    let run = keeps_its_promises(Scenario::Neighbours);
    let (mut outcomes, mut lost) = (Vec::new(), 0);
    for (_, record) in &run.history.records {
        if let Event::Task { task, event: TaskEvent::AttemptEnded { outcome, next, .. }, .. } = &record.event
        {
            lost += usize::from(*task != TaskId(1) && outcome.is_death());
            outcomes.extend(if let Next::Finish(outcome) = next { Some((*task, outcome)) } else { None });
        }
    }
    assert!(lost >= 3, "all of them have been beside it");
    outcomes.sort_by_key(|(task, _)| *task);
    let [(_, first), others @ ..] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(matches!(first, TaskOutcome::Poisoned(_)), "{outcomes:?}");
    assert!(others.iter().all(|(_, outcome)| **outcome == TaskOutcome::Succeeded), "{outcomes:?}");
}

#[cfg(feature = "mutants")]
pub(super) fn a_task_that_dies_before_it_hears_of_the_end_of_its_graph_is_cancelled_all_the_same() {
    keeps_its_promises(Scenario::CancelUnheard);
}

/// Has it happen.
pub(super) async fn tell(world: World, scenario: Scenario) {
    match scenario {
        #[cfg(feature = "mutants")]
        Scenario::CancelUnheard => panics::cancel_unheard(&world).await,
        Scenario::BudgetUsedUp => budget_used_up(&world).await,
        Scenario::Aged => aged(&world).await,
        Scenario::NearlyOpen => nearly_open(&world).await,
        Scenario::AgentForgets => agent_forgets(&world).await,
        Scenario::Neighbours => neighbours(&world).await,
    }
}

fn task(name: &str, program: Program) -> TaskSpec {
    TaskSpec { resources: Resources::cpus(1000), ..TaskSpec::new(name, program.argv()) }
}

async fn hand_in(world: &World, key: u8, tasks: Vec<TaskSpec>, budget: Budget) -> GraphId {
    let items = tasks.into_iter().map(|spec| Item::new(Arc::new(spec))).collect();
    let submission = Submission::new(SubmissionKey(key.into()), "told", items);
    let mut rng = fastrand::Rng::with_seed(key.into());
    submit(world, &mut rng, &Submission { budget, ..submission }, [key; 16]).await
}

async fn budget_used_up(world: &World) {
    let program = lasts(5000);
    let budget = Budget { attempts: 1, on_reached: OnReached::Cancel, ..Budget::default() };
    let [first, second, third] = ["first", "second", "third"].map(|name| task(name, program));
    hand_in(world, 1, vec![first, second], budget).await;
    hand_in(world, 2, vec![third], Budget::default()).await;
    // Nothing may be needed for the third but the end of the first.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let rows = super::run::rows(world).await.unwrap_or_default();
    assert!(rows.len() == 3 && rows.iter().all(|row| row.state.is_ended()), "{rows:?}");
}

/// A program that succeeds after so many milliseconds.
fn lasts(length: u64) -> Program {
    Program { length, fails: 0, obeys_after: None, is_missing: false, kills: false }
}

/// Until the machine is there.
const JOINED: Duration = Duration::from_secs(5);

async fn aged(world: &World) {
    tokio::time::sleep(JOINED).await;
    let whole = |spec| TaskSpec { resources: Resources::cpus(4000), ..spec };
    hand_in(world, 1, vec![whole(task("long", lasts(230_000)))], Budget::default()).await;
    let old = TaskSpec { priority: Priority::Low, ..whole(task("old", lasts(1000))) };
    hand_in(world, 2, vec![old], Budget::default()).await;
    let ageing = world.house().limits().scheduling.ageing;
    tokio::time::sleep(ageing.objective() * 9 / 10).await;
    world.crash_head(false, 1000);
}

async fn nearly_open(world: &World) {
    tokio::time::sleep(JOINED).await;
    world.core().broken.push((0, 0, 40_000));
    let backoff = Duration::from_secs(3);
    let retry = RetryPolicy { backoff, factor_percent: 100, max_attempts: 10, ..RetryPolicy::default() };
    let one = TaskSpec { retry, ..task("one", lasts(100)) };
    hand_in(world, 1, vec![one], Budget::default()).await;
    tokio::time::sleep(backoff * 7 / 2).await;
    world.crash_head(false, 1000);
}

async fn agent_forgets(world: &World) {
    tokio::time::sleep(JOINED).await;
    for (key, head_too) in [(1, false), (2, true)] {
        world.core().condemn(1);
        let message = for_handler(&task("told", lasts(1000)));
        let first = hand_in(world, key, vec![message], Budget::default()).await.first_task();
        while !world.core().processes.iter().any(|process| process.task == first) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if head_too {
            world.crash_head(false, 50);
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
}

async fn neighbours(world: &World) {
    tokio::time::sleep(JOINED).await;
    let killer = task("killer", Program { kills: true, ..lasts(4000) });
    let others = ["one", "two", "three"].map(|name| task(name, lasts(20_000)));
    let all = std::iter::once(killer).chain(others).collect();
    hand_in(world, 1, all, Budget::default()).await;
}

#[cfg(feature = "mutants")]
mod panics {
    use actors::scheduler::{RawRow, SchedulerMessage};
    use actors::wire::client::Target;
    use policy::graph::TaskState;
    use policy::mutant::{self, Trap};
    use policy::task::RetryPolicy;

    use super::*;
    use crate::clients::insist;
    use crate::history::Asked;
    use crate::run::rows;

    pub(super) async fn cancel_unheard(world: &World) {
        let program =
            Program { length: 20_000, fails: 1, obeys_after: None, is_missing: false, kills: false };
        let retry = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
        let one = TaskSpec { retry, ..task("one", program) };
        let graph = hand_in(world, 1, vec![one], Budget::default()).await;
        let runs = |rows: &[RawRow]| rows.iter().any(|row| row.state == TaskState::Active);
        while !rows(world).await.is_some_and(|rows| runs(&rows)) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Its grant is on its way or has arrived: the next thing it is told is what we say now.
        tokio::time::sleep(Duration::from_secs(5)).await;
        mutant::lay(Trap::Task);
        let target = Target::Graph(graph);
        insist(world, Asked::Cancel(target), |reply| SchedulerMessage::Cancel { target, reply }).await;
    }
}
