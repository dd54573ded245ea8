//! The only reader of time.
//!
//! Leases and deadlines are measured on the lease clock, which counts while the machine sleeps and never
//! jumps; the wall clock is for people and records. A simulated clock follows tokio's (which tests pause),
//! so that there is no second, mocked time beside it.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use policy::time::{Moment, Timestamp};

/// Reads both clocks of this machine. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Source);

#[derive(Debug, Clone, Copy)]
enum Source {
    System,
    /// Follows tokio's clock from a start of our choice.
    Simulated {
        started: tokio::time::Instant,
        /// How much faster than true time the lease clock runs, in millionths.
        drift: i32,
    },
}

/// Where simulated wall time begins: 2026-01-01T00:00:00Z, in microseconds since the Unix epoch.
const SIMULATED_WALL_START: Timestamp = Timestamp(1_767_225_600_000_000);

/// The parts in which drift is told.
const MILLION: u32 = 1_000_000;

/// The clock that counts through sleep.
#[cfg(target_os = "linux")]
const LEASE_CLOCK: ClockId = ClockId::CLOCK_BOOTTIME;
/// The clock that counts through sleep; on macOS it is this one, unlike `CLOCK_UPTIME_RAW`.
#[cfg(target_os = "macos")]
const LEASE_CLOCK: ClockId = ClockId::from_raw(libc::CLOCK_MONOTONIC_RAW);

impl Clock {
    /// The clocks of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Both clocks follow tokio's. Must be called within a tokio runtime.
    #[must_use]
    pub fn simulated() -> Self {
        Self::drifting(0)
    }

    /// A simulated clock whose lease clock runs faster than tokio's by so many millionths, or slower.
    #[must_use]
    pub fn drifting(millionths: i32) -> Self {
        Self(Source::Simulated { started: tokio::time::Instant::now(), drift: millionths })
    }

    /// Now, on the lease clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        let since_start = match self.0 {
            Source::System => read(LEASE_CLOCK),
            Source::Simulated { started, drift } => drifted(started.elapsed(), drift),
        };
        Moment::default() + since_start
    }

    /// Now, on the wall clock.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        match self.0 {
            Source::System => Timestamp::default() + read(ClockId::CLOCK_REALTIME),
            Source::Simulated { started, .. } => SIMULATED_WALL_START + started.elapsed(),
        }
    }
}

/// What a clock shows that runs faster by so many millionths.
fn drifted(elapsed: Duration, millionths: i32) -> Duration {
    let part = elapsed / MILLION * millionths.unsigned_abs();
    if millionths < 0 { elapsed.saturating_sub(part) } else { elapsed + part }
}

/// # Panics
/// Never on the supported systems: both have these clocks.
#[expect(clippy::expect_used, reason = "a machine without these clocks cannot run leases at all")]
fn read(clock: ClockId) -> Duration {
    Duration::from(clock_gettime(clock).expect("the supported systems have this clock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_clock_does_not_run_backwards() {
        let clock = Clock::system();
        let earlier = clock.now();
        assert!(clock.now() >= earlier);
        assert!(clock.wall() > SIMULATED_WALL_START);
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_follows_the_paused_one() {
        let clock = Clock::simulated();
        let (now, wall) = (clock.now(), clock.wall());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.now().since(now), Duration::from_secs(60));
        assert_eq!(clock.wall().since(wall), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drifting_clock_gains_or_loses_and_its_wall_does_not() {
        let (fast, slow) = (Clock::drifting(500), Clock::drifting(-500));
        let (now, wall) = ([fast.now(), slow.now()], fast.wall());
        tokio::time::advance(Duration::from_secs(1000)).await;
        assert_eq!(fast.now().since(now[0]), Duration::from_millis(1_000_500));
        assert_eq!(slow.now().since(now[1]), Duration::from_millis(999_500));
        assert_eq!(fast.wall().since(wall), Duration::from_secs(1000));
    }
}
