//! Where everything is written, and how wide it is.

use std::io::{self, IsTerminal, Write};

use actors::console::fault::Fault;
use actors::console::render::Canvas;
use actors::console::reply::Reply;

use super::args::Cli;

/// Both outputs, and how the user wants them.
#[derive(Debug, Clone)]
pub(crate) struct Screen {
    pub(crate) json: bool,
    plain: bool,
    /// Whether it is a terminal that shows more than lines.
    pub(crate) terminal: bool,
    color: bool,
    ascii: bool,
    width: Option<usize>,
}

/// Columns where nobody says: wide enough that nothing is cut for a pipe.
const PIPE: usize = 200;

impl Screen {
    pub(crate) fn new(cli: &Cli) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let terminal = io::stdout().is_terminal();
        let capable = variable("TERM").is_none_or(|term| term != "dumb");
        let color = terminal && capable && !cli.no_color && variable("NO_COLOR").is_none();
        let language = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name));
        let speaks_c = language.is_some_and(|language| language == "C" || language == "POSIX");
        let ascii = cli.ascii || speaks_c;
        Self { json: cli.json, plain: cli.plain, terminal, color, ascii, width: cli.width }
    }

    /// On what replies are drawn.
    pub(crate) fn canvas(&self) -> Canvas {
        let of_terminal = || crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns));
        let width = self.width.or_else(|| of_terminal().filter(|_| self.terminal)).unwrap_or(PIPE);
        Canvas { width: width.max(20), color: self.color, ascii: self.ascii }
    }

    /// Writes the sections of an answer. `as_json` where the line says so.
    pub(crate) fn replies(&mut self, replies: &[Reply], as_json: bool) {
        for (place, reply) in replies.iter().enumerate() {
            if self.json || as_json {
                self.text(&reply.json_lines());
            } else if self.plain {
                self.text(&tabulated(reply));
            } else {
                if place > 0 {
                    self.text("\n");
                }
                let text = self.canvas().render(reply);
                self.text(&text);
            }
        }
    }

    /// What is wrong with a line.
    pub(crate) fn fault(&mut self, fault: &Fault, line: &str) {
        if self.json {
            let code = fault.sort.exit_code();
            let object = serde_json::json!({"v": 1, "exit_code": code, "error": fault.message});
            return self.trouble(&object.to_string());
        }
        let shown = self.canvas().fault(fault, line);
        self.trouble(&shown);
    }

    /// A part of the result.
    pub(crate) fn text(&mut self, text: &str) {
        let mut out = io::stdout();
        // A reader that has seen enough is no trouble, and where nothing can be written nothing can be said.
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            std::process::exit(0);
        }
    }

    /// A word to the person in front of it.
    pub(crate) fn trouble(&mut self, text: &str) {
        let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
    }
}

/// For programs that cut lines at tabulators.
fn tabulated(reply: &Reply) -> String {
    let line = |cells: Vec<String>| format!("{}\n", cells.join("\t"));
    let heads = line(reply.columns.iter().map(|column| column.name.clone()).collect());
    let rows = reply.rows.iter().map(|row| {
        line(
            reply
                .columns
                .iter()
                .zip(row)
                .map(|(column, cell)| column.text(cell).replace('\t', " "))
                .collect(),
        )
    });
    std::iter::once(heads).chain(rows).collect()
}
