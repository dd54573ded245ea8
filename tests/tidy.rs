//! The rules that no compiler checks: what may stand where, and that the documents are true.
//!
//! Each check is a function from files to complaints; each is run on the repository, which must earn none, and
//! on a small bad example, which must earn one: a check that cannot fail checks nothing.

mod code;
mod papers;
mod source;
mod weight;

use source::{Source, repository};

/// A rule: from files to complaints.
type Check = fn(&[Source]) -> Vec<String>;

fn holds(check: Check) {
    let complaints = check(&repository());
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// That `check` finds something in `bad`, and nothing in `good`.
fn tells(check: Check, bad: &[(&str, &str)], good: &[(&str, &str)]) {
    let files =
        |of: &[(&str, &str)]| of.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>();
    assert!(!check(&files(bad)).is_empty(), "it finds nothing in {bad:?}");
    assert_eq!(check(&files(good)), Vec::<String>::new());
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $check:path; bad $bad:expr; good $good:expr;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            tells($check, &$bad, &$good);
            holds($check);
        }
    )*};
}

const POLICY: &str = "[dependencies]\nserde.workspace = true\n";
const SUPERVISION: &str = "[dependencies]\nractor.workspace = true\n";

rules! {
    policy_and_supervision_depend_only_on_what_is_theirs: papers::forbidden_dependencies;
    bad [
        ("actors/policy/Cargo.toml", "[dev-dependencies]\ntokio = { workspace = true }\n"),
        ("supervision/Cargo.toml", SUPERVISION),
    ];
    good [("actors/policy/Cargo.toml", POLICY), ("supervision/Cargo.toml", SUPERVISION)];

    policy_reads_no_time_and_takes_no_chance: code::impure_policy;
    bad [("actors/policy/src/queue.rs", "//! x\nuse std::time::{Duration, Instant};\n")];
    good [("actors/policy/src/queue.rs", "//! Instant\nuse std::time::Duration;\nlet operand::X = 1; // rand::\n")];

    every_file_says_what_it_is_for: code::without_module_doc;
    bad [("bin/crab.rs", "use std::fs;\n")];
    good [("bin/crab.rs", "//! The command line.\n"), ("README.md", "# x\n")];

    no_module_is_called_mod: code::named_mod;
    bad [("actors/src/link/mod.rs", "//! x\n")];
    good [("actors/src/link.rs", "//! x\n")];

    no_file_is_longer_than_one_sitting: code::too_long;
    bad [("bin/crab.rs", &*"let a = 1;\n".repeat(401))];
    good [("bin/crab.rs", &*("let a = 1;\n".repeat(300) + "#[cfg(test)]\nmod tests {\n" + &"a\n".repeat(300)))];

    only_programs_print: code::printing;
    bad [("actors/src/queue.rs", "//! x\n    println!(\"x\");\n")];
    good [("bin/crab.rs", "println!();\n"), ("actors/src/queue.rs", "// println!\n"), ("actors/src/tests.rs", "dbg!(1);\n")];

    only_the_clock_reads_time: code::reading_time;
    bad [("actors/src/queue.rs", "//! x\nlet now = Instant::now();\n")];
    good [("actors/src/clock.rs", "let now = Instant::now();\n"), ("actors/src/queue.rs", "let now = clock.now();\n")];

    only_the_codec_knows_bytes: code::foreign_bincode;
    bad [("actors/src/log.rs", concat!("use bin", "code::config;\n"))];
    good [("actors/src/wire/codec.rs", concat!("use bin", "code::config;\n")), ("actors/src/log.rs", "//! bincode\n")];

    supervision_knows_nothing_of_tasks: code::supervision_that_knows;
    bad [("supervision/src/spec.rs", "use policy::id::TaskId;\n")];
    good [("supervision/src/spec.rs", "//! Task\nuse tokio::task::JoinHandle;\nlet Nodes = 1;\n")];

    nothing_is_left_for_later: code::unfinished;
    bad [("bin/crab.rs", concat!("// TO", "DO: more\n"))];
    good [("bin/crab.rs", "let todos = 1;\n")];

    every_limit_says_its_unit_and_reason: code::unexplained_limits;
    bad [("actors/src/queue.rs", "/// For all.\nstruct A;\nconst WAITING_LIMIT: usize = 7;\n")];
    good [("actors/src/queue.rs", "/// Tasks: as many as fit.\npub const WAITING_LIMIT: usize = 7;\nconst KIND: u8 = 1;\n")];

    the_rooms_are_the_rooms: papers::strange_rooms;
    bad [("src/lib.rs", "")];
    good [("actors/src/lib.rs", ""), (".ci/run", ""), ("README.md", "")];

    documents_name_what_is_there: papers::names_of_nothing;
    bad [("README.md", "see `actors/src/quue.rs`\n"), ("actors/src/queue.rs", "")];
    good [("README.md", "see `actors/src/`, queue.rs and actors/src/queue.rs.\n"), ("actors/src/queue.rs", "")];

    the_code_map_names_every_module: papers::unmapped_modules;
    bad [("ARCHITECTURE.md", "# x\n\n## Code map\n\n### `actors/`\n\n`queue`\n"), ("actors/src/lib.rs", "pub mod queue;\npub mod log;\n")];
    good [("ARCHITECTURE.md", "# x\n\n## Code map\n\n### `actors/`\n\n`queue`\n"), ("actors/src/lib.rs", "pub mod queue;\n#[cfg(test)]\nmod testing;\n")];

    nothing_names_a_place_or_a_strange_host: papers::places_and_hosts;
    bad [("README.md", concat!("https:/", "/mirror.example.org/x\n"))];
    good [("README.md", concat!("https:/", "/github.com/x and file://x\n"))];

    packages_come_from_the_usual_registry: papers::foreign_registries;
    bad [("Cargo.lock", concat!("source = \"registry+https:/", "/mirror.example.org\"\n"))];
    good [("Cargo.lock", concat!("source = \"registry+https:/", "/github.com/rust-lang/crates.io-index\"\n"))];

    the_changelog_has_a_place_for_news: papers::no_news;
    bad [("CHANGELOG.md", "# Changelog\n\n## 0.1.0\n")];
    good [("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n")];

    every_test_file_is_run: papers::unlisted_tests;
    bad [("tests/main.rs", "mod tidy;\n"), ("tests/cluster.rs", "")];
    good [("tests/main.rs", "/// The rules.\nmod tidy;\n"), ("tests/tidy.rs", ""), ("tests/tidy/code.rs", "")];
}

#[test]
fn who_may_read_time_does_so() {
    holds(code::idle_time_readers);
    assert!(!code::idle_time_readers(&[]).is_empty(), "it misses every file");
}
