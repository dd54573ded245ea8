//! What tasks leave behind, with the real programs: it is there when the end is told, and nothing else is.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::fleet::Fleet;
use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

fn git(at: &Path, words: &[&str]) {
    let out = Command::new("git").arg("-C").arg(at).args(words).output().expect("there is git");
    assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// What is kept, as `crab artifacts --json` tells it.
fn listed(place: &Place, args: &[&str]) -> Vec<Value> {
    place.run(&[&["artifacts", "--json"], args].concat()).expect(0).json()
}

fn texts<'v>(rows: &'v [Value], field: &str) -> Vec<&'v str> {
    rows.iter().filter_map(|row| row[field].as_str()).collect()
}

/// The end of the last attempt.
fn end(shown: &Value) -> &Value {
    let events = shown["events"].as_array().expect("a list");
    events.iter().rfind(|event| event["event"] == "task.attempt-ended").expect("it has ended")
}

/// The only attempt of which something is kept on the machine of this directory.
fn depot(place: &Place) -> PathBuf {
    let all = fs::read_dir(place.data().join("artifacts")).expect("a directory");
    let mut all =
        all.map(|entry| entry.expect("a name").path()).filter(|path| path.join("manifest").exists());
    all.next().expect("one")
}

/// What was kept of the failure, and of what came after it, comes as it was.
fn fetched(place: &Place, task: &str) {
    let into = place.root().join("got");
    place.run(&["artifacts", "get", task, "--into", &into.display().to_string()]).expect(0);
    assert_eq!(fs::read_to_string(into.join("out/a.log")).expect("fetched"), "hello\n");
    let mode = fs::metadata(into.join("out/tool")).expect("fetched").permissions().mode();
    assert_eq!(mode & 0o700, 0o700);
    assert_eq!(place.run(&["artifacts", "cat", task, "out/*.log"]).expect(0).text(), "hello\n");
    let big = place.run(&["artifacts", "cat", "works", "out/big.log"]).expect(0).out;
    assert_eq!((big.len(), big.iter().all(|byte| b"y\n".contains(byte))), (700_000, true));
}

#[test]
fn reports_of_a_failure_outlive_the_worktree_and_come_from_another_machine() {
    let fleet = Fleet::start(1);
    let (place, worker) = (&fleet.scheduler, &fleet.workers[0]);
    let repository = worker.root().join("repo");
    fs::create_dir(&repository).expect("it is new");
    git(&repository, &["init", "--quiet", "--initial-branch=main"]);
    let first =
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--allow-empty", "-m", "a"];
    git(&repository, &first);
    let file = format!(
        r#"
        [defaults]
        workspace = {{ worktree = {:?} }}
        workspace_keep = "never"
        directory = "sub"
        artifacts = ["out/*.log", {{ path = "out/t*", kind = "coverage" }}, "**/junit.xml", "absent"]
        hooks = {{ before = ["true"] }}
        [task.fails]
        shell = "mkdir -p out/deep && echo hello > out/a.log && printf x > out/tool && chmod 750 out/tool && echo '<t/>' > out/deep/junit.xml; exit 3"
        [task.works]
        directory = "."
        after = [{{ task = "fails", needs = "end" }}]
        shell = "mkdir out && yes | head -c 700000 > out/big.log"
        "#,
        repository.display()
    );
    fs::create_dir(repository.join("sub")).expect("new");
    fs::write(repository.join("sub/keep"), "").expect("room");
    git(&repository, &["add", "."]);
    git(&repository, &["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "b"]);
    place.file("build.toml", file);
    let task = place.submit(&["build.toml"]);
    place.run(&["wait", "g1"]).expect(1);
    let shown = place.show(&task);
    let kept = &end(&shown)["report"]["artifacts"];
    assert_eq!(
        (&kept["files"], &kept["bytes"], &kept["left_out"]),
        (&3.into(), &12.into(), &1.into()),
        "{shown}"
    );
    assert_eq!(shown["spec"]["artifacts"][1]["kind"], "coverage");
    assert!(end(&shown)["report"]["workspace"]["path"].is_null(), "{shown}");
    let rows = listed(place, &[&task]);
    assert_eq!(texts(&rows, "path"), ["out/a.log", "out/tool", "out/deep/junit.xml"]);
    assert_eq!(texts(&rows, "kind"), ["log", "coverage", "junit"]);
    assert_eq!(texts(&rows, "left_out"), ["absent"]);
    assert_eq!(rows[1]["mode"], "750");
    // Of the graph, and of one kind.
    assert_eq!(texts(&listed(place, &["g1", "--kind", "log"]), "path"), ["out/a.log", "out/big.log"]);
    let text =
        place.run(&["artifacts", &task]).expect(0).says(&["left out absent: nothing matches it"]).text();
    assert!(text.contains("out/deep/junit.xml"), "{text}");
    fetched(place, &task);
    let told = place.run(&["show", &task]).expect(0).text();
    assert!(told.contains("artifacts    3 files") && told.contains("1 left out"), "{told}");
    let top = place.ask_top(&format!("task {task}")).expect(0).text();
    assert!(top.contains("artifacts") && top.contains("3 files"), "{top}");
}

#[test]
fn a_machine_that_is_away_is_named() {
    let mut fleet = Fleet::start(1);
    let task =
        fleet.scheduler.submit(&["--directory", "/tmp", "--artifact", "no-such-file-of-ours", "--", "true"]);
    fleet.scheduler.run(&["wait", &task]).expect(0);
    assert_eq!(texts(&listed(&fleet.scheduler, &[&task]), "left_out"), ["no-such-file-of-ours"]);
    fleet.kill_worker(0);
    let away = || fleet.scheduler.run(&["artifacts", &task]);
    until_true("it is gone", SOON, || away().code == Some(6));
    away().expect(6).says(&["cannot be reached: worker0: it is not connected"]);
}

#[test]
fn what_a_task_left_is_kept_by_the_daemon_that_comes_after_one_that_was_killed() {
    for ends_alone in [false, true] {
        let place = Place::new();
        let daemon = place.single("1");
        let go = place.root().join("go").display().to_string();
        let wait =
            format!("echo half > a.log; while [ ! -e {go} ]; do sleep 0.02; done; echo whole >> a.log");
        let task = place.submit(&[
            "--workspace",
            "scratch",
            "--workspace-keep",
            "never",
            "--artifact",
            "*.log",
            "--",
            "sh",
            "-c",
            &wait,
        ]);
        place.wait_state(&task, "running");
        place.run(&["artifacts", &task]).expect(75).says(&["still runs"]);
        daemon.kill();
        if ends_alone {
            place.file("go", "");
            until_true("it has ended", SOON, || place.attempts().is_empty());
        }
        let _daemon = place.single("1");
        place.file("go", "");
        place.run(&["wait", &task]).expect(0);
        assert_eq!(place.show(&task)["attempts"], 1);
        assert_eq!(place.run(&["artifacts", "cat", &task, "a.log"]).expect(0).text(), "half\nwhole\n");
        assert!(!place.data().join("artifacts/wanted").read_dir().expect("a directory").any(|_| true));
    }
}

#[test]
fn what_is_over_the_limits_or_no_file_is_left_out_and_said_and_changes_no_end() {
    let place = Place::new();
    let config =
        place.file("crabd.toml", "[artifacts]\nfiles_per_attempt = 3\nsize_per_attempt = \"1 KiB\"\n");
    let _daemon = place.daemon(&["--cpus", "1", "--name", "one", "--config", &config.display().to_string()]);
    place.wait_nodes(1);
    let secret = place.file("secret", "secret");
    let script = format!(
        "mkdir out; ln -s {0} out/link; ln -s {1} out/dir; mkfifo out/pipe; mkdir out/empty; printf a > out/a; \
         head -c 2000 /dev/zero > out/big; printf c > out/c; printf d > out/d; printf e > out/e; \
         printf n > 'out/new\nline'; printf u > \"$(printf 'out/\\377')\" || true",
        secret.display(),
        place.root().display()
    );
    let task = place.submit(&["--workspace", "scratch", "--artifact", "out/**", "--", "sh", "-c", &script]);
    place.run(&["wait", &task]).expect(0);
    let rows = listed(&place, &[&task]);
    assert_eq!(texts(&rows, "path"), ["out/a", "out/c", "out/d"]);
    let left_out = texts(&rows, "left_out");
    for expected in ["out/link", "out/dir", "out/pipe", "out/big", "out/e", "out/new\nline"] {
        assert!(left_out.contains(&expected), "{expected}: {left_out:?}");
    }
    assert!(left_out.iter().all(|path| !path.contains("empty") && !path.contains("secret")), "{left_out:?}");
    let why = texts(&rows, "why").join("\n");
    for expected in
        ["symbolic link", "1024 bytes, the limit", "more than 3 files", "pipe", "control characters"]
    {
        assert!(why.contains(expected), "{expected}: {why}");
    }
    // One line for each, whatever it is called.
    let said = place.run(&["artifacts", &task]).expect(0).err;
    assert!(said.contains("out/new?line"), "{said}");
}

#[test]
fn fetching_writes_nowhere_else_and_over_nothing_and_only_what_was_kept() {
    let place = Place::new();
    let _daemon = place.single("1");
    let script = "mkdir out; echo one > out/a; echo two > out/b";
    let task = place.submit(&["--workspace", "scratch", "--artifact", "out/*", "--", "sh", "-c", script]);
    place.run(&["wait", &task]).expect(0);
    let (into, outside) = (place.root().join("into"), place.root().join("outside"));
    let at = into.display().to_string();
    let get = |more: &[&str]| place.run(&[&["artifacts", "get", &task, "--into", &at], more].concat());
    fs::create_dir_all(&outside).expect("new");
    fs::create_dir(&into).expect("new");
    symlink(&outside, into.join("out")).expect("new");
    get(&[]).expect(1).says(&["is a link or no directory"]);
    get(&["--force"]).expect(1);
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 0);
    fs::remove_file(into.join("out")).expect("there");
    let rows = listed(&place, &[&task]);
    let (first, second) = (rows[0]["id"].as_str().expect("an id"), rows[1]["id"].as_str().expect("an id"));
    assert_ne!(first, second);
    get(&[first]).expect(0).says(&["fetched 1 file"]);
    fs::write(into.join("out/a"), "mine").expect("there");
    get(&[]).expect(1).says(&["is there already; with --force"]);
    assert!(!into.join("out/b").exists(), "nothing was begun");
    assert_eq!(fs::read_to_string(into.join("out/a")).expect("there"), "mine");
    get(&["--force"]).expect(0);
    assert_eq!(fs::read_to_string(into.join("out/a")).expect("there"), "one\n");
    get(&["nothing"]).expect(4);
    get(&["../a"]).expect(2);
    // A disk that gives back something else.
    fs::write(depot(&place).join("2"), "TWO\n").expect("there");
    fs::remove_file(into.join("out/b")).expect("there");
    get(&[second]).expect(1).says(&["is not what was kept"]);
    assert_eq!(fs::read_dir(into.join("out")).expect("there").count(), 1, "nothing half");
    place.run(&["artifacts", "get", "--json", &task, "out/a", "--force"]).expect(0);
}

#[test]
fn each_member_of_an_array_and_each_attempt_has_its_own() {
    let place = Place::new();
    let _daemon = place.single("2");
    let file = r#"
        [task.many]
        array = "0-1"
        workspace = "scratch"
        retry = { attempts = 2, backoff = "10ms" }
        shell = "echo $CRAB_ARRAY_INDEX.$CRAB_ATTEMPT > me; test $CRAB_ATTEMPT = 2"
        artifacts = ["me"]
        [task.none]
        shell = "true"
    "#;
    place.file("many.toml", file);
    let task = place.submit(&["many.toml"]);
    place.run(&["wait", "g1"]).expect(0);
    let rows = listed(&place, &["g1"]);
    assert_eq!(texts(&rows, "path"), ["me", "me"]);
    let cat = |args: &[&str]| place.run(&[&["artifacts", "cat"], args].concat()).expect(0).text();
    assert_eq!(cat(&["t2", "me"]), "1.2\n");
    assert_eq!(cat(&[&task, "me", "--attempt", "1"]), "0.1\n");
    let before = listed(&place, &[&task, "--attempt", "1"]);
    // An id says which attempt it is of.
    assert_eq!(cat(&[&task, before[0]["id"].as_str().expect("an id")]), "0.1\n");
    place.run(&["artifacts", "none"]).expect(4).says(&["declares none"]);
    place.run(&["artifacts"]).expect(2);
    place.run(&["artifacts", "g99"]).expect(4);
}

#[test]
fn patterns_that_are_none_are_refused_with_field_value_and_what_is_allowed() {
    let place = Place::new();
    let file = "[task.a]\nshell = \"x\"\nartifacts = [\"/etc/passwd\", { path = \"a/../b\" }, { path = \"a\", kind = \"film\" }, 3, \"d/\"]\n";
    place.file("bad.toml", file);
    place.run(&["submit", "bad.toml"]).expect(2).says(&[
        "bad.toml:3",
        "relative, without ..",
        "must be one of log, junit, coverage, patch, other",
        "must be a list of patterns",
        "DIRECTORY/**",
    ]);
    let _daemon = place.single("1");
    place.run(&["submit", "--artifact", "../a", "--", "true"]).expect(2).says(&["relative, without .."]);
    let many: Vec<String> = (0..33).flat_map(|n| ["--artifact".to_owned(), n.to_string()]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = place.run(&[&["submit"], &many[..], &["--", "true"]].concat()).expect(7);
    refused.says(&["artifacts", "33", "at most 32 patterns"]);
}
