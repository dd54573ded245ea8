//! Every limit and every setting, typed, with its default and its reason.
//!
//! Read from TOML. A file that names what does not exist, or says what cannot be, is refused with the line,
//! the key and what is allowed. Each section has its file; what is common to them is in [`section`].

pub mod amount;
pub mod artifacts;
pub mod backpressure;
pub mod breaker;
pub mod claims;
pub mod daemon;
pub mod document;
pub mod hooks;
pub mod jobserver;
pub mod lease;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod telemetry;
mod origin;
pub mod remote_execution;
pub mod scheduler;
pub mod section;
pub mod ssh_nodes;
pub mod strain;
pub mod tenants;
pub mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::ageing::AgeingRefused;
use policy::claims::ClaimRules;
use policy::lease::{BadTerms, LeaseTerms};
use policy::pressure::PressureRefused;
use policy::time_slice::{SharesRefused, TimeSlice};
use serde::Deserialize;

pub use crate::config::limits::Limits;

use crate::config::artifacts::ArtifactsConfig;
use crate::config::backpressure::BackpressureConfig;
use crate::config::breaker::BreakerConfig;
use crate::config::claims::{Entries, LockConfig, PoolConfig, RateConfig};
use crate::config::daemon::DaemonConfig;
use crate::config::hooks::HooksConfig;
use crate::config::jobserver::JobserverConfig;
use crate::config::lease::LeaseConfig;
use crate::config::limits::LimitsConfig;
use crate::config::log::LogConfig;
use crate::config::metrics::MetricsConfig;
use crate::config::origin::Lines;
use crate::config::remote_execution::RemoteExecutionConfig;
use crate::config::scheduler::SchedulerConfig;
use crate::config::section::{Section, Setting};
use crate::config::ssh_nodes::SshNodeConfig;
use crate::config::strain::StrainConfig;
use crate::config::telemetry::TelemetryConfig;
use crate::config::tenants::TenantConfig;
use crate::config::worker::WorkerConfig;
use crate::log::LogLimits;
use crate::wire::client::SettingRow;

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
    /// In which order tasks are started. Reloaded on SIGHUP.
    pub scheduler: SchedulerConfig,
    /// What this machine has for tasks.
    pub worker: WorkerConfig,
    /// What this machine has done around every attempt.
    pub hooks: HooksConfig,
    /// How many jobs all builds of this machine run together.
    pub jobserver: JobserverConfig,
    /// How much of what tasks leave behind this machine keeps.
    pub artifacts: ArtifactsConfig,
    /// When this machine is too strained for new work.
    pub strain: StrainConfig,
    /// What the daemon says of itself.
    pub log: LogConfig,
    /// Where collectors are answered.
    pub metrics: MetricsConfig,
    /// Where traces are sent.
    pub telemetry: TelemetryConfig,
    /// How machines that are reached by SSH alone are looked after. Reloaded on SIGHUP, except how they are reached.
    pub remote_execution: RemoteExecutionConfig,
    /// Machines that are reached by SSH alone, by name.
    pub ssh_nodes: BTreeMap<String, SshNodeConfig>,
    /// How much may wait. Reloaded on SIGHUP.
    pub backpressure: BackpressureConfig,
    /// When a machine is left alone. Reloaded on SIGHUP.
    pub breaker: BreakerConfig,
    /// What single tenants may have, by name. Reloaded on SIGHUP.
    pub tenants: BTreeMap<String, TenantConfig>,
    /// How locks may be shared, by name. Reloaded on SIGHUP.
    pub locks: BTreeMap<String, LockConfig>,
    /// Pools of indices of the fleet. Reloaded on SIGHUP.
    pub pools: Entries<PoolConfig>,
    /// Amounts of the fleet. Reloaded on SIGHUP.
    pub amounts: Entries<u64>,
    /// Rates of the fleet. Reloaded on SIGHUP.
    pub rates: Entries<RateConfig>,
    /// Where in the file each key stands.
    #[serde(skip)]
    lines: Lines,
}

/// The sections, and single keys, that a running daemon takes over; the others hold from its next start.
pub const RELOADED: [&str; 16] = [
    "limits",
    "scheduler",
    "tenants",
    "backpressure",
    "breaker",
    "locks",
    "pools",
    "amounts",
    "rates",
    "remote_execution.session_setup_timeout",
    "remote_execution.health_check_every",
    "remote_execution.health_check_timeout",
    "remote_execution.failure_threshold",
    "remote_execution.recovery",
    "remote_execution.auto_kill_runner_sessions",
    "remote_execution.prune_after",
];

/// What holds once a running daemon has read its file again: of the sections in [`RELOADED`] what the file says now,
/// of the others what held before. And the keys whose new value waits for a restart.
#[must_use]
pub fn merge(held: &[SettingRow], read: Vec<SettingRow>) -> (Vec<SettingRow>, Vec<Box<str>>) {
    let is_reloaded =
        |key: &str| RELOADED.contains(&key) || RELOADED.contains(&key.split('.').next().unwrap_or_default());
    let (mut rows, others): (Vec<_>, Vec<_>) = read.into_iter().partition(|row| is_reloaded(&row.key));
    let before = |key: &str| held.iter().find(|row| &*row.key == key);
    let changed = others.iter().filter(|row| before(&row.key).is_none_or(|held| held.value != row.value));
    let waiting = changed.map(|row| row.key.clone()).collect();
    rows.extend(held.iter().filter(|row| !is_reloaded(&row.key)).cloned());
    rows.sort_by(|one, other| one.key.cmp(&other.key));
    (rows, waiting)
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
    /// The thresholds do not go together.
    #[error("backpressure: {0}")]
    Pressure(#[from] PressureRefused),
    /// The shares do not go together.
    #[error("scheduler.time_slice_critical, _high, _normal and _low: {0}")]
    Shares(#[from] SharesRefused),
    /// The times of ageing do not go together.
    #[error("scheduler.ageing, ageing_base, tick and objective_ticks: {0}")]
    Ageing(#[from] AgeingRefused),
    /// Metrics would be told to whoever asks.
    #[error(
        "metrics.listen = \"{0}\" can be reached by other machines: say metrics.public = true if that is meant"
    )]
    TooOpen(std::net::SocketAddr),
    /// A value is out of its range.
    #[error("{key} = {value} must be {allowed}")]
    Range {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
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
        let mut config: Self = toml::from_str(&text).map_err(wrong)?;
        config.lines = Lines::of(path, &text);
        config.check()?;
        Ok(config)
    }

    /// Every section with the name it has in the file.
    fn sections(&self) -> Vec<(String, &dyn Section)> {
        let fixed: [(&str, &dyn Section); 18] = [
            ("daemon", &self.daemon),
            ("lease", &self.lease),
            ("limits", &self.limits),
            ("scheduler", &self.scheduler),
            ("worker", &self.worker),
            ("hooks", &self.hooks),
            ("jobserver", &self.jobserver),
            ("artifacts", &self.artifacts),
            ("strain", &self.strain),
            ("log", &self.log),
            ("metrics", &self.metrics),
            ("telemetry", &self.telemetry),
            ("remote_execution", &self.remote_execution),
            ("backpressure", &self.backpressure),
            ("breaker", &self.breaker),
            ("pools", &self.pools),
            ("amounts", &self.amounts),
            ("rates", &self.rates),
        ];
        let fixed = fixed.into_iter().map(|(name, section)| (name.to_owned(), section));
        let tenants = self.tenants.iter();
        let tenants = tenants.map(|(name, tenant)| (format!("tenants.{name}"), tenant as &dyn Section));
        let locks = self.locks.iter().map(|(name, lock)| (format!("locks.{name}"), lock as &dyn Section));
        let nodes = self.ssh_nodes.iter();
        let nodes = nodes.map(|(name, node)| (format!("ssh_nodes.{name}"), node as &dyn Section));
        fixed.chain(tenants).chain(locks).chain(nodes).collect()
    }

    /// Whether every value is allowed, and the values go together.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.sections().into_iter().try_for_each(|(name, section)| section.check(&name))?;
        self.ssh_nodes().try_for_each(|(name, node)| node.check_as(name))?;
        self.lease.terms().check()?;
        self.backpressure.rules().check()?;
        TimeSlice::new(self.scheduler.shares())?;
        self.scheduler.ages().check()?;
        if let Some(address) = self.metrics.listen.filter(|_| self.metrics.is_too_open()) {
            return Err(ConfigError::TooOpen(address));
        }
        claims::check(&self.locks, &self.claims())
    }

    /// Every key with its value.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings: Vec<Setting> = Vec::new();
        self.sections().into_iter().for_each(|(name, section)| section.settings(&name, &mut settings));
        settings
    }

    /// Every key with its value and where that comes from.
    #[must_use]
    pub fn shown(&self) -> Vec<SettingRow> {
        self.settings().into_iter().map(|setting| self.lines.shown(setting)).collect()
    }

    /// How leases are timed.
    #[must_use]
    pub fn terms(&self) -> LeaseTerms {
        self.lease.terms()
    }

    /// The machines that are reached by SSH alone, with what holds for all that do not say otherwise.
    pub fn ssh_nodes(&self) -> impl Iterator<Item = (&str, SshNodeConfig)> {
        let usual = &self.remote_execution;
        self.ssh_nodes.iter().map(move |(name, node)| (name.as_str(), node.with_usual(usual)))
    }

    /// How the log of events is kept.
    #[must_use]
    pub fn event_log(&self) -> LogLimits {
        LogLimits { durability: self.daemon.durability(), ..LogLimits::default() }
    }

    /// What the fleet has for tasks to claim.
    #[must_use]
    pub fn claims(&self) -> ClaimRules {
        claims::rules(&self.locks, &self.pools, &self.amounts, &self.rates)
    }

    /// How much the scheduler side takes on.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits_where(self.daemon.listen.is_some())
    }

    /// As [`Self::limits`], where the command line has said whether other machines can join.
    #[must_use]
    pub fn limits_where(&self, others_can_join: bool) -> Limits {
        Limits {
            scheduling: self.scheduler.scheduling(Arc::new(tenants::weights(&self.tenants))),
            pressure: self.backpressure.rules(),
            breaker: self.breaker.rules(),
            breaker_abroad: self.remote_execution.breaker(self.breaker.rules()),
            poison_after: self.breaker.poison_after(),
            quotas: tenants::quotas(&self.tenants),
            paces: Arc::new(tenants::paces(&self.tenants)),
            budgets: Arc::new(tenants::budgets(&self.tenants)),
            claims: Arc::new(self.claims()),
            usual_timeout: self.scheduler.default_timeout.map(|length| length.0),
            unschedulable: self.scheduler.unschedulable_where(others_can_join),
            ..self.limits.limits()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::amount::{Cores, Size};
    use super::*;
    use crate::wire::client::Origin;

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
        let strict = read("[backpressure]\npreset = \"strict\"\nhigh_percent = 70\n")
            .expect("sound")
            .limits()
            .pressure;
        assert_eq!((strict.max_queue_depth, strict.moderate_percent, strict.high_percent), (1000, 30, 70));
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
        let error = read("[backpressure]\nhigh_percent = 40\n").expect_err("below moderate");
        assert!(error.starts_with("backpressure: thresholds of 50, 40 and 95 percent"), "{error}");
        let error = read("[backpressure]\npreset = \"lax\"\n").expect_err("no preset");
        assert!(error.contains("\"lax\" must be \"normal\", \"strict\" or \"permissive\""), "{error}");
        let error = read("[breaker]\ntrials = 0\n").expect_err("never closed again");
        assert_eq!(error, "breaker.trials = 0 must be between 1 and 100");
        let error = read("[limits]\nwaiting_tasks = 0\n").expect_err("nothing could be taken in");
        assert_eq!(error, "limits.waiting_tasks = 0 must be at least 1");
    }

    #[test]
    fn how_tasks_are_ordered_is_read_and_checked_as_a_whole() {
        let text = "[scheduler]\ntime_slice_low = 10\ntime_slice_normal = 10\nageing = \"exponential\"\n\
                    [tenants.ann]\nweight = 3\n";
        let scheduling = read(text).expect("sound").limits().scheduling;
        assert_eq!((scheduling.shares.low, scheduling.shares.critical), (10, 50));
        assert_eq!(scheduling.ageing.mode, policy::ageing::Mode::Exponential);
        assert_eq!(scheduling.weights.get("ann"), Some(&3));
        let refused = |text| read(text).expect_err("it cannot be");
        assert_eq!(
            refused("[scheduler]\ntime_slice_low = 6\n"),
            "scheduler.time_slice_critical, _high, _normal and _low: the shares add up to 101: must be 100 percent"
        );
        assert_eq!(
            refused("[scheduler]\ntime_slice_low = 0\n"),
            "scheduler.time_slice_low = 0 must be between 1 and 97"
        );
        assert!(refused("[scheduler]\nageing_base = \"1s\"\n").contains("at least one tick"));
        assert_eq!(
            refused("[tenants.ann]\nweight = 0\n"),
            "tenants.ann.weight = 0 must be between 1 and 1000"
        );
    }

    #[test]
    fn every_key_is_shown_with_its_value_and_where_that_comes_from() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "[lease]\n\nttl = \"20s\"\n[worker]\nlabels = { rack = \"left\" }\n")
            .expect("written");
        let shown = Config::read(file.path()).expect("sound").shown();
        let of = |key: &str| shown.iter().find(|shown| &*shown.key == key).expect("it is there");
        assert_eq!((&*of("lease.ttl").value, &*of("lease.ttl").usual), ("\"20s\"", "\"15s\""));
        assert_eq!(
            of("lease.ttl").origin,
            Origin::File { path: file.path().to_string_lossy().into(), line: 3 }
        );
        assert_eq!((&*of("lease.grace").value, &of("lease.grace").origin), ("\"2s\"", &Origin::Usual));
        assert_eq!(&*of("worker.labels").value, "{ \"rack\" = \"left\" }");
        assert_eq!(&*of("daemon.name").value, "the host name");
    }

    #[test]
    fn the_readmes_example_is_sound_and_says_the_usual_values() {
        let readme = include_str!("../../README.md");
        let section = readme.split("## Configuration").nth(1).expect("it has the section");
        let example = section.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
        let config = read(example.expect("it has an example")).expect("it is sound");
        // It listens for machines, has claims of its own and a tenant's budget: shown because nothing is usual there.
        let limits = config.limits();
        let (claims, budgets, unschedulable) =
            (limits.claims.clone(), limits.budgets.clone(), limits.unschedulable);
        let usual = Limits { claims, budgets, unschedulable, ..Limits::default() };
        assert_eq!((config.terms(), limits), (LeaseTerms::default(), usual));
    }

    #[test]
    fn the_readme_names_every_key() {
        let readme = include_str!("../../README.md");
        let missing: Vec<_> = Config::default()
            .shown()
            .into_iter()
            .filter(|shown| !readme.contains(shown.key.rsplit('.').next().unwrap_or_default()))
            .map(|shown| shown.key)
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
