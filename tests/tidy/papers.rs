//! Rules for manifests, documents and the repository as a whole.

use super::source::{Source, has_extension, words};

/// Crates that run, keep, read time or are other rooms: not for `policy`.
const RUNTIME_CRATES: &[&str] = &[
    "actors",
    "supervision",
    "tokio",
    "ractor",
    "ractor_cluster",
    "sled",
    "fastrand",
    "rand",
    "getrandom",
    "nix",
    "libc",
    "tracing",
    "bincode",
    "tempfile",
];

/// What may stand at the top.
const ROOMS: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "actors",
    "supervision",
    "bin",
    "tests",
    "benches",
];

/// Directories with whose names a path in a document begins.
const NAMED_ROOMS: &[&str] = &["actors/", "supervision/", "bin/", "tests/", "benches/", ".ci/"];

/// Where a file that a document names may be.
const SHELVES: &[&str] = &["", "actors/src/", "actors/policy/src/", "supervision/src/", "bin/", "tests/"];

/// Hosts that a text may name.
const KNOWN_HOSTS: &[&str] =
    &["github.com", "json-schema.org", "keepachangelog.com", "semver.org", "matklad.github.io"];

pub(super) fn forbidden_dependencies(sources: &[Source]) -> Vec<String> {
    let rules: [(&str, &[&str]); 2] = [
        ("actors/policy/Cargo.toml", RUNTIME_CRATES),
        ("supervision/Cargo.toml", &["actors", "policy", "sled", "ractor_cluster"]),
    ];
    let mut found = Vec::new();
    for (path, forbidden) in rules {
        let Some(manifest) = sources.iter().find(|source| source.path == path) else {
            found.push(format!("{path} is gone"));
            continue;
        };
        let named = dependencies(&manifest.text).filter(|name| forbidden.contains(name));
        found.extend(named.map(|name| format!("{path} depends on {name}, which is not for this room")));
    }
    found
}

/// The names below any `[…dependencies]`.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut within = false;
    manifest.lines().filter_map(move |line| {
        if let Some(table) = line.strip_prefix('[') {
            within = table.contains("dependencies");
            return None;
        }
        let name =
            line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty() && !name.starts_with('#'));
        name.filter(|_| within)
    })
}

pub(super) fn strange_rooms(sources: &[Source]) -> Vec<String> {
    let mut tops: Vec<_> = sources.iter().filter_map(|source| source.path.split('/').next()).collect();
    tops.dedup();
    let strange = tops.into_iter().filter(|top| !top.starts_with('.') && !ROOMS.contains(top));
    strange.map(|top| format!("{top} stands at the top, where only {ROOMS:?} and dot-files do")).collect()
}

pub(super) fn names_of_nothing(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for document in sources.iter().filter(|source| has_extension(&source.path, "md")) {
        for (number, line) in document.text.lines().enumerate() {
            let named = line.split(|c: char| !(c.is_alphanumeric() || "_./-".contains(c)));
            let gone = named
                .map(|name| name.trim_end_matches(['.', '-']))
                .filter(|name| is_path(name) && !exists(sources, name));
            found.extend(gone.map(|name| format!("{}:{}: {name} is not there", document.path, number + 1)));
        }
    }
    found
}

fn is_path(name: &str) -> bool {
    has_extension(name, "rs") && name.len() > 3 || NAMED_ROOMS.iter().any(|room| name.starts_with(room))
}

fn exists(sources: &[Source], name: &str) -> bool {
    SHELVES.iter().any(|shelf| {
        let path = format!("{shelf}{}", name.trim_end_matches('/'));
        sources.iter().any(|source| source.path == path || source.path.starts_with(&format!("{path}/")))
    })
}

pub(super) fn unmapped_modules(sources: &[Source]) -> Vec<String> {
    let text =
        |path: &str| sources.iter().find(|source| source.path == path).map_or("", |source| &source.text);
    let architecture = text("ARCHITECTURE.md");
    let map = architecture.split("\n## ").find(|section| section.contains("Code map")).unwrap_or_default();
    let mut found = Vec::new();
    for library in ["actors/src/lib.rs", "actors/policy/src/lib.rs", "supervision/src/lib.rs"] {
        let room = library.trim_end_matches("src/lib.rs").trim_end_matches('/');
        let mapped =
            map.split("\n### ").find(|part| part.starts_with(&format!("`{room}/`"))).unwrap_or_default();
        let modules =
            text(library).lines().filter_map(module).filter(|name| !is_testing(text(library), name));
        let missing = modules.filter(|name| !mapped.contains(&format!("`{name}`")));
        found.extend(
            missing.map(|name| format!("ARCHITECTURE.md's code map of {room}/ does not name `{name}`")),
        );
    }
    found
}

/// The module that a line of a library declares.
fn module(line: &str) -> Option<&str> {
    line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';')
}

fn is_testing(library: &str, name: &str) -> bool {
    library.contains(&format!("#[cfg(test)]\nmod {name};"))
}

pub(super) fn places_and_hosts(sources: &[Source]) -> Vec<String> {
    let homes = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path != "Cargo.lock") {
        for (number, line) in source.text.lines().enumerate() {
            let place =
                homes.iter().find(|home| line.contains(*home)).map(|home| format!("a path below {home}"));
            let host = || {
                hosts(line).find(|host| !KNOWN_HOSTS.contains(host)).map(|host| format!("the host {host}"))
            };
            let wrong = place.or_else(host);
            found.extend(
                wrong.map(|wrong| format!("{}:{}: {wrong} is of one machine", source.path, number + 1)),
            );
        }
    }
    found
}

/// The hosts of all addresses in a line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).filter_map(|rest| {
        rest.split(|c: char| !(c.is_alphanumeric() || ".-".contains(c)))
            .next()
            .filter(|host| host.contains('.'))
    })
}

pub(super) fn foreign_registries(sources: &[Source]) -> Vec<String> {
    let lock = sources.iter().filter(|source| source.path == "Cargo.lock");
    let foreign =
        |line: &&str| line.starts_with("source = ") && !line.contains("github.com/rust-lang/crates.io-index");
    lock.flat_map(|lock| lock.text.lines().filter(foreign))
        .map(|line| format!("Cargo.lock: {line}"))
        .collect()
}

pub(super) fn no_news(sources: &[Source]) -> Vec<String> {
    let changelog = sources.iter().find(|source| source.path == "CHANGELOG.md");
    let has = changelog.is_some_and(|changelog| changelog.text.contains("\n## [Unreleased]\n"));
    (!has).then(|| "CHANGELOG.md has no section `## [Unreleased]`".to_owned()).into_iter().collect()
}

pub(super) fn unlisted_tests(sources: &[Source]) -> Vec<String> {
    let main = sources.iter().find(|source| source.path == "tests/main.rs").map_or("", |main| &main.text);
    let listed = |name: &str| main.lines().any(|line| words(line).eq(["mod", name]));
    let modules = sources.iter().filter_map(|source| source.path.strip_prefix("tests/")?.strip_suffix(".rs"));
    let unlisted = modules.filter(|name| !name.contains('/') && *name != "main" && !listed(name));
    unlisted
        .map(|name| format!("tests/{name}.rs is not listed in tests/main.rs, so nothing in it runs"))
        .collect()
}
