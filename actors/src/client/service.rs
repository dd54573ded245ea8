//! Whoever answers requests, and the connection to one within the same process.
//!
//! The gateway implements [`Service`]; a listener hands it what comes with [`FrameService::answer`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy::layout::Layout;
use policy::trust::Caller;

use super::transport::{BoxFuture, Dial, Transport, TransportError};
use crate::clock::Clock;
use crate::wire::chunk::{Answer, Assembler, ChunkRefusal, Frame};
use crate::wire::client::{Request, Response};
use crate::wire::{FRAME_LIMIT_BYTES, MESSAGE_LIMIT_BYTES, codec};

/// Answers requests.
pub trait Service: Send + Sync {
    /// Answers one of this caller's. Dropping the future gives up on the answer, not on what was asked for.
    fn handle(&self, caller: &Caller, request: Request) -> BoxFuture<'static, Response>;
}

/// From whom a frame comes.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The connection, by any number that is not used twice.
    pub peer: u64,
    /// Who vouches for it.
    pub caller: &'a Caller,
    /// The layout of what is said.
    pub layout: Layout,
}

/// The scheduler side's end of the clients' connections: frames in, frames out.
pub struct FrameService {
    service: Arc<dyn Service>,
    assembler: Mutex<Assembler>,
    clock: Clock,
}

impl fmt::Debug for FrameService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameService").field("assembler", &self.assembler).finish_non_exhaustive()
    }
}

impl FrameService {
    /// Frames for this service.
    #[must_use]
    pub fn new(service: Arc<dyn Service>, clock: Clock) -> Self {
        Self { service, assembler: Mutex::default(), clock }
    }

    /// Answers a frame.
    pub async fn answer(&self, asker: &Asker<'_>, frame: &[u8]) -> Vec<u8> {
        let Asker { caller, layout, .. } = *asker;
        let request = match self.request(asker, frame) {
            Ok(Taken::Large(bytes)) => decode_aside(layout, bytes).await.map(Some),
            Ok(Taken::Whole(request)) => Ok(Some(*request)),
            Ok(Taken::Part) => Ok(None),
            Err(refusal) => Err(refusal),
        };
        match request {
            Ok(Some(request)) => {
                let response = codec::encode_as(layout, &self.service.handle(caller, request).await);
                if response.len() < FRAME_LIMIT_BYTES {
                    return Answer::Whole(&response).frame();
                }
                let advice = "the answer does not fit into a frame; ask for fewer rows at once";
                Answer::Whole(&codec::encode_as(layout, &Response::Refused(advice.into()))).frame()
            }
            Ok(None) => Answer::PartTaken.frame(),
            Err(refusal) => Answer::Refused(refusal).frame(),
        }
    }

    /// A connection has ended.
    pub fn forget(&self, peer: u64) {
        self.assembler().forget(peer);
    }

    fn request(&self, asker: &Asker<'_>, frame: &[u8]) -> Result<Taken, ChunkRefusal> {
        match Frame::read(frame)? {
            Frame::Whole(bytes) => match codec::decode_as(asker.layout, bytes, FRAME_LIMIT_BYTES) {
                Ok(request) => Ok(Taken::Whole(Box::new(request))),
                Err(_) => Err(ChunkRefusal::Malformed),
            },
            Frame::Part(part) => {
                let whole = self.assembler().take(asker.peer, part, self.clock.now())?;
                Ok(whole.map_or(Taken::Part, Taken::Large))
            }
        }
    }

    fn assembler(&self) -> MutexGuard<'_, Assembler> {
        self.assembler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a frame has brought.
enum Taken {
    /// A request.
    Whole(Box<Request>),
    /// The last part of a large one.
    Large(Vec<u8>),
    /// A part, not the last.
    Part,
}

/// Decodes what came in parts on a thread of its own, which takes its place in the allocator with it when it
/// ends: so the pages of a large request are free for the system as soon as the request is gone.
async fn decode_aside(layout: Layout, bytes: Vec<u8>) -> Result<Request, ChunkRefusal> {
    let (done, is_done) = tokio::sync::oneshot::channel();
    let decode = move || {
        let decoded = codec::decode_as(layout, &bytes, MESSAGE_LIMIT_BYTES);
        drop(bytes);
        let _ = done.send(decoded.map_err(|_| ChunkRefusal::Malformed));
    };
    let thread = std::thread::Builder::new().name("decode".to_owned()).spawn(decode);
    match (thread, is_done.await) {
        (Ok(_), Ok(decoded)) => decoded,
        // No thread to be had, as where memory is short: not now.
        (Err(_), _) | (_, Err(_)) => Err(ChunkRefusal::Full { limit: MESSAGE_LIMIT_BYTES as u64 }),
    }
}

/// Dials a service of this process.
#[derive(Debug, Clone)]
pub struct InProcess(Arc<FrameService>);

impl InProcess {
    /// Connections to this service.
    #[must_use]
    pub fn new(service: Arc<dyn Service>, clock: Clock) -> Self {
        Self(Arc::new(FrameService::new(service, clock)))
    }
}

impl Dial for InProcess {
    fn dial(&self, _: Duration) -> BoxFuture<'_, Result<Arc<dyn Transport>, TransportError>> {
        let transport: Arc<dyn Transport> = Arc::new(self.clone());
        Box::pin(async move { Ok(transport) })
    }

    fn place(&self) -> String {
        "the scheduler in this process".to_owned()
    }
}

/// The one connection there is: each request in parts is sent by one caller at a time.
const PEER: u64 = 0;

impl Transport for InProcess {
    fn layout(&self) -> Layout {
        Layout::CURRENT
    }

    fn call(&self, frame: Vec<u8>, deadline: Duration) -> BoxFuture<'_, Result<Vec<u8>, TransportError>> {
        Box::pin(async move {
            let asker = Asker { peer: PEER, caller: &Caller::Local, layout: Layout::CURRENT };
            tokio::time::timeout(deadline, self.0.answer(&asker, &frame))
                .await
                .map_err(|_| TransportError::TimedOut { after: deadline })
        })
    }
}
