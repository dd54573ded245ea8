//! Signals that the host hears, and the ends of children with what they used.
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

/// The signals that this process hears instead of being ended by them.
pub(super) const HANDLED: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Only wakes the loop: everything else is decided there.
extern "C" fn wake(_: i32) {
    let kept = Errno::last_raw();
    // SAFETY: write is async-signal-safe and the byte lives for ever; a full pipe wakes as well.
    unsafe { libc::write(WAKE.load(Ordering::Relaxed), b"!".as_ptr().cast(), 1) };
    Errno::set_raw(kept);
}

/// Makes the signals that would end this process write to `pipe`: they are heard and nothing follows. A
/// handler, unlike an ignored signal, is not inherited by what is started. The ends of children are watched
/// one by one and wake nobody else, so their signal is as it is by default, whatever was inherited.
///
/// # Errors
/// What the operating system says.
pub fn wake_on_signals(pipe: &OwnedFd) -> nix::Result<()> {
    WAKE.store(pipe.as_raw_fd(), Ordering::Relaxed);
    let heard = SigAction::new(SigHandler::Handler(wake), SaFlags::SA_RESTART, SigSet::empty());
    let usual = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in HANDLED {
        // SAFETY: the handler only calls what is async-signal-safe.
        unsafe { sigaction(signal, &heard) }?;
    }
    // SAFETY: no handler is installed.
    unsafe { sigaction(Signal::SIGCHLD, &usual) }.map(drop)
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

/// How the child `pid` has ended; `None` while it lives.
pub fn reap(pid: i32) -> Option<Reaped> {
    match wait4(pid, libc::WNOHANG) {
        Ok(reaped) => reaped,
        // Nobody else reaps them, so it is one that never was.
        Err(_) => {
            Some(Reaped { pid, status: WaitStatus::StillAlive, cpu: Duration::ZERO, peak_memory_bytes: 0 })
        }
    }
}

/// Buries every dead orphan that fell to the calling thread; gives back whether there was one.
pub fn reap_orphans() -> bool {
    let dead = || OWN_CHILDREN.and_then(|own| wait4(-1, libc::WNOHANG | own).ok().flatten());
    std::iter::from_fn(dead).count() > 0
}

fn wait4(pid: i32, flags: i32) -> nix::Result<Option<Reaped>> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both places are valid for writing, and a rusage of zeroes is valid.
    let (pid, usage) = unsafe {
        let pid = libc::wait4(pid, &raw mut status, flags, usage.as_mut_ptr());
        (pid, usage.assume_init())
    };
    if Errno::result(pid)? == 0 {
        return Ok(None);
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    Ok(Some(Reaped {
        pid,
        status: WaitStatus::from_raw(Pid::from_raw(pid), status)?,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        peak_memory_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * MAXRSS_UNIT_BYTES,
    }))
}

/// Only children that this thread started or that fell to it.
#[cfg(target_os = "linux")]
const OWN_CHILDREN: Option<i32> = Some(libc::__WNOTHREAD);
/// No orphans fall to a process here, and its own children are reaped one by one.
#[cfg(target_os = "macos")]
const OWN_CHILDREN: Option<i32> = None;

/// `ru_maxrss` counts these.
#[cfg(target_os = "linux")]
const MAXRSS_UNIT_BYTES: u64 = 1024;
/// `ru_maxrss` counts these.
#[cfg(target_os = "macos")]
const MAXRSS_UNIT_BYTES: u64 = 1;
