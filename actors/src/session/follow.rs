//! Stays with an attempt to its end, across connections that are cut: each byte of each stream comes once, in
//! order, because whoever reads counts them and asks for what is behind them.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use policy::session::SessionName;

use super::row::AttemptRow;
use super::script::{Script, Side};
use super::{SessionError, Sessions};

/// Before the first new connection; doubled up to [`PAUSE_LIMIT`].
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between two connections.
const PAUSE_LIMIT: Duration = Duration::from_secs(30);
/// Between two streams of an attempt that goes on: one that always stops at once must not keep a processor.
const BREATH: Duration = Duration::from_millis(200);
/// Connections in a row that fail before it is given up: some three minutes.
const FAILURES_LIMIT: u32 = 10;

/// Where the streams go.
pub struct Sinks<'a> {
    /// Standard output.
    pub out: &'a mut (dyn Write + Send),
    /// Standard error.
    pub err: &'a mut (dyn Write + Send),
}

impl std::fmt::Debug for Sinks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sinks")
    }
}

/// Follows an attempt, as it was when it was begun or looked at, from these bytes on, and tells how it ended. What has ended by
/// then is read and not followed. `cut` is told of every connection that failed.
///
/// # Errors
/// The attempt or its machine cannot be found any more, or a sink fails.
pub fn follow(
    sessions: &Sessions,
    (name, known): (&SessionName, &AttemptRow),
    mut from: [u64; 2],
    mut sinks: Sinks<'_>,
    cut: &mut dyn FnMut(&SessionError),
) -> Result<AttemptRow, SessionError> {
    let attempt = (name, &*known.key);
    let over = Some(known).filter(|row| !row.goes_on());
    let (mut failures, mut pause) = (0, PAUSE);
    loop {
        let before = from;
        let turned = match over {
            Some(row) => finish(sessions, name, row, &mut from, &mut sinks).map(|()| Some(row.clone())),
            None => turn(sessions, attempt, &mut from, &mut sinks),
        };
        match turned {
            Ok(Some(row)) => return Ok(row),
            // It goes on, but this stream of it has stopped.
            Ok(None) => {
                (failures, pause) = (0, PAUSE);
                thread::park_timeout(BREATH);
            }
            Err(error @ (SessionError::Unreachable { .. } | SessionError::Silent { .. })) => {
                if before != from {
                    (failures, pause) = (0, PAUSE);
                }
                failures += 1;
                if failures >= FAILURES_LIMIT {
                    return Err(error);
                }
                cut(&error);
                thread::park_timeout(pause);
                pause = (pause * 2).min(PAUSE_LIMIT);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Reads both streams until the attempt has ended or the connection has; then looks which it was, and takes what
/// is left.
fn turn(
    sessions: &Sessions,
    attempt: (&SessionName, &str),
    from: &mut [u64; 2],
    sinks: &mut Sinks<'_>,
) -> Result<Option<AttemptRow>, SessionError> {
    let [out, err] = from;
    let Sinks { out: to_out, err: to_err } = sinks;
    let read = thread::scope(|scope| {
        let other = scope.spawn(|| listen(sessions, attempt, Side::Err, err, *to_err));
        let one = listen(sessions, attempt, Side::Out, out, *to_out);
        let other = other.join().unwrap_or(Ok(()));
        one.and(other)
    });
    if let Err(error @ (SessionError::Here { .. } | SessionError::Unsayable(_))) = read {
        return Err(error);
    }
    let row = sessions.look(attempt.0)?.attempt;
    let row = row.filter(|row| *row.key == *attempt.1);
    let row = row.ok_or_else(|| SessionError::Garbled { host: "".into(), said: "another attempt".into() })?;
    if row.goes_on() {
        return read.map(|()| None);
    }
    finish(sessions, attempt.0, &row, from, sinks)?;
    Ok(Some(row))
}

fn listen(
    sessions: &Sessions,
    attempt: (&SessionName, &str),
    side: Side,
    from: &mut u64,
    to: &mut (dyn Write + Send),
) -> Result<(), SessionError> {
    let script = Script::read(attempt.0, attempt.1, side, *from, true)?;
    sessions.stream(&script, true, None, &mut |bytes| take(bytes, from, to)).map(drop)
}

/// Takes what is behind the bytes that came, of one that has ended: it writes nothing any more.
fn finish(
    sessions: &Sessions,
    name: &SessionName,
    row: &AttemptRow,
    from: &mut [u64; 2],
    sinks: &mut Sinks<'_>,
) -> Result<(), SessionError> {
    let [out, err] = from;
    let (key, [wrote_out, wrote_err]) = (&*row.key, row.written);
    if *out < wrote_out {
        sessions.read((name, key, Side::Out, *out), &mut |bytes| take(bytes, out, sinks.out))?;
    }
    if *err < wrote_err {
        sessions.read((name, key, Side::Err, *err), &mut |bytes| take(bytes, err, sinks.err))?;
    }
    Ok(())
}

fn take(bytes: &[u8], count: &mut u64, to: &mut (dyn Write + Send)) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()?;
    *count += bytes.len() as u64;
    Ok(())
}
