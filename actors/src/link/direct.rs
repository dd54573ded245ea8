//! A connection within one process: what the dialling side says is the door's next call. Embedded mode has the
//! scheduler and the worker in one process this way.
//!
//! Frames are handed on by the caller's thread; nothing waits, so nothing is ever unacknowledged. What bounds
//! the other side is its mailbox's owner, as between any two actors.

use std::sync::{Arc, Mutex, PoisonError};

use policy::id::Incarnation;
use policy::layout::Layout;
use policy::trust::Caller;
use supervision::Reply;
use tokio::sync::oneshot;

use super::MAX_FRAME_BYTES;
use super::connect::Inbound;
use super::life::{EndReason, Life};
use super::peer::{Answer, Carrier, Connection, Door, LinkError, Outlet, Peer, PeerId, Via};
use super::preamble::{PROTOCOLS, Role};

/// The largest peer ids are those of direct connections, which no listener gives out.
static NEXT_FROM_ABOVE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(u64::MAX);

/// Connects to a door of this process. The connection ends when either side closes it.
#[must_use]
pub fn connect(
    door: Arc<dyn Door>,
    role: Role,
    (name, incarnation): (&str, Incarnation),
    inbound: Inbound,
) -> Connection {
    let id = NEXT_FROM_ABOVE.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    let peer = Peer {
        id: PeerId(id),
        role,
        name: name.into(),
        incarnation,
        protocol: PROTOCOLS.max,
        via: Via::Direct,
        caller: Caller::Local,
    };
    let life = Life::default();
    door.connected(&peer, Outlet::new(Arc::new(ToClient { inbound, life: life.clone() })));
    let open = Arc::new(Mutex::new(Some((peer, door))));
    let ended = (life.clone(), Arc::clone(&open));
    tokio::spawn(async move {
        ended.0.wait().await;
        let open = ended.1.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((peer, door)) = open {
            door.gone(&peer);
        }
    });
    Connection::new(Arc::new(ToDoor { open, life }), "direct".into(), PROTOCOLS.max)
}

fn check(frame: &[u8], life: &Life) -> Result<(), LinkError> {
    if frame.len() > MAX_FRAME_BYTES {
        return Err(LinkError::FrameTooLarge { bytes: frame.len(), limit: MAX_FRAME_BYTES });
    }
    life.ended().map_or(Ok(()), |reason| Err(LinkError::Closed(reason)))
}

struct ToClient {
    inbound: Inbound,
    life: Life,
}

impl Carrier for ToClient {
    fn cast(&self, frame: Vec<u8>) -> Result<(), LinkError> {
        check(&frame, &self.life)?;
        (self.inbound)(Layout::CURRENT, frame);
        Ok(())
    }

    fn call(&self, _: Vec<u8>) -> Result<Answer, LinkError> {
        Err(LinkError::Dropped)
    }

    fn unacknowledged(&self) -> u64 {
        0
    }

    fn life(&self) -> &Life {
        &self.life
    }
}

/// The door, and who stands before it; nothing once it has heard of the end.
type Open = Mutex<Option<(Peer, Arc<dyn Door>)>>;

struct ToDoor {
    open: Arc<Open>,
    life: Life,
}

impl ToDoor {
    /// Under the lock, so that the door hears of the end last.
    fn hand(
        &self,
        frame: Vec<u8>,
        hand: impl FnOnce(&Arc<dyn Door>, &Peer, Vec<u8>),
    ) -> Result<(), LinkError> {
        check(&frame, &self.life)?;
        match &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((peer, door)) => {
                hand(door, peer, frame);
                Ok(())
            }
            None => Err(LinkError::Closed(self.life.ended().unwrap_or(EndReason::Stopped))),
        }
    }
}

impl Carrier for ToDoor {
    fn cast(&self, frame: Vec<u8>) -> Result<(), LinkError> {
        self.hand(frame, |door, peer, frame| door.cast(peer, frame))
    }

    fn call(&self, frame: Vec<u8>) -> Result<Answer, LinkError> {
        let (reply, answer) = Reply::channel();
        self.hand(frame, |door, peer, frame| door.call(peer, frame, reply))?;
        let (caller, answered) = oneshot::channel();
        tokio::spawn(async move {
            let _ = caller.send(answer.await.map_err(|_| LinkError::Dropped));
        });
        Ok(answered)
    }

    fn unacknowledged(&self) -> u64 {
        0
    }

    fn life(&self) -> &Life {
        &self.life
    }
}
