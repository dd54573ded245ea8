//! What a task says of itself: names that can be looked for, texts that fit a line, a phase that there is.

use crate::admission::Findings;
use crate::admission::spec::{WORD_RULE, quoted};
use crate::task::{
    EVALUATION_LIMIT_BYTES, Evaluation, GOAL_LIMIT_CHARS, LABEL_LIMIT_BYTES, PHASES, TASK_LABELS_LIMIT,
    TaskSpec,
};
use crate::text::is_word;

pub(super) fn check(spec: &TaskSpec, found: &mut Findings) {
    let Some(about) = spec.about.as_deref() else { return };
    if about.labels.len() > TASK_LABELS_LIMIT {
        found.push("labels", &about.labels.len(), format_args!("must be at most {TASK_LABELS_LIMIT}"));
    }
    for (name, value) in &about.labels {
        if !is_word(name) {
            found.push("labels", &quoted(name), WORD_RULE);
        }
        text(&format!("labels.{name}"), value, LABEL_LIMIT_BYTES, found);
    }
    if let Some(goal) = &about.goal {
        let is_long = goal.chars().nth(GOAL_LIMIT_CHARS).is_some();
        if goal.trim().is_empty() || is_long || goal.contains('\0') {
            let expected =
                format_args!("must be 1 to {GOAL_LIMIT_CHARS} characters, none of them NUL").to_string();
            found.push("goal", &quoted(goal), expected);
        }
    }
    if let Some(evaluation) = &about.evaluation {
        self::evaluation(evaluation, found);
    }
}

fn evaluation(evaluation: &Evaluation, found: &mut Findings) {
    let texts = [("evaluation.run", &evaluation.run), ("evaluation.rubric", &evaluation.rubric)];
    for (field, value) in texts {
        if let Some(value) = value {
            text(field, value, EVALUATION_LIMIT_BYTES, found);
        }
    }
    if let Some(phase) = evaluation.phase.filter(|phase| !PHASES.contains(phase)) {
        let expected = format_args!("must be between {} and {}", PHASES.start(), PHASES.end()).to_string();
        found.push("evaluation.phase", &phase, expected);
    }
}

/// A text that a variable and a line of a table can hold.
fn text(field: &str, value: &str, limit: usize, found: &mut Findings) {
    if value.is_empty() || value.len() > limit || value.chars().any(char::is_control) {
        let expected = format_args!("must be 1 to {limit} bytes without control characters").to_string();
        found.push(field, &quoted(value), expected);
    }
}
