//! Which session is which: made once, found again, never somebody else's.

use std::fs;
use std::os::unix::fs::symlink;

use super::bed::Bed;
use crate::support::waiting::{SOON, until_true};

const AGENT: [&str; 2] = ["--role", "agent"];

fn attach<'a>(repo: &'a str, work: &'a str) -> Vec<&'a str> {
    [&["attach", "--json", "--repo", repo, "--work", work][..], &AGENT].concat()
}

#[test]
fn a_session_is_made_once_and_found_again_with_dots_in_its_name() {
    let bed = Bed::new();
    assert!(bed.list().is_empty(), "no server is no session");
    bed.repository("site.v1.2");
    let made = bed.run(&attach("site.v1.2", "Fix #7")).expect(0).json();
    assert_eq!(
        (&made[0]["made"], &made[0]["name"]),
        (&true.into(), &"aivcs__site.v1.2__fix__7__agent".into())
    );
    let again = bed.run(&attach("site.v1.2", "Fix #7")).expect(0).json();
    assert_eq!(again[0]["made"], false);
    let list = bed.list();
    assert_eq!(list.len(), 1);
    assert_eq!((&list[0]["repo"], &list[0]["work"]), (&"site.v1.2".into(), &"Fix #7".into()));
    let text = bed.run(&["list"]).expect(0).text();
    assert!(
        text.contains("aivcs__site.v1.2__fix__7__agent  created 0s ago  open")
            || text.contains("created 1s ago"),
        "{text}"
    );
    bed.run(&["kill", "--session", "aivcs__site.v1.2__fix__7__agent"]).expect(0);
    assert!(bed.list().is_empty());
}

#[test]
fn twenty_identical_calls_make_one_session() {
    let bed = Bed::new();
    let calls: Vec<_> = (0..20).map(|_| bed.start(&attach("r", "w"))).collect();
    let made = calls.into_iter().map(|call| call.end().expect(0).json().remove(0));
    assert_eq!(made.filter(|told| told["made"] == true).count(), 1);
    assert_eq!(bed.names(), ["aivcs__r__w__agent"]);
    assert_eq!(bed.list()[0]["panes"], 1);
}

#[test]
fn names_that_meet_are_found_out_and_nobody_is_let_in() {
    let bed = Bed::new();
    bed.repository("a b");
    bed.repository("a_b");
    bed.run(&attach("a b", "w")).expect(0);
    bed.run(&attach("a_b", "w")).expect(5).says(&["belongs to repo", "a b"]);
    bed.run(&attach("a b", "W")).expect(5);
    bed.run(&["kill", "--purge", "--session", "aivcs__a_b__w__agent"]).expect(0);
    bed.run(&attach("a_b", "w")).expect(0);
}

#[test]
fn a_directory_must_be_there_and_within_its_base() {
    let bed = Bed::new();
    let missing = format!("repository directory not found on box (checked: {}/nope)", bed.base().display());
    bed.run(&attach("nope", "w")).expect(4).says(&[&missing]);
    symlink("/tmp", bed.base().join("out")).expect("a link");
    bed.run(&attach("out", "w")).expect(4).says(&["link to outside its base"]);
    symlink(bed.base().join("r"), bed.base().join("same")).expect("a link");
    bed.run(&attach("same", "w")).expect(0);
    bed.run(&attach("bad/name", "w")).expect(2).says(&["bad/name", "(forbids /)"]);
    bed.run(&["attach", "--repo", "bad/name", "--work", "w", "--role", "agent"])
        .expect(2)
        .says(&["invalid repo name \"bad/name\" (forbids /)"]);
    bed.run(&["attach", "--repo", "r", "--work", "w", "--role", "x"])
        .expect(2)
        .says(&["invalid role \"x\" (must be agent, runner, human)"]);
    assert_eq!(bed.names(), ["aivcs__same__w__agent"]);
}

#[test]
fn what_is_not_ours_is_neither_listed_nor_touched() {
    let bed = Bed::new();
    bed.run(&attach("r", "w")).expect(0);
    bed.tmux(&["new-session", "-d", "-s", "work"]).expect(0);
    bed.tmux(&["new-session", "-d", "-s", "aivcs__r__wx__agent"]).expect(0);
    assert_eq!(bed.names(), ["aivcs__r__w__agent"]);
    bed.run(&["kill", "--session", "aivcs__r__wx__agent"]).expect(4);
    bed.run(&["kill", "--session", "work"]).expect(2);
    bed.run(&["kill", "--session", "aivcs__r__w__agent"]).expect(0);
    bed.run(&["prune", "--older-than", "0"]).expect(0);
    assert_eq!(bed.tmux(&["list-sessions", "-F", "#{session_name}"]).expect(0).text().lines().count(), 2);
}

#[test]
fn a_name_that_begins_as_anothers_is_not_the_others() {
    let bed = Bed::new();
    for work in ["a", "a-b", "a.b", "a_b2"] {
        bed.run(&attach("r", work)).expect(0);
    }
    bed.run(&["kill", "--session", "aivcs__r__a__agent"]).expect(0);
    assert_eq!(bed.names(), ["aivcs__r__a-b__agent", "aivcs__r__a.b__agent", "aivcs__r__a_b2__agent"]);
    bed.run(&["kill", "--session", "aivcs__r__a__agent"]).expect(0);
    assert_eq!(bed.names().len(), 3);
}

#[test]
fn an_unknown_host_key_and_a_hostile_host_are_refused() {
    let bed = Bed::new();
    let strange = bed.ssh_config("strange_config", "no_hosts");
    let ran = crate::support::program::run(bed.there(&["list"]).env("AIVCS_SSH_CONFIG", &strange));
    ran.expect(6).says(&["cannot reach box"]);
    let marker = bed.root().join("marker");
    let option = format!("-oProxyCommand=touch {}", marker.display());
    bed.run(&["--host", &option, "list"]).expect(2);
    crate::support::program::run(&mut bed.here(&["--host=-oProxyCommand=x", "list"]))
        .expect(2)
        .says(&["invalid host"]);
    assert!(!marker.exists());
}

#[test]
fn a_dry_run_shows_what_would_run_and_runs_nothing() {
    let bed = Bed::new();
    let shown = bed.run(&[
        "--dry-run",
        "exec",
        "--repo",
        "r",
        "--work",
        "it's",
        "--role",
        "runner",
        "--",
        "echo",
        "$(id)",
    ]);
    let text = shown.expect(0).text();
    for part in ["ssh -F ", "StrictHostKeyChecking=yes", "-- box 'exec /bin/sh -s'", "claim_attempt", "$(id)"]
    {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(!bed.home().join(".aivcs-session").exists() && !bed.root().join("here/.aivcs-session").exists());
    // What it shows can be pasted.
    let run = crate::support::program::run(
        std::process::Command::new("/bin/sh").args(["-c", &text]).current_dir(bed.root()),
    );
    assert!(run.expect(0).text().ends_with("end\n"));
    assert!(bed.session("aivcs__r__it_s__runner").join("identity").exists());
}

#[test]
fn a_terminal_is_attached_and_seen() {
    let bed = Bed::new();
    let program = env!("CARGO_BIN_EXE_aivcs-session");
    let (config, home) = (bed.root().join("ssh_config"), bed.root().join("here"));
    let line = format!(
        "HOME={} {program} --host box --ssh-config {} attach --repo r --work w --role human",
        home.display(),
        config.display()
    );
    // Another tmux is the terminal.
    let screen = |args: &[&str]| {
        let mut command = std::process::Command::new("tmux");
        command.env("TMUX_TMPDIR", bed.root()).env_remove("TMUX").args(["-L", "screen", "-f", "/dev/null"]);
        crate::support::program::run(command.args(args))
    };
    screen(&["new-session", "-d", "-x", "100", "-y", "30", &line]).expect(0);
    until_true("somebody is attached", SOON, || {
        bed.list().first().is_some_and(|row| row["attached"] == 1 && row["role"] == "human")
    });
    let kept = bed.run(&["prune", "--json", "--older-than", "0", "--role", "human"]).expect(0).json();
    assert_eq!((&kept[0]["ended"], &kept[0]["kept"]), (&false.into(), &"attached".into()));
    screen(&["kill-server"]);
    until_true("nobody is attached", SOON, || bed.list()[0]["attached"] == 0);
    fs::remove_file(bed.root().join("ssh_config")).expect("it was there");
}
