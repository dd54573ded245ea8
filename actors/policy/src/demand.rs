//! What a task asks of the fleet: all that decides whether and where it may start, and nothing else.
//!
//! Many tasks ask alike. Alike tasks share one demand, by number (`placement::Shapes`), so every gate of the
//! scheduler is asked once for each demand and not once for each waiting task. It says nothing of what a task runs.

use std::sync::Arc;

use crate::claims::Claims;
use crate::constraint::{ARTIFACTS, Condition, Constraints, STAGES, Test, WORKSPACES};
use crate::resources::Resources;
use crate::shards;
use crate::task::{RequestNumber, TaskSpec, request_of};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Demand {
    /// What it holds while it runs: the request that it likes best, by which it is charged.
    pub resources: Resources,
    /// What else will do, in order of preference.
    pub alternatives: Vec<Resources>,
    /// What it asks of the node it runs on, besides room.
    pub constraints: Constraints,
    /// Who is charged its share.
    pub tenant: Arc<str>,
    /// What sort of work it is.
    pub kind: Option<Arc<str>>,
    /// What it claims of the fleet while it runs.
    pub claims: Option<Arc<Claims>>,
    /// Whether it makes room for what is more urgent.
    pub is_preemptible: bool,
    /// How many nodes it needs at once, where it is one of a gang.
    pub gang: Option<u32>,
}

impl Demand {
    /// What a task of this specification asks.
    #[must_use]
    pub fn of(spec: &TaskSpec) -> Self {
        Self {
            resources: spec.resources.clone(),
            alternatives: spec.alternatives.clone(),
            constraints: constraints(spec),
            tenant: Arc::clone(&spec.tenant),
            kind: spec.kind.clone(),
            claims: spec.claims.clone().filter(|claims| !claims.is_empty()),
            is_preemptible: spec.is_preemptible,
            gang: spec.gang,
        }
    }

    /// Of these resources alone, for nobody in particular.
    #[must_use]
    pub fn resources(resources: Resources) -> Self {
        let (constraints, tenant) = (Constraints::default(), crate::task::DEFAULT_TENANT.into());
        let (kind, claims, is_preemptible, gang) = (None, None, false, None);
        Self { resources, alternatives: Vec::new(), constraints, tenant, kind, claims, is_preemptible, gang }
    }

    /// How many nodes it needs at once.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.gang.unwrap_or(1)
    }

    /// Whether it only waits for others that it hands in. It is nobody whose place they could be waiting for: of those who may run
    /// at once it is none.
    #[must_use]
    pub fn only_waits(&self) -> bool {
        // Nearly nobody names it, and what that is equal to is made for each question.
        self.resources.amount(shards::DRIVER) > 0 && self.resources == shards::driver_need()
    }

    /// How many may start where there is room for so many attempts: of gangs, whole ones.
    #[must_use]
    pub fn starts_within(&self, places: u32) -> u32 {
        places.checked_div(self.nodes()).unwrap_or(0)
    }

    /// All that it asks for, each with its number, in order of preference; at least one.
    pub fn requests(&self) -> impl Iterator<Item = (RequestNumber, &Resources)> {
        let all = std::iter::once(&self.resources).chain(&self.alternatives);
        (0..).map(RequestNumber).zip(all)
    }

    /// What an attempt holds that was granted this request.
    #[must_use]
    pub fn request(&self, number: RequestNumber) -> &Resources {
        request_of(&self.resources, &self.alternatives, number)
    }
}

/// What it says itself, and what follows from its workspace, its stages, its artifacts and from what it is given (a machine that knows of none
/// of them would run it in place and without), and from the phase of its agent.
fn constraints(spec: &TaskSpec) -> Constraints {
    let mut all = spec.constraints.clone();
    all.require.extend(spec.workspace.iter().map(|workspace| {
        let makers = workspace.made_by();
        let test = match &*makers {
            [only] => Test::Is(only.clone()),
            _ => Test::In(makers),
        };
        Condition { label: WORKSPACES.into(), test }
    }));
    if spec.stages.is_some() {
        all.require.push(Condition { label: STAGES.into(), test: Test::Exists });
    }
    if spec.artifacts.is_some() {
        all.require.push(Condition { label: ARTIFACTS.into(), test: Test::Exists });
    }
    all.require.extend(spec.provision.iter().flat_map(|provision| provision.conditions()));
    all.require.extend(spec.about.iter().filter_map(|about| about.condition()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraint::Labels;
    use crate::workspace::{Keep, Source, Workspace};

    #[test]
    fn a_task_with_a_workspace_fits_no_machine_that_makes_none_and_says_why() {
        let mut spec = TaskSpec::new("a", vec!["true".into()]);
        let (makes, behind_ssh) =
            (Labels::of("a", [(WORKSPACES, "yes")]), Labels::of("b", [("reached", "ssh")]));
        assert!(Demand::of(&spec).constraints.met(&behind_ssh));
        let workspace = Workspace { source: Source::Scratch, keep: Keep::Unsaved, private_home: false };
        spec.workspace = Some(Box::new(workspace));
        let asked = Demand::of(&spec).constraints;
        assert!(asked.met(&makes) && !asked.met(&behind_ssh));
        assert_eq!(asked.unmet(&behind_ssh)[0].condition.to_string(), "workspaces=yes");
    }

    #[test]
    fn a_worktree_is_also_made_where_there_is_a_repository_of_its_name_and_nothing_else_is() {
        let asked = |repository: &str, private_home| {
            let source = Source::Worktree { repository: repository.into(), commit: "main".into() };
            let mut spec = TaskSpec::new("a", vec!["true".into()]);
            spec.workspace = Some(Box::new(Workspace { source, keep: Keep::Unsaved, private_home }));
            Demand::of(&spec).constraints
        };
        let api = Labels::of("b", [(WORKSPACES, &*crate::workspace::worktrees_of("api"))]);
        let all = Labels::of("a", [(WORKSPACES, "yes")]);
        for (repository, private_home, is_made) in [
            ("/src/api", false, true),
            ("/api/./", false, true),
            ("/src/api", true, false),
            ("/src/api2", false, false),
            ("/src/api/..", false, false),
            ("/", false, false),
        ] {
            let asked = asked(repository, private_home);
            assert_eq!((asked.met(&api), asked.met(&all)), (is_made, true), "{repository}");
        }
        let unmet = asked("/src/api2", false).unmet(&api).remove(0);
        assert_eq!(
            unmet.to_string(),
            "label workspaces in yes,worktrees of api2 missing (it is worktrees of api)"
        );
    }

    #[test]
    fn a_task_with_a_gate_fits_no_machine_that_would_not_ask_it() {
        let mut spec = TaskSpec::new("a", vec!["true".into()]);
        let gate = Some(vec!["false".into()]);
        spec.stages = Some(Box::new(crate::stages::Stages { gate, ..Default::default() }));
        let asked = Demand::of(&spec).constraints;
        assert!(asked.met(&Labels::of("a", [(STAGES, "yes")])));
        assert_eq!(asked.unmet(&Labels::of("b", [("reached", "ssh")]))[0].condition.to_string(), "stages");
    }

    #[test]
    fn a_task_with_artifacts_fits_no_machine_that_would_not_keep_them() {
        let mut spec = TaskSpec::new("a", vec!["true".into()]);
        spec.artifacts = crate::artifact::Artifacts::parse(["out/**"]).ok().map(Box::new);
        let asked = Demand::of(&spec).constraints;
        assert!(asked.met(&Labels::of("a", [(ARTIFACTS, "yes")])));
        assert_eq!(asked.unmet(&Labels::of("b", [(STAGES, "yes")]))[0].condition.to_string(), "artifacts");
    }
}
