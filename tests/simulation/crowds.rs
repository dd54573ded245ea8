//! Many tasks at once, each crowd made for one promise: shares of tenants, a bound on waiting, room for what is large.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use policy::event::{ArraySpec, Item, SubmissionKey};
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::{Priority, TaskSpec};

use super::clients::submit;
use super::house::{Crowd, House, WEIGHTS};
use super::program::Program;
use super::world::World;

/// Tasks of a fair crowd for each unit of weight: all tenants wait until nearly all have started, and for two hundred starts also
/// where they are served as if they weighed the same.
const FOR_EACH_WEIGHT: u64 = 75;

/// Tasks of what is urgent, and arrays of them.
const URGENT: (u64, u64) = (150, 4);

/// Small tasks in one array of the stream, and arrays.
const SMALL: (u64, u64) = (110, 3);

/// Tells the chance of crowds from that of other things in a house.
const CHANCE: u64 = 0xC0DE;

/// The millisecond in which the crowd of a house comes.
pub(super) fn comes_at(house: &House) -> u64 {
    house.chance(!CHANCE).u64(2000..30_000)
}

/// Has the crowd of this house come, in the middle of everything.
pub(super) async fn gather(world: World) {
    let house = world.house();
    let mut rng = house.chance(CHANCE);
    tokio::time::sleep(Duration::from_millis(comes_at(&house))).await;
    let Some(crowd) = house.crowd else { return };
    let submissions = match crowd {
        Crowd::Fair => vec![fair(&mut rng)],
        Crowd::Patient => patient(&mut rng),
        Crowd::Stream => stream(&mut rng),
    };
    for (number, submission) in (0..).zip(submissions) {
        submit(&world, &mut rng, &submission, [254 - number; 16]).await;
    }
}

/// A task that does its work and ends.
fn spec(rng: &mut Rng, tenant: &str, priority: Priority) -> TaskSpec {
    let length = rng.u64(100..400);
    let program = Program { length, fails: 0, obeys_after: Some(0), is_missing: false, kills: false };
    TaskSpec {
        priority,
        tenant: tenant.into(),
        resources: Resources::cpus(500),
        ..TaskSpec::new(tenant, program.argv())
    }
}

fn many(spec: TaskSpec, count: u64) -> Item {
    let array = Some(ArraySpec { first: 0, count, parallel_limit: None });
    Item { array, ..Item::new(Arc::new(spec)) }
}

fn of(rng: &mut Rng, name: &str, items: Vec<Item>) -> Submission {
    Submission::new(SubmissionKey(u128::from(rng.u64(..))), name, items)
}

/// Tenants of different weights, of which each has as much work as it is due.
fn fair(rng: &mut Rng) -> Submission {
    // All as long, so that starts are what is shared: by what is held, who has short ones would be due more of them.
    let one = spec(rng, "fair", Priority::Normal);
    let item = |(tenant, weight): &(&str, u32)| {
        many(TaskSpec { tenant: (*tenant).into(), ..one.clone() }, FOR_EACH_WEIGHT * u64::from(*weight))
    };
    let items = WEIGHTS.iter().map(item).collect();
    of(rng, "fair crowd", items)
}

/// Little that is not urgent, of several needs, and then more and more that is.
fn patient(rng: &mut Rng) -> Vec<Submission> {
    let mut items = vec![many(spec(rng, "patient", Priority::Low), 40)];
    for priority in [Priority::Low, Priority::Low, Priority::Normal] {
        let resources = Resources::cpus(250 * rng.u64(1..=2));
        let memory_bytes = rng.u64(1..=3) << 28;
        let one = spec(rng, "patient", priority);
        items.push(Item::new(Arc::new(TaskSpec {
            resources: Resources { memory_bytes, ..resources },
            ..one
        })));
    }
    let urgent = (0..URGENT.1).map(|_| {
        let one = spec(rng, "urgent", Priority::Critical);
        let resources = Resources { memory_bytes: 1 << 30, ..one.resources.clone() };
        many(TaskSpec { resources, ..one }, URGENT.0)
    });
    let urgent = urgent.collect();
    vec![of(rng, "patient", items), of(rng, "urgent", urgent)]
}

/// Small tasks without end, and one that needs a whole node.
fn stream(rng: &mut Rng) -> Vec<Submission> {
    let small = (0..SMALL.1).map(|_| many(spec(rng, "stream", Priority::Normal), SMALL.0)).collect();
    let one = spec(rng, "large", Priority::Normal);
    let large = Item::new(Arc::new(TaskSpec { resources: Resources::cpus(4000), ..one }));
    vec![of(rng, "stream", small), of(rng, "large", vec![large])]
}
