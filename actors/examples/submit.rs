//! A Rust agent: submits a graph to this machine's daemon, adds to it, watches it, and reads what a task wrote.
//!
//!     crabd &
//!     cargo run -p knittingcrab-actors --example submit

use std::path::Path;

use actors::client::{Client, Seen, random_key};
use actors::taskfile::{self, Context, Given};
use actors::wire::client::EventFilter;
use policy::id::AttemptNumber;

const TASKS: &str = r#"
    [task.greet]
    command = ["echo", "hello from a Rust agent"]
    [task.count]
    after = ["greet"]
    shell = "seq 1 3"
"#;

/// Added when it runs already: said however the counting ended.
const MORE: &str = r#"
    [task.thank]
    after = [{ task = "count", needs = "always" }]
    command = ["echo", "thank you"]
"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let context = Context {
        directory: std::env::current_dir()?,
        name: "example".into(),
        tenant: "example".into(),
        key: random_key(),
        into: None,
        parameters: Given::new(),
    };
    let submission = taskfile::parse(TASKS, Path::new("example.toml"), &context)?;

    let client = Client::connect_default().ok_or("no home directory")?;
    let before = client.hello().await?.durable;
    let submitted = client.submit(submission).await?;
    say(format_args!("{} has {} tasks", submitted.graph, submitted.tasks));
    let into = Some(submitted.graph);
    let more =
        taskfile::parse(MORE, Path::new("more.toml"), &Context { key: random_key(), into, ..context })?;
    let added = client.submit(more).await?;
    say(format_args!("and {} more from {} on", added.tasks, added.first));

    // The end of the graph, and meanwhile every event of it.
    let mut watch = client.events(before, EventFilter::Graph(submitted.graph));
    let ended = client.wait(submitted.graph, None);
    tokio::pin!(ended);
    let row = loop {
        tokio::select! {
            row = &mut ended => break row?,
            seen = watch.next() => match seen? {
                Seen::Record(record) => say(format_args!("event {}: {:?}", record.number, record.event)),
                Seen::Gap { resumes_at } => say(format_args!("events before {resumes_at} are gone")),
            },
        }
    };
    say(format_args!("{} of {} tasks succeeded", row.tasks.succeeded, row.tasks.total()));

    let mut output = client.output(submitted.graph.first_task(), AttemptNumber(1));
    while let Some(piece) = output.next().await? {
        for part in piece.parts {
            say(format_args!("{:?}: {}", part.stream, String::from_utf8_lossy(&part.bytes)));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
fn say(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}
