//! Runs a program with a script on its standard input, within a deadline. Must not know what is said.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::clock::Clock;
use crate::workspace::Cancel;

use super::way::CommandLine;

/// Bytes read at once: what a pipe holds.
const READ_BYTES: usize = 64 * 1024;
/// Pieces that wait for whoever takes them.
const PIECES_LIMIT: usize = 16;
/// Bytes of standard error that are kept, the last ones: the reason stands at the end.
const COMPLAINT_BYTES_LIMIT: usize = 8 * 1024;
/// Between two looks whether anybody still wants the answer: a checkout takes seconds, who gives one up is told at once.
const WANTED_LOOK: Duration = Duration::from_millis(50);

/// How a program has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Its exit status; 128 and the signal where one has ended it.
    pub code: i32,
    /// The end of what it said to standard error.
    pub complaint: Vec<u8>,
}

/// Why it has not ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// It cannot be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Which program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long, and was killed.
    #[error("it has not ended in time")]
    Late,
    /// Nobody wants to know any more; it was killed.
    #[error("it was given up")]
    GivenUp,
    /// Whoever takes its output cannot.
    #[error("cannot write what it says: {0}")]
    Sink(io::Error),
}

/// How a program is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner<'c> {
    /// Its standard input stays open to its end: the other side can then see that we are gone.
    pub held: bool,
    /// It is in a process group of its own, so that what is signalled to ours does not reach it.
    pub apart: bool,
    /// Who may give it up.
    pub cancel: Option<&'c Cancel>,
}

/// What comes from it.
enum Piece {
    Out(Vec<u8>),
    Err(Vec<u8>),
}

/// Runs `line` with `input`, and gives what it says to `sink` as it comes.
///
/// # Errors
/// It cannot be started, is late, or `sink` fails; then it has been killed.
pub fn carry(
    line: &CommandLine,
    input: &[u8],
    manner: Manner<'_>,
    deadline: Option<Duration>,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<Carried, CarryError> {
    let mut running = Running::start(line, manner.apart)?;
    let stdin = running.child.stdin.take();
    thread::scope(|scope| {
        // A program that reads nothing more has said or will say why.
        let feeding = scope.spawn(move || stdin.and_then(|stdin| feed(stdin, input, manner.held)));
        let done = running.listen((deadline, manner.cancel), sink);
        if done.is_err() {
            running.kill();
        }
        // Closed only now where it is held.
        drop(feeding.join());
        done
    })
}

fn feed(mut stdin: ChildStdin, input: &[u8], held: bool) -> Option<ChildStdin> {
    let written = stdin.write_all(input);
    (held && written.is_ok()).then_some(stdin)
}

struct Running {
    child: Child,
    pieces: Receiver<Piece>,
}

impl Running {
    fn start(line: &CommandLine, apart: bool) -> Result<Self, CarryError> {
        let program = line.0.first().cloned().unwrap_or_default();
        let mut command = Command::new(&program);
        command.args(line.0.iter().skip(1));
        if apart {
            command.process_group(0);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |source| CarryError::Start { program: program.to_string_lossy().into_owned(), source };
        let mut child = command.spawn().map_err(failed)?;
        let (sender, pieces) = sync_channel(PIECES_LIMIT);
        if let Some(stdout) = child.stdout.take() {
            pass_on(stdout, sender.clone(), Piece::Out);
        }
        if let Some(stderr) = child.stderr.take() {
            pass_on(stderr, sender, Piece::Err);
        }
        Ok(Self { child, pieces })
    }

    fn listen(
        &mut self,
        (deadline, cancel): (Option<Duration>, Option<&Cancel>),
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Carried, CarryError> {
        let clock = Clock::system();
        let end = deadline.map(|deadline| clock.now() + deadline);
        let mut complaint = Vec::new();
        loop {
            let left = end.map(|end| end.since(clock.now()));
            let look = cancel.map(|_| WANTED_LOOK);
            let piece = match left.into_iter().chain(look).min() {
                Some(length) => self.pieces.recv_timeout(length),
                None => self.pieces.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            if cancel.is_some_and(Cancel::is_cancelled) {
                return Err(CarryError::GivenUp);
            }
            match piece {
                Ok(Piece::Out(bytes)) => sink(&bytes).map_err(CarryError::Sink)?,
                Ok(Piece::Err(bytes)) => keep_end(&mut complaint, &bytes),
                Err(RecvTimeoutError::Timeout) if end.is_some_and(|end| clock.now() >= end) => {
                    return Err(CarryError::Late);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().map_err(CarryError::Sink)?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        Ok(Carried { code: code.unwrap_or(255), complaint })
    }

    fn kill(&mut self) {
        // One that has ended meanwhile needs it no more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits so long before something is tried again. A thread that has carried something has been woken in advance, by the end of the
/// one that fed the program: merely parked it would not wait at all.
pub(super) fn pause_for(length: Duration) {
    Cancel::default().wait(length);
}

fn keep_end(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    let over = kept.len().saturating_sub(COMPLAINT_BYTES_LIMIT);
    kept.drain(..over);
}

/// Reads to the end on a thread of its own; it ends with the stream, or when nobody listens any more.
fn pass_on(mut stream: impl Read + Send + 'static, to: SyncSender<Piece>, kind: fn(Vec<u8>) -> Piece) {
    thread::spawn(move || {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) if to.send(kind(buffer[..read].to_vec())).is_err() => break,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                Ok(_) | Err(_) => {}
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, held: bool, deadline: Option<Duration>) -> (Result<Carried, CarryError>, Vec<u8>) {
        let line = CommandLine(["/bin/sh", "-s"].map(Into::into).into());
        let mut said = Vec::new();
        let done = carry(
            &line,
            script.as_bytes(),
            Manner { held, apart: held, cancel: None },
            deadline,
            &mut |bytes| {
                said.extend_from_slice(bytes);
                Ok(())
            },
        );
        (done, said)
    }

    #[test]
    fn both_streams_and_the_code_come_back() {
        let (done, said) = sh("echo out; echo err >&2; exit 7\n", false, None);
        assert_eq!(done.unwrap(), Carried { code: 7, complaint: b"err\n".to_vec() });
        assert_eq!(said, b"out\n");
        assert_eq!(sh("kill -9 $$\n", false, None).0.unwrap().code, 137);
    }

    #[test]
    fn a_pause_behind_an_exchange_is_one() {
        let clock = Clock::system();
        for _ in 0..3 {
            sh("exit 0\n", true, None).0.unwrap();
            let begun = clock.now();
            pause_for(Duration::from_millis(40));
            assert!(clock.now().since(begun) >= Duration::from_millis(40));
        }
    }

    #[test]
    fn who_is_late_is_killed() {
        let (done, _) = sh("exec sleep 60\n", false, Some(Duration::from_millis(50)));
        assert!(matches!(done, Err(CarryError::Late)));
    }

    #[test]
    fn what_nobody_wants_any_more_is_killed() {
        let line = CommandLine(["/bin/sh", "-s"].map(Into::into).into());
        let cancel = Cancel::default();
        let manner = Manner { held: true, cancel: Some(&cancel), ..Manner::default() };
        let done =
            carry(&line, b"echo x; exec sleep 60\n", manner, Some(Duration::from_mins(1)), &mut |_| {
                cancel.cancel();
                Ok(())
            });
        assert!(matches!(done, Err(CarryError::GivenUp)));
    }

    #[test]
    fn a_sink_that_is_full_ends_it() {
        let line = CommandLine(["/bin/sh", "-s"].map(Into::into).into());
        let done = carry(&line, b"echo x; exec sleep 60\n", Manner::default(), None, &mut |_| {
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(done, Err(CarryError::Sink(_))));
    }

    #[test]
    fn what_is_not_there_cannot_be_started() {
        let line = CommandLine(vec!["/no/such/ssh".into()]);
        let done = carry(&line, b"", Manner::default(), None, &mut |_| Ok(()));
        assert!(matches!(done, Err(CarryError::Start { .. })));
    }
}
