//! The actor that sends traces: one for each graph, made from the log, by OTLP over HTTP.
//!
//! **Role.** Follows the log, makes spans of what is over ([`spans`]), and sends them in batches. **Parent** the
//! scheduler side's root, beside the one that answers collectors. **Hears** itself. **Tells** nobody. **On crash** it begins anew:
//! what ended meanwhile has no spans. **Invariant.** Nobody waits for it: it reads what is durable already, on a thread for such work, and
//! what finds no room in its queue, or no taker in time, is dropped and counted.
//!
//! Since a worker's attempts stand in the scheduler's log, one trace has the spans of all machines, and no machine but this one speaks
//! to the receiver.

mod otlp;
pub mod span;
pub mod spans;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Fact, Me, Message};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::config::telemetry::{Endpoint, TelemetryConfig};
use crate::log::{Log, ReadError};
use crate::side::Side;
use crate::traces::otlp::Posted;
use crate::traces::span::Span;
use crate::traces::spans::Fold;

/// Records before the present end of the log that are read at the start, so that the graphs which are open have names:
/// about a second of reading.
const BACKLOG_LIMIT: u64 = 200_000;
/// Records that are read at once.
const PAGE: usize = 1000;
/// Bytes of them.
const PAGE_BYTES: usize = 512 * 1024;
/// How long the first span of a batch waits for others.
const COMPANY: Duration = Duration::from_millis(500);
/// Before a batch is tried again, the first time.
const RETRY: Duration = Duration::from_millis(100);
/// And the longest.
const RETRY_MOST: Duration = Duration::from_secs(2);

/// What it can be told.
#[derive(Debug, IntoStaticStr)]
pub enum TracesMessage {
    /// It follows no more, for this reason.
    Ended(String),
}

impl Message for TracesMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything it needs to start.
#[derive(Debug, Clone)]
pub struct TracesArgs {
    /// Whom it knows.
    pub side: Arc<Side>,
    /// What the daemon calls itself.
    pub name: Box<str>,
    /// Who takes them.
    pub endpoint: Endpoint,
    /// How much of everything.
    pub telemetry: TelemetryConfig,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct TracesActor {
    side: Arc<Side>,
    endpoint: Endpoint,
    queue: Sender<Span>,
    trouble: Trouble,
    work: JoinHandle<()>,
}

/// What went wrong last.
type Trouble = Arc<Mutex<Option<String>>>;

impl Actor for TracesActor {
    const KIND: &'static str = "traces";
    type Message = TracesMessage;
    type Args = TracesArgs;

    fn start(args: TracesArgs, me: &Me<TracesMessage>) -> Result<Self, ActorError> {
        let (queue, spans) = channel(args.telemetry.queue() as usize);
        let trouble = Trouble::default();
        let (side, endpoint) = (Arc::clone(&args.side), args.endpoint.clone());
        tracing::info!(%endpoint, "sending traces");
        let sender = Taker { args, trouble: Arc::clone(&trouble) };
        let (of_reader, into) = (Arc::clone(&side), queue.clone());
        // From here on: what is over by now was told by an earlier life.
        let silent = side.log.durable();
        let work = me.run(async move {
            tokio::select! {
                why = read(&of_reader, &into, silent) => TracesMessage::Ended(why),
                () = sender.send_all(spans) => TracesMessage::Ended("its queue is gone".to_owned()),
            }
        });
        Ok(Self { side, endpoint, queue, trouble, work })
    }

    fn handle(&mut self, message: TracesMessage, _: &Me<TracesMessage>) -> Result<(), ActorError> {
        match message {
            TracesMessage::Ended(why) => Err(format!("traces end: {why}").into()),
        }
    }

    fn show(&self) -> Vec<Fact> {
        let meters = self.side.meters.read();
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        vec![
            Fact::new("sent to", &self.endpoint),
            Fact::new("spans sent", meters.spans_sent),
            Fact::new("spans dropped", meters.spans_dropped),
            Fact::new("spans waiting", self.queue.max_capacity() - self.queue.capacity()),
            Fact::new("last trouble", trouble.unwrap_or_else(|| "none".to_owned())),
        ]
    }
}

impl Drop for TracesActor {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Where the reading is.
struct Place {
    fold: Fold,
    /// The last record that was taken in.
    after: u64,
    /// What is over by this record was told by an earlier life, or is not told.
    silent: u64,
}

/// Follows the log; ends where that cannot be read.
async fn read(side: &Side, queue: &Sender<Span>, silent: u64) -> String {
    let mut durable = side.log.subscribe_durable();
    let mut place = Place { fold: Fold::default(), after: silent.saturating_sub(BACKLOG_LIMIT), silent };
    loop {
        durable.mark_unchanged();
        let log = side.log.clone();
        let before = place.after;
        let turn = tokio::task::spawn_blocking(move || {
            let turned = place.turn(&log);
            (place, turned)
        });
        let Ok((moved, turned)) = turn.await else { return "the reading was dropped".to_owned() };
        place = moved;
        let over = match turned {
            Ok(over) => over,
            Err(why) => return why.to_string(),
        };
        let dropped = over.into_iter().filter_map(|span| queue.try_send(span).err()).count() as u64;
        side.meters.spans_dropped(dropped + place.fold.take_missed());
        if place.after == before && durable.changed().await.is_err() {
            return "the log is closed".to_owned();
        }
    }
}

impl Place {
    /// Takes in the next page; tells what is over with it.
    fn turn(&mut self, log: &Log) -> Result<Vec<Span>, ReadError> {
        let page = match log.records_from(self.after + 1, PAGE, PAGE_BYTES) {
            Err(ReadError::Removed { number, .. }) => {
                self.after = number.saturating_sub(1);
                return Ok(Vec::new());
            }
            page => page?,
        };
        let mut over = Vec::new();
        for (_, record) in page {
            self.after = record.number;
            self.fold.take(&record, &mut over);
            if record.number <= self.silent {
                over.clear();
            }
        }
        Ok(over)
    }
}

/// Hands spans to whoever takes them.
struct Taker {
    args: TracesArgs,
    trouble: Trouble,
}

impl Taker {
    async fn send_all(&self, mut spans: Receiver<Span>) {
        let most = self.args.telemetry.batch() as usize;
        loop {
            let mut batch = Vec::new();
            if spans.recv_many(&mut batch, most).await == 0 {
                return;
            }
            let gather = async {
                loop {
                    let room = most - batch.len();
                    if room == 0 || spans.recv_many(&mut batch, room).await == 0 {
                        return;
                    }
                }
            };
            let _ = tokio::time::timeout(COMPANY, gather).await;
            self.send(&batch).await;
        }
    }

    /// Tries until it is taken, refused, or the time is over.
    async fn send(&self, batch: &[Span]) {
        let body = otlp::body(&self.args.name, batch);
        let tries = async {
            let mut wait = RETRY;
            loop {
                match otlp::post(&self.args.endpoint, &body).await {
                    Ok(Posted::Taken { rejected, why }) => {
                        self.noted(Some(why).filter(|_| rejected > 0));
                        return rejected;
                    }
                    Ok(Posted::Refused(why)) => {
                        self.noted(Some(why));
                        return batch.len() as u64;
                    }
                    Ok(Posted::Later(why)) => self.noted(Some(why)),
                    Err(error) => self.noted(Some(error.to_string())),
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MOST);
            }
        };
        let all = batch.len() as u64;
        let tried = tokio::time::timeout(self.args.telemetry.deadline().0, tries).await;
        let dropped = tried.unwrap_or(all).min(all);
        if dropped > 0 {
            let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
            tracing::debug!(dropped, trouble = trouble.as_deref().unwrap_or("no answer in time"), "spans");
        }
        self.args.side.meters.spans_sent(all - dropped);
        self.args.side.meters.spans_dropped(dropped);
    }

    fn noted(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}
