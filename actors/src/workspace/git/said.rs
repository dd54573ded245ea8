//! What git says, read beside it so that it never has to wait for that.

use std::io::Read;
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// Bytes that are kept of what it says: enough for a message, or for the list of what was changed.
pub(super) const SAID_LIMIT_BYTES: usize = 256 * 1024;
/// How long what it started may hold its output open when it is over.
const LINGER: Duration = Duration::from_secs(1);
/// Characters of its message that a reason shows.
const MESSAGE_LIMIT_CHARS: usize = 300;

/// What it said.
pub(super) struct Said {
    /// The beginning of it.
    pub(super) out: Vec<u8>,
    /// How many bytes 0 there were in all of it.
    pub(super) entries: u32,
    /// Of all of it.
    pub(super) digest: blake3::Hash,
}

/// Reads a stream to its end, beside its program.
pub(super) fn collect(stream: Option<impl Read + Send + 'static>) -> Receiver<Said> {
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stream) = stream {
        std::thread::spawn(move || {
            let (mut out, mut entries, mut some) = (Vec::new(), 0_u32, [0; 16 * 1024]);
            let mut digest = blake3::Hasher::new();
            while let Ok(read @ 1..) = stream.read(&mut some) {
                let read = &some[..read];
                digest.update(read);
                let zeros = read.iter().filter(|byte| **byte == 0).count();
                entries = entries.saturating_add(u32::try_from(zeros).unwrap_or(u32::MAX));
                let room = SAID_LIMIT_BYTES - out.len();
                out.extend_from_slice(&read[..read.len().min(room)]);
            }
            // Nobody waits any more where that fails.
            let _ = sender.send(Said { out, entries, digest: digest.finalize() });
        });
    }
    receiver
}

/// All of it, or else nothing: what was not heard must not be taken for nothing to say.
pub(super) fn said(from: &Receiver<Said>) -> Option<Said> {
    from.recv_timeout(LINGER).ok()
}

/// What it said of why not, on one line.
pub(super) fn message(err: &[u8], status: ExitStatus) -> String {
    let text = String::from_utf8_lossy(err);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text: String =
        lines.join("; ").chars().filter(|one| !one.is_control()).take(MESSAGE_LIMIT_CHARS).collect();
    if text.is_empty() { format!("git ended with {status}") } else { text }
}
