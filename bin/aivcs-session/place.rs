//! Which machine a command is about, and what would be done there where nothing is to be done.

use std::path::PathBuf;

use actors::session::Sessions;
use actors::session::script::Script;
use actors::session::way::{CommandLine, Way};
use anyhow::Context;
use policy::session::target::{Target, TargetRefused};
use policy::session::{Identity, Role, SessionName};

use crate::cli::args::{Global, Wanted, Which};
use crate::cli::json::{VERSION, WouldRun};
use crate::cli::screen::Screen;

/// A machine, and how the user wants it to be treated.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) sessions: Sessions,
    pub(crate) base: String,
    pub(crate) dry_run: bool,
    pub(crate) host: String,
}

impl Place {
    pub(crate) fn new(global: Global, alone: bool) -> anyhow::Result<Self> {
        let target = Target::new(global.host.as_deref(), global.user.as_deref(), global.port)?;
        if target == Target::Here && global.identity.is_some() {
            return Err(TargetRefused::NotRemote.into());
        }
        let host = target.to_string();
        let mut way = Way::new(target, Screen::has_person() && !global.json);
        way = way.identity(global.identity).config(global.ssh_config).alone(alone).held(global.control_path);
        // Nothing is made for a dry run.
        if !global.dry_run
            && let Some(home) = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
        {
            way = way.sharing(&home).context("making the directory of shared connections")?;
        }
        let sessions = Sessions::new(way).setup_within(global.setup_timeout);
        Ok(Self { sessions, base: global.base_dir, dry_run: global.dry_run, host })
    }

    /// Shows a command line, and what it would read.
    pub(crate) fn show(&self, screen: &Screen, script: &Script) -> anyhow::Result<()> {
        self.show_line(screen, &self.sessions.way().script(), Some(script))
    }

    pub(crate) fn show_line(
        &self,
        screen: &Screen,
        line: &CommandLine,
        script: Option<&Script>,
    ) -> anyhow::Result<()> {
        if screen.json {
            let input = script.map(|script| String::from_utf8_lossy(&script.0));
            let would_run = line.0.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            return screen.object(&WouldRun { v: VERSION, would_run, input: input.as_deref() });
        }
        match script {
            None => screen.line(line)?,
            Some(script) => {
                screen.line(format_args!("{line} <<'END-OF-SCRIPT'"))?;
                screen.bytes(&script.0)?;
                screen.line("END-OF-SCRIPT")?;
            }
        }
        Ok(())
    }
}

/// What is wanted, if it may be.
pub(crate) fn identity(wanted: &Wanted) -> anyhow::Result<Identity> {
    let role: Role = wanted.role.parse()?;
    Ok(Identity::new(&wanted.repo, &wanted.work, role)?)
}

/// The session's name, however it was said.
pub(crate) fn name(which: &Which) -> anyhow::Result<SessionName> {
    match which {
        Which { session: Some(session), .. } => Ok(SessionName::parse(session)?),
        Which { repo: Some(repo), work: Some(work), role: Some(role), .. } => {
            Ok(Identity::new(repo, work, role.parse()?)?.name())
        }
        // The reader of arguments lets nothing else through.
        _ => anyhow::bail!("name the session, or its repo, work and role"),
    }
}
