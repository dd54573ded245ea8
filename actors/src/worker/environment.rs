//! The environment of a task: little of the daemon's own, then what the task asks for, then what it is.
//!
//! The daemon's environment holds secrets that are not the task's: only what programs need to find their
//! way is handed on.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use std::path::Path;

use policy::claims;
use policy::id::NodeId;
use policy::shards::{INDEX_VARIABLE, TOTAL_VARIABLE};
use policy::task::TaskSpec;
use policy::text::OsText;

use super::report::REPORT_VARIABLE;
use super::suites::{Suites, is_driver};
use crate::taskfile::path_text;
use crate::wire::fleet::Grant;

/// Variables that a task inherits from the daemon, unless configured otherwise.
pub const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "DEVELOPER_DIR",
    "SDKROOT",
];

/// What every task on this machine inherits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseEnvironment {
    inherited: Vec<(OsText, OsText)>,
    /// What those tasks are given besides that have suites run.
    of_drivers: Vec<(OsText, OsText)>,
}

impl BaseEnvironment {
    /// Of `variables`, those named in `inherited`.
    #[must_use]
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>, inherited: &[&str]) -> Self {
        let named = variables.into_iter().filter(|(name, _)| inherited.iter().any(|known| name == known));
        let inherited = named.map(|(name, value)| (text(name), text(value))).collect();
        Self { inherited, of_drivers: Vec::new() }
    }

    /// The same, with what tasks find that have suites run.
    #[must_use]
    pub fn and_suites(self, suites: &Suites) -> Self {
        Self { of_drivers: suites.variables(), ..self }
    }

    /// The whole environment of one attempt that may report to `report`; later ones replace earlier ones of
    /// the same name.
    #[must_use]
    pub fn with(&self, grant: &Grant, node: &NodeId, report: &Path) -> Vec<(OsText, OsText)> {
        self.around(Some(&grant.spec), grant, (node, report))
    }

    /// As [`Self::with`], for a command of the machine: without what the task sets.
    #[must_use]
    pub fn of_machine(&self, grant: &Grant, node: &NodeId, report: &Path) -> Vec<(OsText, OsText)> {
        self.around(None, grant, (node, report))
    }

    fn around(
        &self,
        of_task: Option<&TaskSpec>,
        grant: &Grant,
        (node, report): (&NodeId, &Path),
    ) -> Vec<(OsText, OsText)> {
        let index = grant.array_index.map(|index| ("CRAB_ARRAY_INDEX", index.to_string()));
        let several = !grant.spec.alternatives.is_empty();
        let request = several.then(|| ("CRAB_ALTERNATIVE", grant.request.number().to_string()));
        let is_shard = of_task.is_some_and(is_shard);
        let shard = grant.array_index.filter(|_| is_shard).map(|index| (INDEX_VARIABLE, index.to_string()));
        let gang = grant.spec.gang.map(|members| {
            let nodes = grant.gang.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let rank = grant.array_index.unwrap_or_default().to_string();
            [("CRAB_GANG_RANK", rank), ("CRAB_GANG_SIZE", members.to_string()), ("CRAB_GANG_NODES", nodes)]
        });
        let own = [
            ("CRAB_TASK", grant.task.to_string()),
            ("CRAB_GRAPH", grant.graph.to_string()),
            ("CRAB_ATTEMPT", grant.attempt.to_string()),
            ("CRAB_TOKEN", grant.token.0.to_string()),
            ("CRAB_NODE", node.to_string()),
        ];
        let own = own.into_iter().chain(index).chain(shard).chain(request).chain(gang.into_iter().flatten());
        let own = own.map(|(name, value)| (name.into(), value.into()));
        let about =
            of_task.and_then(|spec| spec.about.as_ref()).into_iter().flat_map(|about| about.variables());
        let about = about.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let indices = claims::environment(&grant.indices);
        let indices = indices.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let report = (REPORT_VARIABLE.into(), path_text(report));
        let driving = self.of_drivers.iter().filter(|_| of_task.is_some_and(is_driver)).cloned();
        let given =
            self.inherited.iter().chain(of_task.into_iter().flat_map(|spec| &spec.environment)).cloned();
        given.chain(about).chain(own).chain(indices).chain([report]).chain(driving).collect()
    }

    /// All of them, for a program that is no task.
    #[must_use]
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let own = |text: &OsText| OsString::from_vec(text.as_bytes().to_vec());
        self.inherited.iter().map(|(name, value)| (own(name), own(value))).collect()
    }

    /// How many variables it has: they stand first in every environment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inherited.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inherited.is_empty()
    }

    /// The value of an inherited variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsText> {
        self.inherited.iter().find(|(known, _)| known.as_bytes() == name.as_bytes()).map(|(_, value)| value)
    }
}

/// Whether it is told how many there are of its kind, and so is to know which it is.
fn is_shard(spec: &TaskSpec) -> bool {
    spec.environment.iter().any(|(name, _)| name.as_bytes() == TOTAL_VARIABLE.as_bytes())
}

fn text(text: OsString) -> OsText {
    text.into_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::tests::grant;

    #[test]
    fn secrets_of_the_daemon_stay_with_it() {
        let variables = [("PATH", "/bin"), ("API_KEY", "secret"), ("HOME", "/h")];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let base = BaseEnvironment::of(variables, INHERITED);
        let environment = base.with(&grant(7, 1000), &NodeId::from("n"), Path::new("/r"));
        let names: Vec<String> = environment.iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(
            names,
            [
                "PATH",
                "HOME",
                "CRAB_TASK",
                "CRAB_GRAPH",
                "CRAB_ATTEMPT",
                "CRAB_TOKEN",
                "CRAB_NODE",
                "CRAB_REPORT"
            ]
        );
        assert_eq!(base.get("HOME"), Some(&OsText::from("/h")));
    }

    #[test]
    fn a_member_of_an_array_that_divides_tests_knows_which_shard_it_is_and_no_other_does() {
        let mut grant = grant(7, 1000);
        grant.array_index = Some(2);
        let index = |grant: &Grant| {
            let environment = BaseEnvironment::default().with(grant, &NodeId::from("b"), Path::new("/r"));
            let found = environment.iter().find(|(known, _)| known.as_bytes() == INDEX_VARIABLE.as_bytes());
            found.map(|(_, value)| value.to_string())
        };
        assert_eq!(index(&grant), None);
        let environment = vec![(TOTAL_VARIABLE.into(), "4".into())];
        grant.spec = TaskSpec { environment, ..(*grant.spec).clone() }.into();
        assert_eq!(index(&grant).as_deref(), Some("2"));
    }

    #[test]
    fn the_way_to_the_scheduler_is_told_to_whoever_has_suites_run_alone() {
        let (program, data_dir) = ("/opt/crab".into(), "/data".into());
        let suites = Suites { program, data_dir, address: None, times: None };
        let base = BaseEnvironment::default().and_suites(&suites);
        let mut grant = grant(7, 1000);
        let told = |grant: &Grant| {
            let environment = base.with(grant, &NodeId::from("b"), Path::new("/r"));
            environment.iter().any(|(name, value)| (name, value) == (&"CRAB".into(), &"/opt/crab".into()))
        };
        assert!(!told(&grant));
        let resources = policy::shards::driver_need();
        grant.spec = TaskSpec { resources, ..(*grant.spec).clone() }.into();
        assert!(told(&grant));
    }

    #[test]
    fn a_member_of_a_gang_knows_its_rank_and_where_the_others_are() {
        let mut grant = grant(7, 1000);
        let spec = TaskSpec { gang: Some(3), ..(*grant.spec).clone() };
        (grant.spec, grant.array_index) = (spec.into(), Some(1));
        grant.gang = vec!["a".into(), "b".into(), "".into()];
        let environment = BaseEnvironment::default().with(&grant, &NodeId::from("b"), Path::new("/r"));
        let value = |name: &str| {
            let found = environment.iter().find(|(known, _)| known.as_bytes() == name.as_bytes());
            found.map(|(_, value)| value.to_string())
        };
        let told = ["CRAB_GANG_RANK", "CRAB_GANG_SIZE", "CRAB_GANG_NODES"].map(value);
        assert_eq!(told, ["1", "3", "a,b,"].map(|text| Some(text.to_owned())));
    }
}
