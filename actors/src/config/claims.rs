//! `[locks]`, `[pools]`, `[amounts]` and `[rates]`: what the fleet has as a whole, for tasks to claim. See
//! `policy::claims`.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::claims::{CALLS, CLAIM_NAME_RULE, ClaimRules, RateRule, WindowRule, is_claim_name};
use serde::Deserialize;

use crate::config::ConfigError;
use crate::config::amount::{List, Written};
use crate::config::section::{Section, Setting, section};
use crate::taskfile::quantity;

/// Indices of one pool: as many as there are ports.
const INDICES_LIMIT: usize = 65_536;
/// Of an amount or a window: sums of all claims cannot overflow.
const AMOUNT_LIMIT: u64 = 1 << 60;
/// Windows of one rate: providers have three or four.
const WINDOWS_LIMIT: usize = 8;
/// The shortest and the longest window.
const WINDOW_RANGE: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(31 * 24)];

section! {
    /// `[locks.NAME]`
    LockConfig {
        /// How many may share the lock at once.
        readers: u32 as "any number", 1..;
    }
}

/// Entries of one kind, by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Entries<V>(pub BTreeMap<String, V>);

impl<V> Default for Entries<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// One entry.
trait Entry: Written {
    /// What it means.
    const ABOUT: &'static str;

    /// What it must be, in words.
    fn words() -> String;

    /// Whether it is that.
    fn is_allowed(&self) -> bool;
}

/// The indices of a pool: `"9000-9099"`, or a list of names and such ranges.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum PoolConfig {
    /// A range, or a single index.
    One(String),
    /// Several.
    Some(Vec<String>),
}

/// The windows of a rate: `"50 per minute"`, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum RateConfig {
    /// One.
    One(String),
    /// Several, which hold at once.
    Some(Vec<String>),
}

impl<V: Entry> Section for Entries<V> {
    fn settings(&self, path: &str, into: &mut Vec<Setting>) {
        into.extend(self.0.iter().map(|(name, value)| Setting {
            key: format!("{path}.{name}"),
            said: Some(value.written()),
            usual: "none".to_owned(),
            allowed: V::words(),
            about: V::ABOUT,
        }));
    }

    fn check(&self, path: &str) -> Result<(), ConfigError> {
        for (name, value) in &self.0 {
            check_name(path, name)?;
            if !value.is_allowed() {
                let (key, value) = (format!("{path}.{name}"), value.written());
                return Err(ConfigError::Range { key, value, allowed: V::words() });
            }
        }
        Ok(())
    }
}

fn check_name(path: &str, name: &str) -> Result<(), ConfigError> {
    if is_claim_name(name) {
        return Ok(());
    }
    let allowed = CLAIM_NAME_RULE.trim_start_matches("must ").replace("have", "a name of");
    Err(ConfigError::Range { key: path.to_owned(), value: format!("{name:?}"), allowed })
}

impl Entry for u64 {
    const ABOUT: &'static str = "How much of it the fleet has.";

    fn words() -> String {
        format!("between 1 and {AMOUNT_LIMIT}")
    }

    fn is_allowed(&self) -> bool {
        (1..=AMOUNT_LIMIT).contains(self)
    }
}

impl Entry for PoolConfig {
    const ABOUT: &'static str = "The indices of the pool.";

    fn words() -> String {
        format!(
            "a range such as \"9000-9099\", or a list of indices and ranges, with 1 to {INDICES_LIMIT} different indices"
        )
    }

    fn is_allowed(&self) -> bool {
        self.indices().is_some()
    }
}

impl Written for PoolConfig {
    fn written(&self) -> String {
        match self {
            Self::One(one) => one.written(),
            Self::Some(some) => List(some.clone()).written(),
        }
    }
}

impl PoolConfig {
    /// Its indices in their order; `None` where they are not allowed.
    fn indices(&self) -> Option<Vec<Box<str>>> {
        let parts = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Some(some) => some,
        };
        let mut indices: Vec<Box<str>> = Vec::new();
        for part in parts {
            match range(part) {
                Some((first, last)) => {
                    let count = usize::try_from(last.checked_sub(first)?).ok()?;
                    if indices.len() + count >= INDICES_LIMIT {
                        return None;
                    }
                    indices.extend((first..=last).map(|index| Box::from(index.to_string())));
                }
                None if is_claim_name(part) => indices.push(part.as_str().into()),
                None => return None,
            }
        }
        let different: std::collections::BTreeSet<_> = indices.iter().collect();
        let all_differ = different.len() == indices.len();
        (all_differ && !indices.is_empty() && indices.len() <= INDICES_LIMIT).then_some(indices)
    }
}

/// `9000-9099` as its ends; `None` where it is a single index.
fn range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

impl Entry for RateConfig {
    const ABOUT: &'static str = "How much may be used within a length of time.";

    fn words() -> String {
        format!(
            "a window such as \"50 per minute\" or \"2000000 tokens per day\", or a list of up to {WINDOWS_LIMIT}, each \
             of 1s to 31 days"
        )
    }

    fn is_allowed(&self) -> bool {
        self.rule().is_some()
    }
}

impl Written for RateConfig {
    fn written(&self) -> String {
        match self {
            Self::One(one) => one.written(),
            Self::Some(some) => List(some.clone()).written(),
        }
    }
}

impl RateConfig {
    /// Its windows; `None` where they are not allowed.
    fn rule(&self) -> Option<RateRule> {
        let windows = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Some(some) => some,
        };
        let windows: Vec<_> = windows.iter().map(|text| window(text)).collect::<Option<_>>()?;
        (1..=WINDOWS_LIMIT).contains(&windows.len()).then_some(RateRule { windows })
    }
}

/// Reads `50 per minute` or `2,000,000 tokens per 24h`.
fn window(text: &str) -> Option<WindowRule> {
    let (amount, length) = text.split_once(" per ")?;
    let amount = amount.trim();
    let (number, unit) = amount.split_once(' ').unwrap_or((amount, CALLS));
    let limit =
        number.replace([',', '_'], "").parse().ok().filter(|limit| (1..=AMOUNT_LIMIT).contains(limit))?;
    let unit = unit.trim();
    let length = match length.trim() {
        "second" => Duration::from_secs(1),
        "minute" => Duration::from_secs(60),
        "hour" => Duration::from_hours(1),
        "day" => Duration::from_hours(24),
        "week" => Duration::from_hours(7 * 24),
        other => quantity::duration(other).ok()?,
    };
    let [shortest, longest] = WINDOW_RANGE;
    let is_sound = is_claim_name(unit) && (shortest..=longest).contains(&length);
    is_sound.then(|| WindowRule { unit: unit.into(), limit, length })
}

/// What follows for all tasks. What is not allowed was refused before.
#[must_use]
pub fn rules(
    locks: &BTreeMap<String, LockConfig>,
    pools: &Entries<PoolConfig>,
    amounts: &Entries<u64>,
    rates: &Entries<RateConfig>,
) -> ClaimRules {
    let name = |name: &String| Box::from(name.as_str());
    ClaimRules {
        readers: locks.iter().filter_map(|(lock, config)| Some((name(lock), config.readers?))).collect(),
        rates: rates.0.iter().filter_map(|(rate, config)| Some((name(rate), config.rule()?))).collect(),
        pools: pools.0.iter().filter_map(|(pool, config)| Some((name(pool), config.indices()?))).collect(),
        amounts: amounts.0.iter().map(|(amount, limit)| (name(amount), *limit)).collect(),
    }
}

/// Whether the names of locks are, and whether each pool has a variable of its own.
pub(super) fn check(locks: &BTreeMap<String, LockConfig>, rules: &ClaimRules) -> Result<(), ConfigError> {
    locks.keys().try_for_each(|name| check_name("locks", name))?;
    match rules.confused_pools() {
        None => Ok(()),
        Some((one, other)) => Err(ConfigError::Range {
            key: format!("pools.{one}"),
            value: format!("{one:?}"),
            allowed: format!("a name whose variable differs from that of {other:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_written() {
        let read = |text| {
            window(text).map(|window| (window.limit, window.unit.to_string(), window.length.as_secs()))
        };
        assert_eq!(read("50 per minute"), Some((50, "calls".to_owned(), 60)));
        assert_eq!(read("2,000,000 tokens per day"), Some((2_000_000, "tokens".to_owned(), 86_400)));
        assert_eq!(read("3 per 90s"), Some((3, "calls".to_owned(), 90)));
        for wrong in
            ["", "50", "per minute", "0 per minute", "5 per", "5 per 100ms", "5 a=b per day", "5 per 32d"]
        {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn indices_are_ranges_or_names_and_all_different() {
        let indices = |some: &[&str]| {
            let some = some.iter().map(|one| (*one).to_owned()).collect();
            PoolConfig::Some(some).indices().map(|indices| indices.join(" "))
        };
        assert_eq!(indices(&["9000-9002", "spare", "7"]).as_deref(), Some("9000 9001 9002 spare 7"));
        assert_eq!(indices(&["iphone-15"]).as_deref(), Some("iphone-15"));
        for wrong in [&[][..], &["1-3", "2"], &["5-1"], &["0-18446744073709551615"], &["a b"]] {
            assert_eq!(indices(wrong), None, "{wrong:?}");
        }
    }
}
