//! Labels that operators put on machines, over those that machines say of themselves.
//!
//! Whoever asks says what changes; on record is all that an operator says of a machine's labels then, so that the last record says
//! all. What a machine can do it alone can know: such labels are nobody else's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::constraint::{
    ARCH, ARTIFACTS, CHIP, Condition, JOBSERVER, LIMITS, LOCATION, NODE, NotACondition, OS, REACHED, SANDBOX,
    SECRET, SHARDS, STAGES, VERSION, WORKSPACES,
};
use crate::directive::{Directive, Directives};
use crate::id::NodeId;

/// Labels that operators may put on one machine: each is looked at for each demand, as its own are.
pub const OPERATOR_LABELS_LIMIT: usize = 16;
/// What machines alone say.
const OWN: [&str; 14] = [
    NODE, LOCATION, OS, ARCH, CHIP, LIMITS, WORKSPACES, STAGES, SHARDS, ARTIFACTS, JOBSERVER, SANDBOX,
    REACHED, VERSION,
];

/// A label by name, or that it is taken back.
pub type Change = (Arc<str>, Option<Arc<str>>);
/// What operators have put on one machine.
pub(super) type Put = BTreeMap<Arc<str>, Arc<str>>;

/// Why labels cannot be put on a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPut {
    /// The name or the value is none.
    #[error("{0:?} {1}")]
    NotALabel(Arc<str>, NotACondition),
    /// It says what the machine is or can do.
    #[error("{0:?} is for the machine alone to say")]
    Own(Arc<str>),
    /// Nothing is to change.
    #[error("no label is named, such as rack=left")]
    None,
    /// There would be too many.
    #[error(
        "{0} would have {1} labels of operators, at most {OPERATOR_LABELS_LIMIT} may be put on a machine"
    )]
    Many(NodeId, usize),
}

impl Directives {
    /// What goes on record for what is asked: of labels all that the machine has by operators then.
    ///
    /// # Errors
    /// These labels cannot be put there.
    pub fn whole(&self, asked: &Directive) -> Result<Directive, NotPut> {
        let Directive::Label { node, labels } = asked else { return Ok(asked.clone()) };
        if labels.is_empty() {
            return Err(NotPut::None);
        }
        let mut put = self.labels.get(node).cloned().unwrap_or_default();
        for (name, value) in labels {
            check(name, value.as_ref())?;
            match value {
                Some(value) => put.insert(Arc::clone(name), Arc::clone(value)),
                None => put.remove(name),
            };
        }
        if put.len() > OPERATOR_LABELS_LIMIT {
            return Err(NotPut::Many(node.clone(), put.len()));
        }
        let labels = put.into_iter().map(|(name, value)| (name, Some(value))).collect();
        Ok(Directive::Label { node: node.clone(), labels })
    }

    /// What operators have put on a machine, by name.
    #[must_use]
    pub fn put_on(&self, node: &NodeId) -> Vec<(Arc<str>, Arc<str>)> {
        self.labels
            .get(node)
            .into_iter()
            .flatten()
            .map(|(name, value)| (Arc::clone(name), Arc::clone(value)))
            .collect()
    }

    /// Of what is on record; whether that changes anything.
    pub(super) fn put(&mut self, node: &NodeId, labels: &[Change]) -> bool {
        let put: Put =
            labels.iter().filter_map(|(name, value)| Some((Arc::clone(name), value.clone()?))).collect();
        let before = match put.is_empty() {
            true => self.labels.remove(node),
            false => self.labels.insert(node.clone(), put),
        };
        before.as_ref() != self.labels.get(node)
    }
}

fn check(name: &Arc<str>, value: Option<&Arc<str>>) -> Result<(), NotPut> {
    let checked = Condition::is(name, value.map_or("any", |value| value)).validate();
    checked.map_err(|why| NotPut::NotALabel(Arc::clone(name), why))?;
    let own = OWN.contains(&&**name) || name.starts_with(SECRET);
    if own { Err(NotPut::Own(Arc::clone(name))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, value: Option<&str>) -> Change {
        (name.into(), value.map(Into::into))
    }

    fn label(changes: &[(&str, Option<&str>)]) -> Directive {
        let labels = changes.iter().map(|(name, value)| change(name, *value)).collect();
        Directive::Label { node: "a".into(), labels }
    }

    fn said(all: &mut Directives, changes: &[(&str, Option<&str>)]) -> bool {
        let whole = all.whole(&label(changes)).unwrap();
        all.apply(&whole)
    }

    #[test]
    fn what_is_asked_changes_what_was_put_and_leaves_the_rest() {
        let mut all = Directives::default();
        assert!(said(&mut all, &[("rack", Some("left")), ("production", Some("yes"))]));
        assert!(!said(&mut all, &[("rack", Some("left"))]), "it is so already");
        assert!(said(&mut all, &[("rack", Some("right")), ("spare", Some("no"))]));
        assert!(said(&mut all, &[("production", None)]));
        let put = all.put_on(&"a".into());
        let labels: Vec<(&str, &str)> = put.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(labels, [("rack", "right"), ("spare", "no")]);
        assert!(all.names(&"a".into()) && all.closed(&"a".into()).is_none());
        assert!(said(&mut all, &[("rack", None), ("spare", None), ("never", None)]));
        assert_eq!(all, Directives::default(), "nothing is left of it");
    }

    #[test]
    fn what_no_operator_can_say_is_refused_with_the_label_and_nothing_is_put() {
        let mut all = Directives::default();
        let refused = |all: &Directives, name: &str, value: &str| {
            all.whole(&label(&[("rack", Some("left")), (name, Some(value))])).unwrap_err().to_string()
        };
        for own in
            ["node", "location", "os", "workspaces", "stages", "shards", "secret/npm", "reached", "version"]
        {
            assert_eq!(refused(&all, own, "x"), format!("{own:?} is for the machine alone to say"));
        }
        assert!(refused(&all, "a b", "x").contains("\"a b\" must be a condition"));
        assert!(refused(&all, "rack", "").contains("a label's value has 1 to"));
        assert!(refused(&all, "rack", "a\nb").contains("control character"));
        assert_eq!(all.whole(&label(&[])), Err(NotPut::None));
        let many: Vec<Change> =
            (0..=OPERATOR_LABELS_LIMIT).map(|n| change(&format!("l{n}"), Some("x"))).collect();
        let many = all.whole(&Directive::Label { node: "a".into(), labels: many });
        assert_eq!(many, Err(NotPut::Many("a".into(), OPERATOR_LABELS_LIMIT + 1)));
        assert!(!all.apply(&label(&[])), "nothing was said");
        assert_eq!(all, Directives::default());
    }
}
