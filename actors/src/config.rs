//! Every limit and every setting, typed, with its default and its reason.
//!
//! Read from TOML. A file that names what does not exist, or says what cannot be, is refused with the line,
//! the key and what is allowed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::admission::AdmissionLimits;
use policy::graph::Retention;
use policy::lease::{BadTerms, LeaseTerms};
use serde::{Deserialize, Deserializer};

use crate::log::LogLimits;
use crate::log::disk::Durability;
use crate::taskfile::quantity;

/// How much of everything the scheduler side takes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// What a submission may be.
    pub admission: AdmissionLimits,
    /// Task actors awake at once: each takes some 10 KB, so this is about 1 GB. Far above the attempts a
    /// fleet of twenty machines runs at once.
    pub awake_tasks: usize,
    /// Different needs of resources at once: each is compared with each node in every round.
    pub shapes: usize,
    /// How much of what has ended is kept.
    pub retention: Retention,
    /// Bytes of closed segments of the log that are kept for those who follow events, beyond what snapshots
    /// keep: a day of a busy fleet.
    pub log_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admission: AdmissionLimits::default(),
            awake_tasks: 100_000,
            shapes: 10_000,
            retention: Retention::default(),
            log_bytes: 1 << 30,
        }
    }
}

/// The largest configuration file, in bytes: a hundred times what a fleet needs.
const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// A configuration file, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Who this daemon is and where it listens.
    pub daemon: DaemonConfig,
    /// How leases are timed.
    pub lease: LeaseConfig,
    /// How much the scheduler side takes on. Reloaded on SIGHUP.
    pub limits: LimitsConfig,
    /// What this machine has for tasks.
    pub worker: WorkerConfig,
}

/// `[daemon]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DaemonConfig {
    /// The machine's name in the fleet; its host name where there is none.
    pub name: Option<String>,
    /// Where workers and clients of other machines may connect; nowhere where there is none.
    pub listen: Option<SocketAddr>,
    /// The scheduler of another machine, whose worker this one is.
    pub join: Option<String>,
    /// What "on disk" means: `full`, `barrier` or `os`.
    pub durability: Option<Durability>,
}

/// `[lease]`: see `policy::lease` for what each must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseConfig {
    /// Between two heartbeats: 3 s.
    pub heartbeat: Option<Length>,
    /// How long a node may run on without being heard: 15 s.
    pub ttl: Option<Length>,
    /// What the scheduler waits on top: 2 s.
    pub grace: Option<Length>,
    /// How long before the end a node begins to kill: 1 s.
    pub kill_margin: Option<Length>,
}

/// `[limits]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Tasks that have not ended, in all.
    pub waiting_tasks: Option<u64>,
    /// Graphs that have ended and are kept.
    pub kept_graphs: Option<usize>,
    /// Tasks of such graphs.
    pub kept_tasks: Option<u64>,
    /// How long they are kept.
    pub kept_for: Option<Length>,
    /// How much of the log is kept for those who follow events.
    pub log: Option<Size>,
}

/// `[worker]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// Cores for tasks; all of the machine's where there is none.
    pub cpus: Option<Cores>,
    /// Memory for tasks; the machine's less 2 GiB where there is none.
    pub memory: Option<Size>,
    /// Slots of the GPU.
    pub gpu: Option<u64>,
    /// The site's own resources.
    pub resources: BTreeMap<String, u64>,
    /// What is said of this machine.
    pub labels: BTreeMap<String, String>,
    /// Variables that tasks inherit from the daemon, besides the usual ones.
    pub pass_env: Vec<String>,
}

/// A length of time, written `90s` or `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length(pub Duration);

/// A size, written `4 GiB`, or a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// Cores in thousandths, written `8` or `0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cores(pub u64);

/// A text or a number, as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Text(String),
    Whole(u64),
    Broken(f64),
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Whole(number) => number.fmt(f),
            Self::Broken(number) => number.fmt(f),
        }
    }
}

macro_rules! amounts {
    ($($name:ident: $read:path;)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let amount = Amount::deserialize(from)?.to_string();
                $read(&amount).map(Self).map_err(|error| serde::de::Error::custom(format!("{amount:?} {error}")))
            }
        }
    )*};
}

amounts! {
    Length: quantity::duration;
    Size: quantity::size;
    Cores: quantity::cpus;
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no configuration.
    #[error("{} has {size} bytes, the limit is {FILE_LIMIT_BYTES}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// The file says what cannot be.
    #[error("{}: {reason}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// The values do not go together.
    #[error(transparent)]
    Terms(#[from] BadTerms),
    /// A value is out of its range.
    #[error("{key} = {value} must be {allowed}")]
    Range {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl Config {
    /// Reads a file and checks everything in it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line or key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > FILE_LIMIT_BYTES {
            return Err(ConfigError::TooLarge { path: path.to_owned(), size });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let wrong = |error: toml::de::Error| {
            let reason = error.to_string().trim_end().to_owned();
            ConfigError::Wrong { path: path.to_owned(), reason }
        };
        let config: Self = toml::from_str(&text).map_err(wrong)?;
        config.check()?;
        Ok(config)
    }

    /// Whether every value is allowed.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.terms().check()?;
        let limits = self.limits();
        if limits.admission.waiting_tasks == 0 {
            let (key, allowed) = ("limits.waiting_tasks", "at least 1");
            return Err(ConfigError::Range { key, value: "0".to_owned(), allowed });
        }
        Ok(())
    }

    /// How leases are timed.
    #[must_use]
    pub fn terms(&self) -> LeaseTerms {
        let usual = LeaseTerms::default();
        let or = |length: Option<Length>, usual: Duration| length.map_or(usual, |length| length.0);
        LeaseTerms {
            heartbeat: or(self.lease.heartbeat, usual.heartbeat),
            ttl: or(self.lease.ttl, usual.ttl),
            grace: or(self.lease.grace, usual.grace),
            kill_margin: or(self.lease.kill_margin, usual.kill_margin),
        }
    }

    /// How the log is kept.
    #[must_use]
    pub fn log(&self) -> LogLimits {
        let usual = LogLimits::default();
        LogLimits { durability: self.daemon.durability.unwrap_or(usual.durability), ..usual }
    }

    /// How much the scheduler side takes on.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        let LimitsConfig { waiting_tasks, kept_graphs, kept_tasks, kept_for, log } = self.limits.clone();
        limits.admission.waiting_tasks = waiting_tasks.unwrap_or(limits.admission.waiting_tasks);
        limits.retention.graphs = kept_graphs.unwrap_or(limits.retention.graphs);
        limits.retention.tasks = kept_tasks.unwrap_or(limits.retention.tasks);
        limits.retention.age = kept_for.map_or(limits.retention.age, |length| length.0);
        limits.log_bytes = log.map_or(limits.log_bytes, |size| size.0);
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("it can be written");
        Config::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        let config =
            read("[lease]\nttl = \"20s\"\n[worker]\ncpus = 0.5\nmemory = \"4 GiB\"\n").expect("sound");
        assert_eq!(config.terms(), LeaseTerms { ttl: Duration::from_secs(20), ..LeaseTerms::default() });
        assert_eq!((config.worker.cpus, config.worker.memory), (Some(Cores(500)), Some(Size(4 << 30))));
        assert_eq!(config.limits(), Limits::default());
    }

    #[test]
    fn a_key_that_does_not_exist_is_refused_with_its_line() {
        let error = read("[lease]\nttl = \"20s\"\ntlt = \"3s\"\n").expect_err("tlt is no key");
        assert!(error.contains("line 3") && error.contains("tlt"), "{error}");
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_with_what_it_must_be() {
        let error = read("[lease]\nttl = \"soon\"\n").expect_err("no length");
        assert!(error.contains("\"soon\" must be a length of time"), "{error}");
        let error = read("[lease]\nttl = \"4s\"\n").expect_err("too short");
        assert!(error.contains("at least three heartbeats"), "{error}");
        let error = read("[daemon]\ndurability = \"most\"\n").expect_err("no such durability");
        assert!(error.contains("`most`") && error.contains("`barrier`"), "{error}");
        let error = read("[limits]\nwaiting_tasks = 0\n").expect_err("nothing could be taken in");
        assert_eq!(error, "limits.waiting_tasks = 0 must be at least 1");
    }

    #[test]
    fn the_readmes_example_is_sound_and_says_the_usual_values() {
        let readme = include_str!("../../README.md");
        let section = readme.split("## Configuration").nth(1).expect("it has the section");
        let example = section.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
        let config = read(example.expect("it has an example")).expect("it is sound");
        assert_eq!((config.terms(), config.limits()), (LeaseTerms::default(), Limits::default()));
    }
}
