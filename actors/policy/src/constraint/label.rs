//! What is said of a node: texts by name.

use std::collections::BTreeMap;

/// The label that every node has: its own name, so that a task can be pinned to it.
pub const NODE: &str = "node";
/// Where its tasks run: its own name, or the host of a machine behind SSH.
pub const LOCATION: &str = "location";
/// The operating system, such as `macos` or `linux`.
pub const OS: &str = "os";
/// The architecture, such as `aarch64`.
pub const ARCH: &str = "arch";
/// The processor as its maker calls it, such as `Apple M4 Max`.
pub const CHIP: &str = "chip";
/// Who sees to limits of memory and processes: [`KERNEL`], or [`MEASURED`] a few times a second.
pub const LIMITS: &str = "limits";
/// The system refuses what is beyond.
pub const KERNEL: &str = "kernel";
/// What is beyond is stopped when that is seen.
pub const MEASURED: &str = "measured";
/// Where attempts have directories of their own, and which (`workspace::Workspace::made_by`): daemons of before do not say it.
pub const WORKSPACES: &str = "workspaces";
/// Where hooks and gates of tasks are run: daemons of before, and machines behind SSH, do not say it.
pub const STAGES: &str = "stages";
/// Where the members of an array are told which shard they are: daemons of before, and machines behind SSH, do not say it.
pub const SHARDS: &str = "shards";
/// Where artifacts of tasks are kept: daemons of before do not say it.
pub const ARTIFACTS: &str = "artifacts";
/// What the names of labels begin with by which a node says that it has a secret: `secret/npm-token`, whatever its value.
pub const SECRET: &str = "secret/";
/// Where there is a jobserver that tasks may share; its value says how many slots it has.
pub const JOBSERVER: &str = "jobserver";
/// Where tasks can be kept from writing elsewhere; its value says by what.
pub const SANDBOX: &str = "sandbox";
/// How a machine is reached that has no daemon: by `ssh`, or as an `agent`.
pub const REACHED: &str = "reached";
/// The version of the node's program.
pub const VERSION: &str = "version";

/// What the names of labels begin with by which a node says that it holds data: `data/imagenet`, whatever its value.
pub const DATA: &str = "data/";

/// Labels of one node that are kept: they come from outside, and each is looked at for each demand.
pub const LABELS_LIMIT: usize = 64;

/// The labels of one node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels(BTreeMap<Box<str>, Box<str>>);

impl Labels {
    /// Those given, of which later ones of one name replace earlier ones, and the node's name, which nothing
    /// replaces; that is also where it is, if it does not say. At most [`LABELS_LIMIT`], the first by name.
    #[must_use]
    pub fn of<'a>(node: &str, given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut all: BTreeMap<Box<str>, Box<str>> =
            given.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let location = all.remove(LOCATION).unwrap_or_else(|| node.into());
        while all.len() >= LABELS_LIMIT - 1 {
            all.pop_last();
        }
        all.insert(LOCATION.into(), location);
        all.insert(NODE.into(), node.into());
        Self(all)
    }

    /// The same, and over them what operators have put there.
    #[must_use]
    pub fn over<'a>(&self, put: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut all = self.0.clone();
        all.extend(put.into_iter().map(|(name, value)| (name.into(), value.into())));
        Self(all)
    }

    /// The value of one; `None` where the node has no such label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &**value)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_cannot_call_itself_another_one() {
        let labels = Labels::of("a", [("node", "b"), ("rack", "left"), ("rack", "right")]);
        assert_eq!((labels.get("node"), labels.get("rack")), (Some("a"), Some("right")));
        assert_eq!(labels.get("os"), None);
    }

    #[test]
    fn a_node_that_does_not_say_where_it_is_is_where_it_is_called() {
        assert_eq!(Labels::of("a", []).get("location"), Some("a"));
        assert_eq!(Labels::of("a", [("location", "aivcs.local")]).get("location"), Some("aivcs.local"));
    }

    #[test]
    fn what_operators_put_there_stands_over_what_the_node_says() {
        let labels =
            Labels::of("a", [("rack", "left"), ("gpu", "2")]).over([("rack", "right"), ("spare", "yes")]);
        let all: Vec<(&str, &str)> = labels.iter().collect();
        let expected = [("gpu", "2"), ("location", "a"), ("node", "a"), ("rack", "right"), ("spare", "yes")];
        assert_eq!(all, expected);
    }

    #[test]
    fn too_many_labels_are_cut_and_the_name_is_still_there() {
        let names: Vec<String> = (0..200).map(|number| format!("x{number}")).collect();
        let labels = Labels::of("a", names.iter().map(|name| (name.as_str(), "1")));
        assert_eq!((labels.iter().count(), labels.get("node")), (LABELS_LIMIT, Some("a")));
    }
}
