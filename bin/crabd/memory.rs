//! How this program's allocator gives free memory back to the system.

#![expect(unsafe_code, reason = "the allocator's own function for it has no safe form")]

unsafe extern "C" {
    /// Of mimalloc, which is linked into this program as its allocator.
    fn mi_collect(force: bool);
}

/// Gives back what is free.
pub(crate) fn give_back() {
    // SAFETY: it takes no pointer, may be called at any time from any thread, and only touches what is free.
    unsafe { mi_collect(true) }
}
