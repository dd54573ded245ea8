//! What is there for an attempt before it starts: its workspace, and what else it is given; and how its start happens in it.
//!
//! Making it blocks, and is done on threads for such work. Must not know of the order in which attempts get theirs.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use policy::id::Token;
use policy::provision::Provision;
use policy::task::SpawnFailure;
use policy::text::OsText;

use super::space::HeldSpace;
use super::{WorkerArgs, stages};
use crate::artifact::{self, Depot};
use crate::process::protocol::Start;
use crate::provision::{Given, Provisions};
use crate::taskfile::path_text;
use crate::wire::fleet::Grant;
use crate::workspace::{Cancel, Prepared, Unmade, Wish, Workspaces, path_of};

/// The variable that names the workspace.
pub const WORKSPACE_VARIABLE: &str = "CRAB_WORKSPACE";

/// What is there for an attempt before it starts.
#[derive(Debug)]
pub struct Place {
    /// Its workspace.
    pub(super) space: Option<Prepared>,
    /// What else it was given.
    pub(super) given: Option<Given>,
}

/// What an attempt wants to be there.
pub(super) struct Wanted {
    pub(super) token: Token,
    pub(super) space: Option<Wish>,
    pub(super) provision: Option<Provision>,
    /// What is to be kept of it, seen from its workspace where it has one.
    pub(super) keep: Option<Keep>,
    /// Where it may report.
    pub(super) report: PathBuf,
}

impl Wanted {
    /// Makes it; where a part of it cannot be had, nothing is left of the others.
    pub(super) fn make(
        self,
        (spaces, provisions, depot): (&Workspaces, &Provisions, &Depot),
        cancel: &Cancel,
    ) -> Result<Place, Unmade> {
        let space = self.space.as_ref().map(|wish| spaces.prepare(wish, cancel)).transpose()?;
        let has_home = space.as_ref().is_some_and(|space| space.home.is_some());
        let give = |wanted: &Provision| {
            if wanted.sandbox.is_some() {
                // It can be written only where it is there.
                touch(&self.report)?;
            }
            provisions.give(self.token, wanted, has_home)
        };
        match self.provision.as_ref().map(give).transpose() {
            Ok(given) => {
                if let Some(keep) = self.keep {
                    depot.expect(keep.within(space.as_ref().map(|space| space.path.as_path())));
                }
                Ok(Place { space, given })
            }
            Err(failure) => {
                if let Some(space) = space {
                    spaces.abandon(self.token, space.made);
                }
                Err(Unmade::Failed(failure))
            }
        }
    }
}

/// What is to be kept of an attempt, as long as its workspace is not there.
#[derive(Debug)]
pub(super) struct Keep(artifact::Wanted);

impl Keep {
    fn within(self, space: Option<&Path>) -> artifact::Wanted {
        let directory = space.map(|space| path_text(&space.join(path_of(&self.0.directory))));
        match directory {
            Some(directory) => artifact::Wanted { directory, ..self.0 },
            None => self.0,
        }
    }
}

/// Where a task runs that says nothing.
pub(super) fn home(args: &WorkerArgs) -> OsText {
    args.base.get("HOME").cloned().unwrap_or_else(|| "/".into())
}

/// What is to be kept of an attempt; `None` where that is nothing.
pub(super) fn keeping(args: &WorkerArgs, grant: &Grant) -> Option<Keep> {
    let artifacts = (**grant.spec.artifacts.as_ref()?).clone();
    let directory = match (&grant.spec.directory, &grant.spec.workspace) {
        (Some(directory), _) => directory.clone(),
        (None, Some(_)) => OsText::default(),
        (None, None) => home(args),
    };
    let Grant { token, task, attempt, .. } = *grant;
    Some(Keep(artifact::Wanted { token, task, attempt, directory, artifacts }))
}

fn touch(report: &Path) -> Result<(), SpawnFailure> {
    let made = report.parent().map_or(Ok(()), std::fs::create_dir_all);
    let made = made.and_then(|()| OpenOptions::new().append(true).create(true).open(report));
    made.map(drop).map_err(|error| SpawnFailure::of_node(format!("{}: {error}", report.display())))
}

/// Has the start happen in the workspace, with what was given.
pub(super) fn move_in(start: &mut Start, grant: &Grant, space: Option<&HeldSpace>, report: &Path) {
    let Some(place) = space.and_then(HeldSpace::ready) else { return };
    if let Some(prepared) = &place.space {
        move_into(prepared, start, grant);
    }
    if let Some(given) = &place.given {
        hand_over(given, place.space.as_ref(), start, report);
    }
}

fn hand_over(given: &Given, space: Option<&Prepared>, start: &mut Start, report: &Path) {
    let temporary = given.temporary.as_ref().map(|path| ("TMPDIR".into(), path_text(path)));
    let variables = given.variables.iter().map(|(name, path)| (OsText::from(&**name), path_text(path)));
    start.environment.extend(variables.chain(temporary));
    let Some(sandbox) = &given.sandbox else { return };
    let home = space.and_then(|space| space.home.as_ref());
    let home = home.into_iter().flat_map(|(home, temporary)| [home.clone(), temporary.clone()]);
    let own = space.map(|space| space.path.clone()).into_iter().chain(home).chain(given.temporary.clone());
    let writable: Vec<PathBuf> = own.chain([report.to_owned()]).collect();
    let directory = path_of(&start.directory);
    stages::each_of_task(start, |argv| sandbox.around(&directory, &writable, argv));
}

fn move_into(prepared: &Prepared, start: &mut Start, grant: &Grant) {
    let inner = grant.spec.directory.as_ref().map(|inner| prepared.path.join(path_of(inner)));
    start.directory = path_text(inner.as_deref().unwrap_or(&prepared.path));
    let mut variables = vec![(WORKSPACE_VARIABLE, &prepared.path)];
    if let Some((home, temporary)) = &prepared.home {
        variables.extend([("HOME", home), ("TMPDIR", temporary)]);
    }
    let variables = variables.into_iter().map(|(name, path)| (OsText::from(name), path_text(path)));
    let of_place: Vec<_> = variables.collect();
    if let Some(plan) = start.stages.as_deref_mut() {
        // The machine's commands know the place, and keep their own HOME.
        plan.machine_environment.extend(of_place.first().cloned());
    }
    start.environment.extend(of_place);
}
