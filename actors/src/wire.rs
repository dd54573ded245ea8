//! The only types that cross processes, and their encoding.
//!
//! [`fleet`] is spoken between the scheduler side and workers, [`inspect`] with inspectors, [`client`] between the scheduler side and
//! whoever submits and watches. Both travel as frames made by [`codec`]. How
//! a type here may change, and be understood by peers of the version before, is said in `policy::layout`.

pub mod chunk;
pub mod client;
pub mod codec;
pub mod fleet;
#[cfg(test)]
mod hostile;
#[cfg(test)]
pub(crate) mod spoken;
pub mod inspect;

/// Bytes of the largest frame either side sends: one frame must not hold up the ones behind it for long,
/// and `ractor_cluster` ends a session over 16 MiB.
pub const FRAME_LIMIT_BYTES: usize = 1024 * 1024;

/// Bytes of the largest message after its chunks are put together: a graph of a million small tasks.
pub const MESSAGE_LIMIT_BYTES: usize = 256 * 1024 * 1024;
