//! How a running graph is shown: drawn on a terminal, as lines elsewhere, as JSON, or not at all.

use actors::client::Client;
use policy::event::Record;
use policy::task::TaskOutcome;

use super::label;
use super::live::Live;
use super::progress::{Change, Progress};
use crate::cli::screen::{Color, Screen};
use crate::cli::{json, text};

/// One of the ways.
#[derive(Debug)]
pub(super) enum View {
    Live(Box<Live>),
    Lines,
    Json,
    Nothing,
}

impl View {
    pub(super) fn new(screen: &Screen, client: &Client, progress: &Progress) -> Self {
        match screen {
            Screen { json: true, .. } => Self::Json,
            Screen { quiet: true, .. } => Self::Nothing,
            Screen { live: true, .. } => Self::Live(Box::new(Live::new(client, progress))),
            _ => Self::Lines,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }

    /// Takes an event into the progress and shows it.
    pub(super) fn event(
        &mut self,
        screen: &mut Screen,
        progress: &mut Progress,
        record: &Record,
    ) -> anyhow::Result<()> {
        let change = progress.apply(record);
        match self {
            Self::Json => screen.object(&json::Event::from(record))?,
            Self::Nothing => {}
            Self::Lines => {
                if let Some(change) = change {
                    screen.line(format_args!(
                        "{}  {}",
                        text::clock_time(record.at),
                        line(screen, progress, &change)
                    ))?;
                }
            }
            Self::Live(live) => {
                if let Some(change) = change.filter(is_trouble) {
                    live.line(&line(screen, progress, &change));
                }
            }
        }
        Ok(())
    }

    pub(super) fn redraw(&mut self, progress: &Progress) {
        if let Self::Live(live) = self {
            live.redraw(progress);
        }
    }

    pub(super) fn note(&mut self, screen: &mut Screen, note: &str) {
        match self {
            Self::Live(live) => live.line(note),
            Self::Lines | Self::Json | Self::Nothing => screen.note(note),
        }
    }

    /// Takes the drawing away.
    pub(super) fn clear(&mut self) {
        if let Self::Live(live) = self {
            live.clear();
        }
    }
}

/// What is worth a line of its own above a drawing.
fn is_trouble(change: &Change) -> bool {
    match change {
        Change::Started { .. } => false,
        Change::Retrying { .. } => true,
        Change::Ended { outcome, .. } => matches!(
            outcome,
            TaskOutcome::Failed(_) | TaskOutcome::Poisoned(_) | TaskOutcome::OutOfRetries { .. }
        ),
    }
}

fn line(screen: &Screen, progress: &Progress, change: &Change) -> String {
    match change {
        Change::Started { task, node, attempt } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("{} started on {node} ({task}{again})", label(progress, *task))
        }
        Change::Retrying { task, outcome, wait } => {
            let outcome = screen.painted(Color::Yellow, &text::harmless(&outcome.to_string()), "");
            format!("{} {outcome}, again in {} ({task})", label(progress, *task), text::length(*wait))
        }
        Change::Ended { task, outcome, took } => {
            let color = if outcome.is_success() { Color::Green } else { Color::Red };
            let outcome = screen.painted(color, &text::harmless(&outcome.to_string()), "");
            let took = took.map(|took| format!(" after {}", text::length(took))).unwrap_or_default();
            format!("{} {outcome}{took} ({task})", label(progress, *task))
        }
    }
}
