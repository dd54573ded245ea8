//! `[daemon]`: who this daemon is and where it listens.

use std::net::SocketAddr;

use crate::config::section::{Any, section};
use crate::log::disk::Durability;

section! {
    /// `[daemon]`
    DaemonConfig {
        /// The user that the daemon runs as, and every task with it: only a daemon that root starts can become another one.
        user: String as "whoever starts it", Any("a user of this machine");
        /// The machine's name in the fleet.
        name: String as "the host name", Any("a-z 0-9 . _ -, beginning with a letter or digit");
        /// Where workers and clients of other machines may connect.
        listen: SocketAddr as "nowhere", Any("an address and a port");
        /// The scheduler of another machine, whose worker this one is.
        join: String as "none", Any("a host and a port");
        /// What "on disk" means.
        durability: Durability = Durability::default(), Any("full, barrier or os");
    }
}
