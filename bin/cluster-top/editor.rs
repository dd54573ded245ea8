//! The line editor: history, completion, keys. Knows reedline, and nobody else does.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use actors::console::complete::{self, Words};
use reedline::{
    ColumnarMenu, Completer, CompletionResult, DefaultHinter, EditCommand, Emacs, FileBackedHistory, KeyCode,
    KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent,
    ReedlineMenu, Signal, Span, Suggestion, default_emacs_keybindings,
};

/// Lines of history that are kept.
const HISTORY_LINES: usize = 5000;
/// The name of its file in the data directory.
const HISTORY_NAME: &str = "cluster-top.history";
const MENU: &str = "completion";

/// The names that are known, shared with whoever learns new ones.
pub(crate) type SharedWords = Arc<Mutex<Words>>;

/// What somebody typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Line(String),
    /// Ctrl-C: nothing.
    Nothing,
    /// Ctrl-D, or no terminal any more.
    End,
}

/// A prompt and what is typed behind it.
pub(crate) struct Editor {
    line: Reedline,
}

impl Editor {
    pub(crate) fn new(directory: Option<&Path>, words: &SharedWords, color: bool) -> Self {
        let mut keys = default_emacs_keybindings();
        let tab = ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu(MENU.to_owned()),
            ReedlineEvent::MenuNext,
            ReedlineEvent::Edit(vec![EditCommand::Complete]),
        ]);
        keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, tab);
        keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
        keys.add_binding(
            KeyModifiers::NONE,
            KeyCode::F(2),
            ReedlineEvent::ExecuteHostCommand("tui".to_owned()),
        );
        let menu =
            ColumnarMenu::default().with_name(MENU).with_marker("> ").with_columns(4).with_column_padding(2);
        let mut line = Reedline::create()
            .with_completer(Box::new(Names(Arc::clone(words))))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_partial_completions(true)
            .with_quick_completions(true)
            .with_ansi_colors(color);
        if color {
            line = line.with_hinter(Box::new(DefaultHinter::default()));
        }
        let file = directory.map(|directory| directory.join(HISTORY_NAME));
        // Without a place for it there is a history all the same, of this session.
        if let Some(history) = file.and_then(|file| FileBackedHistory::with_file(HISTORY_LINES, file).ok()) {
            line = line.with_history(Box::new(history));
        }
        Self { line }
    }

    /// Waits until a line is typed.
    pub(crate) fn read(&mut self, prompt: &Line) -> Typed {
        match self.line.read_line(prompt) {
            Ok(Signal::Success(line) | Signal::HostCommand(line)) => Typed::Line(line),
            Ok(Signal::CtrlD) | Err(_) => Typed::End,
            Ok(_) => Typed::Nothing,
        }
    }
}

/// What stands before the line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// A line above it; nothing where it is empty.
    pub(crate) above: String,
    pub(crate) mark: String,
    /// Whether it is of the past.
    pub(crate) is_past: bool,
}

impl Prompt for Line {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        if self.above.is_empty() { Cow::Borrowed("") } else { Cow::Owned(format!("{}\n", self.above)) }
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed(&self.mark)
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("  ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(history: {}) ", search.term))
    }

    fn get_prompt_color(&self) -> reedline::Color {
        reedline::Color::Default
    }

    fn get_indicator_color(&self) -> reedline::Color {
        if self.is_past { reedline::Color::Yellow } else { reedline::Color::Cyan }
    }
}

struct Names(SharedWords);

impl Completer for Names {
    fn complete(&mut self, line: &str, position: usize) -> CompletionResult {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let suggestion = |one: complete::Candidate| Suggestion {
            value: one.text,
            description: Some(one.about).filter(|about| !about.is_empty()),
            span: Span::new(one.span.start, one.span.end),
            append_whitespace: one.is_whole,
            // Letters, where graphemes are counted: the same in all names but those with marks above their letters.
            match_indices: Some(one.matched).filter(|matched| !matched.is_empty()),
            ..Suggestion::default()
        };
        let all: Vec<_> = complete::complete(line, position, &words).into_iter().map(suggestion).collect();
        CompletionResult::fresh(all)
    }
}
