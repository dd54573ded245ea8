//! Everything knittingCrab decides, as pure machines.
//!
//! No clock, no randomness, no I/O, no runtime: time and chance are arguments, refusals are values, and
//! what a machine wants done it returns. The modules stand in the order in which a task meets them.

pub mod mutant;
pub mod layout;
pub mod id;
pub mod time;
pub mod text;
pub mod resources;
pub mod constraint;
pub mod bounds;
pub mod excess;
pub mod sample;
pub mod workspace;
pub mod task;
pub mod handler;
pub mod signal;
pub mod dependency;
pub mod event;
pub mod demand;
pub mod strain;
pub mod submission;
pub mod admission;
pub mod pressure;
pub mod tenant;
pub mod directive;
pub mod budget;
mod lending;
pub mod graph;
pub mod waits;
pub mod claims;
pub mod share;
pub mod ageing;
pub mod queue;
pub mod time_slice;
pub mod order;
pub mod placement;
pub mod hindrance;
pub mod history;
pub mod arrivals;
pub mod timeline;
pub mod explain;
pub mod lifecycle;
pub mod lease;
pub mod node;
pub mod breaker;
pub mod reserve;
pub mod preempt;
pub mod fleet;
pub mod gang;
pub mod slots;
pub mod blame;
pub mod retry;
pub mod output;
pub mod shards;
pub mod session;
pub mod trust;
