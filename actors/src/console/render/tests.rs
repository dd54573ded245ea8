//! Every shape at three widths, compared with what is kept in `golden/`. With CRAB_GOLDEN=write set the files are
//! written anew, to be looked at and committed.

use std::path::Path;
use std::time::Duration;

use super::{Canvas, branches, cut, wrapped};
use crate::console::reply::{Cell, Kind, Reply, Shape};

/// A phone held high, the terminal of all terminals, and a large one.
const WIDTHS: [usize; 3] = [60, 80, 200];

fn golden(name: &str, reply: &Reply) {
    for width in WIDTHS {
        for (kind, ascii, color) in [("", false, false), ("-ascii", true, false), ("-color", false, true)] {
            if !kind.is_empty() && width != 80 {
                continue;
            }
            let text = Canvas { width, color, ascii }.render(reply);
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("src/console/render/golden/{name}-{width}{kind}.txt"));
            if std::env::var_os("CRAB_GOLDEN").is_some() {
                std::fs::create_dir_all(path.parent().expect("it is in one")).expect("there is room");
                std::fs::write(&path, &text).expect("there is room");
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(text, kept, "{}", path.display());
            let widest = text.lines().map(unicode_width::UnicodeWidthStr::width).max();
            assert!(color || widest.unwrap_or(0) <= width, "{name} at {width} is as wide as {widest:?}");
        }
    }
}

fn tasks() -> Reply {
    let mut reply = Reply::new(
        "task",
        &[
            ("task", Kind::Id, 0),
            ("name", Kind::Text, 0),
            ("state", Kind::State, 0),
            ("for", Kind::Length, 1),
            ("priority", Kind::State, 3),
            ("tries", Kind::Number, 4),
            ("node", Kind::Id, 1),
            ("graph", Kind::Id, 2),
            ("outcome", Kind::Text, 2),
        ],
    );
    let mut row = |task: &str, name: &str, state: &str, micros: u64, node: &str, outcome: &str| {
        reply.rows.push(vec![
            Cell::text(task),
            Cell::text(name),
            Cell::text(state),
            Cell::length(Duration::from_micros(micros)),
            Cell::text("normal"),
            Cell::Number(1),
            Cell::text(node),
            Cell::text("g4790"),
            Cell::text(outcome),
        ]);
    };
    row("t4790", "cargo nextest run --workspace[17]", "running", 372_000_000, "studio-2", "");
    row("t4791", "größe-測定", "failed", 4_190_000, "studio-1", "failed: exited with 101");
    row("t4800", "report", "waiting", 900, "", "");
    reply
}

fn tree() -> Reply {
    let columns = [
        ("actor", Kind::Id, 0),
        ("state", Kind::State, 1),
        ("mbox", Kind::Number, 1),
        ("handle99", Kind::Length, 2),
        ("now", Kind::Text, 1),
        ("level", Kind::Number, 9),
    ];
    let mut reply = Reply { shape: Shape::Tree, ..Reply::new("actor", &columns) };
    let actors = [
        ("supervisor/scheduler-side", "run", 0, 0),
        ("log", "run", 0, 1),
        ("supervisor/core", "run", 0, 1),
        ("supervisor/tasks", "run", 0, 2),
        ("task/t12", "stuck", 41, 3),
        ("scheduler", "run", 2, 2),
        ("listener", "run", 0, 1),
    ];
    for (actor, state, mbox, level) in actors {
        let now = if state == "stuck" { Cell::text("Reported 12s") } else { Cell::Nothing };
        let handle = Cell::length(Duration::from_micros(64));
        reply.rows.push(vec![
            Cell::text(actor),
            Cell::text(state),
            Cell::Number(mbox),
            handle,
            now,
            Cell::Number(level),
        ]);
    }
    reply.notes.push("3 more below supervisor/tasks; `ps NAME` finds each".to_owned());
    reply
}

#[test]
fn a_table_fits_the_width() {
    golden("table", &tasks());
}

#[test]
fn a_tree_shows_its_branches() {
    golden("tree", &tree());
}

#[test]
fn a_card_has_a_field_on_each_line() {
    golden("card", &Reply { shape: Shape::Card, ..tasks() });
}

#[test]
fn lines_stand_beside_what_they_are_about() {
    let mut reply = Reply::lines("reason");
    reply.line("verdict", "t12 build of g12, normal priority, ready: not now");
    reply.line(
        "because",
        "no machine has room: studio-1 needs 24 GiB of memory and has 17.2 GiB free; studio-2 is suspect; studio-3 \
         has its breaker open for another 40 s",
    );
    reply.line(
        "a name that is longer than a third of what there is of the screen, whatever it is",
        "stands above",
    );
    golden("lines", &reply);
}

#[test]
fn nothing_is_said_to_be_nothing() {
    assert_eq!(Canvas::default().render(&Reply::new("task", &[("task", Kind::Id, 0)])), "no tasks\n");
}

#[test]
fn branches_end_where_nothing_follows() {
    assert_eq!(branches(&[0, 1, 2, 2, 1]), ["", "├─ ", "│  ├─ ", "│  └─ ", "└─ "]);
    assert_eq!(branches(&[0, 1, 2]), ["", "└─ ", "   └─ "]);
}

#[test]
fn words_are_cut_and_broken_by_what_they_take_on_the_screen() {
    assert_eq!(cut("測定する", 5), "測定…");
    assert_eq!(cut("abc", 3), "abc");
    assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
    assert_eq!(wrapped("abcdefg", 3), ["abc", "def", "g"]);
}

#[test]
fn marks_stand_below_what_they_are_about_in_a_line_that_is_too_long() {
    let shown = |typed: &str, at: std::ops::Range<usize>| {
        let fault = crate::console::fault::Fault::usage(at, "no");
        let text = Canvas { width: 24, color: false, ascii: false }.fault(&fault, typed);
        text.lines().take(2).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let typed = "abcdefghijklmnopqrstuvwxyz0123456789";
    assert_eq!(shown(typed, 2..4), ["  abcdefghijklmnopqrst…", "    ^^"]);
    assert_eq!(shown(typed, 24..26), ["  …ghijklmnopqrstuvwxyz…", "                     ^^"]);
    assert_eq!(shown("abc", 1..2), ["  abc", "   ^"]);
}
