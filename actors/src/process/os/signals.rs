//! Signals that the host hears, and the reaping of children with what they used.
#![expect(unsafe_code, reason = "signal handlers and wait4 have no safe interface")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

/// Where the handler writes, once there is a place.
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// Only wakes the loop: everything else is decided there.
extern "C" fn wake(_: i32) {
    let kept = Errno::last_raw();
    // SAFETY: write is async-signal-safe and the byte lives for ever; a full pipe wakes as well.
    unsafe { libc::write(WAKE.load(Ordering::Relaxed), b"!".as_ptr().cast(), 1) };
    Errno::set_raw(kept);
}

/// Makes the end of any child write to `pipe`, and the signals that would end this process as well: they
/// are heard and nothing follows. A handler, unlike an ignored signal, is not inherited by what is started.
///
/// # Errors
/// What the operating system says.
pub fn wake_on_signals(pipe: &OwnedFd) -> nix::Result<()> {
    WAKE.store(pipe.as_raw_fd(), Ordering::Relaxed);
    let flags = SaFlags::SA_RESTART | SaFlags::SA_NOCLDSTOP;
    let action = SigAction::new(SigHandler::Handler(wake), flags, SigSet::empty());
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        // SAFETY: the handler only calls what is async-signal-safe.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// A pipe that never blocks and is not inherited: (read, write).
///
/// # Errors
/// What the operating system says.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
    never_block(&reader)?;
    never_block(&writer)?;
    Ok((reader, writer))
}

/// Reading from or writing to `file` never blocks from now on.
///
/// # Errors
/// What the operating system says.
pub fn never_block(file: &impl std::os::fd::AsFd) -> nix::Result<()> {
    fcntl(file.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)
}

/// A child that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Reaped {
    /// Its id, which another process may have from now on.
    pub pid: i32,
    /// How it ended.
    pub status: WaitStatus,
    /// Processor time of it and its waited-for children.
    pub cpu: Duration,
    /// The largest resident memory.
    pub peak_memory_bytes: u64,
}

/// The next child that has ended, without waiting.
pub fn reap() -> Option<Reaped> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both places are valid for writing, and a rusage of zeroes is valid.
    let (pid, usage) = unsafe {
        let pid = libc::wait4(-1, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
        (pid, usage.assume_init())
    };
    if pid <= 0 {
        return None;
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    Some(Reaped {
        pid,
        status: WaitStatus::from_raw(Pid::from_raw(pid), status).ok()?,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        peak_memory_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * MAXRSS_UNIT_BYTES,
    })
}

/// `ru_maxrss` counts these.
#[cfg(target_os = "linux")]
const MAXRSS_UNIT_BYTES: u64 = 1024;
/// `ru_maxrss` counts these.
#[cfg(target_os = "macos")]
const MAXRSS_UNIT_BYTES: u64 = 1;
