//! `crab explain`: what a task waits for.

use actors::client::Client;
use actors::clock::Clock;
use actors::wire::client::{Blocker, Explanation};
use policy::explain::{Holding, Verdict};
use policy::time::Timestamp;

use crate::cli::args::Show;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Show) -> anyhow::Result<Exit> {
    let task = target::find_task(client, &args.task).await?;
    let told = client.explain(task).await?;
    if screen.json {
        screen.object(&json::Explanation::from(&told))?;
        return Ok(Exit::SUCCESS);
    }
    let now = Clock::system().wall();
    screen.line(text::harmless(&headline(&told, now)))?;
    for (name, value) in reasons(&told) {
        screen.line(format_args!("  {name:<13}{}", text::harmless(&value)))?;
    }
    Ok(Exit::SUCCESS)
}

fn headline(told: &Explanation, now: Timestamp) -> String {
    let row = &told.row;
    let verdict = match told.verdict {
        Verdict::Ended => row.outcome.as_ref().map_or_else(|| "it has ended".to_owned(), ToString::to_string),
        Verdict::Active => {
            let node = row.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
            format!("it is {}{node}", row.state)
        }
        Verdict::WaitsForOthers => "it waits for tasks that it depends on".to_owned(),
        Verdict::NeverFits => "it can never run on the machines there are".to_owned(),
        Verdict::ParkedUntil(until) => {
            format!("not before {} (in {})", text::clock_time(until), text::length(until.since(now)))
        }
        Verdict::NotNow => "not now".to_owned(),
        Verdict::RunsNext => "it runs next".to_owned(),
    };
    format!("{} {} of {}, {} priority, {}: {verdict}", row.task, row.name, row.graph, row.priority, row.state)
}

fn reasons(told: &Explanation) -> Vec<(&'static str, String)> {
    let mut reasons: Vec<_> = told.blocked_by.iter().map(|one| ("depends on", blocker(one))).collect();
    reasons.extend(told.hindrances.iter().map(|hindrance| ("because", hindrance.to_string())));
    reasons.extend(told.holdings.iter().map(|one| ("held by", holding(one))));
    if let Some(ahead) = told.ahead.as_ref().filter(|ahead| ahead.tasks > 0) {
        let first = ahead.first.map(|first| format!(", the first of them {first}")).unwrap_or_default();
        let tasks = text::count(ahead.tasks, "task");
        reasons
            .push(("behind", format!("{tasks} of {} priority that came before{first}", told.row.priority)));
    }
    if let Some(usual) = told.usual {
        reasons.push(("usually", format!("tasks that ask alike take {}", text::length(usual))));
    }
    if let Some(estimate) = &told.estimate {
        let when = text::length(estimate.start_in);
        reasons.push(("estimate", format!("starts in about {when} (by {})", estimate.by)));
    }
    if told.verdict == Verdict::NeverFits {
        reasons.push(("next step", format!("join a larger machine, or `crab cancel {}`", told.row.task)));
    }
    reasons
}

fn blocker(blocker: &Blocker) -> String {
    match blocker.tasks {
        1 => format!("{} {}", blocker.task, blocker.name),
        tasks => format!("{tasks} tasks of {} from {} on", blocker.name, blocker.task),
    }
}

fn holding(holding: &Holding) -> String {
    let free = match holding.free_in {
        Some(free_in) if free_in.is_zero() => ", longer than usual already".to_owned(),
        Some(free_in) => format!(", as a rule for {} more", text::length(free_in)),
        None => String::new(),
    };
    format!("{} on {} for {}{free}", holding.task, holding.node, text::length(holding.held_for))
}
