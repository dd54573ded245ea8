//! A client that looks at actors, and has things done.

use policy::id::NodeId;
use policy::task::Priority;

use super::{Client, ClientError, refusal};
use crate::say;
use crate::wire::client::{Request, Response, Target};
use crate::wire::inspect::{Action, CHANGES_SINCE, Look, Sight};

impl Client {
    /// What an inspector sees: that of a machine, or of the scheduler side where none is named. A daemon of the version before
    /// that cannot say what has changed ([`Look::Changes`]) says everything.
    ///
    /// # Errors
    /// Nobody answers, or not in time. That a machine does not answer is a [`Sight::Unseen`].
    pub async fn inspect(&self, machine: Option<NodeId>, look: Look) -> Result<Sight, ClientError> {
        let look = match look.for_older() {
            Some(older) if self.layout().await?.number() < CHANGES_SINCE => older,
            _ => look,
        };
        let request = Request::Inspect { machine, look };
        match self.call(&request).await? {
            Response::Inspected(sight) => Ok(*sight),
            other => Err(refusal(other)),
        }
    }

    /// Has something done, which is recorded first with the name of who wants it; tells what came of it.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] and [`ClientError::Refused`] among others.
    pub async fn operate(&self, by: &str, reason: &str, action: Action) -> Result<String, ClientError> {
        let request = Request::Operate { by: by.into(), reason: reason.into(), action };
        match self.call(&request).await? {
            Response::CancelAsked { tasks } => Ok(format!("{} will end", say::count(tasks, "task"))),
            Response::RetryAsked { tasks } => {
                Ok(format!("{} will be tried again", say::count(tasks, "task")))
            }
            Response::Resumed { tasks } => Ok(format!("{} can start", say::count(tasks, "task"))),
            Response::Prioritised { tasks: 0 } => Ok("it was so already".to_owned()),
            Response::Prioritised { tasks } => Ok(format!("{} will go by it", say::count(tasks, "task"))),
            Response::Inspected(sight) => match *sight {
                Sight::Restarted => Ok("done".to_owned()),
                Sight::NoActor => Err(ClientError::Refused("that actor is gone".into())),
                Sight::Levels(levels) => Ok(levels.into()),
                Sight::Discarded(count) => Ok(format!("{} removed", say::count(count, "workspace"))),
                Sight::Unseen(why) => Err(ClientError::Refused(why)),
                other => Err(refusal(Response::Inspected(Box::new(other)))),
            },
            other => Err(refusal(other)),
        }
    }

    /// Has what waits of a task or graph be as urgent as that from now on: how many tasks go by it, none where it was
    /// so already. It is recorded first, as in [`Client::operate`].
    ///
    /// # Errors
    /// As [`Client::operate`]; [`ClientError::Refused`] where nothing of it waits.
    pub async fn prioritise(
        &self,
        (by, reason): (&str, &str),
        target: Target,
        priority: Priority,
    ) -> Result<u64, ClientError> {
        let action = Action::Prioritise { target, priority };
        match self.call(&Request::Operate { by: by.into(), reason: reason.into(), action }).await? {
            Response::Prioritised { tasks } => Ok(tasks),
            other => Err(refusal(other)),
        }
    }
}
