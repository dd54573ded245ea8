//! What clients ask of the scheduler side's inspector: looks, here or at a machine, and actions.
//!
//! An action is recorded, with whoever wants it, and begun once that is on disk: so the log tells of every one.

use std::sync::Arc;
use std::time::Duration;

use policy::breaker::Key;
use policy::event::{Event, SchedulerEvent};
use policy::id::{NodeId, TaskId, Token};
use policy::task::Priority;
use policy::trust::Caller;
use supervision::{Address, Reply};
use tokio::sync::oneshot;

use crate::gateway::GatewayMessage;
use crate::inspect::subscribers::Subscribers;
use crate::inspect::{InspectorArgs, look};
use crate::node::NodeMessage;
use crate::scheduler::SchedulerMessage;
use crate::side::Side;
use crate::wire::client::{Request, Response, Target};
use crate::wire::inspect::{Action, Look, Sight};

/// How long an actor may take to do what an operator wants: far above what it takes under full load.
const ACTION_DEADLINE: Duration = Duration::from_secs(10);

/// Characters of what is recorded of an operator's name and reason: a line or two.
const WORDS_LIMIT: usize = 200;

/// Answers a client.
pub(super) async fn answer(
    (args, subscribers): (&InspectorArgs, &Arc<Subscribers>),
    request: Request,
) -> Response {
    let Some((side, gateway)) = &args.head else {
        return Response::Refused("the inspector of a machine answers the scheduler side alone".into());
    };
    match request {
        Request::Inspect { look, .. } if look.acts() => {
            Response::Refused("what changes something is an action, which is recorded".into())
        }
        Request::Inspect { machine: None, look } => {
            Response::Inspected(Box::new(look::look((args, subscribers), look).await))
        }
        Request::Inspect { machine: Some(machine), look } => {
            Response::Inspected(Box::new(side.reach.ask(&machine, look).await))
        }
        Request::Operate { by, reason, action } => {
            if !record(side, &by, &reason, &action).await {
                return Response::Busy {
                    reason: "the log cannot be written".into(),
                    retry_after: Duration::from_secs(1),
                };
            }
            act((args, subscribers), (side, gateway), action).await
        }
        _ => Response::Refused("the inspector answers about actors alone".into()),
    }
}

/// Records an action; `false` where that cannot be made durable.
async fn record(side: &Side, by: &str, reason: &str, action: &Action) -> bool {
    let short = |text: &str| text.chars().take(WORDS_LIMIT).collect::<String>().into();
    let action: Arc<str> = action.to_string().into();
    let event = SchedulerEvent::Operated { by: short(by), action, reason: short(reason) };
    let appended = side.log.append(&Event::Scheduler(event), 0, 0);
    let (done, is_done) = oneshot::channel();
    side.log.when_durable(appended.number, move || {
        let _ = done.send(());
    });
    tokio::time::timeout(ACTION_DEADLINE, is_done).await.is_ok_and(|durable| durable.is_ok())
}

async fn act(
    here: (&InspectorArgs, &Arc<Subscribers>),
    (side, gateway): (&Arc<Side>, &Address<GatewayMessage>),
    action: Action,
) -> Response {
    match action {
        Action::Cancel(target) => pass_on(gateway, Request::Cancel(target)).await,
        Action::Retry(target) => pass_on(gateway, Request::Retry(target)).await,
        Action::Resume { graph, raise } => pass_on(gateway, Request::Resume { graph, raise }).await,
        Action::Restart { machine: None, probe, .. } => {
            Response::Inspected(Box::new(look::look(here, Look::Restart(probe)).await))
        }
        Action::Restart { machine: Some(machine), probe, .. } => {
            Response::Inspected(Box::new(side.reach.ask(&machine, Look::Restart(probe)).await))
        }
        Action::ResetBreaker { node, key } => reset_breaker(side, &node, key).await,
        Action::HandBack { node, task, token } => hand_back(side, &node, (task, token)).await,
        Action::LogLevel { machine: None, levels } => {
            Response::Inspected(Box::new(look::look(here, Look::SetLevels(levels)).await))
        }
        Action::LogLevel { machine: Some(machine), levels } => {
            Response::Inspected(Box::new(side.reach.ask(&machine, Look::SetLevels(levels)).await))
        }
        Action::Prioritise { target, priority } => prioritise(side, target, priority).await,
        Action::Discard { machine, task } => {
            Response::Inspected(Box::new(side.reach.ask(&machine, Look::Discard(task)).await))
        }
    }
}

async fn pass_on(gateway: &Address<GatewayMessage>, request: Request) -> Response {
    // Whether the operator may was seen at the door.
    let question = |reply| GatewayMessage::Asked { caller: Caller::Local, request: Box::new(request), reply };
    gateway.ask(ACTION_DEADLINE, question).await.unwrap_or_else(|why| {
        let reason = format!("the gateway does not answer: {why}").into();
        Response::Busy { reason, retry_after: Duration::from_secs(1) }
    })
}

async fn prioritise(side: &Side, target: Target, priority: Priority) -> Response {
    let question = |reply| SchedulerMessage::Prioritise(target, priority, reply);
    side.scheduler.ask(ACTION_DEADLINE, question).await.unwrap_or_else(|why| {
        let reason = format!("the scheduler does not answer: {why}").into();
        Response::Busy { reason, retry_after: Duration::from_secs(1) }
    })
}

async fn reset_breaker(side: &Side, node: &NodeId, key: Key) -> Response {
    let Some(address) = side.nodes.get(node) else {
        return Response::Refused(format!("there is no node {node}").into());
    };
    let question = |reply: Reply<bool>| NodeMessage::ResetBreaker { key, reply };
    match address.ask(ACTION_DEADLINE, question).await {
        Ok(true) => Response::Inspected(Box::new(Sight::Restarted)),
        Ok(false) => Response::Refused(format!("that breaker of {node} is closed").into()),
        Err(why) => Response::Refused(format!("the node's actor does not answer: {why}").into()),
    }
}

async fn hand_back(side: &Side, node: &NodeId, (task, token): (TaskId, Token)) -> Response {
    let Some(address) = side.nodes.get(node) else {
        return Response::Refused(format!("there is no node {node}").into());
    };
    let question = |reply: Reply<bool>| NodeMessage::HandBack { token, reply };
    match address.ask(ACTION_DEADLINE, question).await {
        Ok(true) => Response::Inspected(Box::new(Sight::Restarted)),
        Ok(false) => {
            Response::Refused(format!("{task} does not hold lease {token} on {node} any more").into())
        }
        Err(why) => Response::Refused(format!("the node's actor does not answer: {why}").into()),
    }
}
