//! The fields that say on which node a task runs: conditions on labels, as texts.

use std::str::FromStr;
use std::sync::Arc;

use policy::constraint::{AvoidFailed, Company, Condition, Constraints, LOCATION, NODE, Preference};
use strum::VariantArray;

use super::build::{pick, value};
use super::reader::Reader;
use super::shape::Common;
use super::tree::{Node, Value};

/// What a list of texts must be.
const EXPECTED: &str = "must be a text such as \"os=macos\" or \"xcode>=16\", or a list of these";

/// Reads a text or a list of texts, each of which means something.
pub(super) fn texts<T: FromStr>(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<T>>
where
    T::Err: ToString,
{
    let nodes = match &node.value {
        Value::Text(_) => std::slice::from_ref(node),
        Value::List(nodes) => nodes,
        _ => return reader.wrong(node, EXPECTED),
    };
    // All of them, so that every fault is heard of.
    let read: Vec<_> = nodes.iter().map(|one| text(one, reader)).collect();
    read.into_iter().collect()
}

fn text<T: FromStr>(node: &Node, reader: &mut Reader<'_>) -> Option<T>
where
    T::Err: ToString,
{
    let Value::Text(text) = &node.value else { return reader.wrong(node, EXPECTED) };
    match text.parse() {
        Ok(read) => Some(read),
        Err(wrong) => reader.wrong(node, wrong.to_string()),
    }
}

/// Reads how the node of the last failure is avoided.
pub(super) fn one_of<T>(node: &Node, reader: &mut Reader<'_>) -> Option<T>
where
    T: FromStr + VariantArray + 'static,
    &'static str: From<&'static T>,
{
    if let Value::Text(text) = &node.value
        && let Ok(one) = text.parse()
    {
        return Some(one);
    }
    let names: Vec<&str> = T::VARIANTS.iter().map(Into::into).collect();
    reader.wrong(node, format!("must be one of {}", names.join(", ")))
}

/// What a task asks of its node: the conditions of the defaults, then its own.
pub(super) fn constraints(own: &Common, defaults: &Common) -> Constraints {
    let both = [defaults, own];
    let required = both.into_iter().flat_map(|common| value(&common.require).map_or(&[][..], |all| &all.0));
    let preferred = both.into_iter().flat_map(|common| value(&common.prefer).map_or(&[][..], |all| &all.0));
    let pinned = pick(&own.node, &defaults.node).map(|node| Condition::is(NODE, &node.0));
    let located = pick(&own.location, &defaults.location).map(|place| Condition::is(LOCATION, &place.0));
    let mut require: Vec<Condition> = Vec::new();
    for condition in required.cloned().chain(pinned).chain(located) {
        if !require.contains(&condition) {
            require.push(condition);
        }
    }
    let near = both.into_iter().flat_map(|common| value(&common.near).map_or(&[][..], |all| &all.0));
    let prefer: Vec<Preference> = preferred.cloned().chain(near.map(|near| near.0.clone())).collect();
    let avoid_failed =
        pick(&own.avoid_failed, &defaults.avoid_failed).map_or_else(AvoidFailed::default, |one| one.0);
    Constraints { require, prefer, avoid_failed, company: company(own, defaults) }
}

/// What a task says of those beside it: what the defaults say, then its own.
fn company(own: &Common, defaults: &Common) -> Option<Arc<Company>> {
    let mut company = Company {
        group: pick(&own.group, &defaults.group).map(|group| group.0.as_str().into()),
        ..Company::default()
    };
    for common in [defaults, own] {
        company.spread.extend(value(&common.spread).into_iter().flat_map(|all| all.0.iter().cloned()));
        company
            .apart
            .extend(value(&common.apart).into_iter().flat_map(|all| &all.0).map(|one| one.as_str().into()));
        company
            .prefer_apart
            .extend(value(&common.prefer_apart).into_iter().flat_map(|all| all.0.iter().cloned()));
    }
    (!company.is_empty()).then(|| Arc::new(company))
}
