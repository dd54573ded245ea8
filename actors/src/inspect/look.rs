//! Looks at the tree below one root. Waits for supervisors, which never wait for their children.

use std::sync::Arc;
use std::time::Duration;

use supervision::probe::quantile;
use supervision::supervisor::SupervisorMessage;
use supervision::{
    Address, ChildState, Deed, Described, Description, Errand, First, Inquiry, Kind, ProbeId, Reading, Reply,
    Trace,
};

use crate::inspect::subscribers::Subscribers;
use crate::inspect::{InspectorArgs, spaces};
use crate::levels::{self, Levels};
use crate::wire::inspect::{
    ACTORS_LIMIT, ActorRow, CHILDREN_LIMIT, Look, STATE_DEADLINE, Sight, TRACE_LIMIT,
};

/// How long the whole tree may take to be described: supervisors answer in microseconds, and one that does not
/// is told as such.
const TREE_DEADLINE: Duration = Duration::from_millis(400);

/// Between two looks whether a trace is full.
const TRACE_LOOK: Duration = Duration::from_millis(20);

/// Between the answer to a restart and the restart: what carries the answer may end with the actor.
const FAREWELL: Duration = Duration::from_millis(50);

/// Answers a look.
pub(super) async fn look((args, subscribers): (&InspectorArgs, &Arc<Subscribers>), look: Look) -> Sight {
    let root = &args.root;
    match look {
        Look::Actors { only, first, limit } => {
            let (rows, more) = actors(root, inquiry(only, first, limit)).await;
            Sight::Actors { rows, more }
        }
        Look::Changes { subscriber, after, only, first, limit } => {
            changes(root, (subscribers, subscriber, after), inquiry(only, first, limit)).await
        }
        Look::State(probe) => state(root, probe).await,
        Look::Trace { probe, limit, within } => trace(root, probe, limit, within.min(TRACE_LIMIT)).await,
        Look::Restart(probe) => restart(root, probe).await,
        Look::Levels => told(levels::held().ok_or_else(|| "this program writes no log".to_owned())),
        Look::SetLevels(text) => told(levels::change(&text)),
        Look::Workspaces => spaces::kept(args.spaces.as_ref()).await,
        Look::Discard(task) => spaces::discard(args.spaces.as_ref(), task).await,
    }
}

fn told(levels: Result<Levels, String>) -> Sight {
    levels.map_or_else(|why| Sight::Unseen(why.into()), |levels| Sight::Levels(levels.to_string().into()))
}

fn inquiry(only: Option<Box<str>>, first: First, limit: u32) -> Inquiry {
    let children_limit = limit.min(CHILDREN_LIMIT) as usize;
    Inquiry { children_limit, deadline: TREE_DEADLINE, only: only.map(Into::into), first }
}

/// For one who looks again and again: not sooner than the pace allows, and what is otherwise than it was told.
async fn changes(
    root: &Address<SupervisorMessage>,
    (subscribers, subscriber, after): (&Arc<Subscribers>, u64, u64),
    inquiry: Inquiry,
) -> Sight {
    let pause = subscribers.pause(subscriber);
    tokio::time::sleep(pause.unwrap_or_default()).await;
    let (rows, more) = actors(root, inquiry).await;
    match pause {
        Some(_) => Sight::Changes(Box::new(subscribers.next((subscriber, after), (rows, more)))),
        // Too many: of this one nothing is remembered.
        None => Sight::Actors { rows, more },
    }
}

/// Those that are told, parents first, and how many are left out.
async fn actors(root: &Address<SupervisorMessage>, inquiry: Inquiry) -> (Vec<ActorRow>, u64) {
    let mut rows = vec![ActorRow { is_supervisor: true, ..row(0, &root.probe().read()) }];
    match describe(root, inquiry).await {
        Some(described) => described.children.iter().for_each(|child| flatten(child, 1, &mut rows)),
        None => rows[0].answered = false,
    }
    let more = rows.len().saturating_sub(ACTORS_LIMIT) as u64;
    rows.truncate(ACTORS_LIMIT);
    (rows, more)
}

async fn describe(root: &Address<SupervisorMessage>, inquiry: Inquiry) -> Option<Described> {
    // The root answers at the deadline at the latest; this is for a root that does not answer at all.
    let patience = inquiry.deadline + Duration::from_millis(50);
    root.ask(patience, |reply| SupervisorMessage::Describe { inquiry, reply }).await.ok()
}

fn flatten(child: &Description, level: u8, rows: &mut Vec<ActorRow>) {
    let mut one = row(level, &child.reading);
    if one.name.is_empty() && child.name != *one.kind {
        one.name = child.name.as_str().into();
    }
    one.is_supervisor = child.kind == Kind::Supervisor;
    (one.state, one.answered, one.more) = (child.state, child.answered, child.more as u64);
    rows.push(one);
    in_order(child).into_iter().for_each(|child| flatten(child, level.saturating_add(1), rows));
}

/// Those below it; where all are of one kind, by their names: they come from several shards.
fn in_order(of: &Description) -> Vec<&Description> {
    let mut children: Vec<_> = of.children.iter().collect();
    let kind = children.first().map(|child| child.reading.kind.clone());
    if children.iter().all(|child| child.kind == Kind::Worker && Some(&child.reading.kind) == kind.as_ref()) {
        children.sort_by(|one, other| numbers(&one.reading.name).cmp(&numbers(&other.reading.name)));
    }
    children
}

/// A name in pieces, so that `t9` stands before `t10`.
pub(crate) fn numbers(name: &str) -> Vec<(&str, u64)> {
    let mut rest = name;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let end = rest[digits..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        pieces.push((&rest[..digits], rest[digits..end].parse().unwrap_or(0)));
        rest = &rest[end..];
    }
    pieces
}

fn row(level: u8, reading: &Reading) -> ActorRow {
    let spread = |buckets: &[u64]| [quantile(buckets, 500), quantile(buckets, 990)];
    ActorRow {
        probe: reading.id,
        level,
        kind: reading.kind.as_str().into(),
        name: reading.name.as_str().into(),
        is_supervisor: false,
        state: ChildState::Running,
        answered: true,
        more: 0,
        // What is handled now does not wait any more.
        mailbox: reading.depth().saturating_sub(u64::from(reading.current.is_some())),
        high_water: reading.depth_high_water,
        enqueued: reading.enqueued,
        handled: reading.handled,
        undelivered: reading.undelivered,
        dropped: reading.dropped,
        restarts: reading.restarts,
        restarted: reading.restarted.clone(),
        waits: spread(&reading.waits),
        handlings: spread(&reading.handlings),
        current: reading.current.clone().map(|(kind, since)| (kind.into(), since)),
    }
}

/// What an actor holds, or, where it does not answer in time, what its counters say.
async fn state(root: &Address<SupervisorMessage>, probe: ProbeId) -> Sight {
    let (reply, answer) = Reply::channel();
    root.tell(SupervisorMessage::Run(Errand::new(probe, Deed::Look(reply))));
    match tokio::time::timeout(STATE_DEADLINE, answer).await {
        Ok(Ok(facts)) => Sight::State(facts),
        Ok(Err(_)) => Sight::NoActor,
        Err(_) => match find(root, probe).await {
            // The question itself waits in the mailbox as well.
            Some(row) => Sight::Busy(Box::new(ActorRow { mailbox: row.mailbox.saturating_sub(1), ..row })),
            None => Sight::NoActor,
        },
    }
}

/// Messages as they go through an actor. Nobody is told of each: the trace is looked at now and then.
async fn trace(root: &Address<SupervisorMessage>, probe: ProbeId, limit: u32, within: Duration) -> Sight {
    let (reply, answer) = Reply::channel();
    root.tell(SupervisorMessage::Run(Errand::new(probe, Deed::Probe(reply))));
    let Ok(Ok(probe)) = tokio::time::timeout(TREE_DEADLINE, answer).await else { return Sight::NoActor };
    let Some(trace) = Trace::begin(&probe, limit as usize) else {
        return Sight::Unseen("somebody else traces it at the moment".into());
    };
    // A client that leaves does not keep it: it ends with the time at the latest.
    let _ = tokio::time::timeout(within, async {
        while !trace.is_full() {
            tokio::time::sleep(TRACE_LOOK).await;
        }
    })
    .await;
    let (messages, missed) = trace.messages();
    Sight::Traced { messages, missed }
}

async fn find(root: &Address<SupervisorMessage>, probe: ProbeId) -> Option<ActorRow> {
    let only = Some(format!("#{}", probe.0).into());
    let inquiry = Inquiry { deadline: TREE_DEADLINE, only, ..Inquiry::default() };
    let mut rows = Vec::new();
    describe(root, inquiry).await?.children.iter().for_each(|child| flatten(child, 1, &mut rows));
    rows.into_iter().find(|row| row.probe == probe)
}

async fn restart(root: &Address<SupervisorMessage>, probe: ProbeId) -> Sight {
    match find(root, probe).await {
        None => return Sight::NoActor,
        Some(row) if row.is_supervisor => {
            return Sight::Unseen("a supervisor is not killed: its children would end in no order".into());
        }
        Some(_) => {}
    }
    let root = root.clone();
    tokio::spawn(async move {
        tokio::time::sleep(FAREWELL).await;
        let (reply, _) = Reply::channel();
        root.tell(SupervisorMessage::Run(Errand::new(probe, Deed::Kill(reply))));
    });
    Sight::Restarted
}
