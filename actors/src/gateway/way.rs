//! How somebody gets to where a task runs. Must not know how SSH is called.

use policy::id::{NodeId, TaskId};

use crate::gateway::answer::Answerer;
use crate::session::node::SshNode;
use crate::wire::client::{Response, StateName, TaskDetail, WayRow, WhereTo};

impl Answerer {
    /// The way to a machine, or to the session of a task that runs.
    pub(super) async fn way(&self, to: WhereTo) -> Response {
        match to {
            WhereTo::Node(node) => self.way_to_node(node),
            WhereTo::Task(task) => match self.task(task).await {
                Response::Task(detail) => self.way_to_task(task, &detail),
                other => other,
            },
        }
    }

    fn way_to_node(&self, node: NodeId) -> Response {
        match self.side.way_to(&node) {
            Some(way) => Response::Way(Box::new(row(node, &way, None))),
            None => refused(format!(
                "{node} is not reached by SSH: it is no node of [ssh_nodes], see `crab nodes`; what runs beside \
                 a crabd has no session to be in"
            )),
        }
    }

    fn way_to_task(&self, task: TaskId, detail: &TaskDetail) -> Response {
        let last = detail.attempts.last().filter(|_| detail.row.state == StateName::Running);
        let Some(attempt) = last else {
            return refused(format!(
                "{task} does not run: it is {}; see `crab show {task}`",
                detail.row.state
            ));
        };
        let Some(way) = self.side.way_to(&attempt.node) else {
            return refused(format!(
                "{task} runs on {} as a process of crabd, without a session; `crab logs -f {task}` follows it",
                attempt.node
            ));
        };
        let session = way.session_of(task);
        Response::Way(Box::new(row(attempt.node.clone(), &way, session)))
    }
}

fn row(node: NodeId, way: &SshNode, session: Option<Box<str>>) -> WayRow {
    let options = way.to.clone().into_boxed_slice();
    WayRow { node, options, repo: way.repo.clone(), tag: way.tag.clone(), session, steerable: way.steerable }
}

fn refused(why: String) -> Response {
    Response::Refused(why.into())
}
