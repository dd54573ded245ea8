//! One condition on one label, as people write it: `os=macos`, `xcode>=16`, `rack in left,right`, `gpu`, `!gpu`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::constraint::label::Labels;
use crate::constraint::version::compare;

/// Characters of a label's name, and of each value, in a condition.
pub const CONDITION_LIMIT_CHARS: usize = 100;
/// Values that one condition may list.
const VALUES_LIMIT: usize = 16;

/// What must hold of one label of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Condition {
    /// The label's name.
    pub label: Box<str>,
    /// What must hold of its value.
    pub test: Test,
}

/// What must hold of a label's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Test {
    /// It is this, letter by letter.
    Is(Box<str>),
    /// It is anything else, or there is no such label.
    IsNot(Box<str>),
    /// It is one of these.
    In(Vec<Box<str>>),
    /// It is none of these, or there is no such label.
    NotIn(Vec<Box<str>>),
    /// There is such a label.
    Exists,
    /// There is none.
    Absent,
    /// As a version it is this or later.
    AtLeast(Box<str>),
    /// As a version it is later than this.
    Above(Box<str>),
    /// As a version it is this or earlier.
    AtMost(Box<str>),
    /// As a version it is earlier than this.
    Below(Box<str>),
}

/// A condition that does not hold on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    /// The condition.
    pub condition: Condition,
    /// What the node's label is; `None` where it has none.
    pub found: Option<Box<str>>,
}

/// A text that is not a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotACondition {
    /// The name is none.
    #[error(
        "must be a condition on a label, such as os=macos, xcode>=16, rack in left,right, gpu or !gpu; a label's name has 1 to {CONDITION_LIMIT_CHARS} letters, digits, . _ - or /"
    )]
    Name,
    /// The value is none.
    #[error("a label's value has 1 to {CONDITION_LIMIT_CHARS} characters, none of them a control character")]
    Value,
    /// A comparison with what is no version.
    #[error("is compared as a version, so the value must begin with a number, such as xcode>=16.2")]
    Version,
    /// The list is empty or too long.
    #[error("must list 1 to {VALUES_LIMIT} values, such as rack in left,right")]
    List,
}

type TextTest = fn(Box<str>) -> Test;

/// Comparisons as they are written, those first of which others are the beginning.
const COMPARISONS: [(&str, TextTest); 7] = [
    (">=", Test::AtLeast),
    ("<=", Test::AtMost),
    ("!=", Test::IsNot),
    ("==", Test::Is),
    ("=", Test::Is),
    (">", Test::Above),
    ("<", Test::Below),
];

impl Condition {
    /// The label of this name is this, letter by letter.
    #[must_use]
    pub fn is(label: &str, value: &str) -> Self {
        Self { label: label.into(), test: Test::Is(value.into()) }
    }

    /// Whether it holds there.
    #[must_use]
    pub fn holds(&self, labels: &Labels) -> bool {
        self.test.holds(labels.get(&self.label))
    }

    /// As [`Self::holds`], with what was found.
    ///
    /// # Errors
    ///
    /// When it does not hold.
    pub fn check(&self, labels: &Labels) -> Result<(), Unmet> {
        let found = labels.get(&self.label);
        if self.test.holds(found) {
            return Ok(());
        }
        Err(Unmet { condition: self.clone(), found: found.map(Into::into) })
    }

    /// Whether every text in it is what can be written: what comes over the wire was not parsed.
    ///
    /// # Errors
    ///
    /// When one is not.
    pub fn validate(&self) -> Result<(), NotACondition> {
        name(&self.label)?;
        match &self.test {
            Test::Is(one) | Test::IsNot(one) => value(one).map(drop),
            Test::In(these) | Test::NotIn(these) if (1..=VALUES_LIMIT).contains(&these.len()) => {
                these.iter().try_for_each(|one| listed(one).map(drop))
            }
            Test::In(_) | Test::NotIn(_) => Err(NotACondition::List),
            Test::Exists | Test::Absent => Ok(()),
            Test::AtLeast(one) | Test::Above(one) | Test::AtMost(one) | Test::Below(one) => {
                value(one)?;
                compare(one, one).map(drop).ok_or(NotACondition::Version)
            }
        }
    }
}

impl Test {
    fn holds(&self, found: Option<&str>) -> bool {
        let is = |wanted: &str| found == Some(wanted);
        let order = |wanted: &str| found.and_then(|found| compare(found, wanted));
        match self {
            Self::Is(wanted) => is(wanted),
            Self::IsNot(wanted) => !is(wanted),
            Self::In(wanted) => wanted.iter().any(|one| is(one)),
            Self::NotIn(wanted) => !wanted.iter().any(|one| is(one)),
            Self::Exists => found.is_some(),
            Self::Absent => found.is_none(),
            Self::AtLeast(wanted) => order(wanted).is_some_and(Ordering::is_ge),
            Self::Above(wanted) => order(wanted).is_some_and(Ordering::is_gt),
            Self::AtMost(wanted) => order(wanted).is_some_and(Ordering::is_le),
            Self::Below(wanted) => order(wanted).is_some_and(Ordering::is_lt),
        }
    }
}

impl FromStr for Condition {
    type Err = NotACondition;

    fn from_str(text: &str) -> Result<Self, NotACondition> {
        let text = text.trim();
        let condition = match text.strip_prefix('!') {
            Some(label) if !label.starts_with('=') => {
                Self { label: name(label.trim())?.into(), test: Test::Absent }
            }
            _ => {
                let end = text.find(|c| !in_name(c)).unwrap_or(text.len());
                let (label, rest) = text.split_at(end);
                Self { label: name(label)?.into(), test: test(rest.trim())? }
            }
        };
        condition.validate()?;
        Ok(condition)
    }
}

/// What stands behind a label's name.
fn test(text: &str) -> Result<Test, NotACondition> {
    if text.is_empty() {
        return Ok(Test::Exists);
    }
    let compared = COMPARISONS.into_iter().find_map(|(sign, test)| Some((text.strip_prefix(sign)?, test)));
    if let Some((wanted, test)) = compared {
        return value(wanted.trim()).map(|wanted| test(wanted.into()));
    }
    let mut words = text.splitn(2, char::is_whitespace);
    let (first, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().trim());
    match (first, rest.strip_prefix("in").filter(|list| list.starts_with([' ', '(']))) {
        ("in", _) => Ok(Test::In(list(rest)?)),
        ("not", Some(rest)) => Ok(Test::NotIn(list(rest)?)),
        _ => match first.strip_prefix("in(") {
            Some(_) => Ok(Test::In(list(&text[2..])?)),
            None => Err(NotACondition::Name),
        },
    }
}

/// `left,right` or `(left, right)`.
fn list(text: &str) -> Result<Vec<Box<str>>, NotACondition> {
    let text = text.trim();
    let inner = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(text);
    if inner.trim().is_empty() {
        return Err(NotACondition::List);
    }
    inner.split(',').map(|one| listed(one.trim()).map(Into::into)).collect()
}

/// A value in a list: without what lists are made of.
fn listed(text: &str) -> Result<&str, NotACondition> {
    if text.contains([',', '(', ')']) { Err(NotACondition::List) } else { value(text) }
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-/".contains(c)
}

fn name(text: &str) -> Result<&str, NotACondition> {
    let fits = (1..=CONDITION_LIMIT_CHARS).contains(&text.len()) && text.chars().all(in_name);
    if fits { Ok(text) } else { Err(NotACondition::Name) }
}

fn value(text: &str) -> Result<&str, NotACondition> {
    let chars = text.chars().take(CONDITION_LIMIT_CHARS + 1).count();
    let fits = (1..=CONDITION_LIMIT_CHARS).contains(&chars) && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err(NotACondition::Value) }
}

/// As it can be read again.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = &self.label;
        match &self.test {
            Test::Is(value) => write!(f, "{label}={value}"),
            Test::IsNot(value) => write!(f, "{label}!={value}"),
            Test::In(values) => write!(f, "{label} in {}", values.join(",")),
            Test::NotIn(values) => write!(f, "{label} not in {}", values.join(",")),
            Test::Exists => f.write_str(label),
            Test::Absent => write!(f, "!{label}"),
            Test::AtLeast(value) => write!(f, "{label}>={value}"),
            Test::Above(value) => write!(f, "{label}>{value}"),
            Test::AtMost(value) => write!(f, "{label}<={value}"),
            Test::Below(value) => write!(f, "{label}<{value}"),
        }
    }
}

/// `label xcode>=26 missing (it is 16.2)`.
impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "label {} missing", self.condition)?;
        self.found.as_ref().map_or(Ok(()), |found| write!(f, " (it is {found})"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(condition: &str, value: Option<&str>) -> bool {
        let labels = Labels::of("n", value.map(|value| ("x", value)));
        condition.parse::<Condition>().unwrap().holds(&labels)
    }

    #[test]
    fn every_operator_says_what_people_expect() {
        for (condition, value, expected) in [
            ("x=a", Some("a"), true),
            ("x = a", Some("b"), false),
            ("x==a", Some("a"), true),
            ("x=a", None, false),
            ("x!=a", Some("a"), false),
            ("x!=a", Some("b"), true),
            ("x!=a", None, true),
            ("x in a,b", Some("b"), true),
            ("x in (a, b)", Some("c"), false),
            ("x in(a)", Some("a"), true),
            ("x not in a,b", Some("c"), true),
            ("x not in (a, b)", Some("a"), false),
            ("x not in a", None, true),
            ("x", Some("whatever"), true),
            ("x", None, false),
            ("!x", None, true),
            ("! x", Some("a"), false),
            ("x>=16", Some("16"), true),
            ("x>=16", Some("16.2"), true),
            ("x>=16", Some("9.4"), false),
            ("x>=16", Some("new"), false),
            ("x>=16", None, false),
            ("x>16", Some("16.0"), false),
            ("x<=16", Some("16"), true),
            ("x<16", Some("15.9"), true),
            ("x<16", None, false),
        ] {
            assert_eq!(holds(condition, value), expected, "{condition} of {value:?}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_what_it_must_be() {
        for (text, expected) in [
            ("", NotACondition::Name),
            ("=a", NotACondition::Name),
            ("!", NotACondition::Name),
            ("!=a", NotACondition::Name),
            ("os macos", NotACondition::Name),
            ("os~macos", NotACondition::Name),
            ("os=", NotACondition::Value),
            ("os in", NotACondition::List),
            ("os in ()", NotACondition::List),
            ("os in a,,b", NotACondition::Value),
            ("xcode>=new", NotACondition::Version),
        ] {
            assert_eq!(text.parse::<Condition>(), Err(expected), "{text:?}");
        }
        assert_eq!(format!("x={}", "a".repeat(101)).parse::<Condition>(), Err(NotACondition::Value));
        let many = vec!["a"; 17].join(",");
        assert_eq!(format!("x in {many}").parse::<Condition>(), Err(NotACondition::List));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_so_that_it_is_read_the_same(text in "!?[a-z/.]{0,4} ?(=|!=|>=|<|>| in | not in |) ?[(]?[a-c0-9,. ]{0,6}[)]?") {
            if let Ok(condition) = text.parse::<Condition>() {
                prop_assert_eq!(condition.validate(), Ok(()));
                prop_assert_eq!(condition.to_string().parse::<Condition>(), Ok(condition));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}") {
            let _ = (text.parse::<Condition>(), text.parse::<crate::constraint::Preference>());
        }
    }
}
