//! What a task waits for, as told to people.

use std::time::Duration;

use policy::constraint::{Condition, Test};
use policy::demand::Demand;
use policy::explain::{Ahead, Estimate, Holding, Verdict};
use policy::graph::Lent;
use policy::hindrance::Hindrance;
use policy::id::{NodeId, TaskId};
use policy::layout::{before, since};
use policy::preempt::Evicted;
use policy::resources::Resources;
use policy::task::Priority;
use serde::{Deserialize, Serialize};

use crate::wire::client::TaskRow;

/// Everything that keeps a task from running, or that nothing does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The task.
    pub row: TaskRow,
    /// In one word.
    pub verdict: Verdict,
    /// Tasks it depends on that are not over, the first [`BLOCKERS_LIMIT`].
    pub blocked_by: Vec<Blocker>,
    /// What refuses it now.
    pub hindrances: Vec<Hindrance>,
    /// Whose attempts are stopped to make room for it, and where.
    pub evicting: Option<Evicting>,
    /// For whom its attempt is being stopped.
    pub makes_room_for: Option<TaskId>,
    /// As what it is served while that waits for it, and whose priority that is.
    #[serde(deserialize_with = "since::<5, _, _>", skip_serializing_if = "before::<5, _>")]
    pub lent: Option<Lent>,
    /// For whom it made room last, and how often it has.
    pub evicted: Option<Evicted>,
    /// Who holds what it needs, the first [`HOLDINGS_LIMIT`].
    pub holdings: Vec<Holding>,
    /// Who is before it, where it is in a queue.
    pub ahead: Option<Ahead>,
    /// How long tasks that ask alike take as a rule; `None` where none has ended yet.
    pub usual: Option<Duration>,
    /// When it should start; `None` where nothing like it has run lately.
    pub estimate: Option<Estimate>,
}

/// What a task is supposed to ask for in place of what it does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WhatIf {
    /// So much of a core.
    pub cpu_millis: Option<u64>,
    /// So much memory.
    pub memory_bytes: Option<u64>,
    /// So much disk.
    pub disk_bytes: Option<u64>,
    /// So many slots of the GPU.
    pub gpu_slots: Option<u64>,
    /// This machine alone.
    pub node: Option<NodeId>,
}

impl WhatIf {
    /// A demand as it would be.
    pub fn change(&self, demand: &mut Demand) {
        let Resources { cpu_millis, memory_bytes, disk_bytes, gpu_slots, .. } = &mut demand.resources;
        let said = [
            (cpu_millis, self.cpu_millis),
            (memory_bytes, self.memory_bytes),
            (disk_bytes, self.disk_bytes),
            (gpu_slots, self.gpu_slots),
        ];
        for (of, wanted) in said {
            if let Some(wanted) = wanted {
                // What else would do is of another request.
                (*of, demand.alternatives) = (wanted, Vec::new());
            }
        }
        if let Some(node) = &self.node {
            let require = &mut demand.constraints.require;
            require.retain(|condition| &*condition.label != "node");
            require.push(Condition { label: "node".into(), test: Test::Is(node.0.as_ref().into()) });
        }
    }
}

/// Attempts that make room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evicting {
    /// Where.
    pub node: NodeId,
    /// Their tasks.
    pub tasks: Vec<TaskId>,
}

/// Dependencies that one explanation names: what a person reads.
pub const BLOCKERS_LIMIT: usize = 16;
/// Holders that one explanation names: what a person reads.
pub const HOLDINGS_LIMIT: usize = 8;

/// A task that must be over before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// The first that is meant.
    pub task: TaskId,
    /// How many, with consecutive ids.
    pub tasks: u32,
    /// Its name, without an index.
    pub name: Box<str>,
    /// How urgent it is: less than who waits for it, and the wait is as long as that of the less urgent.
    pub priority: Priority,
    /// As what it is served, where that is more urgent than it is: priority is lent.
    #[serde(deserialize_with = "since::<5, _, _>", skip_serializing_if = "before::<5, _>")]
    pub runs_as: Option<Priority>,
}
