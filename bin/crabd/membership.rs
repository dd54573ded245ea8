//! A machine's membership in the fleet it joins: got with an invitation, and kept.

use std::sync::Arc;

use actors::trust::{self, Invitation, Own};
use anyhow::Context;
use arc_swap::ArcSwap;
use policy::trust::FleetRole;

use super::settings::Settings;

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
