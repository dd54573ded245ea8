//! A handler agent: tasks of its kind are messages to it, under the leases, retries and limits of all tasks.
//!
//! It joins this machine's daemon as a node that counts words, two texts at a time, hands in three texts, and tells what
//! came of them.
//!
//!     crabd &
//!     cargo run -p knittingcrab-actors --example handler

use actors::agent::{Agent, Call};
use actors::client::{Client, Endpoint, default_data_dir, random_key};
use actors::wire::client::NodeHealth;
use policy::event::Item;
use policy::id::TaskId;
use policy::submission::Submission;
use policy::task::TaskSpec;

type Trouble = Box<dyn std::error::Error>;

const TEXTS: [&str; 3] = ["one two three", "", "four five"];

#[tokio::main]
async fn main() -> Result<(), Trouble> {
    let data = default_data_dir().ok_or("no home directory")?;
    let client = Client::connect(Endpoint::of_data_dir(&data));
    let agent = Agent::named("word-counter").handle("count-words", 2, count);
    let handling = agent.start(&Endpoint::of_data_dir(&data)).await?;
    joined(&client).await?;

    // Anybody could hand these in, also a task file: handler = "count-words", payload = "one two three".
    let text = |(number, text): (usize, &&str)| {
        Item::new(TaskSpec::for_handler(&format!("text-{number}"), "count-words", *text))
    };
    let items = TEXTS.iter().enumerate().map(text).collect();
    let submitted = client.submit(Submission::new(random_key(), "texts", items)).await?;
    for task in (submitted.first.0..).map(TaskId).take(TEXTS.len()) {
        let detail = client.wait_task(task, None).await?;
        let words = detail.results().iter().find(|result| &*result.name == "words");
        let words = words.map_or("none were counted", |words| &*words.json);
        say(format_args!("{task} {}: {words}", detail.row.state));
    }
    handling.stop(None).await;
    Ok(())
}

/// What is called for each task; what it refuses with is the task's failure.
async fn count(call: Call) -> Result<(), String> {
    let text = String::from_utf8_lossy(call.payload()).into_owned();
    let words = text.split_whitespace().count();
    if words == 0 {
        return Err("there are no words".to_owned());
    }
    call.print(format_args!("{words} words in {text:?}"));
    call.result("words", words).map_err(|error| error.to_string())
}

/// Waits until tasks for the agent are taken in.
async fn joined(client: &Client) -> Result<(), Trouble> {
    loop {
        let nodes = client.nodes().await?;
        if nodes.iter().any(|node| &*node.node.0 == "word-counter" && node.health == NodeHealth::Up) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
fn say(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}
