//! A machine's membership in the fleet it joins: got with an invitation, kept, and renewed in time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actors::clock::Clock;
use actors::trust::{self, Invitation, Own};
use anyhow::Context;
use arc_swap::ArcSwap;
use policy::trust::FleetRole;

use super::settings::Settings;

/// Between two looks at whether the certificate is to be renewed, which it is for four months.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 3600);

/// The certificate with which this machine joins; from now on it goes by the name in it. `None` where it joins nobody or
/// has none.
pub(crate) async fn settle(settings: &mut Settings) -> anyhow::Result<Option<Arc<ArcSwap<Own>>>> {
    let Some(join) = &settings.join else { return Ok(None) };
    let own = if Invitation::is_meant(join) {
        let invitation: Invitation = join.parse()?;
        let own = trust::join(&settings.data_dir, &invitation).await.context("using the invitation")?;
        settings.join = Some(invitation.address);
        Some(own)
    } else {
        Own::of_worker(&settings.data_dir)?
    };
    let Some(own) = own else { return Ok(None) };
    let member = own.member();
    if member.role != FleetRole::Worker {
        anyhow::bail!(
            "{} was invited as {}, not as a worker: crab uses that invitation; for this machine make one with \
             `crab cluster invite NAME --role worker`",
            member.name,
            member.role
        );
    }
    if settings.is_named && *settings.name != *member.name {
        anyhow::bail!(
            "this machine was invited as {} and is to be called {}: leave out the name, or ask for an invitation for it",
            member.name,
            settings.name
        );
    }
    settings.name = member.name.to_string();
    Ok(Some(Arc::new(ArcSwap::from_pointee(own))))
}

/// Renews the certificate when that is due, for as long as this is polled. A worker that is connected stays so.
pub(crate) async fn keep_good(data: PathBuf, own: Arc<ArcSwap<Own>>) {
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
