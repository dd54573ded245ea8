//! `[ssh_nodes.NAME]`: a machine that is reached by SSH alone and runs tasks in sessions, without a daemon of its own.

use std::io;
use std::path::{Path, PathBuf};

use policy::resources::Resources;
use policy::session::target::{Target, TargetRefused};
use policy::session::{Identity, Role};
use policy::text::OsText;

use crate::config::ConfigError;
use crate::config::amount::{Cores, Size, Table};
use crate::config::remote_execution::RemoteExecutionConfig;
use crate::config::section::{Any, If, section};
use crate::config::worker::none_handles;
use crate::session::Sessions;
use crate::session::node::{SshNode, word};
use crate::session::way::Way;
use crate::session::words::key_of;

section! {
    /// `[ssh_nodes.NAME]`
    SshNodeConfig {
        /// The machine, as SSH knows it.
        host: String as "remote_execution.host, or the node's name", Any("a host");
        /// Who one is there.
        user: String as "remote_execution.user, or as SSH's configuration says", Any("a user");
        /// Its port of SSH.
        port: u16 as "as SSH's configuration says", Any("a port");
        /// The private key to use, and no other.
        identity: String as "as SSH's configuration says", Any("a file");
        /// A configuration for SSH in place of the user's.
        ssh_config: String as "the user's", Any("a file");
        /// Where repositories are on the machine.
        base_dir: String as "remote_execution.repo_base", Any("a directory");
        /// The repository in which tasks run there; their own directory does not count.
        repo: String as "none: it must be said", Any("a directory below base_dir");
        /// Whether tasks there hear on their standard input what `crab steer` says.
        steer: bool = false, Any("true or false");
        /// Cores for tasks.
        cpus: Cores = Cores(1000), Any("a number of cores");
        /// Memory for tasks.
        memory: Size = Size(1 << 30), Any("a size");
        /// Slots of the GPU.
        gpu: u64 = 0, 0..;
        /// The site's own resources.
        resources: Table<u64> as "none", If(none_handles, "amounts by name, none of them handler.KIND, which agents have");
        /// What is said of this machine.
        labels: Table<String> as "none", Any("texts by name");
    }
}

impl SshNodeConfig {
    /// Whether a node of this name can be like this.
    ///
    /// # Errors
    /// The host, the user or the repository is none.
    pub fn check_as(&self, name: &str) -> Result<(), ConfigError> {
        let wrong = |key: &str, value: &str, allowed: String| ConfigError::Range {
            key: format!("ssh_nodes.{name}.{key}"),
            value: format!("{value:?}"),
            allowed,
        };
        self.target(name).map_err(|refused| wrong("host", self.host_of(name), refused.to_string()))?;
        let repo = self.repo.as_deref().unwrap_or_default();
        Identity::new(repo, "t1", Role::Runner)
            .map_err(|refused| wrong("repo", repo, refused.to_string()))?;
        Ok(())
    }

    /// As it is where nothing else is said of it.
    #[must_use]
    pub fn with_usual(&self, usual: &RemoteExecutionConfig) -> Self {
        let mut node = self.clone();
        node.host = node.host.or_else(|| usual.host.clone());
        node.user = node.user.or_else(|| usual.user.clone());
        node.base_dir = node.base_dir.or_else(|| usual.repo_base.clone());
        node
    }

    /// The machine, as SSH knows it.
    #[must_use]
    pub fn host_of<'a>(&'a self, name: &'a str) -> &'a str {
        self.host.as_deref().unwrap_or(name)
    }

    fn target(&self, name: &str) -> Result<Target, TargetRefused> {
        let host = self.host_of(name);
        let is_there = host != "local";
        Target::new(Some(host), self.user.as_deref().filter(|_| is_there), self.port.filter(|_| is_there))
    }

    /// The sessions there, over a connection that is shared with nobody else.
    ///
    /// # Errors
    /// The machine is none, or there is no directory for the connection.
    pub fn sessions(&self, name: &str, home: &Path) -> io::Result<Sessions> {
        let target = self.target(name).map_err(io::Error::other)?;
        let path = |said: &Option<String>| said.as_deref().map(PathBuf::from);
        let way = Way::new(target, false).identity(path(&self.identity)).config(path(&self.ssh_config));
        Ok(Sessions::new(way.alone(true).sharing(home)?))
    }

    /// What it has for tasks.
    #[must_use]
    pub fn capacity(&self) -> Resources {
        let mut capacity = Resources::cpus(self.cpus().0);
        capacity.memory_bytes = self.memory().0;
        capacity.gpu_slots = self.gpu();
        let named = self.resources.iter().flat_map(|table| &table.0);
        capacity.named = named.map(|(name, amount)| (name.as_str().into(), *amount)).collect();
        capacity
    }

    /// How attempts are run there by `program`, of whose environment the first `own_variables` are its own, for the
    /// scheduler that `tag` names.
    #[must_use]
    pub fn node(&self, name: &str, program: &Path, tag: &str, own_variables: usize) -> SshNode {
        let mut to: Vec<OsText> = Vec::new();
        let port = self.port.map(|port| port.to_string());
        for (option, value) in [
            ("--host", Some(self.host_of(name))),
            ("--user", self.user.as_deref()),
            ("--port", port.as_deref()),
            ("--identity", self.identity.as_deref()),
            ("--ssh-config", self.ssh_config.as_deref()),
            ("--base-dir", self.base_dir.as_deref()),
        ] {
            to.extend(value.into_iter().map(|value| word(format!("{option}={value}"))));
        }
        let repo = self.repo.as_deref().unwrap_or_default().into();
        let tag = key_of(tag).chars().take(8).collect::<String>().into();
        SshNode {
            program: program.to_owned(),
            to,
            over: None,
            repo,
            tag,
            own_variables,
            steerable: self.steer(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_needs_a_repository_and_a_host_that_can_be_named() {
        let with = |host: Option<&str>, repo: Option<&str>| SshNodeConfig {
            host: host.map(Into::into),
            repo: repo.map(Into::into),
            ..SshNodeConfig::default()
        };
        assert!(with(None, Some("r")).check_as("mac-1").is_ok());
        let refused = with(None, None).check_as("mac-1").unwrap_err().to_string();
        assert!(refused.contains("ssh_nodes.mac-1.repo"), "{refused}");
        assert!(with(Some("-o"), Some("r")).check_as("mac-1").is_err());
        let (host, user) = (Some("all".into()), Some("me".into()));
        let usual = RemoteExecutionConfig { host, user, ..RemoteExecutionConfig::default() };
        let node = with(None, Some("r")).with_usual(&usual).node("mac-1", Path::new("/p"), "tag", 2);
        assert_eq!(node.to, [OsText::from("--host=all"), "--user=me".into()]);
        let node = with(Some("h"), Some("r")).node("mac-1", Path::new("/p"), "tag", 2);
        assert_eq!(node.to, [OsText::from("--host=h")]);
    }
}
