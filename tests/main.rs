//! The tests of the whole: one binary, so that it is linked once.

/// Both sides on a simulated world: one seed is one history, checked against every promise.
#[cfg(test)]
mod simulation;
/// What several of them use.
#[cfg(test)]
mod support;
