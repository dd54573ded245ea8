//! What the daemon runs: the scheduler side with its listener, the machine side, or both.

use std::sync::Arc;

use actors::client::endpoint::SOCKET_NAME;
use actors::clock::Clock;
use actors::config::{self, Config};
use actors::door::SchedulerDoor;
use actors::head::{Head, HeadOptions};
use actors::link::cluster::Cluster;
use actors::link::listener::{Identity, Listener, ListenerArgs, ListenerMessage};
use actors::link::preamble::PROTOCOLS;
use actors::link::{self, Cookie, Dial, Endpoint, Hello, Purpose, Role};
use actors::machine::{Machine, MachineOptions};
use actors::output::retention::Retention;
use actors::output::spool::OutputLimits;
use actors::process::port::HostProgram;
use actors::worker::environment::{BaseEnvironment, INHERITED};
use actors::worker::labels;
use anyhow::Context;
use policy::id::{Incarnation, NodeId};
use policy::resources::Resources;
use supervision::{Address, Child, Ending};

use super::settings::Settings;

/// The sides that run here.
#[derive(Debug)]
pub(crate) struct Sides {
    head: Option<Head>,
    machine: Option<Machine>,
}

impl Sides {
    pub(crate) async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let incarnation = Incarnation(clock.wall().0);
        if let Some(scheduler) = &settings.join {
            let capacity =
                settings.capacity.clone().context("a machine that joins a fleet must run tasks")?;
            let options = machine(settings, capacity, incarnation, clock)?;
            let dial = dial(settings, scheduler, incarnation)?;
            let machine =
                Machine::dialling(dial, incarnation.0, options).await.context("starting the worker")?;
            return Ok(Self { head: None, machine: Some(machine) });
        }
        let head = head(settings, incarnation, clock).await?;
        let machine = match &settings.capacity {
            Some(capacity) => {
                let options = machine(settings, capacity.clone(), incarnation, clock)?;
                Some(Machine::beside(head.side(), options).await.context("starting the worker")?)
            }
            None => None,
        };
        Ok(Self { head: Some(head), machine })
    }

    /// Waits until a side ends by itself. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Ending {
        match (&mut self.head, &mut self.machine) {
            (Some(head), Some(machine)) => tokio::select! {
                ending = head.join() => ending,
                ending = machine.join() => ending,
            },
            (Some(head), None) => head.join().await,
            (None, Some(machine)) => machine.join().await,
            (None, None) => std::future::pending().await,
        }
    }

    /// Takes over what can change while running, and says what cannot.
    pub(crate) fn reload(&self, settings: &Settings, config: &Config) {
        let Some(head) = &self.head else {
            return tracing::warn!("nothing of a worker's settings can be taken over: it needs a restart");
        };
        let side = head.side();
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
        if let Some(machine) = self.machine {
            machine.stop(false).await;
        }
        if let Some(head) = self.head {
            head.stop().await;
        }
    }
}

async fn head(settings: &Settings, incarnation: Incarnation, clock: Clock) -> anyhow::Result<Head> {
    let data = &settings.data_dir;
    let identity = Identity { name: settings.name.clone(), incarnation, cookie: Cookie::open(data)? };
    let (tcp, unix) = (settings.listen, data.join(SOCKET_NAME));
    let cluster = Cluster::new(&settings.name, incarnation);
    let options = HeadOptions {
        directory: data.join("scheduler"),
        name: settings.name.as_str().into(),
        clock,
        terms: settings.config.terms(),
        limits: settings.config.limits_where(settings.listen.is_some()),
        log: settings.config.log(),
    };
    let head = Head::start(options, |side, gateway| {
        side.show_settings(settings.shown(&settings.config));
        let door = SchedulerDoor::new(side, gateway);
        let args = move || ListenerArgs {
            tcp,
            unix: Some(unix.clone()),
            identity: identity.clone(),
            door: Arc::clone(&door) as Arc<dyn link::Door>,
            cluster: cluster.clone(),
            limits: link::Limits::default(),
        };
        vec![Child::worker::<Listener>("listener", &Address::<ListenerMessage>::new("listener", ""), args)]
    });
    Ok(head.await?)
}

fn dial(settings: &Settings, scheduler: &str, incarnation: Incarnation) -> anyhow::Result<Dial> {
    let endpoint: Endpoint = scheduler.parse()?;
    let path = settings.data_dir.join(actors::client::COOKIE_NAME);
    let advice = || format!("copy the cookie of the scheduler's data directory to {}", path.display());
    let cookie = Cookie::read(&path).with_context(advice)?;
    let hello = Hello {
        role: Role::Worker,
        purpose: Purpose::Cluster,
        name: settings.name.clone(),
        incarnation,
        protocols: PROTOCOLS,
    };
    Ok(Dial {
        endpoint,
        hello,
        cookie: Some(cookie),
        cluster: Some(Cluster::new(&settings.name, incarnation)),
        inbound: Arc::new(|_| {}),
        limits: link::Limits::default(),
    })
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
    Ok(MachineOptions {
        node: NodeId::from(settings.name.as_str()),
        incarnation,
        directory: settings.data_dir.join("host"),
        capacity,
        labels: labels::detect().into_iter().chain(given).collect(),
        base: BaseEnvironment::of(std::env::vars_os(), &inherited),
        output: OutputLimits::default(),
        retention: Retention::default(),
        program: HostProgram::new(std::env::current_exe().context("finding this program")?),
        clock,
    })
}
