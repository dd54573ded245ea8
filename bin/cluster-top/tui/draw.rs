//! Puts the view on the screen.

use std::ops::Range;

use actors::console::render::{Canvas, Strip, Tone};
use actors::console::reply::Reply;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};

use super::filter;
use super::view::{TABS, Typing, View};

/// Columns from which on details stand beside the table and not below it.
const WIDE: u16 = 130;

/// The keys of the bottom line, the most useful first; as many as fit whole.
const KEYS: &str = "q leave  ? help  / filter  s sort  enter details  w why  : line  [ ] time  i state  p freeze  S turn  tab next";

const HELP: &str = "\
1-8, tab     the tables
up, down     a row; page up, page down, home, end
enter        details of the row
w            why a task waits         i    what an actor holds
J, K         the details, down and up
/            rows that have these letters in this order; esc: all
s            by the next column       S    the other way round
:            a line of the language, answered beside the table
p            freezes what is shown    esc  closes details
[ ]          an event back, on        { }  fifty of them
P            plays them, ten times as fast     =  back to what is
mouse        tables, heads (sort), rows (again: details), wheel
q            back to the prompt

any key closes this";

pub(crate) fn draw(view: &mut View, frame: &mut Frame<'_>) {
    let [head, tabs, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(view, frame, head);
    draw_tabs(view, frame, tabs);
    let (table, detail) = split(view, body);
    draw_table(view, frame, table);
    if let Some(area) = detail {
        draw_detail(view, frame, area);
    }
    draw_foot(view, frame, foot);
    if view.help {
        draw_help(view, frame);
    }
}

fn split(view: &View, body: Rect) -> (Rect, Option<Rect>) {
    if view.detail.is_none() {
        return (body, None);
    }
    let [table, detail] = if body.width >= WIDE {
        Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(body)
    } else {
        Layout::vertical([Constraint::Percentage(40), Constraint::Percentage(60)]).areas(body)
    };
    (table, Some(detail))
}

fn style(view: &View, tone: Tone) -> Style {
    let style = Style::new();
    match tone {
        Tone::Plain => style,
        Tone::Strong => style.add_modifier(Modifier::BOLD),
        Tone::Dim => style.add_modifier(Modifier::DIM),
        Tone::Good | Tone::Warn | Tone::Bad if !view.color => style,
        Tone::Good => style.fg(Color::Green),
        Tone::Warn => style.fg(Color::Yellow),
        Tone::Bad => style.fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

fn line<'a>(view: &View, strip: &Strip) -> Line<'a> {
    Line::from_iter(strip.iter().map(|(text, tone)| Span::styled(text.clone(), style(view, *tone))))
}

/// A row, in which the letters stand out that are typed.
fn row<'a>(view: &View, strip: &Strip) -> Line<'a> {
    Line::from_iter(filter::marked(strip, &view.filter).into_iter().map(|(text, tone, is_marked)| {
        let style = style(view, tone);
        let bold = Modifier::BOLD | Modifier::UNDERLINED;
        Span::styled(text, if is_marked { style.add_modifier(bold) } else { style })
    }))
}

fn draw_head(view: &View, frame: &mut Frame<'_>, area: Rect) {
    let strip = match (&view.trouble, &view.header) {
        (Some(trouble), _) => vec![(trouble.clone(), Tone::Bad)],
        (None, Some(header)) => header.strip(usize::from(area.width)),
        (None, None) => vec![("...".to_owned(), Tone::Dim)],
    };
    frame.render_widget(line(view, &strip), area);
}

fn draw_tabs(view: &mut View, frame: &mut Frame<'_>, area: Rect) {
    let (mut spans, mut places, mut left) = (Vec::new(), Vec::new(), area.x);
    for (place, (key, name, _)) in TABS.iter().enumerate() {
        let style =
            if place == view.tab { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        let text = format!(" {key} {name} ");
        let right = left + u16::try_from(text.len()).unwrap_or(0);
        places.push(left..right);
        left = right;
        spans.push(Span::styled(text, style));
    }
    view.places.tabs = (area.y, places);
    if view.playing {
        spans.push(Span::styled("  plays", Style::new().add_modifier(Modifier::BOLD)));
    }
    if view.frozen {
        spans.push(Span::styled("  frozen", Style::new().add_modifier(Modifier::BOLD)));
    }
    frame.render_widget(Line::from(spans), area);
}

fn draw_table(view: &mut View, frame: &mut Frame<'_>, area: Rect) {
    let reply = view.shown();
    let sheet = view.canvas(usize::from(area.width)).sheet(&reply);
    let room = usize::from(area.height.saturating_sub(1)).max(1);
    view.selected = view.selected.min(sheet.rows.len().saturating_sub(1));
    // The selected row is always on the screen, and the screen moves no further than that needs.
    view.top = view.top.clamp(view.selected.saturating_sub(room - 1), view.selected);
    view.places.rows = Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1), ..area };
    view.places.heads = (area.y, head_places(area.x, &sheet.head, &reply));
    let mut lines = vec![heads(view, &sheet.head, &reply)];
    for (place, strip) in sheet.rows.iter().enumerate().skip(view.top).take(room) {
        let line = row(view, strip);
        lines.push(if place == view.selected { line.style(Modifier::REVERSED) } else { line });
    }
    if reply.rows.is_empty() {
        let text = if view.filter.is_empty() { "nothing here" } else { "nothing has that" };
        lines.push(Line::styled(text, style(view, Tone::Dim)));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// Where each head stands, with its column.
fn head_places(from: u16, head: &Strip, reply: &Reply) -> Vec<(Range<u16>, usize)> {
    let mut left = from;
    let mut places = Vec::new();
    for (text, _) in head {
        let right = left.saturating_add(u16::try_from(text.chars().count()).unwrap_or(u16::MAX));
        let name = text.trim();
        let column = reply.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
        places.extend(column.map(|column| (left..right, column)));
        left = right;
    }
    places
}

/// The heads; that of the column by which it is sorted is underlined.
fn heads<'a>(view: &View, head: &Strip, reply: &Reply) -> Line<'a> {
    let sorted = view.sort.and_then(|(at, _)| reply.columns.get(at)).map(|column| column.name.to_uppercase());
    Line::from_iter(head.iter().map(|(text, tone)| {
        let style = style(view, *tone);
        let is_sorted = sorted.as_deref() == Some(text.trim()) && !text.trim().is_empty();
        Span::styled(text.clone(), if is_sorted { style.add_modifier(Modifier::UNDERLINED) } else { style })
    }))
}

fn draw_detail(view: &mut View, frame: &mut Frame<'_>, area: Rect) {
    view.places.detail = area;
    let Some((asked, answer)) = &view.detail else { return };
    let borders = if area.width >= WIDE / 2 && area.x > 0 { Borders::LEFT } else { Borders::TOP };
    let block = Block::new().borders(borders).title(format!(" {asked} "));
    let inner = block.inner(area);
    let canvas: Canvas = view.canvas(usize::from(inner.width).max(20));
    let text = match answer {
        Ok(replies) => replies.iter().map(|reply| canvas.render(reply)).collect::<Vec<_>>().join("\n"),
        Err(shown) => shown.clone(),
    };
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).scroll((view.scroll, 0)), inner);
}

fn draw_foot(view: &View, frame: &mut Frame<'_>, area: Rect) {
    let is_past = view.header.as_ref().is_some_and(|header| header.moment.is_some());
    let foot = match view.typing {
        Typing::Filter => format!("/{}_", view.filter),
        Typing::Line => format!(":{}_", view.line),
        Typing::Nothing if !view.filter.is_empty() => format!("/{}   (esc shows all)  {KEYS}", view.filter),
        Typing::Nothing if is_past => format!("the past  = live  {KEYS}"),
        Typing::Nothing if view.detail.is_some() => format!("esc closes  J K scroll  {KEYS}"),
        Typing::Nothing => KEYS.to_owned(),
    };
    let shown = fitting(&foot, usize::from(area.width));
    // Nobody should take for what is what only was.
    let style = match is_past {
        true => style(view, Tone::Warn).add_modifier(Modifier::REVERSED),
        false => style(view, Tone::Dim),
    };
    frame.render_widget(Line::styled(shown, style), area);
}

/// As many of the words that two blanks separate as fit; at least the beginning of the first.
fn fitting(text: &str, width: usize) -> String {
    let mut shown = String::new();
    for word in text.split("  ") {
        let gap = if shown.is_empty() { "" } else { "  " };
        if shown.chars().count() + gap.len() + word.chars().count() > width {
            break;
        }
        shown.push_str(gap);
        shown.push_str(word);
    }
    if shown.is_empty() { text.chars().take(width).collect() } else { shown }
}

fn draw_help(view: &View, frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (70.min(area.width), 19.min(area.height));
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    let block = Block::bordered().title(" keys ").border_style(style(view, Tone::Dim));
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(HELP).block(block), place);
}
