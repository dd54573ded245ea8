//! What is shown and what keys do, without a terminal.

use actors::console::Header;
use actors::console::fault::Fault;
use actors::console::render::Canvas;
use actors::console::reply::{Cell, Column, Reply, Shape};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::filter;
use super::mouse::Places;

/// The tables: the key, the name, the line that is asked.
pub(crate) const TABS: [(char, &str, &str); 8] = [
    ('1', "tree", "tree window=0"),
    ('2', "actors", "ps window=0"),
    ('3', "tasks", "tasks order=state"),
    ('4', "queue", "queue"),
    ('5', "graphs", "graphs"),
    ('6', "nodes", "nodes"),
    ('7', "events", "events last=200 | sort -event"),
    ('8', "lints", "lints"),
];

/// Events that a leap goes.
const LEAP: i64 = 50;
/// Rows that a page has.
const PAGE: usize = 10;

/// What a key leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    /// Something else is shown.
    Shown,
    /// Something else is to be asked.
    Ask,
    /// Another moment is to be shown.
    Time(Move),
    /// This line is to be answered beside the table.
    Detail(String),
    Leave,
}

/// To which moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// So many events on, or back.
    Step(i64),
    /// As they came, ten times as fast; or no more.
    Play,
    /// Back to what is.
    Live,
}

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Typing {
    #[default]
    Nothing,
    Filter,
    Line,
}

/// All that is shown.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) tab: usize,
    pub(crate) header: Option<Header>,
    reply: Reply,
    /// What is wrong, where no answer came.
    pub(crate) trouble: Option<String>,
    pub(crate) filter: String,
    pub(crate) line: String,
    pub(crate) typing: Typing,
    /// The column by which it is sorted, and whether the largest comes first.
    pub(crate) sort: Option<(usize, bool)>,
    pub(crate) selected: usize,
    /// The first row on the screen.
    pub(crate) top: usize,
    pub(crate) frozen: bool,
    pub(crate) help: bool,
    /// The line that was asked, and the answer.
    pub(crate) detail: Option<(String, Result<Vec<Reply>, String>)>,
    /// Lines of the details that are above the screen.
    pub(crate) scroll: u16,
    /// Whether events are played.
    pub(crate) playing: bool,
    /// Where things were drawn last.
    pub(super) places: Places,
    pub(crate) color: bool,
    pub(crate) ascii: bool,
}

impl View {
    pub(crate) fn new(color: bool, ascii: bool) -> Self {
        Self {
            tab: 0,
            header: None,
            reply: Reply::default(),
            trouble: None,
            filter: String::new(),
            line: String::new(),
            typing: Typing::Nothing,
            sort: None,
            selected: 0,
            top: 0,
            frozen: false,
            help: false,
            detail: None,
            scroll: 0,
            playing: false,
            places: Places::default(),
            color,
            ascii,
        }
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Which table is shown, and the line that asks for it.
    pub(crate) fn question(&self) -> (usize, String) {
        (self.tab, TABS[self.tab].2.to_owned())
    }

    pub(crate) fn canvas(&self, width: usize) -> Canvas {
        Canvas { width, color: false, ascii: self.ascii }
    }

    /// The rows that are wanted, in the order that is wanted.
    pub(crate) fn shown(&self) -> Reply {
        let mut reply = self.reply.clone();
        let wanted = self.filter.trim();
        if !wanted.is_empty() {
            filter::keep(&mut reply, wanted);
        }
        if let Some((at, falling)) = self.sort.filter(|(at, _)| *at < reply.columns.len()) {
            reply.rows.sort_by(|one, other| {
                let order = one[at].cmp(&other[at]);
                if falling { order.reverse() } else { order }
            });
        }
        if reply.shape == Shape::Tree && (self.sort.is_some() || !wanted.is_empty()) {
            reply.shape = Shape::Table;
        }
        reply
    }

    pub(crate) fn set_header(&mut self, header: Result<Box<Header>, Fault>) -> bool {
        let (header, trouble) = match header {
            Ok(header) => (Some(*header), None),
            Err(fault) => (None, Some(fault.message)),
        };
        let changed = header != self.header || trouble != self.trouble;
        (self.header, self.trouble) = (header, trouble);
        changed
    }

    pub(crate) fn set_table(&mut self, tab: usize, table: Result<Box<Reply>, Fault>) -> bool {
        if tab != self.tab {
            return false;
        }
        match table {
            Ok(reply) if *reply == self.reply => false,
            Ok(reply) => {
                self.reply = *reply;
                self.selected = self.selected.min(self.shown().rows.len().saturating_sub(1));
                true
            }
            Err(fault) => {
                let trouble = Some(fault.message);
                let changed = trouble != self.trouble;
                self.trouble = trouble;
                changed
            }
        }
    }

    pub(crate) fn set_detail(&mut self, line: &str, replies: Result<Vec<Reply>, Fault>) -> bool {
        self.scroll = 0;
        self.detail = Some((line.to_owned(), replies.map_err(|fault| fault.shown(line))));
        true
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Effect {
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Effect::Leave;
        }
        match self.typing {
            Typing::Nothing => self.browse(key.code),
            Typing::Filter => self.type_filter(key.code),
            Typing::Line => self.type_line(key.code),
        }
    }

    fn browse(&mut self, code: KeyCode) -> Effect {
        if self.help {
            self.help = false;
            return Effect::Shown;
        }
        let rows = self.shown().rows.len();
        match code {
            KeyCode::Char('q') => return Effect::Leave,
            KeyCode::Char('?') | KeyCode::F(1) => self.help = true,
            KeyCode::Char('/') => self.typing = Typing::Filter,
            KeyCode::Char(':') => (self.typing, self.line) = (Typing::Line, String::new()),
            KeyCode::Char('p') => self.frozen = !self.frozen,
            KeyCode::Char('s') => self.sort_next(),
            KeyCode::Char('S') => self.sort = self.sort.map(|(at, falling)| (at, !falling)),
            KeyCode::Char('J') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Char('K') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Char('[') => return Effect::Time(Move::Step(-1)),
            KeyCode::Char(']') => return Effect::Time(Move::Step(1)),
            KeyCode::Char('{') => return Effect::Time(Move::Step(-LEAP)),
            KeyCode::Char('}') => return Effect::Time(Move::Step(LEAP)),
            KeyCode::Char('P') => return Effect::Time(Move::Play),
            KeyCode::Char('=') => return Effect::Time(Move::Live),
            KeyCode::Char('w') => return self.about("why"),
            KeyCode::Char('i') => return self.about("state"),
            KeyCode::Char(digit) if TABS.iter().any(|(key, ..)| *key == digit) => {
                let tab = TABS.iter().position(|(key, ..)| *key == digit).unwrap_or(0);
                return self.turn(tab);
            }
            KeyCode::Tab => return self.turn((self.tab + 1) % TABS.len()),
            KeyCode::BackTab => return self.turn((self.tab + TABS.len() - 1) % TABS.len()),
            KeyCode::Down | KeyCode::Char('j') => {
                self.selected = (self.selected + 1).min(rows.saturating_sub(1))
            }
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected = (self.selected + PAGE).min(rows.saturating_sub(1)),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(PAGE),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = rows.saturating_sub(1),
            KeyCode::Enter => return self.open(),
            KeyCode::Esc if self.detail.is_some() => self.detail = None,
            KeyCode::Esc => self.filter.clear(),
            _ => return Effect::Nothing,
        }
        Effect::Shown
    }

    pub(crate) fn turn(&mut self, tab: usize) -> Effect {
        if tab == self.tab {
            return Effect::Nothing;
        }
        self.tab = tab;
        (self.reply, self.sort, self.selected, self.top) = (Reply::default(), None, 0, 0);
        Effect::Ask
    }

    /// By the next column, amounts from the largest on; behind the last one as it came.
    fn sort_next(&mut self) {
        let next = self.sort.map_or(0, |(at, _)| at + 1);
        self.sort = self.reply.columns.get(next).map(|column| (next, column.is_amount()));
    }

    /// By this column; the other way round where it is that already.
    pub(crate) fn sort_by(&mut self, column: usize) {
        let falling = match self.sort {
            Some((at, falling)) if at == column => !falling,
            _ => self.reply.columns.get(column).is_some_and(Column::is_amount),
        };
        self.sort = Some((column, falling));
    }

    fn type_filter(&mut self, code: KeyCode) -> Effect {
        match code {
            KeyCode::Char(c) => self.filter.push(c),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Enter => self.typing = Typing::Nothing,
            KeyCode::Esc => {
                self.filter.clear();
                self.typing = Typing::Nothing;
            }
            _ => return Effect::Nothing,
        }
        (self.selected, self.top) = (0, 0);
        Effect::Shown
    }

    fn type_line(&mut self, code: KeyCode) -> Effect {
        match code {
            KeyCode::Char(c) => self.line.push(c),
            KeyCode::Backspace => drop(self.line.pop()),
            KeyCode::Esc => self.typing = Typing::Nothing,
            KeyCode::Enter => {
                self.typing = Typing::Nothing;
                let line = std::mem::take(&mut self.line);
                return if line.trim().is_empty() { Effect::Shown } else { Effect::Detail(line) };
            }
            _ => return Effect::Nothing,
        }
        Effect::Shown
    }

    /// What the selected row is called.
    fn name(&self) -> Option<String> {
        let reply = self.shown();
        let row = reply.rows.get(self.selected)?;
        let at = match reply.what.as_str() {
            "lint" => reply.column("about")?,
            "event" => return None,
            _ => 0,
        };
        match row.get(at)? {
            Cell::Text(text) => Some(text.clone()),
            Cell::Nothing | Cell::Number(_) => None,
        }
    }

    /// The number of the selected row, where rows have one.
    fn number(&self) -> Option<u64> {
        match self.shown().rows.get(self.selected)?.first()? {
            Cell::Number(number) => Some(*number),
            Cell::Text(_) | Cell::Nothing => None,
        }
    }

    pub(crate) fn open(&mut self) -> Effect {
        let what = self.reply.what.clone();
        match (what.as_str(), self.name()) {
            // A lint is words to be read: all of them, and not what fits into a row.
            ("lint", Some(about)) => Effect::Detail(format!("lints | where about = \"{about}\"")),
            ("event", _) => {
                self.number().map_or(Effect::Nothing, |event| Effect::Detail(format!("why e{event}")))
            }
            (what, _) => self.about(what),
        }
    }

    fn about(&mut self, verb: &str) -> Effect {
        let fits = match verb {
            "why" => self.reply.what == "task",
            "state" => self.reply.what == "actor",
            verb => actors::console::verb::find(verb).is_some(),
        };
        match self.name().filter(|_| fits) {
            Some(name) => Effect::Detail(format!("{verb} \"{name}\"")),
            None => Effect::Nothing,
        }
    }
}
