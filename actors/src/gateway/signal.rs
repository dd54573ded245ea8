//! A signal to what a task runs: found, handed to its machine, and written down.

use policy::id::TaskId;
use policy::signal::TaskSignal;
use policy::trust::Caller;

use crate::gateway::answer::{ACTOR_DEADLINE, Answerer};
use crate::node::NodeMessage;
use crate::wire::client::{Response, StateName, TaskDetail};

impl Answerer {
    pub(super) async fn signal(&self, caller: &Caller, task: TaskId, signal: TaskSignal) -> Response {
        let detail = match self.task(task).await {
            Response::Task(detail) => detail,
            other => return other,
        };
        match self.handed_on(&detail, signal).await {
            Ok(response) => {
                self.side.audit.done(&self.side.log, &caller.to_string(), &format!("signal {signal} {task}"));
                response
            }
            Err(why) => Response::Refused(format!("{task} is not signalled: {why}").into()),
        }
    }

    async fn handed_on(&self, detail: &TaskDetail, signal: TaskSignal) -> Result<Response, Box<str>> {
        let running = detail.attempts.last().filter(|_| detail.row.state == StateName::Running);
        let attempt = running.ok_or_else(|| format!("it does not run, it is {}", detail.row.state))?;
        let away = |why: &str| -> Box<str> { format!("{}: {why}", attempt.node).into() };
        let node = self.side.nodes.get(&attempt.node).ok_or_else(|| away("it is not connected"))?;
        let token = attempt.token;
        let asked = node.ask(ACTOR_DEADLINE, |reply| NodeMessage::Signal { token, signal, reply }).await;
        match asked {
            Ok(Ok(())) => Ok(Response::Signalled { node: attempt.node.clone() }),
            Ok(Err(why)) => Err(away(&why)),
            Err(why) => Err(away(&why.to_string())),
        }
    }
}
