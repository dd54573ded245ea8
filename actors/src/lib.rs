//! Everything knittingCrab does: the actors of the scheduler side and of the machine side, what crosses
//! processes and disks, and the client that Rust agents use. What is decided is decided in `policy`.
//!
//! The modules stand in the order in which a task meets them.

pub mod config;
pub mod clock;
pub mod levels;
pub mod memory;
pub mod wire;
pub mod say;
pub mod taskfile;
pub mod trust;
pub mod client;
pub mod console;
pub mod link;
pub mod log;
pub mod store;
pub mod archive;
pub mod outlet;
pub mod story;
pub mod meters;
pub mod audit;
pub mod side;
pub mod inspect;
pub mod gateway;
pub mod scheduler;
pub mod queue;
pub mod task;
pub mod lease;
pub mod node;
pub mod worker;
pub mod workspace;
pub mod process;
pub mod session;
pub mod output;
pub mod tree;
pub mod metrics;
#[cfg(feature = "otel")]
pub mod traces;
pub mod head;
pub mod door;
pub mod agent;
pub mod machine;
pub mod embedded;
