//! What tasks leave on machines behind SSH: kept here, whatever is cut or killed in between.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::bed::Bed;
use super::nodes::{daemon, nothing_left, scheduler};
use super::worktrees::{SPACE, git, none_left, repository};
use crate::support::place::Place;
use crate::support::program::write;
use crate::support::waiting::{SOON, until_true};

/// Where what was left on a node is kept.
fn depot(place: &Place, node: &str) -> PathBuf {
    place.data().join("ssh").join(node).join("artifacts")
}

/// What is kept of the attempt that ended last on a node: by path, what is in it and its bits; and what is said of the rest.
fn kept(place: &Place, node: &str) -> (BTreeMap<String, (Vec<u8>, u64)>, String) {
    let entries = fs::read_dir(depot(place, node)).expect("it is there").flatten();
    let number = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse::<u64>().ok();
    let last = entries.filter_map(|entry| number(&entry)).max().expect("something is kept");
    let at = depot(place, node).join(last.to_string());
    let text = fs::read_to_string(at.join("manifest")).expect("it is there");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let one = |kept: &serde_json::Value| {
        let bytes = fs::read(at.join(kept["number"].to_string())).expect("it is there");
        (kept["path"].as_str().expect("a text").to_owned(), (bytes, kept["mode"].as_u64().expect("a number")))
    };
    (manifest["kept"].as_array().expect("a list").iter().map(one).collect(), text)
}

/// How the end of a task's last attempt tells of it.
fn told(place: &Place, task: &str) -> serde_json::Value {
    let events = place.show(task)["events"].as_array().expect("a list").clone();
    let end = events.into_iter().rfind(|event| event["event"] == "task.attempt-ended").expect("it has ended");
    end["report"]["artifacts"].clone()
}

/// Nothing is left of the way there.
fn nothing_unfinished(place: &Place, node: &str) {
    let names: Vec<_> = fs::read_dir(depot(place, node)).expect("it is there").flatten().collect();
    let odd = names.iter().find(|entry| entry.path().extension().is_some());
    assert!(odd.is_none(), "{odd:?}");
    assert_eq!(fs::read_dir(depot(place, node).join("wanted")).expect("it is there").count(), 0);
}

#[test]
fn what_tasks_leave_on_two_machines_is_kept_after_success_and_failure() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1", "mac-2"], 2);
    let text = fs::read_to_string(&config).expect("it is there");
    place.file("crabd.toml", format!("[artifacts]\nsize_per_attempt = \"1 MiB\"\n{text}"));
    let _daemon = daemon(&bed, &place, &config, 2);
    write(&bed.root().join("secret"), "hidden");
    let script = "mkdir \"$CRAB_NODE\" && cd \"$CRAB_NODE\" && printf %s \"$CRAB_NODE\" >\"$1\" && printf run >-rf && chmod 750 ./-rf &&
        ln -s ../../../../../../secret link && mkfifo pipe && head -c 2000000 /dev/zero >large; exit \"$2\"";
    for (node, evil, code) in [("mac-1", "it's $(id) \"x\"", "0"), ("mac-2", "`id`;*", "3")] {
        let patterns = ["--artifact", &format!("log:{node}/*"), "--artifact", "absent"];
        let argv = ["--node", node, "--", "sh", "-c", script, "sh", evil, code];
        let task = place.submit(&[&patterns[..], &argv].concat());
        place.wait_state(&task, if code == "0" { "succeeded" } else { "failed" });
        let (files, text) = kept(&place, node);
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, [format!("{node}/-rf"), format!("{node}/{evil}")]);
        assert_eq!(files[&format!("{node}/{evil}")], (node.as_bytes().to_vec(), 0o600));
        assert_eq!(files[&format!("{node}/-rf")], (b"run".to_vec(), 0o750));
        for said in ["NothingThere", "Link", "Special", "TooLarge"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        let told = told(&place, &task);
        assert_eq!((&told["files"], &told["left_out"], &told["fault"]), (&2.into(), &4.into(), &().into()));
        nothing_unfinished(&place, node);
        // As from any machine.
        let into = place.root().join(format!("got-{node}"));
        place.run(&["artifacts", "get", &task, "--into", &into.display().to_string()]).expect(0);
        assert_eq!(fs::read_to_string(into.join(node).join(evil)).expect("it is there"), node);
        place.run(&["artifacts", &task]).expect(0).tells("log").says(&["symbolic link", "large"]);
    }
    nothing_left(&bed);
}

#[test]
fn what_is_left_in_a_worktree_is_kept_before_that_goes() {
    let bed = Bed::new();
    let repository = repository(&bed);
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let script = "mkdir out && echo one >out/a.log && echo \"$PWD\"";
    let space = ["--workspace", SPACE, "--workspace-keep", "never"];
    let task = place.submit(&[&space[..], &["--artifact", "out/*", "--", "sh", "-c", script]].concat());
    place.wait_state(&task, "succeeded");
    assert_eq!(kept(&place, "mac-1").0["out/a.log"].0, b"one\n");
    none_left(&bed, &repository);
    assert!(!repository.join("out").exists());
    fs::create_dir(repository.join("sub")).expect("it can be made");
    write(&repository.join("sub/file"), "");
    git(&repository, &["add", "sub"]);
    git(&repository, &["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "more"]);
    let file = place.file(
        "sub.toml",
        "[task.a]\ncommand = [\"sh\", \"-c\", \"echo two >b; exit 4\"]\ndirectory = \"sub\"\nartifacts = [\"b\"]\n\
         workspace = { worktree = \"/anywhere/r\" }\nworkspace_keep = \"never\"\n",
    );
    place.run(&["submit", &file.display().to_string()]).expect(0);
    place.run(&["wait", "g2", "--timeout", "30s"]).expect(1);
    assert_eq!(kept(&place, "mac-1").0["b"].0, b"two\n");
    none_left(&bed, &repository);
    nothing_left(&bed);
}

/// Leaves two hundred files of a mebibyte each.
const MANY: &str = "mkdir out; n=100; while [ $n -lt 300 ]; do n=$((n + 1)); head -c 1048576 /dev/zero | tr '\\000' \"$(printf %.1s $n)\" >out/$n; done";

fn many_are_kept(place: &Place, node: &str) {
    let (files, text) = kept(place, node);
    assert_eq!(files.len(), 200, "{text}");
    for (path, (bytes, _)) in files {
        let wanted = path.as_bytes()["out/".len()];
        assert!(bytes.len() == 1 << 20 && bytes.iter().all(|byte| *byte == wanted), "{path}");
    }
    nothing_unfinished(place, node);
}

/// Waits until the first of many has come.
fn first_is_here(place: &Place, node: &str) {
    until_true("the first is here", SOON, || {
        let entries = fs::read_dir(depot(place, node)).ok().into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().join("out/101").exists())
    });
}

#[test]
fn a_daemon_that_is_killed_while_the_task_runs_or_while_it_fetches_keeps_all_of_it() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let first = daemon(&bed, &place, &config, 1);
    let go = bed.root().join("go");
    let script = format!("until [ -e \"$1\" ]; do sleep 0.05; done; {MANY}; exit 3");
    let task = place.submit(&["--artifact", "out/*", "--", "sh", "-c", &script, "sh", go.to_str().unwrap()]);
    place.wait_state(&task, "running");
    first.kill();
    let second = daemon(&bed, &place, &config, 1);
    write(&go, "");
    first_is_here(&place, "mac-1");
    second.kill();
    let _third = daemon(&bed, &place, &config, 1);
    let shown = place.wait_state(&task, "failed");
    assert_eq!((&shown["outcome"]["exit_code"], &shown["attempts"]), (&3.into(), &1.into()), "{shown}");
    many_are_kept(&place, "mac-1");
    nothing_left(&bed);
}

#[test]
fn a_machine_that_is_away_while_it_is_fetched_from_is_waited_for() {
    let mut bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let task = place.submit(&["--artifact", "out/*", "--", "sh", "-c", MANY]);
    first_is_here(&place, "mac-1");
    bed.stop_sshd();
    bed.cut();
    bed.start_sshd();
    place.wait_state(&task, "succeeded");
    many_are_kept(&place, "mac-1");
    let away = place.submit(&["--artifact", "out/*", "--", "sh", "-c", &format!("rm -r out; {MANY}")]);
    first_is_here(&place, "mac-1");
    bed.stop_sshd();
    bed.cut();
    // For good: what is here is kept, and the task has succeeded all the same.
    until_true("it is given up", Duration::from_mins(1), || place.show(&away)["state"] == "succeeded");
    let (files, text) = kept(&place, "mac-1");
    assert!(!files.is_empty() && files.len() < 200, "{}", files.len());
    assert!(files.values().all(|(bytes, _)| bytes.len() == 1 << 20));
    assert!(text.contains("cannot fetch all files") && text.contains("it has not been fetched"), "{text}");
    assert!(told(&place, &away)["fault"].as_str().is_some_and(|fault| fault.contains("cannot reach")));
    bed.start_sshd();
}

#[test]
fn a_daemon_that_is_told_to_stop_does_not_wait_for_what_it_fetches() {
    let mut bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let first = daemon(&bed, &place, &config, 1);
    let task = place.submit(&["--artifact", "out/*", "--", "sh", "-c", MANY]);
    first_is_here(&place, "mac-1");
    bed.stop_sshd();
    bed.cut();
    let start = Instant::now();
    assert!(first.stop().success());
    // Sooner than the machine is given up.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    bed.start_sshd();
    let _second = daemon(&bed, &place, &config, 1);
    place.wait_state(&task, "succeeded");
    many_are_kept(&place, "mac-1");
}

#[test]
fn what_is_cancelled_is_not_fetched_and_what_has_had_its_time_is() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let script = "mkdir -p out; echo left >out/a; echo begun; exec sleep 900";
    let argv = ["--artifact", "out/*", "--grace", "200ms", "--", "sh", "-c", script];
    let task = place.submit(&argv);
    until_true("it has begun", SOON, || place.run(&["logs", &task]).text().contains("begun"));
    let start = Instant::now();
    place.run(&["cancel", &task]).expect(0);
    place.wait_state(&task, "cancelled");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let (files, text) = kept(&place, "mac-1");
    assert!(files.is_empty() && text.contains("after a cancellation"), "{text}");
    let task = place.submit(&[&["--timeout", "1s"], &argv[..]].concat());
    place.wait_state(&task, "failed");
    assert_eq!(kept(&place, "mac-1").0["out/a"].0, b"left\n");
    nothing_left(&bed);
}
