//! macOS: `libproc` and `sysctl`.
//!
//! There is no child subreaper, and the environment of a protected system program cannot be read: what
//! leaves its group *and* its parents is found by the trees looked at while the attempt runs, and by its
//! mark where it can be read.
#![expect(unsafe_code, reason = "libproc and sysctl have no safe interface")]

mod launch;
mod strain;

use std::ffi::CStr;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::OwnedFd;
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
use policy::time::{Moment, Timestamp};

use super::{Process, value_in};
use crate::clock::Clock;

pub use launch::launch;
pub use strain::signs;

/// How far a listed start can be off: it is told on the wall clock, which may have been set a little.
pub const START_SLACK: Duration = Duration::from_secs(5);

/// Whether trees of running attempts must be looked at from time to time.
#[must_use]
pub fn watches_trees() -> bool {
    true
}

/// The orphans among the children of this process.
#[derive(Debug)]
pub struct Orphans;

impl Orphans {
    /// Orphans fall to launchd on this system.
    ///
    /// # Errors
    /// Never.
    pub fn adopt() -> nix::Result<Self> {
        Ok(Self)
    }

    /// Not told on this system.
    #[must_use]
    pub fn list(&self) -> Option<Vec<i32>> {
        None
    }
}

/// Something that can be read from as soon as the child `pid` has ended.
///
/// # Errors
/// What the kernel says.
pub fn watch(pid: i32) -> io::Result<OwnedFd> {
    let queue = Kqueue::new()?;
    let ident = usize::try_from(pid).map_err(io::Error::other)?;
    let (filter, flags) = (EventFilter::EVFILT_PROC, EvFlags::EV_ADD | EvFlags::EV_ONESHOT);
    let exit = KEvent::new(ident, filter, flags, FilterFlag::NOTE_EXIT, 0, 0);
    match queue.kevent(&[exit], &mut [], Some(libc::timespec { tv_sec: 0, tv_nsec: 0 })) {
        // It has ended already; the end of a pipe without a writer can be read from for ever.
        Err(Errno::ESRCH) => Ok(io::pipe()?.0.into()),
        outcome => outcome.map(|_| queue.into()).map_err(Into::into),
    }
}

/// Every process of this machine.
#[must_use]
pub fn processes() -> Vec<Process> {
    let clock = Clock::system();
    let (now, wall) = (clock.now(), clock.wall());
    pids().into_iter().filter_map(|pid| describe(pid, now, wall)).collect()
}

fn pids() -> Vec<i32> {
    // SAFETY: a null buffer only asks for the count.
    let count = unsafe { libc::proc_listallpids(ptr::null_mut(), 0) };
    // Some may start between the two calls.
    let mut pids = vec![0_i32; usize::try_from(count).unwrap_or(0) + 64];
    let bytes = i32::try_from(pids.len() * size_of::<i32>()).unwrap_or(i32::MAX);
    // SAFETY: the buffer has `bytes` bytes, and any bytes are valid pids.
    let filled = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), bytes) };
    pids.truncate(usize::try_from(filled).unwrap_or(0));
    pids
}

fn describe(pid: i32, now: Moment, wall: Timestamp) -> Option<Process> {
    let mut info = MaybeUninit::<libc::proc_bsdinfo>::zeroed();
    let size = i32::try_from(size_of::<libc::proc_bsdinfo>()).ok()?;
    // SAFETY: the buffer has `size` bytes; the structure consists of integers, for which any bytes are valid.
    let filled =
        unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, info.as_mut_ptr().cast(), size) };
    if filled != size {
        return None;
    }
    // SAFETY: filled whole, as just checked.
    let info = unsafe { info.assume_init() };
    let started = Timestamp(info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec);
    Some(Process {
        pid,
        parent: i32::try_from(info.pbi_ppid).ok()?,
        group: i32::try_from(info.pbi_pgid).ok()?,
        started: now - wall.since(started),
        zombie: info.pbi_status == libc::SZOMB,
    })
}

/// Bytes of memory that `pid` has; 0 where there is no such process.
#[must_use]
pub fn resident_bytes(pid: i32) -> u64 {
    footprint_bytes(pid)
}

/// Bytes of memory that the system charges to `pid`, compressed ones included: what Activity Monitor shows.
#[must_use]
pub fn footprint_bytes(pid: i32) -> u64 {
    let mut info = MaybeUninit::<libc::rusage_info_v0>::zeroed();
    // SAFETY: the buffer is what this flavor fills; the structure consists of integers.
    let failed = unsafe { libc::proc_pid_rusage(pid, libc::RUSAGE_INFO_V0, info.as_mut_ptr().cast()) };
    // SAFETY: zeroes are valid, and so is whatever was filled in.
    if failed == 0 { unsafe { info.assume_init() }.ri_phys_footprint } else { 0 }
}

/// Processor time of `pid` and of the children it has waited for; none where there is no such process.
#[must_use]
pub fn cpu_time(pid: i32) -> Duration {
    let mut info = MaybeUninit::<libc::rusage_info_v2>::zeroed();
    // SAFETY: the buffer is what this flavor fills; the structure consists of integers.
    let failed = unsafe { libc::proc_pid_rusage(pid, libc::RUSAGE_INFO_V2, info.as_mut_ptr().cast()) };
    if failed != 0 {
        return Duration::ZERO;
    }
    // SAFETY: zeroes are valid, and so is whatever was filled in.
    let info = unsafe { info.assume_init() };
    let own = info.ri_user_time.saturating_add(info.ri_system_time);
    let waited_for = info.ri_child_user_time.saturating_add(info.ri_child_system_time);
    ticks_to_time(own.saturating_add(waited_for))
}

/// These times are told in ticks of the machine's clock: 41.7 ns each on Apple's chips, 1 ns on Intel's.
#[expect(deprecated, reason = "two numbers are no reason for the mach2 crate")]
fn ticks_to_time(ticks: u64) -> Duration {
    let mut base = libc::mach_timebase_info { numer: 0, denom: 0 };
    // SAFETY: it fills the structure, which consists of integers.
    let failed = unsafe { libc::mach_timebase_info(&raw mut base) };
    let (numer, denom) = if failed == 0 && base.denom > 0 { (base.numer, base.denom) } else { (1, 1) };
    let nanos = u128::from(ticks) * u128::from(numer) / u128::from(denom);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The value of `variable` in the environment `pid` was started with.
#[must_use]
pub fn mark(pid: i32, variable: &str) -> Option<String> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid];
    let mut bytes = vec![0_u8; usize::try_from(argument_limit()).ok()?];
    let mut size = bytes.len();
    // SAFETY: name has three parts, the buffer has `size` bytes, nothing is set.
    let failed = unsafe {
        libc::sysctl(name.as_mut_ptr(), 3, bytes.as_mut_ptr().cast(), &raw mut size, ptr::null_mut(), 0)
    };
    if failed != 0 {
        return None;
    }
    value_in(bytes.get(size_of::<i32>()..size)?, variable)
}

/// Bytes that arguments and environment may have.
fn argument_limit() -> u64 {
    number(c"kern.argmax").filter(|limit| *limit > 0).unwrap_or(1 << 20)
}

/// Names the present life of the operating system.
#[must_use]
pub fn boot_id() -> Box<str> {
    let mut bytes = [0_u8; 64];
    let text = named(c"kern.bootsessionuuid", &mut bytes).unwrap_or_default();
    String::from_utf8_lossy(text).trim_end_matches('\0').into()
}

/// The processor as its maker calls it, such as `Apple M4 Max`.
#[must_use]
pub fn chip() -> Option<String> {
    let mut bytes = [0_u8; 128];
    let text = named(c"machdep.cpu.brand_string", &mut bytes)?;
    let text = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
    (!text.is_empty()).then_some(text)
}

/// Processor cores.
#[must_use]
pub fn cores() -> u64 {
    number(c"hw.ncpu").unwrap_or(1)
}

/// Bytes of memory; 0 where the system does not tell.
#[must_use]
pub fn memory_bytes() -> u64 {
    number(c"hw.memsize").unwrap_or(0)
}

/// An integer of 4 or 8 bytes.
fn number(name: &CStr) -> Option<u64> {
    let mut bytes = [0_u8; 8];
    let told = named(name, &mut bytes)?;
    match told.len() {
        4 | 8 => Some(u64::from_le_bytes(bytes)),
        _ => None,
    }
}

fn named<'a>(name: &CStr, bytes: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut size = bytes.len();
    // SAFETY: the name ends with 0, the buffer has `size` bytes, nothing is set.
    let failed = unsafe {
        libc::sysctlbyname(name.as_ptr(), bytes.as_mut_ptr().cast(), &raw mut size, ptr::null_mut(), 0)
    };
    (failed == 0).then(|| &bytes[..size])
}
