//! The other runners: what lists their tests, and to what the tests to run are added.
//!
//! go, swift and xcodebuild are written after their documentation and have not been run here.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::dialect::Dialect;
use super::listing::{Launch, NotListed};
use super::runner::Suite;

/// Options of pytest whose value may be a path, and of go whose value may look like a package.
const PYTEST_VALUED: [&str; 8] =
    ["-c", "--config-file", "--confcutdir", "--ignore", "--basetemp", "--junitxml", "--log-file", "--cov"];
const GO_VALUED: [&str; 8] =
    ["-C", "-o", "-exec", "-coverpkg", "-coverprofile", "-cpuprofile", "-memprofile", "-overlay"];

/// Which of the words say how, and which say what.
fn parted<'w>(
    words: &'w [OsString],
    valued: &[&str],
    is_place: impl Fn(&str) -> bool,
) -> (Vec<&'w OsStr>, Vec<&'w OsStr>) {
    let mut before = "";
    words.iter().map(OsString::as_os_str).partition(|word| {
        let word = word.to_str().unwrap_or_default();
        let of_option = valued.contains(&std::mem::replace(&mut before, word));
        of_option || word.starts_with('-') || !is_place(word)
    })
}

/// cargo nextest. What its configuration says of retries does not hold: they are ours.
pub(super) fn nextest(suite: &mut Suite, args: &[OsString]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Listed {
        #[serde(rename = "rust-suites")]
        suites: std::collections::BTreeMap<String, Program>,
    }
    #[derive(Deserialize)]
    struct Program {
        #[serde(default)]
        testcases: std::collections::BTreeMap<String, Value>,
    }
    let nextest = Launch::new(["cargo", "nextest"]);
    let listed = nextest.clone().args(["list", "--message-format", "json"]).args(args).listed()?;
    let unread = |error| NotListed(format!("what cargo nextest lists is not understood: {error}"));
    let listed: Listed = serde_json::from_str(&listed).map_err(unread)?;
    let run = nextest
        .args(["run", "--color", "never", "--status-level", "all", "--final-status-level", "none"])
        .args(["--no-fail-fast", "--retries", "0", "--no-tests", "pass", "--failure-output", "immediate"])
        .args(args);
    for (binary, program) in listed.suites {
        let group = suite.group(&binary, run.clone(), Dialect::Nextest);
        let wanted = |case: &Value| case["filter-match"]["status"] == "matches";
        for (name, _) in program.testcases.iter().filter(|(_, case)| wanted(case)) {
            suite.test(group, name)?;
        }
    }
    Ok(())
}

/// pytest. With the root where it runs, the tests' names are what it can be given.
pub(super) fn pytest(suite: &mut Suite, args: &[OsString]) -> anyhow::Result<()> {
    let pytest = Launch::new(["pytest", "--rootdir=.", "--color=no"]).env("PYTHONUNBUFFERED", "1");
    let is_place = |word: &str| word.contains("::") || Path::new(word).exists();
    let (options, _) = parted(args, &PYTEST_VALUED, is_place);
    let collect = pytest.clone().arg("--collect-only").args(args);
    let quiet = collect.clone().arg("-q").listed()?;
    // Where the project's own options say it as well, files are counted instead.
    let listed = if quiet.contains("::") { quiet } else { collect.listed()? };
    let group = suite.group("", pytest.args(["-v", "-rA"]).args(options), Dialect::Pytest);
    for line in listed.lines().take_while(|line| !line.is_empty()).filter(|line| line.contains("::")) {
        suite.test(group, line)?;
    }
    Ok(())
}

/// go test. Each package is a program.
pub(super) fn go(suite: &mut Suite, args: &[OsString]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Line {
        action: String,
        #[serde(default)]
        package: String,
        #[serde(default)]
        output: String,
    }
    let go = Launch::new(["go", "test", "-json"]);
    let is_package = |word: &str| word.starts_with(['.', '/']) || word.contains('/') || word == "all";
    let (options, mut packages) = parted(args, &GO_VALUED, is_package);
    if packages.is_empty() {
        packages.push(OsStr::new("./..."));
    }
    let listed = go.clone().args(["-list", "^(Test|Example|Fuzz)"]).args(&options).args(packages).listed()?;
    let run = go.args(["-count=1"]).args(options);
    for line in listed.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        let name = line.output.trim();
        let is_test =
            line.action == "output" && ["Test", "Example", "Fuzz"].iter().any(|head| name.starts_with(head));
        if !is_test || name.contains(char::is_whitespace) {
            continue;
        }
        let known = suite.groups.iter().position(|group| *group.name == *line.package);
        let of = known.and_then(|at| u32::try_from(at).ok());
        let of = of.unwrap_or_else(|| suite.group(&line.package, run.clone(), Dialect::Go));
        suite.test(of, name)?;
    }
    Ok(())
}

/// swift test. Those of XCTest: what swift-testing writes is not read.
pub(super) fn swift(suite: &mut Suite, args: &[OsString]) -> anyhow::Result<()> {
    let listed = Launch::new(["swift", "test", "list"]).args(args).listed()?;
    let run = Launch::new(["swift", "test", "--skip-build"]).args(args);
    let group = suite.group("", run, Dialect::XcTest);
    let is_test =
        |line: &&str| line.contains('.') && line.contains('/') && !line.contains(char::is_whitespace);
    listed.lines().filter(is_test).try_for_each(|line| suite.test(group, line))
}

/// xcodebuild, from Xcode 15 on; the arguments are scheme, destination and whatever else both take.
pub(super) fn xcodebuild(suite: &mut Suite, args: &[OsString]) -> anyhow::Result<()> {
    let xcodebuild = Launch::new(["xcodebuild"]);
    xcodebuild.clone().arg("build-for-testing").args(args).listed()?;
    let enumerate =
        ["-enumerate-tests", "-test-enumeration-style", "flat", "-test-enumeration-format", "json"];
    let listed = xcodebuild
        .clone()
        .arg("test-without-building")
        .args(enumerate)
        .args(["-test-enumeration-output-path", "-"])
        .args(args)
        .listed()?;
    let group = suite.group("", xcodebuild.arg("test-without-building").args(args), Dialect::XcTest);
    // Other lines stand around it.
    let json =
        listed.find('{').zip(listed.rfind('}')).map_or("", |(from, to)| listed.get(from..=to).unwrap_or(""));
    let unread = |error| NotListed(format!("what xcodebuild lists is not understood: {error}"));
    let listed: Value = serde_json::from_str(json).map_err(unread)?;
    let plans = listed["values"].as_array().map_or(&[][..], Vec::as_slice);
    let tests = plans.iter().filter_map(|plan| plan["enabledTests"].as_array()).flatten();
    tests
        .filter_map(|test| test["identifier"].as_str())
        .try_for_each(|id| suite.test(group, id.trim_end_matches("()")))
}

/// Two commands of a shell. The tests become its arguments, so that no word of theirs is read by it.
pub(super) fn command(suite: &mut Suite, (list, run): (&str, &str), args: &[OsString]) -> anyhow::Result<()> {
    let listed = Launch::new(["/bin/sh", "-c", list, "crab"]).args(args).listed()?;
    let script = if run.contains(TESTS) { run.replace(TESTS, "\"$@\"") } else { format!("{run} \"$@\"") };
    let group = suite.group("", Launch::new(["/bin/sh", "-c", &script, "crab"]), Dialect::ExitCode);
    listed.lines().map(str::trim).filter(|line| !line.is_empty()).try_for_each(|line| suite.test(group, line))
}

/// Stands for the tests.
const TESTS: &str = "{tests}";
