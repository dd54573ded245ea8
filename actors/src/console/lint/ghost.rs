//! Sessions on machines behind SSH whose tasks have ended: nobody follows them any more, and nobody ends them.
//!
//! Asked of those machines beside each other, over the connection that is shared where one is; one that does not answer soon
//! says nothing here, and its node is told of by its own lints.

use std::path::PathBuf;
use std::time::Duration;

use policy::id::NodeId;
use policy::session::target::Target;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::console::fault::Fault;
use crate::console::lint::{Code, Lint};
use crate::session::node::is_reached;
use crate::session::owner::Owner;
use crate::session::way::Way;
use crate::session::{SessionRow, Sessions};
use crate::wire::client::{NodeHealth, NodeRow, WayRow, WhereTo};

/// Machines that are asked: each is a connection.
const ASKED: usize = 8;
/// How long they may take together.
const DEADLINE: Duration = Duration::from_secs(3);

/// Of the machines among these that are reached by SSH alone.
pub(super) async fn of_sessions(client: &Client, nodes: &[NodeRow]) -> Result<Vec<Lint>, Fault> {
    let is_asked = |row: &&NodeRow| row.health != NodeHealth::Lost && is_reached(&row.labels);
    let mut asked = JoinSet::new();
    for row in nodes.iter().filter(is_asked).take(ASKED) {
        // Whoever may not know the way does not see the sessions either.
        let Ok(told) = client.way(WhereTo::Node(row.node.clone())).await else { continue };
        asked.spawn(async move {
            let tag = told.tag.clone();
            let listed = tokio::task::spawn_blocking(move || list(&told)).await;
            (tag, listed.ok().flatten())
        });
    }
    let mut lints = Vec::new();
    let all = async {
        while let Some(told) = asked.join_next().await {
            let Ok((tag, Some((node, rows)))) = told else { continue };
            for row in rows.iter().filter(|row| row.live) {
                let owner = Owner::of(client, row.identity.work(), &tag).await?;
                lints.extend(of(&node, row.name.as_str(), owner));
            }
        }
        Ok(())
    };
    match tokio::time::timeout(DEADLINE, all).await {
        Ok(Err(fault)) => Err(fault),
        Ok(Ok(())) | Err(_) => Ok(lints),
    }
}

pub(super) fn of(node: &NodeId, session: &str, owner: Owner) -> Option<Lint> {
    let Owner::Ghost(task) = owner else { return None };
    Some(Lint {
        code: Code::GhostSession,
        about: format!("{session} on {node}"),
        since: None,
        evidence: format!("{task}, whose it is, has ended"),
        fix: format!("crab sessions {node} --prune"),
    })
}

/// The sessions of a machine; `None` where it cannot be asked without a person.
fn list(told: &WayRow) -> Option<(NodeId, Vec<SessionRow>)> {
    let option = |name: &str| {
        let word = |option: &policy::text::OsText| String::from_utf8(option.as_bytes().to_vec()).ok();
        let mut words = told.options.iter().filter_map(word);
        words.find_map(|word| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    };
    let port = option("--port").and_then(|port| port.parse().ok());
    let target = Target::new(option("--host").as_deref(), option("--user").as_deref(), port).ok()?;
    let way = Way::new(target, false)
        .identity(option("--identity").map(PathBuf::from))
        .config(option("--ssh-config").map(PathBuf::from));
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let way = home.and_then(|home| way.clone().sharing(&home).ok()).unwrap_or(way);
    let (_, rows) = Sessions::new(way).list(&[]).ok()?;
    Some((told.node.clone(), rows))
}

#[cfg(test)]
mod tests {
    use policy::id::TaskId;

    use super::*;

    #[test]
    fn a_session_whose_task_has_ended_is_named_with_both_and_what_ends_it() {
        let lint = of(&"mac-1".into(), "aivcs__api__t7-ab12__runner", Owner::Ghost(TaskId(7)));
        let lint = lint.expect("it is a ghost's");
        assert_eq!(lint.about, "aivcs__api__t7-ab12__runner on mac-1");
        assert_eq!(
            (lint.evidence.as_str(), lint.fix.as_str()),
            ("t7, whose it is, has ended", "crab sessions mac-1 --prune")
        );
    }
}
