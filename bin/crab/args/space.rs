//! Where a command works: in place, or in a directory of its own; and what is kept of those.

use std::path::{Path, PathBuf};

use actors::taskfile::path_text;
use clap::Args;
use policy::workspace::{COMMIT_USUAL, Keep, Source, Workspace};

#[derive(Debug, Default, Args)]
pub(crate) struct SpaceOptions {
    /// A directory of its own to work in: scratch (an empty one), copy=DIR (a copy of one) or worktree=REPO (the files of
    /// --commit, by git); shared is none
    #[arg(long, value_parser = place, value_name = "WHAT")]
    pub(crate) workspace: Option<Place>,
    /// The commit of a worktree: a branch, a tag, an id [default: HEAD]
    #[arg(long, value_name = "REF", requires = "workspace")]
    pub(crate) commit: Option<String>,
    /// When its workspace stays: unsaved (where it holds work that is nowhere else), on_failure, always or never
    /// [default: unsaved]
    #[arg(long, value_name = "WHEN", requires = "workspace")]
    pub(crate) workspace_keep: Option<Keep>,
    /// HOME and TMPDIR of its own as well
    #[arg(long, requires = "workspace")]
    pub(crate) private_home: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Workspaces {
    /// Remove those that are kept of this task (t12, or its name), whatever is in them
    #[arg(long, value_name = "TASK")]
    pub(crate) discard: Option<String>,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true, requires = "discard")]
    pub(crate) reason: String,
}

/// What `--workspace` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Shared,
    Scratch,
    Copy(PathBuf),
    Worktree(PathBuf),
}

fn place(text: &str) -> Result<Place, &'static str> {
    match text.split_once('=') {
        None if text == "shared" => Ok(Place::Shared),
        None if text == "scratch" => Ok(Place::Scratch),
        Some(("copy", path)) if !path.is_empty() => Ok(Place::Copy(path.into())),
        Some(("worktree", path)) if !path.is_empty() => Ok(Place::Worktree(path.into())),
        _ => Err("must be shared, scratch, copy=DIR or worktree=REPO"),
    }
}

impl SpaceOptions {
    /// The first option that is given.
    pub(crate) fn given(&self) -> [(&'static str, bool); 4] {
        [
            ("--workspace", self.workspace.is_some()),
            ("--commit", self.commit.is_some()),
            ("--workspace-keep", self.workspace_keep.is_some()),
            ("--private-home", self.private_home),
        ]
    }

    /// What the options say, seen from `here`.
    ///
    /// # Errors
    /// Where they do not go together.
    pub(crate) fn workspace(self, here: &Path) -> Result<Option<Box<Workspace>>, &'static str> {
        let path = |path: PathBuf| path_text(&here.join(path));
        let is_worktree = matches!(self.workspace, Some(Place::Worktree(_)));
        if self.commit.is_some() && !is_worktree {
            return Err("--commit is for --workspace worktree=REPO");
        }
        let source = match self.workspace {
            None | Some(Place::Shared) if self.workspace_keep.is_some() || self.private_home => {
                return Err("--workspace-keep and --private-home need a --workspace of its own");
            }
            None | Some(Place::Shared) => return Ok(None),
            Some(Place::Scratch) => Source::Scratch,
            Some(Place::Copy(of)) => Source::Copy { of: path(of) },
            Some(Place::Worktree(repository)) => {
                let commit = self.commit.as_deref().unwrap_or(COMMIT_USUAL).into();
                Source::Worktree { repository: path(repository), commit }
            }
        };
        let keep = self.workspace_keep.unwrap_or_default();
        Ok(Some(Box::new(Workspace { source, keep, private_home: self.private_home })))
    }
}
