//! The workspaces that a machine keeps: which there are, and removing those of a task.

use std::sync::Arc;
use std::time::Duration;

use policy::id::TaskId;

use crate::taskfile::path_text;
use crate::wire::inspect::{Sight, WORKSPACES_LIMIT, WorkspaceRow};
use crate::workspace::Workspaces;
use crate::workspace::keeping::KeptWorkspace;

/// How long the disk may take before the answer goes without it: less than a machine has to answer. What was begun goes on.
const DISK_DEADLINE: Duration = Duration::from_secs(1);

const NONE_HERE: &str = "no workspaces are made there";

/// Those that are kept, the oldest first.
pub(super) async fn kept(spaces: Option<&Arc<Workspaces>>) -> Sight {
    let Some(spaces) = spaces.cloned() else { return Sight::Unseen(NONE_HERE.into()) };
    let looked = tokio::task::spawn_blocking(move || {
        let mut kept = spaces.kept();
        kept.sort_by_key(|one| (one.since, one.token));
        let more = kept.len().saturating_sub(WORKSPACES_LIMIT) as u64;
        kept.truncate(WORKSPACES_LIMIT);
        Sight::Workspaces(kept.into_iter().map(row).collect(), more)
    });
    match tokio::time::timeout(DISK_DEADLINE, looked).await {
        Ok(Ok(sight)) => sight,
        _ => Sight::Unseen("its disk does not answer".into()),
    }
}

/// Removes those of a task. What takes longer than anybody waits goes on.
pub(super) async fn discard(spaces: Option<&Arc<Workspaces>>, task: TaskId) -> Sight {
    let Some(spaces) = spaces.cloned() else { return Sight::Unseen(NONE_HERE.into()) };
    let looking = spaces.clone();
    let found = tokio::task::spawn_blocking(move || looking.kept());
    let Ok(Ok(mut of_task)) = tokio::time::timeout(DISK_DEADLINE, found).await else {
        return Sight::Unseen("its disk does not answer".into());
    };
    of_task.retain(|one| one.task == task);
    let count = of_task.len() as u64;
    let removing =
        tokio::task::spawn_blocking(move || of_task.iter().filter(|one| spaces.discard(one.token)).count());
    let _ = tokio::time::timeout(DISK_DEADLINE / 4, removing).await;
    Sight::Discarded(count)
}

fn row(kept: KeptWorkspace) -> WorkspaceRow {
    let KeptWorkspace { token, task, name, source, path, since, bytes, why } = kept;
    WorkspaceRow { token, task, name, source, path: path_text(&path), since, bytes, why }
}
