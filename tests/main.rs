//! The tests of the whole: one binary, so that it is linked once.

/// The real programs as separate processes, used as a careless or hostile user would use them.
mod cluster;
/// What several of them use.
mod support;
