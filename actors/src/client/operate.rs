//! What operators say and see.

use std::time::Duration;

use policy::directive::Directive;
use policy::id::NodeId;

use crate::client::{Client, ClientError, refusal};
use crate::wire::client::{Enrolled, Enrolment, Request, Response, Sample, SettingRow};

impl Client {
    /// Says something that holds until it is taken back; tells whether it has changed anything, once that is on disk.
    /// `by` and `reason` are for the record: who says it, and why; nothing where there is no more to say.
    ///
    /// # Errors
    /// Among others [`ClientError::Refused`] where it names what is not there.
    pub async fn direct(
        &self,
        directive: Directive,
        (by, reason): (&str, &str),
    ) -> Result<bool, ClientError> {
        self.say(&Request::Direct { directive, by: by.into(), reason: reason.into() }).await
    }

    /// Has a node emptied; after `within` also of what runs there. Otherwise as [`Self::direct`].
    ///
    /// # Errors
    /// As there.
    pub async fn drain(
        &self,
        node: NodeId,
        within: Option<Duration>,
        (by, reason): (&str, &str),
    ) -> Result<bool, ClientError> {
        self.say(&Request::Drain { node, within, by: by.into(), reason: reason.into() }).await
    }

    /// What is measured.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn metrics(&self) -> Result<Sample, ClientError> {
        match self.call(&Request::Metrics).await? {
            Response::Metrics(sample) => Ok(*sample),
            other => Err(refusal(other)),
        }
    }

    /// The settings that hold, with where each comes from.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn settings(&self) -> Result<Vec<SettingRow>, ClientError> {
        match self.call(&Request::Settings).await? {
            Response::Settings(settings) => Ok(settings),
            other => Err(refusal(other)),
        }
    }

    /// Tells or changes who belongs to the fleet.
    ///
    /// # Errors
    /// Among others [`ClientError::Refused`] where the fleet has no certificates, or a name is taken.
    pub async fn enrol(&self, wanted: Enrolment) -> Result<Enrolled, ClientError> {
        match self.call(&Request::Cluster(wanted)).await? {
            Response::Cluster(enrolled) => Ok(enrolled),
            other => Err(refusal(other)),
        }
    }

    async fn say(&self, request: &Request) -> Result<bool, ClientError> {
        match self.call(request).await? {
            Response::Directed { changed } => Ok(changed),
            other => Err(refusal(other)),
        }
    }
}
