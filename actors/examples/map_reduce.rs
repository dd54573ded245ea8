//! A map-reduce agent: the fleet counts the words of each file, the agent adds them up as they come.
//!
//!     crabd &
//!     cargo run -p knittingcrab-actors --example map_reduce -- README.md ARCHITECTURE.md

use actors::client::{Client, random_key};
use actors::taskfile::path_text;
use actors::wire::client::StateName;
use policy::event::Item;
use policy::id::{AttemptNumber, TaskId};
use policy::submission::Submission;
use policy::task::TaskSpec;

type Trouble = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Trouble> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        return Err("name the files to count".into());
    }
    let client = Client::connect_default().ok_or("no home directory")?;
    let here = path_text(&std::env::current_dir()?);

    // Map: a task for each file, named after it. What is written down of it survives this agent.
    let mapper = |file: &String| {
        let argv = ["wc", "-w", file].map(Into::into).into();
        let directory = Some(here.clone());
        Item::new(TaskSpec { directory, kind: Some("count".into()), ..TaskSpec::new(file.as_str(), argv) })
    };
    let items = files.iter().map(mapper).collect();
    let submitted = client.submit(Submission::new(random_key(), "map-reduce", items)).await?;

    // Reduce: each as soon as it is there, in the order of the files.
    let mut sum = 0;
    for (task, file) in (submitted.first.0..).map(TaskId).zip(&files) {
        let row = client.wait_task(task, None).await?.row;
        if row.state != StateName::Succeeded {
            return Err(format!("{task} {file}: {}", row.state).into());
        }
        let words = words(&client, task).await?;
        say(format_args!(
            "{words:>8} {file}, counted by {}",
            row.node.map_or_else(String::new, |node| node.to_string())
        ));
        sum += words;
    }
    say(format_args!("{sum:>8} words in {} files", files.len()));
    Ok(())
}

/// The number that a mapper has written.
async fn words(client: &Client, task: TaskId) -> Result<u64, Trouble> {
    let mut output = client.output(task, AttemptNumber(1));
    let mut text = Vec::new();
    while let Some(piece) = output.next().await? {
        piece.parts.into_iter().for_each(|part| text.extend(part.bytes));
    }
    let text = String::from_utf8(text)?;
    let number = text.split_whitespace().next().ok_or("nothing was written")?;
    Ok(number.parse()?)
}

#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
fn say(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}
