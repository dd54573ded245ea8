//! One structured event for every restart and every failure of a supervisor; OTP's supervisor reports.
//!
//! Fields: `supervisor`, `context` (what happened, in OTP's words), `offender` (the child), `reason`,
//! and `delay_ms` for a restart.

use std::time::Duration;

use crate::exit::{Ending, Exit};
use crate::supervisor::machine::Machine;
use crate::supervisor::step::Report;

/// Tells people.
pub(crate) fn tell(supervisor: &str, machine: &Machine, report: &Report) {
    let name = |child: usize| machine.spec(child).name.as_str();
    match report {
        Report::Restarting { child, exit, delay } => restarting(supervisor, name(*child), exit, *delay),
        Report::Left { child, exit } => left(supervisor, name(*child), exit),
        Report::Late { child } => late(supervisor, name(*child)),
        Report::Stuck { child } => stuck(supervisor, name(*child)),
        Report::GivingUp(ending) => giving_up(supervisor, ending),
    }
}

/// A child is started again after `delay`.
pub(crate) fn restarting(supervisor: &str, offender: &str, exit: &Exit, delay: Duration) {
    let context = if matches!(exit, Exit::StartFailed(_)) { "start_error" } else { "child_terminated" };
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(supervisor, context, offender, reason = %exit, delay_ms, "restarting");
}

/// A child ended and stays away: worth a word only where it failed.
pub(crate) fn left(supervisor: &str, offender: &str, exit: &Exit) {
    if exit.is_orderly() {
        tracing::debug!(supervisor, context = "child_terminated", offender, reason = %exit, "left");
    } else {
        tracing::warn!(supervisor, context = "child_terminated", offender, reason = %exit, "not restarted");
    }
}

/// A child missed its deadline.
pub(crate) fn late(supervisor: &str, offender: &str) {
    tracing::warn!(supervisor, context = "shutdown_error", offender, "killing a child that does not stop");
}

/// A killed child did not go.
pub(crate) fn stuck(supervisor: &str, offender: &str) {
    tracing::error!(
        supervisor,
        context = "shutdown_error",
        offender,
        "a child cannot be killed: its handler does not return"
    );
}

/// The supervisor ends.
pub(crate) fn giving_up(supervisor: &str, ending: &Ending) {
    tracing::error!(supervisor, context = "shutdown", reason = %ending, "giving up");
}
