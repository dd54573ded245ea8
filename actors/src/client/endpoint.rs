//! Where a scheduler is to be found.

use std::fmt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::trust::Invitation;

/// A scheduler's front door.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The socket of the daemon on this machine.
    Socket(PathBuf),
    /// `HOST:PORT` of a daemon elsewhere, or an invitation to one, which is used once.
    Address(String),
}

/// The name of the daemon's socket in its data directory.
pub const SOCKET_NAME: &str = "crabd.sock";
/// The name of the cluster's cookie in a data directory.
pub const COOKIE_NAME: &str = "cookie";
/// The directory of ours within the platform's directory for data.
const DIRECTORY_NAME: &str = "knittingcrab";

impl Endpoint {
    /// The daemon that keeps its data in this directory.
    #[must_use]
    pub fn of_data_dir(directory: &Path) -> Self {
        Self::Socket(directory.join(SOCKET_NAME))
    }
}

/// The platform's directory for our data; `None` for a user without a home directory.
#[must_use]
pub fn default_data_dir() -> Option<PathBuf> {
    etcetera::choose_base_strategy().ok().map(|base| base.data_dir().join(DIRECTORY_NAME))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "the daemon at {}", path.display()),
            Self::Address(line) if Invitation::is_meant(line) => match line.parse::<Invitation>() {
                Ok(invitation) => write!(f, "the daemon at {}", invitation.address),
                // It may hold a secret all the same.
                Err(_) => f.write_str("the daemon of an invitation"),
            },
            Self::Address(address) => write!(f, "the daemon at {address}"),
        }
    }
}
