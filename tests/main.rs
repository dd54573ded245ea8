//! The tests of the whole: one binary, so that it is linked once.

/// The real programs as separate processes, used as a careless or hostile user would use them.
#[cfg(test)]
mod cluster;
/// What several of them use.
#[cfg(test)]
mod support;
