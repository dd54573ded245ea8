//! Where a task works: its directory, and the workspace that it is in.

use crate::admission::Findings;
use crate::admission::spec::{no_nul, quoted, shown};
use crate::task::TaskSpec;
use crate::text::OsText;
use crate::workspace::Source;

/// Bytes of what names a commit: more than git makes of any name.
const COMMIT_LIMIT_BYTES: usize = 250;
/// What names a commit for git alone, and is no option of it.
const COMMIT_RULE: &str =
    "must name a commit (a branch, a tag, an id): 1 to 250 printable characters, the first one no -";

pub(super) fn check(spec: &TaskSpec, found: &mut Findings) {
    let source = spec.workspace.as_deref().map(|workspace| &workspace.source);
    if let Some(directory) = &spec.directory {
        let is_inner = source.is_some();
        if is_inner && !is_below(directory) {
            let expected = "must be a path within the workspace: relative, without ..";
            found.push("directory", &shown(directory), expected);
        }
        if !is_inner && !is_absolute(directory) {
            found.push("directory", &shown(directory), "must be an absolute path");
        }
        no_nul("directory", directory, found);
    }
    match source {
        None | Some(Source::Scratch) => {}
        Some(Source::Copy { of }) => path("workspace.copy", of, found),
        Some(Source::Worktree { repository, commit }) => {
            path("workspace.worktree", repository, found);
            if !is_commit(commit) {
                found.push("workspace.commit", &quoted(commit), COMMIT_RULE);
            }
        }
    }
}

fn path(field: &str, path: &OsText, found: &mut Findings) {
    if !is_absolute(path) {
        found.push(field, &shown(path), "must be an absolute path");
    }
    no_nul(field, path, found);
}

fn is_absolute(path: &OsText) -> bool {
    path.as_bytes().starts_with(b"/")
}

fn is_below(path: &OsText) -> bool {
    !is_absolute(path) && path.as_bytes().split(|byte| *byte == b'/').all(|part| part != b"..")
}

fn is_commit(commit: &str) -> bool {
    let is_plain = commit.chars().all(|one| !one.is_control() && !one.is_whitespace());
    is_plain && (1..=COMMIT_LIMIT_BYTES).contains(&commit.len()) && !commit.starts_with('-')
}
