//! Everything knittingCrab does: the actors of the scheduler side and of the machine side, what crosses
//! processes and disks, and the client that Rust agents use. What is decided is decided in `policy`.
//!
//! The modules stand in the order in which a task meets them. A program that only asks (`client`) builds it without the
//! feature `server`, which is all that schedules, runs and keeps.

#![cfg_attr(
    not(feature = "server"),
    expect(dead_code, unreachable_pub, reason = "the listening side of what both sides share")
)]

#[cfg(feature = "server")]
pub mod config;
pub mod clock;
#[cfg(feature = "server")]
pub mod levels;
#[cfg(feature = "server")]
pub mod memory;
pub mod wire;
pub mod say;
pub mod taskfile;
pub mod trust;
pub mod client;
#[cfg(feature = "server")]
pub mod console;
pub mod link;
#[cfg(feature = "server")]
pub mod log;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod archive;
#[cfg(feature = "server")]
pub mod outlet;
#[cfg(feature = "server")]
pub mod story;
#[cfg(feature = "server")]
pub mod meters;
#[cfg(feature = "server")]
pub mod audit;
#[cfg(feature = "server")]
pub mod side;
#[cfg(feature = "server")]
pub mod inspect;
#[cfg(feature = "server")]
pub mod gateway;
#[cfg(feature = "server")]
pub mod scheduler;
#[cfg(feature = "server")]
pub mod queue;
#[cfg(feature = "server")]
pub mod task;
#[cfg(feature = "server")]
pub mod lease;
#[cfg(feature = "server")]
pub mod node;
#[cfg(feature = "server")]
pub mod worker;
#[cfg(feature = "server")]
pub mod workspace;
#[cfg(feature = "server")]
pub mod artifact;
#[cfg(feature = "server")]
pub mod provision;
#[cfg(feature = "server")]
pub mod process;
#[cfg(feature = "server")]
pub mod session;
#[cfg(feature = "server")]
pub mod output;
#[cfg(feature = "server")]
pub mod tree;
#[cfg(feature = "server")]
pub mod metrics;
#[cfg(feature = "otel")]
pub mod traces;
#[cfg(feature = "server")]
pub mod head;
#[cfg(feature = "server")]
pub mod door;
#[cfg(feature = "server")]
pub mod agent;
#[cfg(feature = "server")]
pub mod machine;
#[cfg(feature = "server")]
pub mod embedded;
