//! What the daemon was told: by its configuration file, and over that by its command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use actors::config::Config;
use actors::config::amount::{Cores, Size, Written};
use actors::link::preamble::{MAX_NAME_BYTES, is_name};
use actors::taskfile::quantity;
use actors::trust::line;
use actors::wire::client::{Origin, SettingRow};
use actors::worker::capacity::{MEMORY_RESERVE_BYTES, detect};
use anyhow::Context;
use clap::Parser;
use policy::resources::Resources;

use super::logging;

/// Runs tasks on this machine, schedules them for a fleet, or both.
///
/// With no arguments both: a scheduler and a worker on this machine, for local programs (`crab`). With
/// --listen other machines can join; with --join this machine becomes a worker of another one's scheduler.
#[derive(Debug, Clone, Parser)]
#[command(name = "crabd", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The configuration file (TOML). The command line goes before it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR", env = "CRAB_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Run as this user, and every task with it: only root can say so. Default: whoever starts it.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// This machine's name in the fleet: lower-case letters, digits, `.`, `_`, `-`. Default: the host name.
    #[arg(long)]
    name: Option<String>,
    /// Listen for workers and clients of other machines.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Be a worker of the scheduler that listens there. The first time an invitation in its place: `crab cluster invite
    /// NAME --role worker` prints one on the scheduler's machine. Other users see command lines: `-` reads the invitation
    /// from standard input, `@FILE` from a file.
    #[arg(
        long,
        value_name = "INVITATION|HOST:PORT|-|@FILE",
        env = "CRAB_JOIN",
        hide_env_values = true,
        conflicts_with = "listen"
    )]
    join: Option<String>,
    /// Schedule only: run no tasks on this machine.
    #[arg(long, conflicts_with = "join")]
    no_worker: bool,
    /// Cores for tasks, such as 8 or 0.5. Default: all.
    #[arg(long, value_name = "N", value_parser = cores)]
    cpus: Option<u64>,
    /// Memory for tasks, such as `64 GiB`. Default: all but 2 GiB.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Disk for tasks, such as `200 GiB`. Default: half of what is free where the data is.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    disk: Option<u64>,
    /// GPU slots for tasks. Default: 1 on a Mac, 0 elsewhere.
    #[arg(long, value_name = "N")]
    gpu: Option<u64>,
    /// A resource of your own, such as `licence=3`. May be given more than once.
    #[arg(long = "resource", value_name = "NAME=N", value_parser = resource)]
    resources: Vec<(String, u64)>,
}

const EXAMPLES: &str = "\
Examples:
  crabd                                   one machine: scheduler and worker
  crabd --listen 192.0.2.1:7070           the fleet's scheduler, which runs tasks as well (first: crab cluster init)
  crabd --join 192.0.2.1:7070             another machine's worker; the first time it asks for its invitation: --join -
  sudo crabd --user builds                as that user, and every task with it
  CRAB_LOG=debug crabd --data-dir /tmp/x  say more, keep everything elsewhere

Signals: TERM or INT stop in order (tasks go on and are found again by the next start);
HUP reads the configuration file again.";

/// Everything the daemon goes by.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) data_dir: PathBuf,
    pub(crate) name: String,
    /// Whether somebody has named it, and it was not made from the host's name.
    pub(crate) is_named: bool,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) join: Option<String>,
    /// `None` where no tasks are run here.
    pub(crate) capacity: Option<Resources>,
    /// What the command line says in place of the file, by key.
    overruled: Vec<(&'static str, String)>,
}

impl Args {
    /// Whom the daemon is to run as.
    pub(crate) fn user(&self) -> anyhow::Result<Option<String>> {
        match (&self.user, &self.config) {
            (None, Some(path)) => Ok(Config::read(path)?.daemon.user),
            (said, _) => Ok(said.clone()),
        }
    }
}

impl Settings {
    /// Reads the configuration and puts the command line over it.
    pub(crate) fn gather(args: &Args) -> anyhow::Result<Self> {
        let config = args.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
        config.check()?;
        let data_dir = args.data_dir.clone().or_else(actors::client::default_data_dir);
        let data_dir = data_dir.context("no home directory: name a data directory with --data-dir DIR")?;
        let given = args.name.clone().or_else(|| config.daemon.name.clone());
        let is_named = given.is_some();
        let name = given.map_or_else(host_name, Ok)?;
        if !is_name(&name) {
            anyhow::bail!(
                "the name {name:?} must be at most {MAX_NAME_BYTES} of a-z 0-9 . _ -, beginning with a letter or \
                 digit: name this machine with --name NAME"
            );
        }
        let join = args.join.clone().or_else(|| config.daemon.join.clone());
        let join = join.map(|written| line::meant(&written)).transpose().context("reading whom to join")?;
        let listen = args.listen.or(config.daemon.listen).filter(|_| args.join.is_none());
        if join.is_some() && listen.is_some() {
            anyhow::bail!(
                "daemon.join and daemon.listen exclude each other: a machine joins a fleet or leads one"
            );
        }
        if join.is_some() && config.metrics.listen.is_some() {
            anyhow::bail!(
                "metrics.listen is for the fleet's scheduler: this machine joins one, which tells of all"
            );
        }
        if config.telemetry.endpoint.is_some() {
            if join.is_some() {
                anyhow::bail!(
                    "telemetry.endpoint is for the fleet's scheduler: its traces have what all machines run"
                );
            }
            if !cfg!(feature = "otel") {
                anyhow::bail!(
                    "telemetry.endpoint: this crabd was built without traces; build it with `cargo build --release --features otel`"
                );
            }
        }
        let capacity = (!args.no_worker).then(|| capacity(args, &config, &data_dir));
        let overruled = overruled(args);
        let data_dir = std::path::absolute(data_dir)?;
        Ok(Self { config, data_dir, name, is_named, listen, join, capacity, overruled })
    }
}

impl Settings {
    /// Every setting with where it comes from, were `config` the file.
    pub(crate) fn shown(&self, config: &Config) -> Vec<SettingRow> {
        let mut rows = config.shown();
        for (key, value) in &self.overruled {
            if let Some(row) = rows.iter_mut().find(|row| &*row.key == *key) {
                (row.value, row.origin) = (value.as_str().into(), Origin::CommandLine);
            }
        }
        rows
    }
}

fn overruled(args: &Args) -> Vec<(&'static str, String)> {
    let resources = args.resources.iter().map(|(name, amount)| format!("{name:?} = {amount}"));
    let resources: Vec<_> = resources.collect();
    let said = [
        ("daemon.user", args.user.as_ref().map(Written::written)),
        ("daemon.name", args.name.as_ref().map(Written::written)),
        ("daemon.listen", args.listen.as_ref().map(Written::written)),
        ("daemon.join", args.join.as_ref().map(Written::written)),
        ("worker.cpus", args.cpus.map(|millis| Cores(millis).written())),
        ("worker.memory", args.memory.map(|bytes| Size(bytes).written())),
        ("worker.disk", args.disk.map(|bytes| Size(bytes).written())),
        ("worker.gpu", args.gpu.as_ref().map(Written::written)),
        ("log.level", std::env::var(logging::VARIABLE).ok().map(|text| text.written())),
        ("worker.resources", (!resources.is_empty()).then(|| format!("{{ {} }}", resources.join(", ")))),
    ];
    said.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// What this machine has for tasks.
fn capacity(args: &Args, config: &Config, data: &Path) -> Resources {
    let mut capacity = detect(MEMORY_RESERVE_BYTES, data);
    let worker = &config.worker;
    let cpus = args.cpus.or_else(|| worker.cpus.map(|cores| cores.0));
    let memory = args.memory.or_else(|| worker.memory.map(|size| size.0));
    capacity.cpu_millis = cpus.unwrap_or(capacity.cpu_millis);
    capacity.memory_bytes = memory.unwrap_or(capacity.memory_bytes);
    capacity.disk_bytes = args.disk.or_else(|| worker.disk.map(|size| size.0)).unwrap_or(capacity.disk_bytes);
    capacity.gpu_slots = args.gpu.or(worker.gpu).unwrap_or(capacity.gpu_slots);
    let named =
        worker.resources.iter().flat_map(|table| &table.0).map(|(name, amount)| (name.as_str(), *amount));
    let given = args.resources.iter().map(|(name, amount)| (name.as_str(), *amount));
    capacity.named = named.chain(given).map(|(name, amount)| (name.into(), amount)).collect();
    capacity
}

/// The host name as a name in the fleet: its first part, in lower case.
fn host_name() -> anyhow::Result<String> {
    let name = nix::unistd::gethostname().context("asking for the host name")?;
    let name = name.to_string_lossy().to_lowercase();
    let first = name.split('.').next().unwrap_or_default();
    let kept: String =
        first.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').collect();
    if kept.is_empty() {
        anyhow::bail!("this machine has no host name that can be used: name it with --name NAME");
    }
    Ok(kept)
}

fn cores(text: &str) -> Result<u64, quantity::QuantityError> {
    quantity::cpus(text)
}

fn size(text: &str) -> Result<u64, quantity::QuantityError> {
    quantity::size(text)
}

fn resource(text: &str) -> Result<(String, u64), String> {
    let wrong = || format!("{text:?} must be NAME=N, such as licence=3");
    let (name, amount) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
    if policy::handler::kind_of(name).is_some() {
        return Err(format!("{name} is for agents that handle tasks: no machine has it"));
    }
    Ok((name.to_owned(), amount.parse().map_err(|_| wrong())?))
}
