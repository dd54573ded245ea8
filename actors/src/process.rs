//! The processes of attempts: who starts, holds, reads, ends and buries them.
//!
//! One small program per machine, the *host*, owns them all; the worker talks to it over a socket. So a
//! running task survives the daemon, and the daemon's size does not slow down the starting of processes.
//! [`protocol`] is what the two say, [`host`] is that program, [`port`] is the worker's end, [`os`] is what
//! differs between operating systems. Must not know of schedulers, queues or graphs.

pub mod frame;
pub mod halt;
pub mod host;
pub mod os;
pub mod port;
pub mod protocol;
