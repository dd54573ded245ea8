//! What a task waits for, in words: the same to everybody who asks.

use policy::explain::{Holding, Verdict};
use policy::task::Priority;
use policy::time::Timestamp;

use crate::say;
use crate::wire::client::{Blocker, Explanation};

/// The task, and the verdict on it.
#[must_use]
pub fn headline(told: &Explanation, now: Timestamp) -> String {
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
            format!("not before {} (in {})", say::clock_time(until), say::length(until.since(now)))
        }
        Verdict::NotNow => "not now".to_owned(),
        Verdict::RunsNext => "it runs next".to_owned(),
    };
    format!("{} {} of {}, {} priority, {}: {verdict}", row.task, row.name, row.graph, row.priority, row.state)
}

/// Why: what each line is about, and the line.
#[must_use]
pub fn reasons(told: &Explanation) -> Vec<(&'static str, String)> {
    let mut reasons: Vec<_> = told.blocked_by.iter().map(|one| ("depends on", blocker(one))).collect();
    reasons.extend(told.hindrances.iter().map(|hindrance| ("because", hindrance.to_string())));
    reasons.extend(told.holdings.iter().map(|one| ("held by", holding(one, told.row.priority))));
    if let Some(ahead) = told.ahead.as_ref().filter(|ahead| ahead.tasks > 0) {
        let first = ahead.first.map(|first| format!(", the first of them {first}")).unwrap_or_default();
        let tasks = say::count(ahead.tasks, "task");
        reasons
            .push(("behind", format!("{tasks} of {} priority that came before{first}", told.row.priority)));
    }
    if let Some(usual) = told.usual {
        reasons.push(("usually", format!("tasks that ask alike take {}", say::length(usual))));
    }
    if let Some(estimate) = &told.estimate {
        let when = say::length(estimate.start_in);
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

fn holding(holding: &Holding, row_priority: Priority) -> String {
    let free = match holding.free_in {
        Some(free_in) if free_in.is_zero() => ", longer than usual already".to_owned(),
        Some(free_in) => format!(", as a rule for {} more", say::length(free_in)),
        None => String::new(),
    };
    let Holding { task, priority, node, held_for, .. } = holding;
    let inverted = if *priority < row_priority { ", less urgent" } else { "" };
    format!("{task} on {node} for {}{free}{inverted}", say::length(*held_for))
}
