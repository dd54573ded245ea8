//! The tests of the whole, in one program: it links once. Its modules, in path order.
//!
//! Each stands under `cfg(test)`, by which clippy knows that helpers may `expect` as tests do.

/// The real programs as separate processes, used as a careless or hostile user would use them.
#[cfg(test)]
mod cluster;
/// Both sides on a simulated world: one seed is one history, checked against every promise.
#[cfg(test)]
mod simulation;
/// What several of them use.
#[cfg(test)]
mod support;
/// The rules of the rooms, and that the documents name what is there.
#[cfg(test)]
mod tidy;
