//! A machine behind SSH as a node: its worker and its process host are here, and each attempt is an
//! `aivcs-session exec` that the host runs, which runs the command in a session there.
//!
//! So leases, fencing, retries, breakers, output, and adoption after a restart of the daemon are those of every
//! machine. What stands between is the translation of a start, and of one exit status. Must not know how a
//! machine is reached.
//!
//! # When an attempt there has ended
//! The `exec` says so when nothing of it is left. Where it is killed itself, as when the lease is over, the machine
//! ends the attempt by itself as soon as nobody has followed it for [`TIED`].

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use policy::id::{TaskId, Token};
use policy::session::{Identity, Role};
use policy::signal::TaskSignal;
use policy::task::{AttemptOutcome, Qos, SpawnFailure};
use policy::text::OsText;

use crate::process::port::{HostEvent, HostListener, HostPort, LocalHost};
use crate::process::protocol::{Command, HostReport, Hosted, HostedPhase, Start};
use crate::session::rules::{RemoteRules, SharedRules};
use crate::session::words;
use crate::worker::place::WORKSPACE_VARIABLE;
use crate::worker::report::REPORT_VARIABLE;

/// How long an attempt goes on there where nobody follows it: twice what a new connection takes.
pub const TIED: Duration = Duration::from_secs(10);
/// The label of every such node.
pub const REACHED: (&str, &str) = (policy::constraint::REACHED, "ssh");
/// What `exec` gets on top of a task's grace to end it there and to say so.
const GRACE_ABROAD: Duration = Duration::from_secs(10);
/// What `exec` exits with where not the command failed.
const TROUBLE: i32 = 125;

/// How attempts are run on a machine behind SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshNode {
    /// The program `aivcs-session`.
    pub program: PathBuf,
    /// What leads it to the machine: `--host` and the like.
    pub to: Vec<OsText>,
    /// Where the daemon's own connection to it is, over which attempts go as well while it is there: a handshake takes longer
    /// than all else.
    pub over: Option<PathBuf>,
    /// In which repository tasks run.
    pub repo: Box<str>,
    /// Of the scheduler, in the names of its sessions.
    pub tag: Box<str>,
    /// Variables that `aivcs-session` itself needs; the first ones of every start.
    pub own_variables: usize,
    /// Whether what runs there hears what is said to it.
    pub steerable: bool,
}

impl SshNode {
    /// The work of a task, as its session is named after it.
    fn work_of(&self, task: TaskId) -> String {
        format!("{task}-{}", self.tag)
    }

    /// What names the run of an attempt there.
    fn key_name(&self, task: TaskId, token: Token) -> String {
        format!("{} {}", self.work_of(task), token.0)
    }

    /// The key of an attempt there, by which its processes are marked.
    #[must_use]
    pub fn key_of(&self, task: TaskId, token: Token) -> Box<str> {
        words::key_of(&self.key_name(task, token))
    }

    /// The session that a task has there while it runs.
    #[must_use]
    pub fn session_of(&self, task: TaskId) -> Option<Box<str>> {
        let identity = Identity::new(&self.repo, &self.work_of(task), Role::Runner).ok()?;
        Some(identity.name().as_str().into())
    }

    /// Whether it is the session of one of this scheduler's tasks.
    #[must_use]
    pub fn is_own(&self, identity: &Identity) -> bool {
        let is_here = identity.role() == Role::Runner && *identity.repo() == *self.repo;
        is_here && task_of(identity.work(), &self.tag).is_some()
    }

    /// What the host here runs for a start there.
    fn translate(&self, start: Start, rules: &RemoteRules) -> Start {
        let (own, given) = start.environment.split_at(self.own_variables.min(start.environment.len()));
        let named = |wanted: &str| {
            let found = given.iter().find(|(name, _)| name.as_bytes() == wanted.as_bytes());
            found.map(|(_, value)| value)
        };
        let is_there = |name: &OsText| name.as_bytes() != REPORT_VARIABLE.as_bytes();
        let mut argv = vec![OsText::from(self.program.as_os_str().as_bytes().to_vec())];
        argv.extend(self.to.iter().cloned());
        argv.extend(
            self.over.iter().map(|path| {
                OsText::from([b"--control-path=".as_slice(), path.as_os_str().as_bytes()].concat())
            }),
        );
        let mut say = |words: &[&str]| argv.extend(words.iter().map(|word| OsText::from(*word)));
        let (work, token) = (self.work_of(start.task), start.token.0.to_string());
        say(&["exec", "--repo", &self.repo, "--work", &work, "--role", "runner"]);
        say(&["--key", &self.key_name(start.task, start.token), "--token", &token]);
        say(&["--tied", &format!("{}s", TIED.as_secs()), "--grace", &millis(start.grace)]);
        say(&["--setup-timeout", &millis(rules.setup)]);
        if !rules.ends_sessions {
            say(&["--stays"]);
        }
        if self.steerable {
            say(&["--steerable"]);
        }
        // What it reports there comes to where it would report here.
        argv.extend(
            named(REPORT_VARIABLE).map(|path| [b"--report=".as_slice(), path.as_bytes()].concat().into()),
        );
        // Its workspace is there; every other directory is one of this machine, and does not count.
        if named(WORKSPACE_VARIABLE).is_some() {
            argv.push([b"--directory=".as_slice(), start.directory.as_bytes()].concat().into());
        }
        for (name, value) in given.iter().filter(|(name, _)| is_there(name)) {
            let mut variable = b"--env=".to_vec();
            variable.extend_from_slice(name.as_bytes());
            variable.push(b'=');
            variable.extend_from_slice(value.as_bytes());
            argv.push(variable.into());
        }
        argv.push("--".into());
        argv.extend(start.argv.iter().cloned());
        let (environment, grace) = (own.to_vec(), start.grace + GRACE_ABROAD);
        // What runs here only carries words.
        Start { argv, directory: "/".into(), environment, grace, qos: Qos::Default, ..start }
    }

    /// A port to the host here that runs what is started there.
    #[must_use]
    pub fn port(
        self,
        rules: SharedRules,
        open: impl FnOnce(HostListener) -> LocalHost,
        listener: HostListener,
    ) -> Arc<dyn HostPort> {
        let host = open(Arc::new(move |event| listener(understood(event))));
        Arc::new(Port { node: self, rules, host })
    }
}

/// Whether these are the labels of such a node.
#[must_use]
pub fn is_reached(labels: &[(Box<str>, Box<str>)]) -> bool {
    labels.iter().any(|(name, value)| (&**name, &**value) == REACHED)
}

/// The task whose work it is, of the scheduler that `tag` names.
#[must_use]
pub fn task_of(work: &str, tag: &str) -> Option<TaskId> {
    let number = work.strip_suffix(tag)?.strip_suffix('-')?.strip_prefix('t')?;
    number.parse().ok().map(TaskId)
}

#[derive(Debug)]
struct Port {
    node: SshNode,
    rules: SharedRules,
    host: LocalHost,
}

impl HostPort for Port {
    fn command(&self, command: Command) {
        self.host.command(match command {
            Command::Start(start) => {
                Command::Start(Box::new(self.node.translate(*start, &self.rules.load())))
            }
            other => other,
        });
    }

    fn signal(&self, token: Token, signal: TaskSignal) -> Result<(), Box<str>> {
        // `exec` hands it on.
        self.host.signal(token, signal)
    }
}

fn understood(event: HostEvent) -> HostEvent {
    let HostEvent::Reports(reports) = event else { return event };
    HostEvent::Reports(reports.into_iter().map(report).collect())
}

fn report(report: HostReport) -> HostReport {
    match report {
        HostReport::Ended { token, outcome, usage, steps } => {
            HostReport::Ended { token, outcome: of_there(outcome), usage, steps }
        }
        HostReport::Inventory { attempts, last } => {
            let attempts = attempts.into_iter().map(|hosted| match hosted.phase {
                HostedPhase::Ended { outcome, usage, steps } => Hosted {
                    phase: HostedPhase::Ended { outcome: of_there(outcome), usage, steps },
                    ..hosted
                },
                _ => hosted,
            });
            HostReport::Inventory { attempts: attempts.collect(), last }
        }
        other => other,
    }
}

/// The machine's fault, and not the task's.
fn of_there(outcome: AttemptOutcome) -> AttemptOutcome {
    match outcome {
        AttemptOutcome::Exited(TROUBLE) => {
            AttemptOutcome::SpawnFailed(SpawnFailure::of_node("its session could not be run: see its output"))
        }
        other => other,
    }
}

fn millis(length: Duration) -> String {
    format!("{}ms", length.as_millis())
}

/// A word of a command line.
#[must_use]
pub fn word(text: impl AsRef<OsStr>) -> OsText {
    text.as_ref().as_bytes().to_vec().into()
}

#[cfg(test)]
mod tests {
    use policy::id::AttemptNumber;
    use policy::resources::Resources;

    use super::*;
    use crate::output::spool::OutputLimits;

    #[test]
    fn a_start_becomes_a_session_and_nothing_of_the_daemons_environment_goes_there() {
        let variable = |name: &str, value: &str| (OsText::from(name), OsText::from(value));
        let environment = vec![
            variable("HOME", "/h"),
            variable("A", "b c"),
            variable("CRAB_REPORT", "/r"),
            variable("CRAB_TASK", "t7"),
        ];
        let start = Start {
            token: Token(9),
            task: TaskId(7),
            attempt: AttemptNumber(1),
            need: Resources::cpus(1000),
            argv: vec!["echo".into(), "$x".into()],
            directory: "/elsewhere".into(),
            environment,
            bounds: policy::bounds::AttemptBounds::default(),
            limits: policy::excess::UseLimits::default(),
            grace: Duration::from_secs(5),
            output: OutputLimits::default(),
            qos: Qos::Default,
            stages: None,
        };
        let spaced = Start {
            environment: [start.environment.clone(), vec![variable("CRAB_WORKSPACE", "/w")]].concat(),
            directory: "/w/sub".into(),
            ..start.clone()
        };
        let to = vec!["--host".into(), "mac-1".into()];
        let node = SshNode {
            program: "/bin/aivcs-session".into(),
            to,
            over: Some("/m/c".into()),
            repo: "r".into(),
            tag: "ab".into(),
            own_variables: 1,
            steerable: true,
        };
        assert_eq!(node.session_of(TaskId(7)).as_deref(), Some("aivcs__r__t7-ab__runner"));
        let seconds = Duration::from_secs;
        let rules = RemoteRules {
            every: seconds(15),
            within: seconds(5),
            prune_after: seconds(0),
            setup: seconds(7),
            ends_sessions: true,
        };
        let stays = node.translate(start.clone(), &RemoteRules { ends_sessions: false, ..rules });
        assert!(stays.argv.contains(&"--stays".into()));
        let in_space = node.translate(spaced, &rules);
        assert!(in_space.argv.contains(&"--directory=/w/sub".into()));
        let told = node.translate(start, &rules);
        assert!(!told.argv.iter().any(|word| word.to_string().starts_with("--directory")));
        let words: Vec<String> = told.argv.iter().map(ToString::to_string).collect();
        assert_eq!(words[..4], ["/bin/aivcs-session", "--host", "mac-1", "--control-path=/m/c"]);
        assert_eq!(words[words.len() - 5..], ["--env=A=b c", "--env=CRAB_TASK=t7", "--", "echo", "$x"]);
        assert!(words.windows(2).any(|pair| pair == ["--work", "t7-ab"]));
        assert!(words.contains(&"--report=/r".to_owned()));
        assert!(words.windows(2).any(|pair| pair == ["--token", "9"]));
        assert!(words.windows(2).any(|pair| pair == ["--setup-timeout", "7000ms"]));
        assert!(words.contains(&"--steerable".to_owned()) && !words.contains(&"--stays".to_owned()));
        assert_eq!((told.environment.len(), told.grace), (1, Duration::from_secs(15)));
    }

    #[test]
    fn only_sessions_of_this_scheduler_have_a_task() {
        assert_eq!(task_of("t7-ab12", "ab12"), Some(TaskId(7)));
        for other in ["t7-ab13", "7-ab12", "t7ab12", "tx-ab12", "shell", "-ab12"] {
            assert_eq!(task_of(other, "ab12"), None, "{other}");
        }
    }

    #[test]
    fn trouble_there_is_not_the_tasks_fault() {
        assert!(of_there(AttemptOutcome::Exited(125)).is_loss());
        assert_eq!(of_there(AttemptOutcome::Exited(3)), AttemptOutcome::Exited(3));
    }
}
