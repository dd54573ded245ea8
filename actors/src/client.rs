//! What a Rust agent uses, and the command line: submit graphs, watch them, wait for them, read output.
//!
//! A [`Client`] is cheap to clone and connects at its first call, and again whenever the connection was
//! lost; a request that was on its way then is sent once more, which does no harm: every request may come
//! twice. Every call has a deadline. Must not know how frames travel ([`transport`]) nor what answers them.

mod artifacts;
mod call;
mod claims;
pub mod contexts;
mod connect;
pub mod endpoint;
pub mod error;
pub mod follow;
mod inspect;
mod key;
mod link;
mod operate;
pub mod service;
mod timeline;
pub mod transport;
mod wait;
pub mod watch;
mod way;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use policy::budget::Raise;
use policy::id::{AttemptNumber, GraphId, NodeId, TaskId};
use policy::signal::TaskSignal;
use policy::submission::Submission;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub use artifacts::Fetch;
pub use endpoint::{COOKIE_NAME, Endpoint, default_data_dir};
pub use error::ClientError;
pub use follow::Follow;
pub use key::{key_of, random_key};
pub use watch::{Seen, Watch};

use crate::clock::Clock;
use crate::wire::client::{
    EventFilter, EventsPage, Explanation, Found, GraphRow, NodeRow, PAGE_LIMIT, Ran, Request, Response,
    ServerInfo, Status, Submitted, Target, TaskDetail, TaskFilter, TaskRow, WAIT_LIMIT, WhatIf,
};
use crate::wire::fleet::{OutputPiece, OutputRead};
use service::{InProcess, Service};
use transport::{Dial, Transport};

/// The longest a call takes, beyond what it asks to wait for: a scheduler that is well answers in
/// milliseconds, and one that restarts has done so by then.
pub const CALL_DEADLINE: Duration = Duration::from_secs(15);

/// A scheduler, from the outside. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dial: Arc<dyn Dial>,
    connection: Mutex<Option<Arc<dyn Transport>>>,
    next_request: AtomicU64,
    answered: AtomicBool,
    /// Requests in parts go one after the other: the receiver holds one of each connection.
    in_parts: Mutex<()>,
}

/// Takes the expected response apart; what is a refusal in any answer becomes an error.
macro_rules! expect {
    ($response:expr, $pattern:pat => $value:expr) => {
        match $response {
            $pattern => Ok($value),
            other => Err(refusal(other)),
        }
    };
}

impl Client {
    /// A client that connects through `dial`. Nothing is sent yet.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        Self(Arc::new(Shared {
            dial,
            connection: Mutex::new(None),
            next_request: AtomicU64::new(1),
            answered: AtomicBool::new(false),
            in_parts: Mutex::new(()),
        }))
    }

    /// A client of a scheduler in this process.
    #[must_use]
    pub fn in_process(service: Arc<dyn Service>, clock: Clock) -> Self {
        Self::new(Arc::new(InProcess::new(service, clock)))
    }

    /// Asks who is there.
    ///
    /// # Errors
    /// Nobody, or not in time.
    pub async fn hello(&self) -> Result<ServerInfo, ClientError> {
        expect!(self.call(&Request::Hello).await?, Response::Hello(info) => info)
    }

    /// Submits a graph. When this returns it is safely on disk. Submitting the same again, under the same
    /// key, changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] where it is refused whole, [`ClientError::Busy`] where it may come later.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, ClientError> {
        let request = Request::Submit(Box::new(submission));
        expect!(self.call(&request).await?, Response::Submitted(submitted) => submitted)
    }

    /// As [`Client::submit`], and where the scheduler is busy again and again for `patience`.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn submit_patiently(
        &self,
        submission: Submission,
        patience: Duration,
    ) -> Result<Submitted, ClientError> {
        let request = Request::Submit(Box::new(submission));
        let answer = self.patiently(patience, (&request, Duration::ZERO)).await?;
        expect!(answer, Response::Submitted(submitted) => submitted)
    }

    /// As [`Client::submit_patiently`], and tells how it is when it has ended, or after `wait`, which is at most
    /// [`WAIT_LIMIT`]; with a `report` also what has happened and was written until then. For what takes
    /// milliseconds: all of it is one exchange.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn run_patiently(
        &self,
        submission: Submission,
        (wait, report): (Duration, bool),
        patience: Duration,
    ) -> Result<Ran, ClientError> {
        let request = Request::Run { submission: Box::new(submission), wait, report };
        let mut outage = wait::Patience::default();
        loop {
            match self.patiently(patience, (&request, wait)).await {
                // It was there: asked again, the same key is the same submission.
                Err(error) if error.was_cut_off() => outage.endure_cut(error).await?,
                Err(error) if outage.has_begun() => outage.endure_cut(error).await?,
                answer => return expect!(answer?, Response::Ran(ran) => *ran),
            }
        }
    }

    /// Asks again for `patience` where the scheduler is busy.
    async fn patiently(
        &self,
        patience: Duration,
        (request, wait): (&Request, Duration),
    ) -> Result<Response, ClientError> {
        let started = Instant::now();
        loop {
            match self.call_within(request, wait).await? {
                Response::Busy { retry_after, .. } if started.elapsed() + retry_after < patience => {
                    tokio::time::sleep(retry_after).await;
                }
                other => return Ok(other),
            }
        }
    }

    /// Asks to end a task, or all of a graph; tells how many tasks had not ended yet.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`].
    pub async fn cancel(&self, target: Target) -> Result<u64, ClientError> {
        expect!(self.call(&Request::Cancel(target)).await?, Response::CancelAsked { tasks } => tasks)
    }

    /// Signals something to what a task runs; tells on which machine, once the process host there has it. Where the
    /// connection is cut meanwhile it may be heard twice.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`], and [`ClientError::Refused`] where nothing of it runs that hears signals.
    pub async fn signal(&self, task: TaskId, signal: TaskSignal) -> Result<NodeId, ClientError> {
        expect!(self.call(&Request::Signal(task, signal)).await?, Response::Signalled { node } => node)
    }

    /// Asks for another try of a task that ended without success, or of all such of a graph; tells how many.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`], and [`ClientError::Refused`] where it has not ended.
    pub async fn retry(&self, target: Target) -> Result<u64, ClientError> {
        expect!(self.call(&Request::Retry(target)).await?, Response::RetryAsked { tasks } => tasks)
    }

    /// Lets a graph go on whose budget was used up, with these amounts in place of what it had; tells how many tasks
    /// are ready to be started by that.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`], and [`ClientError::Refused`] where the new budget is used up, too.
    pub async fn resume(&self, graph: GraphId, raise: Raise) -> Result<u64, ClientError> {
        expect!(self.call(&Request::Resume { graph, raise }).await?, Response::Resumed { tasks } => tasks)
    }

    /// How everything is.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn status(&self) -> Result<Status, ClientError> {
        expect!(self.call(&Request::Status).await?, Response::Status(status) => *status)
    }

    /// The newest graphs, at most `limit`, newest first.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn graphs(&self, limit: usize) -> Result<Vec<GraphRow>, ClientError> {
        let mut rows: Vec<GraphRow> = Vec::new();
        while rows.len() < limit {
            let page = page_of(limit - rows.len());
            let request = Request::Graphs { before: rows.last().map(|row| row.graph), limit: page };
            let more = expect!(self.call(&request).await?, Response::Graphs(more) => more)?;
            if more.is_empty() {
                break;
            }
            rows.extend(more);
        }
        rows.truncate(limit);
        Ok(rows)
    }

    /// How a graph is now.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`].
    pub async fn graph(&self, graph: GraphId) -> Result<GraphRow, ClientError> {
        self.graph_within(graph, Duration::ZERO).await
    }

    /// How a graph is when it has ended, or after `wait`, which is at most [`WAIT_LIMIT`].
    async fn graph_within(&self, graph: GraphId, wait: Duration) -> Result<GraphRow, ClientError> {
        let request = Request::Graph { graph, wait };
        expect!(self.call_within(&request, wait).await?, Response::Graph(row) => *row)
    }

    /// Tasks by id, at most `limit`, fetched page by page.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`] where the filter names a graph that is not there.
    pub async fn tasks(&self, filter: &TaskFilter, limit: usize) -> Result<Vec<TaskRow>, ClientError> {
        let mut rows: Vec<TaskRow> = Vec::new();
        while rows.len() < limit {
            let more = self.tasks_after(filter, rows.last().map(|row| row.task), limit - rows.len()).await?;
            if more.is_empty() {
                break;
            }
            rows.extend(more);
        }
        rows.truncate(limit);
        Ok(rows)
    }

    /// One page of tasks by id, after `after`; empty when there are no more.
    ///
    /// # Errors
    /// As [`Client::tasks`].
    pub async fn tasks_after(
        &self,
        filter: &TaskFilter,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<TaskRow>, ClientError> {
        let request = Request::Tasks { filter: filter.clone(), after, limit: page_of(limit) };
        expect!(self.call(&request).await?, Response::Tasks(rows) => rows)
    }

    /// Everything about a task.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`].
    pub async fn task(&self, task: TaskId) -> Result<TaskDetail, ClientError> {
        expect!(self.call(&Request::Task(task)).await?, Response::Task(detail) => *detail)
    }

    /// The tasks and graphs of this name, newest first; empty where there are none.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn find(&self, name: &str) -> Result<Vec<Found>, ClientError> {
        expect!(self.call(&Request::Find(name.into())).await?, Response::Found(found) => found)
    }

    /// The machines.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, ClientError> {
        expect!(self.call(&Request::Nodes).await?, Response::Nodes(nodes) => nodes)
    }

    /// What a task waits for.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`].
    pub async fn explain(&self, task: TaskId) -> Result<Explanation, ClientError> {
        expect!(self.call(&Request::Explain(task)).await?, Response::Explanation(told) => *told)
    }

    /// What it would wait for, if it asked for something else.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`].
    pub async fn suppose(&self, task: TaskId, what_if: WhatIf) -> Result<Explanation, ClientError> {
        expect!(self.call(&Request::Suppose(task, what_if)).await?, Response::Explanation(told) => *told)
    }

    /// Follows the events after the one of this number.
    #[must_use]
    pub fn events(&self, after: u64, filter: EventFilter) -> Watch {
        Watch::new(self.clone(), after, filter)
    }

    /// As [`Client::events`], after a page that is there already, which is handed out first.
    #[must_use]
    pub fn events_after(&self, page: EventsPage, filter: EventFilter) -> Watch {
        Watch::resumed(self.clone(), page, filter)
    }

    /// One page of events; waits up to `wait` (at most [`WAIT_LIMIT`]) where there are none yet.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn events_page(
        &self,
        after: u64,
        filter: EventFilter,
        wait: Duration,
    ) -> Result<EventsPage, ClientError> {
        let wait = wait.min(WAIT_LIMIT);
        let request = Request::Events { after, filter, limit: PAGE_LIMIT, wait };
        expect!(self.call_within(&request, wait).await?, Response::Events(page) => page)
    }

    /// Follows what an attempt writes, from its beginning.
    #[must_use]
    pub fn output(&self, task: TaskId, attempt: AttemptNumber) -> Follow {
        Follow::new(self.clone(), task, attempt)
    }

    /// One piece of output; of the last attempt where none is named.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`] and [`ClientError::NoOutput`].
    pub async fn output_piece(
        &self,
        task: TaskId,
        attempt: Option<AttemptNumber>,
        read: OutputRead,
    ) -> Result<OutputPiece, ClientError> {
        let request = Request::Output { task, attempt, read };
        match self.call_within(&request, read.wait).await? {
            Response::Output(piece) => piece.map_err(ClientError::NoOutput),
            other => Err(refusal(other)),
        }
    }
}

fn page_of(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(PAGE_LIMIT).min(PAGE_LIMIT)
}

/// An answer that is not the one that was asked for.
fn refusal(response: Response) -> ClientError {
    match response {
        Response::Busy { reason, retry_after } => ClientError::Busy { reason, retry_after },
        Response::Rejected(rejection) => ClientError::Rejected(rejection),
        Response::NotFound(target) => ClientError::NotFound(target),
        Response::Refused(reason) => ClientError::Refused(reason),
        Response::Conflict { graph } => ClientError::Conflict { graph },
        other => ClientError::Protocol(
            format!("an answer to another question: {other:?}").chars().take(200).collect(),
        ),
    }
}

#[cfg(test)]
mod tests;
