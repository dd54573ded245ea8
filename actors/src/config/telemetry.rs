//! `[telemetry]`: where traces are sent, and how much may wait for that.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::config::amount::Length;
use crate::config::section::{If, section};

/// The port that receivers of OTLP over HTTP listen on, as a rule.
const USUAL_PORT: u16 = 4318;
/// The path under which they take traces.
const USUAL_PATH: &str = "/v1/traces";
/// Bytes of an endpoint.
const ENDPOINT_LIMIT_BYTES: usize = 1024;

section! {
    /// `[telemetry]`
    TelemetryConfig {
        /// Where traces are sent to, by OTLP over HTTP, unencrypted; only where crabd was built with the feature otel.
        endpoint: String as "nowhere", If(|text: &String| text.parse::<Endpoint>().is_ok(), "http://HOST[:4318][/v1/traces]; for a receiver that wants TLS, that of a collector beside the daemon");
        /// How many finished spans may wait to be sent; more are dropped and counted.
        queue: u32 = 8192, 64..=1_000_000;
        /// How many are sent at once.
        batch: u32 = 512, 1..=8192;
        /// How long one batch may take, with all its tries; then it is dropped and counted.
        deadline: Length = Length(Duration::from_secs(10)), If(|length: &Length| (Duration::from_secs(1)..=Duration::from_secs(60)).contains(&length.0), "between 1s and 60s");
    }
}

/// Who takes traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST:PORT`.
    pub authority: String,
    /// `/v1/traces`.
    pub path: String,
}

/// It is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is http://HOST[:PORT][/PATH]")]
pub struct NoEndpoint;

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        let rest = text.strip_prefix("http://").ok_or(NoEndpoint)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_plain = |c: char| c.is_ascii_graphic() && !"@?#\\\"<>".contains(c);
        let is_long = text.len() > ENDPOINT_LIMIT_BYTES;
        if authority.is_empty() || is_long || !text.chars().all(is_plain) {
            return Err(NoEndpoint);
        }
        // The colons of an IPv6 address stand in brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| NoEndpoint)?),
            _ => (authority, USUAL_PORT),
        };
        let is_host = !host.is_empty() && (host.starts_with('[') == host.contains(':'));
        let path = if path.trim_matches('/').is_empty() { USUAL_PATH } else { path };
        let endpoint = Self { authority: format!("{host}:{port}"), path: path.to_owned() };
        is_host.then_some(endpoint).ok_or(NoEndpoint)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_the_usual_port_and_path_where_none_is_said() {
        for (text, whole) in [
            ("http://localhost", "http://localhost:4318/v1/traces"),
            ("http://localhost:9999/", "http://localhost:9999/v1/traces"),
            ("http://[::1]/otlp/v1/traces", "http://[::1]:4318/otlp/v1/traces"),
            ("http://[::1]:1", "http://[::1]:1/v1/traces"),
        ] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()), Ok(whole.to_owned()));
        }
        for wrong in [
            "https://x",
            "localhost:4318",
            "http://",
            "http://:1",
            "http://x:y",
            "http://a b",
            "http://::1",
            "http://u@h",
        ] {
            assert_eq!(wrong.parse::<Endpoint>(), Err(NoEndpoint), "{wrong}");
        }
    }
}
