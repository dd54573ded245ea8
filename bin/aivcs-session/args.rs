//! What can be typed, and the help for it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use actors::session::{BASE_USUAL, SETUP_TIMEOUT};
use actors::taskfile::quantity;
use clap::{Args, Parser, Subcommand};
use policy::artifact::Pattern;

/// Sessions on this machine or on one behind SSH: one tmux session for each repository, work and role.
#[derive(Debug, Parser)]
#[command(name = "aivcs-session", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  aivcs-session attach --repo api --work t-42 --role human
  aivcs-session --host aivcs.local exec --repo api --work t-42 --role runner -- cargo test
  aivcs-session --host aivcs.local list --json
  aivcs-session logs -f --session aivcs__api__t-42__runner
  aivcs-session steer --session aivcs__api__t-42__agent 'run the tests as well'
  aivcs-session kill --session aivcs__api__t-42__runner
  aivcs-session prune --older-than 24 --role agent
  aivcs-session --host aivcs.local --dry-run exec --repo api --work t-42 --role runner -- make

A session is called aivcs__REPO__WORK__ROLE, in lower case, with '_' for what is not in a-z, 0-9, '.', '_', '-'. It
starts in the directory REPO below the base directory. Roles: agent stays when its work has ended, runner ends with
it, human is never pruned unless the role is named.

Exit codes: 0 success, 1 failure (doctor: warnings), 2 usage or an invalid name (doctor: something is missing),
4 no such session or directory, 5 the name or the session is another's, 6 unreachable. `exec` exits as the command
did: 128+n for signal n, 124 for a timeout, and with 125 where not the command failed but what should have run it.";

/// How long a session may take to be made where nobody says, as it is typed.
static SETUP_USUAL: LazyLock<String> = LazyLock::new(|| format!("{}s", SETUP_TIMEOUT.as_secs()));

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The machine, as SSH knows it; this one where none is named, or `local`
    #[arg(long, global = true, env = "AIVCS_HOST", help_heading = "Everywhere")]
    pub(crate) host: Option<String>,
    /// Who one is there; as SSH's configuration says (aivcs on aivcs.local)
    #[arg(long, global = true, env = "AIVCS_USER", help_heading = "Everywhere")]
    pub(crate) user: Option<String>,
    /// Its port of SSH
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) port: Option<u16>,
    /// The private key to use, and no other
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) identity: Option<PathBuf>,
    /// A configuration for SSH in place of yours (as of ssh -F)
    #[arg(long, global = true, value_name = "FILE", env = "AIVCS_SSH_CONFIG", help_heading = "Everywhere")]
    pub(crate) ssh_config: Option<PathBuf>,
    /// Go over this connection where it is there: the ControlPath of an ssh that somebody else holds
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) control_path: Option<PathBuf>,
    /// Where repositories are on the machine
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "AIVCS_BASE_DIR",
        default_value = BASE_USUAL,
        help_heading = "Everywhere"
    )]
    pub(crate) base_dir: String,
    /// How long a session may take to be made, once connected
    #[arg(long, global = true, value_parser = quantity::duration, value_name = "TIME", default_value = SETUP_USUAL.as_str(), help_heading = "Everywhere")]
    pub(crate) setup_timeout: Duration,
    /// Write JSON: one object on each line
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Print exactly what would run, and run nothing that changes anything
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a session where it is not there, and attach the terminal to it; without a terminal only make it. One that is
    /// named with --session is never made
    Attach(Which),
    /// Run a command in a session and stay with it; it goes on where the connection does not
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(Exec),
    /// Say a line to what runs in a session, if it was started to listen (exec --steerable)
    Steer(Steer),
    /// The sessions, with what ran in them last
    List(List),
    /// End a session with every process of it
    Kill(Kill),
    /// End the sessions that have been left: not those at work, attached, or of people
    Prune(Prune),
    /// What the last command in a session wrote
    Logs(Logs),
    /// Whether everything is there that sessions need
    Doctor,
}

const EXEC_EXAMPLES: &str = "\
Examples:
  aivcs-session exec --repo api --work t-42 --role runner -- cargo test
  aivcs-session exec --repo api --work t-42 --role agent --detach --timeout 2h -- ./agent
  aivcs-session exec --repo api --work t-42 --role runner --keep 'target/**/junit.xml' --keep-into out -- cargo nextest run
  aivcs-session exec --repo api --work t-42 --role human --tty -- vim notes
  aivcs-session exec --repo api --work t-42 --role runner --key build-7 -- make    (the same key twice is one run)

No shell reads the command. Its standard input is empty, unless it is --steerable or has the terminal (--tty). Ctrl-C leaves
it running, unless it has the terminal: `kill` ends it.";

/// Which session.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// The repository: a directory below the base directory
    #[arg(long, value_name = "R")]
    pub(crate) repo: String,
    /// What is worked on
    #[arg(long, value_name = "W")]
    pub(crate) work: String,
    /// agent, runner or human
    #[arg(long)]
    pub(crate) role: String,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Names the run: the same key again is the same run
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Refuse to run where a run of a larger token has been started
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX.unsigned_abs()))]
    pub(crate) token: u64,
    /// Return when it has begun
    #[arg(long)]
    pub(crate) detach: bool,
    /// The longest it may take, such as 5m
    #[arg(long, value_parser = quantity::duration, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
    /// Between SIGTERM and SIGKILL
    #[arg(long, value_parser = quantity::duration, value_name = "TIME", default_value = "5s")]
    pub(crate) grace: Duration,
    /// What it may write in all before it is ended
    #[arg(long, value_parser = quantity::size, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) output_limit: u64,
    /// Let it live and die with this call: SIGTERM ends it there, it goes on for so long where nobody follows it, and
    /// its files go when its end is known. HUP, INT, QUIT, USR1, USR2 and WINCH are handed on to it
    #[arg(long, value_parser = quantity::duration, value_name = "TIME", conflicts_with = "detach")]
    pub(crate) tied: Option<Duration>,
    /// Let it hear on its standard input what `steer` says; that is empty otherwise
    #[arg(long)]
    pub(crate) steerable: bool,
    /// Let it have your terminal, until it ends or you detach (Ctrl-B d). What is left on it at the end is its output
    #[arg(long, conflicts_with_all = ["detach", "tied", "steerable"])]
    pub(crate) tty: bool,
    /// Where it runs, seen from the repository's directory; that itself where nothing is said
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<OsString>,
    /// Let it find a file in CRAB_REPORT; what it writes there comes to this one as well
    #[arg(long, value_name = "FILE", conflicts_with_all = ["detach", "tty"])]
    pub(crate) report: Option<PathBuf>,
    /// Fetch the files of this pattern when it has ended, whatever its exit status: seen from where it runs, such as
    /// 'out/**/*.xml'; once for each pattern
    #[arg(long, value_name = "PATTERN", requires = "keep_into", conflicts_with_all = ["detach", "tty"])]
    pub(crate) keep: Vec<Pattern>,
    /// The directory here into which they are fetched
    #[arg(long, value_name = "DIR", requires = "keep")]
    pub(crate) keep_into: Option<PathBuf>,
    /// Leave a runner's session when its work has ended, to be looked at until it is pruned
    #[arg(long)]
    pub(crate) stays: bool,
    /// A variable of its environment
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<OsString>,
    /// The command
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) argv: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Steer {
    #[command(flatten)]
    pub(crate) which: Which,
    /// What it hears, as one line
    #[arg(value_name = "TEXT")]
    pub(crate) text: OsString,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only of this role
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// Also those of which only the files are left
    #[arg(long, short)]
    pub(crate) all: bool,
}

/// A session by its name, or by what it was asked for with.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(false).args(["session", "repo"]))]
pub(crate) struct Which {
    /// Its whole name
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,
    /// Its repository
    #[arg(long, value_name = "R", requires = "work", requires = "role")]
    pub(crate) repo: Option<String>,
    /// Its work
    #[arg(long, value_name = "W", requires = "repo")]
    pub(crate) work: Option<String>,
    /// Its role
    #[arg(long, requires = "repo")]
    pub(crate) role: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Kill {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Between SIGTERM and SIGKILL
    #[arg(long, value_parser = quantity::duration, value_name = "TIME", default_value = "5s")]
    pub(crate) grace: Duration,
    /// Remove what it wrote as well
    #[arg(long)]
    pub(crate) purge: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Those that have been left for so many hours
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub(crate) older_than: u64,
    /// Of this role alone; without one, agent and runner
    #[arg(long)]
    pub(crate) role: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Go on until it ends
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only so many bytes of each stream, from its end
    #[arg(long, value_name = "BYTES")]
    pub(crate) tail: Option<u64>,
}
