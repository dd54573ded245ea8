//! Starts a program by the standard library, which uses `posix_spawn` as long as nothing runs between fork and exec: only
//! a limit of open files makes it slower.
#![expect(unsafe_code, reason = "what runs between fork and exec is for us to answer for")]

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::resource::{Resource, setrlimit};

use crate::process::os::{Launch, Launched, signals};

/// Starts it. Texts must be without zero bytes.
///
/// # Errors
/// Why the system cannot start it.
pub fn launch(launch: &Launch<'_>) -> io::Result<Launched> {
    let text = OsStr::from_bytes;
    let mut command = Command::new(launch.program);
    let (name, arguments) = launch.arguments.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    if let Some(most) = launch.open_files {
        // SAFETY: it is one call of the kernel, which neither locks nor allocates.
        unsafe { command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)) };
    }
    let mut child = command
        .arg0(text(name.as_bytes()))
        .args(arguments.iter().map(|argument| text(argument.as_bytes())))
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (text(name), text(value))))
        .current_dir(text(launch.directory))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    watched(&mut child).inspect_err(|_| {
        // Nobody would see its output or its end.
        let _ = child.kill();
        let _ = child.wait();
    })
}

fn watched(child: &mut Child) -> io::Result<Launched> {
    let pipes = child.stdout.take().zip(child.stderr.take());
    let (stdout, stderr) = pipes.ok_or_else(|| io::Error::other("no pipes"))?;
    signals::never_block(&stdout)?;
    signals::never_block(&stderr)?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    Ok(Launched { pid, end: super::watch(pid)?, stdout, stderr })
}
