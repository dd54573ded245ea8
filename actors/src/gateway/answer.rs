//! Answers one request at a time, outside any actor.

use std::sync::Arc;
use std::time::Duration;

use policy::admission;
use policy::budget::Raise;
use policy::event::{Event, TaskEvent};
use policy::id::{AttemptNumber, GraphId, NodeId, TaskId, Token};
use policy::layout;
use policy::submission::Submission;
use policy::trust::Caller;
use supervision::Reply;

use crate::gateway::addition::NamesOfGraphs;
use crate::gateway::rows;
use crate::memory;
use crate::metrics;
use crate::node::NodeMessage;
use crate::scheduler::{RawRow, SchedulerMessage};
use crate::side::{Nodes, Side};
use crate::story;
use crate::wire::client::{
    NodeRow, PAGE_LIMIT, Request, Response, ServerInfo, Target, TaskFilter, WAIT_LIMIT, WhatIf,
};
use crate::wire::codec;
use crate::wire::fleet::{OUTPUT_PIECE_LIMIT_BYTES, OutputPiece, OutputRead, OutputRefusal};

/// The longest an actor of this process may take to answer; far above what it takes under full load.
pub(super) const ACTOR_DEADLINE: Duration = Duration::from_secs(20);
/// How long all nodes may take to tell of themselves: one that hangs must not keep the others from being shown.
const NODES_DEADLINE: Duration = Duration::from_secs(5);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Answerer {
    pub(super) side: Arc<Side>,
    pub(super) server: ServerInfo,
    pub(super) names: NamesOfGraphs,
}

impl Answerer {
    #[expect(clippy::cognitive_complexity, reason = "one arm for each request")]
    pub(super) async fn answer(self: &Arc<Self>, caller: &Caller, request: Request) -> Response {
        match request {
            Request::Cluster(wanted) => self.enrol(caller, wanted).await,
            Request::Hello => Response::Hello(self.server()),
            Request::Metrics => Response::Metrics(Box::new(metrics::sample(&self.side, self.server()).await)),
            Request::Settings => Response::Settings(self.side.settings().to_vec()),
            Request::Submit(submission) => self.submit(submission).await,
            Request::Cancel(target) => self.cancel(target).await,
            Request::Retry(target) => self.retry(target).await,
            Request::Resume { graph, raise } => self.resume(graph, raise).await,
            Request::Status => self.status().await,
            Request::Graphs { before, limit } => self.graphs(before, limit.min(PAGE_LIMIT)).await,
            Request::Graph { graph, wait } => self.graph(graph, wait.min(WAIT_LIMIT)).await,
            Request::Tasks { filter, after, limit } => self.tasks(filter, after, limit.min(PAGE_LIMIT)).await,
            Request::Task(task) => self.task(task).await,
            Request::Find(name) => self.find(name).await,
            Request::Events { after, filter, limit, wait } => {
                self.events(after, filter, limit.min(PAGE_LIMIT), wait.min(WAIT_LIMIT)).await
            }
            Request::Output { task, attempt, read } => self.output(task, attempt, read).await,
            Request::Artifact { task, attempt, read } => self.artifact(task, attempt, read).await,
            Request::Nodes => Response::Nodes(self.nodes().await),
            Request::Claims => self.schedule(SchedulerMessage::Claims).await,
            Request::Oldest(limit) => {
                let limit = limit.min(PAGE_LIMIT) as usize;
                self.schedule(|reply| SchedulerMessage::Oldest(limit, reply)).await
            }
            Request::Explain(task) => self.explain(task, None).await,
            Request::Suppose(task, what_if) => self.explain(task, Some(Box::new(what_if))).await,
            Request::Direct { directive, by, reason } => self.direct(directive, (by, reason)).await,
            Request::Drain { node, within, by, reason } => self.drain(node, within, (by, reason)).await,
            Request::Run { submission, wait, report } => self.run(submission, wait, report).await,
            Request::Way(to) => self.way(to).await,
            Request::Signal(task, signal) => self.signal(caller, task, signal).await,
            Request::Inspect { .. } | Request::Operate { .. } => {
                Response::Refused("this is for the inspector".into())
            }
        }
    }

    fn server(&self) -> ServerInfo {
        let (durable, epoch) = (self.side.log.durable(), self.side.epoch().0);
        ServerInfo { durable, epoch, ..self.server.clone() }
    }
}

/// Submitting, and what the scheduler answers by itself.
impl Answerer {
    pub(super) async fn submit(&self, mut submission: Box<Submission>) -> Response {
        let limits = self.side.limits();
        let is_large = submission.items.len() >= memory::LARGE_ITEMS;
        let check = move || {
            let digest = digest(&submission);
            admission::find_own_names(&mut submission);
            if let Some(usual) = limits.usual_timeout {
                admission::give_usual_timeout(&mut submission, usual);
            }
            admission::check_within(&submission, &limits.admission)?;
            admission::check_declared(&submission, &limits.claims)?;
            Ok((digest, submission))
        };
        match off_loop(check).await {
            Some(Ok((digest, submission))) => {
                let answer = match submission.into {
                    Some(graph) => self.add(graph, submission, digest).await,
                    None => {
                        self.schedule(|reply| SchedulerMessage::Admit { submission, digest, reply }).await
                    }
                };
                if is_large {
                    off_loop(memory::give_back).await;
                }
                answer
            }
            Some(Err(rejection)) => Response::Rejected(rejection),
            None => not_now("the request was dropped"),
        }
    }

    async fn cancel(&self, target: Target) -> Response {
        self.schedule(|reply| SchedulerMessage::Cancel { target, reply }).await
    }

    async fn retry(&self, target: Target) -> Response {
        self.schedule(|reply| SchedulerMessage::Retry { target, reply }).await
    }

    async fn resume(&self, graph: GraphId, raise: Raise) -> Response {
        self.schedule(|reply| SchedulerMessage::Resume { graph, raise, reply }).await
    }

    async fn graphs(&self, before: Option<GraphId>, limit: u32) -> Response {
        self.schedule(|reply| SchedulerMessage::Graphs { before, limit, reply }).await
    }

    /// Asks the scheduler what it can answer alone.
    async fn schedule(&self, question: impl FnOnce(Reply<Response>) -> SchedulerMessage) -> Response {
        self.ask(question).await.unwrap_or_else(|busy| busy)
    }

    /// Asks the scheduler.
    pub(super) async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(Reply<R>) -> SchedulerMessage,
    ) -> Result<R, Response> {
        let answer = self.side.scheduler.ask(ACTOR_DEADLINE, question).await;
        answer.map_err(|why| not_now(&format!("the scheduler does not answer: {why}")))
    }

    pub(super) async fn graph(&self, graph: GraphId, wait: Duration) -> Response {
        let ended = self.side.scheduler.ask(wait, |reply| SchedulerMessage::AwaitGraph { graph, reply });
        if !wait.is_zero()
            && let Ok(answer) = ended.await
        {
            return answer;
        }
        self.schedule(|reply| SchedulerMessage::Graph { graph, reply }).await
    }

    async fn status(&self) -> Response {
        match self.ask(|reply| SchedulerMessage::Status { server: self.server(), reply }).await {
            Ok(mut status) => {
                status.nodes = self.nodes().await;
                Response::Status(status)
            }
            Err(busy) => busy,
        }
    }

    async fn nodes(&self) -> Vec<NodeRow> {
        let answers = Nodes::ask(self.side.nodes.all(), NODES_DEADLINE, NodeMessage::Describe).await;
        answers.into_iter().filter_map(|(_, row)| row).collect()
    }
}

/// Tasks, which need their records.
impl Answerer {
    async fn tasks(&self, filter: TaskFilter, after: Option<TaskId>, limit: u32) -> Response {
        let raw = self.ask(|reply| SchedulerMessage::Rows { filter, after, limit, reply }).await;
        let side = Arc::clone(&self.side);
        match raw {
            Ok(raw) => match off_loop(move || rows::all(&side, &raw)).await {
                Some(Ok(mut rows)) => {
                    self.add_samples(&mut rows).await;
                    Response::Tasks(rows)
                }
                Some(Err(why)) => Response::Refused(why.to_string().into()),
                None => not_now("the request was dropped"),
            },
            Err(busy) => busy,
        }
    }

    pub(super) async fn task(&self, task: TaskId) -> Response {
        let side = Arc::clone(&self.side);
        match self.ask(|reply| SchedulerMessage::Row { task, reply }).await {
            Ok(Some(raw)) => match off_loop(move || rows::detail(&side, &raw)).await {
                Some(Ok(mut detail)) => {
                    self.add_samples(std::slice::from_mut(&mut detail.row)).await;
                    Response::Task(Box::new(detail))
                }
                Some(Err(why)) => Response::Refused(why.to_string().into()),
                None => not_now("the request was dropped"),
            },
            Ok(None) => Response::NotFound(Target::Task(task)),
            Err(busy) => busy,
        }
    }

    async fn explain(&self, task: TaskId, with: Option<Box<WhatIf>>) -> Response {
        let side = Arc::clone(&self.side);
        match self.ask(|reply| SchedulerMessage::Explain { about: (task, with), reply }).await {
            Ok(Some(raw)) => match off_loop(move || rows::explained(&side, raw)).await {
                Some(Ok(told)) => Response::Explanation(Box::new(told)),
                Some(Err(why)) => Response::Refused(why.to_string().into()),
                None => not_now("the request was dropped"),
            },
            Ok(None) => Response::NotFound(Target::Task(task)),
            Err(busy) => busy,
        }
    }

    async fn find(&self, name: Arc<str>) -> Response {
        let side = Arc::clone(&self.side);
        match self.ask(SchedulerMessage::Names).await {
            Ok(names) => match off_loop(move || rows::find(&side, &names, &name)).await {
                Some(found) => Response::Found(found),
                None => not_now("the request was dropped"),
            },
            Err(busy) => busy,
        }
    }

    pub(super) async fn output(
        &self,
        task: TaskId,
        attempt: Option<AttemptNumber>,
        read: OutputRead,
    ) -> Response {
        let Written { token, node, silent } = match self.written(task, attempt).await {
            Ok(Some(written)) => written,
            Ok(None) => return Response::Output(Err(OutputRefusal::Gone)),
            Err(answer) => return answer,
        };
        if silent {
            return Response::Output(Ok(OutputPiece { complete: true, ..OutputPiece::default() }));
        }
        let wait = read.wait.min(WAIT_LIMIT);
        let read = OutputRead { wait, max_bytes: read.max_bytes.min(OUTPUT_PIECE_LIMIT_BYTES), ..read };
        let question = |reply| NodeMessage::ReadOutput { token, read, reply };
        Response::Output(match self.side.nodes.get(&node) {
            Some(node) => node
                .ask(wait + ACTOR_DEADLINE, question)
                .await
                .unwrap_or_else(|why| Err(OutputRefusal::Away { reason: why.to_string().into() })),
            // It has not come back since the scheduler was started.
            None => Err(OutputRefusal::Away { reason: "it is not connected".into() }),
        })
    }

    /// As [`Self::attempt`] of a task, if there is one; what is answered where there is none, or nobody to be asked.
    pub(super) async fn written(
        &self,
        task: TaskId,
        attempt: Option<AttemptNumber>,
    ) -> Result<Option<Written>, Response> {
        let raw = self.ask(|reply| SchedulerMessage::Row { task, reply }).await?;
        let raw = raw.ok_or(Response::NotFound(Target::Task(task)))?;
        Ok(self.attempt(&raw, attempt))
    }

    /// Where an attempt's output is; that of the last one where none is named.
    fn attempt(&self, raw: &RawRow, number: Option<AttemptNumber>) -> Option<Written> {
        let records = story::records(&self.side.archive, raw.seat.last).ok()?;
        let mut silent = false;
        for (_, record) in records.into_iter().rev() {
            let Event::Task { event, .. } = record.event else { continue };
            match event {
                TaskEvent::AttemptEnded { usage, .. } => {
                    silent = usage.stdout_bytes + usage.stderr_bytes == 0
                }
                TaskEvent::Granted { token, attempt, node, .. } => {
                    if number.is_none_or(|number| number == attempt) {
                        return Some(Written { token, node, silent });
                    }
                    silent = false;
                }
                TaskEvent::Started { .. }
                | TaskEvent::CancelAsked
                | TaskEvent::EvictAsked { .. }
                | TaskEvent::Finished(_)
                | TaskEvent::RetryAsked
                | TaskEvent::ReportIgnored { .. }
                | TaskEvent::StepBegan { .. } => {}
            }
        }
        None
    }
}

/// Where an attempt's output is.
pub(super) struct Written {
    pub(super) token: Token,
    pub(super) node: NodeId,
    /// It is over and has written nothing: there is no file, and nobody to be asked.
    silent: bool,
}

fn digest(submission: &Submission) -> [u8; 16] {
    let (mut digest, mut hasher) = ([0; 16], blake3::Hasher::new());
    // As a program of another version would take it, to which the same submission may have been made before.
    layout::tersely(|| {
        codec::encode_to(&(&submission.name, &submission.items, &submission.into), &mut hasher)
    });
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}

pub(super) fn not_now(reason: &str) -> Response {
    Response::Busy { reason: reason.into(), retry_after: Duration::from_millis(500) }
}

/// Runs what reads the disk or computes for long where it holds up nobody; `None` where it panicked.
pub(super) async fn off_loop<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Option<R> {
    tokio::task::spawn_blocking(work).await.ok()
}
