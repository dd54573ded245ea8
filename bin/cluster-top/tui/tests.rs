//! Keys and frames without a terminal, at the two sizes that matter.

use std::time::Duration;

use actors::console::reply::{Cell, Kind, Reply};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::draw::draw;
use super::view::{Effect, Move, View};

fn tasks() -> Reply {
    let columns =
        [("task", Kind::Id, 0), ("name", Kind::Text, 0), ("state", Kind::State, 0), ("for", Kind::Length, 1)];
    let mut reply = Reply::new("task", &columns);
    for (task, name, state, seconds) in
        [("t1", "build", "running", 12), ("t2", "test", "ready", 300), ("t3", "lint", "failed", 4)]
    {
        let age = Cell::length(Duration::from_secs(seconds));
        reply.rows.push(vec![Cell::text(task), Cell::text(name), Cell::text(state), age]);
    }
    reply
}

fn view() -> View {
    let mut view = View::new(true, false);
    assert_eq!(press(&mut view, KeyCode::Char('3')), Effect::Ask);
    assert!(view.set_table(2, Ok(Box::new(tasks()))));
    view
}

fn press(view: &mut View, code: KeyCode) -> Effect {
    view.key(KeyEvent::from(code))
}

fn types(view: &mut View, text: &str) {
    text.chars().for_each(|c| drop(press(view, KeyCode::Char(c))));
}

fn frame(view: &mut View, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("there is room");
    terminal.draw(|frame| draw(view, frame)).expect("it is drawn");
    let buffer = terminal.backend().buffer().clone();
    let lines = buffer.content.chunks(usize::from(width));
    lines
        .map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n")
        .collect()
}

fn first_column(view: &View) -> Vec<String> {
    let shown = view.shown();
    shown.rows.iter().map(|row| shown.columns[0].text(&row[0])).collect()
}

#[test]
fn rows_are_filtered_and_sorted_as_one_types() {
    let mut view = view();
    types(&mut view, "/st");
    assert_eq!(first_column(&view), ["t2"], "its name has it");
    types(&mut view, " rdy");
    assert_eq!(first_column(&view), ["t2"], "each word somewhere, its letters in this order");
    types(&mut view, "x");
    assert!(first_column(&view).is_empty());
    press(&mut view, KeyCode::Esc);
    (0..4).for_each(|_| drop(press(&mut view, KeyCode::Char('s'))));
    assert_eq!(first_column(&view), ["t2", "t1", "t3"], "the longest first");
    press(&mut view, KeyCode::Char('S'));
    assert_eq!(first_column(&view), ["t3", "t1", "t2"]);
}

#[test]
fn what_fits_best_comes_first_and_the_letters_stand_out() {
    let mut view = view();
    types(&mut view, "/l");
    assert_eq!(first_column(&view), ["t3", "t1"], "lint begins so, build does not");
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("there is room");
    terminal.draw(|frame| draw(&mut view, frame)).expect("it is drawn");
    let marked = |row: u16| -> String {
        let cells = (0..80).map(|column| &terminal.backend().buffer()[(column, row)]);
        let cells = cells.filter(|cell| cell.modifier.contains(ratatui::style::Modifier::UNDERLINED));
        cells.map(|cell| cell.symbol()).collect()
    };
    assert_eq!((marked(3), marked(4)), ("l".to_owned(), "l".to_owned()));
    types(&mut view, " t1");
    assert_eq!(first_column(&view), ["t1"]);
}

#[test]
fn keys_ask_for_details_of_the_selected_row() {
    let mut view = view();
    press(&mut view, KeyCode::Down);
    assert_eq!(press(&mut view, KeyCode::Enter), Effect::Detail("task \"t2\"".to_owned()));
    assert_eq!(press(&mut view, KeyCode::Char('w')), Effect::Detail("why \"t2\"".to_owned()));
    assert_eq!(press(&mut view, KeyCode::Char('i')), Effect::Nothing, "a task is no actor");
    types(&mut view, ":nodes");
    assert_eq!(press(&mut view, KeyCode::Enter), Effect::Detail("nodes".to_owned()));
    assert_eq!(press(&mut view, KeyCode::Char('q')), Effect::Leave);
}

#[test]
fn the_same_answer_again_draws_nothing_and_that_of_another_table_is_late() {
    let mut view = view();
    assert!(!view.set_table(2, Ok(Box::new(tasks()))));
    assert!(!view.set_table(5, Ok(Box::new(Reply::default()))));
    press(&mut view, KeyCode::Char('p'));
    assert!(view.is_frozen());
}

/// A click where this was drawn, or the wheel there.
fn mouse(view: &mut View, kind: MouseEventKind, text: &str) -> Effect {
    let shown = frame(view, (80, 24));
    let found = shown.lines().enumerate().find_map(|(row, line)| Some((row, line.find(text)?)));
    let (row, column) = found.unwrap_or_else(|| panic!("{text} is not in {shown}"));
    let place = |at: usize| u16::try_from(at).expect("it is on the screen");
    view.mouse(MouseEvent { kind, column: place(column), row: place(row), modifiers: KeyModifiers::NONE })
}

#[test]
fn the_mouse_turns_to_tables_sorts_selects_and_opens() {
    let mut view = view();
    let click = MouseEventKind::Down(MouseButton::Left);
    assert_eq!(mouse(&mut view, click, "STATE"), Effect::Shown);
    assert_eq!(first_column(&view), ["t3", "t2", "t1"], "by state");
    assert_eq!(mouse(&mut view, click, "STATE"), Effect::Shown);
    assert_eq!(first_column(&view), ["t1", "t2", "t3"], "the other way round");
    assert_eq!(mouse(&mut view, click, "t3"), Effect::Shown);
    assert_eq!(mouse(&mut view, click, "t3"), Effect::Detail("task \"t3\"".to_owned()), "twice is enter");
    assert_eq!(mouse(&mut view, MouseEventKind::ScrollUp, "t3"), Effect::Shown);
    assert_eq!(view.selected, 0);
    assert!(view.set_detail("task t3", Ok(vec![tasks()])));
    assert_eq!(mouse(&mut view, MouseEventKind::ScrollDown, " task t3 "), Effect::Shown);
    assert_eq!((view.scroll, view.selected), (3, 0), "the details, and not the rows");
    assert_eq!(mouse(&mut view, click, " 6 nodes"), Effect::Ask);
    assert_eq!(view.question().1, "nodes");
}

#[test]
fn keys_go_through_time() {
    let mut view = view();
    let keys = ['[', ']', '{', '}', 'P', '='].map(|key| press(&mut view, KeyCode::Char(key)));
    let steps = [-1, 1, -50, 50].map(|by| Effect::Time(Move::Step(by)));
    assert_eq!(keys[..4], steps);
    assert_eq!(keys[4..], [Effect::Time(Move::Play), Effect::Time(Move::Live)]);
}

#[test]
fn the_past_is_told_from_what_is_also_on_a_small_screen() {
    let mut view = view();
    assert!(!frame(&mut view, (80, 24)).contains("the past"));
    let header = actors::console::Header {
        name: "log".to_owned(),
        nodes: [1, 0, 0],
        draining: 0,
        budget: None,
        tasks: [0; 3],
        mode: policy::pressure::Mode::default(),
        lints: 0,
        stopped: None,
        is_silent: false,
        moment: Some((7, policy::time::Timestamp(0))),
    };
    assert!(view.set_header(Ok(Box::new(header))));
    let shown = frame(&mut view, (80, 24));
    assert!(
        shown.contains("@7 ")
            && shown.lines().last().is_some_and(|foot| foot.starts_with("the past  = live"))
    );
}

#[test]
fn a_frame_is_whole_at_all_sizes() {
    let mut view = view();
    let small = frame(&mut view, (80, 24));
    assert!(small.contains("3 tasks") && small.contains("t2    test   ready"), "{small}");
    assert!(small.lines().last().is_some_and(|foot| foot.starts_with("q leave")), "{small}");
    assert!(view.set_detail("task t1", Ok(vec![tasks()])));
    let small = frame(&mut view, (80, 24));
    let middle = frame(&mut view, (120, 40));
    assert!(middle.contains(" task t1 ") && middle.lines().count() == 40, "{middle}");
    let large = frame(&mut view, (200, 60));
    assert!(small.contains(" task t1 ") && large.contains("│ task t1"), "{small}\n{large}");
    let beside = large.lines().any(|line| line.starts_with("t1    build") && line.contains("│TASK"));
    assert!(beside, "details stand beside the table: {large}");
    press(&mut view, KeyCode::Char('?'));
    assert!(frame(&mut view, (80, 24)).contains("any key closes this"));
}
