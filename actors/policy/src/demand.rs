//! What a task asks of the fleet: all that decides whether and where it may start, and nothing else.
//!
//! Many tasks ask alike. Alike tasks share one demand, by number (`placement::Shapes`), so every gate of the
//! scheduler is asked once for each demand and not once for each waiting task. It says nothing of what a task runs.

use std::sync::Arc;

use crate::claims::Claims;
use crate::resources::Resources;
use crate::task::TaskSpec;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Demand {
    /// What it holds while it runs.
    pub resources: Resources,
    /// Who is charged its share.
    pub tenant: Arc<str>,
    /// What sort of work it is.
    pub kind: Option<Arc<str>>,
    /// What it claims of the fleet while it runs.
    pub claims: Option<Arc<Claims>>,
}

impl Demand {
    /// What a task of this specification asks.
    #[must_use]
    pub fn of(spec: &TaskSpec) -> Self {
        Self {
            resources: spec.resources.clone(),
            tenant: Arc::clone(&spec.tenant),
            kind: spec.kind.clone(),
            claims: spec.claims.clone().filter(|claims| !claims.is_empty()),
        }
    }

    /// Of these resources alone, for nobody in particular.
    #[must_use]
    pub fn resources(resources: Resources) -> Self {
        Self { resources, tenant: crate::task::DEFAULT_TENANT.into(), kind: None, claims: None }
    }
}
