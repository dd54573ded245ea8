//! Everything knittingCrab decides, as pure machines.
//!
//! No clock, no randomness, no I/O, no runtime: time and chance are arguments, refusals are values, and
//! what a machine wants done it returns. The modules stand in the order in which a task meets them.

pub mod admission;
pub mod event;
pub mod graph;
pub mod id;
pub mod lease;
pub mod node;
pub mod placement;
pub mod queue;
pub mod resources;
pub mod retry;
pub mod slots;
pub mod submission;
pub mod task;
pub mod text;
pub mod time;
pub mod time_slice;
