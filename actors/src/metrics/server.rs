//! The actor that answers collectors and probes over HTTP, on an address that is loopback unless the operator says
//! otherwise.
//!
//! **Role.** Listens, and answers one question for each connection. **Parent** the scheduler side's root, beside the
//! listener. **Hears** its owner. **Tells** scheduler and nodes, from the connections' tasks. **On crash** it listens
//! again; connections that were open end. **Invariant.** At most [`CONNECTIONS_LIMIT`] connections are held, each for
//! [`CONNECTION_DEADLINE`] at most.
//!
//! `/healthz` fails where only a new start helps: the log is broken, or the scheduler has been busy with one message
//! for [`STUCK_AFTER`]. `/readyz` fails where a submission would not be taken now.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Me, Message, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::log::LogHealth;
use crate::metrics::http::{self, Answer, Head};
use crate::metrics::json::Metrics;
use crate::metrics::{self, text};
use crate::side::Side;
use crate::wire::client::ServerInfo;

/// Connections at once: a few collectors and whoever looks; others wait to be accepted.
pub const CONNECTIONS_LIMIT: usize = 16;
/// How long a connection is held, from its first byte to the last of the answer.
pub const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);
/// How long the scheduler may handle one message before a new start is asked for: a hundred times what the largest
/// submission takes.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);
/// Before accepting again where it failed, for want of file descriptors mostly.
const PAUSE: Duration = Duration::from_millis(200);

/// What it can be told.
#[derive(Debug, IntoStaticStr)]
pub enum MetricsMessage {
    /// On which address does it listen?
    Address(Reply<SocketAddr>),
    /// The loop that accepts has ended, which it never should.
    AcceptingEnded,
}

impl Message for MetricsMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything it needs to start.
#[derive(Debug, Clone)]
pub struct MetricsArgs {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whom it knows.
    pub side: Arc<Side>,
    /// What the daemon says of itself.
    pub server: ServerInfo,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct MetricsActor {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Actor for MetricsActor {
    const KIND: &'static str = "metrics";
    type Message = MetricsMessage;
    type Args = MetricsArgs;

    fn start(args: MetricsArgs, me: &Me<MetricsMessage>) -> Result<Self, ActorError> {
        let cannot = |error| format!("cannot listen on {} for metrics: {error}", args.listen);
        let socket = TcpListener::bind(args.listen).map_err(cannot)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let socket = tokio::net::TcpListener::from_std(socket)?;
        tracing::info!(%address, "answering collectors");
        let accepting = me.run(async move {
            let mut tasks = JoinSet::new();
            tasks.spawn(accept(socket, Arc::new(args)));
            let _ = tasks.join_next().await;
            MetricsMessage::AcceptingEnded
        });
        Ok(Self { address, accepting })
    }

    fn handle(&mut self, message: MetricsMessage, _: &Me<MetricsMessage>) -> Result<(), ActorError> {
        match message {
            MetricsMessage::Address(reply) => reply.send(self.address),
            MetricsMessage::AcceptingEnded => return Err("the loop that accepts collectors has ended".into()),
        }
        Ok(())
    }
}

impl Drop for MetricsActor {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts until it is dropped, and its connections with it.
async fn accept(socket: tokio::net::TcpListener, args: Arc<MetricsArgs>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_LIMIT));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match socket.accept().await {
            Ok((stream, _)) => {
                let args = Arc::clone(&args);
                connections.spawn(async move {
                    let _place = place;
                    // Whoever is too slow, or gone, is nobody's trouble but his own.
                    let _ = tokio::time::timeout(CONNECTION_DEADLINE, attend(stream, &args)).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a collector could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn attend(mut stream: TcpStream, args: &MetricsArgs) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let answer = loop {
        match http::head(&bytes) {
            Head::Partial => {}
            Head::Get(path) => break answer(&path, args).await,
            Head::Refused(answer) => break answer,
        }
        let mut some = [0; 1024];
        match stream.read(&mut some).await? {
            0 => return Ok(()),
            read => bytes.extend_from_slice(&some[..read]),
        }
    };
    stream.write_all(&answer.bytes()).await?;
    stream.shutdown().await
}

async fn answer(path: &str, args: &MetricsArgs) -> Answer {
    match path {
        "/metrics" => {
            let sample = metrics::sample(&args.side, args.server()).await;
            Answer { status: 200, content_type: text::CONTENT_TYPE, body: text::text(&sample) }
        }
        "/metrics.json" => {
            let sample = metrics::sample(&args.side, args.server()).await;
            match serde_json::to_string(&Metrics::from(&sample)) {
                Ok(body) => Answer { status: 200, content_type: "application/json", body: body + "\n" },
                Err(error) => Answer::line(503, &error.to_string()),
            }
        }
        "/healthz" => told(health(&args.side)),
        "/readyz" => told(readiness(&args.side).await),
        _ => Answer::line(404, "there are /metrics, /metrics.json, /healthz and /readyz"),
    }
}

impl MetricsArgs {
    fn server(&self) -> ServerInfo {
        let (durable, epoch) = (self.side.log.durable(), self.side.epoch().0);
        ServerInfo { durable, epoch, ..self.server.clone() }
    }
}

fn told(standing: Result<(), String>) -> Answer {
    match standing {
        Ok(()) => Answer::line(200, "ok"),
        Err(why) => Answer::line(503, &why),
    }
}

/// Whether the daemon can go on without a new start.
fn health(side: &Side) -> Result<(), String> {
    if let LogHealth::Broken { reason } = side.log.health() {
        return Err(format!("the log cannot be written any more: {reason}"));
    }
    match side.scheduler.probe().read().current {
        Some((kind, busy)) if busy >= STUCK_AFTER => {
            Err(format!("the scheduler has been busy with {kind} for {busy:.0?}"))
        }
        _ => Ok(()),
    }
}

/// Whether a submission would be taken now.
async fn readiness(side: &Arc<Side>) -> Result<(), String> {
    health(side)?;
    if let Some(reason) = metrics::log_trouble(side) {
        return Err(format!("nothing can be written to disk: {reason}"));
    }
    side.log.check_room().map_err(|no_room| no_room.to_string())?;
    let ping = |reply| crate::scheduler::SchedulerMessage::Parts { graph: policy::id::GraphId(0), reply };
    let answered = side.scheduler.ask(metrics::ANSWER_DEADLINE, ping).await;
    answered.map(drop).map_err(|why| format!("the scheduler does not answer: {why}"))
}
