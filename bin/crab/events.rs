//! `crab events`.

use actors::client::{Client, Seen};
use actors::clock::Clock;
use actors::say;
use actors::wire::client::{EventFilter, Target};
use policy::event::Record;

use crate::cli::args::seeing::Events;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

/// Events of the past that are shown where nobody says from which on.
const RECENT: u64 = 100;

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Events) -> anyhow::Result<Exit> {
    let filter = match &args.target {
        None => EventFilter::All,
        Some(wanted) => match target::find(client, wanted).await? {
            Target::Task(task) => EventFilter::Task(task),
            Target::Graph(graph) => EventFilter::Graph(graph),
        },
    };
    let last = client.hello().await?.durable;
    let since = args.since.map(|since| Clock::system().wall() - since);
    let is_narrow = !args.types.is_empty() || filter != EventFilter::All;
    let after = match (args.after, since) {
        (Some(after), _) => after,
        (None, Some(since)) => client.number_before(since, last).await?,
        (None, None) if is_narrow => 0,
        (None, None) => last.saturating_sub(RECENT),
    };
    let is_wanted = |record: &Record| {
        let name = json::Event::from(record).name();
        since.is_none_or(|since| record.at >= since)
            && (args.types.is_empty() || args.types.iter().any(|wanted| is_of(name, wanted)))
    };
    let mut watch = client.events(after, filter);
    loop {
        let seen = if args.follow { Some(watch.next().await?) } else { watch.next_until(last).await? };
        match seen {
            None => return Ok(Exit::SUCCESS),
            Some(Seen::Gap { resumes_at }) => {
                screen.note(format_args!("events before number {resumes_at} were removed by retention"));
            }
            Some(Seen::Record(record)) if !is_wanted(&record) => {}
            Some(Seen::Record(record)) if screen.json => screen.object(&json::Event::from(&record))?,
            Some(Seen::Record(record)) => screen.line(event_line(&record))?,
        }
    }
}

/// Whether an event's name is `wanted`, or is one of all that `wanted` stands for: `node.*`.
fn is_of(name: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == wanted,
    }
}

/// `     123  12:03:01  t12 started, pid 4711`.
pub(crate) fn event_line(record: &Record) -> String {
    let what = text::harmless(&say::event::text(&record.event));
    format!("{:>8}  {}  {what}", record.number, text::clock_time(record.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_a_name_or_a_beginning() {
        assert!(is_of("task.granted", "task.granted") && !is_of("task.granted", "task"));
        assert!(is_of("node.lost", "node.*") && is_of("node.lost", "*") && !is_of("task.lost", "node.*"));
    }
}
