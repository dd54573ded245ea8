//! Stays with an attempt to its end, across connections that are cut: each byte of each stream comes once, in
//! order, because whoever reads counts them and asks for what is behind them.
//!
//! All streams come in one exchange, and the end with them: a machine serves some ten at once over one connection.

use std::io::{self, Write};
use std::time::Duration;

use policy::session::SessionName;

use super::again::Again;
use super::carry::pause_for;
use super::exchange::Patience;
use super::row::{self, AttemptRow};
use super::script::{Script, Side};
use super::{SessionError, Sessions};

/// The longest pause between two connections.
const PAUSE_LIMIT: Duration = Duration::from_secs(30);
/// Between two streams of an attempt that goes on: one that always stops at once must not keep a processor.
const BREATH: Duration = Duration::from_millis(200);
/// Connections in a row that fail before it is given up: some three minutes.
const FAILURES_LIMIT: u32 = 10;

/// Where the streams go.
pub struct Sinks<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// What it says of itself, where that is wanted.
    pub report: Option<&'a mut dyn Write>,
}

impl std::fmt::Debug for Sinks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sinks")
    }
}

/// So many bytes of each stream are here already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts([u64; 3]);

impl Counts {
    fn of(&mut self, side: Side) -> &mut u64 {
        let [out, err, report] = &mut self.0;
        match side {
            Side::Out => out,
            Side::Err => err,
            Side::Report => report,
        }
    }

    /// Whether nothing is missing of an attempt that has ended.
    fn reach(&self, row: &AttemptRow, reports: bool) -> bool {
        let [out, err, report] = self.0;
        let [wrote_out, wrote_err] = row.written;
        out >= wrote_out && err >= wrote_err && (!reports || report >= row.reported)
    }
}

/// Follows an attempt, as it was when it was begun or looked at, from these bytes of its output on, and tells how it ended. What
/// has ended by then and has nothing more to say is not asked. `cut` is told of every connection that failed.
///
/// # Errors
/// The attempt or its machine cannot be found any more, or a sink fails.
pub fn follow(
    sessions: &Sessions,
    (name, known): (&SessionName, &AttemptRow),
    from: [u64; 2],
    mut sinks: Sinks<'_>,
    cut: &mut dyn FnMut(&SessionError),
) -> Result<AttemptRow, SessionError> {
    let mut counts = Counts([from[0], from[1], 0]);
    if !known.goes_on() && counts.reach(known, sinks.report.is_some()) {
        return Ok(known.clone());
    }
    let mut again = Again::new(PAUSE_LIMIT, FAILURES_LIMIT);
    loop {
        let before = counts;
        match turn(sessions, (name, &known.key), &mut counts, &mut sinks) {
            Ok(row) if !row.goes_on() => return Ok(row),
            // It goes on, but this stream of it has stopped.
            Ok(_) => {
                again.brought();
                pause_for(BREATH);
            }
            Err(error @ (SessionError::Unreachable { .. } | SessionError::Silent { .. })) => {
                if before != counts {
                    again.brought();
                }
                let Some(pause) = again.failed() else { return Err(error) };
                cut(&error);
                pause_for(pause);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Takes what comes until the attempt has ended or the connection has; tells how far it is.
fn turn(
    sessions: &Sessions,
    (name, key): (&SessionName, &str),
    counts: &mut Counts,
    sinks: &mut Sinks<'_>,
) -> Result<AttemptRow, SessionError> {
    let [out, err, report] = counts.0;
    let script = Script::follow(name, key, [Some(out), Some(err), sinks.report.is_some().then_some(report)])?;
    let reply = sessions.frames(&script, Patience::default(), &mut |side, bytes| {
        match (side, &mut sinks.report) {
            (Side::Out, _) => pass_on(bytes, sinks.out)?,
            (Side::Err, _) => pass_on(bytes, sinks.err)?,
            (Side::Report, Some(to)) => pass_on(bytes, *to)?,
            (Side::Report, None) => {}
        }
        *counts.of(side) += bytes.len() as u64;
        Ok(())
    })?;
    let row = reply.find("attempt").and_then(row::attempt);
    row.ok_or_else(|| sessions.garbled(&reply))
}

fn pass_on(bytes: &[u8], to: &mut dyn Write) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
