//! Task files: TOML, or JSON of the same shape, into a [`Submission`].
//!
//! A file is taken whole or refused whole, and a refusal names every fault by line, field and value. What
//! a graph may consist of is decided by `policy::admission`; this module only finds the lines for it. It
//! knows nothing of where the submission goes.

mod about;
mod after;
mod artifacts;
mod build;
mod claims;
mod fault;
mod field;
mod handler;
mod hooks;
mod json_tree;
mod provision;
pub mod quantity;
mod reader;
mod request;
mod schema;
mod shape;
mod shard;
pub(crate) mod suggest;
mod tasks;
mod template;
mod toml_tree;
mod tree;
mod wish;
mod workspace;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::admission::Problem;
use policy::event::SubmissionKey;
use policy::id::GraphId;
use policy::submission::Submission;

pub use build::{absolute, path_text, shell_argv};
pub use fault::{FAULT_LIMIT, Fault, FileRefused};
pub use field::{ARRAY_EXPECTED, array};
pub use schema::schema;
pub use template::Given;

use build::ItemLines;
use fault::Source;
use reader::{Read, Reader};
use tree::{Malformed, Node};

/// The largest task file: a hundred thousand tasks fit, a mistaken name of some other file does not.
pub const FILE_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// What a file does not say itself.
#[derive(Debug, Clone)]
pub struct Context {
    /// The absolute directory that its paths are seen from.
    pub directory: PathBuf,
    /// The graph's name where it gives none.
    pub name: Arc<str>,
    /// The tenant where a task gives none.
    pub tenant: Arc<str>,
    /// The submission's key.
    pub key: SubmissionKey,
    /// The graph that its tasks are added to, and whose tasks they can name; `None` where they are one.
    pub into: Option<GraphId>,
    /// What its parameters are, by their names; those that it does not name have their usual values.
    pub parameters: Given,
}

/// How the text of a file is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

impl Format {
    /// By the ending of the name, and else by the first character.
    #[must_use]
    pub fn of(file: &Path, text: &str) -> Self {
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "json" => Self::Json,
            "toml" => Self::Toml,
            _ if text.trim_start().starts_with('{') => Self::Json,
            _ => Self::Toml,
        }
    }
}

/// Reads a task file, for a graph of its own or to be added to one. Blocks for as long as the file takes to read.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_file(
    file: &Path,
    tenant: Arc<str>,
    (key, into): (SubmissionKey, Option<GraphId>),
    parameters: Given,
) -> Result<Submission, FileRefused> {
    let bytes = read_bytes(file).map_err(|expected| refused(file, 0, expected))?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count() + 1;
            let expected = format!("not UTF-8 text: byte {offset} is not; is this a task file?");
            return Err(refused(file, line, expected));
        }
    };
    let whole = std::path::absolute(file).map_err(|error| refused(file, 0, error.to_string()))?;
    let name = file.file_stem().map_or_else(|| "tasks".into(), |stem| stem.to_string_lossy());
    let directory = whole.parent().unwrap_or(&whole).to_owned();
    parse(&text, file, &Context { directory, name: (&*name).into(), tenant, key, into, parameters })
}

/// Reads the text of a task file; `file` is how it is called in faults.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, file: &Path, context: &Context) -> Result<Submission, FileRefused> {
    let source = Source::new(text);
    let (mut root, malformed) = match Format::of(file, text) {
        Format::Toml => toml_tree::read(text),
        Format::Json => json_tree::read(text),
    };
    let trusted = malformed.iter().all(|malformed| malformed.recovered);
    let mut faults: Vec<Fault> = malformed.iter().map(|malformed| syntax_fault(&source, malformed)).collect();
    let unfilled = if trusted { template::fill(&mut root, &context.parameters, &source) } else { Vec::new() };
    let is_readable = trusted && unfilled.is_empty();
    faults.extend(unfilled);
    if is_readable
        && let Some(submission) = read_shape(&root, &source, context, &mut faults)
        && faults.is_empty()
    {
        return Ok(submission);
    }
    faults.sort_by_key(|fault| fault.line);
    say_once(&mut faults);
    let more = faults.len().saturating_sub(FAULT_LIMIT) as u64;
    faults.truncate(FAULT_LIMIT);
    Err(FileRefused { file: file.to_owned(), faults, more })
}

fn read_shape(
    root: &Node,
    source: &Source<'_>,
    context: &Context,
    faults: &mut Vec<Fault>,
) -> Option<Submission> {
    let mut reader = Reader::new(source);
    let file = shape::File::read(root, &mut reader);
    faults.append(&mut reader.faults);
    let built = build::build(&file?, (root, context));
    faults.extend(without_repeats(built.faults, faults));
    let rejected = match policy::admission::check(&built.submission) {
        Ok(()) => Vec::new(),
        Err(rejection) => rejection.problems,
    };
    let rejected = rejected.iter().map(|problem| admission_fault(problem, &built.submission, &built.lines));
    faults.extend(without_repeats(rejected.collect(), faults));
    Some(built.submission)
}

/// Leaves out what was said of the same line already, as a reader of nested brackets says for each of them.
fn say_once(faults: &mut Vec<Fault>) {
    let mut said: Vec<Fault> = Vec::new();
    faults.retain(|fault| {
        if said.first().is_some_and(|first| first.line != fault.line) {
            said.clear();
        }
        let is_new = !said.contains(fault);
        if is_new && said.len() < FAULT_LIMIT {
            said.push(fault.clone());
        }
        is_new
    });
}

/// Leaves out what is said of a field that something was said of already: what stands there now is not
/// what the file says. The same goes for a file without tasks.
fn without_repeats(found: Vec<Fault>, known: &[Fault]) -> Vec<Fault> {
    let said = |fault: &Fault| {
        known.iter().any(|known| {
            let same_task = known.task == fault.task && subject(known) == subject(fault);
            same_task || (fault.task.is_none() && fault.field.is_empty())
        })
    };
    found.into_iter().filter(|fault| !said(fault)).collect()
}

/// What a fault is about: the outermost field, and the command for the two ways to give it.
fn subject(fault: &Fault) -> &str {
    match fault.field.split('.').next().unwrap_or_default() {
        "shell" => "command",
        field => field,
    }
}

fn syntax_fault(source: &Source<'_>, malformed: &Malformed) -> Fault {
    let expected = match malformed.first {
        Some(first) => format!("{}; the first is on line {}", malformed.what, source.line(first)),
        None => malformed.what.clone(),
    };
    let line = source.line(malformed.span.start);
    Fault { line, task: None, field: String::new(), value: String::new(), expected }
}

/// A problem that admission found, in the words of the file.
fn admission_fault(problem: &Problem, submission: &Submission, lines: &[ItemLines]) -> Fault {
    let item = problem.item.and_then(|place| submission.items.get(place));
    Fault {
        line: problem
            .item
            .and_then(|place| lines.get(place))
            .map_or(0, |lines| lines.of_field(&problem.field)),
        task: item.map(|item| item.spec.name.to_string()),
        field: problem.field.to_string(),
        value: fault::shown(&problem.value),
        expected: problem.expected.to_string(),
    }
}

/// At most [`FILE_LIMIT_BYTES`]; a larger file is not even read.
fn read_bytes(file: &Path) -> Result<Vec<u8>, String> {
    let open = File::open(file).map_err(|error| format!("cannot be opened: {error}"))?;
    let metadata = open.metadata().map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.is_dir() {
        return Err("is a directory, not a task file".to_owned());
    }
    if metadata.len() > FILE_LIMIT_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    // Pipes have no length: the limit holds for what comes.
    open.take(FILE_LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > FILE_LIMIT_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

fn too_large(bytes: u64) -> String {
    format!(
        "has {bytes} bytes or more, the limit is {FILE_LIMIT_BYTES}; use an array for many similar tasks, or \
         several files"
    )
}

fn refused(file: &Path, line: usize, expected: String) -> FileRefused {
    let fault = Fault { line, task: None, field: String::new(), value: String::new(), expected };
    FileRefused { file: file.to_owned(), faults: vec![fault], more: 0 }
}

#[cfg(test)]
mod tests;
