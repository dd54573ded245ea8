//! `crab doctor`: what is wrong or will be, each with what shows it and what to do.
//!
//! What is looked at stands in [`here`] (this machine and its data directory), [`fleet`] (what the daemon says) and [`reach`]
//! (whether machines reach each other, both ways).
//! Judging is apart from looking, so that it can be tested without a machine that is ill.

mod fleet;
mod here;
mod reach;

use anyhow::Context;
use strum::IntoStaticStr;

use crate::cli::args::operators::Doctor;
use crate::cli::exit::Exit;
use crate::cli::screen::{Color, Screen};
use crate::cli::session::Session;
use crate::cli::{json, text};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It works, and may not for long or not well.
    Warning,
    /// It does not work.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What was looked at, such as `disk.space`.
    pub(crate) check: &'static str,
    pub(crate) level: Level,
    /// What was seen.
    pub(crate) evidence: String,
    /// What to do about it; nothing where it is as it should be.
    pub(crate) next: Option<String>,
    /// Whether `--fix` has done that.
    pub(crate) is_fixed: bool,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, evidence: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, evidence: evidence.into(), next: None, is_fixed: false }
    }

    pub(crate) fn warning(check: &'static str, evidence: impl Into<String>, next: impl Into<String>) -> Self {
        let next = Some(next.into());
        Self { check, level: Level::Warning, evidence: evidence.into(), next, is_fixed: false }
    }

    pub(crate) fn failure(check: &'static str, evidence: impl Into<String>, next: impl Into<String>) -> Self {
        Self { level: Level::Failure, ..Self::warning(check, evidence, next) }
    }

    /// As it should be, and there is more to know.
    pub(crate) fn more(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }

    /// After it was mended.
    pub(crate) fn fixed(self) -> Self {
        Self { is_fixed: true, ..self }
    }
}

/// Exits with 0 where all is well, 1 with warnings, 2 with failures; what was fixed counts no more.
pub(crate) async fn run(session: &Session, screen: &mut Screen, args: Doctor) -> anyhow::Result<Exit> {
    let mut findings = Vec::new();
    let directory = session.own_data_dir().ok();
    if let Some(directory) = &directory {
        findings.extend(here::look(directory, args.fix).context("looking at this machine")?);
    }
    match directory.as_deref().and_then(reach::membership) {
        Some(own) => findings.extend(reach::as_worker(&own, directory.unwrap_or_default()).await?),
        None => findings.extend(fleet::look(&session.connect()?, (directory.as_deref(), None)).await?),
    }
    for finding in &findings {
        if screen.json {
            screen.object(&json::Finding::from(finding))?;
        } else {
            show(screen, finding)?;
        }
    }
    let worst = findings.iter().filter(|finding| !finding.is_fixed).map(|finding| finding.level).max();
    Ok(match worst.unwrap_or(Level::Ok) {
        Level::Ok => Exit::SUCCESS,
        Level::Warning => Exit::FAILURE,
        Level::Failure => Exit::USAGE,
    })
}

fn show(screen: &mut Screen, finding: &Finding) -> anyhow::Result<()> {
    let (color, head) = match finding.level {
        _ if finding.is_fixed => (Color::Green, "fixed    "),
        Level::Ok => (Color::Green, "ok       "),
        Level::Warning => (Color::Yellow, "warning  "),
        Level::Failure => (Color::Red, "failure  "),
    };
    let evidence = text::harmless(&finding.evidence);
    screen.line(screen.painted(color, head, &format!("{:<20}{evidence}", finding.check)))?;
    if let Some(next) = finding.next.as_ref().filter(|_| !finding.is_fixed) {
        screen.line(format_args!("{:31}{}", "", text::harmless(next)))?;
    }
    Ok(())
}
