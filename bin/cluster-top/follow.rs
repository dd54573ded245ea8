//! What goes on until somebody has seen enough: events and output as they come, a line asked again and again.

use std::time::Duration;

use actors::client::{Client, ClientError, Follow, Seen};
use actors::console::fault::{Fault, Sort};
use actors::console::syntax::{self, Line, Word};
use actors::say::{self, output::Digesting};
use actors::taskfile::quantity;
use actors::wire::client::{EventFilter, Target};
use actors::wire::fleet::{OutputPiece, OutputRefusal};
use policy::id::TaskId;
use policy::output::digest::USUAL_LIMIT_BYTES;

use super::screen::Screen;
use super::session::Session;

/// Between two looks of `watch`, where nobody says.
const EVERY: Duration = Duration::from_secs(1);
/// The least, so that watching costs next to nothing.
const EVERY_LEAST: Duration = Duration::from_millis(100);

/// How many times as fast as it was events are played.
const PLAY: u32 = 10;
/// The longest that nothing happens while they are.
const PAUSE: Duration = Duration::from_secs(2);

/// Whether a line goes on by itself, or brings what is no table.
pub(crate) fn is_for(line: &Line) -> bool {
    matches!(line.verb.name, "tail" | "logs" | "watch" | "export")
        || (line.verb.name == "events" && line.has("-f"))
}

/// Follows until Ctrl-C; in a script until there is no more.
pub(crate) async fn run(session: &mut Session, screen: &mut Screen, line: &Line) -> Result<(), Fault> {
    let followed = async {
        match line.verb.name {
            "watch" => watch(session, screen, line).await,
            "play" => play(session, screen, line).await,
            "logs" => logs(session, screen, line).await,
            "export" => {
                let text = session.console.export(line).await?;
                screen.text(&text);
                Ok(())
            }
            _ => events(session, screen, line).await,
        }
    };
    let done = tokio::select! {
        done = followed => done,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    session.console.follow(false);
    done
}

fn daemon(session: &Session) -> Result<Client, Fault> {
    let client = session.console.client().cloned();
    client.ok_or_else(|| Fault::of(Sort::Refused, "the past does not go on; `live` goes back to what is"))
}

async fn events(session: &Session, screen: &mut Screen, line: &Line) -> Result<(), Fault> {
    let client = daemon(session)?;
    let filter = match line.plain().next() {
        None => EventFilter::All,
        Some(word) => match session.console.target(word).await? {
            Target::Task(task) => EventFilter::Task(task),
            Target::Graph(graph) => EventFilter::Graph(graph),
        },
    };
    let last = client.hello().await?.durable;
    let mut watch = client.events(last.saturating_sub(10), filter);
    loop {
        let text = match watch.next().await? {
            Seen::Gap { resumes_at } => format!("events before {resumes_at} were removed\n"),
            Seen::Record(record) if screen.json => {
                let what = say::event::text(&record.event);
                let object = serde_json::json!({"v": 1, "what": "event", "event": record.number,
                    "at": say::rfc3339(record.at), "text": what});
                format!("{object}\n")
            }
            Seen::Record(record) => {
                let what = say::harmless(&say::event::text(&record.event));
                format!("{:>8}  {}  {what}\n", record.number, say::clock_time(record.at))
            }
        };
        screen.text(&text);
    }
}

/// Events as they came, as much faster as is said; where it ends is the moment that is shown from then on.
async fn play(session: &mut Session, screen: &mut Screen, line: &Line) -> Result<(), Fault> {
    let times = match line.plain().next() {
        None => PLAY,
        Some(word) => {
            let wrong = || Fault::usage(word.span.clone(), "as fast as what? x1 as it was, x10, x100");
            let times = word.text.strip_prefix('x').and_then(|times| times.parse().ok());
            times.filter(|times: &u32| *times > 0).ok_or_else(wrong)?
        }
    };
    while let Some((record, gap)) = session.console.next()? {
        let (what, at) = (say::harmless(&say::event::text(&record.event)), say::clock_time(record.at));
        let text = format!("{:>8}  {at}  {what}\n", record.number);
        tokio::time::sleep((gap / times).min(PAUSE)).await;
        session.console.play(Duration::ZERO)?;
        screen.text(&text);
    }
    Ok(())
}

async fn logs(session: &Session, screen: &mut Screen, line: &Line) -> Result<(), Fault> {
    let client = daemon(session)?;
    let word = line.plain().next().ok_or_else(|| Fault::usage(line.span.clone(), "logs of which task?"))?;
    let task = task_of(session, &client, word).await?;
    let detail = client.task(task).await?;
    let Some(attempt) = detail.attempts.last() else {
        return Err(Fault::of(Sort::NotFound, format!("{task} has not started yet")));
    };
    let mut follow = client.output(task, attempt.number);
    if line.has("-d") {
        return digest(&mut follow, screen).await;
    }
    while let Some(piece) = next(&mut follow, line.has("-f")).await? {
        screen.text(&shown(&piece));
    }
    Ok(())
}

async fn digest(follow: &mut Follow, screen: &mut Screen) -> Result<(), Fault> {
    let mut digesting = Digesting::new(USUAL_LIMIT_BYTES);
    while let Some(piece) = next(follow, false).await? {
        piece.parts.iter().for_each(|part| digesting.push(part));
    }
    screen.text(&say::output::digest(&digesting.finish()));
    Ok(())
}

async fn task_of(session: &Session, client: &Client, word: &Word) -> Result<TaskId, Fault> {
    match session.console.target(word).await? {
        Target::Task(task) => Ok(task),
        Target::Graph(graph) if client.graph(graph).await?.tasks.total() == 1 => Ok(graph.first_task()),
        Target::Graph(graph) => {
            Err(Fault::usage(word.span.clone(), format!("{graph} has several tasks; name one of them")))
        }
    }
}

async fn next(follow: &mut Follow, wait: bool) -> Result<Option<OutputPiece>, Fault> {
    let piece = if wait { follow.next().await } else { follow.next_past().await };
    match piece {
        Err(ClientError::NoOutput(OutputRefusal::Gone)) => Ok(None),
        other => Ok(other?),
    }
}

/// What a task wrote, without anything that a terminal obeys.
fn shown(piece: &OutputPiece) -> String {
    let mut text = String::new();
    for part in &piece.parts {
        if part.omitted > 0 {
            text.push_str(&format!("\n[{} left out here]\n", say::size(part.omitted)));
        }
        let part = String::from_utf8_lossy(&part.bytes);
        text.extend(part.chars().map(|c| if c.is_control() && !"\n\t".contains(c) { '\u{fffd}' } else { c }));
    }
    text
}

async fn watch(session: &mut Session, screen: &mut Screen, line: &Line) -> Result<(), Fault> {
    let begin = line.span.end;
    let rest = line.text.get(begin..).unwrap_or_default();
    let (inner, every) = split(rest);
    let inner = session.expanded(inner);
    let parsed = syntax::parse(&inner).map_err(|fault| Fault { span: None, ..fault })?;
    let Some(parsed) = parsed.filter(|parsed| !is_for(parsed)) else {
        return Err(Fault::usage(line.span.clone(), "watch wants a line that is answered at once"));
    };
    session.console.follow(true);
    loop {
        let replies = session.console.answer(&parsed).await?;
        if screen.terminal && !screen.json {
            // From the upper left corner, over what was there: nothing flickers.
            screen.text("\x1b[H\x1b[2J\x1b[3J");
            let header = session.console.header().await?.line(&screen.canvas());
            screen.text(&format!("{header}   every {}, Ctrl-C ends\n\n", say::length(every)));
        }
        screen.replies(&replies, false);
        tokio::time::sleep(every).await;
    }
}

/// The line, and how often, where that stands behind it.
fn split(rest: &str) -> (&str, Duration) {
    let rest = rest.trim();
    let split = rest.rsplit_once(' ').and_then(|(line, last)| {
        let is_length = last.starts_with(|c: char| c.is_ascii_digit()) && last.ends_with(['s', 'm']);
        Some((line, quantity::duration(last).ok().filter(|_| is_length)?))
    });
    split.map_or((rest, EVERY), |(line, every)| (line, every.max(EVERY_LEAST)))
}
