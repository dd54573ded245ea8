//! How the session of a task is reached.

use crate::client::{Client, ClientError, refusal};
use crate::wire::client::{Request, Response, WayRow, WhereTo};

impl Client {
    /// How somebody gets to where a task runs, or to a machine.
    ///
    /// # Errors
    /// Among others [`ClientError::Refused`] where no session is there, with what can be done instead.
    pub async fn way(&self, to: WhereTo) -> Result<WayRow, ClientError> {
        match self.call(&Request::Way(to)).await? {
            Response::Way(way) => Ok(*way),
            other => Err(refusal(other)),
        }
    }
}
