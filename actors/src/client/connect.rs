//! Clients of daemons: which one, and with which certificate.

use std::path::PathBuf;
use std::sync::Arc;

use super::link::LinkDial;
use super::{Client, Endpoint, default_data_dir};
use crate::trust::{self, Invitation, TrustError};

impl Client {
    /// A client of the daemon at `endpoint`. Over the network it shows the certificate in this user's data
    /// directory, which [`Client::join`] has put there; on loopback the cookie will do. Nothing is sent yet.
    #[must_use]
    pub fn connect(endpoint: Endpoint) -> Self {
        Self::new(Arc::new(LinkDial::new(endpoint, default_data_dir())))
    }

    /// As [`Client::connect`], with the certificate or the cookie in this data directory.
    #[must_use]
    pub fn connect_with(endpoint: Endpoint, data: PathBuf) -> Self {
        Self::new(Arc::new(LinkDial::new(endpoint, Some(data))))
    }

    /// Uses an invitation (`crab cluster invite NAME --role agent`), once: its certificate is kept in `data`, and
    /// [`Client::connect_with`] finds it there from then on.
    ///
    /// # Errors
    /// Where the scheduler is not reached or is another one, or the invitation is not good any more.
    pub async fn join(invitation: &Invitation, data: PathBuf) -> Result<Self, TrustError> {
        let own = trust::join(&data, invitation).await?;
        Ok(Self::connect_with(Endpoint::Address(own.address().to_owned()), data))
    }

    /// A client of this user's daemon on this machine; `None` for a user without a home directory.
    #[must_use]
    pub fn connect_default() -> Option<Self> {
        default_data_dir().map(|directory| Self::connect(Endpoint::of_data_dir(&directory)))
    }
}
