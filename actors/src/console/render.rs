//! From a reply to text: as wide as the terminal, with colours or without, in ASCII or not. Knows no terminal.

mod columns;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::console::fault::Fault;
use crate::console::reply::{Cell, Kind, Reply, Shape};
use columns::Layout;

/// Blanks in front of a line that was typed and is shown again.
const INDENT: usize = 2;

/// On what it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canvas {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether it shows colours.
    pub color: bool,
    /// Whether it shows nothing but ASCII.
    pub ascii: bool,
}

/// Without a terminal: wide, plain.
impl Default for Canvas {
    fn default() -> Self {
        Self { width: 200, color: false, ascii: false }
    }
}

/// A line in pieces, each in its tone.
pub type Strip = Vec<(String, Tone)>;

/// A table in pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sheet {
    /// The heads of the columns.
    pub head: Strip,
    /// The rows, in the order of the reply.
    pub rows: Vec<Strip>,
    /// The names of the columns for which there is no room.
    pub hidden: Vec<String>,
}

/// What a word says of how things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// All is well.
    Good,
    /// Look at it.
    Warn,
    /// Something is wrong.
    Bad,
    /// Beside the point.
    Dim,
    /// A head.
    Strong,
}

impl Tone {
    /// What the word for a state says.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "up" | "running" | "succeeded" | "closed" | "runs-next" | "run" => Self::Good,
            "suspect" | "backing-off" | "restarting" | "starting" | "half-open" | "warning" | "late"
            | "halted" | "draining" | "cordoned" | "stopping" | "not-now" | "parked" | "silent" => Self::Warn,
            "lost" | "failed" | "open" | "error" | "stuck" | "never-fits" | "ended" => Self::Bad,
            "cancelled" | "skipped" | "waiting" | "idle" => Self::Dim,
            _ => Self::Plain,
        }
    }

    /// The numbers with which a terminal is told.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31;1"),
            Self::Dim => Some("2"),
            Self::Strong => Some("1"),
        }
    }
}

impl Canvas {
    /// The text in a tone, where there are colours.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        match tone.code() {
            Some(code) if self.color && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }

    /// What is wrong with a line, as text without a line feed at its end.
    #[must_use]
    pub fn fault(&self, fault: &Fault, line: &str) -> String {
        let shown = fault.shown(line);
        let within = |text: &str| {
            let indent: String = text.chars().take_while(|c| *c == ' ').collect();
            let room = self.width.saturating_sub(indent.len()).max(20);
            let lines = wrapped(text.trim_start(), room);
            lines.iter().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
        };
        let mut lines: Vec<String> = shown.lines().map(ToOwned::to_owned).collect();
        if let [typed, marks, ..] = &mut lines[..] {
            windowed(typed, marks, self.width);
        }
        let text = lines.iter().map(|line| within(line)).collect::<Vec<_>>().join("\n");
        text.replacen("error:", &self.paint(Tone::Bad, "error:"), 1)
    }

    /// The reply as text; every line ends with a line feed.
    #[must_use]
    pub fn render(&self, reply: &Reply) -> String {
        let is_empty = reply.rows.is_empty() && reply.shape != Shape::Lines;
        let mut text = match reply.shape {
            _ if is_empty => self.paint(Tone::Dim, &format!("no {}", plural(&reply.what))) + "\n",
            Shape::Table | Shape::Tree => self.table(reply),
            Shape::Card => self.card(reply),
            Shape::Lines => self.lines(reply),
        };
        for note in &reply.notes {
            for line in wrapped(note, self.width) {
                text.push_str(&self.paint(Tone::Dim, &line));
                text.push('\n');
            }
        }
        if self.ascii { to_ascii(&text) } else { text }
    }

    /// A table in pieces, for who draws by himself: heads, rows, and the columns for which there is no room.
    #[must_use]
    pub fn sheet(&self, reply: &Reply) -> Sheet {
        let prefixes = match reply.shape {
            Shape::Tree => branches(&levels(reply)),
            _ => vec![String::new(); reply.rows.len()],
        };
        let layout = Layout::of(reply, &prefixes, self.width);
        let heads = layout.shown.iter().map(|at| (reply.columns[*at].name.to_uppercase(), Tone::Strong));
        let head = self.strip(&layout, heads);
        let row = |(texts, row): (&Vec<String>, &Vec<Cell>)| {
            let cells = layout.shown.iter().map(|at| {
                let tone = match (&row[*at], reply.columns[*at].kind) {
                    (Cell::Text(word), Kind::State) => Tone::of(word),
                    _ => Tone::Plain,
                };
                (texts[*at].clone(), tone)
            });
            self.strip(&layout, cells)
        };
        let rows = layout.texts.iter().zip(&reply.rows).map(row).collect();
        Sheet { head, rows, hidden: layout.hidden }
    }

    fn table(&self, reply: &Reply) -> String {
        let sheet = self.sheet(reply);
        let mut text: String =
            std::iter::once(&sheet.head).chain(&sheet.rows).map(|strip| self.painted(strip)).collect();
        if !sheet.hidden.is_empty() {
            let hidden = format!("not shown: {} (select them, or widen)", sheet.hidden.join(", "));
            for line in wrapped(&hidden, self.width) {
                text.push_str(&self.paint(Tone::Dim, &line));
                text.push('\n');
            }
        }
        text
    }

    fn strip(&self, layout: &Layout, cells: impl Iterator<Item = (String, Tone)>) -> Strip {
        let mut strip = Strip::new();
        let last = layout.shown.len().saturating_sub(1);
        for (place, (text, tone)) in cells.enumerate() {
            let text = cut(&text, layout.widths[place]);
            let room = " ".repeat(layout.widths[place].saturating_sub(text.width()));
            let text = if self.ascii { to_ascii(&text) } else { text };
            if layout.right[place] {
                strip.extend([(room, Tone::Plain), (text, tone)]);
            } else {
                strip.extend([(text, tone), (room, Tone::Plain)]);
            }
            if place < last {
                strip.push(("  ".to_owned(), Tone::Plain));
            }
        }
        while strip.last().is_some_and(|(text, _)| text.trim().is_empty()) {
            strip.pop();
        }
        strip
    }

    fn painted(&self, strip: &Strip) -> String {
        let line: String = strip.iter().map(|(text, tone)| self.paint(*tone, text)).collect();
        format!("{}\n", line.trim_end())
    }

    fn card(&self, reply: &Reply) -> String {
        let widest = reply.columns.iter().map(|column| column.name.width()).max().unwrap_or(0);
        let mut cards = Vec::new();
        for row in &reply.rows {
            let filled = reply.columns.iter().zip(row).filter(|(_, cell)| **cell != Cell::Nothing);
            let card: String = filled
                .map(|(column, cell)| {
                    let tone =
                        if column.kind == Kind::State { Tone::of(&column.text(cell)) } else { Tone::Plain };
                    self.pair(&column.name, &column.text(cell), (widest, tone))
                })
                .collect();
            cards.push(card);
        }
        cards.join("\n")
    }

    fn lines(&self, reply: &Reply) -> String {
        let texts = |row: &Vec<Cell>| {
            let text = |at: usize| row.get(at).map(|cell| reply.columns[at].text(cell)).unwrap_or_default();
            (text(0), text(1))
        };
        let pairs: Vec<_> = reply.rows.iter().map(texts).collect();
        let fitting = pairs.iter().map(|(about, _)| about.width()).filter(|width| *width <= self.width / 3);
        let widest = fitting.max().unwrap_or(0);
        pairs.iter().map(|(about, text)| self.pair(about, text, (widest, Tone::Plain))).collect()
    }

    fn pair(&self, about: &str, text: &str, (widest, tone): (usize, Tone)) -> String {
        let room = self.width.saturating_sub(widest + 2).max(20);
        let mut pair = String::new();
        // What is too long to stand beside something stands above it.
        let (above, about) = if about.width() > widest { (about, "") } else { ("", about) };
        if !above.is_empty() {
            for line in wrapped(above, self.width) {
                pair.push_str(&format!("{}\n", self.paint(Tone::Dim, &line)));
            }
        }
        let lines = wrapped(text, room);
        for (place, line) in lines.iter().enumerate() {
            let about = if place == 0 { about } else { "" };
            let space = " ".repeat((widest + 2).saturating_sub(about.width()));
            let line = format!("{}{space}{}", self.paint(Tone::Dim, about), self.paint(tone, line));
            pair.push_str(&format!("{}\n", line.trim_end()));
        }
        pair
    }
}

/// Of a line that is too long that part which is marked, so that the marks stand below what they are about.
fn windowed(typed: &mut String, marks: &mut String, width: usize) {
    let is_marked = !marks.is_empty() && marks.chars().all(|c| c == ' ' || c == '^');
    if typed.width() <= width || !is_marked {
        return;
    }
    let room = width.saturating_sub(INDENT + 2).max(1);
    let from = marks.chars().count().saturating_sub(room + INDENT);
    let part: String = typed.chars().skip(INDENT + from).take(room).collect();
    let more = |is_more: bool| if is_more { "…" } else { "" };
    let behind = typed.chars().count() > INDENT + from + room;
    let marked: String = marks.chars().skip(INDENT + from).collect();
    let indent = " ".repeat(INDENT);
    *marks = format!("{indent}{}{marked}", if from > 0 { " " } else { "" });
    *typed = format!("{indent}{}{part}{}", more(from > 0), more(behind));
}

/// `tasks`, `breakers`; what is many already stays.
fn plural(what: &str) -> String {
    if what.ends_with('s') { what.to_owned() } else { format!("{what}s") }
}

/// At most so many columns of a text; a mark says that there was more.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        cut.push(c);
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// A text in lines of at most so many columns, broken between words where that is possible.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        while line.width() > width.max(1) {
            let head: String = line.chars().take(width.max(1)).collect();
            line = line.chars().skip(width.max(1)).collect();
            lines.push(head);
        }
    }
    lines.push(line);
    lines
}

fn levels(reply: &Reply) -> Vec<u64> {
    let at = reply.column("level");
    let level = |row: &Vec<Cell>| match at.and_then(|at| row.get(at)) {
        Some(Cell::Number(level)) => *level,
        _ => 0,
    };
    reply.rows.iter().map(level).collect()
}

/// What is drawn in front of each row of a tree: the branches that lead to it.
fn branches(levels: &[u64]) -> Vec<String> {
    let goes_on = |row: usize, level: u64| {
        levels[row + 1..].iter().find(|later| **later <= level).is_some_and(|later| *later == level)
    };
    let branch = |row: usize| {
        let level = levels[row];
        let mut branch: String =
            (1..level).map(|above| if goes_on(row, above) { "│  " } else { "   " }).collect();
        if level > 0 {
            branch.push_str(if goes_on(row, level) { "├─ " } else { "└─ " });
        }
        branch
    };
    (0..levels.len()).map(branch).collect()
}

/// The same with nothing but ASCII.
fn to_ascii(text: &str) -> String {
    let ascii = |c: char| match c {
        '│' | '├' => '|',
        '└' => '`',
        '─' => '-',
        '…' => '~',
        '●' => '*',
        c if c.is_ascii() => c,
        _ => '?',
    };
    text.chars().map(ascii).collect()
}

#[cfg(test)]
mod tests;
