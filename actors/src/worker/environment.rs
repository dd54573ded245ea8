//! The environment of a task: little of the daemon's own, then what the task asks for, then what it is.
//!
//! The daemon's environment holds secrets that are not the task's: only what programs need to find their
//! way is handed on.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use std::path::Path;

use policy::claims;
use policy::id::NodeId;
use policy::task::TaskSpec;
use policy::text::OsText;

use super::report::REPORT_VARIABLE;
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
pub struct BaseEnvironment(Vec<(OsText, OsText)>);

impl BaseEnvironment {
    /// Of `variables`, those named in `inherited`.
    #[must_use]
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>, inherited: &[&str]) -> Self {
        let named = variables.into_iter().filter(|(name, _)| inherited.iter().any(|known| name == known));
        Self(named.map(|(name, value)| (text(name), text(value))).collect())
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
        let own = own.into_iter().chain(index).chain(request).chain(gang.into_iter().flatten());
        let own = own.map(|(name, value)| (name.into(), value.into()));
        let about =
            of_task.and_then(|spec| spec.about.as_ref()).into_iter().flat_map(|about| about.variables());
        let about = about.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let indices = claims::environment(&grant.indices);
        let indices = indices.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let report = (REPORT_VARIABLE.into(), path_text(report));
        let given = self.0.iter().chain(of_task.into_iter().flat_map(|spec| &spec.environment)).cloned();
        given.chain(about).chain(own).chain(indices).chain([report]).collect()
    }

    /// All of them, for a program that is no task.
    #[must_use]
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let own = |text: &OsText| OsString::from_vec(text.as_bytes().to_vec());
        self.0.iter().map(|(name, value)| (own(name), own(value))).collect()
    }

    /// How many variables it has: they stand first in every environment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of an inherited variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsText> {
        self.0.iter().find(|(known, _)| known.as_bytes() == name.as_bytes()).map(|(_, value)| value)
    }
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
