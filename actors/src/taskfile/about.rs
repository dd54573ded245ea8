//! What a task says of itself, as a file says it: labels, a goal, by what its run is judged.

use std::borrow::Cow;
use std::collections::BTreeMap;

use policy::task::{About, Evaluation, PHASES};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::build::{pick, value};
use super::reader::{Read, Reader};
use super::shape::{Common, Judged};
use super::tree::{Node, Value};

/// How far an agent is.
#[derive(Debug, Clone, Default)]
pub(super) struct Phase(u8);

impl Read for Phase {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let number = match &node.value {
            Value::Number(text) => text.parse().ok().filter(|phase| PHASES.contains(phase)),
            _ => None,
        };
        let expected = || format!("must be a whole number between {} and {}", PHASES.start(), PHASES.end());
        number.map(Self).or_else(|| reader.wrong(node, expected()))
    }
}

impl JsonSchema for Phase {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Phase".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": PHASES.start(), "maximum": PHASES.end() })
    }
}

/// What a task says of itself and the defaults say of it; `None` where that is nothing.
pub(super) fn about(own: &Common, defaults: &Common) -> Option<Box<About>> {
    let mut labels = BTreeMap::new();
    for given in [&defaults.labels, &own.labels] {
        let given = value(given).into_iter().flat_map(|labels| &labels.0);
        labels.extend(given.map(|(name, value)| (name.as_str().into(), value.as_str().into())));
    }
    let about = About {
        labels,
        goal: pick(&own.goal, &defaults.goal).map(|goal| goal.0.as_str().into()),
        evaluation: evaluation(value(&own.evaluation), value(&defaults.evaluation)),
    };
    (!about.is_empty()).then(|| Box::new(about))
}

/// Field by field: a graph names the run in its defaults, and each task its phase.
fn evaluation(own: Option<&Judged>, defaults: Option<&Judged>) -> Option<Evaluation> {
    let nothing = Judged::default();
    if own.is_none() && defaults.is_none() {
        return None;
    }
    let (own, defaults) = (own.unwrap_or(&nothing), defaults.unwrap_or(&nothing));
    Some(Evaluation {
        run: pick(&own.run, &defaults.run).map(|run| run.0.as_str().into()),
        rubric: pick(&own.rubric, &defaults.rubric).map(|rubric| rubric.0.as_str().into()),
        is_gate: pick(&own.gate, &defaults.gate).is_some_and(|gate| gate.0),
        phase: pick(&own.phase, &defaults.phase).map(|phase| phase.0),
    })
}
