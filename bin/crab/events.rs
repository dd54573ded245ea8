//! `crab events`.

use actors::client::{Client, Seen};
use actors::say;
use actors::wire::client::{EventFilter, Target};
use policy::event::Record;

use crate::cli::args::Events;
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
    let after = match (args.after, filter) {
        (Some(after), _) => after,
        (None, EventFilter::All) => last.saturating_sub(RECENT),
        (None, _) => 0,
    };
    let mut watch = client.events(after, filter);
    loop {
        let seen = if args.follow { Some(watch.next().await?) } else { past(&mut watch, last).await? };
        match seen {
            None => return Ok(Exit::SUCCESS),
            Some(Seen::Gap { resumes_at }) => {
                screen.note(format_args!("events before number {resumes_at} were removed by retention"));
            }
            Some(Seen::Record(record)) if screen.json => screen.object(&json::Event::from(&record))?,
            Some(Seen::Record(record)) => screen.line(event_line(&record))?,
        }
    }
}

/// The next event up to `last`; pages without an event of interest are skipped.
async fn past(watch: &mut actors::client::Watch, last: u64) -> anyhow::Result<Option<Seen>> {
    loop {
        match watch.next_past().await? {
            Some(Seen::Record(record)) if record.number > last => return Ok(None),
            Some(seen) => return Ok(Some(seen)),
            None if watch.fetched() >= last => return Ok(None),
            None => {}
        }
    }
}

/// `     123  12:03:01  t12 started, pid 4711`.
pub(crate) fn event_line(record: &Record) -> String {
    let what = text::harmless(&say::event::text(&record.event));
    format!("{:>8}  {}  {what}", record.number, text::clock_time(record.at))
}
