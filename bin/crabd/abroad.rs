//! Machines behind SSH that run tasks: what this daemon runs for each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use actors::clock::Clock;
use actors::config::ssh_nodes::SshNodeConfig;
use actors::link::preamble::is_name;
use actors::machine::{MachineOptions, Runs};
use actors::output::retention::Retention;
use actors::output::spool::OutputLimits;
use actors::process::port::HostProgram;
use actors::session::lookout::LookoutArgs;
use actors::session::node::{REACHED, SshNode};
use actors::session::rules::SharedRules;
use actors::session::{BASE_USUAL, gather, worktree};
use actors::worker::environment::BaseEnvironment;
use actors::worker::stages::Hooks;
use anyhow::Context;
use policy::constraint::LOCATION;
use policy::id::{Incarnation, NodeId};

use super::settings::Settings;

/// Variables that `ssh` and `aivcs-session` need of ours; none of them goes to the machine.
const FOR_SSH: &[&str] = &["PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "LANG", "TMPDIR"];

/// The machines behind SSH that run tasks.
pub(crate) fn machines(
    settings: &Settings,
    life: (Incarnation, Clock),
    remote: &SharedRules,
) -> anyhow::Result<Vec<MachineOptions>> {
    if !settings.config.remote_execution.enabled() && !settings.config.ssh_nodes.is_empty() {
        tracing::warn!("remote_execution.enabled = false: the machines of ssh_nodes run nothing");
        return Ok(Vec::new());
    }
    let nodes = settings.config.ssh_nodes();
    nodes.map(|(name, node)| machine(settings, (name, &node), life, remote)).collect()
}

/// How those are reached.
pub(crate) fn ways(abroad: &[MachineOptions]) -> BTreeMap<NodeId, SshNode> {
    let way = |options: &MachineOptions| match &options.runs {
        Runs::Abroad(_, lookout) => Some((options.node.clone(), lookout.node.clone())),
        Runs::Host(_) | Runs::Handlers(_) => None,
    };
    abroad.iter().filter_map(way).collect()
}

/// A machine behind SSH, whose worker and process host are here.
fn machine(
    settings: &Settings,
    (name, node): (&str, &SshNodeConfig),
    (incarnation, clock): (Incarnation, Clock),
    remote: &SharedRules,
) -> anyhow::Result<MachineOptions> {
    if !is_name(name) || name == settings.name {
        anyhow::bail!("ssh_nodes.{name}: the name of a node must be one of its own, of a-z 0-9 . _ -");
    }
    let this = std::env::current_exe().context("finding this program")?;
    let base = BaseEnvironment::of(std::env::vars_os(), FOR_SSH);
    let labels = node.labels.iter().flat_map(|table| &table.0);
    let labels = labels.map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    let reached = [(REACHED.0.into(), REACHED.1.into())];
    let located = [(LOCATION.into(), node.host_of(name).into())];
    // Two schedulers that share a machine call their sessions differently.
    let tag = format!("{} {}", settings.name, settings.data_dir.display());
    let abroad = node.node(name, &this.with_file_name("aivcs-session"), &tag, base.len());
    let config = &settings.config;
    let directory = settings.data_dir.join("ssh").join(name);
    let lookout = lookout((name, node), abroad, remote)?;
    let (way, sessions) = (lookout.node.clone(), lookout.sessions.clone());
    let base_dir = node.base_dir.as_deref().unwrap_or(BASE_USUAL);
    let reclaim = config.worker.reclaim();
    let (records, artifacts) = (directory.join("workspaces"), directory.join("artifacts"));
    let artifacts = gather::storing(
        config.artifacts.storing(artifacts),
        (way.clone(), sessions.clone()),
        base_dir,
        records.clone(),
    );
    let workspaces = worktree::keeping(records, way, sessions, base_dir, reclaim);
    Ok(MachineOptions {
        node: NodeId::from(name),
        incarnation,
        directory,
        capacity: node.capacity(),
        labels: located.into_iter().chain(labels).chain(reached).collect(),
        runs: Runs::Abroad(HostProgram::new(this), Box::new(lookout)),
        base,
        output: OutputLimits::default(),
        retention: Retention::default(),
        workspaces: Some(workspaces),
        artifacts: Some(artifacts),
        hooks: Hooks::default(),
        offer: None,
        suites: None,
        strain: config.strain.rules().map(|rules| config.remote_execution.strain(rules)),
        clock,
    })
}

/// Who looks after such a machine.
fn lookout(
    (name, node): (&str, &SshNodeConfig),
    abroad: SshNode,
    remote: &SharedRules,
) -> anyhow::Result<LookoutArgs> {
    let home = std::env::home_dir().context("finding the home directory, for the connections of SSH")?;
    let sessions = node.sessions(name, &home).with_context(|| format!("ssh_nodes.{name}"))?;
    let abroad = SshNode { over: sessions.way().control().map(Into::into), ..abroad };
    Ok(LookoutArgs { node: abroad, sessions, outlook: Arc::default(), rules: Arc::clone(remote) })
}
