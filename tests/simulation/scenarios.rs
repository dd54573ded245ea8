//! Histories that are told beforehand: what seeds once found, by what it took and nothing else.

use std::sync::Arc;
use std::time::Duration;

use policy::budget::{Budget, OnReached};
use policy::event::{Item, SubmissionKey};
use policy::id::GraphId;
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::TaskSpec;

use super::clients::submit;
use super::house::House;
use super::program::Program;
use super::run::{Plan, run};
use super::world::World;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    /// A graph is cancelled, and the task that runs dies before it hears of it.
    #[cfg(feature = "mutants")]
    CancelUnheard,
    /// Of a tenant that may run one task at a time the next in turn belongs to a graph that may start nothing more.
    BudgetUsedUp,
}

impl Scenario {
    /// The rules under which it happens.
    pub(super) fn house(self) -> House {
        match self {
            #[cfg(feature = "mutants")]
            Self::CancelUnheard => House::default(),
            Self::BudgetUsedUp => House::one_at_a_time(),
        }
    }
}

fn keeps_its_promises(scenario: Scenario) {
    let run = run(1, Plan::told(scenario));
    let violations = run.violations();
    assert!(violations.is_empty(), "{}", run.describe(&violations, true));
}

pub(super) fn a_task_whose_budget_is_used_up_takes_nobodys_turn() {
    keeps_its_promises(Scenario::BudgetUsedUp);
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
    let program = Program { length: 5000, fails: 0, obeys_after: None, is_missing: false, kills: false };
    let budget = Budget { attempts: 1, on_reached: OnReached::Cancel, ..Budget::default() };
    let [first, second, third] = ["first", "second", "third"].map(|name| task(name, program));
    hand_in(world, 1, vec![first, second], budget).await;
    hand_in(world, 2, vec![third], Budget::default()).await;
    // Nothing may be needed for the third but the end of the first.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let rows = super::run::rows(world).await.unwrap_or_default();
    assert!(rows.len() == 3 && rows.iter().all(|row| row.state.is_ended()), "{rows:?}");
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
