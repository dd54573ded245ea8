//! What of the fleet is claimed, and what waits for its turn.

use policy::claims::ClaimsView;
use policy::graph::ReadyItem;

use crate::client::{Client, ClientError, refusal};
use crate::wire::client::{Request, Response};

/// The layout since which what is ready is told by items.
const OLDEST_SINCE: u8 = 18;

impl Client {
    /// What is ready of the tasks and arrays that came first, of at most so many of them; `None` where the daemon is of a
    /// version that does not tell.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn oldest(&self, limit: u32) -> Result<Option<Vec<ReadyItem>>, ClientError> {
        if self.layout().await?.number() < OLDEST_SINCE {
            return Ok(None);
        }
        match self.call(&Request::Oldest(limit)).await? {
            Response::Oldest(items) => Ok(Some(items)),
            other => Err(refusal(other)),
        }
    }

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
