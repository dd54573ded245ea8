//! The prompt: the fleet in a line above it, a line to be typed, its answer below.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use actors::client::contexts::Contexts;
use actors::console::act::Planned;
use actors::console::complete;
use actors::console::render::Tone;
use actors::console::syntax;
use actors::say;
use tokio::runtime::Runtime;

use super::editor::{Editor, Line, SharedWords, Typed};
use super::screen::Screen;
use super::session::{Outcome, Session};
use super::tui;

/// Runs until somebody leaves; the exit code.
pub(crate) fn run(mut session: Session, screen: &mut Screen, runtime: &Runtime) -> u8 {
    if let Err((fault, moment)) = runtime.block_on(session.begin()) {
        screen.fault(&fault, &moment);
        return fault.sort.exit_code();
    }
    let words: SharedWords = Arc::new(Mutex::default());
    let mut editor = Editor::new(session.data_dir.as_deref(), &words, screen.canvas().color);
    screen.text("cluster-top: `help` tells the language, Tab completes, Ctrl-D leaves\n");
    loop {
        let prompt = prompt(&session, screen, runtime);
        learn(&session, &words, runtime);
        match editor.read(&prompt) {
            Typed::End => return 0,
            Typed::Nothing => {}
            Typed::Line(text) => {
                if !answer(&mut session, screen, runtime, &text) {
                    return 0;
                }
                // The next prompt stands apart from what was answered.
                screen.text(if text.trim().is_empty() { "" } else { "\n" });
            }
        }
    }
}

/// The full screen, and the prompt behind it.
pub(crate) fn full(mut session: Session, screen: &mut Screen, runtime: &Runtime) -> u8 {
    if let Err((fault, moment)) = runtime.block_on(session.begin()) {
        screen.fault(&fault, &moment);
        return fault.sort.exit_code();
    }
    match tui::run(&mut session, screen, runtime) {
        Ok(()) => 0,
        Err(error) => {
            screen.trouble(&format!("error: the full screen: {error}"));
            1
        }
    }
}

/// Answers what was typed; `false` where that ends the session.
fn answer(session: &mut Session, screen: &mut Screen, runtime: &Runtime, text: &str) -> bool {
    for statement in syntax::statements(text) {
        let ran = runtime.block_on(async {
            tokio::select! {
                ran = session.run(screen, statement) => Some(ran),
                _ = tokio::signal::ctrl_c() => None,
            }
        });
        match ran {
            Some(Ok(Outcome::Done { .. })) => {}
            Some(Ok(Outcome::Quit)) => return false,
            Some(Ok(Outcome::Full)) => {
                if let Err(error) = tui::run(session, screen, runtime) {
                    screen.trouble(&format!("error: the full screen: {error}"));
                }
            }
            Some(Ok(Outcome::Asks(planned))) => agree(session, screen, runtime, &planned),
            Some(Err(fault)) => {
                screen.fault(&fault, statement);
                return true;
            }
            None => {
                screen.text("\n");
                return true;
            }
        }
    }
    true
}

/// Does it where somebody types what it is about.
fn agree(session: &mut Session, screen: &mut Screen, runtime: &Runtime, planned: &Planned) {
    let wanted = planned.confirm.clone().unwrap_or_default();
    let strong = screen.canvas().paint(Tone::Warn, &wanted);
    screen.text(&format!("this {}\ntype {strong} to do it: ", planned.says));
    let _ = std::io::stdout().flush();
    let mut typed = String::new();
    let read = std::io::stdin().read_line(&mut typed);
    if read.is_err() || typed.trim() != wanted {
        return screen.text("nothing was done\n");
    }
    if let Err(fault) = runtime.block_on(session.perform(screen, planned)) {
        screen.fault(&fault, "");
    }
}

fn prompt(session: &Session, screen: &Screen, runtime: &Runtime) -> Line {
    let canvas = screen.canvas();
    let above = match runtime.block_on(session.console.header()) {
        Ok(header) => header.line(&canvas),
        Err(fault) => canvas.paint(Tone::Bad, &fault.message.chars().take(canvas.width).collect::<String>()),
    };
    match session.console.moment() {
        None => Line { above, mark: "> ".to_owned(), is_past: false },
        Some((number, at)) => {
            Line { above, mark: format!("@{number} {}> ", say::clock_time(at)), is_past: true }
        }
    }
}

/// The user's clusters; a file that cannot be read is told of where one is used.
fn contexts() -> BTreeMap<String, String> {
    let known = Contexts::read().unwrap_or_default().contexts;
    known.into_iter().map(|(name, context)| (name, context.told())).collect()
}

/// Learns the names there are, beside the prompt.
fn learn(session: &Session, words: &SharedWords, runtime: &Runtime) {
    let aliases = session.aliases.clone();
    let keep = move |words: &SharedWords, mut known: complete::Words| {
        known.aliases = aliases;
        known.contexts = contexts();
        *words.lock().unwrap_or_else(PoisonError::into_inner) = known;
    };
    match session.console.client().cloned() {
        Some(client) => {
            let words = Arc::clone(words);
            runtime.spawn(async move {
                let known = actors::console::Console::new(client).words().await;
                keep(&words, known);
            });
        }
        None => keep(words, runtime.block_on(session.console.words())),
    }
}
