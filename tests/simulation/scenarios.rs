//! Histories that are told beforehand: what seeds once found, where it takes an actor that panics at one moment.

use std::sync::Arc;
use std::time::Duration;

use actors::scheduler::SchedulerMessage;
use actors::wire::client::Target;
use policy::event::{Item, SubmissionKey};
use policy::graph::TaskState;
use policy::mutant::{self, Trap};
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::{RetryPolicy, TaskSpec};

use super::clients::{insist, submit};
use super::program::Program;
use super::run::{Plan, rows, run};
use super::world::World;
use crate::history::Asked;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    /// A graph is cancelled, and the task that runs dies before it hears of it.
    CancelUnheard,
}

pub(super) fn a_task_that_dies_before_it_hears_of_the_end_of_its_graph_is_cancelled_all_the_same() {
    let run = run(1, Plan::told(Scenario::CancelUnheard));
    let violations = run.violations();
    assert!(violations.is_empty(), "{}", run.describe(&violations, true));
}

/// Has it happen.
pub(super) async fn tell(world: World, scenario: Scenario) {
    match scenario {
        Scenario::CancelUnheard => cancel_unheard(&world).await,
    }
}

async fn cancel_unheard(world: &World) {
    let mut rng = fastrand::Rng::with_seed(1);
    let program = Program { length: 20_000, fails: 1, obeys_after: None, is_missing: false, kills: false };
    let retry = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
    let spec = TaskSpec { retry, resources: Resources::cpus(1000), ..TaskSpec::new("one", program.argv()) };
    let submission = Submission::new(SubmissionKey(1), "one", vec![Item::new(Arc::new(spec))]);
    let graph = submit(world, &mut rng, &submission, [1; 16]).await;
    let runs = |rows: &[_]| rows.iter().any(|row: &actors::scheduler::RawRow| row.state == TaskState::Active);
    while !rows(world).await.is_some_and(|rows| runs(&rows)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Its grant is on its way or has arrived: the next thing it is told is what we say now.
    tokio::time::sleep(Duration::from_secs(5)).await;
    mutant::lay(Trap::Task);
    let target = Target::Graph(graph);
    insist(world, Asked::Cancel(target), |reply| SchedulerMessage::Cancel { target, reply }).await;
}
