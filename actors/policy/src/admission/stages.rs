//! What a task has done around its command: as much of a command as that is.

use crate::admission::Findings;
use crate::admission::limits::AdmissionLimits;
use crate::admission::spec::words;
use crate::stages::HOOKS_LIMIT;
use crate::task::TaskSpec;

pub(super) fn check(spec: &TaskSpec, limits: &AdmissionLimits, found: &mut Findings) {
    let Some(stages) = spec.stages.as_deref() else { return };
    for (field, count) in [("hooks.before", stages.before.len()), ("hooks.after", stages.after.len())] {
        if count > HOOKS_LIMIT {
            found.push(field, &count, format_args!("must be at most {HOOKS_LIMIT} commands"));
        }
    }
    for (field, argv) in stages.commands() {
        words(field, argv, found);
    }
    let bytes = stages.bytes();
    if bytes > limits.argv_bytes {
        let expected = format_args!("must take at most {} bytes together", limits.argv_bytes).to_string();
        found.push("hooks", &format_args!("{bytes} bytes"), expected);
    }
}
