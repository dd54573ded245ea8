//! Has the batches of a suite run: a task for each, as many at once as there are shards, all in one graph.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use actors::client::{Client, ClientError, Seen, Watch, random_key};
use actors::taskfile::path_text;
use actors::wire::client::{EventFilter, Ran, Target};
use policy::event::{Event, Item, Next, Record, TaskEvent};
use policy::id::{AttemptNumber, GraphId, TaskId};
use policy::output::lines::Lines;
use policy::shards::{Batch, INDEX_VARIABLE, TOTAL_VARIABLE, Told, Verdict, Work};
use policy::submission::Submission;
use policy::task::{AttemptOutcome, RetryPolicy, TaskOutcome, TaskSpec};
use policy::text::OsText;

use super::dialect::{Dialect, Reader};
use super::heard;
use super::results::Results;
use super::runner::Suite;
use crate::cli::doubt::Doubt;
use crate::cli::run::interrupt::{Interrupts, Told as Interruption};
use crate::cli::screen::{Color, Screen};
use crate::cli::session::Opened;
use crate::cli::submit::{self, BUSY_PATIENCE};
use crate::cli::text;

/// A suite under way.
pub(super) struct Drive<'d> {
    opened: &'d Opened,
    suite: &'d Suite,
    spec: &'d TaskSpec,
    shards: usize,
    work: &'d mut Work,
    results: &'d mut Results,
    graph: Option<GraphId>,
    running: BTreeMap<TaskId, Running>,
}

/// A task that was handed in and has not ended.
struct Running {
    batch: Batch,
    attempt: AttemptNumber,
}

/// How it went as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended {
    /// To its end.
    Whole(Option<GraphId>),
    /// The user did not want that.
    Interrupted(Option<GraphId>),
}

impl Ended {
    pub(super) fn graph(self) -> Option<GraphId> {
        match self {
            Self::Whole(graph) | Self::Interrupted(graph) => graph,
        }
    }
}

impl<'d> Drive<'d> {
    pub(super) fn new(
        (opened, suite, spec): (&'d Opened, &'d Suite, &'d TaskSpec),
        shards: usize,
        (work, results): (&'d mut Work, &'d mut Results),
    ) -> Self {
        Self { opened, suite, spec, shards, work, results, graph: None, running: BTreeMap::new() }
    }

    pub(super) async fn go(
        mut self,
        screen: &mut Screen,
        mut interrupts: Interrupts,
    ) -> anyhow::Result<Ended> {
        let Some((graph, mut watch)) = self.begin(screen).await? else { return Ok(Ended::Whole(None)) };
        let client = &self.opened.client.clone();
        let mut doubt = Doubt::new();
        while !self.running.is_empty() {
            tokio::select! {
                biased;
                told = interrupts.next() => {
                    screen.note(told.text());
                    match told {
                        Interruption::Cancel => interrupts.cancel(client, Target::Graph(graph)),
                        Interruption::Kill => {
                            self.opened.kill();
                            return Ok(Ended::Interrupted(Some(graph)));
                        }
                        Interruption::CancelFailed(_) => {}
                    }
                }
                seen = watch.next() => match seen? {
                    Seen::Record(record) => self.happened(screen, &record).await?,
                    Seen::Gap { .. } => self.catch_up(screen).await?,
                },
                why = doubt.next(client, Target::Graph(graph)) => screen.note(format_args!("crab: {why}")),
            }
            if !interrupts.cancelled() {
                self.hand_in(graph).await?;
            }
        }
        Ok(if interrupts.cancelled() { Ended::Interrupted(Some(graph)) } else { Ended::Whole(Some(graph)) })
    }

    /// The first batch of each shard makes the graph.
    async fn begin(&mut self, screen: &mut Screen) -> anyhow::Result<Option<(GraphId, Watch)>> {
        let batches = self.next_batches();
        if batches.is_empty() {
            return Ok(None);
        }
        let submission = self.submission(&batches, None);
        let ran = self.submitted(submission, true).await?;
        submit::warn(screen, &ran.submitted);
        let graph = ran.submitted.graph;
        self.graph = Some(graph);
        self.took_up(ran.submitted.first, batches);
        Ok(Some((graph, self.opened.client.events_after(ran.events, EventFilter::Graph(graph)))))
    }

    /// Whoever is done gets its next batch.
    async fn hand_in(&mut self, graph: GraphId) -> anyhow::Result<()> {
        let batches = self.next_batches();
        if !batches.is_empty() {
            let submission = self.submission(&batches, Some(graph));
            let ran = self.submitted(submission, false).await?;
            self.took_up(ran.submitted.first, batches);
        }
        Ok(())
    }

    /// However often the connection is lost meanwhile: the same key is the same submission.
    async fn submitted(&self, submission: Submission, report: bool) -> Result<Ran, ClientError> {
        self.opened.client.run_patiently(submission, (Duration::ZERO, report), BUSY_PATIENCE).await
    }

    fn next_batches(&mut self) -> Vec<Batch> {
        let is_busy = |lane: &usize| self.running.values().any(|running| running.batch.lane == *lane);
        let idle: Vec<usize> = (0..self.shards).filter(|lane| !is_busy(lane)).collect();
        idle.into_iter().filter_map(|lane| self.work.next(lane)).collect()
    }

    fn took_up(&mut self, first: TaskId, batches: Vec<Batch>) {
        for (task, batch) in (first.0..).map(TaskId).zip(batches) {
            self.running.insert(task, Running { batch, attempt: AttemptNumber(1) });
        }
    }

    fn submission(&self, batches: &[Batch], into: Option<GraphId>) -> Submission {
        let items = batches.iter().map(|batch| Item::new(self.task(batch))).collect();
        Submission { into, ..Submission::new(random_key(), self.spec.name.clone(), items) }
    }

    fn task(&self, batch: &Batch) -> TaskSpec {
        let text = |word: &std::ffi::OsStr| OsText::from(word.as_bytes().to_vec());
        let launch = self.suite.launch(&batch.tests, self.spec.resources.cpu_millis / 1000);
        let given = |name: &OsText| self.spec.environment.iter().any(|(of, _)| of == name);
        let of_runner = launch.environment.iter().map(|(name, value)| (text(name), text(value)));
        let numbers = [(INDEX_VARIABLE, batch.lane), (TOTAL_VARIABLE, self.shards)];
        let numbers = numbers.map(|(name, number)| (OsText::from(name), OsText::from(number.to_string())));
        let own = of_runner.chain(numbers).filter(|(name, _)| !given(name));
        // Within a workspace the runner's directory is another one.
        let directory = launch.directory.as_deref().filter(|_| self.spec.workspace.is_none()).map(path_text);
        TaskSpec {
            name: format!("shard {} batch {}", batch.lane + 1, batch.number + 1).into(),
            argv: launch.argv.iter().map(|word| text(word)).collect(),
            directory: directory.or_else(|| self.spec.directory.clone()),
            environment: own.chain(self.spec.environment.iter().cloned()).collect(),
            // What failed is run again by us, without what did not.
            retry: RetryPolicy { max_attempts: 1, ..self.spec.retry.clone() },
            ..self.spec.clone()
        }
    }

    async fn happened(&mut self, screen: &mut Screen, record: &Record) -> anyhow::Result<()> {
        let Event::Task { task, event, .. } = &record.event else { return Ok(()) };
        match event {
            TaskEvent::Granted { attempt, .. } => {
                if let Some(running) = self.running.get_mut(task) {
                    running.attempt = *attempt;
                }
            }
            TaskEvent::AttemptEnded { next: Next::Finish(outcome), usage, .. } => {
                self.ended(screen, *task, (outcome, Some(usage.wall))).await?;
            }
            TaskEvent::Finished(outcome) => self.ended(screen, *task, (outcome, None)).await?,
            TaskEvent::AttemptEnded { .. }
            | TaskEvent::Started { .. }
            | TaskEvent::CancelAsked
            | TaskEvent::EvictAsked { .. }
            | TaskEvent::RetryAsked
            | TaskEvent::ReportIgnored { .. }
            | TaskEvent::StepBegan { .. } => {}
        }
        Ok(())
    }

    /// Events are missing: what has ended meanwhile is asked for.
    async fn catch_up(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        let tasks: Vec<TaskId> = self.running.keys().copied().collect();
        for task in tasks {
            let detail = self.opened.client.task(task).await?;
            if let Some(running) = self.running.get_mut(&task) {
                running.attempt = AttemptNumber(detail.row.attempts.max(1));
            }
            if let Some(outcome) = detail.row.outcome {
                self.ended(screen, task, (&outcome, None)).await?;
            }
        }
        Ok(())
    }

    /// A batch is over: reads what it wrote, and reports that.
    async fn ended(
        &mut self,
        screen: &mut Screen,
        task: TaskId,
        (outcome, wall): (&TaskOutcome, Option<Duration>),
    ) -> anyhow::Result<()> {
        let Some(Running { batch, attempt }) = self.running.remove(&task) else { return Ok(()) };
        let dialect = self.suite.dialect(&batch.tests);
        let tests = batch.tests.iter().map(|&test| (test, &*self.suite.ids[test]));
        let mut reader = Reader::new(dialect, tests);
        let (failed, ran) = how(outcome);
        if ran {
            hear(&self.opened.client, (task, attempt), &mut reader).await?;
        }
        let mut heard = reader.heard.finish();
        if dialect == Dialect::ExitCode && ran {
            by_exit_code(&batch, failed, wall, &mut heard);
        }
        let verdicts = heard.verdicts.iter().map(|(test, verdict)| (*test, *verdict)).collect();
        self.work.report(batch.number, &Told { verdicts, failed, ran })?;
        let line = line(screen, (task, &batch), (outcome, wall), &heard);
        screen.note(line);
        self.results.take(task, &batch, heard, &outcome.to_string());
        Ok(())
    }
}

/// Whether it failed, and whether its process ran at all.
fn how(outcome: &TaskOutcome) -> (bool, bool) {
    match outcome {
        TaskOutcome::Succeeded => (false, true),
        TaskOutcome::Failed(attempt) | TaskOutcome::OutOfRetries { last: attempt, .. } => match attempt {
            AttemptOutcome::Exited(_)
            | AttemptOutcome::Signalled(_)
            | AttemptOutcome::TimedOut(_)
            | AttemptOutcome::OverLimit(_)
            | AttemptOutcome::StepFailed(_) => (true, true),
            AttemptOutcome::Cancelled | AttemptOutcome::SpawnFailed(_) | AttemptOutcome::Lost(_) => {
                (true, false)
            }
        },
        TaskOutcome::Cancelled | TaskOutcome::Skipped(_) | TaskOutcome::Poisoned(_) => (true, false),
    }
}

/// A success is one of all tests, a failure of one that is alone; of others it says only that there is one.
fn by_exit_code(batch: &Batch, failed: bool, wall: Option<Duration>, heard: &mut heard::Told) {
    let verdict = if failed { Verdict::Failed } else { Verdict::Passed };
    if failed && batch.tests.len() > 1 {
        return;
    }
    let each = wall.map(|wall| wall / u32::try_from(batch.tests.len()).unwrap_or(u32::MAX).max(1));
    for &test in &batch.tests {
        heard.verdicts.insert(test, verdict);
        heard.took.extend(each.map(|each| (test, each)));
    }
}

/// Reads all that was written; what is gone says nothing.
async fn hear(
    client: &Client,
    (task, attempt): (TaskId, AttemptNumber),
    reader: &mut Reader,
) -> Result<(), ClientError> {
    let (mut follow, mut lines) = (client.output(task, attempt), Lines::default());
    loop {
        let piece = match follow.next().await {
            Ok(Some(piece)) => piece,
            Ok(None) | Err(ClientError::NoOutput(_)) => break,
            Err(error) => return Err(error),
        };
        for part in piece.parts {
            let mut take = |line: policy::output::lines::Line| {
                let line = text::plain(&String::from_utf8_lossy(&line.bytes));
                reader.heard.line(part.at, &line);
                reader.line(&line);
            };
            if part.omitted > 0 {
                lines.gap(part.stream, &mut take);
                reader.heard.gap();
                continue;
            }
            lines.push(part.stream, part.at, &part.bytes, take);
        }
    }
    for line in lines.finish() {
        let at = line.at;
        let line = text::plain(&String::from_utf8_lossy(&line.bytes));
        reader.heard.line(at, &line);
        reader.line(&line);
    }
    Ok(())
}

/// `shard 1: 12 passed, 1 failed, 3 not heard of in 3.2s (t12)`
fn line(
    screen: &Screen,
    (task, batch): (TaskId, &Batch),
    (outcome, wall): (&TaskOutcome, Option<Duration>),
    heard: &heard::Told,
) -> String {
    let of = |wanted: Verdict| heard.verdicts.values().filter(|verdict| **verdict == wanted).count();
    let silent = batch.tests.len().saturating_sub(heard.verdicts.len()) + of(Verdict::Silent);
    let counts = [
        (of(Verdict::Passed), "passed"),
        (of(Verdict::Failed), "failed"),
        (of(Verdict::Skipped), "skipped"),
        (silent, "not heard of"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} {how}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let took = wall.map(|wall| format!(" in {}", text::length(wall))).unwrap_or_default();
    // What ends a process other than its tests' failures is worth telling.
    let why = if silent > 0 { format!(": {}", text::harmless(&outcome.to_string())) } else { String::new() };
    let bad = silent > 0 || of(Verdict::Failed) > 0;
    let counts = screen.painted(if bad { Color::Red } else { Color::Green }, &counts, "");
    format!("shard {}: {counts}{took} ({task}){why}", batch.lane + 1)
}
