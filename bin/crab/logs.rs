//! `crab logs`.

use std::time::Duration;

use actors::client::{Client, ClientError, Follow};
use actors::wire::client::{EventFilter, TaskDetail};
use actors::wire::fleet::{OutputFrom, OutputPart, OutputPiece, OutputRefusal, Stream};
use policy::id::{AttemptNumber, TaskId};

use crate::cli::args::Logs;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::text::{Tamer, rfc3339};
use crate::cli::{json, target};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Logs) -> anyhow::Result<Exit> {
    let task = target::find_task(client, &args.task).await?;
    let mut printer = Printer::new(task, &args, screen);
    let mut attempt = args.attempt.map(AttemptNumber);
    let mut printed = None;
    loop {
        let detail = client.task(task).await?;
        let wanted = attempt.or_else(|| next_attempt(&detail, printed));
        if let Some(number) = wanted {
            print(client, screen, &mut printer, (number, &args)).await?;
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
    printer: &mut Printer,
    (number, args): (AttemptNumber, &Logs),
) -> anyhow::Result<()> {
    let mut follow = client.output(printer.task, number);
    if let Some(tail) = args.tail {
        follow = follow.from(OutputFrom::Tail(tail));
    }
    loop {
        let piece = match next(&mut follow, args.follow).await {
            // Granted and not started, or never started: there is nothing to show.
            Err(ClientError::NoOutput(OutputRefusal::Gone)) if args.follow => return Ok(()),
            piece => piece?,
        };
        match piece {
            None => return Ok(()),
            Some(piece) => printer.piece(screen, number, &piece)?,
        }
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

/// Writes pieces of output as the user wants them.
#[derive(Debug)]
pub(crate) struct Printer {
    task: TaskId,
    only: Option<Stream>,
    tamers: Option<[Tamer; 2]>,
    /// Whether both streams go to standard output, in their order.
    together: bool,
}

impl Printer {
    fn new(task: TaskId, args: &Logs, screen: &Screen) -> Self {
        let only = match (args.stdout, args.stderr) {
            (true, _) => Some(Stream::Stdout),
            (_, true) => Some(Stream::Stderr),
            _ => None,
        };
        let tamers = (screen.terminal && !args.raw && !screen.json).then(Default::default);
        Self { task, only, tamers, together: true }
    }

    /// For the output of a command that is run: each stream goes where it belongs.
    pub(crate) fn passing(task: TaskId) -> Self {
        Self { task, only: None, tamers: None, together: false }
    }

    pub(crate) fn piece(
        &mut self,
        screen: &mut Screen,
        attempt: AttemptNumber,
        piece: &OutputPiece,
    ) -> anyhow::Result<()> {
        let only = self.only;
        for part in piece.parts.iter().filter(|part| only.is_none_or(|only| only == part.stream)) {
            if screen.json {
                screen.object(&view(self.task, attempt, part))?;
            } else {
                self.part(screen, part)?;
            }
        }
        Ok(())
    }

    fn part(&mut self, screen: &mut Screen, part: &OutputPart) -> anyhow::Result<()> {
        if part.omitted > 0 {
            let mark = format!("\n[crab: {} bytes left out here, the limit was reached]\n", part.omitted);
            screen.bytes(mark.as_bytes())?;
        }
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

fn view(task: TaskId, attempt: AttemptNumber, part: &OutputPart) -> json::Output<'_> {
    json::Output {
        v: json::VERSION,
        task: task.to_string(),
        attempt: attempt.0,
        at: rfc3339(part.at),
        stream: match part.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        },
        text: String::from_utf8_lossy(&part.bytes),
        omitted_bytes: part.omitted,
    }
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
