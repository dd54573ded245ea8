//! `doctor`: whether everything is there that sessions need, with what to do where it is not.

use std::time::Duration;

use actors::session::reply::Reply;
use actors::session::script::Script;
use actors::session::words::unhex;
use actors::session::{Doctor, SessionError};
use policy::session::target::Target;
use policy::time::Timestamp;

use crate::cli::exit::Exit;
use crate::cli::json::{Check, VERSION};
use crate::cli::place::Place;
use crate::cli::screen::Screen;

/// How far a clock may be off before ages mean little: pruning counts in hours.
const SKEW_LIMIT: Duration = Duration::from_mins(1);
/// Free space below which output will soon not be kept, in KiB: one output limit.
const FREE_KIB_LIMIT: u64 = 1024 * 1024;

pub(crate) fn run(place: &Place, screen: &Screen) -> anyhow::Result<Exit> {
    if place.dry_run {
        place.show(screen, &Script::doctor(&place.base)?)?;
        return Ok(Exit::SUCCESS);
    }
    let checks = match place.sessions.doctor(&place.base) {
        Ok(found) => all(place, &found),
        Err(error) => vec![unreachable(&error)],
    };
    let mut exit = Exit::SUCCESS;
    for check in checks {
        exit = match check.result {
            "missing" => Exit::USAGE,
            "warning" if exit == Exit::SUCCESS => Exit::FAILURE,
            _ => exit,
        };
        if screen.json {
            screen.object(&check)?;
        } else {
            let fix = check.fix.map_or_else(String::new, |fix| format!("; {fix}"));
            screen.line(format_args!("{:8} {:12} {}{fix}", check.result, check.check, check.found))?;
        }
    }
    Ok(exit)
}

fn check(check: &'static str, result: &'static str, found: impl Into<String>, fix: &str) -> Check {
    let fix = (result != "ok").then(|| fix.to_owned());
    Check { v: VERSION, check, result, found: found.into(), fix }
}

fn unreachable(error: &SessionError) -> Check {
    check(
        "connection",
        "missing",
        error.to_string(),
        "try `ssh HOST true`: it must work without a password, with the host's key known",
    )
}

fn all(place: &Place, found: &Doctor) -> Vec<Check> {
    let reply = &found.reply;
    let mut checks = vec![
        check("connection", "ok", format!("{}, {}", place.host, text(reply, "system", 0)), ""),
        shared(place),
        tmux(reply),
        own_directory(reply),
        base(reply),
    ];
    checks.extend([clock(reply, found.now), free(reply), strange(reply)]);
    let has = |key: &str| reply.word(key).is_some_and(|word| word != "none");
    let fix = "install procps (ps), awk and grep";
    checks.push(check(
        "processes",
        if has("family") && has("birth") { "ok" } else { "missing" },
        "ps tells of processes",
        fix,
    ));
    let fix = "processes that leave their group and their parents will not be found";
    checks.push(check("marks", if has("marks") { "ok" } else { "warning" }, "environments can be read", fix));
    let fix = "a restart will not be told from a process that was killed";
    checks.push(check("boot", if has("boot") { "ok" } else { "warning" }, "the boot has a name", fix));
    checks
}

fn shared(place: &Place) -> Check {
    let way = place.sessions.way();
    let is_well = way.shares() || *way.target() == Target::Here;
    let fix = "its socket's path would be too long or strange: each question costs a handshake";
    check("sharing", if is_well { "ok" } else { "warning" }, "one connection is shared", fix)
}

fn tmux(reply: &Reply) -> Check {
    match reply.word("tmux") {
        Some(_) => check("tmux", "ok", text(reply, "tmux", 0), ""),
        None => {
            check("tmux", "missing", "not in /opt/homebrew/bin, /usr/local/bin or PATH", "install tmux there")
        }
    }
}

fn own_directory(reply: &Reply) -> Check {
    let mode = reply.find("home").and_then(|words| words.get(1)).map_or("", |mode| &**mode);
    let result = if mode == "drwx------" { "ok" } else { "warning" };
    check("files", result, format!("{} {mode}", text(reply, "home", 0)), "chmod 700 it")
}

fn base(reply: &Reply) -> Check {
    let result = if reply.word("base") == Some("yes") { "ok" } else { "missing" };
    check(
        "base",
        result,
        text(reply, "base", 1),
        "make it and clone repositories into it, or name another with --base-dir",
    )
}

fn clock(reply: &Reply, here: Timestamp) -> Check {
    let there = Timestamp(reply.number("now").unwrap_or(0).saturating_mul(1_000_000));
    let skew = here.max(there).since(here.min(there));
    let result = if skew <= SKEW_LIMIT { "ok" } else { "warning" };
    check("clock", result, format!("{} s apart", skew.as_secs()), "set both clocks by the network")
}

fn free(reply: &Reply) -> Check {
    let kib = reply.number("free").unwrap_or(0);
    let result = if kib >= FREE_KIB_LIMIT { "ok" } else { "warning" };
    check("disk", result, format!("{} free", actors::say::size(kib.saturating_mul(1024))), "make room")
}

fn strange(reply: &Reply) -> Check {
    let count = reply.number("strange").unwrap_or(0);
    let result = if count == 0 { "ok" } else { "warning" };
    let fix = "they were made by hand; end them with tmux -L aivcs";
    check("owners", result, format!("{count} sessions in our tmux without files of ours"), fix)
}

/// A word that was said in hexadecimal.
fn text(reply: &Reply, key: &str, at: usize) -> String {
    let word = reply.find(key).and_then(|words| words.get(at)).map_or("", |word| &**word);
    actors::say::harmless(&String::from_utf8_lossy(&unhex(word).unwrap_or_default()))
}
