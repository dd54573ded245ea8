//! The tests of the whole, in one program: it links once. Its modules, in path order. The simulation is a
//! program of its own (tests/simulation/main.rs), because it takes arguments.
//!
//! Each stands under `cfg(test)`, by which clippy knows that helpers may `expect` as tests do.

/// The real programs as separate processes, used as a careless or hostile user would use them.
#[cfg(test)]
mod cluster;
/// Sessions on a machine behind SSH, which is this one.
#[cfg(test)]
mod sessions;
/// The promises as checks over a history, which the simulation uses as well.
#[cfg(test)]
#[path = "simulation/history/root.rs"]
#[expect(dead_code, reason = "what only a simulated world can know is filled in there alone")]
mod promises;
/// What several of them use.
#[cfg(test)]
mod support;
/// The rules of the rooms, and that the documents name what is there.
#[cfg(test)]
mod tidy;
