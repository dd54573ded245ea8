//! How much the processes of a group matter to the machine, said from outside.
//!
//! macOS side: type-checked, not run by our CI.
#![expect(unsafe_code, reason = "setpriority has no safe interface that says a class of macOS")]

use std::io;

use policy::task::Qos;

/// What `nice` says where nobody says a number: others first, and not last.
const UTILITY_NICE: libc::c_int = 10;
/// The last of all: what `nice` takes at the most, on every system.
const BACKGROUND_NICE: libc::c_int = 19;

/// Puts a group of processes into a class, and what they start from now on. A class is never left for a better one.
///
/// # Errors
/// They are gone, or not ours.
pub fn put_into(group: i32, qos: Qos) -> io::Result<()> {
    let nice = match qos {
        Qos::Default => return Ok(()),
        Qos::Utility => UTILITY_NICE,
        Qos::Background => BACKGROUND_NICE,
    };
    let id = libc::id_t::try_from(group).map_err(io::Error::other)?;
    // SAFETY: it takes three numbers and touches no memory of ours.
    done(unsafe { libc::setpriority(libc::PRIO_PGRP, id, nice) })?;
    // What `taskpolicy -b` says: the efficiency cores, and disk and network behind others'. Children inherit it.
    #[cfg(target_os = "macos")]
    if qos == Qos::Background {
        // SAFETY: as above.
        done(unsafe { libc::setpriority(libc::PRIO_DARWIN_PROCESS, id, libc::PRIO_DARWIN_BG) })?;
    }
    Ok(())
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
