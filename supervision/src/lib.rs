//! OTP-style supervision on ractor: what an actor is, how it is told things, who restarts it.
//!
//! This crate knows nothing of tasks, leases or nodes. Its modules in reading order: what travels
//! ([`envelope`]), what is counted ([`probe`]), the handle that survives restarts ([`address`]), the
//! shape of an actor ([`actor`]), then supervision as data ([`spec`], [`strategy`], [`intensity`],
//! [`exit`]) and as actors ([`supervisor`], [`dynamic`]).

pub mod actor;
pub mod address;
pub mod envelope;
pub mod probe;

pub use actor::{Actor, ActorError, Me};
pub use address::{Address, AskError, Reply};
pub use envelope::{Envelope, Message};
pub use probe::{Probe, ProbeId};
