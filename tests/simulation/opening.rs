//! The scheduler side's start on the simulated disk.

use std::sync::Arc;

use actors::clock::Clock;
use actors::config::Limits;
use actors::config::scheduler::Scheduling;
use actors::head::Head;
use actors::log::disk::{Durability, SimulatedDisk};
use actors::log::{Log, LogLimits, OpenError};
use policy::admission::{AdmissionLimits, Unschedulable};
use policy::lease::LeaseTerms;
use policy::preempt::Preemption;

use super::claims;
use super::world::{Nature, Planted};

/// What a log that cannot be opened is called, in contrast to a disk that fails just then.
pub(super) const DAMAGED: &str = "damaged: ";

/// Small segments, so that histories span several.
const SEGMENT_BYTES: u64 = 32 * 1024;

/// The limits of the simulated log; on a disk that lies nothing is ever synced.
fn log_limits(lies: bool) -> LogLimits {
    let durability = if lies { Durability::Os } else { Durability::Full };
    LogLimits { segment_bytes: SEGMENT_BYTES, durability, ..LogLimits::default() }
}

/// Starts a scheduler side on the log that is on `disk`.
pub(super) async fn open_head(disk: &SimulatedDisk, clock: Clock, nature: Nature) -> Result<Head, String> {
    let log = open_log(disk, clock, nature.planted == Planted::DiskLies)?;
    let admission = AdmissionLimits { waiting_tasks: nature.waiting_tasks, ..AdmissionLimits::default() };
    // Machines come and go here: what fits none of those that are up waits for one.
    let unschedulable = Unschedulable::Warn;
    let claims = Arc::new(claims::rules());
    let limits = Limits { admission, unschedulable, claims, ..nature.house.limits() };
    let preemption = if nature.preempts { Preemption::Critical } else { Preemption::Off };
    let scheduling = Scheduling { preemption, lends_priority: nature.lends, ..limits.scheduling };
    let limits = Limits { scheduling, ..limits };
    let head =
        Head::start_on(log, ("simulated".into(), clock), LeaseTerms::default(), limits, |_, _| Vec::new());
    head.await.map_err(|error| error.to_string())
}

/// Opens the log for a scheduler side, or to read it.
pub(super) fn open_log(disk: &SimulatedDisk, clock: Clock, lies: bool) -> Result<Log, String> {
    let held = disk.hold().map_err(|error| error.to_string())?;
    Log::open_driven(held, log_limits(lies), clock).map_err(|error| match error {
        OpenError::Io { .. } | OpenError::Hold(_) => error.to_string(),
        damaged => format!("{DAMAGED}{damaged}"),
    })
}
