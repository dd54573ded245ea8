//! Rules for Rust files. Each takes files and gives what is wrong, one line each.

use super::source::{Source, words};

/// Lines of a file before its own tests: what can be read in one sitting.
const FILE_LINES_LIMIT: usize = 400;

/// Types that read time by themselves.
const IMPURE_NAMES: &[&str] = &["Instant", "SystemTime"];

/// Where a path begins that leads to time, chance or the machine.
const IMPURE_PATHS: &[&str] = &[
    "rand::",
    "fastrand::",
    "getrandom::",
    "tokio::",
    "ractor::",
    "sled::",
    "nix::",
    "libc::",
    "tracing::",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
];

/// Who reads time besides `clock`, and why.
const TIME_READERS: &[(&str, &str)] = &[
    ("actors/src/clock.rs", "the reader of time"),
    ("actors/src/inspect/subscribers.rs", "tokio's time, which tests pause: when somebody was answered last"),
    ("supervision/src/probe.rs", "times of enqueueing, waiting and handling"),
    ("supervision/src/trace.rs", "since when a message is traced"),
    ("supervision/src/supervisor.rs", "tokio's time, which tests pause: the restart window"),
    ("supervision/src/dynamic.rs", "tokio's time: the restart window"),
    ("supervision/src/dynamic/table.rs", "tokio's time: since when a child has been well"),
    ("supervision/src/dynamic/shard.rs", "tokio's time: since when a child has been well"),
    ("supervision/src/describe.rs", "tokio's time: the deadline of an inquiry"),
    ("actors/src/client.rs", "tokio's time: the deadline of a call"),
    ("actors/src/client/wait.rs", "tokio's time: how long a lost connection is tried again"),
    ("actors/src/gateway/following.rs", "tokio's time: how long a question may wait"),
    ("actors/src/link/dialler.rs", "tokio's time: how long a connection was good"),
    ("actors/src/link/listener/visit.rs", "tokio's time: the deadline of a handshake"),
    ("actors/src/link/stream.rs", "tokio's time: silence on a stream"),
    ("actors/src/process/port.rs", "tokio's time: how long a host takes to start"),
];

/// Words with which the names of types of the other rooms begin.
const FOREIGN_TO_SUPERVISION: &[&str] =
    &["Task", "Lease", "Node", "Attempt", "Graph", "Tenant", "Scheduler", "Token", "Priority", "Resources"];

pub(super) fn without_module_doc(sources: &[Source]) -> Vec<String> {
    let bad = |source: &&Source| source.is_rust() && !source.text.starts_with("//! ");
    report(sources, bad, "begins with no `//!`: say what it is for and what it must not know")
}

pub(super) fn named_mod(sources: &[Source]) -> Vec<String> {
    let bad = |source: &&Source| source.path.ends_with("/mod.rs");
    report(sources, bad, "is a mod.rs: name it after its folder, beside it")
}

pub(super) fn too_long(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| source.is_rust() && !source.is_test())
        .map(|source| (source, source.shipped_lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_LIMIT)
        .map(|(source, lines)| {
            format!("{} has {lines} lines before its tests, the limit is {FILE_LINES_LIMIT}", source.path)
        })
        .collect()
}

pub(super) fn impure_policy(sources: &[Source]) -> Vec<String> {
    let policy = |source: &&Source| source.path.starts_with("actors/policy/src/") && source.is_library();
    find(sources, policy, |line| {
        let impure = words(line).find(|word| IMPURE_NAMES.contains(word));
        let foreign = || IMPURE_PATHS.iter().copied().find(|path| names_path(line, path));
        let found = impure.or_else(foreign)?;
        Some(format!("{found}: policy is pure, time and chance are arguments"))
    })
}

/// Whether `path` stands in `line`, not as the end of a longer word.
fn names_path(line: &str, path: &str) -> bool {
    let free = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    line.match_indices(path).any(|(at, _)| free(at))
}

pub(super) fn printing(sources: &[Source]) -> Vec<String> {
    find(sources, Source::is_library_ref, |line| {
        let macros = ["print!", "println!", "eprint!", "eprintln!", "dbg!"];
        let found = macros.into_iter().find(|name| words_with_bang(line).any(|word| word == *name))?;
        Some(format!("{found} in a library: only bin/ prints"))
    })
}

fn words_with_bang(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '!')
}

pub(super) fn reading_time(sources: &[Source]) -> Vec<String> {
    let known =
        |source: &&Source| source.is_library() && !TIME_READERS.iter().any(|(path, _)| *path == source.path);
    find(sources, known, |line| {
        let reads = ["Instant::now", "SystemTime::now", "clock_gettime", "Zoned::now", "Timestamp::now"];
        let found = reads.into_iter().find(|read| line.contains(read))?;
        Some(format!(
            "{found}: only actors/src/clock.rs reads time (others stand in TIME_READERS with a reason)"
        ))
    })
}

pub(super) fn idle_time_readers(sources: &[Source]) -> Vec<String> {
    let reads = |path: &str| {
        let lines =
            |source: &Source| source.text.contains("Instant::now") || source.text.contains("clock_gettime");
        sources.iter().any(|source| source.path == path && lines(source))
    };
    let idle = TIME_READERS.iter().filter(|(path, reason)| !reads(path) || reason.is_empty());
    idle.map(|(path, _)| format!("{path} stands in TIME_READERS and reads no time")).collect()
}

pub(super) fn foreign_bincode(sources: &[Source]) -> Vec<String> {
    let others = |source: &&Source| source.is_rust() && source.path != "actors/src/wire/codec.rs";
    find(sources, others, |line| {
        let used = line.contains(concat!("bin", "code::"));
        used.then(|| "only actors/src/wire/codec.rs knows how values become bytes".to_owned())
    })
}

pub(super) fn supervision_that_knows(sources: &[Source]) -> Vec<String> {
    let supervision = |source: &&Source| source.path.starts_with("supervision/src/") && source.is_library();
    find(sources, supervision, |line| {
        let foreign = |word: &&str| FOREIGN_TO_SUPERVISION.iter().any(|name| starts_as_type(word, name));
        words(line)
            .find(foreign)
            .map(|word| format!("{word}: supervision knows nothing of tasks, leases or nodes"))
    })
}

/// Whether `word` is `name` or continues it with another capital.
fn starts_as_type(word: &str, name: &str) -> bool {
    word.strip_prefix(name).is_some_and(|rest| rest.chars().next().is_none_or(char::is_uppercase))
}

pub(super) fn unfinished(sources: &[Source]) -> Vec<String> {
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("unimple", "mented!")];
    let all = |_: &&Source| true;
    let mut found = Vec::new();
    for source in sources.iter().filter(all).filter(|source| source.path != "Cargo.lock") {
        for (number, line) in source.text.lines().enumerate() {
            let marked = marks.iter().find(|mark| words_with_bang(line).any(|word| word == **mark));
            found
                .extend(marked.map(|mark| {
                    format!("{}:{}: {mark}: finish it or leave it out", source.path, number + 1)
                }));
        }
    }
    found
}

pub(super) fn unexplained_limits(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_library()) {
        let mut explained = false;
        for (number, line) in source.shipped_lines() {
            let line = line.trim_start();
            if is_limit(line) && !explained {
                found.push(format!("{}:{number}: no `///` says the unit and the reason", source.path));
            }
            // Attributes and neighbours of the same paragraph keep what was said above them.
            explained = line.starts_with("///") || explained && (line.starts_with("#[") || is_limit(line));
        }
    }
    found
}

/// Whether it declares a constant that bounds something.
fn is_limit(line: &str) -> bool {
    let line = ["pub(crate) ", "pub(super) ", "pub "]
        .iter()
        .find_map(|from| line.strip_prefix(from))
        .unwrap_or(line);
    let name = line.strip_prefix("const ").and_then(|rest| rest.split(':').next());
    name.is_some_and(|name| {
        name.contains("LIMIT") || name.starts_with("MAX_") || line.contains(": Duration =")
    })
}

fn report(sources: &[Source], bad: impl Fn(&&Source) -> bool, why: &str) -> Vec<String> {
    sources.iter().filter(bad).map(|source| format!("{} {why}", source.path)).collect()
}

fn find(
    sources: &[Source],
    which: impl Fn(&&Source) -> bool,
    wrong: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(which) {
        for (number, line) in source.code_lines() {
            found.extend(wrong(line).map(|why| format!("{}:{number}: {why}", source.path)));
        }
    }
    found
}

impl Source {
    fn is_library_ref(source: &&Self) -> bool {
        source.is_library()
    }
}
