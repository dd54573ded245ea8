//! How many messages come to actors in a second: counted outside of them, from one look to the next.
//!
//! Who looks again and again is told of the time between the looks. Whoever looks once waits for a moment and has it looked at
//! twice, unless that was not wanted (`window=0`): a screen is to be there at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use policy::id::NodeId;
use policy::time::Moment;
use rustc_hash::FxHashMap;
use supervision::ProbeId;

use crate::client::Client;
use crate::console::Console;
use crate::console::ask::gather::{Gathered, Where, gather_for};
use crate::console::ask::top::WINDOW_LIMIT;
use crate::console::fault::Fault;
use crate::console::reply::short;
use crate::console::syntax::Line;
use crate::taskfile::quantity;
use crate::wire::inspect::Look;

/// Between two looks of who looks once: a message or two are seen, and nobody minds the wait.
const WINDOW: Duration = Duration::from_millis(250);
/// The least time between two looks that tells something of a rate.
const LEAST: Duration = Duration::from_millis(100);
/// A look that is longer ago is of another time.
const MOST: Duration = Duration::from_secs(10);

type Key = (Option<NodeId>, ProbeId);

/// What had come to actors when they were last looked at, and when that was.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<FxHashMap<Key, (Moment, u64)>>);

/// What comes to actors, in a second.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Coming(FxHashMap<Key, u64>);

impl Coming {
    pub(super) fn of(&self, machine: Option<&NodeId>, probe: ProbeId) -> Option<u64> {
        self.0.get(&(machine.cloned(), probe)).copied()
    }
}

impl Seen {
    /// What has come since the looks before, of those actors that were looked at then, and this look for the next ones.
    fn look(&self, sides: &[Gathered], now: Moment) -> Coming {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, (at, _)| now.since(*at) <= MOST);
        let mut coming = Coming::default();
        for side in sides {
            for row in side.rows.iter().flatten() {
                let key = (side.machine.clone(), row.probe);
                let before = seen.get(&key).copied();
                let apart = before.map(|(at, _)| now.since(at));
                // Two who look at once would only see chance.
                if apart.is_some_and(|apart| apart < LEAST) {
                    continue;
                }
                if let (Some((_, count)), Some(apart)) = (before, apart) {
                    coming.0.insert(key.clone(), a_second(row.enqueued.saturating_sub(count), apart));
                }
                seen.insert(key, (now, row.enqueued));
            }
        }
        coming
    }
}

/// So many within that time, in a second.
fn a_second(count: u64, within: Duration) -> u64 {
    let micros = u64::try_from(within.as_micros()).unwrap_or(u64::MAX).max(1);
    (count.saturating_mul(1_000_000) + micros / 2) / micros
}

/// Looks at actors, and at what comes to them.
pub(super) async fn look(
    console: &Console,
    client: &Client,
    (place, look): (&Where, &Look),
    line: &Line,
) -> Result<(Vec<Gathered>, Coming), Fault> {
    let window = window(line)?;
    let sides = gather_for(console, client, (place, look)).await?;
    let coming = console.seen.look(&sides, console.clock.now());
    let wanted = window.unwrap_or(WINDOW);
    let rows = sides.iter().filter_map(|side| side.rows.as_ref().ok()).map(Vec::len).sum::<usize>();
    // There are always some that are new.
    let is_enough = window.is_none() && 2 * coming.0.len() >= rows;
    if wanted.is_zero() || is_enough {
        return Ok((sides, coming));
    }
    tokio::time::sleep(wanted).await;
    let sides = gather_for(console, client, (place, look)).await?;
    let coming = console.seen.look(&sides, console.clock.now());
    Ok((sides, coming))
}

fn window(line: &Line) -> Result<Option<Duration>, Fault> {
    let Some(word) = line.pair("window") else { return Ok(None) };
    let is_fit = |window: &Duration| window.is_zero() || (LEAST..=WINDOW_LIMIT).contains(window);
    let window = if word.text == "0" { Ok(Duration::ZERO) } else { quantity::duration(&word.text) };
    window.ok().filter(is_fit).map(Some).ok_or_else(|| {
        let text = format!("a window is from {} to {}, or 0", short(LEAST), short(WINDOW_LIMIT));
        Fault::usage(word.span.clone(), text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::actor;
    use crate::wire::inspect::ActorRow;

    fn at(millis: u64) -> Moment {
        Moment::default() + Duration::from_millis(millis)
    }

    fn sides(machine: Option<&str>, counts: &[(u64, u64)]) -> Vec<Gathered> {
        let row = |(probe, enqueued): &(u64, u64)| ActorRow {
            probe: ProbeId(*probe),
            enqueued: *enqueued,
            ..actor()
        };
        vec![Gathered {
            machine: machine.map(Into::into),
            rows: Ok(counts.iter().map(row).collect()),
            more: 0,
        }]
    }

    #[test]
    fn what_comes_is_told_from_one_look_to_the_next() {
        let seen = Seen::default();
        let told = |coming: &Coming, probe| coming.of(None, ProbeId(probe));
        assert_eq!(seen.look(&sides(None, &[(1, 100)]), at(0)), Coming::default(), "nothing is known yet");
        let second = seen.look(&sides(None, &[(1, 400), (2, 9)]), at(500));
        assert_eq!((told(&second, 1), told(&second, 2)), (Some(600), None));
        // Of another machine, with the same number.
        assert_eq!(seen.look(&sides(Some("mac"), &[(1, 7)]), at(600)), Coming::default());
        let third = seen.look(&sides(None, &[(1, 400), (2, 12)]), at(1500));
        assert_eq!((told(&third, 1), told(&third, 2)), (Some(0), Some(3)));
    }

    #[test]
    fn looks_at_once_tell_nothing_and_spoil_nothing_and_old_ones_are_forgotten() {
        let seen = Seen::default();
        seen.look(&sides(None, &[(1, 0)]), at(0));
        assert_eq!(seen.look(&sides(None, &[(1, 50)]), at(50)), Coming::default());
        assert_eq!(seen.look(&sides(None, &[(1, 100)]), at(1000)).of(None, ProbeId(1)), Some(100));
        assert_eq!(seen.look(&sides(None, &[(1, 900)]), at(60_000)), Coming::default());
    }
}
