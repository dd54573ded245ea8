//! The tasks of the listener: accepting streams, and one visit each from the preamble to the session's end.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use policy::trust::{Caller, Member};
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::bind::Shared;
use crate::link::cluster::{ClusterWire, Side};
use crate::link::hall::{Hall, Place};
use crate::link::handshake::{Failure, believe, refuse, say};
use crate::link::lean::{self, LeanWire, Queue};
use crate::link::life::{EndReason, Life};
use crate::link::peer::Via;
use crate::link::preamble::{Purpose, Refusal, Said, Welcome};
use crate::link::secret::random;
use crate::link::secure::{self, Arrival, Arrived};
use crate::link::session::Wire;
use crate::link::stream::{Stream, guard};
use crate::trust::{Fleet, hear_applicant};

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
                            entered = visit.enter_from_afar(stream) => entered,
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
                    if let Some(entered) = visit.enter_from_here(Box::new(stream)).await {
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
    certificate: Option<CertificateDer<'static>>,
}

enum NewCarrier {
    Lean(Arc<LeanWire>, Queue),
    Cluster(Arc<ClusterWire>),
}

impl Visit {
    /// A local program: the system says who it is.
    async fn enter_from_here(&self, stream: Stream) -> Option<Entered> {
        let deadline = Instant::now() + self.hall.limits.handshake_deadline;
        match self.vouched() {
            Ok(is_vouched) => {
                let arrived = Arrived { caller: Caller::Local, certificate: None, is_vouched };
                self.enter(stream, arrived, deadline).await
            }
            Err(failure) => self.turn_away(Some(stream), failure).await,
        }
    }

    /// Somebody from another machine: TLS before anything else, where this fleet has certificates; else the cookie,
    /// on loopback.
    async fn enter_from_afar(&self, socket: TcpStream) -> Option<Entered> {
        let deadline = Instant::now() + self.hall.limits.handshake_deadline;
        let Some(fleet) = &self.hall.fleet else {
            let arrived = Arrived { caller: Caller::Local, certificate: None, is_vouched: false };
            return self.enter(Box::new(socket), arrived, deadline).await;
        };
        let securing = Box::pin(secure::accept(socket, fleet));
        match timeout_at(deadline, securing).await {
            Ok(Ok(Arrival::Guest(stream, arrived))) => self.enter(stream, arrived, deadline).await,
            Ok(Ok(Arrival::Applicant(stream, member))) => {
                self.certify(stream, fleet, member, deadline).await;
                None
            }
            Ok(Ok(Arrival::Turned(stream, refusal))) => {
                self.turn_away(Some(stream), Failure::Refused(refusal)).await
            }
            Ok(Err(error)) => self.turn_away(None, Failure::Io(error)).await,
            Err(_) => self.turn_away(None, Failure::Refused(Refusal::TooLate)).await,
        }
    }

    /// Somebody wants a certificate, and gets one or not.
    async fn certify(
        &self,
        mut stream: Stream,
        fleet: &Arc<Fleet>,
        member: Option<Arc<Member>>,
        deadline: Instant,
    ) {
        match timeout_at(deadline, hear_applicant(&mut stream, fleet, member)).await {
            Ok(Ok(Ok(member))) => self.hall.door().enrolled(self.via, &member),
            Ok(Ok(Err(why))) => self.note(&why),
            Ok(Err(error)) => self.note(&error.to_string()),
            Err(_) => self.note(&Refusal::TooLate.to_string()),
        }
    }

    /// The preamble, within the deadline.
    async fn enter(&self, mut stream: Stream, arrived: Arrived, deadline: Instant) -> Option<Entered> {
        let certificate = arrived.certificate.clone();
        let entering = Box::pin(self.introduced(&mut stream, &arrived));
        let failure = match timeout_at(deadline, entering).await {
            Ok(Ok((place, carrier))) => return Some(Entered { place, stream, carrier, certificate }),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Refused(Refusal::TooLate),
        };
        self.turn_away(Some(stream), failure).await
    }

    async fn turn_away(&self, stream: Option<Stream>, failure: Failure) -> Option<Entered> {
        self.note(&failure.to_string());
        if let (Some(mut stream), Failure::Refused(refusal)) = (stream, failure) {
            let _ = timeout(LAST_WORDS, refuse(&mut stream, refusal)).await;
        }
        None
    }

    fn note(&self, reason: &str) {
        if self.hall.count_refusal() {
            tracing::warn!(via = ?self.via, reason, "a client was turned away; further ones are logged rarely");
        }
        self.hall.door().turned_away(self.via, reason);
    }

    async fn introduced(
        &self,
        stream: &mut Stream,
        arrived: &Arrived,
    ) -> Result<(Place, NewCarrier), Failure> {
        let identity = &self.hall.identity;
        let guest = believe(stream, identity, arrived).await?;
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
        let shared = arrived.is_vouched && guest.hello.purpose == Purpose::Cluster;
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

    /// Ends a session as soon as its certificate is taken back.
    fn watch(&self, certificate: Option<CertificateDer<'static>>, life: &Life) -> JoinSet<()> {
        let mut watch = JoinSet::new();
        if let (Some(fleet), Some(certificate)) = (&self.hall.fleet, certificate) {
            let (fleet, life) = (Arc::clone(fleet), life.clone());
            watch.spawn(async move {
                fleet.until_revoked(&certificate).await;
                life.end(EndReason::Revoked);
            });
        }
        watch
    }

    /// The session, until it ends.
    async fn stay(&self, Entered { place, stream, carrier, certificate }: Entered) {
        let (hall, life, session) = (&self.hall, place.life().clone(), Arc::clone(place.session()));
        let _watch = self.watch(certificate, &life);
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
                } else if !matches!(timeout(hall.limits.handshake_deadline, wire.ready()).await, Ok(true)) {
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
