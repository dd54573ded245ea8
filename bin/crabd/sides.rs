//! What the daemon runs: the scheduler side with its listener, the machine side, or both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use actors::client::endpoint::SOCKET_NAME;
use actors::clock::Clock;
use actors::config::telemetry::Endpoint as Receiver;
use actors::config::{self, Config};
use actors::door::SchedulerDoor;
use actors::head::{Head, HeadOptions};
use actors::link::cluster::Cluster;
use actors::link::listener::{Identity, Listener, ListenerArgs, ListenerMessage};
use actors::link::{self, Cookie, Dial, Endpoint};
use actors::machine::{Machine, MachineOptions, Runs};
use actors::metrics::server::{MetricsActor, MetricsArgs, MetricsMessage};
use actors::output::retention::Retention;
use actors::output::spool::OutputLimits;
use actors::process::port::HostProgram;
use actors::provision::{Offer, PRIVATE};
use actors::session::node::SshNode;
use actors::session::rules::SharedRules;
use actors::side::Side;
use actors::trust::{Fleet, Own};
use actors::wire::client::ServerInfo;
use actors::worker::environment::{BaseEnvironment, INHERITED};
use actors::worker::labels;
use actors::worker::suites::Suites;
use actors::workspace::Keeping;
use anyhow::Context;
use arc_swap::ArcSwap;
use policy::id::{Incarnation, NodeId};
use policy::resources::Resources;
use supervision::{Address, Child, Ending};

use super::abroad;
use super::settings::Settings;

/// Waits for the end of one of them.
type Joining<'a> = Pin<Box<dyn Future<Output = Ending> + Send + 'a>>;

/// The sides that run here.
#[derive(Debug)]
pub(crate) struct Sides {
    head: Option<Head>,
    machines: Vec<Machine>,
    /// How machines behind SSH are asked.
    remote: SharedRules,
}

impl Sides {
    pub(crate) async fn start(settings: &Settings, own: Option<Arc<ArcSwap<Own>>>) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let incarnation = Incarnation(clock.wall().0);
        let remote = ArcSwap::from_pointee(settings.config.remote_execution.rules());
        if let Some(scheduler) = &settings.join {
            let capacity =
                settings.capacity.clone().context("a machine that joins a fleet must run tasks")?;
            let options = machine(settings, capacity, incarnation, clock)?;
            let dial = dial(settings, scheduler, incarnation, own)?;
            let machine =
                Machine::dialling(dial, incarnation.0, options).await.context("starting the worker")?;
            return Ok(Self { head: None, machines: vec![machine], remote: SharedRules::new(remote) });
        }
        let remote = SharedRules::new(remote);
        let abroad = abroad::machines(settings, (incarnation, clock), &remote)?;
        let head = head(settings, incarnation, clock, abroad::ways(&abroad)).await?;
        let mut machines = Vec::new();
        if let Some(capacity) = &settings.capacity {
            let options = machine(settings, capacity.clone(), incarnation, clock)?;
            machines.push(Machine::beside(head.side(), options).await.context("starting the worker")?);
        }
        for options in abroad {
            let name = options.node.clone();
            let started = Machine::beside(head.side(), options).await;
            machines.push(started.with_context(|| format!("starting the worker of {name}"))?);
        }
        Ok(Self { head: Some(head), machines, remote })
    }

    /// Waits until a side ends by itself. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Ending {
        let head = self.head.as_mut().map(|head| Box::pin(head.join()) as Joining<'_>);
        let machines = self.machines.iter_mut().map(|machine| Box::pin(machine.join()) as Joining<'_>);
        let mut joins: Vec<Joining<'_>> = head.into_iter().chain(machines).collect();
        std::future::poll_fn(|context| {
            let ended = joins.iter_mut().map(|join| join.as_mut().poll(context));
            ended.into_iter().find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }

    /// Takes over what can change while running, and says what cannot.
    pub(crate) fn reload(&self, settings: &Settings, config: &Config) {
        let Some(head) = &self.head else {
            return tracing::warn!("nothing of a worker's settings can be taken over: it needs a restart");
        };
        let side = head.side();
        self.remote.store(Arc::new(config.remote_execution.rules()));
        side.set_limits(config.limits_where(settings.listen.is_some()));
        let (rows, waiting) = config::merge(&side.settings(), settings.shown(config));
        side.show_settings(rows);
        tracing::info!("took over the configuration");
        for key in waiting {
            tracing::warn!(key = &*key, "changed in the file; it holds after a restart");
        }
    }

    /// Stops in order: no new clients, then the worker (its tasks go on in the host), then the scheduler.
    pub(crate) async fn stop(self) {
        for machine in self.machines {
            machine.stop(false).await;
        }
        if let Some(head) = self.head {
            head.stop().await;
        }
    }
}

async fn head(
    settings: &Settings,
    incarnation: Incarnation,
    clock: Clock,
    ways: BTreeMap<NodeId, SshNode>,
) -> anyhow::Result<Head> {
    let data = &settings.data_dir;
    let identity = Identity { name: settings.name.clone(), incarnation, cookie: Cookie::open(data)? };
    let fleet = Fleet::open(data, clock)?;
    let (tcp, unix) = (settings.listen, data.join(SOCKET_NAME));
    if let (Some(address), None) = (tcp.filter(|address| !address.ip().is_loopback()), &fleet) {
        anyhow::bail!(
            "will not listen on {address} without certificates: run `crab cluster init` first, or listen on 127.0.0.1"
        );
    }
    let cluster = Cluster::new(&settings.name, incarnation);
    let options = HeadOptions {
        directory: data.join("scheduler"),
        name: settings.name.as_str().into(),
        clock,
        terms: settings.config.terms(),
        limits: settings.config.limits_where(settings.listen.is_some()),
        log: settings.config.event_log(),
    };
    let head = Head::start(options, |side, gateway| {
        side.show_settings(settings.shown(&settings.config));
        side.show_ways(ways);
        if let Some(fleet) = &fleet {
            side.secure(Arc::clone(fleet), tcp);
        }
        let door = SchedulerDoor::new(side, gateway);
        let args = move || ListenerArgs {
            tcp,
            unix: Some(unix.clone()),
            identity: identity.clone(),
            door: Arc::clone(&door) as Arc<dyn link::Door>,
            cluster: cluster.clone(),
            limits: link::Limits::default(),
            fleet: fleet.clone(),
        };
        let listener = Address::<ListenerMessage>::new("listener", "");
        let listener = Child::worker::<Listener>("listener", &listener, args);
        collectors(settings, side, clock)
            .into_iter()
            .chain(traces(settings, side))
            .chain([listener])
            .collect()
    });
    Ok(head.await?)
}

/// Who answers collectors, where that is wanted.
fn collectors(settings: &Settings, side: &Arc<Side>, clock: Clock) -> Option<Child> {
    let listen = settings.config.metrics.listen?;
    let (version, name) = (env!("CARGO_PKG_VERSION").into(), settings.name.as_str().into());
    let server = ServerInfo { version, name, started: clock.wall(), epoch: 0, durable: 0 };
    let side = Arc::clone(side);
    let args = move || MetricsArgs { listen, side: Arc::clone(&side), server: server.clone() };
    Some(Child::worker::<MetricsActor>("metrics", &Address::<MetricsMessage>::new("metrics", ""), args))
}

/// Who sends traces, where that is wanted; that it was built for it has been seen to.
fn traces(settings: &Settings, side: &Arc<Side>) -> Option<Child> {
    let endpoint = settings.config.telemetry.endpoint.as_ref()?.parse().ok()?;
    traces_to(settings, side, endpoint)
}

#[cfg(feature = "otel")]
fn traces_to(settings: &Settings, side: &Arc<Side>, endpoint: Receiver) -> Option<Child> {
    use actors::traces::{TracesActor, TracesArgs, TracesMessage};
    let (name, telemetry) = (settings.name.as_str().into(), settings.config.telemetry.clone());
    let args = TracesArgs { side: Arc::clone(side), name, endpoint, telemetry };
    let address = Address::<TracesMessage>::new("traces", "");
    Some(Child::worker::<TracesActor>("traces", &address, move || args.clone()))
}

#[cfg(not(feature = "otel"))]
fn traces_to(_: &Settings, _: &Arc<Side>, _: Receiver) -> Option<Child> {
    None
}

fn dial(
    settings: &Settings,
    scheduler: &str,
    incarnation: Incarnation,
    own: Option<Arc<ArcSwap<Own>>>,
) -> anyhow::Result<Dial> {
    let endpoint: Endpoint = scheduler.parse()?;
    let cookie = if own.is_some() { None } else { Some(cookie(settings)?) };
    let cluster = Cluster::new(&settings.name, incarnation);
    Ok(Dial::worker(endpoint, (&settings.name, incarnation), (cookie, own), Some(cluster)))
}

/// Without a certificate: what proves that this machine's user may read the scheduler's files, on loopback.
fn cookie(settings: &Settings) -> anyhow::Result<Cookie> {
    let path = settings.data_dir.join(actors::client::COOKIE_NAME);
    let advice = || {
        format!(
            "this machine has no certificate: join with an invitation, crabd --join LINE (`crab cluster invite NAME \
             --role worker` on the scheduler's machine prints it); or, on the scheduler's own machine, copy its \
             cookie to {}",
            path.display()
        )
    };
    Cookie::read(&path).with_context(advice)
}

fn machine(
    settings: &Settings,
    capacity: Resources,
    incarnation: Incarnation,
    clock: Clock,
) -> anyhow::Result<MachineOptions> {
    let worker = &settings.config.worker;
    let inherited: Vec<&str> = INHERITED
        .iter()
        .copied()
        .chain(worker.pass_env.iter().flat_map(|list| &list.0).map(String::as_str))
        .collect();
    let given = worker
        .labels
        .iter()
        .flat_map(|table| &table.0)
        .map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    let base = BaseEnvironment::of(std::env::vars_os(), &inherited);
    Ok(MachineOptions {
        node: NodeId::from(settings.name.as_str()),
        incarnation,
        directory: settings.data_dir.join("host"),
        capacity,
        labels: labels::detect().into_iter().chain(given).collect(),
        workspaces: Some(workspaces(settings, &base)),
        artifacts: Some(settings.config.artifacts.storing(settings.data_dir.join("artifacts"))),
        hooks: settings.config.hooks.hooks(),
        offer: Some(offer(settings)),
        suites: suites(settings)?,
        strain: settings.config.strain.rules(),
        base,
        output: OutputLimits::default(),
        retention: Retention::default(),
        runs: Runs::Host(HostProgram::new(std::env::current_exe().context("finding this program")?)),
        clock,
    })
}

/// How tasks here have suites of tests run: on the scheduler's own machine by its socket; elsewhere with what lets the user of
/// this machine in, which the certificate of a worker does not.
fn suites(settings: &Settings) -> anyhow::Result<Option<Suites>> {
    let own = &settings.data_dir;
    let named = settings.config.worker.suites.as_ref().map(PathBuf::from);
    let lets_in = || own.join(actors::client::COOKIE_NAME).is_file().then(|| own.clone());
    let data_dir = match &settings.join {
        None => Some(own.clone()),
        Some(_) => named.or_else(lets_in),
    };
    let program = std::env::current_exe().context("finding this program")?.with_file_name("crab");
    if !program.is_file() {
        tracing::warn!(program = %program.display(), "is not there: no suites of tests are run from here (`shard` in task files)");
        return Ok(None);
    }
    let address = settings.join.as_deref().map(Into::into);
    Ok(data_dir.map(|data_dir| Suites { program, data_dir, address, times: None }))
}

/// Where tasks have workspaces, and how those are kept.
fn workspaces(settings: &Settings, base: &BaseEnvironment) -> Keeping {
    let worker = &settings.config.worker;
    let root = worker.workspaces.as_ref().map_or_else(|| settings.data_dir.join("workspaces"), PathBuf::from);
    Keeping::here(root, base.variables(), worker.reclaim())
}

/// What tasks are given besides. A sandbox is tried once: what does not work is not offered.
fn offer(settings: &Settings) -> Offer {
    let usual = Offer::usual(settings.data_dir.join(PRIVATE));
    let secrets = settings.config.worker.secrets.as_ref().map_or(usual.secrets, PathBuf::from);
    let slots = settings.config.jobserver.slots.unwrap_or(usual.slots);
    let sandbox = usual.sandbox.filter(|sandbox| match sandbox.works() {
        Ok(()) => true,
        Err(why) => {
            tracing::warn!(%why, "no sandbox is offered to tasks");
            false
        }
    });
    Offer { secrets, slots, sandbox, ..usual }
}
