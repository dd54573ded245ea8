//! Sandboxes: a command is started by a program of the system's that lets it write in a few places and nowhere else.
//!
//! On Linux bubblewrap, which has everything else mounted so that it cannot be written, devices but the harmless ones not at
//! all; on macOS sandbox-exec with a profile. What may be read, and whom it may talk to, is as without. Bubblewrap stays
//! the first process, so the end by a signal is told as a shell tells it: 128 and the signal's number.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use policy::text::OsText;

use crate::taskfile::path_text;

/// Characters that are told of what such a program says.
const SAID_LIMIT_CHARS: usize = 200;

/// A program that makes sandboxes, and whether it can.
#[derive(Debug)]
pub struct Sandboxing {
    program: PathBuf,
    works: OnceLock<Result<(), Box<str>>>,
}

impl PartialEq for Sandboxing {
    fn eq(&self, other: &Self) -> bool {
        self.program == other.program
    }
}

impl Eq for Sandboxing {}

#[cfg(not(target_os = "macos"))]
const KIND: &str = "bubblewrap";
#[cfg(target_os = "macos")]
const KIND: &str = "sandbox-exec";

impl Sandboxing {
    /// The one that the system has, looked for in these directories.
    #[must_use]
    pub fn find(path: &OsStr) -> Option<Self> {
        let name = if cfg!(target_os = "macos") { "sandbox-exec" } else { "bwrap" };
        let program =
            std::env::split_paths(path).map(|place| place.join(name)).find(|path| path.is_file())?;
        Some(Self { program, works: OnceLock::new() })
    }

    /// What it is called.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        KIND
    }

    /// Whether it makes any here, as tried once; blocks for that long.
    ///
    /// # Errors
    /// With what it says, as where the system forbids namespaces to users.
    pub fn works(&self) -> Result<(), Box<str>> {
        self.works.get_or_init(|| self.attempt()).clone()
    }

    fn attempt(&self) -> Result<(), Box<str>> {
        let words = self.around(Path::new("/"), &[], &["/bin/sh".into(), "-c".into(), ":".into()]);
        let words: Vec<OsString> = words.iter().map(os_string).collect();
        let mut command = Command::new(&self.program);
        command.args(&words[1..]).stdin(Stdio::null());
        match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let said: String =
                    String::from_utf8_lossy(&output.stderr).trim().chars().take(SAID_LIMIT_CHARS).collect();
                Err(format!("{}: {said}", self.program.display()).into())
            }
            Err(error) => Err(format!("{}: {error}", self.program.display()).into()),
        }
    }

    /// The command that runs `argv` in `directory`, where it may write below `writable` alone.
    #[must_use]
    pub fn around(&self, directory: &Path, writable: &[PathBuf], argv: &[OsText]) -> Vec<OsText> {
        let own = std::iter::once(path_text(&self.program)).chain(words(directory, writable));
        own.chain(argv.iter().cloned()).collect()
    }
}

/// Everything is there and nothing of it can be written, but what is bound over it; no capability is left to undo that.
#[cfg(not(target_os = "macos"))]
fn words(directory: &Path, writable: &[PathBuf]) -> Vec<OsText> {
    let mut words: Vec<OsText> =
        ["--ro-bind", "/", "/", "--dev", "/dev", "--cap-drop", "ALL"].map(OsText::from).to_vec();
    for path in writable {
        words.extend(["--bind".into(), path_text(path), path_text(path)]);
    }
    words.extend(["--chdir".into(), path_text(directory), "--".into()]);
    words
}

/// Paths are parameters of the profile, so none of them is read as a part of it. The directory is that of the process.
#[cfg(target_os = "macos")]
fn words(_: &Path, writable: &[PathBuf]) -> Vec<OsText> {
    let mut profile = String::from(
        "(version 1)(allow default)(deny file-write*)(allow file-write* (literal \"/dev/null\") \
         (literal \"/dev/zero\") (literal \"/dev/tty\") (literal \"/dev/dtracehelper\") (subpath \"/dev/fd\")",
    );
    let mut words: Vec<OsText> = Vec::new();
    for (number, path) in writable.iter().enumerate() {
        // The kernel asks about paths without links: /tmp is /private/tmp.
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let mut parameter = OsString::from(format!("W{number}="));
        parameter.push(real);
        words.extend(["-D".into(), path_text(Path::new(&parameter))]);
        profile.push_str(&format!(" (subpath (param \"W{number}\"))"));
    }
    profile.push(')');
    words.extend(["-p".into(), profile.as_str().into()]);
    words
}

fn os_string(text: &OsText) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(text.as_bytes().to_vec())
}
