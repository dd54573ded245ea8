//! `[metrics]`: where collectors and probes are answered over HTTP.

use std::net::SocketAddr;

use crate::config::section::{Any, section};

section! {
    /// `[metrics]`
    MetricsConfig {
        /// Where /metrics, /metrics.json, /healthz and /readyz are answered, without a secret and without encryption.
        listen: SocketAddr as "nowhere", Any("an address and a port, of loopback unless public is set");
        /// Whether that may be an address which other machines reach.
        public: bool = false, Any("true or false");
    }
}

impl MetricsConfig {
    /// Whether others could read what is only for this machine.
    #[must_use]
    pub fn is_too_open(&self) -> bool {
        self.listen.is_some_and(|address| !address.ip().is_loopback()) && !self.public()
    }
}
