//! Runs a program to its end, with a deadline, and keeps what it said.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::waiting::until;

/// The longest a command line may take here before the test fails.
const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

/// What a program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Each line of standard output as JSON.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let text = self.text();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// Panics unless it ended so.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.text(), self.err);
        self
    }

    /// Panics unless standard output has this.
    pub(crate) fn tells(self, words: &str) -> Self {
        let text = self.text();
        assert!(text.contains(words), "{words:?} is not in: {text}");
        self
    }

    /// Panics unless standard error has all of these.
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        self
    }
}

/// A program under way; killed where the test ends before it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    out: Said,
    err: Said,
}

/// What a stream has brought so far, and who reads it.
#[derive(Debug)]
struct Said {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let out = Said::collect(child.stdout.take().expect("it is piped"));
        let err = Said::collect(child.stderr.take().expect("it is piped"));
        Self { child, out, err }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("it is there");
    }

    /// Standard output so far.
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.out.so_far()).into_owned()
    }

    /// Standard error so far.
    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.err.so_far()).into_owned()
    }

    pub(crate) fn end(mut self) -> Ran {
        let status = wait(&mut self.child, COMMAND_DEADLINE);
        let (out, err) = (self.out.all(), self.err.all());
        Ran { code: status.code(), out, err: String::from_utf8_lossy(&err).into_owned() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    Running::start(command).end()
}

/// Waits for the end of a process; kills it at the deadline, which fails the test.
pub(crate) fn wait(child: &mut Child, within: Duration) -> ExitStatus {
    until("a program ends", within, || child.try_wait().expect("it is ours"))
}

impl Said {
    fn collect(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut some = [0; 65_536];
            while let Ok(read @ 1..) = stream.read(&mut some) {
                into.lock().expect("nobody panics with it").extend_from_slice(&some[..read]);
            }
        });
        Self { bytes, reader }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().expect("nobody panics with it").clone()
    }

    /// All of it. A grandchild may hold the stream open longer than the program lived: that is not waited for
    /// beyond the deadline.
    fn all(&self) -> Vec<u8> {
        until("the streams are closed", COMMAND_DEADLINE, || self.reader.is_finished().then(|| self.so_far()))
    }
}

/// Writes a file, whole.
pub(crate) fn write(path: &std::path::Path, text: impl AsRef<[u8]>) {
    let mut file = std::fs::File::create(path).expect("it can be made");
    file.write_all(text.as_ref()).expect("it can be written");
}
