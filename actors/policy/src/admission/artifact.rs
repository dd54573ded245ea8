//! Which files a task wants kept: sound patterns, not too many.

use crate::admission::Findings;
use crate::admission::spec::quoted;
use crate::artifact::PATTERNS_LIMIT;
use crate::task::TaskSpec;

pub(super) fn check(spec: &TaskSpec, found: &mut Findings) {
    let Some(artifacts) = spec.artifacts.as_deref() else { return };
    let count = artifacts.patterns.len();
    if count > PATTERNS_LIMIT {
        found.push("artifacts", &count, format_args!("must be at most {PATTERNS_LIMIT} patterns"));
        return;
    }
    let mut is_sound = true;
    for pattern in &artifacts.patterns {
        if let Err(why) = pattern.check() {
            is_sound = false;
            found.push("artifacts", &quoted(&pattern.glob), why);
        }
    }
    // Each may be sound, and all of them together too much.
    if let Some(why) = is_sound.then(|| artifacts.matcher().err()).flatten() {
        found.push("artifacts", &format_args!("{count} patterns"), why);
    }
}
