//! A program on a terminal of its own, and what it shows, as it shows it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::pty::{Winsize, openpty};

/// How long anything may take to be shown.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program on a terminal of 200 columns and 60 lines, ended when dropped.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    shown: Receiver<Vec<u8>>,
}

impl Terminal {
    pub(crate) fn start(command: &mut Command) -> Self {
        let size = Winsize { ws_row: 60, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("there is a terminal to be had");
        let end = || pty.slave.as_fd().try_clone_to_owned().expect("there are descriptors");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("the program starts");
        let keyboard = File::from(pty.master.as_fd().try_clone_to_owned().expect("there are descriptors"));
        let (mut screen, mut answers) = (File::from(pty.master), keyboard.try_clone().expect("as above"));
        let (pieces, shown) = channel();
        std::thread::spawn(move || {
            let mut some = [0; 65_536];
            while let Ok(read @ 1..) = screen.read(&mut some) {
                // Where the cursor is, for whoever asks.
                if some[..read].windows(4).any(|four| four == b"\x1b[6n") {
                    let _ = answers.write_all(b"\x1b[1;1R");
                }
                if pieces.send(some[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keyboard, shown }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("somebody reads");
    }

    /// Waits until this is shown.
    pub(crate) fn until(&mut self, text: &str) {
        let mut all = Vec::new();
        while !all.windows(text.len()).any(|some| some == text.as_bytes()) {
            all.extend(self.shown.recv_timeout(PATIENCE).expect("it is shown in time"));
        }
    }

    /// Passes over what was shown so far.
    pub(crate) fn is_quiet(&mut self) {
        while self.shown.try_recv().is_ok() {}
    }

    /// Waits until something more is shown.
    pub(crate) fn until_anything(&mut self) {
        self.shown.recv_timeout(PATIENCE).expect("it is shown in time");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
