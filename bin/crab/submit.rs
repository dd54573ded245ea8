//! `crab submit`.

use std::time::Duration;

use actors::client::Client;
use actors::wire::client::{Submitted, Target};
use policy::dependency::{Dependency, Need, On};

use crate::cli::args::Submit;
use crate::cli::exit::Exit;
use crate::cli::json;
use crate::cli::screen::Screen;
use crate::cli::session::Session;
use crate::cli::work::{self, Joined};
use crate::cli::{target, text, wait};

/// How long the acknowledgement is held back for the end of what is waited for.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long a scheduler that is full is asked again.
pub(crate) const BUSY_PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(session: &Session, screen: &mut Screen, args: Submit) -> anyhow::Result<Exit> {
    let client: Client = session.connect()?;
    let joined = joined(&client, args.into.as_deref(), &args.after).await?;
    let submission = work::addition(args.work, joined)?;
    if args.wait {
        let ran = client.run_patiently(submission, (FIRST_WAIT, false), BUSY_PATIENCE).await?;
        warn(screen, &ran.submitted);
        return match ran.row.ended {
            Some(_) => wait::tell(screen, &ran.row),
            None => wait::graph(&client, screen, ran.submitted.graph, None).await,
        };
    }
    let submitted = client.submit_patiently(submission, BUSY_PATIENCE).await?;
    if screen.json {
        screen.object(&json::Submission::from(&submitted))?;
    } else if screen.quiet {
        screen.line(submitted.graph)?;
    } else {
        let known = if submitted.repeated { ", submitted before under this key" } else { "" };
        let added = if submitted.first == submitted.graph.first_task() {
            String::new()
        } else {
            format!(" added from {} on", submitted.first)
        };
        let tasks = text::count(submitted.tasks, "task");
        screen.line(format_args!("{} ({tasks}{added}{known})", submitted.graph))?;
        warn(screen, &submitted);
    }
    Ok(Exit::SUCCESS)
}

/// What of it waits in vain as things are.
pub(crate) fn warn(screen: &mut Screen, submitted: &Submitted) {
    for warning in &submitted.warnings {
        screen.note(format_args!("warning: {}", text::harmless(warning)));
    }
}

/// Where it belongs: the graph that is named, or that of the first task it depends on.
async fn joined(client: &Client, into: Option<&str>, after: &[String]) -> anyhow::Result<Joined> {
    let after: Vec<_> = after.iter().map(|text| dependency(text)).collect();
    let into = match (into, after.first()) {
        (Some(graph), _) => Some(target::find_graph(client, graph).await?),
        (None, Some(Dependency { on: On::Task(task), .. })) => Some(client.task(*task).await?.row.graph),
        (None, Some(Dependency { on: On::Name(name), .. })) => Some(target::graph_of(client, name).await?),
        (None, Some(Dependency { on: On::Item(_), .. }) | None) => None,
    };
    Ok(Joined { into, after })
}

/// Reads `t12`, `build` or `build:end`. What stands behind a colon and is no need belongs to the name.
fn dependency(text: &str) -> Dependency {
    let with_need = text.rsplit_once(':').and_then(|(task, needs)| Some((task, needs.parse().ok()?)));
    let (task, needs) = with_need.unwrap_or((text, Need::Success));
    let on = match target::parse(task) {
        Some(Target::Task(task)) => On::Task(task),
        _ => On::Name(task.into()),
    };
    Dependency { on, needs }
}

#[cfg(test)]
mod tests {
    use policy::id::TaskId;

    use super::*;

    #[test]
    fn what_a_command_waits_for_is_a_task_and_perhaps_how_it_ended() {
        let of = |on, needs| Dependency { on, needs };
        assert_eq!(dependency("t5"), of(On::Task(TaskId(5)), Need::Success));
        assert_eq!(dependency("t5:end"), of(On::Task(TaskId(5)), Need::End));
        assert_eq!(dependency("unit tests:always"), of(On::Name("unit tests".into()), Need::Always));
        assert_eq!(dependency("a:b"), of(On::Name("a:b".into()), Need::Success));
    }
}
