//! Rows for people, made from the scheduler's table and the tasks' records.

use policy::event::{Event, GraphEvent};

use crate::scheduler::{NamedAt, RawExplanation, RawRow};
use crate::side::Side;
use crate::story::told::Told;
use crate::story::{self, StoryError};
use crate::wire::client::{Blocker, Explanation, Found, PAGE_LIMIT, TaskDetail, TaskRow};

/// Rows of a list, in its order.
pub(super) fn all(side: &Side, raw: &[RawRow]) -> Result<Vec<TaskRow>, StoryError> {
    raw.iter().map(|raw| read(side, raw).map(|told| row(&told, raw))).collect()
}

/// Everything about one task.
pub(super) fn detail(side: &Side, raw: &RawRow) -> Result<TaskDetail, StoryError> {
    let told = read(side, raw)?;
    let mut dependencies = Vec::new();
    for (position, needs) in &raw.dependencies {
        let on = story::read_item(&side.archive, *position)?;
        dependencies.push((on.item.spec.name.as_ref().into(), *needs));
    }
    Ok(TaskDetail {
        row: row(&told, raw),
        array_index: told.index,
        spec: std::sync::Arc::clone(&told.item.item.spec),
        dependencies,
        waits_for: raw.waits_for.clone(),
        submitted: told.item.at,
        attempts: told.attempts,
        events: told.records,
    })
}

/// What a task waits for, with the names of what it depends on.
pub(super) fn explained(side: &Side, raw: RawExplanation) -> Result<Explanation, StoryError> {
    let mut blocked_by = Vec::with_capacity(raw.blocked_by.len());
    for (tasks, item, [priority, runs_as]) in &raw.blocked_by {
        let (name, priority) =
            (story::read_item(&side.archive, *item)?.item.spec.name.as_ref().into(), *priority);
        let (task, tasks) = (tasks.first, tasks.count);
        let runs_as = Some(*runs_as).filter(|runs_as| *runs_as > priority);
        blocked_by.push(Blocker { task, tasks, name, priority, runs_as });
    }
    Ok(Explanation {
        row: row(&read(side, &raw.row)?, &raw.row),
        verdict: raw.verdict,
        blocked_by,
        hindrances: raw.hindrances,
        evicting: raw.evicting,
        makes_room_for: raw.makes_room_for,
        lent: raw.lent,
        evicted: raw.evicted,
        holdings: raw.holdings,
        ahead: raw.ahead,
        usual: raw.usual,
        estimate: raw.estimate,
    })
}

/// What among the newest has this name.
pub(super) fn find(side: &Side, named: &[NamedAt], name: &str) -> Vec<Found> {
    let found = |at: &NamedAt| {
        let is = match side.archive.read(at.position).ok()?.event {
            Event::Graph(_, GraphEvent::Admitted(head)) => head.name,
            Event::Graph(_, GraphEvent::ItemAdmitted(item)) => std::sync::Arc::clone(&item.spec.name),
            _ => return None,
        };
        (*is == *name).then(|| Found { target: at.target, name: name.into() })
    };
    named.iter().filter_map(found).take(PAGE_LIMIT as usize).collect()
}

fn row(told: &Told, raw: &RawRow) -> TaskRow {
    told.row((raw.seat.task, raw.seat.graph), (raw.state, raw.priority))
}

fn read(side: &Side, raw: &RawRow) -> Result<Told, StoryError> {
    let item = story::read_item(&side.archive, raw.seat.item)?;
    let records = story::records(&side.archive, raw.seat.last)?;
    let mut told = Told::new(item, raw.seat.index, records);
    if let Some(position) = raw.unschedulable {
        let source = |source| StoryError::Unreadable { position, source };
        told.records.push((position, side.archive.read(position).map_err(source)?));
        told.records.sort_by_key(|(_, record)| record.number);
    }
    Ok(told)
}
