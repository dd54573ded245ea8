//! Who belongs to the fleet: its own certificate authority, who was invited, who came, who was sent away.
//!
//! In reading order: [`line`](mod@line) is the invitation as one line, [`papers`] the files with keys and certificates,
//! [`authority`] makes certificates, [`roll`] remembers to whom they belong, [`fleet`] is both with the scheduler's
//! side of TLS; [`own`] is a member's side of it, `application` what the two say when a certificate is
//! asked for, and `hearing` the scheduler's side of that. Must not know what else travels.
//!
//! A certificate is worth what the roll says of it: one that the roll does not know opens nothing, whoever has
//! signed it. So nothing is read from certificates but whether they are valid, and taking one back needs no list
//! that others would have to fetch.

mod application;
#[cfg(feature = "server")]
pub mod authority;
#[cfg(feature = "server")]
pub mod fleet;
#[cfg(feature = "server")]
mod hearing;
pub mod line;
pub mod own;
pub mod papers;
mod renewing;
#[cfg(feature = "server")]
pub mod roll;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use application::explained;
#[cfg(feature = "server")]
pub use fleet::Fleet;
#[cfg(feature = "server")]
pub(crate) use hearing::hear_applicant;
pub use line::Invitation;
pub(crate) use own::scheduler_name;
pub use own::{Own, join};
pub use renewing::keep_good;

/// Where all of this is kept, in a data directory.
const DIRECTORY: &str = "trust";
/// How long a member's certificate is good; it is renewed when a third of that is left.
pub const MEMBERSHIP: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long before its end a certificate is renewed.
pub const RENEW_BEFORE: Duration = Duration::from_secs(120 * 24 * 3600);
/// How far the clocks of two machines may be apart: a new certificate is good since then.
const CLOCKS_APART: Duration = Duration::from_secs(24 * 3600);
/// What is spoken after TLS by those who are members.
pub(crate) const MEMBERS: &[u8] = b"crab/1";
/// What is spoken after TLS by those who want a certificate.
pub(crate) const APPLICANTS: &[u8] = b"crab-join/1";
/// The name in the scheduler's certificate, wherever it listens.
pub(crate) const SCHEDULER_NAME: &str = "scheduler.knittingcrab.invalid";

/// Why something about certificates did not work.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read a key.
    #[error("{} has mode {mode:03o}: others can read the key in it; run chmod 600 on it and, if it was read, make new ones", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file holds something else.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is an authority already.
    #[error("{} is there already: this fleet has its certificates; `crab cluster invite NAME` makes members", path.display())]
    Exists {
        /// Its file.
        path: PathBuf,
    },
    /// Making a key or a certificate failed.
    #[error("making a certificate: {0}")]
    Making(String),
    /// What was asked for is refused.
    #[error("{0}")]
    Refused(String),
    /// The other side could not be reached, or something else answers there.
    #[error("{address}: {what}")]
    Unreachable {
        /// Where.
        address: String,
        /// What went wrong.
        what: String,
    },
}

impl From<rcgen::Error> for TrustError {
    fn from(error: rcgen::Error) -> Self {
        Self::Making(error.to_string())
    }
}

impl From<rustls::Error> for TrustError {
    fn from(error: rustls::Error) -> Self {
        Self::Making(error.to_string())
    }
}
