//! What is said at the end of a run: the counts, and what failed tasks, or the only one, wrote last.

use actors::client::Client;
use actors::wire::client::GraphRow;

use super::label;
use super::progress::Progress;
use crate::cli::screen::{Color, Screen};
use crate::cli::{logs, text, wait};

/// Failed tasks whose last lines are shown; the others are named only.
const SHOWN_OUTPUTS: usize = 5;
/// Lines of output of each.
const SHOWN_LINES: usize = 12;

pub(super) async fn print(
    client: &Client,
    screen: &mut Screen,
    progress: &Progress,
    row: &GraphRow,
) -> anyhow::Result<()> {
    for (index, (task, outcome)) in progress.failures.iter().enumerate() {
        let head = screen.painted(Color::Red, &label(progress, *task), "");
        screen.line(format_args!("\n{head} ({task}) {}", text::harmless(&outcome.to_string())))?;
        if index < SHOWN_OUTPUTS {
            for line in logs::last_lines(client, *task, SHOWN_LINES).await {
                screen.line(format_args!("  | {line}"))?;
            }
        }
    }
    // Of a graph of one task, what it wrote is what somebody wants to see.
    if row.tasks.succeeded == 1 && row.tasks.total() == 1 && !screen.quiet {
        for line in logs::last_lines(client, row.graph.first_task(), SHOWN_LINES).await {
            screen.line(format_args!("  | {line}"))?;
        }
    }
    let named = u64::try_from(progress.failures.len()).unwrap_or(u64::MAX);
    if row.tasks.failed > named {
        screen.line(format_args!("\nand {} more failed", row.tasks.failed - named))?;
    }
    if !(screen.quiet && row.tasks.succeeded == row.tasks.total()) {
        screen.line(wait::graph_line(screen, row))?;
    }
    Ok(())
}
