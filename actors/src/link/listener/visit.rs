//! The tasks of the listener: accepting streams, and one visit each from the preamble to the session's end.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use super::bind::Shared;
use crate::link::cluster::{ClusterWire, Side};
use crate::link::hall::{Hall, Place};
use crate::link::handshake::{Failure, believe, refuse, say};
use crate::link::lean::{self, LeanWire, Queue};
use crate::link::life::EndReason;
use crate::link::peer::Via;
use crate::link::preamble::{Purpose, Refusal, Said, Welcome};
use crate::link::secret::random;
use crate::link::session::Wire;
use crate::link::stream::{Stream, guard};

/// The wait after the first failure to accept; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Out of descriptors, say: others must close some first.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a refused client has to read why.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// Accepts for ever. Every visit ends with it.
pub(crate) async fn accept_tcp(socket: Shared<TcpListener>, hall: Arc<Hall>) {
    let mut visits = JoinSet::new();
    let mut pause = Pause::default();
    loop {
        while visits.try_join_next().is_some() {}
        let accepted = poll_fn(|context| open(socket.with(|socket| socket.poll_accept(context))));
        match accepted.await {
            Ok((stream, address)) => {
                pause = Pause::default();
                // Some systems refuse this on a connection that was reset meanwhile; reading tells.
                let _ = stream.set_nodelay(true);
                if let Some(mut ticket) = hall.ticket(address.ip()) {
                    let hall = Arc::clone(&hall);
                    visits.spawn(async move {
                        let visit = Visit { hall, via: Via::Tcp(address) };
                        let entered = tokio::select! {
                            entered = visit.enter(Box::new(stream)) => entered,
                            _ = &mut ticket.evicted => None,
                        };
                        drop(ticket);
                        if let Some(entered) = entered {
                            visit.stay(entered).await;
                        }
                    });
                }
            }
            Err(error) => pause.after(&error).await,
        }
    }
}

/// Accepts for ever. Every visit ends with it.
pub(crate) async fn accept_unix(socket: Shared<UnixListener>, hall: Arc<Hall>) {
    let mut visits = JoinSet::new();
    let mut pause = Pause::default();
    loop {
        while visits.try_join_next().is_some() {}
        let accepted = poll_fn(|context| open(socket.with(|socket| socket.poll_accept(context))));
        match accepted.await {
            Ok((stream, _)) => {
                pause = Pause::default();
                if visits.len() >= hall.limits.connections + hall.limits.pending_handshakes {
                    continue;
                }
                let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else { continue };
                let visit = Visit { hall: Arc::clone(&hall), via: Via::Unix { uid } };
                visits.spawn(async move {
                    if let Some(entered) = visit.enter(Box::new(stream)).await {
                        visit.stay(entered).await;
                    }
                });
            }
            Err(error) => pause.after(&error).await,
        }
    }
}

/// Nothing comes from a socket that was closed; the task that waits on it is about to be ended.
fn open<T>(polled: Option<Poll<T>>) -> Poll<T> {
    polled.unwrap_or(Poll::Pending)
}

/// Waits longer after each failure to accept.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    async fn after(&mut self, error: &io::Error) {
        if self.0 == 0 {
            tracing::warn!(%error, "accepting a connection failed");
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.0.min(10)).min(LONGEST_PAUSE);
        self.0 += 1;
        tokio::time::sleep(pause).await;
    }
}

struct Visit {
    hall: Arc<Hall>,
    via: Via,
}

/// A client that came in.
struct Entered {
    place: Place,
    stream: Stream,
    carrier: NewCarrier,
}

enum NewCarrier {
    Lean(Arc<LeanWire>, Queue),
    Cluster(Arc<ClusterWire>),
}

impl Visit {
    /// The preamble, within the deadline.
    async fn enter(&self, mut stream: Stream) -> Option<Entered> {
        let deadline = self.hall.limits.handshake_deadline;
        let entering = Box::pin(self.introduced(&mut stream));
        let failure = match tokio::time::timeout(deadline, entering).await {
            Ok(Ok((place, carrier))) => return Some(Entered { place, stream, carrier }),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Refused(Refusal::TooLate),
        };
        if self.hall.count_refusal() {
            tracing::warn!(via = ?self.via, reason = %failure, "a client was turned away; further ones are logged rarely");
        }
        if let Failure::Refused(refusal) = failure {
            let _ = tokio::time::timeout(LAST_WORDS, refuse(&mut stream, refusal)).await;
        }
        None
    }

    async fn introduced(&self, stream: &mut Stream) -> Result<(Place, NewCarrier), Failure> {
        let identity = &self.hall.identity;
        let vouched = self.vouched()?;
        let guest = believe(stream, identity, vouched).await?;
        let key = random()?;
        let (carrier, wire): (_, Arc<dyn Wire>) = match guest.hello.purpose {
            Purpose::Local => {
                let (wire, queue) = LeanWire::new();
                (NewCarrier::Lean(Arc::clone(&wire), queue), wire)
            }
            Purpose::Cluster => {
                let wire = Arc::new(ClusterWire::new(key));
                (NewCarrier::Cluster(Arc::clone(&wire)), wire)
            }
        };
        let mut place = self.hall.place(&guest, self.via, (key, wire)).map_err(Failure::Refused)?;
        place.opened();
        let shared = vouched && guest.hello.purpose == Purpose::Cluster;
        let node_secret = shared.then(|| identity.cookie.node_secret().0);
        say(stream, &Said::Welcome(Welcome { key, node_secret })).await?;
        Ok((place, carrier))
    }

    /// Whether the system vouches for the client: it is our own user, or root.
    fn vouched(&self) -> Result<bool, Failure> {
        match self.via {
            Via::Unix { uid } if uid == 0 || uid == nix::unistd::geteuid().as_raw() => Ok(true),
            Via::Unix { uid } => Err(Failure::Refused(Refusal::User(uid))),
            Via::Tcp(_) | Via::Direct => Ok(false),
        }
    }

    /// The session, until it ends.
    async fn stay(&self, Entered { place, stream, carrier }: Entered) {
        let (hall, life, session) = (&self.hall, place.life().clone(), Arc::clone(place.session()));
        let peer = place.peer().clone();
        tracing::debug!(peer = %peer.name, id = peer.id.0, "a session began");
        // The system tells of a local program's end, however long that program says nothing.
        let local = matches!((&carrier, self.via), (NewCarrier::Lean(..), Via::Unix { .. }));
        let streams = guard(stream, life.clone(), (!local).then_some(hall.limits.idle_deadline));
        match carrier {
            NewCarrier::Lean(wire, queue) => {
                lean::run(streams, session, (wire, queue), (life.clone(), &hall.limits)).await;
            }
            NewCarrier::Cluster(wire) => {
                let secret = hall.identity.cookie.node_secret();
                let attached = hall
                    .cluster
                    .attach((Side::Accepted, &peer.name), streams, (&session, &wire), secret)
                    .await;
                if let Err(error) = attached {
                    tracing::warn!(peer = %peer.name, %error, "a session could not begin");
                } else if !matches!(
                    tokio::time::timeout(hall.limits.handshake_deadline, wire.ready()).await,
                    Ok(true)
                ) {
                    life.end(EndReason::Protocol("it did not become a node of the cluster"));
                } else {
                    life.wait().await;
                }
            }
        }
        drop(place);
        tracing::debug!(peer = %peer.name, id = peer.id.0, reason = ?life.ended(), "a session ended");
    }
}
