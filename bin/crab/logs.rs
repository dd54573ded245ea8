//! `crab logs`.

mod lines;

use std::time::Duration;

use actors::client::{Client, ClientError, Follow};
use actors::clock::Clock;
use actors::say::{self, output::Digesting};
use actors::wire::client::{EventFilter, TaskDetail};
use actors::wire::fleet::{OutputFrom, OutputPart, OutputPiece, OutputRefusal};
use policy::id::{AttemptNumber, TaskId};
use policy::output::Stream;
use policy::time::Timestamp;

use self::lines::LinePrinter;
use crate::cli::args::seeing::Logs;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::text::Tamer;
use crate::cli::{json, target};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Logs) -> anyhow::Result<Exit> {
    let task = target::find_task(client, &args.task).await?;
    let mut reader = Reader::new(task, &args, screen);
    let mut attempt = args.attempt.map(AttemptNumber);
    let mut printed = None;
    loop {
        let detail = client.task(task).await?;
        let wanted = attempt.or_else(|| next_attempt(&detail, printed));
        if let Some(number) = wanted {
            print(client, screen, &mut reader, (number, &args)).await?;
            printed = Some(number);
        }
        let over = detail.row.state.has_ended() && next_attempt(&detail, printed).is_none();
        if !args.follow || attempt.take().is_some() || over {
            if printed.is_none() {
                screen.note(format_args!("{task} has not started yet; follow it with `crab logs -f {task}`"));
            }
            return Ok(Exit::SUCCESS);
        }
        changed(client, task, &detail).await?;
    }
}

/// The last attempt, if it is not the one that was printed.
fn next_attempt(detail: &TaskDetail, printed: Option<AttemptNumber>) -> Option<AttemptNumber> {
    detail
        .attempts
        .last()
        .map(|attempt| attempt.number)
        .filter(|&number| printed.is_none_or(|last| number > last))
}

async fn print(
    client: &Client,
    screen: &mut Screen,
    reader: &mut Reader,
    (number, args): (AttemptNumber, &Logs),
) -> anyhow::Result<()> {
    let mut follow = client.output(reader.task, number);
    if let Some(tail) = args.tail {
        follow = follow.from(OutputFrom::Tail(tail));
    }
    if args.follow && args.lines.is_some() {
        pass(screen, reader, &mut follow, (number, false)).await.or_else(nothing_yet)?;
        reader.caught_up(screen, number)?;
    }
    let passed = pass(screen, reader, &mut follow, (number, args.follow)).await;
    // Granted and not started, or never started: there is nothing to show.
    if args.follow {
        passed.or_else(nothing_yet)?
    } else {
        passed?
    }
    reader.finish(screen, number)
}

/// Hands on what comes; waits for the end of the attempt, or takes what is there.
async fn pass(
    screen: &mut Screen,
    reader: &mut Reader,
    follow: &mut Follow,
    (number, wait): (AttemptNumber, bool),
) -> anyhow::Result<()> {
    while let Some(piece) = next(follow, wait).await? {
        reader.piece(screen, number, piece)?;
    }
    Ok(())
}

fn nothing_yet(error: anyhow::Error) -> anyhow::Result<()> {
    match error.downcast_ref() {
        Some(ClientError::NoOutput(OutputRefusal::Gone)) => Ok(()),
        _ => Err(error),
    }
}

async fn next(follow: &mut Follow, wait: bool) -> Result<Option<OutputPiece>, ClientError> {
    if wait { follow.next().await } else { follow.next_past().await }
}

/// Waits until something has happened to the task since `detail`.
async fn changed(client: &Client, task: TaskId, detail: &TaskDetail) -> anyhow::Result<()> {
    let known = detail.events.last().map_or(0, |(_, record)| record.number);
    client.events(known, EventFilter::Task(task)).next().await?;
    Ok(())
}

/// Picks of what was written what the user wants, and shows it as they want it.
struct Reader {
    task: TaskId,
    only: Option<Stream>,
    since: Option<Timestamp>,
    shape: Shape,
}

/// How output is shown.
enum Shape {
    Whole(Printer),
    Lines(LinePrinter),
    Digest { limit: usize, digesting: Box<Digesting> },
}

impl Reader {
    fn new(task: TaskId, args: &Logs, screen: &Screen) -> Self {
        let only = match (args.stdout, args.stderr) {
            (true, _) => Some(Stream::Stdout),
            (_, true) => Some(Stream::Stderr),
            _ => None,
        };
        let tame = screen.terminal && !args.raw && !screen.json;
        let shape = match args.digest {
            Some(limit) => Shape::Digest { limit, digesting: Box::new(Digesting::new(limit)) },
            None if args.grep.is_some() || args.lines.is_some() => {
                Shape::Lines(LinePrinter::new(task, args, tame))
            }
            None => Shape::Whole(Printer::together(task, tame)),
        };
        Self { task, only, since: args.since.map(|since| Clock::system().wall() - since), shape }
    }

    fn piece(
        &mut self,
        screen: &mut Screen,
        attempt: AttemptNumber,
        mut piece: OutputPiece,
    ) -> anyhow::Result<()> {
        let wanted = |part: &OutputPart| {
            self.only.is_none_or(|only| only == part.stream)
                && self.since.is_none_or(|since| part.at >= since)
        };
        piece.parts.retain(wanted);
        match &mut self.shape {
            Shape::Whole(printer) => printer.piece(screen, attempt, &piece),
            Shape::Lines(printer) => printer.piece(screen, attempt, &piece),
            Shape::Digest { digesting, .. } => {
                piece.parts.iter().for_each(|part| digesting.push(part));
                Ok(())
            }
        }
    }

    /// What has been written is read; from now on it is shown as it comes.
    fn caught_up(&mut self, screen: &mut Screen, attempt: AttemptNumber) -> anyhow::Result<()> {
        if let Shape::Lines(printer) = &mut self.shape { printer.caught_up(screen, attempt) } else { Ok(()) }
    }

    /// All of an attempt's is read.
    fn finish(&mut self, screen: &mut Screen, attempt: AttemptNumber) -> anyhow::Result<()> {
        match &mut self.shape {
            Shape::Whole(_) => Ok(()),
            Shape::Lines(printer) => printer.finish(screen, attempt),
            Shape::Digest { limit, digesting } => {
                let digested = std::mem::replace(&mut **digesting, Digesting::new(*limit)).finish();
                if screen.json {
                    return screen.object(&json::Digest::of(self.task, attempt, digested));
                }
                Ok(screen.text(&say::output::digest(&digested))?)
            }
        }
    }
}

/// Writes pieces of output as they are.
#[derive(Debug)]
pub(crate) struct Printer {
    task: TaskId,
    tamers: Option<[Tamer; 2]>,
    /// Whether both streams go to standard output, in their order.
    together: bool,
}

impl Printer {
    fn together(task: TaskId, tame: bool) -> Self {
        Self { task, tamers: tame.then(Default::default), together: true }
    }

    /// For the output of a command that is run: each stream goes where it belongs.
    pub(crate) fn passing(task: TaskId) -> Self {
        Self { task, tamers: None, together: false }
    }

    pub(crate) fn piece(
        &mut self,
        screen: &mut Screen,
        attempt: AttemptNumber,
        piece: &OutputPiece,
    ) -> anyhow::Result<()> {
        for part in &piece.parts {
            if screen.json {
                screen.object(&json::Output::of(self.task, attempt, part))?;
            } else {
                self.part(screen, part)?;
            }
        }
        Ok(())
    }

    fn part(&mut self, screen: &mut Screen, part: &OutputPart) -> anyhow::Result<()> {
        omitted(screen, part.omitted)?;
        let tamed = match (&mut self.tamers, part.stream) {
            (None, _) => None,
            (Some([out, _]), Stream::Stdout) => Some(out.tame(&part.bytes)),
            (Some([_, err]), Stream::Stderr) => Some(err.tame(&part.bytes)),
        };
        let bytes = tamed.as_deref().unwrap_or(&part.bytes);
        match part.stream {
            Stream::Stderr if !self.together => screen.error_bytes(bytes)?,
            Stream::Stdout | Stream::Stderr => screen.bytes(bytes)?,
        }
        Ok(())
    }
}

/// Says that output is missing here.
fn omitted(screen: &mut Screen, bytes: u64) -> anyhow::Result<()> {
    if bytes > 0 {
        screen.text(&format!("\n[crab: {bytes} bytes left out here, the limit was reached]\n"))?;
    }
    Ok(())
}

/// The last lines of what a task wrote, for a summary; empty where there is nothing to be had.
pub(crate) async fn last_lines(client: &Client, task: TaskId, lines: usize) -> Vec<String> {
    let read = actors::wire::fleet::OutputRead {
        from: OutputFrom::Tail(TAIL_BYTES),
        max_bytes: TAIL_BYTES,
        wait: Duration::ZERO,
    };
    let Ok(piece) = client.output_piece(task, None, read).await else { return Vec::new() };
    let bytes: Vec<u8> = piece.parts.into_iter().flat_map(|part| part.bytes).collect();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| crate::cli::text::plain(line)).collect()
}

/// Enough for a dozen lines.
const TAIL_BYTES: u32 = 4096;
