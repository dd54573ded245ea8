//! An agent that tests, repairs and tests again, within a budget that the fleet keeps.
//!
//! Its program has a fault that its test finds. Each round adds a task to one graph; when the budget of attempts is used
//! up, the fleet grants no more of them, whatever the agent does.
//!
//!     crabd &
//!     cargo run -p knittingcrab-actors --example repair

use std::path::Path;

use actors::client::{Client, random_key};
use actors::taskfile::{self, Context, Given};
use actors::wire::client::{StateName, TaskDetail};
use policy::id::{AttemptNumber, GraphId, TaskId};

type Trouble = Box<dyn std::error::Error>;

/// Rounds of repairing, at the most: the budget allows two attempts for each.
const ROUNDS: usize = 3;

/// The program, and what is wrong with it: it greets nobody.
const PROGRAM: &str = "echo \"hello, $WHO\"\n";
/// The first task; what is added later belongs to its budget.
const TEST: &str = r#"
    [budget]
    attempts = 6
    time = "10m"
    [task.test]
    kind = "test"
    timeout = "1m"
    shell = "sh greet.sh | tee out && grep -q world out"
"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Trouble> {
    let client = Client::connect_default().ok_or("no home directory")?;
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("greet.sh"), PROGRAM)?;
    let agent = Agent { client, directory: directory.path() };

    let (graph, mut test) = agent.submit(TEST, None).await?;
    for round in 1..=ROUNDS {
        let detail = agent.client.wait_task(test, None).await?;
        say(format_args!("round {round}: {test} {}", detail.row.state));
        if detail.row.state == StateName::Succeeded {
            return Ok(());
        }
        let complaint = agent.output(&detail).await?;
        let repair = think(round, &complaint);
        say(format_args!("         it wrote {complaint:?}; trying {repair:?}"));
        let tasks = format!(
            "[task.repair-{round}]\nkind = \"repair\"\nshell = {repair:?}\n[task.test-{round}]\nkind = \"test\"\n\
             after = [\"repair-{round}\"]\nshell = \"sh greet.sh | tee out && grep -q world out\"\n"
        );
        let (_, first) = agent.submit(&tasks, Some(graph)).await?;
        test = TaskId(first.0 + 1);
    }
    Err("not repaired".into())
}

/// Where a model would be asked: what to change, seen what the test has written.
fn think(round: usize, complaint: &str) -> &'static str {
    match (round, complaint.contains("hello")) {
        (1, true) => "sed -i.bak 's/hello/good day/' greet.sh",
        _ => "sed -i.bak 's/.WHO/world/' greet.sh",
    }
}

struct Agent<'a> {
    client: Client,
    directory: &'a Path,
}

impl Agent<'_> {
    /// Submits tasks, into a graph where there is one already; the graph and the first task.
    async fn submit(&self, tasks: &str, into: Option<GraphId>) -> Result<(GraphId, TaskId), Trouble> {
        let context = Context {
            directory: self.directory.to_owned(),
            name: "repair".into(),
            tenant: "repairer".into(),
            key: random_key(),
            into,
            parameters: Given::new(),
        };
        let submission = taskfile::parse(tasks, Path::new("repair.toml"), &context)?;
        let submitted = self.client.submit(submission).await?;
        Ok((submitted.graph, submitted.first))
    }

    /// What its last attempt has written.
    async fn output(&self, detail: &TaskDetail) -> Result<String, Trouble> {
        let attempt = detail.attempts.last().map_or(AttemptNumber(1), |attempt| attempt.number);
        let mut output = self.client.output(detail.row.task, attempt);
        let mut text = Vec::new();
        while let Some(piece) = output.next().await? {
            piece.parts.into_iter().for_each(|part| text.extend(part.bytes));
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
fn say(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}
