//! Gangs in the world: some of what clients hand in runs on several nodes at once or not at all.

use std::sync::Arc;

use fastrand::Rng;
use policy::event::ArraySpec;
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::TaskSpec;

use super::house::House;
use super::world::World;

/// The most members that a gang of this world has; 0 where there are none.
pub(super) fn largest(seed: u64, nodes: usize, house: &House) -> u32 {
    // Of chance of its own, so that other seeds stay as they are.
    let has_gangs = Rng::with_seed(seed ^ 0x6A46).u32(..3) == 0 && house.crowd.is_none();
    let most = u32::try_from(nodes.min(3)).expect("few nodes");
    let may_run = house.limits().quotas.usual.max_running;
    let within = u32::try_from(may_run).ok().filter(|may_run| *may_run > 0).unwrap_or(u32::MAX);
    let most = most.min(within);
    if has_gangs && most >= 2 { most } else { 0 }
}

/// Makes gangs of some items: small enough that every node can run a member, be it among others.
pub(super) fn form(submission: &mut Submission, world: &World) {
    let largest = world.core().nature.gangs;
    if largest == 0 {
        return;
    }
    let mut rng =
        Rng::with_seed(!u64::try_from(submission.key.0 & u128::from(u64::MAX)).expect("it is masked"));
    for item in &mut submission.items {
        let (is_one, members, cores) = (rng.u32(..3) == 0, rng.u32(2..=largest), rng.u64(1..=4));
        if is_one && item.spec.resources.cpu_millis < 4000 {
            let spec = Arc::make_mut(&mut item.spec);
            let mut constraints = spec.constraints.clone();
            (constraints.require, constraints.company) = (Vec::new(), None);
            *spec = TaskSpec {
                gang: Some(members),
                claims: None,
                is_preemptible: false,
                resources: Resources::cpus(250 * cores),
                alternatives: Vec::new(),
                constraints,
                ..spec.clone()
            };
            item.array = Some(ArraySpec::of_gang(members));
        }
    }
}
