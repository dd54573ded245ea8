//! Work that no machine of the fleet can ever run: refused when it is handed in, or taken in with a warning.
//!
//! Whether that is so is decided by the function that places (`placement::place`); this says it to whoever hands in.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::admission::Problem;
use crate::fleet::Misfit;
use crate::placement::Reason;
use crate::resources::Shortage;
use crate::shards::DRIVER;

/// What follows for it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Unschedulable {
    /// It is refused: what waits for a machine that nobody will bring waits for ever.
    #[default]
    Refuse,
    /// It is taken in with a warning, and waits for a machine that can run it.
    Warn,
}

/// What is wrong with an item whose demand no node can ever meet, by the node that comes closest to it.
#[must_use]
pub fn misfit(item: usize, name: &str, misfit: &Misfit) -> Vec<Problem> {
    let Misfit { nodes, gang } = misfit;
    let closest = nodes.iter().min_by_key(|(node, reason)| (distance(reason), node));
    let problem = |field: &str, value: &str, expected: String| Problem {
        item: Some(item),
        field: field.into(),
        value: value.into(),
        expected: expected.into(),
    };
    if let Some((needs, able)) = gang {
        let closest = closest.map_or_else(String::new, |(node, reason)| format!(": {node}: {reason}"));
        let most = format!("task {name:?} needs so many machines at once, and finds {able}{closest}");
        return vec![problem("gang", &needs.to_string(), most)];
    }
    let Some((node, reason)) = closest else { return Vec::new() };
    match reason {
        Reason::TooSmall(shortages) if let Some(kind) = shortages.iter().find_map(Shortage::unhandled) => {
            let nobody = format!("no agent that handles {kind} has joined: start one first");
            vec![problem("handler", kind, nobody)]
        }
        Reason::TooSmall(shortages) if shortages.iter().any(|shortage| &*shortage.resource == DRIVER) => {
            let nowhere = "no machine has suites of tests run: the scheduler's own does where it runs tasks, others where \
                           [worker] suites says how they reach it";
            vec![problem("shard", "", nowhere.to_owned())]
        }
        Reason::TooSmall(shortages) => {
            let of = |shortage: &Shortage| {
                let Shortage { resource, needed, available } = shortage;
                let most = format!(
                    "no machine has all that task {name:?} needs: {node} comes closest and has {available}"
                );
                problem(resource, &needed.to_string(), most)
            };
            shortages.iter().map(of).collect()
        }
        other => vec![problem("", "", format!("no machine can ever run task {name:?}: {node}: {other}"))],
    }
}

/// The smaller, the closer: whether it is too small, how many dimensions fall short, and how far the worst of them does, in thousandths.
fn distance(reason: &Reason) -> (bool, usize, u128) {
    let Reason::TooSmall(shortages) = reason else { return (false, 0, 0) };
    let gap =
        |shortage: &Shortage| u128::from(shortage.needed) * 1000 / u128::from(shortage.available.max(1));
    (true, shortages.len(), shortages.iter().map(gap).max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::need;
    use crate::id::NodeId;
    use crate::resources::Resources;

    fn too_small(capacity: &Resources, need: &Resources) -> Reason {
        Reason::TooSmall(capacity.shortages(need))
    }

    fn both(cpu_millis: u64, gpu_slots: u64) -> Resources {
        Resources { cpu_millis, gpu_slots, ..Resources::default() }
    }

    fn alone(nodes: &[(NodeId, Reason)]) -> Misfit {
        Misfit { nodes: nodes.to_vec(), gang: None }
    }

    #[test]
    fn that_nobody_handles_a_kind_is_said_in_these_words() {
        let found = misfit(0, "cat.png", &alone(&[("a".into(), too_small(&both(4000, 0), &need("resize")))]));
        assert!(
            found[0].to_string().starts_with("handler = resize: no agent that handles resize has joined"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn where_no_machine_has_suites_run_it_is_said_what_does() {
        let need = crate::shards::driver_need();
        let found = misfit(0, "unit", &alone(&[("a".into(), too_small(&both(4000, 0), &need))]));
        assert!(found[0].to_string().contains("no machine has suites of tests run"), "{}", found[0]);
        let shortage = &both(4000, 0).shortages(&need)[0];
        assert_eq!(shortage.to_string(), "cannot have suites of tests run");
    }

    #[test]
    fn of_a_gang_it_is_said_how_many_machines_there_are_for_it() {
        let nodes = vec![("a".into(), too_small(&both(4000, 0), &both(8000, 0)))];
        let found = misfit(0, "ring", &Misfit { nodes, gang: Some((3, 2)) });
        assert_eq!(
            found[0].to_string(),
            "gang = 3: task \"ring\" needs so many machines at once, and finds 2: a: too small: needs 8 cpus, 4 available"
        );
        assert_eq!(misfit(0, "ring", &Misfit { nodes: Vec::new(), gang: Some((3, 2)) }).len(), 1);
    }

    #[test]
    fn the_task_what_it_needs_and_the_closest_machine_are_named() {
        let need = both(64_000, 1);
        let nodes = [
            ("a".into(), too_small(&both(4000, 0), &need)),
            ("b".into(), too_small(&both(8000, 1), &need)),
            ("c".into(), too_small(&both(16_000, 1), &need)),
        ];
        let found = misfit(3, "giant", &alone(&nodes));
        assert_eq!(found.iter().map(|problem| problem.item).collect::<Vec<_>>(), [Some(3)]);
        assert_eq!(
            found[0].to_string(),
            "cpu_millis = 64000: no machine has all that task \"giant\" needs: c comes closest and has 16000"
        );
        assert_eq!(misfit(0, "giant", &alone(&nodes[..1])).len(), 2, "each dimension that falls short");
        assert_eq!(misfit(0, "giant", &alone(&[])), []);
    }
}
