//! What of the fleet is claimed.

use policy::claims::ClaimsView;

use crate::client::{Client, ClientError, refusal};
use crate::wire::client::{Request, Response};

impl Client {
    /// What tasks hold of the fleet's locks, pools, amounts and rates, and who waits for it.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn claims(&self) -> Result<ClaimsView, ClientError> {
        match self.call(&Request::Claims).await? {
            Response::Claims(claims) => Ok(*claims),
            other => Err(refusal(other)),
        }
    }
}
