//! The dialler: keeps one connection to a server.
//!
//! **Role.** Connects, tells its owner, waits for the end, connects again, ever more slowly.
//! **Parent** the machine side's root. **Hears** its own attempts and timers. **Tells** its owner each [`DiallerEvent`],
//! in order. **On crash** the connection ends; the next one starts afresh. **Invariant.** At most one connection at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Me, Message};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connect::{ConnectError, Dial, connect_once};
use super::life::EndReason;
use super::peer::Connection;

/// The wait after the first failure; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait: a scheduler that comes back is found within it.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A connection that lived so long was a good one, and the waits begin anew.
const GOOD_LIFE: Duration = Duration::from_secs(10);

/// What a dialler can be told.
#[derive(Debug, IntoStaticStr)]
pub enum DiallerMessage {
    /// An attempt has ended.
    Attempted(Result<Connection, ConnectError>),
    /// The connection has ended.
    Ended(EndReason),
    /// Timer: it is time for the next attempt.
    WaitOver,
}

impl Message for DiallerMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// What a dialler tells its owner.
#[derive(Debug)]
pub enum DiallerEvent {
    /// There is a connection.
    Up(Connection),
    /// It has ended. What was on its way may or may not have arrived.
    Down(EndReason),
    /// An attempt has failed; the next one follows after the wait.
    Refused {
        /// Why.
        error: ConnectError,
        /// How long until the next attempt.
        wait: Duration,
    },
}

/// Everything a dialler needs to start.
pub struct DiallerArgs {
    /// What to connect to, and as what.
    pub dial: Dial,
    /// Where the randomness of the waits comes from.
    pub seed: u64,
    /// Hears the events; called by the actor, so it only hands on.
    pub owner: Box<dyn Fn(DiallerEvent) + Send>,
}

impl fmt::Debug for DiallerArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiallerArgs({:?})", self.dial)
    }
}

/// See the module docs.
pub struct Dialler {
    dial: Arc<Dial>,
    owner: Box<dyn Fn(DiallerEvent) + Send>,
    back_off: BackOff,
    /// Since when there is a connection, and the connection.
    connection: Option<(Instant, Connection)>,
    /// An attempt, a wait or a watch over the connection.
    running: JoinHandle<()>,
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialler({:?}, {:?})", self.dial, self.connection)
    }
}

impl Actor for Dialler {
    const KIND: &'static str = "dialler";
    type Message = DiallerMessage;
    type Args = DiallerArgs;

    fn start(
        DiallerArgs { dial, seed, owner }: DiallerArgs,
        me: &Me<DiallerMessage>,
    ) -> Result<Self, ActorError> {
        let dial = Arc::new(dial);
        let running = attempt(&dial, me);
        Ok(Self { dial, owner, back_off: BackOff::new(seed), connection: None, running })
    }

    fn handle(&mut self, message: DiallerMessage, me: &Me<DiallerMessage>) -> Result<(), ActorError> {
        match message {
            DiallerMessage::Attempted(Ok(connection)) => self.up(connection, me),
            DiallerMessage::Attempted(Err(error)) => self.refused(error, me),
            DiallerMessage::Ended(reason) => self.down(reason, me),
            DiallerMessage::WaitOver => self.running = attempt(&self.dial, me),
        }
        Ok(())
    }
}

fn attempt(dial: &Arc<Dial>, me: &Me<DiallerMessage>) -> JoinHandle<()> {
    let dial = Arc::clone(dial);
    me.run(async move { DiallerMessage::Attempted(connect_once(&dial).await) })
}

impl Dialler {
    fn up(&mut self, connection: Connection, me: &Me<DiallerMessage>) {
        let life = connection.life();
        self.running = me.run(async move { DiallerMessage::Ended(life.wait().await) });
        self.connection = Some((Instant::now(), connection.clone()));
        (self.owner)(DiallerEvent::Up(connection));
    }

    fn refused(&mut self, error: ConnectError, me: &Me<DiallerMessage>) {
        let wait = self.back_off.next();
        self.running = me.after(wait, DiallerMessage::WaitOver);
        (self.owner)(DiallerEvent::Refused { error, wait });
    }

    fn down(&mut self, reason: EndReason, me: &Me<DiallerMessage>) {
        if self.connection.take().is_some_and(|(since, _)| since.elapsed() >= GOOD_LIFE) {
            self.back_off.reset();
        }
        self.running = me.after(self.back_off.next(), DiallerMessage::WaitOver);
        (self.owner)(DiallerEvent::Down(reason));
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        self.running.abort();
        if let Some((_, connection)) = &self.connection {
            connection.close();
        }
    }
}

/// How long to wait before the next attempt: doubling, and anywhere in its upper half, so that a fleet that
/// lost its scheduler does not come back all at once.
struct BackOff {
    failures: u32,
    random: fastrand::Rng,
}

impl BackOff {
    fn new(seed: u64) -> Self {
        Self { failures: 0, random: fastrand::Rng::with_seed(seed) }
    }

    fn next(&mut self) -> Duration {
        let whole = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(0.5 + self.random.f64() / 2.0)
    }

    fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew() {
        let mut back_off = BackOff::new(7);
        for power in 0..20 {
            let whole = FIRST_WAIT.saturating_mul(1 << power).min(LONGEST_WAIT);
            let wait = back_off.next();
            assert!(wait >= whole / 2 && wait <= whole, "{power}: {wait:?}");
        }
        back_off.reset();
        assert!(back_off.next() <= FIRST_WAIT);
    }

    #[test]
    fn the_same_seed_waits_the_same() {
        let waits = |seed| {
            let mut back_off = BackOff::new(seed);
            (0..8).map(|_| back_off.next()).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
