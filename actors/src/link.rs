//! Connections between our processes: listen, dial, authenticate, carry frames.
//!
//! A frame is a few opaque bytes (`wire` knows what they mean). One side listens (the scheduler's), the
//! others dial. What the rest of the program sees is a [`Door`] on the listening side and a
//! [`Connection`] on the dialling side, whatever carries the frames; [`direct`] joins the two within one
//! process. Must not know tasks, nodes, or any type that travels.
//!
//! In reading order: [`preamble`] is what two processes say before anything else, [`secret`] the cookie
//! that proves it, `handshake` the saying; `hall` who may come in, [`listener`] and [`dialler`] the
//! actors of the two sides, [`connect`] one attempt. Then a `session`, within its `credit`, over
//! `lean` or [`cluster`], on a guarded `stream`, until its [`life`] ends.
//!
//! # Why two carriers
//! Workers and Rust agents are nodes of a ractor cluster. A session of ractor_cluster costs too much for
//! a command that lives five milliseconds, and its price grows with the actors awake in the scheduler,
//! because each new session lists them all. So command lines (and bulk data, later) ask in the preamble
//! for the lean carrier: the same preamble and frames, straight on the stream.
//!
//! Measured by `tests::measure` in a release build, scheduler and client in two processes on 2 cores that others
//! kept busy (load 12), frames of 100 bytes; medians of three runs:
//!
//! | | lean, Unix socket | cluster, Unix socket | cluster, TCP |
//! |---|---|---|---|
//! | connect, preamble, first answered call | 0.11 ms | 0.48 ms | 0.60 ms |
//! | one call | 26 µs | 48 µs | 45 µs |
//! | calls per second, 256 at a time (range) | 568,000 (193,000–598,000) | 25,000 (24,000–49,000) | 40,000 (30,000–52,000) |
//!
//! In a trial on the bare libraries at load 3.5, a cluster connection and two calls took 1.0 ms, 98,000 calls a
//! second passed, a process's own node took 0.3 to 0.6 ms more to start, once; and with 20,000 actors awake in
//! the listening process a connection and two calls took 4.4 to 5.8 ms. That last number is the reason.
//!
//! # What is not here
//! A frame that was sent has not arrived until something comes back: a closing connection drops what waits to be written.
//! Over TCP everything goes through TLS where the fleet has certificates (`secure`, `crate::trust`); without them only
//! loopback is served, in the clear, to those who have the cookie.

#[cfg(feature = "server")]
pub mod cluster;
pub mod connect;
mod credit;
pub mod dialler;
#[cfg(feature = "server")]
pub mod direct;
#[cfg(feature = "server")]
mod hall;
mod handshake;
mod lean;
pub mod life;
#[cfg(feature = "server")]
pub mod listener;
pub mod peer;
pub mod preamble;
pub mod secret;
mod secure;
mod session;
mod stream;
#[cfg(test)]
#[cfg(feature = "server")]
mod tests;

#[cfg(feature = "server")]
pub use cluster::Cluster;
pub use connect::{ConnectError, Dial, connect_once, knock};
pub use life::{EndReason, Life};
pub use peer::{Carrier, Connection, Door, Endpoint, LinkError, Outlet, Peer, PeerId, Via};
pub use preamble::{Hello, Protocols, Purpose, Role};
pub use secret::Cookie;

use std::time::Duration;

/// The largest frame, in bytes. A larger one is refused before it is sent, so the layer above sends
/// chunks: one long frame delays everything behind it.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// Everything about connections that has a bound.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From accepting (or dialling) to a usable session. Longer than two round trips across the world.
    pub handshake_deadline: Duration,
    /// Without any byte received for so long, the stream ends. Longer than two heartbeats.
    pub idle_deadline: Duration,
    /// After so long without sending, a lean connection says that it lives.
    pub keep_alive: Duration,
    /// Bytes that may be on their way to a peer, unacknowledged: eight of the largest frames.
    pub window_bytes: u64,
    /// Answers owed to a peer may exceed the window so many times before the peer is cut off: it asked for them.
    pub answers_factor: u64,
    /// Calls of one connection that may be unanswered.
    pub pending_calls: usize,
    /// Handshakes under way over TCP, from all addresses; beyond it the oldest gives way.
    pub pending_handshakes: usize,
    /// Handshakes under way from one IP address; beyond it new connections are closed at once.
    pub pending_handshakes_per_ip: usize,
    /// Sessions at a time: a fleet of 20 machines and some hundreds of programs.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_deadline: Duration::from_secs(5),
            idle_deadline: Duration::from_secs(8),
            keep_alive: Duration::from_secs(2),
            window_bytes: 8 << 20,
            answers_factor: 4,
            pending_calls: 4_096,
            pending_handshakes: 64,
            pending_handshakes_per_ip: 8,
            connections: 1_024,
        }
    }
}
