//! One seed from its first event to the checks.

use std::fmt::Write as _;
use std::time::Duration;

use actors::node::NodeMessage;
use actors::scheduler::{RawRow, SchedulerMessage};
use actors::wire::client::{PAGE_LIMIT, ServerInfo, TaskFilter};
use fastrand::Rng;
use policy::constraint::Labels;
use policy::id::TaskId;
use policy::resources::Resources;

use super::agents;
use super::clients::{ask, client, flood};
use super::crowds::{comes_at, gather};
use super::gangs;
use super::house::{Crowd, House};
use super::machine::Node;
use super::nemesis::{self, Fault, traps};
use super::opening::open_log;
use super::scenarios::{Scenario, tell};
use super::steps;
use super::watchdog::until_its_end;
use super::world::{Core, Event, Nature, Planted, World};
use crate::history::{History, Violation};

/// Milliseconds during which things go wrong and clients submit.
const STORM: u64 = 60_000;

/// Milliseconds after which, with no more faults, everything must have ended, beyond what the work would
/// take one after the other: leases run out, nodes come back, breakers close, clients wait and ask again.
const LIVENESS: u64 = 600_000;

/// By how many millionths a clock runs fast or slow at the most: half of what leases allow for.
const DRIFT: i32 = 500;

/// Milliseconds that killing may take on a bad day: with what noticing takes, less than the margin before
/// the lease's end and the second that the scheduler side's grace has for it.
const SLOW_KILL: u64 = 1700;

/// What is drawn for a seed before anything happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    nodes: usize,
    graphs: u64,
    /// Milliseconds between two faults on average; `None` for none at all.
    faults: Option<u64>,
    /// Whether faults stop and everything must end; otherwise they go on to the last moment.
    ends: bool,
    /// Whether more comes at once than can run, at all priorities.
    flood: bool,
    nature: Nature,
    /// What is told beforehand.
    told: Option<Scenario>,
}

impl Plan {
    /// What the seed says.
    pub(super) fn of(seed: u64) -> Self {
        let house = House::of(seed);
        let plan = Self::under(seed, house);
        Self { nature: Nature { agents: agents::count(seed, &house), ..plan.nature }, ..plan }
    }

    fn under(seed: u64, house: House) -> Self {
        let mut rng = Rng::with_seed(seed);
        let bad_links = rng.u32(..3) == 0;
        let (ends, flood) = (rng.u32(..6) > 0, rng.u32(..6) == 0);
        let nodes = rng.usize(1..5);
        Self {
            nodes,
            graphs: rng.u64(2..12),
            faults: (!ends || rng.u32(..10) > 0).then(|| rng.u64(1000..10_000)),
            ends,
            flood,
            nature: Nature {
                // Drawn in any case: the house has chance of its own.
                kill_takes: if (rng.u32(..4) == 0) | house.is_stubborn { SLOW_KILL } else { 100 },
                drift: rng.i32(-DRIFT..=DRIFT),
                waiting_tasks: if rng.u32(..4) == 0 && !flood { rng.u64(5..60) } else { 2_000_000 },
                // Of chance of its own, so that other seeds stay as they are.
                preempts: Rng::with_seed(seed ^ 0xE71C).u32(..4) == 0,
                lends: Rng::with_seed(seed ^ 0x1E4D).u32(..3) == 0,
                delay: [0, 3, 50, 400][rng.usize(..4)],
                lost: if bad_links { rng.u32(..500) } else { 0 },
                doubled: if bad_links { rng.u32(..1000) } else { 0 },
                gangs: gangs::largest(seed, nodes, &house),
                has_stages: steps::has_stages(seed, &house),
                agents: 0,
                planted: Planted::Nothing,
                house,
            },
            told: None,
        }
    }

    /// One machine on which nothing happens but what is told.
    pub(super) fn told(scenario: Scenario) -> Self {
        let plan = Self::under(1, scenario.house());
        let nature = Nature {
            kill_takes: 100,
            waiting_tasks: 2_000_000,
            delay: 3,
            lost: 0,
            doubled: 0,
            gangs: 0,
            has_stages: false,
            agents: scenario.agents(),
            ..plan.nature
        };
        let told = Some(scenario);
        Self { nodes: 1, graphs: 0, faults: None, ends: true, flood: false, nature, told }
    }

    /// What the seed says, under the usual rules.
    pub(super) fn plain(seed: u64) -> Self {
        Self::under(seed, House::default())
    }

    /// The same in a world that lies.
    pub(super) fn with(mut self, planted: Planted) -> Self {
        self.nature.planted = planted;
        self
    }
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Run {
    seed: u64,
    plan: Plan,
    pub(super) history: History,
    notes: Vec<String>,
    failures: Vec<String>,
    /// What would go on for ever, where something did.
    endless: Option<String>,
}

/// Simulates one seed on a runtime of its own.
pub(super) fn run(seed: u64, plan: Plan) -> Run {
    traps::remove();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let mut rng = Rng::with_seed(seed ^ 0x5EED);
        let world = World::new(rng.fork(), plan.nature);
        match until_its_end(simulate((seed, plan), &world, rng)).await {
            Ok(run) => run,
            Err(endless) => {
                world.core().note("looked at as it is here");
                let run = cut_short(seed, Plan { ends: false, ..plan }, &world).await;
                Run { endless: Some(endless), ..run }
            }
        }
    })
}

async fn simulate((seed, plan): (u64, Plan), world: &World, mut rng: Rng) -> Run {
    {
        let mut core = world.core();
        for number in 0..plan.nodes {
            let cpus = if number == 0 { 4 } else { rng.u64(1..5) };
            let (cpu_millis, memory_bytes) = (cpus * 1000, (2 * cpus) << 30);
            let capacity = Resources { cpu_millis, memory_bytes, gpu_slots: 1, ..Resources::default() };
            let drift = rng.i32(-DRIFT..=DRIFT);
            core.nodes.push(Node::new(number, capacity, drift));
            let begins = rng.u64(..2000);
            core.plan(begins, Event::StartDaemon { node: number });
        }
        agents::join(&mut core, (seed, plan.nature.agents));
        break_machines(&mut core, plan);
        core.plan(0, Event::StartHead);
        if let Some(pause) = plan.faults {
            nemesis::plan(&mut core, STORM, pause);
        }
    }
    let clients: Vec<_> = (0..plan.graphs)
        .map(|number| {
            let at = rng.u64(..STORM * 2 / 3);
            tokio::spawn(client(world.clone(), rng.fork(), number, at))
        })
        .collect();
    let crowd = plan.flood.then(|| tokio::spawn(flood(world.clone(), rng.fork())));
    let clients = clients.into_iter().chain(plan.told.map(|told| tokio::spawn(tell(world.clone(), told))));
    let gathered = plan.nature.house.crowd.map(|_| tokio::spawn(gather(world.clone())));
    let driver = tokio::spawn(world.clone().drive());
    tokio::time::sleep(Duration::from_millis(STORM)).await;
    if !plan.ends {
        driver.abort();
        return cut_short(seed, plan, world).await;
    }
    world.calm();
    let mut insisting = 0;
    for client in clients.into_iter().chain(crowd).chain(gathered) {
        let left = until_late(world);
        match tokio::time::timeout(left, client).await {
            Ok(over) => over.expect("clients do not panic"),
            Err(_) => insisting += 1,
        }
    }
    let rows = come_to_rest(world).await;
    // What ends late on its own must have ended by then.
    tokio::time::sleep(Duration::from_secs(15)).await;
    driver.abort();
    let endless =
        (insisting > 0).then(|| format!("{insisting} clients still insist, long after the last fault"));
    Run { endless, ..conclude(seed, plan, world, rows).await }
}

/// Draws which machines are cut off for long, which can start nothing for a while, and when the scheduler side dies among
/// those who wait, where the house wants that.
fn break_machines(core: &mut Core, plan: Plan) {
    let house = &plan.nature.house;
    let mut rng = house.chance(u64::MAX);
    if house.is_stubborn {
        for _ in 0..2 {
            let (node, at) = (rng.usize(..plan.nodes), rng.u64(4000..40_000));
            let length = rng.u64(18_000..30_000);
            core.plan_at(at, Event::Fault(Fault::Cut { node, cut: (true, true), length }));
        }
    }
    if house.crowd == Some(Crowd::Patient) && rng.bool() {
        // While some have waited for nearly as long as they may.
        let at = comes_at(house) + rng.u64(1000..2500);
        let dies = Fault::HeadDies { power_too: false, restart_after: rng.u64(100..700) };
        core.plan_at(at, Event::Fault(dies));
    }
    let times = if house.breaker.is_some() { rng.u32(1..4) } else { 0 };
    for _ in 0..times {
        let (node, from) = (rng.usize(..plan.nodes), rng.u64(2000..STORM - 15_000));
        core.broken.push((node, from, from + rng.u64(500..15_000)));
    }
}

/// The power goes in the middle of everything, and nothing is healed: safety alone is looked at.
async fn cut_short(seed: u64, plan: Plan, world: &World) -> Run {
    traps::remove();
    world.crash_head(true, 0);
    world.core().disk.kill();
    conclude(seed, plan, world, Vec::new()).await
}

/// How long it may still take until everything has ended.
fn until_late(world: &World) -> Duration {
    let core = world.core();
    let until = Duration::from_millis(STORM + LIVENESS) + core.work;
    until.saturating_sub(Duration::from_millis(core.now()))
}

/// Waits until everything has ended, or far too long.
async fn come_to_rest(world: &World) -> Vec<RawRow> {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let late = until_late(world).is_zero();
        let rows = rows(world).await;
        if late {
            give_up(world, rows.as_deref()).await;
        }
        if late || rows.as_ref().is_some_and(|rows| rows.iter().all(|row| row.state.is_ended())) {
            return rows.unwrap_or_default();
        }
    }
}

/// Notes how everything stands that should have ended.
async fn give_up(world: &World, rows: Option<&[RawRow]>) {
    world.core().note("gave up waiting");
    for row in rows.unwrap_or_default().iter().filter(|row| !row.state.is_ended()) {
        world.core().note(format!("{} is {}", row.seat.task, row.state));
    }
    let Some((_, side)) = world.side() else { return };
    for (_, address) in side.nodes.all() {
        let row = address.ask(Duration::from_secs(1), NodeMessage::Describe).await;
        world.core().note(format!("{row:?}"));
    }
}

/// What the scheduler says of every task, if everything has ended or nobody cares.
pub(super) async fn rows(world: &World) -> Option<Vec<RawRow>> {
    let (_, side) = world.side()?;
    let server =
        ServerInfo { version: "".into(), name: "".into(), started: side.clock.wall(), epoch: 0, durable: 0 };
    let status = ask(&side, |reply| SchedulerMessage::Status { server, reply }).await?;
    let mut rows: Vec<RawRow> = Vec::new();
    while (rows.len() as u64) < status.tasks.total() {
        let after: Option<TaskId> = rows.last().map(|row| row.seat.task);
        let filter = TaskFilter::default();
        let page =
            ask(&side, |reply| SchedulerMessage::Rows { filter, after, limit: PAGE_LIMIT, reply }).await?;
        if page.is_empty() {
            break;
        }
        rows.extend(page);
    }
    Some(rows)
}

fn labels_of(node: &Node) -> Labels {
    Labels::of(&node.name.0, node.labels.iter().map(|(name, value)| (&**name, &**value)))
}

async fn conclude(seed: u64, plan: Plan, world: &World, rows: Vec<RawRow>) -> Run {
    let (head, disk, clock) = {
        let mut core = world.core();
        (core.head.take(), core.disk.clone(), core.clock)
    };
    if let Some(head) = head {
        head.stop().await;
    }
    let bound = plan.nature.waiting_tasks;
    let claims = super::claims::rules();
    let mut history = History { rows: Some(rows), has_ended: plan.ends, bound, claims, ..History::default() };
    let mut core = world.core();
    match open_log(&disk, clock, false) {
        Ok(log) => {
            let read = log.replay(0, |position, record| history.records.push((position, record)));
            core.failures.extend(read.err().map(|error| error.to_string()));
        }
        Err(error) => core.failures.push(error),
    }
    history.limits = plan.nature.house.limits();
    history.until = clock.wall();
    history.preempts = plan.nature.preempts;
    history.lends = plan.nature.lends;
    history.kill_takes = Duration::from_millis(plan.nature.kill_takes);
    history.disconnected = std::mem::take(&mut core.disconnected);
    history.operations = std::mem::take(&mut core.operations);
    history.processes = std::mem::take(&mut core.processes);
    history.steps = std::mem::take(&mut core.steps);
    history.lost = std::mem::take(&mut core.lost);
    history.labels = core.nodes.iter().map(|node| (node.name.clone(), labels_of(node))).collect();
    history.nodes = core.nodes.iter().map(|node| (node.name.clone(), node.capacity.clone())).collect();
    let (notes, failures) = (std::mem::take(&mut core.notes), std::mem::take(&mut core.failures));
    Run { seed, plan, history, notes, failures, endless: None }
}

impl Run {
    /// Everything that is wrong with it.
    pub(super) fn violations(&self) -> Vec<Violation> {
        let broken = self.failures.iter().map(|text| Violation { promise: "I12", text: text.clone() });
        let endless = self.endless.iter().map(|text| Violation { promise: "I7", text: text.clone() });
        endless.chain(broken).chain(self.history.violations()).collect()
    }

    /// A number that is the same for two runs only where all of their histories is the same.
    pub(super) fn digest(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let History { records, operations, processes, steps, rows, .. } = &self.history;
        let mut hasher = DefaultHasher::new();
        format!("{:?}", (records, operations, processes, steps, rows)).hash(&mut hasher);
        hasher.finish()
    }

    /// For the person who has to find out why.
    pub(super) fn describe(&self, violations: &[Violation], all: bool) -> String {
        let Self { seed, plan, history, notes, .. } = self;
        let mut text = format!("--seed {seed} ({plan:?}): {} violations\n", violations.len());
        let records = history.records.len().saturating_sub(60);
        let mut line = |what: &dyn std::fmt::Display| writeln!(text, "{what}").expect("a string takes it");
        violations.iter().take(12).for_each(|violation| line(violation));
        notes.iter().for_each(|note| line(note));
        for (_, record) in history.records.iter().skip(if all { 0 } else { records }) {
            let at = record.at.0 % 10_000_000_000;
            line(&format_args!("{:>5} @{at} {:?}", record.number, record.event));
        }
        if all {
            history.operations.iter().for_each(|operation| line(&format_args!("{operation:?}")));
            history.processes.iter().for_each(|process| line(&format_args!("{process:?}")));
            history.steps.iter().for_each(|step| line(&format_args!("{step:?}")));
        }
        text
    }
}
