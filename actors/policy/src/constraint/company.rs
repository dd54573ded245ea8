//! Who may run beside whom: groups of tasks that are spread over nodes, or kept apart from others.
//!
//! A group is a name in the fleet: tasks of several graphs and tenants may be of one. Who runs where is not known here,
//! see `fleet::company`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::constraint::condition::{Condition, NotACondition, Test};
use crate::constraint::{NotAPreference, WEIGHT_LIMIT, WEIGHT_USUAL};

/// Rules of each sort that one task may name: each is looked at for each demand and node.
pub const COMPANY_LIMIT: usize = 8;
/// The most that may be asked to run beside each other: more than any node runs.
pub const SPREAD_LIMIT: u32 = 100_000;

/// What a task says of those that run beside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Company {
    /// The group that it is counted with.
    pub group: Option<Arc<str>>,
    /// How many of its group may run at once in each place.
    pub spread: Vec<Spread>,
    /// Groups of which none runs on its node while it does, neither before it nor after it.
    pub apart: Vec<Arc<str>>,
    /// Groups that it would rather not run beside.
    pub prefer_apart: Vec<Distance>,
}

/// So many of a group, and no more, where a label of the nodes has one value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spread {
    /// The label, which a node must have: `node` for each node by itself.
    pub per: Box<str>,
    /// How many at once.
    pub max: u32,
}

/// What a task would rather not have beside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Distance {
    /// The group.
    pub group: Arc<str>,
    /// How much each of it counts against a node, from 1 to [`WEIGHT_LIMIT`].
    pub weight: u32,
}

/// A text that is not a rule of how a group is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotASpread {
    /// It has another form, or the number is out of range.
    #[error(
        "must say how many at once for each value of a label, such as node=1 or rack=2: from 1 to {SPREAD_LIMIT}"
    )]
    Form,
    /// The label is none.
    #[error("{0}")]
    Label(#[from] NotACondition),
}

impl Company {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// About how many bytes it takes when encoded.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let spread = self.spread.iter().map(|one| one.per.len() + 8);
        let apart = self.apart.iter().map(|one| one.len() + 4);
        let rather = self.prefer_apart.iter().map(|one| one.group.len() + 8);
        let group = self.group.as_ref().map_or(0, |group| group.len());
        group + spread.chain(apart).chain(rather).sum::<usize>()
    }

    /// Whether one of these may not run on a node where the other does.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        let shuns =
            |one: &Self, other: &Self| other.group.as_ref().is_some_and(|group| one.apart.contains(group));
        shuns(self, other) || shuns(other, self)
    }
}

impl Spread {
    /// That a node has the label by which it is spread.
    #[must_use]
    pub fn condition(&self) -> Condition {
        Condition { label: self.per.clone(), test: Test::Exists }
    }

    /// Whether it is one that can be written: what comes over the wire was not parsed.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn validate(&self) -> Result<(), NotASpread> {
        self.condition().validate()?;
        if (1..=SPREAD_LIMIT).contains(&self.max) { Ok(()) } else { Err(NotASpread::Form) }
    }
}

/// `node=1`, `rack=2`.
impl FromStr for Spread {
    type Err = NotASpread;

    fn from_str(text: &str) -> Result<Self, NotASpread> {
        let (per, max) = text.split_once('=').ok_or(NotASpread::Form)?;
        let max = max.trim().parse().map_err(|_| NotASpread::Form)?;
        let spread = Self { per: per.trim().into(), max };
        spread.validate()?;
        Ok(spread)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.per, self.max)
    }
}

/// `builds`, or with a weight `50:builds`.
impl FromStr for Distance {
    type Err = NotAPreference;

    fn from_str(text: &str) -> Result<Self, NotAPreference> {
        let weighed = text.split_once(':').filter(|(weight, _)| weight.trim().parse::<u64>().is_ok());
        let Some((weight, group)) = weighed else {
            return Ok(Self { group: text.trim().into(), weight: WEIGHT_USUAL });
        };
        let weight = weight.trim().parse().ok().filter(|weight| (1..=WEIGHT_LIMIT).contains(weight));
        Ok(Self { group: group.trim().into(), weight: weight.ok_or(NotAPreference::Weight)? })
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weight {
            WEIGHT_USUAL => f.write_str(&self.group),
            weight => write!(f, "{weight}:{}", self.group),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_group_is_spread_is_read_as_it_is_written() {
        let written = |text: &str| text.parse::<Spread>().map(|one| one.to_string());
        assert_eq!(written(" node = 1"), Ok("node=1".into()));
        assert_eq!(written("rack=20"), Ok("rack=20".into()));
        for wrong in ["node", "node=0", "node=-1", "node=100001", "node=two"] {
            assert_eq!(written(wrong), Err(NotASpread::Form), "{wrong}");
        }
        assert_eq!(written("=1"), Err(NotASpread::Label(NotACondition::Name)));
    }

    #[test]
    fn a_distance_is_read_with_and_without_a_weight() {
        let written = |text: &str| text.parse::<Distance>().map(|one| one.to_string());
        assert_eq!(written(" builds"), Ok("builds".into()));
        assert_eq!(written("50: builds"), Ok("50:builds".into()));
        assert_eq!(written("0:builds"), Err(NotAPreference::Weight));
        assert_eq!(
            written("x:builds"),
            Ok("x:builds".into()),
            "that such a name is none is for admission to say"
        );
    }

    #[test]
    fn either_of_two_may_exclude_the_other() {
        let of = |group: &str, apart: &[&str]| Company {
            group: Some(group.into()),
            apart: apart.iter().map(|one| Arc::from(*one)).collect(),
            ..Company::default()
        };
        assert!(of("a", &["b"]).excludes(&of("b", &[])) && of("b", &[]).excludes(&of("a", &["b"])));
        assert!(!of("a", &["b"]).excludes(&of("a", &["b"])));
        assert!(of("a", &["a"]).excludes(&of("a", &[])));
    }
}
