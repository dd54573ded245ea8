//! A program on a terminal of its own, typed at and read as a person would.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

use nix::pty::{Winsize, openpty};

use crate::support::program::wait;
use crate::support::waiting::{SOON, until};

/// A program under way on a terminal; killed where the test ends before it.
#[derive(Debug)]
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    shown: Arc<Mutex<String>>,
    /// What a test has looked at already.
    seen: usize,
}

impl Terminal {
    pub(crate) fn start(command: &mut Command) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("there is a terminal to be had");
        let end = |fd: &OwnedFd| fd.as_fd().try_clone_to_owned().expect("there are descriptors");
        command.stdin(end(&pty.slave)).stdout(end(&pty.slave)).stderr(end(&pty.slave));
        command
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .env("LC_ALL", "C.UTF-8")
            .process_group(0);
        let child = command.spawn().expect("the program starts");
        drop(pty.slave);
        let (keyboard, screen) = (File::from(end(&pty.master)), File::from(pty.master));
        let shown = Arc::default();
        let (into, answers) = (Arc::clone(&shown), keyboard.try_clone().expect("there are descriptors"));
        std::thread::spawn(move || look(screen, answers, &into));
        Self { child, keyboard, shown, seen: 0 }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("somebody reads");
    }

    /// Waits until this is shown, behind what was waited for before.
    pub(crate) fn shows(&mut self, text: &str) {
        let seen = self.seen;
        let at = until(&format!("the terminal shows {text:?}"), SOON, || {
            let shown = self.shown.lock().expect("nobody panics with it");
            shown.get(seen..).and_then(|rest| rest.find(text)).map(|at| seen + at + text.len())
        });
        self.seen = at;
    }

    pub(crate) fn ended(mut self) -> ExitStatus {
        wait(&mut self.child, SOON)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps what is shown, without what only moves or colours, and tells where the cursor is to who asks.
fn look(mut screen: File, mut answers: File, shown: &Mutex<String>) {
    let (mut some, mut raw) = ([0; 4096], String::new());
    while let Ok(read @ 1..) = screen.read(&mut some) {
        let piece = String::from_utf8_lossy(&some[..read]).into_owned();
        for _ in piece.matches("\x1b[6n") {
            let _ = answers.write_all(b"\x1b[1;1R");
        }
        raw.push_str(&piece);
        *shown.lock().expect("nobody panics with it") = plain(&raw);
    }
}

fn plain(raw: &str) -> String {
    let mut plain = String::new();
    let mut rest = raw;
    while let Some(at) = rest.find('\x1b') {
        plain.push_str(&rest[..at]);
        let sequence = rest[at + 1..].trim_start_matches('[');
        let end = sequence.find(|c: char| c.is_ascii_alphabetic()).map_or(sequence.len(), |end| end + 1);
        rest = &sequence[end..];
    }
    plain.push_str(rest);
    plain
}
