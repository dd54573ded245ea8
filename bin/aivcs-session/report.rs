//! `exec --report`: what a command says of itself comes here, from time to time while it runs and all of it at its end.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actors::session::Sessions;
use actors::session::script::Side;
use actors::worker::report::REPORT_LIMIT_BYTES;
use policy::session::SessionName;

/// Between two looks: some heartbeats, since each is a question to the machine.
const EVERY: Duration = Duration::from_secs(5);

/// What brings it; it goes on until it is finished.
#[derive(Debug)]
pub(crate) struct Reporting {
    over: Sender<u64>,
    thread: JoinHandle<()>,
}

impl Reporting {
    /// Of the attempt `key`.
    pub(crate) fn start(sessions: Sessions, name: SessionName, key: Box<str>, to: PathBuf) -> Self {
        let (over, is_over) = channel();
        let report = Report { sessions, name, key, to, file: None, from: 0 };
        Self { over, thread: thread::spawn(move || report.bring(&is_over)) }
    }

    /// All of it is here when this returns, as far as the machine can be asked: so many bytes, where that is known.
    pub(crate) fn finish(self, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            // It goes on until this.
            let _ = self.over.send(bytes);
        }
        drop(self.over);
        // Whatever became of it, the command is over.
        let _ = self.thread.join();
    }
}

struct Report {
    sessions: Sessions,
    name: SessionName,
    key: Box<str>,
    to: PathBuf,
    /// Made when there is something to write: most say nothing.
    file: Option<File>,
    from: u64,
}

impl Report {
    fn bring(mut self, is_over: &Receiver<u64>) {
        let mut bytes = is_over.recv_timeout(EVERY);
        while bytes == Err(RecvTimeoutError::Timeout) {
            // Asked again later.
            let _ = self.read();
            bytes = is_over.recv_timeout(EVERY);
        }
        // Most say nothing, and are not asked.
        if bytes.is_ok_and(|bytes| bytes == self.from) {
            return;
        }
        let _ = self.read();
    }

    /// What has come since the last look. More than anybody reads is left there.
    fn read(&mut self) -> Result<(), actors::session::SessionError> {
        let Self { sessions, name, key, to, file, from } = self;
        if *from > REPORT_LIMIT_BYTES {
            return Ok(());
        }
        sessions.read((name, key, Side::Report, *from), &mut |bytes| {
            let file = match file {
                Some(file) => file,
                None => file.insert(File::create(&*to)?),
            };
            file.write_all(bytes)?;
            *from += bytes.len() as u64;
            let is_enough = *from > REPORT_LIMIT_BYTES;
            if is_enough { Err(io::Error::other("more than anybody reads")) } else { Ok(()) }
        })?;
        Ok(())
    }
}
