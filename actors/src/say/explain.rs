//! What a task waits for, in words: the same to everybody who asks.

use policy::explain::{Ahead, Estimate, Holding, Verdict};
use policy::graph::Lent;
use policy::preempt::{EVICTIONS_LIMIT, Evicted};
use policy::task::Priority;
use policy::time::Timestamp;
use strum::VariantArray;

use crate::say;
use crate::wire::client::{Blocker, Evicting, Explanation};

/// The task, and the verdict on it.
#[must_use]
pub fn headline(told: &Explanation, now: Timestamp) -> String {
    let row = &told.row;
    let verdict = match told.verdict {
        Verdict::Ended => row.outcome.as_ref().map_or_else(|| "it has ended".to_owned(), ToString::to_string),
        Verdict::Active => {
            let node = row.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
            format!("it is {}{node}", row.doing())
        }
        Verdict::WaitsForOthers => "it waits for tasks that it depends on".to_owned(),
        Verdict::NeverFits => "it can never run on the machines there are".to_owned(),
        Verdict::ParkedUntil(until) => {
            format!("not before {} (in {})", say::clock_time(until), say::length(until.since(now)))
        }
        Verdict::NotNow => "not now".to_owned(),
        Verdict::RunsNext => "it runs next".to_owned(),
    };
    // Of what has ended or runs the verdict says its state as well.
    let state = match told.verdict {
        Verdict::Ended | Verdict::Active => String::new(),
        _ => format!(", {}", row.state),
    };
    format!("{} {} of {}, {} priority{state}: {verdict}", row.task, row.name, row.graph, row.priority)
}

/// Why: what each line is about, and the line.
#[must_use]
pub fn reasons(told: &Explanation) -> Vec<(&'static str, String)> {
    let mut reasons: Vec<_> =
        told.blocked_by.iter().map(|one| ("depends on", blocker(one, told.row.priority))).collect();
    reasons.extend(told.hindrances.iter().map(|hindrance| ("because", hindrance.to_string())));
    reasons.extend(told.evicting.iter().map(|one| ("room", evicting(one))));
    reasons
        .extend(told.makes_room_for.iter().map(|by| ("room", format!("is stopped to make room for {by}"))));
    reasons.extend(told.lent.iter().map(|one| ("priority", lent(*one))));
    reasons.extend(told.evicted.iter().map(|one| ("evicted", evicted(*one))));
    reasons.extend(told.holdings.iter().map(|one| ("held by", holding(one, told.row.priority))));
    let served_as = told.lent.map_or(told.row.priority, |lent| lent.runs_as);
    reasons.extend(told.ahead.iter().flat_map(|one| ahead(one, served_as)).map(|line| ("behind", line)));
    if let Some(usual) = told.usual {
        reasons.push(("usually", format!("tasks that ask alike take {}", say::length(usual))));
    }
    reasons.extend(told.estimate.iter().map(|one| ("estimate", estimated(one))));
    if told.verdict == Verdict::NeverFits {
        reasons.push(("next step", format!("join a larger machine, or `crab cancel {}`", told.row.task)));
    }
    reasons
}

fn estimated(estimate: &Estimate) -> String {
    match estimate.is_at_any_moment() {
        true => format!("may start at any moment: {}", estimate.by),
        false => format!("starts in about {} (by {})", say::length(estimate.start_in), estimate.by),
    }
}

/// Who is before it, and by what.
fn ahead(ahead: &Ahead, priority: Priority) -> Vec<String> {
    let about = if ahead.is_exact { "" } else { "about " };
    let mut lines = Vec::new();
    if ahead.own > 0 {
        let first = ahead.first.map(|first| format!("; the next to start is {first}")).unwrap_or_default();
        let own = say::count(ahead.own, "task");
        lines.push(format!("{about}{own} of its tenant and priority that came earlier{first}"));
    }
    if !ahead.tenants.is_empty() {
        let named = ahead.tenants.iter().map(|(tenant, tasks)| format!("{tasks} of {tenant}"));
        let named = named.collect::<Vec<_>>().join(", ");
        lines.push(format!("by their share of {priority} priority: {about}{named}"));
    }
    let of = |(one, tasks): (&Priority, &u64)| (*tasks > 0).then(|| format!("{tasks} of {one}"));
    let others: Vec<_> = Priority::VARIANTS.iter().zip(&ahead.priorities).rev().filter_map(of).collect();
    if !others.is_empty() {
        lines.push(format!("by the slices of priorities: {about}{}", others.join(", ")));
    }
    if ahead.aged > 0 {
        lines.push(format!("{} of these because they have waited long", ahead.aged));
    }
    lines
}

/// `runs as critical: lent by t12`.
fn lent(Lent { runs_as, by }: Lent) -> String {
    format!("runs as {runs_as}: lent by {by}")
}

/// `evicting t5, t9, so that it can start on n2`.
fn evicting(evicting: &Evicting) -> String {
    let tasks: Vec<_> = evicting.tasks.iter().map(ToString::to_string).collect();
    format!("evicting {}, so that it can start on {}", tasks.join(", "), evicting.node)
}

/// `was evicted for t12, once; it may be 3 times`.
fn evicted(Evicted { times, by }: Evicted) -> String {
    let times = match times {
        1 => format!("once; it may be {EVICTIONS_LIMIT} times"),
        EVICTIONS_LIMIT.. => format!("{times} times: it will not be again"),
        _ => format!("{times} times; it may be {EVICTIONS_LIMIT} times"),
    };
    format!("was evicted for {by}, {times}")
}

fn blocker(blocker: &Blocker, row_priority: Priority) -> String {
    let inverted = match blocker.runs_as {
        _ if blocker.priority >= row_priority => String::new(),
        None => ", less urgent".to_owned(),
        Some(runs_as) => format!(", less urgent, runs as {runs_as}"),
    };
    match blocker.tasks {
        1 => format!("{} {}{inverted}", blocker.task, blocker.name),
        tasks => format!("{tasks} tasks of {} from {} on{inverted}", blocker.name, blocker.task),
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
