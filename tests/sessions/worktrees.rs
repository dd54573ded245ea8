//! Tasks on machines behind SSH that work in worktrees of their own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::bed::Bed;
use super::nodes::{daemon, nothing_left, scheduler};
use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

/// The repository of the machine, with a commit on `main` and an older one that is tagged.
pub(super) fn repository(bed: &Bed) -> PathBuf {
    let path = bed.base().join("r");
    git(&path, &["init", "--quiet", "--initial-branch=main"]);
    for (text, tag) in [("one\n", Some("v1")), ("two\n", None)] {
        fs::write(path.join("file"), text).expect("it is writable");
        git(&path, &["add", "file"]);
        git(&path, &["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "more"]);
        tag.into_iter().for_each(|tag| drop(git(&path, &["tag", tag])));
    }
    path
}

pub(super) fn git(at: &PathBuf, words: &[&str]) -> String {
    let out = Command::new("git").arg("-C").arg(at).args(words).output().expect("there is git");
    assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// What the end of its last attempt tells of its workspace.
fn told(place: &Place, task: &str) -> serde_json::Value {
    let events = place.show(task)["events"].as_array().expect("a list").clone();
    let end = events.into_iter().rfind(|event| event["event"] == "task.attempt-ended").expect("it has ended");
    end["report"]["workspace"].clone()
}

/// No worktree is left, neither on the machine's disk nor in git.
pub(super) fn none_left(bed: &Bed, repository: &PathBuf) {
    let below = bed.home().join(".aivcs-session/w");
    until_true("worktrees are gone", SOON, || {
        fs::read_dir(&below).map_or(true, |entries| entries.count() == 0)
    });
    until_true("git has forgotten them", SOON, || {
        git(repository, &["worktree", "list"]).lines().count() == 1
    });
}

pub(super) const SPACE: &str = "worktree=/anywhere/r";

#[test]
fn tasks_work_in_worktrees_of_a_ref_at_once_and_leave_the_shared_checkout_alone() {
    let bed = Bed::new();
    let repository = repository(&bed);
    fs::write(repository.join("file"), "somebody's work\n").expect("it is writable");
    let (place, config) = scheduler(&bed, &["mac-1"], 6);
    let _daemon = daemon(&bed, &place, &config, 1);
    let script = "test \"$PWD\" = \"$CRAB_WORKSPACE\" && cat file && git checkout --quiet -b work-$CRAB_ARRAY_INDEX && echo new >file && \
                  git -c user.name=a -c user.email=a@b.c commit --quiet -a -m work";
    let task = place.submit(&[
        "--workspace",
        SPACE,
        "--commit",
        "v1",
        "--array",
        "1-6",
        "--",
        "/bin/sh",
        "-c",
        script,
    ]);
    place.run(&["wait", "g1"]).expect(0);
    assert_eq!(place.run(&["logs", &task]).expect(0).text(), "one\n");
    let end = told(&place, &task);
    assert!(end["kept"].is_null() && end["ready_in_s"].as_f64().is_some_and(|taken| taken > 0.0), "{end}");
    assert_eq!(git(&repository, &["branch", "--list", "work-*"]).lines().count(), 6);
    assert_eq!(fs::read_to_string(repository.join("file")).expect("it is there"), "somebody's work\n");
    none_left(&bed, &repository);
    nothing_left(&bed);
}

#[test]
fn unsaved_work_stays_on_the_machine_and_is_told_of_until_it_is_discarded() {
    let bed = Bed::new();
    let repository = repository(&bed);
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let first = daemon(&bed, &place, &config, 1);
    let go = bed.root().join("go");
    let script = "echo three >file; echo new >\"a b\"; until [ -e \"$1\" ]; do sleep 0.05; done";
    let waits =
        ["--workspace", SPACE, "--name", "work", "--", "/bin/sh", "-c", script, "sh", go.to_str().unwrap()];
    let task = place.submit(&waits);
    place.wait_state(&task, "running");
    // Whoever comes after this daemon knows of it.
    first.kill();
    let _second = daemon(&bed, &place, &config, 1);
    fs::write(&go, "").expect("it is writable");
    place.run(&["wait", &task]).expect(0);
    let end = told(&place, &task);
    assert_eq!(end["why"], "2 changed files", "{end}");
    let path = PathBuf::from(end["kept"].as_str().expect("a path"));
    assert!(path.starts_with(bed.home()), "{}", path.display());
    assert_eq!(fs::read_to_string(path.join("a b")).expect("it is there"), "new\n");
    let listed = place.run(&["workspaces", "--json"]).expect(0).json();
    assert_eq!(
        (&listed[0]["node"], &listed[0]["why"]),
        (&"mac-1".into(), &"2 changed files".into()),
        "{listed:?}"
    );
    assert!(listed[0]["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{listed:?}");
    place.run(&["workspaces", "--discard", "work"]).expect(0).says(&["1 workspace removed"]);
    none_left(&bed, &repository);
}

#[test]
fn a_checkout_that_nobody_waits_for_any_more_is_stopped_at_once_and_leaves_nothing() {
    let bed = Bed::new();
    let repository = repository(&bed);
    let (begun, seconds) = (bed.root().join("begun"), format!("67{}", std::process::id()));
    // It leaves its session, as nothing does that git starts.
    let filter = format!("echo >>'{}'; setsid sleep {seconds}; cat", begun.display());
    git(&repository, &["config", "filter.slow.smudge", &filter]);
    fs::write(repository.join(".git/info/attributes"), "file filter=slow\n").expect("it is writable");
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let first = daemon(&bed, &place, &config, 1);
    let hangs = || {
        until_true("it is checked out", SOON, || begun.exists());
        fs::remove_file(&begun).expect("it is there");
    };
    let gone = || {
        until_true("git has ended", SOON, || bed.processes(&format!("sleep {seconds}")).is_empty());
        none_left(&bed, &repository);
        until_true("nothing is half-made", SOON, || {
            fs::read_dir(repository.join(".git/worktrees")).map_or(true, |entries| entries.count() == 0)
        });
        assert!(!repository.join(".git/index.lock").exists());
    };
    let task = place.submit(&["--workspace", SPACE, "--", "true"]);
    hangs();
    let start = Instant::now();
    place.run(&["cancel", &task]).expect(0);
    place.wait_state(&task, "cancelled");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    gone();
    let task = place.submit(&["--workspace", SPACE, "--", "cat", "file"]);
    hangs();
    place.run(&["node", "drain", "mac-1", "--deadline", "1s"]).expect(0);
    gone();
    place.run(&["node", "uncordon", "mac-1"]).expect(0);
    hangs();
    // Nobody is there who could say so.
    first.kill();
    gone();
    git(&repository, &["config", "filter.slow.smudge", "cat"]);
    let _second = daemon(&bed, &place, &config, 1);
    place.run(&["wait", &task, "--timeout", "60s"]).expect(0);
    assert_eq!(place.run(&["logs", &task]).expect(0).text(), "two\n");
    none_left(&bed, &repository);
}

#[test]
fn what_cannot_be_made_there_ends_the_attempt_with_the_reason_and_is_never_read_by_a_shell() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let marker = bed.root().join("marker");
    let reason = |commit: &str| {
        let task = place.submit(&["--workspace", SPACE, "--commit", commit, "--", "true"]);
        place.run(&["wait", &task]).expect(1);
        let shown = place.show(&task);
        assert_eq!((&shown["outcome"]["kind"], &shown["attempts"]), (&"not-started".into(), &1.into()));
        shown["outcome"]["reason"].as_str().expect("a text").to_owned()
    };
    assert!(reason("main").ends_with("is no repository of git"), "not yet");
    let repository = repository(&bed);
    let at = repository.canonicalize().expect("it is there");
    for unknown in [
        "nosuch".to_owned(),
        format!("$(touch${{IFS}}{})", marker.display()),
        format!("`touch>{}`", marker.display()),
        "';false;'".to_owned(),
        "main^{tree}".to_owned(),
    ] {
        let said = format!("no workspace: there is no commit {unknown:?} in {} on box", at.display());
        assert_eq!(reason(&unknown), said);
    }
    for refused in ["--commit=-x", "--commit=a\nb", "--commit=a b", "--commit="] {
        let ran = place.run(&["submit", "--workspace", SPACE, refused, "--", "true"]).expect(7);
        ran.says(&["workspace.commit", "must name a commit"]);
    }
    assert!(!marker.exists());
    let elsewhere = place.run(&["submit", "--workspace", "worktree=/src/other", "--", "true"]).expect(7);
    elsewhere.says(&["label workspaces in yes,worktrees of other missing (it is worktrees of r)"]);
    none_left(&bed, &repository);
}
