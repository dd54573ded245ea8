//! How many packages a Rust agent builds that only asks: the README says it, and it does not grow in silence.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Before the number in the README.
const BEFORE: &str = "The client alone builds ";

/// Packages of others, on one system: others differ by a few.
fn packages() -> BTreeSet<String> {
    let told = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--package",
            "knittingcrab-actors",
            "--no-default-features",
            "--edges",
            "normal",
        ])
        .args(["--prefix", "none", "--target", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo is there");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.split(" (").next());
    names.filter(|name| !name.is_empty() && !name.starts_with("knittingcrab-")).map(str::to_owned).collect()
}

#[test]
fn a_client_builds_as_many_packages_as_the_readme_says_and_none_of_what_keeps_or_draws() {
    let packages = packages();
    let heavy = ["sled", "ractor_cluster", "prometheus-client", "crossterm", "ratatui", "reedline", "clap"];
    let found = packages.iter().filter(|name| heavy.contains(&name.split(' ').next().unwrap_or_default()));
    assert_eq!(found.collect::<Vec<_>>(), Vec::<&String>::new());
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let said = readme.split_once(BEFORE).and_then(|(_, rest)| rest.split(' ').next()).expect("it says so");
    assert_eq!(said, packages.len().to_string(), "README.md says {said}: {packages:#?}");
}
