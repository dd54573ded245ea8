//! What the daemon says of itself and of the fleet.

use std::path::Path;
use std::time::{Duration, Instant};

use actors::client::{Client, ClientError};
use actors::clock::Clock;
use actors::say;
use actors::wire::client::{NodeHealth, NodeRow, Sample, Status};
use actors::wire::inspect::{Look, Sight};
use policy::time::Timestamp;

use super::reach::Since;
use super::{Finding, reach};
use crate::cli::{nodes, text};

/// How late an answer may be before somebody should look: a scheduler that is well takes milliseconds.
const SLOW: Duration = Duration::from_secs(1);
/// How far clocks may be apart: records carry the scheduler's, people compare them with theirs.
const SKEW: Duration = Duration::from_secs(2);

/// Asks the daemon, if there is one: that of this machine, where its directory is named, or that of the fleet of which this one is
/// the worker of this name.
pub(super) async fn look(
    client: &Client,
    (directory, me): (Option<&Path>, Option<&str>),
) -> anyhow::Result<Vec<Finding>> {
    let mut findings = match answers(client).await {
        Ok(finding) => vec![finding],
        Err(unreachable) => return Ok(vec![unreachable]),
    };
    let (before, started) = (Clock::system().wall(), Instant::now());
    match client.metrics().await {
        Ok(sample) => {
            let took = started.elapsed();
            findings.push(answer(&sample, took));
            findings.push(skew(before, sample.at, Clock::system().wall()));
            findings.extend(log(&sample));
            if let Some(status) = &sample.status {
                let since = reach::since(client).await.unwrap_or_default();
                findings.extend(fleet(status, (&since, sample.at)));
                findings.extend(me.map(|me| reach::heard_of(me, &status.nodes, sample.at)));
            }
            findings.extend(workspaces(client).await?);
            if let Some(directory) = directory {
                findings.extend(reach::from_outside(client, directory).await?);
            }
        }
        Err(error) => findings.push(Finding::failure(
            "scheduler.answers",
            error.to_string(),
            "see the daemon's log; `crab halt --here` stops a machine meanwhile",
        )),
    }
    Ok(findings)
}

/// Unsaved work that machines keep: nothing removes it but somebody who has seen to it.
async fn workspaces(client: &Client) -> Result<Option<Finding>, ClientError> {
    let (mut count, mut bytes) = (0_u64, 0);
    for node in client.nodes().await?.into_iter().filter(|node| node.health == NodeHealth::Up) {
        let Sight::Workspaces(rows, _) = client.inspect(Some(node.node), Look::Workspaces).await? else {
            continue;
        };
        let unsaved = rows.iter().filter(|row| row.why.is_unsaved());
        unsaved.for_each(|row| (count, bytes) = (count + 1, bytes + row.bytes));
    }
    let evidence = format!("{} with unsaved work, {}", say::count(count, "workspace"), text::size(bytes));
    let next = "`crab workspaces` tells where; `crab workspaces --discard TASK` once it is saved";
    Ok((count > 0).then(|| Finding::warning("workspaces.unsaved", evidence, next)))
}

async fn answers(client: &Client) -> Result<Finding, Finding> {
    match client.hello().await {
        Ok(server) => Ok(version(&server.name, &server.version)),
        Err(error) => {
            let next = match &error {
                ClientError::Unreachable { .. } if cfg!(target_os = "macos") => {
                    "start `crabd`; over the network also allow it in System Settings, Privacy, Local Network \
                     (not tried on a Mac)"
                }
                _ => "start `crabd`, or `crab service install`",
            };
            Err(Finding::failure("daemon.answers", error.to_string(), next))
        }
    }
}

fn version(name: &str, theirs: &str) -> Finding {
    let ours = env!("CARGO_PKG_VERSION");
    let evidence = format!("{name} answers, version {theirs}");
    if theirs == ours {
        return Finding::ok("daemon.answers", evidence);
    }
    let next = format!("this is crab {ours}: update the older of the two");
    Finding::warning("daemon.answers", evidence, next)
}

fn answer(sample: &Sample, took: Duration) -> Finding {
    let took_text = text::length(took);
    if sample.status.is_none() {
        let busy = sample.actors.iter().find(|actor| &*actor.name == "scheduler");
        let busy = busy.map(|actor| {
            let on = actor.busy.map(|busy| format!(", busy for {}", text::length(busy))).unwrap_or_default();
            format!("{} messages wait for it{on}", actor.depth)
        });
        let evidence = format!("it does not answer in time; {}", busy.unwrap_or_default());
        let next = "see the daemon's log; a new start of crabd goes on from the log, and tasks that run stay";
        return Finding::failure("scheduler.answers", evidence, next);
    }
    if took > SLOW {
        let next = "see `crab metrics` for mailboxes, and whether the machine is overloaded";
        return Finding::warning("scheduler.answers", format!("after {took_text}"), next);
    }
    Finding::ok("scheduler.answers", format!("after {took_text}"))
}

/// The daemon's clock as it was some time between two looks at ours.
fn skew(before: Timestamp, theirs: Timestamp, after: Timestamp) -> Finding {
    let ahead = theirs.since(after);
    let behind = before.since(theirs);
    let apart = ahead.max(behind);
    if apart > SKEW {
        let which = if ahead > behind { "ahead of" } else { "behind" };
        let evidence = format!("the scheduler's clock is {} {which} this one", text::length(apart));
        return Finding::warning("clock.skew", evidence, "set both clocks by NTP; leases are not affected");
    }
    Finding::ok("clock.skew", "the scheduler's clock is this one's")
}

fn log(sample: &Sample) -> Option<Finding> {
    let reason = sample.log_trouble.as_ref()?;
    let next = "make room on the disk of the scheduler's data directory; it goes on by itself then";
    Some(Finding::failure("log.writable", reason.to_string(), next))
}

fn fleet(status: &Status, links: (&Since, Timestamp)) -> Vec<Finding> {
    let heard = |node| heard(node, &status.server.version, &reach::link(node, links));
    let mut findings: Vec<_> = status.nodes.iter().map(heard).collect();
    if status.nodes.is_empty() {
        let next = "join one with `crabd --join HOST:PORT`, or start crabd without --no-worker";
        findings.push(Finding::warning("fleet.nodes", "there are no machines: nothing can run", next));
    }
    if status.halted {
        let next = "`crab unhalt` ends it";
        findings.push(Finding::warning("fleet.halted", "an operator has halted everything", next));
    }
    if !status.paused.is_empty() {
        let paused: Vec<_> = status.paused.iter().map(ToString::to_string).collect();
        let next = "`crab resume` ends it";
        findings.push(Finding::warning("fleet.paused", paused.join(", "), next));
    }
    let warnings = status.warnings.iter();
    findings.extend(warnings.map(|warning| {
        Finding::warning("scheduler.warning", warning.to_string(), "`crab status` shows more")
    }));
    findings
}

/// Whether a machine is heard, and hears: a breaker that is open or a version that differs is worth a look.
fn heard(node: &NodeRow, scheduler: &str, link: &str) -> Finding {
    let how = format!("{}: {}, {link}, version {}", node.node, nodes::health(node), node.version);
    match node.health {
        NodeHealth::Lost => Finding::failure(
            "fleet.node",
            how,
            format!("start crabd there, or `crab node remove {}` if it is gone for good", node.node),
        ),
        NodeHealth::Suspect => {
            Finding::warning("fleet.node", how, "look at its network and load; it is given up soon")
        }
        NodeHealth::Up if *node.version != *scheduler => {
            let next =
                format!("bring it to {scheduler}: `crab node drain {} --wait`, then update", node.node);
            Finding::warning("fleet.node", how, next)
        }
        NodeHealth::Up if !node.breakers.is_empty() => {
            Finding::warning("fleet.node", how, "attempts break there: see its events and its disk")
        }
        NodeHealth::Up => Finding::ok("fleet.node", how),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_clock_may_be_anywhere_between_the_question_and_the_answer() {
        let at = |seconds: u64| Timestamp(seconds * 1_000_000);
        assert_eq!(skew(at(10), at(11), at(15)).level, Level::Ok);
        assert_eq!(skew(at(10), at(9), at(15)).level, Level::Ok);
        assert!(skew(at(10), at(5), at(15)).evidence.contains("5.0s behind"));
        assert!(skew(at(10), at(20), at(15)).evidence.contains("5.0s ahead of"));
    }

    #[test]
    fn an_older_or_newer_daemon_is_a_warning() {
        assert_eq!(version("a", env!("CARGO_PKG_VERSION")).level, Level::Ok);
        assert_eq!(version("a", "99.0.0").level, Level::Warning);
    }
}
