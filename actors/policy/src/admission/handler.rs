//! What a task for a handler must be: a message, and nothing of a command.

use crate::admission::Findings;
use crate::admission::limits::AdmissionLimits;
use crate::admission::spec::quoted;
use crate::handler::{KIND_LIMIT_BYTES, is_kind, kind_of, need};
use crate::task::{Qos, TaskSpec};

/// `false` where it is a command, of which nothing was looked at.
pub(super) fn check(spec: &TaskSpec, limits: &AdmissionLimits, found: &mut Findings) -> bool {
    let mut kinds = spec.requests().flat_map(|request| request.named.keys()).filter_map(|name| kind_of(name));
    let Some(kind) = kinds.next() else { return false };
    if !is_kind(kind) {
        let expected =
            format_args!("must be 1 to {KIND_LIMIT_BYTES} of a-z 0-9 . _ - and start with a letter or digit")
                .to_string();
        found.push("handler", &quoted(kind), expected);
    }
    if spec.resources != need(kind) || !spec.alternatives.is_empty() {
        let only = "a task for a handler needs one of those that handle its kind, and nothing else";
        found.push("resources", &quoted(kind), only);
    }
    let commands = [
        ("directory", spec.directory.is_some()),
        ("workspace", spec.workspace.is_some()),
        ("secrets", spec.provision.is_some()),
        ("hooks", spec.stages.is_some()),
        ("artifacts", spec.artifacts.is_some()),
        ("limits", spec.limits.is_some()),
        ("qos", spec.qos != Qos::Default),
    ];
    for (field, _) in commands.into_iter().filter(|(_, is_said)| *is_said) {
        found.push(field, &quoted(kind), "is for commands: what handles a task is no process of its own");
    }
    let bytes = match &*spec.argv {
        [payload] => payload.len(),
        other => {
            found.push("payload", &other.len(), "must be one");
            0
        }
    };
    if bytes > limits.argv_bytes {
        let expected =
            format_args!("must take at most {} bytes: name a file in it", limits.argv_bytes).to_string();
        found.push("payload", &format_args!("{bytes} bytes"), expected);
    }
    true
}
