//! Every verb that looks, and every table of the full screen, at three sizes, compared with what is kept in `golden/`: without a
//! terminal, and without a daemon. With CRAB_GOLDEN=write set the files are written anew, to be looked at and committed.

mod house;
mod inside;
mod past;

use std::path::Path;

use actors::console::render::Canvas;
use actors::console::syntax;
use actors::console::verb::{Sort, VERBS};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::tui::{draw, view};

/// The terminal of all terminals, a window, and a large one.
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// What is asked with each verb. None where it has no reply: it goes on, brings what is no table, or asks tmux.
fn line(verb: &str) -> Option<&str> {
    Some(match verb {
        "actor" => "actor queue/normal",
        "state" => "state scheduler",
        "node" => "node studio-1",
        "task" => "task t2",
        "graph" => "graph g1",
        "trace" => "trace scheduler for=1s payload",
        "why" => "why t4",
        "blame" => "blame t2",
        "help" => "help tasks",
        "tail" | "logs" | "export" | "watch" | "sessions" => return None,
        verb => verb,
    })
}

/// Times of day are those of where one is.
fn timeless(text: &str) -> String {
    let time = regex::Regex::new(r"\d\d:\d\d:\d\d").expect("it is one");
    time.replace_all(text, "hh:mm:ss").into_owned()
}

fn compare(name: &str, text: &str) -> Result<(), String> {
    let text = timeless(text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("bin/cluster-top/golden/{name}.txt"));
    if std::env::var_os("CRAB_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("it is in one")).expect("there is room");
        std::fs::write(&path, &text).expect("there is room");
    }
    match std::fs::read_to_string(&path).unwrap_or_default() == text {
        true => Ok(()),
        false => Err(format!("{} is otherwise:\n{text}", path.display())),
    }
}

#[tokio::test(start_paused = true)]
async fn every_verb_that_looks_is_shown_at_three_sizes() {
    let mut wrong = Vec::new();
    for verb in VERBS.iter().filter(|verb| verb.sort == Sort::Look) {
        let Some(line) = line(verb.name) else { continue };
        let parsed = syntax::parse(line).expect("it makes sense").expect("there is a verb");
        let replies = house::console().answer(&parsed).await;
        let replies = replies.unwrap_or_else(|fault| panic!("{line}: {}", fault.shown(line)));
        for (width, height) in SIZES {
            let canvas = Canvas { width: width.into(), color: false, ascii: false };
            let text = replies.iter().map(|reply| canvas.render(reply)).collect::<Vec<_>>().join("\n");
            assert!(!text.contains("hidden"), "{line} tells a secret:\n{text}");
            let widest = text.lines().map(|line| ratatui::text::Line::from(line).width()).max().unwrap_or(0);
            assert!(widest <= width.into(), "{line} is {widest} wide at {width}:\n{text}");
            wrong.extend(compare(&format!("verb-{}-{width}x{height}", verb.name), &text).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn every_table_of_the_full_screen_is_shown_at_three_sizes() {
    let mut wrong = Vec::new();
    for (place, (_, name, line)) in view::TABS.iter().enumerate() {
        for (width, height) in SIZES {
            let mut console = house::console();
            let mut view = view::View::new(false, false);
            view.turn(place);
            assert!(view.set_header(Ok(Box::new(console.header().await.expect("it answers")))));
            let parsed = syntax::parse(line).expect("it makes sense").expect("there is a verb");
            let reply = console.answer(&parsed).await.expect("it is answered").remove(0);
            view.set_table(place, Ok(Box::new(reply)));
            if *name == "tasks" {
                let line = "why \"t4\"";
                let parsed = syntax::parse(line).expect("it makes sense").expect("there is a verb");
                view.set_detail(line, console.answer(&parsed).await);
            }
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("there is room");
            terminal.draw(|frame| draw::draw(&mut view, frame)).expect("it is drawn");
            let buffer = terminal.backend().buffer().clone();
            let lines = buffer.content.chunks(width.into()).map(|line| {
                line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n"
            });
            wrong.extend(compare(&format!("tui-{name}-{width}x{height}"), &lines.collect::<String>()).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_line_is_shown_at_three_sizes() {
    let line = "tasks | wehre colour = red and something that goes on for longer than a small terminal is wide, as people do";
    let fault = syntax::parse(line).expect_err("it makes no sense");
    for (width, height) in SIZES {
        let canvas = Canvas { width: width.into(), color: false, ascii: false };
        let shown = canvas.fault(&fault, line) + "\n";
        compare(&format!("fault-{width}x{height}"), &shown).expect("it is as it was");
    }
}
