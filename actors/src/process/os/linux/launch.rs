//! Starts a program as `posix_spawn` does, by a child that borrows this process's memory until it is another
//! program, and so takes as long from a large process as from a small one.
//!
//! # Why not `posix_spawn` itself
//! It maps a stack for each child and unmaps it again, which interrupts every other core that runs this program, and
//! asks the kernel about each of 64 signals. Here the stack is the starting thread's for good, and only what this program has
//! set is set back: 40 µs less for each process, of some 550 that the smallest takes with a loader.

#![expect(
    unsafe_code,
    reason = "clone, and what the child does before it is another program, have no safe interface"
)]

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::OnceLock;

use libc::{c_char, c_int, c_void};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::process::os::signals::{self, HANDLED};
use crate::process::os::{Launch, Launched};

/// Bytes of the stack on which a child becomes another program: it calls nothing but the kernel.
const STACK_BYTES: usize = 64 * 1024;
/// What a stack's end must be a multiple of.
const STACK_ALIGNMENT: usize = 16;
/// The exit code of a child that could not become another program; nobody sees it.
const FAILED: c_int = 127;
/// Descriptors below this one are a program's own: its input and its outputs.
const FIRST_FREE: RawFd = 3;

/// What a child goes by. It lives in memory that child and parent share, and the parent stands still meanwhile.
struct Plan {
    program: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    directory: *const c_char,
    /// What its input and outputs are to be.
    streams: [RawFd; 3],
    /// What it writes itself into; -1 for none.
    group: RawFd,
    open_files: Option<libc::rlimit>,
    /// Why it did not become another program: an error number.
    failure: c_int,
}

/// Starts it. Texts must be without zero bytes.
///
/// # Errors
/// Why the system cannot start it, whether here or after it was asked to become the program.
pub fn launch(launch: &Launch<'_>) -> io::Result<Launched> {
    let null = null()?.as_raw_fd();
    let (stdout, out) = io::pipe()?;
    let (stderr, err) = io::pipe()?;
    signals::never_block(&stdout)?;
    signals::never_block(&stderr)?;
    let streams = [null, out.as_raw_fd(), err.as_raw_fd()];
    if streams.iter().any(|stream| *stream < FIRST_FREE) {
        // The host is started with all three of its own.
        return Err(io::Error::other("this process has no input or no output of its own"));
    }
    let (pid, end) = start(launch, streams)?;
    let end = end.map_or_else(|| super::watch(pid), Ok);
    let end = end.inspect_err(|_| {
        // Nobody would see its output or its end.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        let _ = waitpid(Pid::from_raw(pid), None);
    })?;
    let (stdout, stderr) = (OwnedFd::from(stdout).into(), OwnedFd::from(stderr).into());
    Ok(Launched { pid, end, stdout, stderr })
}

/// What every program gets as its input, opened once.
fn null() -> io::Result<&'static File> {
    static NULL: OnceLock<File> = OnceLock::new();
    match NULL.get() {
        Some(null) => Ok(null),
        None => File::open("/dev/null").map(|null| NULL.get_or_init(|| null)),
    }
}

/// The process, and what can be read from when it has ended, where the kernel gives that along.
fn start(launch: &Launch<'_>, streams: [RawFd; 3]) -> io::Result<(i32, Option<OwnedFd>)> {
    let program = Texts::of([launch.program.as_os_str().as_bytes()]);
    let directory = Texts::of([launch.directory]);
    let arguments = Texts::of(launch.arguments.iter().map(|argument| argument.as_bytes()));
    let environment = Texts::of_environment(&launch.environment);
    let (arguments, environment) = (arguments.pointers(), environment.pointers());
    let mut plan = Plan {
        program: program.first(),
        arguments: arguments.as_ptr(),
        environment: environment.as_ptr(),
        directory: directory.first(),
        streams,
        group: launch.group.map_or(-1, |door| door.as_fd().as_raw_fd()),
        open_files: launch.open_files.map(|most| libc::rlimit { rlim_cur: most, rlim_max: most }),
        failure: 0,
    };
    // A handler that ran in the child would run on the parent's memory. The ends of children have none; where they are
    // blocked, the kernel wakes another thread for each.
    let mut handled = SigSet::all();
    handled.remove(Signal::SIGCHLD);
    let mask = handled.thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let cloned = clone(&mut plan);
    mask.thread_set_mask()?;
    let (pid, end) = cloned?;
    if plan.failure != 0 {
        waitpid(Pid::from_raw(pid), None)?;
        return Err(io::Error::from_raw_os_error(plan.failure));
    }
    Ok((pid, end))
}

/// Returns when the child is another program, or has given up.
fn clone(plan: &mut Plan) -> io::Result<(i32, Option<OwnedFd>)> {
    thread_local! {
        static STACK: RefCell<Box<[u8]>> = RefCell::new(vec![0; STACK_BYTES].into());
    }
    let mut end: RawFd = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let pid = STACK.with_borrow_mut(|stack| {
        let top = stack.as_mut_ptr_range().end;
        let top = top.wrapping_sub(top.addr() % STACK_ALIGNMENT);
        // SAFETY: the stack is this thread's alone, and this thread stands still (CLONE_VFORK) until the child needs it no
        // more; the plan and all it points to live until then; the descriptor's place is valid for writing.
        unsafe { libc::clone(become_program, top.cast(), flags, ptr::from_mut(plan).cast(), &raw mut end) }
    });
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has opened it just now, closed on exec, and nobody else has it; kernels before 5.2 leave it alone.
    Ok((pid, (end >= 0).then(|| unsafe { OwnedFd::from_raw_fd(end) })))
}

/// The child. It has the parent's memory and only calls what neither locks nor allocates.
extern "C" fn become_program(plan: *mut c_void) -> c_int {
    // SAFETY: it is the plan of `clone`, which nobody else uses meanwhile, and all it points to is alive and ends as C
    // wants it; every call is async-signal-safe.
    unsafe {
        let plan = &mut *plan.cast::<Plan>();
        let mut ready = libc::setpgid(0, 0) == 0;
        for (place, stream) in (0..).zip(plan.streams) {
            ready = ready && libc::dup2(stream, place) >= 0;
        }
        ready = ready && libc::chdir(plan.directory) == 0 && usual_signals();
        if let Some(most) = &plan.open_files {
            ready = ready && libc::setrlimit(libc::RLIMIT_NOFILE, ptr::from_ref(most)) == 0;
        }
        if plan.group >= 0 {
            ready = ready && libc::write(plan.group, c"0".as_ptr().cast(), 1) == 1;
        }
        if ready {
            libc::execve(plan.program, plan.arguments, plan.environment);
        }
        plan.failure = *libc::__errno_location();
        libc::_exit(FAILED)
    }
}

/// Signals as a program expects them: what this program hears or ignores ends it, and none is blocked.
///
/// # Safety
/// Only for the child.
unsafe fn usual_signals() -> bool {
    // SAFETY: an action of zeroes is the default one, an empty set is valid, and both calls are async-signal-safe.
    unsafe {
        let usual: libc::sigaction = std::mem::zeroed();
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        let mut done = libc::sigaction(libc::SIGPIPE, &raw const usual, ptr::null_mut()) == 0;
        for signal in HANDLED {
            done = done && libc::sigaction(signal as c_int, &raw const usual, ptr::null_mut()) == 0;
        }
        done && libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) == 0
    }
}

/// Texts as C has them: each with a zero at its end, in one piece of memory.
struct Texts {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Texts {
    fn of<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut all = Self { bytes: Vec::new(), starts: Vec::new() };
        texts.into_iter().for_each(|text| all.push(&[text]));
        all
    }

    /// `NAME=VALUE` in the order of the names, each the last of its name.
    fn of_environment(variables: &[(&[u8], &[u8])]) -> Self {
        let mut sorted: Vec<_> = variables.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        let size = sorted.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let mut all = Self { bytes: Vec::with_capacity(size), starts: Vec::with_capacity(sorted.len()) };
        for (place, (name, value)) in sorted.iter().enumerate() {
            let is_replaced = sorted.get(place + 1).is_some_and(|(next, _)| next == name);
            if !is_replaced {
                all.push(&[name, b"=", value]);
            }
        }
        all
    }

    fn push(&mut self, parts: &[&[u8]]) {
        self.starts.push(self.bytes.len());
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.bytes.push(0);
    }

    fn first(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }

    /// One for each text, and the one that says that no other follows. Good as long as this is.
    fn pointers(&self) -> Vec<*const c_char> {
        let each = self.starts.iter().map(|start| self.bytes[*start..].as_ptr().cast());
        each.chain([ptr::null()]).collect()
    }
}
