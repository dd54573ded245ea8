//! Urgent tasks that depend on less urgent ones which do not run: whether lending priority would help, or does already.

use policy::explain::Verdict;
use policy::task::Priority;

use crate::client::Client;
use crate::console::fault::Fault;
use crate::console::lint::{Code, Lint};
use crate::wire::client::{Blocker, Explanation, StateName, TaskFilter, TaskRow};

/// Urgent tasks that are asked what they wait for: one question each, and one for what that is.
const ASKED: usize = 16;

/// Rows among which they are sought.
const LOOKED_AT: usize = 500;

/// Of those that wait for others.
pub(super) async fn of_waiting(client: &Client) -> Result<Vec<Lint>, Fault> {
    let mut lints = Vec::new();
    let waiting = TaskFilter { graph: None, states: vec![StateName::Waiting] };
    let rows = client.tasks(&waiting, LOOKED_AT).await?;
    for row in urgent(&rows).take(ASKED) {
        // One that is gone meanwhile waits for nothing.
        let Ok(told) = client.explain(row.task).await else { continue };
        let Some(blocker) = less_urgent(&told) else { continue };
        let runs = client.explain(blocker.task).await.is_ok_and(|on| on.verdict == Verdict::Active);
        lints.extend((!runs).then(|| of_dependency(&told, blocker)));
    }
    Ok(lints)
}

/// The most urgent first.
fn urgent(rows: &[TaskRow]) -> impl Iterator<Item = &TaskRow> {
    let of = |priority| rows.iter().filter(move |row| row.priority == priority);
    of(Priority::Critical).chain(of(Priority::High))
}

fn less_urgent(told: &Explanation) -> Option<&Blocker> {
    told.blocked_by.iter().find(|one| one.priority < told.row.priority)
}

/// It waits for a dependency that is less urgent and does not run.
pub(crate) fn of_dependency(told: &Explanation, on: &Blocker) -> Lint {
    let row = &told.row;
    let fix = match on.runs_as {
        Some(runs_as) => {
            format!(
                "nothing: {} is served as {runs_as} while it is waited for (lend_priority is on)",
                on.task
            )
        }
        None => {
            format!("lend_priority = true under [scheduler] has {} served as {}", on.task, row.priority)
        }
    };
    let evidence =
        format!("{} priority, and waits for {} {} of {}", row.priority, on.task, on.name, on.priority);
    lint(row, evidence, fix)
}

fn lint(row: &TaskRow, evidence: String, fix: String) -> Lint {
    let about = format!("{} {}", row.task, row.name);
    Lint { code: Code::Inversion, about, since: None, evidence, fix }
}
