//! Memory that something large has left is given back to the system.
//!
//! An allocator keeps what is freed in the hope that it is wanted again soon; a graph of 100,000 tasks passes
//! through once. Which allocator there is, only the program knows: it says how.

use std::sync::OnceLock;

/// Items of a submission that is large: some megabytes.
pub const LARGE_ITEMS: usize = 5_000;

static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

/// Says how memory is given back, once for the process; may take some milliseconds.
pub fn give_back_by(how: fn()) {
    let _ = GIVE_BACK.set(how);
}

/// Gives back what is free, where the program has said how.
pub(crate) fn give_back() {
    if let Some(give_back) = GIVE_BACK.get() {
        give_back();
    }
}
