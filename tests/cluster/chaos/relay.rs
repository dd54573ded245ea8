//! A relay between one machine and the scheduler, with weather of its own: it delays, holds back, and breaks off.
//! What TCP shows of packets that are lost is bytes that come late, so that is how it loses some.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::land::{Land, Way};

/// How late what was lost comes at its second try: the first retransmission of common systems.
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// A piece of what is passed on, and a packet is a part of it.
const PIECE: usize = 16_384;

/// How things stand between a machine and the scheduler.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) delay: Duration,
    /// Of a thousand pieces.
    pub(super) lost: u32,
    /// What does not get through at all.
    pub(super) held: Option<Way>,
    /// Counts how often all connections were broken off.
    pub(super) breaks: u64,
}

/// The far end of it: the weather can be made.
#[derive(Debug, Clone)]
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
}

impl Relay {
    /// Listens in the switch and passes on to `to`, until the test ends.
    pub(super) fn start(land: &Arc<Land>, to: String, seed: u64) -> Self {
        let (weather, seen) = watch::channel(Weather::default());
        let (tell, told) = std::sync::mpsc::channel();
        let land = Arc::clone(land);
        std::thread::spawn(move || {
            land.enter(0);
            let host = land.switch();
            drop(land);
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind((host, 0)).await.expect("a port");
                tell.send(listener.local_addr().expect("it is bound")).expect("it is waited for");
                serve(listener, to, seen, seed).await;
            });
        });
        Self { address: told.recv().expect("the relay listens"), weather: Arc::new(weather) }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }
}

/// Takes connections until nobody can change the weather any more.
async fn serve(listener: TcpListener, to: String, mut weather: watch::Receiver<Weather>, seed: u64) {
    let random = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
    loop {
        tokio::select! {
            near = listener.accept() => {
                let Ok((near, _)) = near else { continue };
                tokio::spawn(connect(near, to.clone(), weather.clone(), Arc::clone(&random)));
            }
            changed = weather.changed() => if changed.is_err() { return },
        }
    }
}

async fn connect(
    near: TcpStream,
    to: String,
    weather: watch::Receiver<Weather>,
    random: Arc<Mutex<fastrand::Rng>>,
) {
    let Ok(far) = TcpStream::connect(to).await else { return };
    let [near, far] = [near, far].map(|stream| {
        let _ = stream.set_nodelay(true);
        stream.into_split()
    });
    let (there, back) = (Arc::clone(&random), random);
    let broken = weather.borrow().breaks;
    let mut over = weather.clone();
    tokio::select! {
        () = pass(near.0, far.1, Way::From, weather.clone(), there) => {}
        () = pass(far.0, near.1, Way::To, weather.clone(), back) => {}
        _ = over.wait_for(|weather| weather.breaks > broken) => {}
    }
}

/// One way, piece by piece, until an end closes.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    mut weather: watch::Receiver<Weather>,
    random: Arc<Mutex<fastrand::Rng>>,
) {
    let mut piece = vec![0; PIECE];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        let now = *weather.borrow();
        let is_lost = random.lock().expect("nobody panics with it").u32(..1000) < now.lost;
        let late = now.delay + if is_lost { RETRANSMISSION } else { Duration::ZERO };
        if !late.is_zero() {
            tokio::time::sleep(late).await;
        }
        let gets_through = |now: &Weather| now.held.is_none_or(|held| held != Way::Both && held != way);
        if weather.wait_for(gets_through).await.is_err() || to.write_all(&piece[..read]).await.is_err() {
            return;
        }
    }
}
