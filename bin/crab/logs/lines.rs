//! Output line by line: those that match, the last so many.

use std::collections::VecDeque;

use actors::say;
use actors::wire::fleet::{OutputPart, OutputPiece};
use policy::id::{AttemptNumber, TaskId};
use policy::output::lines::{Line, Lines};
use regex::Regex;

use super::omitted;
use crate::cli::args::seeing::Logs;
use crate::cli::json;
use crate::cli::screen::Screen;
use crate::cli::text::Tamer;

/// Bytes of lines that wait to be among the last, 16 MiB: a hundred thousand lines as people write them.
const WAITING_LIMIT_BYTES: usize = 16 << 20;

/// Shows lines.
#[derive(Debug)]
pub(super) struct LinePrinter {
    task: TaskId,
    pattern: Option<Regex>,
    last: Option<Last>,
    lines: Lines,
    tame: bool,
    /// Bytes left out since the last line, because a limit was reached.
    omitted: u64,
}

/// The last lines so far.
#[derive(Debug)]
struct Last {
    limit: usize,
    bytes: usize,
    lines: VecDeque<(u64, Line)>,
}

impl LinePrinter {
    pub(super) fn new(task: TaskId, args: &Logs, tame: bool) -> Self {
        let last = args.lines.map(|limit| Last { limit: limit as usize, bytes: 0, lines: VecDeque::new() });
        Self { task, pattern: args.grep.clone(), last, lines: Lines::default(), tame, omitted: 0 }
    }

    pub(super) fn piece(
        &mut self,
        screen: &mut Screen,
        attempt: AttemptNumber,
        piece: &OutputPiece,
    ) -> anyhow::Result<()> {
        let mut ended = Vec::new();
        for part in &piece.parts {
            if part.omitted > 0 {
                self.lines.gap(part.stream, |line| ended.push(line));
                ended.drain(..).try_for_each(|line| self.line(screen, attempt, line))?;
                self.omitted += part.omitted;
            }
            self.lines.push(part.stream, part.at, &part.bytes, |line| ended.push(line));
            ended.drain(..).try_for_each(|line| self.line(screen, attempt, line))?;
        }
        Ok(())
    }

    /// Shows the last lines so far; those that follow are shown as they come.
    pub(super) fn caught_up(&mut self, screen: &mut Screen, attempt: AttemptNumber) -> anyhow::Result<()> {
        let last = self.last.take().map(|last| last.lines).unwrap_or_default();
        last.into_iter().try_for_each(|(omitted, line)| self.show(screen, attempt, (omitted, line)))
    }

    /// Nothing follows of this attempt.
    pub(super) fn finish(&mut self, screen: &mut Screen, attempt: AttemptNumber) -> anyhow::Result<()> {
        let ended: Vec<Line> = self.lines.finish().collect();
        ended.into_iter().try_for_each(|line| self.line(screen, attempt, line))?;
        self.caught_up(screen, attempt)?;
        omitted(screen, if screen.json { 0 } else { std::mem::take(&mut self.omitted) })
    }

    fn line(&mut self, screen: &mut Screen, attempt: AttemptNumber, line: Line) -> anyhow::Result<()> {
        if !self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&say::output::text(&line))) {
            return Ok(());
        }
        let line = (std::mem::take(&mut self.omitted), line);
        match &mut self.last {
            None => self.show(screen, attempt, line),
            Some(last) => {
                last.put(line);
                Ok(())
            }
        }
    }

    fn show(
        &self,
        screen: &mut Screen,
        attempt: AttemptNumber,
        (omitted_bytes, line): (u64, Line),
    ) -> anyhow::Result<()> {
        let Line { stream, at, mut bytes, cut } = line;
        if cut > 0 {
            bytes.extend_from_slice(format!(" [crab: {cut} bytes more]").as_bytes());
        }
        bytes.push(b'\n');
        if screen.json {
            let part = OutputPart { stream, at, bytes, omitted: omitted_bytes };
            return screen.object(&json::Output::of(self.task, attempt, &part));
        }
        omitted(screen, omitted_bytes)?;
        let tamed = self.tame.then(|| Tamer::default().tame(&bytes));
        Ok(screen.bytes(tamed.as_ref().unwrap_or(&bytes))?)
    }
}

impl Last {
    fn put(&mut self, line: (u64, Line)) {
        self.bytes += line.1.bytes.len();
        self.lines.push_back(line);
        while (self.lines.len() > self.limit || self.bytes > WAITING_LIMIT_BYTES)
            && let Some((_, oldest)) = self.lines.pop_front()
        {
            self.bytes -= oldest.bytes.len();
        }
    }
}
