//! What a task asks of the node it runs on besides room: labels that must or should be there, another node than the one
//! where it failed, and who runs beside it.
//!
//! Knows nothing of resources, and nothing of how a node is chosen: it says whether a node may, and how well it suits.

mod company;
mod condition;
mod label;
mod version;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

pub use crate::constraint::company::{COMPANY_LIMIT, Company, Distance, NotASpread, SPREAD_LIMIT, Spread};
pub use crate::constraint::condition::{CONDITION_LIMIT_CHARS, Condition, NotACondition, Test, Unmet};
pub use crate::constraint::label::{
    ARCH, ARTIFACTS, CHIP, DATA, JOBSERVER, KERNEL, LABELS_LIMIT, LIMITS, LOCATION, Labels, MEASURED, NODE,
    OS, REACHED, SANDBOX, SECRET, SHARDS, STAGES, VERSION, WORKSPACES,
};

/// Conditions of each sort that one task may name: more than anybody oversees.
pub const CONDITIONS_LIMIT: usize = 16;
/// The weight of a preference that names none.
pub const WEIGHT_USUAL: u32 = 1;
/// The largest weight of a preference: beside it the usual one is next to nothing.
pub const WEIGHT_LIMIT: u32 = 100;

/// See the module. The default asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Constraints {
    /// All of these hold on a node, or it does not run there.
    pub require: Vec<Condition>,
    /// Of nodes with room now, one where more of these hold is taken first.
    pub prefer: Vec<Preference>,
    /// Whether the node of its last attempt that failed is avoided.
    pub avoid_failed: AvoidFailed,
    /// What it says of those that run beside it; `None` where that is nothing.
    pub company: Option<Arc<Company>>,
}

/// What a task would rather have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Preference {
    /// What should hold.
    pub on: Condition,
    /// How much that counts beside others, from 1 to [`WEIGHT_LIMIT`].
    pub weight: u32,
}

/// What named data a task would rather run beside, as people write it: `imagenet`, or with a weight `50:imagenet`. It is a
/// preference like others, for nodes that say they hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near(pub Preference);

/// What a task has against the node where its last attempt did not succeed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "lowercase")]
pub enum AvoidFailed {
    /// Nothing.
    No,
    /// Any other node with room now is taken first.
    #[default]
    Prefer,
    /// It waits for another, as long as one is up that could run it.
    Require,
}

/// A text that is not a preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPreference {
    /// The condition is none.
    #[error("{0}")]
    Condition(#[from] NotACondition),
    /// The weight is out of range.
    #[error("a weight must be from 1 to {WEIGHT_LIMIT}, such as 50:rack=left")]
    Weight,
}

impl Constraints {
    /// Only these conditions.
    #[must_use]
    pub fn requiring(require: Vec<Condition>) -> Self {
        Self { require, ..Self::default() }
    }

    /// Every required condition that does not hold there; empty where the node may run it.
    #[must_use]
    pub fn unmet(&self, labels: &Labels) -> Vec<Unmet> {
        let required = self.require.iter().filter_map(|condition| condition.check(labels).err());
        required.chain(self.spread().filter_map(|rule| rule.condition().check(labels).err())).collect()
    }

    /// Whether all that is required holds there.
    #[must_use]
    pub fn met(&self, labels: &Labels) -> bool {
        let has = |rule: &Spread| labels.get(&rule.per).is_some();
        self.require.iter().all(|condition| condition.holds(labels)) && self.spread().all(has)
    }

    /// How its group is spread: where a label is missing it cannot run.
    fn spread(&self) -> impl Iterator<Item = &Spread> {
        self.company.iter().flat_map(|company| &company.spread)
    }

    /// The weights of all that is preferred and holds there.
    #[must_use]
    pub fn liking(&self, labels: &Labels) -> u32 {
        self.prefer.iter().filter(|one| one.on.holds(labels)).map(|one| one.weight).sum()
    }
}

/// `rack=left`, or with a weight `50:rack=left`: a label's name cannot hold a colon, so the two are told apart.
impl FromStr for Preference {
    type Err = NotAPreference;

    fn from_str(text: &str) -> Result<Self, NotAPreference> {
        let weighed = text.split_once(':').filter(|(weight, _)| weight.trim().parse::<u64>().is_ok());
        let Some((weight, on)) = weighed else {
            return Ok(Self { on: text.parse()?, weight: WEIGHT_USUAL });
        };
        let weight = weight.trim().parse().ok().filter(|weight| (1..=WEIGHT_LIMIT).contains(weight));
        Ok(Self { on: on.parse()?, weight: weight.ok_or(NotAPreference::Weight)? })
    }
}

impl FromStr for Near {
    type Err = NotAPreference;

    fn from_str(text: &str) -> Result<Self, NotAPreference> {
        let Distance { group: data, weight } = text.parse()?;
        let on = Condition { label: format!("{DATA}{data}").into(), test: Test::Exists };
        on.validate()?;
        Ok(Self(Preference { on, weight }))
    }
}

impl fmt::Display for Preference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weight {
            WEIGHT_USUAL => self.on.fmt(f),
            weight => write!(f, "{weight}:{}", self.on),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels::of("mac-1", [("os", "macos"), ("xcode", "16.2"), ("rack", "left")])
    }

    fn conditions(texts: &[&str]) -> Vec<Condition> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_not_met_is_told_and_all_else_is_not() {
        let constraints = Constraints::requiring(conditions(&["os=macos", "xcode>=26", "gpu", "node=mac-2"]));
        let unmet: Vec<_> = constraints.unmet(&labels()).iter().map(ToString::to_string).collect();
        assert_eq!(
            unmet,
            [
                "label xcode>=26 missing (it is 16.2)",
                "label gpu missing",
                "label node=mac-2 missing (it is mac-1)"
            ]
        );
        assert!(!constraints.met(&labels()));
        assert!(Constraints::default().met(&Labels::default()));
    }

    #[test]
    fn weights_of_what_holds_add_up() {
        let prefer = ["rack=left", "50:os=macos", "9:xcode>=26"];
        let prefer = prefer.iter().map(|text| text.parse().unwrap()).collect();
        let constraints = Constraints { prefer, ..Constraints::default() };
        assert_eq!(constraints.liking(&labels()), 51);
    }

    #[test]
    fn who_wants_to_be_near_data_likes_the_nodes_that_hold_it() {
        let near = ["50:imagenet", "other"].map(|text| text.parse::<Near>().unwrap().0);
        assert_eq!(near.each_ref().map(ToString::to_string), ["50:data/imagenet", "data/other"]);
        let constraints = Constraints { prefer: near.into(), ..Constraints::default() };
        let holds = |data: &str| Labels::of("a", [(&*format!("data/{data}"), "yes")]);
        assert_eq!(
            [holds("imagenet"), holds("other"), holds("more")].map(|on| constraints.liking(&on)),
            [50, 1, 0]
        );
        assert_eq!("a b".parse::<Near>(), Err(NotAPreference::Condition(NotACondition::Name)));
        assert_eq!("500:a".parse::<Near>(), Err(NotAPreference::Weight));
    }

    #[test]
    fn a_preference_is_read_with_and_without_a_weight() {
        let written = |text: &str| text.parse::<Preference>().map(|one| one.to_string());
        assert_eq!(written("rack = left"), Ok("rack=left".into()));
        assert_eq!(written(" 50 : rack=left:2"), Ok("50:rack=left:2".into()));
        assert_eq!(written("0:rack"), Err(NotAPreference::Weight));
        assert_eq!(written("101:rack"), Err(NotAPreference::Weight));
        assert_eq!(written("1:"), Err(NotAPreference::Condition(NotACondition::Name)));
    }

    /// The gatekeeper's rules: a promotion gate runs on production alone, early phases never there, late ones anywhere.
    #[test]
    fn promotion_gates_and_phases_are_kept_apart_by_labels() {
        let production = Labels::of("p", [("production", "yes")]);
        let other = Labels::of("o", []);
        let may = |require: &[&str]| {
            let constraints = Constraints::requiring(conditions(require));
            (constraints.met(&production), constraints.met(&other))
        };
        assert_eq!(may(&["production=yes"]), (true, false), "a gate");
        assert_eq!(may(&["production!=yes"]), (false, true), "phases 1 and 2");
        assert_eq!(may(&[]), (true, true), "phases 3 and 4");
    }
}
