//! `crab service`: a daemon that the system starts, keeps and stops.
//!
//! The text is ours, and not that of a package for all services: what keeps tasks alive through a restart, and macOS
//! from throttling them, is in keys that those do not know. Making the text is apart from installing it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use actors::process::os::cgroup::OWN as OWN_GROUP;
use anyhow::Context;
use strum::{Display, IntoStaticStr};

use crate::cli::args::service::{Service, Where};
use crate::cli::exit::{Exit, Usage};
use crate::cli::json;
use crate::cli::screen::Screen;
use crate::cli::session::Session;

/// Open files of the daemon: two for each task that runs, some for each connection.
const OPEN_FILES: u32 = 65_536;

/// Who keeps services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum System {
    Systemd,
    Launchd,
}

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Whoever calls.
    User,
    /// The machine.
    System,
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Program {
    crabd: PathBuf,
    data_dir: PathBuf,
    config: Option<PathBuf>,
    /// Whom it runs as, where that is not whoever the service is for.
    user: Option<String>,
}

impl System {
    /// That of this machine.
    fn here() -> Self {
        if cfg!(target_os = "macos") { Self::Launchd } else { Self::Systemd }
    }
}

impl Scope {
    /// Where the system looks for the service.
    pub(crate) fn path(self, system: System) -> anyhow::Result<PathBuf> {
        let home = || std::env::var_os("HOME").map(PathBuf::from).context("there is no HOME");
        Ok(match (system, self) {
            (System::Systemd, Self::User) => {
                let configured = std::env::var_os("XDG_CONFIG_HOME").filter(|value| !value.is_empty());
                let base = configured
                    .map_or_else(|| home().map(|home| home.join(".config")), |base| Ok(base.into()))?;
                base.join("systemd/user").join(UNIT)
            }
            (System::Systemd, Self::System) => Path::new("/etc/systemd/system").join(UNIT),
            (System::Launchd, Self::User) => {
                home()?.join("Library/LaunchAgents").join(format!("{LABEL}.plist"))
            }
            (System::Launchd, Self::System) => {
                Path::new("/Library/LaunchDaemons").join(format!("{LABEL}.plist"))
            }
        })
    }
}

const UNIT: &str = "crabd.service";
const LABEL: &str = "knittingcrab.crabd";

pub(crate) fn run(session: &Session, screen: &mut Screen, args: Service) -> anyhow::Result<Exit> {
    let system = System::here();
    match args {
        Service::Install { place, config, run_as, print } => {
            let program = program(session, config, run_as)?;
            let text = text(system, scope(place), &program);
            if print {
                screen.text(&text)?;
                return Ok(Exit::SUCCESS);
            }
            install(screen, system, scope(place), &text)
        }
        Service::Uninstall { place } => uninstall(screen, system, scope(place)),
        Service::Status { place } => status(screen, system, scope(place)),
    }
}

fn scope(place: Where) -> Scope {
    if place.system { Scope::System } else { Scope::User }
}

/// The crabd beside this program, with absolute paths: services have no directory and little of a PATH.
fn program(session: &Session, config: Option<PathBuf>, user: Option<String>) -> anyhow::Result<Program> {
    let own = std::env::current_exe().context("finding this program")?;
    let crabd = own.with_file_name("crabd");
    if !crabd.exists() {
        return Err(Usage(format!("there is no crabd beside {}", own.display())).into());
    }
    let config = config.map(std::path::absolute).transpose()?;
    if let Some(config) = &config {
        actors::config::Config::read(config).map_err(|error| Usage(error.to_string()))?;
    }
    let data_dir = match &user {
        Some(name) if !session.names_data_dir() => home_data_dir(name)?,
        _ => session.own_data_dir()?,
    };
    Ok(Program { crabd, data_dir: std::path::absolute(data_dir)?, config, user })
}

/// Where that user keeps what is theirs.
fn home_data_dir(name: &str) -> anyhow::Result<PathBuf> {
    let user = nix::unistd::User::from_name(name).with_context(|| format!("looking up the user {name:?}"))?;
    let user = user.ok_or_else(|| Usage(format!("--as: there is no user {name:?} on this machine")))?;
    Ok(user.dir.join(".local/share/knittingcrab"))
}

impl Program {
    fn words(&self) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut words = vec![text(&self.crabd), "--data-dir".to_owned(), text(&self.data_dir)];
        words.extend(self.config.iter().flat_map(|config| ["--config".to_owned(), text(config)]));
        words
    }
}

fn text(system: System, scope: Scope, program: &Program) -> String {
    match system {
        System::Systemd => unit(scope, program),
        System::Launchd => plist(program),
    }
}

/// Words as systemd reads them.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

fn unit(scope: Scope, program: &Program) -> String {
    let wanted = if scope == Scope::System { "multi-user.target" } else { "default.target" };
    let words: Vec<String> = program.words().iter().map(|word| quoted(word)).collect();
    let user = program.user.iter().fold(String::new(), |line, name| line + "User=" + name + "\n");
    format!(
        "# Made by `crab service install`.\n\
         [Unit]\n\
         Description=knittingCrab, a task scheduler\n\
         After=network-online.target\n\
         Wants=network-online.target\n\
         # A daemon that cannot start is tried for ever, and never in a tight loop.\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         Type=notify\n\
         ExecStart={}\n\
         ExecReload=kill -HUP $MAINPID\n\
         # Tasks live in the process host: only the daemon itself is stopped, they go on.\n\
         KillMode=process\n\
         # The host makes groups beside its own, for tasks with limits. Before systemd 254 they are measured instead.\n\
         Delegate=yes\n\
         DelegateSubgroup={OWN_GROUP}\n\
         Restart=on-failure\n\
         RestartSec=1\n\
         TimeoutStopSec=60\n\
         LimitNOFILE={OPEN_FILES}\n\
         UMask=0077\n\
         {user}\
         \n\
         [Install]\n\
         WantedBy={wanted}\n",
        words.join(" ")
    )
}

/// Text as XML has it.
fn escaped(word: &str) -> String {
    word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn plist(program: &Program) -> String {
    let mut words = String::new();
    for word in program.words() {
        // Writing to a text does not fail.
        let _ = write!(words, "\n    <string>{}</string>", escaped(&word));
    }
    let user = program.user.iter().fold(String::new(), |lines, name| {
        format!("{lines}  <key>UserName</key>\n  <string>{}</string>\n", escaped(name))
    });
    let log = escaped(&program.data_dir.join("crabd.log").to_string_lossy());
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- Made by `crab service install`. -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>{words}
  </array>
  <!-- Background processes are throttled, and what they start with them. -->
  <key>ProcessType</key>
  <string>Interactive</string>
  <!-- Tasks live in the process host: they go on when the daemon is stopped. -->
  <key>AbandonProcessGroup</key>
  <true/>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>5</integer>
  <key>ExitTimeOut</key>
  <integer>60</integer>
  <!-- 256 where nobody says more. -->
  <key>SoftResourceLimits</key>
  <dict>
    <key>NumberOfFiles</key>
    <integer>{OPEN_FILES}</integer>
  </dict>
  <key>Umask</key>
  <integer>63</integer>
{user}  <key>StandardErrorPath</key>
  <string>{log}</string>
</dict>
</plist>
"#
    )
}

/// What the system is told, in order.
fn commands(system: System, scope: Scope, path: &Path, wanted: bool) -> Vec<Vec<String>> {
    let words = |line: &str| line.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    let path = path.to_string_lossy().into_owned();
    match system {
        System::Systemd => {
            let user = if scope == Scope::User { " --user" } else { "" };
            let on = format!("systemctl{user} enable --now {UNIT}");
            let off = format!("systemctl{user} disable --now {UNIT}");
            let reload = format!("systemctl{user} daemon-reload");
            if wanted { vec![words(&reload), words(&on)] } else { vec![words(&off)] }
        }
        System::Launchd => {
            let me = nix::unistd::getuid();
            let domain = if scope == Scope::User { format!("gui/{me}") } else { "system".to_owned() };
            let verb = if wanted { "bootstrap" } else { "bootout" };
            vec![vec!["launchctl".to_owned(), verb.to_owned(), domain, path]]
        }
    }
}

fn tell(commands: &[Vec<String>]) -> anyhow::Result<()> {
    for words in commands {
        let line = words.join(" ");
        let output = Command::new(&words[0]).args(&words[1..]).output();
        let output = output.with_context(|| format!("cannot run `{line}`: run it by hand"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            anyhow::bail!("`{line}` failed: {}", said.trim());
        }
    }
    Ok(())
}

fn install(screen: &mut Screen, system: System, scope: Scope, text: &str) -> anyhow::Result<Exit> {
    let path = scope.path(system)?;
    let cannot = || format!("cannot write {}", path.display());
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(cannot)?;
    }
    fs::write(&path, text).with_context(cannot)?;
    tell(&commands(system, scope, &path, true)).with_context(|| format!("{} is written", path.display()))?;
    say(screen, system, &path, true)
}

fn uninstall(screen: &mut Screen, system: System, scope: Scope) -> anyhow::Result<Exit> {
    let path = scope.path(system)?;
    if !path.exists() {
        screen.note(format_args!("crab: {} is not there", path.display()));
        return Ok(Exit::SUCCESS);
    }
    tell(&commands(system, scope, &path, false))?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    say(screen, system, &path, false)
}

/// Exits with 3 where it is not installed.
fn status(screen: &mut Screen, system: System, scope: Scope) -> anyhow::Result<Exit> {
    let path = scope.path(system)?;
    let is_there = path.exists();
    say(screen, system, &path, is_there)?;
    Ok(if is_there { Exit::SUCCESS } else { Exit::CONDITION })
}

fn say(screen: &mut Screen, system: System, path: &Path, installed: bool) -> anyhow::Result<Exit> {
    if screen.json {
        screen.object(&json::Service::of(system.into(), path, installed))?;
    } else {
        let how = if installed { "installed" } else { "not installed" };
        screen.line(format_args!("{how}: {} ({system})", path.display()))?;
    }
    Ok(Exit::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Program {
        Program {
            crabd: "/opt/crab/bin/crabd".into(),
            data_dir: "/var/crab data".into(),
            config: Some("/etc/100%&crab.toml".into()),
            user: None,
        }
    }

    #[test]
    fn the_unit_keeps_tasks_alive_and_is_what_was_promised() {
        let text = unit(Scope::User, &program());
        assert_eq!(text, include_str!("service/samples/crabd.service"));
        let program = Program { user: Some("builds".to_owned()), ..program() };
        let text = unit(Scope::System, &program);
        assert!(
            text.ends_with("UMask=0077\nUser=builds\n\n[Install]\nWantedBy=multi-user.target\n"),
            "{text}"
        );
    }

    #[test]
    fn the_plist_is_interactive_and_is_what_was_promised() {
        assert_eq!(plist(&program()), include_str!("service/samples/knittingcrab.crabd.plist"));
        let text = plist(&Program { user: Some("builds".to_owned()), ..program() });
        assert!(
            text.contains("  <key>UserName</key>\n  <string>builds</string>\n  <key>StandardErrorPath</key>")
        );
    }

    #[test]
    fn each_system_is_told_in_its_words() {
        let line = |system, scope, wanted| {
            let all = commands(system, scope, Path::new("/x/y.plist"), wanted);
            all.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(
            line(System::Systemd, Scope::User, true),
            "systemctl --user daemon-reload; systemctl --user enable --now crabd.service"
        );
        assert_eq!(line(System::Systemd, Scope::System, false), "systemctl disable --now crabd.service");
        assert_eq!(line(System::Launchd, Scope::System, true), "launchctl bootstrap system /x/y.plist");
        assert!(line(System::Launchd, Scope::User, false).starts_with("launchctl bootout gui/"));
    }
}
