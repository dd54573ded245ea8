//! One connection between two processes, seen from one of them: what is sent keeps within the credit,
//! what is received is handed on in order, and the receiver hears of the end once, last.
//!
//! The same on both sides and over both carriers; must not know how frames become bytes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supervision::Reply;
use tokio::sync::oneshot;

use super::credit::{Intake, Window};
use super::life::{EndReason, Life};
use super::peer::{Answer, Carrier, LinkError};
use super::preamble::Key;
use super::{Limits, MAX_FRAME_BYTES};

/// Hears what the other side says.
pub(crate) trait Receive: Send {
    fn cast(&mut self, frame: Vec<u8>);
    fn call(&mut self, frame: Vec<u8>, reply: Reply<Vec<u8>>);
    fn gone(&mut self);
}

/// Takes the answer to a call of ours. Dropped where no answer can come any more.
pub(crate) type Answered = Box<dyn FnOnce(Result<Vec<u8>, LinkError>) + Send>;

/// What goes out.
pub(crate) enum Outgoing {
    Cast(Vec<u8>),
    Call(Vec<u8>, Answered),
    /// The other side's frames have been handled up to this total.
    Acknowledge(u64),
}

/// Turns what goes out into bytes on their way. Takes all at once and keeps the order.
pub(crate) trait Wire: Send + Sync {
    fn post(&self, out: Outgoing);
}

pub(crate) struct Session {
    key: Key,
    life: Life,
    window: Window,
    answers_limit: u64,
    intake: Intake,
    /// Calls of ours without an answer.
    asked: Arc<AtomicUsize>,
    /// Calls of theirs without an answer.
    owed: AtomicUsize,
    calls_limit: usize,
    receiver: Mutex<Option<Box<dyn Receive>>>,
    wire: Arc<dyn Wire>,
}

/// Counts a call until dropped.
struct Asked(Arc<AtomicUsize>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Session {
    pub(crate) fn new(key: Key, life: Life, limits: &Limits, wire: Arc<dyn Wire>) -> Arc<Self> {
        Arc::new(Self {
            key,
            life,
            window: Window::new(limits.window_bytes),
            answers_limit: limits.window_bytes.saturating_mul(limits.answers_factor),
            intake: Intake::new(limits.window_bytes),
            asked: Arc::default(),
            owed: AtomicUsize::new(0),
            calls_limit: limits.pending_calls,
            receiver: Mutex::new(None),
            wire,
        })
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    /// Who hears what comes in. Before anything comes in.
    pub(crate) fn set_receiver(&self, receiver: Box<dyn Receive>) {
        *self.receiver() = Some(receiver);
    }

    pub(crate) fn received_cast(&self, frame: Vec<u8>) {
        let bytes = frame.len();
        if let Some(receiver) = self.receiver().as_mut() {
            receiver.cast(frame);
        }
        self.handled(bytes);
    }

    /// `respond` carries the answer back; it is called once, unless the session ends first.
    pub(crate) fn received_call<R>(self: &Arc<Self>, frame: Vec<u8>, respond: R)
    where
        R: FnOnce(Result<Vec<u8>, LinkError>) + Send + 'static,
    {
        if self.owed.fetch_add(1, Ordering::AcqRel) >= self.calls_limit.saturating_mul(2) {
            self.life.end(EndReason::Protocol("more calls than allowed"));
            return;
        }
        let bytes = frame.len();
        let (reply, mut answer) = Reply::channel();
        if let Some(receiver) = self.receiver().as_mut() {
            receiver.call(frame, reply);
        } else {
            drop(reply);
        }
        self.handled(bytes);
        match answer.try_recv() {
            Ok(answer) => self.answer(Ok(answer), respond),
            Err(oneshot::error::TryRecvError::Closed) => self.answer(Err(LinkError::Dropped), respond),
            Err(oneshot::error::TryRecvError::Empty) => {
                let session = Arc::clone(self);
                tokio::spawn(async move {
                    let answer = tokio::select! {
                        answer = answer => answer.map_err(|_| LinkError::Dropped),
                        _ = session.life.wait() => return,
                    };
                    session.answer(answer, respond);
                });
            }
        }
    }

    fn answer<R>(&self, answer: Result<Vec<u8>, LinkError>, respond: R)
    where
        R: FnOnce(Result<Vec<u8>, LinkError>),
    {
        self.owed.fetch_sub(1, Ordering::AcqRel);
        let answer = answer.and_then(|frame| check_size(&frame).map(|()| frame));
        let unacknowledged = self.window.exceed(answer.as_ref().map_or(0, Vec::len));
        if unacknowledged > self.answers_limit {
            self.life.end(EndReason::TooSlow);
        } else {
            respond(answer);
        }
    }

    pub(crate) fn received_acknowledgement(&self, total: u64) {
        if !self.window.acknowledge(total) {
            self.life.end(EndReason::Protocol("acknowledged more than was sent"));
        }
    }

    /// Nothing comes after this; the receiver is told, once.
    pub(crate) fn finish(&self) {
        let receiver = self.receiver().take();
        if let Some(mut receiver) = receiver {
            receiver.gone();
        }
    }

    fn handled(&self, bytes: usize) {
        if let Some(total) = self.intake.handled(bytes) {
            self.wire.post(Outgoing::Acknowledge(total));
        }
    }

    /// What the answer to a call of ours does: counts, then reaches the caller, who may have left.
    fn answered(self: &Arc<Self>, caller: oneshot::Sender<Result<Vec<u8>, LinkError>>) -> Answered {
        let asked = Asked(Arc::clone(&self.asked));
        let session = Arc::downgrade(self);
        Box::new(move |answer| {
            if let Some(session) = session.upgrade() {
                session.handled(answer.as_ref().map_or(0, Vec::len));
            }
            drop(asked);
            let _ = caller.send(answer);
        })
    }

    fn room_for(&self, frame: &[u8]) -> Result<(), LinkError> {
        check_size(frame)?;
        if let Some(reason) = self.life.ended() {
            return Err(LinkError::Closed(reason));
        }
        let limit = self.window.limit();
        self.window.take(frame.len()).map_err(|unacknowledged| LinkError::Full { unacknowledged, limit })
    }

    fn receiver(&self) -> MutexGuard<'_, Option<Box<dyn Receive>>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_size(frame: &[u8]) -> Result<(), LinkError> {
    if frame.len() > MAX_FRAME_BYTES {
        return Err(LinkError::FrameTooLarge { bytes: frame.len(), limit: MAX_FRAME_BYTES });
    }
    Ok(())
}

/// A session as the one that uses it sees it.
pub(crate) struct Handle(pub(crate) Arc<Session>);

impl Carrier for Handle {
    fn cast(&self, frame: Vec<u8>) -> Result<(), LinkError> {
        self.0.room_for(&frame)?;
        self.0.wire.post(Outgoing::Cast(frame));
        Ok(())
    }

    fn call(&self, frame: Vec<u8>) -> Result<Answer, LinkError> {
        let session = &self.0;
        if session.asked.load(Ordering::Acquire) >= session.calls_limit {
            return Err(LinkError::TooManyCalls { limit: session.calls_limit });
        }
        session.room_for(&frame)?;
        session.asked.fetch_add(1, Ordering::AcqRel);
        let (caller, answer) = oneshot::channel();
        session.wire.post(Outgoing::Call(frame, session.answered(caller)));
        Ok(answer)
    }

    fn unacknowledged(&self) -> u64 {
        self.0.window.unacknowledged()
    }

    fn life(&self) -> &Life {
        &self.0.life
    }
}

/// What an answer's last byte says of it; both carriers use it.
pub(crate) mod status {
    use super::{LinkError, MAX_FRAME_BYTES};

    const ANSWERED: u8 = 0;
    const DROPPED: u8 = 1;
    const UNDECODABLE: u8 = 2;
    const TOO_LARGE: u8 = 3;

    pub(crate) fn put(answer: Result<Vec<u8>, LinkError>) -> Vec<u8> {
        match answer {
            Ok(mut frame) => {
                frame.push(ANSWERED);
                frame
            }
            Err(LinkError::Undecodable) => vec![UNDECODABLE],
            Err(LinkError::FrameTooLarge { bytes, .. }) => {
                let mut told = u64::try_from(bytes).unwrap_or(u64::MAX).to_be_bytes().to_vec();
                told.push(TOO_LARGE);
                told
            }
            Err(
                LinkError::Dropped
                | LinkError::Full { .. }
                | LinkError::TooManyCalls { .. }
                | LinkError::Closed(_)
                | LinkError::Late(_),
            ) => vec![DROPPED],
        }
    }

    pub(crate) fn take(mut bytes: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        match bytes.pop() {
            Some(ANSWERED) => Ok(bytes),
            Some(DROPPED) => Err(LinkError::Dropped),
            Some(TOO_LARGE) => {
                let told = <[u8; 8]>::try_from(&bytes[..]).map(u64::from_be_bytes).unwrap_or(u64::MAX);
                let bytes = usize::try_from(told).unwrap_or(usize::MAX);
                Err(LinkError::FrameTooLarge { bytes, limit: MAX_FRAME_BYTES })
            }
            Some(_) | None => Err(LinkError::Undecodable),
        }
    }
}
