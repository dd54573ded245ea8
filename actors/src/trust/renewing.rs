//! A membership is renewed in time by whoever goes by it for long.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::Own;
use crate::clock::Clock;

/// Between two looks at whether the certificate is to be renewed, which it is for four months.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 3600);

/// Renews the certificate in `data` when that is due, for as long as this is polled. Who is connected stays so.
pub async fn keep_good(data: PathBuf, own: Arc<ArcSwap<Own>>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let now = own.load_full();
        if !now.is_due(Clock::system().wall()) {
            continue;
        }
        match now.renew(&data).await {
            Ok(renewed) => {
                tracing::info!("renewed the certificate of this machine");
                own.store(Arc::new(renewed));
            }
            Err(error) => {
                tracing::warn!(%error, "the certificate of this machine could not be renewed; it is tried again")
            }
        }
    }
}
