//! Tests of a Cargo workspace, by `cargo test`: built once, here, and each of the programs asked for its tests.
//!
//! Batches run these programs themselves, where and with what cargo would run them: a second cargo would look at all
//! sources again and wait for the first one's lock.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::dialect::Dialect;
use super::listing::Launch;
use super::runner::{Suite, divided};

/// Where a program's libraries are sought.
const LIBRARY_PATH: &str =
    if cfg!(target_os = "macos") { "DYLD_FALLBACK_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };

/// What of the harness' own arguments holds for each batch as well; the others say which tests there are.
const KEPT: [&str; 2] = ["--ignored", "--include-ignored"];

/// A line of what cargo says of a build.
#[derive(Debug, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    BuildScriptExecuted {
        linked_paths: Vec<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Artifact {
    package_id: String,
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
}

pub(super) fn list(suite: &mut Suite, args: &[OsString]) -> anyhow::Result<()> {
    let (cargo_args, own) = divided(args);
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = Launch::new([&program])
        .args(["test", "--no-run", "--message-format=json-render-diagnostics"])
        .args(cargo_args);
    let built = built(&build.listed()?);
    let libraries = libraries(&built);
    for (artifact, program) in built.artifacts.iter().filter_map(tested) {
        let launch = as_cargo_does(artifact, program, &built).env(LIBRARY_PATH, &libraries);
        let name = name(artifact);
        let asked = launch.clone().args(["--list", "--format=terse"]).args(own).ask()?;
        match own_tests(&asked.out).filter(|_| asked.is_well) {
            Some(tests) => {
                let kept =
                    own.iter().filter(|word| KEPT.iter().any(|kept| word.as_os_str() == OsStr::new(kept)));
                let group = suite.group(&name, launch.args(kept), Dialect::Libtest);
                tests.into_iter().try_for_each(|test| suite.test(group, test))?;
            }
            // A harness of its own: one test, which tells by its exit code how it was.
            None => {
                let group = suite.group(&name, launch, Dialect::ExitCode);
                suite.test(group, "(all)")?;
            }
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Built {
    artifacts: Vec<Artifact>,
    linked: Vec<PathBuf>,
}

fn built(said: &str) -> Built {
    let mut built = Built::default();
    for message in said.lines().filter_map(|line| serde_json::from_str(line).ok()) {
        match message {
            Message::CompilerArtifact(artifact) if artifact.executable.is_some() => {
                built.artifacts.push(artifact)
            }
            Message::BuildScriptExecuted { linked_paths } => {
                let path = |told: String| told.rsplit('=').next().map(str::to_owned);
                built.linked.extend(linked_paths.into_iter().filter_map(path).map(PathBuf::from));
            }
            Message::CompilerArtifact(_) | Message::Other => {}
        }
    }
    built
}

fn tested(artifact: &Artifact) -> Option<(&Artifact, &Path)> {
    let program = artifact.executable.as_deref().filter(|_| artifact.profile.test)?;
    Some((artifact, program))
}

/// `parser`, or `parser::tests/main` for what is no library.
fn name(artifact: &Artifact) -> String {
    let package = package(artifact);
    match artifact.target.kind.first().map_or("lib", |kind| kind) {
        kind @ ("bin" | "example" | "bench" | "test") => {
            let kind = if kind == "test" { String::new() } else { format!("{kind}/") };
            format!("{package}::{kind}{}", artifact.target.name)
        }
        _ => package,
    }
}

/// The name in `path+file:///somewhere/parser#0.1.0` or `…/somewhere#parser@0.1.0`.
fn package(artifact: &Artifact) -> String {
    let id = &artifact.package_id;
    let (place, version) = id.rsplit_once('#').unwrap_or((id, ""));
    let named = version.split_once('@').map(|(name, _)| name);
    named.or_else(|| place.trim_end_matches('/').rsplit('/').next()).unwrap_or(place).to_owned()
}

/// The program, where cargo would run it, with the variables that it would have.
fn as_cargo_does(artifact: &Artifact, program: &Path, built: &Built) -> Launch {
    let directory = artifact.manifest_path.parent().unwrap_or_else(|| Path::new("/"));
    let mut launch =
        Launch::new([program]).env("CARGO_MANIFEST_DIR", directory).env("CARGO_PKG_NAME", package(artifact));
    launch.directory = Some(directory.into());
    let programs = built.artifacts.iter().filter(|other| {
        !other.profile.test
            && other.package_id == artifact.package_id
            && other.target.kind.iter().any(|kind| kind == "bin")
    });
    for (other, path) in programs.filter_map(|other| Some((other, other.executable.as_ref()?))) {
        launch = launch.env(format!("CARGO_BIN_EXE_{}", other.target.name), path);
    }
    launch
}

/// Where the programs' libraries are: beside them, where build scripts put them, and those of the compiler.
fn libraries(built: &Built) -> OsString {
    let beside = built.artifacts.iter().filter_map(|artifact| artifact.executable.as_ref()?.parent());
    let mut places: Vec<PathBuf> = beside.map(Path::to_owned).chain(built.linked.iter().cloned()).collect();
    places.sort_unstable();
    places.dedup();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Launch::new([&rustc]).args(["--print", "target-libdir"]).listed();
    places.extend(asked.ok().map(|place| PathBuf::from(place.trim())));
    places.extend(std::env::var_os(LIBRARY_PATH).iter().flat_map(std::env::split_paths));
    std::env::join_paths(places).unwrap_or_default()
}

/// The tests of a list that libtest has written; `None` where it is something else.
fn own_tests(listed: &str) -> Option<Vec<&str>> {
    let test = |line: &'_ str| line.ends_with(": test") || line.ends_with(": benchmark");
    let lines: Vec<&str> = listed.lines().filter(|line| !line.is_empty()).collect();
    let names = lines.iter().map(|line| line.rsplit_once(": ").filter(|_| test(line)).map(|(name, _)| name));
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_from_libtest_alone() {
        assert_eq!(own_tests("a::b: test\nc: benchmark\n"), Some(vec!["a::b", "c"]));
        assert_eq!(own_tests(""), Some(vec![]));
        assert_eq!(own_tests("running everything\na::b: test\n"), None);
    }

    #[test]
    fn programs_are_found_in_what_cargo_says_of_a_build() {
        let artifact = |kind: &str, name: &str, test: bool| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"package_id\":\"path+file:///w/parser#0.1.0\",\
                 \"manifest_path\":\"/w/parser/Cargo.toml\",\"target\":{{\"kind\":[\"{kind}\"],\"name\":\"{name}\"}},\
                 \"profile\":{{\"test\":{test}}},\"executable\":\"/w/target/debug/{name}\"}}\n"
            )
        };
        let said = artifact("lib", "parser", true)
            + &artifact("bin", "tool", false)
            + &artifact("test", "main", true)
            + "{\"reason\":\"build-script-executed\",\"linked_paths\":[\"native=/w/out\"]}\n{\"reason\":\"new\"}\nno json\n";
        let built = built(&said);
        let found: Vec<_> = built.artifacts.iter().filter_map(tested).collect();
        let names: Vec<String> = found.iter().map(|(artifact, _)| name(artifact)).collect();
        assert_eq!(names, ["parser", "parser::main"]);
        let launch = as_cargo_does(found[1].0, found[1].1, &built);
        assert_eq!(launch.directory.as_deref(), Some(Path::new("/w/parser")));
        let has = |name: &str| {
            launch.environment.iter().find(|(of, _)| &**of == OsStr::new(name)).map(|(_, is)| is.clone())
        };
        assert_eq!(has("CARGO_BIN_EXE_tool").as_deref(), Some(OsStr::new("/w/target/debug/tool")));
        assert_eq!(built.linked, [Path::new("/w/out")]);
    }

    #[test]
    fn a_package_is_named_in_either_form_of_its_id() {
        let of = |id: &str| {
            let target = Target { kind: vec!["lib".into()], name: "x".into() };
            let (package_id, profile) = (id.to_owned(), Profile { test: true });
            name(&Artifact { package_id, manifest_path: "/".into(), target, profile, executable: None })
        };
        assert_eq!(of("path+file:///w/parser#0.1.0"), "parser");
        assert_eq!(of("path+file:///w/dir#parser@0.1.0"), "parser");
        assert_eq!(of("strange"), "strange");
    }
}
