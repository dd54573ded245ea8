//! Tasks with directories of their own, with the real programs and the system's git.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

/// A repository with one commit on `main`.
fn repository(place: &Place) -> PathBuf {
    let path = place.root().join("repo");
    fs::create_dir(&path).expect("it is new");
    git(&path, &["init", "--quiet", "--initial-branch=main"]);
    fs::write(path.join("file"), "one\n").expect("it is writable");
    git(&path, &["add", "file"]);
    git(&path, &["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "first"]);
    path
}

fn git(at: &Path, words: &[&str]) -> String {
    let out = Command::new("git").arg("-C").arg(at).args(words).output().expect("there is git");
    assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Whoever adds or removes a worktree of it has to wait.
fn hold(repository: &Path) -> Flock<File> {
    let file = File::open(repository.join(".git")).expect("it is there");
    Flock::lock(file, FlockArg::LockExclusive).expect("nobody holds it for long")
}

/// Submits a script that works in a worktree.
fn in_worktree(place: &Place, more: &[&str], script: &str) -> String {
    let mut words = vec!["--workspace", "worktree=repo"];
    words.extend(more);
    words.extend(["--", "/bin/sh", "-c", script]);
    place.submit(&words)
}

/// What the end of its last attempt tells of its workspace.
fn told(place: &Place, task: &str) -> Value {
    let shown = place.show(task);
    let events = shown["events"].as_array().expect("a list").clone();
    let end = events.into_iter().rfind(|event| event["event"] == "task.attempt-ended").expect("it has ended");
    end["report"]["workspace"].clone()
}

/// Nothing is left of any workspace, neither on the disk nor in git.
fn nothing_left(place: &Place, repository: &Path) {
    until_true("workspaces are gone", SOON, || in_root(place).is_empty());
    assert_eq!(git(repository, &["worktree", "list"]).lines().count(), 1);
}

fn in_root(place: &Place) -> Vec<String> {
    let names = |path: PathBuf| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let root = place.data().join("workspaces");
    let mut all = names(root.join("records"));
    all.extend(names(root).into_iter().filter(|name| name != "records"));
    all
}

#[test]
fn a_task_works_in_a_worktree_that_is_gone_when_it_was_left_clean() {
    let place = Place::new();
    let _daemon = place.single("1");
    let repository = repository(&place);
    let script = "cat file; test \"$PWD\" = \"$CRAB_WORKSPACE\" && git rev-parse --abbrev-ref HEAD";
    let task = in_worktree(&place, &["--commit", "main"], script);
    place.run(&["wait", &task]).expect(0);
    assert_eq!(place.run(&["logs", &task]).expect(0).text(), "one\nHEAD\n");
    let end = told(&place, &task);
    assert!(end["kept"].is_null() && end["ready_in_s"].as_f64().is_some_and(|taken| taken > 0.0), "{end}");
    assert_eq!(place.show(&task)["spec"]["workspace"]["kind"], "worktree");
    let text = place.run(&["show", &task]).expect(0).text();
    assert!(text.contains("its workspace (ready in ") && text.contains(") was removed"), "{text}");
    nothing_left(&place, &repository);
}

#[test]
fn unsaved_work_is_kept_and_told_where_it_is() {
    let place = Place::new();
    let _daemon = place.single("1");
    let repository = repository(&place);
    let task = in_worktree(&place, &[], "echo two > file; echo new > made");
    place.run(&["wait", &task]).expect(0);
    let end = told(&place, &task);
    assert_eq!(end["why"], "2 changed files");
    let path = PathBuf::from(end["kept"].as_str().expect("a path"));
    assert_eq!(fs::read_to_string(path.join("made")).expect("it is there"), "new\n");
    assert_eq!(git(&repository, &["worktree", "list"]).lines().count(), 2);
    let text = place.run(&["show", &task]).expect(0).text();
    assert!(text.contains(&format!("was kept in {}: 2 changed files", path.display())), "{text}");
}

#[test]
fn scratch_copies_and_homes_are_a_tasks_own() {
    let place = Place::new();
    let _daemon = place.single("1");
    fs::create_dir_all(place.root().join("data/sub")).expect("it is new");
    place.file("data/sub/one", "1");
    let file = r#"
        [task.scratch]
        workspace = "scratch"
        private_home = true
        shell = "ls -A; test -d $HOME && test -d $TMPDIR && cd && pwd && echo x > made"
        [task.copy]
        workspace = { copy = "data" }
        directory = "sub"
        shell = "cat one; echo 2 > one"
        [task.failed]
        workspace = "scratch"
        workspace_keep = "on_failure"
        shell = "echo why > log; exit 3"
    "#;
    let file = place.file("tasks.toml", file).display().to_string();
    place.run(&["submit", "--wait", &file]).expect(1);
    let home = place.run(&["logs", "scratch"]).expect(0).text();
    assert!(home.starts_with(&place.data().display().to_string()) && home.ends_with("/home\n"), "{home}");
    assert_eq!(place.run(&["logs", "copy"]).expect(0).text(), "1");
    assert_eq!(fs::read_to_string(place.root().join("data/sub/one")).expect("it is there"), "1");
    let end = told(&place, "failed");
    assert_eq!(end["why"], "the attempt failed");
    let log = Path::new(end["kept"].as_str().expect("a path")).join("log");
    assert_eq!(fs::read_to_string(log).expect("it is there"), "why\n");
    assert_eq!(in_root(&place).len(), 2, "its directory and its record");
}

#[test]
fn twenty_tasks_work_on_one_repository_at_once() {
    let place = Place::new();
    let _daemon = place.single("20");
    let repository = repository(&place);
    let script = "git checkout --quiet -b work-$CRAB_ARRAY_INDEX && echo $CRAB_ARRAY_INDEX > file && \
                  git -c user.name=a -c user.email=a@b.c commit --quiet -a -m work";
    in_worktree(&place, &["--array", "1-20", "--name", "all"], script);
    place.run(&["wait", "g1"]).expect(0);
    assert_eq!(git(&repository, &["branch", "--list", "work-*"]).lines().count(), 20);
    nothing_left(&place, &repository);
}

#[test]
fn what_cannot_be_made_is_said_in_full_and_costs_no_retry_elsewhere() {
    let place = Place::new();
    let _daemon = place.single("1");
    let repository = repository(&place);
    let reason = |words: &[&str]| {
        let task = place.submit(&[words, &["--", "true"]].concat());
        place.run(&["wait", &task]).expect(1);
        let shown = place.show(&task);
        assert_eq!((&shown["outcome"]["kind"], &shown["attempts"]), (&"not-started".into(), &1.into()));
        shown["outcome"]["reason"].as_str().expect("a text").to_owned()
    };
    let in_repository = repository.display();
    assert_eq!(
        reason(&["--workspace", "worktree=repo", "--commit", "nosuch"]),
        format!("no workspace: there is no commit \"nosuch\" in {in_repository}")
    );
    let absent = place.root().join("absent");
    assert_eq!(
        reason(&["--workspace", "worktree=absent"]),
        format!("no workspace: there is no directory {} on this machine", absent.display())
    );
    assert_eq!(
        reason(&["--workspace", "copy=absent"]),
        format!("no workspace: there is no {} on this machine", absent.display())
    );
    let refused =
        place.run(&["submit", "--workspace", "worktree=repo", "--commit=-x", "--", "true"]).expect(7);
    refused.says(&["workspace.commit", "must name a commit"]);
    place.run(&["submit", "--commit", "main", "--", "true"]).expect(2);
    nothing_left(&place, &repository);
}

#[test]
fn a_task_that_is_cancelled_while_its_workspace_is_made_is_over_at_once() {
    let place = Place::new();
    let _daemon = place.single("1");
    let repository = repository(&place);
    let held = hold(&repository);
    let task = in_worktree(&place, &[], "true");
    until_true("it is being made", SOON, || !in_root(&place).is_empty());
    let other = place.submit(&["--workspace", "scratch", "--cpus", "0.5", "--", "true"]);
    place.run(&["cancel", &task]).expect(0);
    place.wait_state(&task, "cancelled");
    place.run(&["wait", &other]).expect(0);
    drop(held);
    nothing_left(&place, &repository);
}

#[test]
fn a_daemon_that_is_killed_while_it_makes_one_begins_anew() {
    let place = Place::new();
    let daemon = place.single("1");
    let repository = repository(&place);
    let held = hold(&repository);
    let task = in_worktree(&place, &[], "cat file");
    until_true("it is being made", SOON, || !in_root(&place).is_empty());
    daemon.kill();
    drop(held);
    let _daemon = place.single("1");
    place.run(&["wait", &task]).expect(0);
    assert_eq!(place.run(&["logs", &task]).expect(0).text(), "one\n");
    nothing_left(&place, &repository);
}

#[test]
fn a_task_goes_on_in_its_workspace_while_the_daemon_is_killed_which_then_looks_after_it() {
    let place = Place::new();
    let daemon = place.single("2");
    let repository = repository(&place);
    let go = place.root().join("go").display().to_string();
    let wait = format!("while [ ! -e {go} ]; do sleep 0.02; done");
    let clean = in_worktree(&place, &[], &format!("{wait}; cat file"));
    let dirty = in_worktree(&place, &[], &format!("echo two > file; {wait}"));
    place.wait_state(&clean, "running");
    place.wait_state(&dirty, "running");
    daemon.kill();
    let daemon = place.single("2");
    daemon.kill();
    place.file("go", "");
    until_true("they have ended", SOON, || place.attempts().is_empty());
    let _daemon = place.single("2");
    place.run(&["wait", &clean, &dirty]).expect(0);
    assert_eq!(place.run(&["logs", &clean]).expect(0).text(), "one\n");
    assert!(told(&place, &clean)["kept"].is_null());
    assert_eq!(told(&place, &dirty)["why"], "1 changed file");
    assert_eq!(in_root(&place).len(), 2, "the kept one and its record");
    assert_eq!(git(&repository, &["worktree", "list"]).lines().count(), 2);
}

#[test]
fn a_daemon_that_is_killed_while_it_removes_one_goes_on_with_that() {
    let place = Place::new();
    let daemon = place.single("1");
    let repository = repository(&place);
    let go = place.root().join("go").display().to_string();
    let task = in_worktree(&place, &[], &format!("while [ ! -e {go} ]; do sleep 0.02; done"));
    place.wait_state(&task, "running");
    let held = hold(&repository);
    place.file("go", "");
    until_true("its directory is gone", SOON, || in_root(&place).len() == 1);
    daemon.kill();
    drop(held);
    let _daemon = place.single("1");
    place.run(&["wait", &task]).expect(0);
    nothing_left(&place, &repository);
}

#[test]
fn a_run_without_a_daemon_leaves_unsaved_work_and_says_where() {
    let place = Place::new();
    let repository = repository(&place);
    let temporary = place.root().join("tmp");
    fs::create_dir(&temporary).expect("it is new");
    let run = |script: &str| {
        let words = ["run", "--workspace", "worktree=repo", "--", "/bin/sh", "-c", script];
        crate::support::program::run(place.crab(&words).env("TMPDIR", &temporary)).expect(0)
    };
    assert!(!run("true").err.contains("kept"));
    assert_eq!(git(&repository, &["worktree", "list"]).lines().count(), 1);
    let told = run("echo two > file").err;
    let (_, path) = told.trim().split_once("that were kept, in ").unwrap_or_else(|| panic!("{told}"));
    assert!(Path::new(path).starts_with(&temporary) && Path::new(path).is_dir(), "{told}");
    assert_eq!(git(&repository, &["worktree", "list"]).lines().count(), 2);
}

#[test]
fn what_is_kept_is_listed_and_discarded_and_unsaved_work_is_never_reclaimed() {
    let place = Place::new();
    let config = "[worker]\nworkspaces_kept_for = \"0s\"\nworkspaces_free = \"1 TiB\"\n";
    let config = place.file("crabd.toml", config).display().to_string();
    let daemon = place.daemon(&["--cpus", "1", "--name", "one", "--config", &config]);
    place.wait_nodes(1);
    let repository = repository(&place);
    let asked = place.submit(&["--workspace", "scratch", "--workspace-keep", "always", "--", "true"]);
    let unsaved = in_worktree(&place, &["--name", "work"], "echo two > file");
    place.run(&["wait", &asked, &unsaved]).expect(0);
    // The next daemon looks for what is to go as soon as it knows what runs.
    daemon.kill();
    let _daemon = place.daemon(&["--cpus", "1", "--name", "one", "--config", &config]);
    until_true("what was asked for is reclaimed", SOON, || in_root(&place).len() == 2);
    place.wait_nodes(1);
    let listed = place.run(&["workspaces", "--json"]).expect(0).json();
    assert_eq!(listed.len(), 1);
    let fields = (&listed[0]["task"], &listed[0]["node"], &listed[0]["why"], &listed[0]["unsaved"]);
    assert_eq!(fields, (&unsaved.as_str().into(), &"one".into(), &"1 changed file".into(), &true.into()));
    assert!(listed[0]["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{listed:?}");
    let text = place.run(&["workspaces"]).expect(0).text();
    assert!(text.contains(&format!("{unsaved} work")) && text.contains("1 changed file"), "{text}");
    let doctor = place.run(&["doctor"]).text();
    assert!(doctor.contains("1 workspace with unsaved work"), "{doctor}");
    place.run(&["workspaces", "--discard", &asked]).expect(4);
    place
        .run(&["workspaces", "--discard", "work", "--reason", "seen"])
        .expect(0)
        .says(&["one: 1 workspace removed"]);
    nothing_left(&place, &repository);
    let events = place.run(&["events", "--json"]).expect(0).text();
    assert!(
        events.contains(&format!("discard the workspaces of {unsaved} on one")),
        "it is recorded: {events}"
    );
}
