//! OTP-style supervision on ractor: what an actor is, how it is told things, who restarts it.
//!
//! This crate knows nothing of tasks, leases or nodes. Its modules in reading order: what travels
//! ([`envelope`]), what is counted ([`probe`]), the handle that survives restarts ([`address`]), the
//! shape of an actor ([`actor`]), then supervision as data ([`spec`], [`strategy`], [`intensity`],
//! [`exit`]) and as actors ([`supervisor`], [`dynamic`]), and what they look like ([`describe`]).

pub mod actor;
pub mod address;
pub mod describe;
pub mod dynamic;
pub mod envelope;
pub mod exit;
mod host;
pub mod intensity;
pub mod probe;
pub mod spec;
pub mod strategy;
pub mod supervisor;
pub mod trace;
#[cfg(test)]
mod testing;

pub use actor::{Actor, ActorError, Me, Request, spawn};
pub use address::{Address, AskError, Reply};
pub use describe::{ChildState, Counts, Deed, Described, Description, Errand, Fact, First, Inquiry};
pub use dynamic::Dynamic;
pub use envelope::{Envelope, Message, current_actor};
pub use exit::{Ending, Exit};
pub use intensity::Intensity;
pub use probe::{Probe, ProbeId, Reading};
pub use spec::{Backoff, ChildSpec, Kind, Restart, Shutdown};
pub use strategy::Strategy;
pub use supervisor::{Child, Running, SupervisorArgs};
pub use trace::{Trace, Traced};
