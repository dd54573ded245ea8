//! The drawing on a terminal: a bar, what is running with its age, how far each says it is, and the last line it wrote.

use std::collections::HashMap;
use std::time::Duration;

use actors::client::Client;
use actors::clock::Clock;
use actors::wire::client::{StateName, TaskFilter};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use policy::id::{GraphId, TaskId};
use policy::task::Progress as Told;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::progress::{Active, Progress};
use super::{count, label};
use crate::cli::logs::last_lines;
use crate::cli::text;

/// Running tasks that are shown, the oldest first.
const ROWS: usize = 8;
/// Between two looks at what the shown tasks wrote.
const LOOK: Duration = Duration::from_secs(1);

/// The drawing.
#[derive(Debug)]
pub(super) struct Live {
    clock: Clock,
    all: MultiProgress,
    bar: ProgressBar,
    rows: Vec<ProgressBar>,
    name_width: usize,
    /// The tasks that are shown, for whoever fetches their last lines.
    shown: watch::Sender<Vec<TaskId>>,
    fetched: mpsc::Receiver<(TaskId, String)>,
    fetching: JoinHandle<()>,
    last: HashMap<TaskId, String>,
}

impl Live {
    pub(super) fn new(client: &Client, progress: &Progress) -> Self {
        let all = MultiProgress::new();
        let bar = all.add(ProgressBar::new(progress.total()));
        bar.set_style(style("{bar:30} {pos}/{len}  {elapsed}  {msg}"));
        let (shown, showing) = watch::channel(Vec::new());
        let (lines, fetched) = mpsc::channel(ROWS);
        let fetching = tokio::spawn(fetch(client.clone(), progress.graph, showing, lines));
        let (rows, last) = (Vec::new(), HashMap::new());
        let name_width = progress.width().clamp(8, 30);
        Self { clock: Clock::system(), all, bar, rows, name_width, shown, fetched, fetching, last }
    }

    /// A line that stays, above the drawing.
    pub(super) fn line(&self, line: &str) {
        // A terminal that is gone shows nothing; the end of the graph is told by the exit code as well.
        let _ = self.all.println(line);
    }

    pub(super) fn redraw(&mut self, progress: &Progress) {
        while let Ok((task, line)) = self.fetched.try_recv() {
            self.last.insert(task, line);
        }
        self.bar.set_position(progress.ended());
        self.bar.set_message(counts(progress));
        let running: Vec<(TaskId, &Active)> = progress
            .active
            .iter()
            .filter(|(_, active)| active.started.is_some())
            .take(ROWS)
            .map(|(&task, active)| (task, active))
            .collect();
        let tasks: Vec<TaskId> = running.iter().map(|&(task, _)| task).collect();
        self.last.retain(|task, _| tasks.contains(task));
        self.shown.send_replace(tasks);
        self.fit_rows(running.len());
        for (row, (task, active)) in self.rows.iter().zip(running) {
            row.set_message(self.row(progress, task, active));
        }
    }

    pub(super) fn clear(&mut self) {
        self.fetching.abort();
        // As with `line`: nothing to be done about a terminal that is gone.
        let _ = self.all.clear();
    }

    fn fit_rows(&mut self, count: usize) {
        while self.rows.len() < count {
            let row = self.all.add(ProgressBar::new_spinner());
            row.set_style(style("  {wide_msg}"));
            self.rows.push(row);
        }
        for row in self.rows.drain(count..) {
            row.finish_and_clear();
            self.all.remove(&row);
        }
    }

    fn row(&self, progress: &Progress, task: TaskId, active: &Active) -> String {
        let age =
            active.started.map(|started| text::length(self.clock.wall().since(started))).unwrap_or_default();
        let last = self.last.get(&task).map(String::as_str).unwrap_or_default();
        format!("{:<width$}  {age:>6}  {last}", label(progress, task), width = self.name_width)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn counts(progress: &Progress) -> String {
    let active = u64::try_from(progress.active.len()).unwrap_or(u64::MAX);
    let waiting = progress.total().saturating_sub(progress.ended()).saturating_sub(active);
    let counts = [
        count(active, "running"),
        count(waiting, "waiting"),
        count(progress.failed, "failed"),
        count(progress.cancelled, "cancelled"),
        count(progress.skipped, "skipped"),
    ];
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How far a task says it is, and what it wrote last.
fn said(progress: Option<&Told>, line: Option<String>) -> String {
    let progress = progress.map(|progress| text::harmless(&progress.to_string()).to_string());
    progress.into_iter().chain(line).collect::<Vec<_>>().join(" · ")
}

/// Looks again and again at how far the shown tasks are.
async fn fetch(
    client: Client,
    graph: GraphId,
    showing: watch::Receiver<Vec<TaskId>>,
    lines: mpsc::Sender<(TaskId, String)>,
) {
    let running = TaskFilter { graph: Some(graph), states: vec![StateName::Running] };
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let tasks = showing.borrow().clone();
        if tasks.is_empty() {
            continue;
        }
        // Tasks are listed by id, as they are shown.
        let rows = client.tasks(&running, ROWS).await.unwrap_or_default();
        for task in tasks {
            let progress = rows.iter().find(|row| row.task == task).and_then(|row| row.progress.as_deref());
            let said = said(progress, last_lines(&client, task, 1).await.pop());
            if !said.is_empty() && lines.send((task, said)).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_stands_before_what_was_written() {
        let told = Told { permille: Some(405), doing: "linking".into() };
        assert_eq!(said(Some(&told), Some("cc main.c".to_owned())), "40% linking · cc main.c");
        assert_eq!(said(Some(&told), None), "40% linking");
        assert_eq!(said(None, None), "");
    }
}
