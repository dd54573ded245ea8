//! The full screen: a table that sorts and filters as one types, details beside it. Draws when something has
//! changed, and then alone.
//!
//! [`view`] is all that is decided, without a terminal; [`draw`] puts it on one. Questions are asked beside the loop,
//! so a key is answered while the scheduler is not.

pub(super) mod draw;
mod filter;
mod mouse;
#[cfg(test)]
mod tests;
pub(super) mod view;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use actors::console::fault::Fault;
use actors::console::past::Past;
use actors::console::reply::Reply;
use actors::console::syntax::Line;
use actors::console::{Console, Header, syntax};
use crossterm::event::{self, DisableMouseCapture, EnableMouseCapture, Event};
use crossterm::execute;
use ratatui::DefaultTerminal;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use super::screen::Screen;
use super::session::Session;
use view::{Effect, Move, View};

/// Between two looks at what is shown.
const EVERY: Duration = Duration::from_secs(1);
/// How long the loop sleeps where no key comes: what an answer may have to wait.
const BEAT: Duration = Duration::from_millis(40);

/// While events are played: between two looks, and how many times as fast they come.
const BETWEEN: Duration = Duration::from_millis(250);
const PLAY: u32 = 10;

/// What was asked, and the answer.
enum Answer {
    Table(usize, Result<Box<Reply>, Fault>),
    Header(Result<Box<Header>, Fault>),
    Detail(String, Result<Vec<Reply>, Fault>),
    /// Another moment is shown; whether there is more to be played.
    Moved(Result<bool, Fault>),
}

/// Takes the whole terminal until somebody leaves it.
pub(crate) fn run(session: &mut Session, screen: &Screen, runtime: &Runtime) -> std::io::Result<()> {
    let mut console = std::mem::replace(&mut session.console, Console::offline(Past::default()));
    console.follow(true);
    let shared = Arc::new(Mutex::new(console));
    let mut terminal = ratatui::try_init()?;
    let canvas = screen.canvas();
    // A terminal without a mouse has keys for everything.
    let _ = execute!(std::io::stdout(), EnableMouseCapture);
    let done = Loop::new(&shared, runtime, canvas.color, canvas.ascii).run(&mut terminal);
    let _ = execute!(std::io::stdout(), DisableMouseCapture);
    ratatui::try_restore()?;
    // A question may still be on its way; the session goes on with its console once that is over.
    session.console = runtime.block_on(take_back(shared));
    session.console.follow(false);
    done
}

async fn take_back(mut shared: Arc<Mutex<Console>>) -> Console {
    loop {
        match Arc::try_unwrap(shared) {
            Ok(console) => return console.into_inner(),
            Err(still_shared) => shared = still_shared,
        }
        tokio::time::sleep(BEAT).await;
    }
}

struct Loop<'a> {
    console: &'a Arc<Mutex<Console>>,
    runtime: &'a Runtime,
    view: View,
    answers: (Sender<Answer>, Receiver<Answer>),
    /// Questions on their way: one table, one header.
    asking: [bool; 2],
    asked: Option<Instant>,
}

impl<'a> Loop<'a> {
    fn new(console: &'a Arc<Mutex<Console>>, runtime: &'a Runtime, color: bool, ascii: bool) -> Self {
        let view = View::new(color, ascii);
        Self { console, runtime, view, answers: channel(), asking: [false; 2], asked: None }
    }

    fn run(mut self, terminal: &mut DefaultTerminal) -> std::io::Result<()> {
        let mut changed = true;
        loop {
            if self.is_due() {
                self.ask();
            }
            if changed {
                terminal.draw(|frame| draw::draw(&mut self.view, frame))?;
            }
            changed = false;
            if event::poll(BEAT)? {
                changed = match event::read()? {
                    Event::Key(key) if key.is_press() => {
                        let effect = self.view.key(key);
                        if effect == Effect::Leave {
                            return Ok(());
                        }
                        self.follow(effect)
                    }
                    Event::Mouse(mouse) => {
                        let effect = self.view.mouse(mouse);
                        self.follow(effect)
                    }
                    Event::Resize(..) => true,
                    _ => false,
                };
            }
            while let Ok(answer) = self.answers.1.try_recv() {
                changed |= self.take(answer);
            }
        }
    }

    /// Does what a key or a click leads to; whether something else is shown.
    fn follow(&mut self, effect: Effect) -> bool {
        match effect {
            Effect::Nothing | Effect::Leave => return false,
            Effect::Shown => {}
            Effect::Ask => self.asked = None,
            Effect::Detail(line) => self.detail(line),
            Effect::Time(Move::Play) => {
                self.view.playing = !self.view.playing;
                self.asked = None;
            }
            Effect::Time(to) => {
                self.view.playing = false;
                self.go(to);
            }
        }
        true
    }

    /// Shows another moment.
    fn go(&mut self, to: Move) {
        let (console, answers) = (Arc::clone(self.console), self.answers.0.clone());
        self.runtime.spawn(async move {
            let mut console = console.lock().await;
            let moved = match to {
                Move::Step(by) => console.step(by).await.map(|()| true),
                Move::Play => console.play(BETWEEN * PLAY),
                Move::Live => {
                    console.go_live();
                    Ok(true)
                }
            };
            let _ = answers.send(Answer::Moved(moved));
        });
    }

    fn is_due(&self) -> bool {
        let every = if self.view.playing { BETWEEN } else { EVERY };
        let rested = self.asked.is_none_or(|asked| asked.elapsed() >= every && !self.view.is_frozen());
        rested && !self.asking[0]
    }

    /// Asks for what is shown.
    fn ask(&mut self) {
        self.asked = Some(Instant::now());
        if self.view.playing {
            self.go(Move::Play);
        }
        self.asking = [true; 2];
        let (tab, line) = self.view.question();
        let (console, answers) = (Arc::clone(self.console), self.answers.0.clone());
        self.runtime.spawn(async move {
            let mut console = console.lock().await;
            let header = console.header().await.map(Box::new);
            let _ = answers.send(Answer::Header(header));
            let table = answer(&mut console, &line).await;
            let table = table.map(|mut replies| Box::new(std::mem::take(&mut replies[0])));
            let _ = answers.send(Answer::Table(tab, table));
        });
    }

    fn detail(&mut self, line: String) {
        let (console, answers) = (Arc::clone(self.console), self.answers.0.clone());
        self.runtime.spawn(async move {
            let replies = answer(&mut *console.lock().await, &line).await;
            let _ = answers.send(Answer::Detail(line, replies));
        });
    }

    /// Whether anything is otherwise than it was.
    fn take(&mut self, answer: Answer) -> bool {
        match answer {
            Answer::Header(header) => {
                self.asking[1] = false;
                self.view.set_header(header)
            }
            Answer::Table(tab, table) => {
                self.asking[0] = false;
                self.view.set_table(tab, table)
            }
            Answer::Moved(moved) => {
                // What is played is looked at when the next part of it is; and where nothing follows it is over.
                if !self.view.playing || !matches!(moved, Ok(true)) {
                    (self.asked, self.view.playing) = (None, false);
                }
                if let Err(fault) = moved {
                    self.view.set_detail("time", Err(fault));
                }
                true
            }
            Answer::Detail(line, replies) => self.view.set_detail(&line, replies),
        }
    }
}

/// At least one reply.
async fn answer(console: &mut Console, line: &str) -> Result<Vec<Reply>, Fault> {
    let parsed = syntax::parse(line)?.ok_or_else(|| Fault::usage(0..0, "nothing was asked"))?;
    if let ("at", Some(moment)) = (parsed.verb.name, parsed.plain().next()) {
        console.go(moment).await?;
        return console.answer(&status()?).await;
    }
    if parsed.verb.sort != actors::console::verb::Sort::Look || super::follow::is_for(&parsed) {
        let text = format!("{} belongs to the prompt: q leads there", parsed.verb.name);
        return Err(Fault::usage(parsed.span.clone(), text));
    }
    let replies = console.answer(&parsed).await?;
    if replies.is_empty() { Err(Fault::usage(0..0, "there is no answer")) } else { Ok(replies) }
}

/// What is shown of another moment beside the table.
fn status() -> Result<Line, Fault> {
    syntax::parse("status")?.ok_or_else(|| Fault::usage(0..0, "nothing was asked"))
}
