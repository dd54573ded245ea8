//! The lean carrier: frames straight on the stream, for programs that come and go.
//!
//! A frame is its length (4 bytes), its kind (1), a call's number (8) and the bytes. A side that has had
//! nothing to send for a while sends an empty frame, so that silence means death.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, WriteHalf};
use tokio::sync::mpsc;

use super::life::{EndReason, Life};
use super::session::{Answered, Outgoing, Session, Wire, status};
use super::stream::{GuardedRead, Stream, end_of};
use super::{Limits, MAX_FRAME_BYTES};

/// Kind and number.
const HEADER_BYTES: usize = 9;
/// Frames put into one write: enough to make system calls rare, few enough to start early.
const WRITE_BATCH: usize = 256;
/// A buffer that has grown beyond this is given back after use.
const KEPT_BUFFER_BYTES: usize = 256 << 10;

const CAST: u8 = 1;
const CALL: u8 = 2;
const ANSWER: u8 = 3;
const ACKNOWLEDGE: u8 = 4;
const ALIVE: u8 = 5;

struct Frame {
    kind: u8,
    number: u64,
    bytes: Vec<u8>,
}

/// The sending end. What it takes waits in a queue that the credit bounds.
pub(crate) struct LeanWire {
    queue: mpsc::UnboundedSender<Frame>,
    waiting: Mutex<Waiting>,
    next_call: AtomicU64,
}

/// The calls without an answer; `None` once no answer can come.
type Waiting = Option<FxHashMap<u64, Answered>>;

/// What the writer takes from.
pub(crate) struct Queue(mpsc::UnboundedReceiver<Frame>);

impl LeanWire {
    pub(crate) fn new() -> (Arc<Self>, Queue) {
        let (queue, frames) = mpsc::unbounded_channel();
        let waiting = Mutex::new(Some(FxHashMap::default()));
        (Arc::new(Self { queue, waiting, next_call: AtomicU64::new(1) }), Queue(frames))
    }

    fn send(&self, kind: u8, number: u64, bytes: Vec<u8>) {
        let _ = self.queue.send(Frame { kind, number, bytes });
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire for LeanWire {
    fn post(&self, out: Outgoing) {
        match out {
            Outgoing::Cast(bytes) => self.send(CAST, 0, bytes),
            Outgoing::Acknowledge(total) => self.send(ACKNOWLEDGE, total, Vec::new()),
            Outgoing::Call(bytes, answered) => {
                let number = self.next_call.fetch_add(1, Ordering::Relaxed);
                if let Some(waiting) = self.waiting().as_mut() {
                    waiting.insert(number, answered);
                } else {
                    return;
                }
                self.send(CALL, number, bytes);
            }
        }
    }
}

/// Carries frames until the session's life ends.
pub(crate) async fn run(
    (read, write): (GuardedRead, WriteHalf<Stream>),
    session: Arc<Session>,
    (wire, queue): (Arc<LeanWire>, Queue),
    (life, limits): (Life, &Limits),
) {
    tokio::select! {
        reason = receive(read, &session, &wire) => life.end(reason),
        reason = transmit(write, queue, limits.keep_alive) => life.end(reason),
        _ = life.wait() => {}
    }
    drop(wire.waiting().take());
}

async fn receive(read: GuardedRead, session: &Arc<Session>, wire: &Arc<LeanWire>) -> EndReason {
    let mut read = BufReader::new(read);
    loop {
        let frame = match read_frame(&mut read).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return EndReason::Protocol("a frame's length is out of bounds"),
            Err(error) => return end_of(&error),
        };
        match frame.kind {
            CAST => session.received_cast(frame.bytes),
            CALL => {
                let wire = Arc::clone(wire);
                session.received_call(frame.bytes, move |answer| {
                    wire.send(ANSWER, frame.number, status::put(answer));
                });
            }
            ANSWER => {
                let answered = wire.waiting().as_mut().and_then(|waiting| waiting.remove(&frame.number));
                if let Some(answered) = answered {
                    answered(status::take(frame.bytes));
                }
            }
            ACKNOWLEDGE => session.received_acknowledgement(frame.number),
            ALIVE => {}
            _ => return EndReason::Protocol("a frame is of an unknown kind"),
        }
    }
}

/// `None` where the length is impossible.
async fn read_frame(read: &mut BufReader<GuardedRead>) -> io::Result<Option<Frame>> {
    let length = usize::try_from(read.read_u32().await?).unwrap_or(usize::MAX);
    // One byte more than the largest frame: the status of an answer.
    if !(HEADER_BYTES..=HEADER_BYTES + MAX_FRAME_BYTES + 1).contains(&length) {
        return Ok(None);
    }
    let kind = read.read_u8().await?;
    let number = read.read_u64().await?;
    let mut bytes = vec![0; length - HEADER_BYTES];
    read.read_exact(&mut bytes).await?;
    Ok(Some(Frame { kind, number, bytes }))
}

async fn transmit(mut write: WriteHalf<Stream>, mut queue: Queue, keep_alive: Duration) -> EndReason {
    let mut frames = Vec::with_capacity(WRITE_BATCH);
    let mut buffer = Vec::new();
    loop {
        match tokio::time::timeout(keep_alive, queue.0.recv_many(&mut frames, WRITE_BATCH)).await {
            Ok(0) => return EndReason::Stopped,
            Ok(_) => {}
            Err(_) => frames.push(Frame { kind: ALIVE, number: 0, bytes: Vec::new() }),
        }
        for frame in frames.drain(..) {
            put(&mut buffer, &frame);
        }
        if let Err(error) = write.write_all(&buffer).await {
            return end_of(&error);
        }
        // What is encrypted may be kept back otherwise.
        if let Err(error) = write.flush().await {
            return end_of(&error);
        }
        buffer.clear();
        buffer.shrink_to(KEPT_BUFFER_BYTES);
    }
}

fn put(buffer: &mut Vec<u8>, frame: &Frame) {
    let length = u32::try_from(HEADER_BYTES + frame.bytes.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.push(frame.kind);
    buffer.extend_from_slice(&frame.number.to_be_bytes());
    buffer.extend_from_slice(&frame.bytes);
}
