//! The fields that say where a task works: in place, or in a directory of its own.

use std::borrow::Cow;
use std::path::Path;

use policy::text::OsText;
use policy::workspace::{COMMIT_USUAL, Keep, Source, Workspace};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use strum::VariantArray;

use super::build::{absolute, path_text, pick, value};
use super::fault::Fault;
use super::reader::{At, Read, Reader};
use super::shape::{Common, Origin};
use super::tree::{Node, Value};

const EXPECTED: &str = "must be \"shared\", \"scratch\", or a table such as { copy = \"data\" } or \
                        { worktree = \".\", commit = \"main\" }";

/// Where a task works.
#[derive(Debug, Clone, Default)]
pub(super) enum Place {
    /// In place.
    #[default]
    Shared,
    /// In an empty directory.
    Scratch,
    /// In a directory made from another one.
    Of(Box<Origin>),
}

impl Read for Place {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == "shared" => Some(Self::Shared),
            Value::Text(text) if text == "scratch" => Some(Self::Scratch),
            Value::Table(_) => {
                let origin = Origin::read(node, reader)?;
                let is_commit_alone = origin.worktree.is_none() && origin.commit.is_some();
                if origin.copy.is_some() == origin.worktree.is_some() || is_commit_alone {
                    return reader.wrong(node, EXPECTED);
                }
                Some(Self::Of(Box::new(origin)))
            }
            _ => reader.wrong(node, EXPECTED),
        }
    }
}

pub(super) fn kept_when(node: &Node, reader: &mut Reader<'_>) -> Option<Keep> {
    let read = match &node.value {
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let all: Vec<String> = Keep::VARIANTS.iter().map(|keep| format!("\"{keep}\"")).collect();
    read.or_else(|| reader.wrong(node, format!("must be one of {}", all.join(", "))))
}

impl JsonSchema for Place {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Place".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let origin = generator.subschema_for::<Origin>();
        json_schema!({
            "anyOf": [{ "enum": ["shared", "scratch"] }, origin],
            "examples": ["scratch", { "copy": "data" }, { "worktree": ".", "commit": "main" }]
        })
    }
}

/// The workspace of a task whose file is in `directory`; `None` where it works in place.
pub(super) fn workspace(own: &Common, defaults: &Common, directory: &Path) -> Option<Box<Workspace>> {
    let source = match pick(&own.workspace, &defaults.workspace)? {
        Place::Shared => return None,
        Place::Scratch => Source::Scratch,
        Place::Of(origin) => source(origin, directory)?,
    };
    let keep = pick(&own.workspace_keep, &defaults.workspace_keep).map(|keep| keep.0).unwrap_or_default();
    let private_home = pick(&own.private_home, &defaults.private_home).is_some_and(|home| home.0);
    Some(Box::new(Workspace { source, keep, private_home }))
}

fn source(origin: &Origin, directory: &Path) -> Option<Source> {
    let path = |path: &str| path_text(&absolute(directory, path));
    if let Some(copy) = value(&origin.copy) {
        return Some(Source::Copy { of: path(&copy.0) });
    }
    let repository = path(&value(&origin.worktree)?.0);
    let commit = value(&origin.commit).map_or(COMMIT_USUAL, |commit| &commit.0).into();
    Some(Source::Worktree { repository, commit })
}

/// The directory of a task: within its workspace, which it is itself where none is named, or else seen from the file.
pub(super) fn directory(has_workspace: bool, said: Option<&str>, base: &Path) -> Option<OsText> {
    match (has_workspace, said) {
        (true, said) => said.map(OsText::from),
        (false, said) => Some(path_text(&absolute(base, said.unwrap_or(".")))),
    }
}

/// What means nothing without a workspace.
pub(super) fn conflicts(name: &str, own: &Common, defaults: &Common) -> Vec<Fault> {
    let place = pick(&own.workspace, &defaults.workspace);
    if place.is_some_and(|place| !matches!(place, Place::Shared)) {
        return Vec::new();
    }
    let line = |field: Option<usize>, key: &str| {
        field.map(|line| Fault {
            line,
            task: Some(name.to_owned()),
            field: key.to_owned(),
            value: String::new(),
            expected: "needs a workspace of its own, such as workspace = \"scratch\"".to_owned(),
        })
    };
    let home = own.private_home.as_ref().filter(|home| home.value.0).map(At::line);
    let keep = own.workspace_keep.as_ref().map(At::line);
    line(keep, "workspace_keep").into_iter().chain(line(home, "private_home")).collect()
}
