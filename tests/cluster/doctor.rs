//! The doctor, services, manual pages and the configuration that explains itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::support::place::{Daemon, Place};
use crate::support::program::run;
use crate::support::waiting::{SOON, until_true};

fn findings(place: &Place, args: &[&str]) -> Vec<Value> {
    place.run(&[&["doctor", "--json"], args].concat()).json()
}

fn of<'f>(findings: &'f [Value], check: &str) -> &'f Value {
    findings.iter().find(|one| one["check"] == check).unwrap_or_else(|| panic!("{check}: {findings:?}"))
}

#[test]
fn a_healthy_machine_is_found_healthy_and_what_is_wrong_is_found_with_what_to_do() {
    let place = Place::new();
    let daemon = place.single("2");
    let found = findings(&place, &[]);
    for check in
        ["daemon.answers", "scheduler.answers", "clock.skew", "fleet.node", "data.cookie", "daemon.socket"]
    {
        assert_eq!(of(&found, check)["level"], "ok", "{found:?}");
    }
    assert!(!found.iter().any(|one| one["check"] == "reach.listen"), "it listens nowhere: {found:?}");
    place.run(&["halt", "--here"]).expect(0);
    assert_eq!(of(&findings(&place, &[]), "host.halted")["next"], "`crab unhalt --here` ends it");
    place.run(&["unhalt", "--here"]).expect(0);
    let cookie = place.data().join("cookie");
    fs::set_permissions(&cookie, fs::Permissions::from_mode(0o644)).expect("it is ours");
    place.run(&["doctor"]).expect(2);
    assert_eq!(of(&findings(&place, &[]), "data.cookie")["level"], "failure");
    assert_eq!(of(&findings(&place, &["--fix"]), "data.cookie")["fixed"], true);
    assert_eq!(of(&findings(&place, &[]), "data.cookie")["level"], "ok");
    let running = place.submit(&["--", "sleep", "600"]);
    place.wait_state(&running, "running");
    daemon.kill();
    let found = findings(&place, &[]);
    assert_eq!(of(&found, "daemon.answers")["level"], "failure");
    assert_eq!(of(&found, "daemon.socket")["level"], "warning", "it was left behind: {found:?}");
    assert_eq!(of(&found, "host.daemon")["level"], "warning", "its tasks go on: {found:?}");
    let text = place.run(&["doctor", "--fix"]).expect(2).text();
    assert!(text.contains("fixed    daemon.socket"), "{text}");
    let _daemon = place.single("2");
    until_true("it goes on", SOON, || place.show(&running)["state"] == "running");
    place.run(&["cancel", &running]).expect(0);
}

#[test]
fn a_lost_machine_is_a_failure_with_what_to_do() {
    let mut fleet = super::fleet::Fleet::start(1);
    fleet.kill_worker(0);
    until_true("it is lost", SOON, || {
        let found = findings(&fleet.scheduler, &[]);
        let node = of(&found, "fleet.node");
        node["level"] == "failure"
            && node["next"].as_str().is_some_and(|next| next.contains("node remove worker0"))
    });
}

#[test]
fn a_worker_and_its_scheduler_tell_whether_they_reach_each_other() {
    let (head, address) = (Place::new(), super::fleet::free_address());
    let leads = ["--name", "head", "--no-worker", "--listen", &address];
    head.run(&["cluster", "init"]).expect(0);
    let leader = head.daemon(&leads);
    let found = findings(&head, &[]);
    let listens = of(&found, "reach.listen");
    assert!(
        listens["level"] == "ok" && listens["evidence"].as_str().is_some_and(|text| text.contains(&address))
    );
    let invited = |name: &str, role: &str| {
        let line = head.run(&["cluster", "invite", name, "--role", role]).expect(0).text();
        line.trim().to_owned()
    };
    let worker = Place::new();
    let joins = |to: &str| Daemon::spawn(&worker, &["--cpus", "2", "--join", to]);
    let member = joins(&invited("mac-2", "worker"));
    head.wait_nodes(1);
    let told = |found: &[Value], check: &str| {
        format!("{} {}", of(found, check)["level"], of(found, check)["evidence"])
    };
    assert!(told(&findings(&head, &[]), "fleet.node").contains("mac-2: up, connected since"));
    // crab itself belongs to nobody there: what it cannot ask it says.
    let found = findings(&worker, &[]);
    assert!(told(&found, "reach.scheduler").contains(&format!("head answers on {address}")), "{found:?}");
    assert!(
        told(&found, "reach.back").contains("was not asked")
            && !found.iter().any(|one| one["level"] == "failure")
    );
    worker.run(&["--address", &invited("olga", "viewer"), "nodes"]).expect(0);
    let found = findings(&worker, &[]);
    assert!(told(&found, "reach.back").starts_with("\"ok\" \"the scheduler heard mac-2"), "{found:?}");
    assert_eq!(
        (of(&found, "daemon.answers")["level"].as_str(), of(&found, "clock.skew")["level"].as_str()),
        (Some("ok"), Some("ok"))
    );
    assert!(member.stop().success());
    until_true("it is missed", SOON, || {
        told(&findings(&worker, &[]), "reach.back").starts_with("\"failure\"")
    });
    head.run(&["cluster", "revoke", "mac-2"]).expect(0);
    let found = findings(&worker, &[]);
    let lost = of(&found, "reach.scheduler");
    assert!(
        lost["level"] == "failure"
            && lost["next"].as_str().is_some_and(|next| next.contains("--role worker")),
        "{found:?}"
    );
    leader.kill();
    let found = findings(&worker, &[]);
    assert!(told(&found, "reach.scheduler").contains("cannot reach"), "{found:?}");
}

/// A systemctl that writes down what it was told.
fn pretend_systemctl(place: &Place) -> std::path::PathBuf {
    let bin = place.root().join("bin");
    fs::create_dir(&bin).expect("a directory");
    let path = bin.join("systemctl");
    let log = place.root().join("told");
    fs::write(&path, format!("#!/bin/sh\necho \"$@\" >> {}\n", log.display())).expect("it can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    bin
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_is_written_told_to_the_system_and_taken_away() {
    let place = Place::new();
    let (bin, config_home) = (pretend_systemctl(&place), place.root().join("config"));
    let service = |args: &[&str]| {
        let mut command = place.crab(&[&["service"], args].concat());
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("XDG_CONFIG_HOME", &config_home);
        run(&mut command)
    };
    let unit = config_home.join("systemd/user/crabd.service");
    service(&["status"]).expect(3);
    let shown = service(&["install", "--print"]).expect(0).text();
    assert!(!Path::new(&unit).exists(), "it was only shown");
    let data = place.data().display().to_string();
    for words in ["Type=notify", "KillMode=process", "Delegate=yes", data.as_str(), "crabd\" \"--data-dir\""]
    {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
    service(&["install"]).expect(0);
    assert_eq!(fs::read_to_string(&unit).expect("it is written"), shown);
    service(&["status"]).expect(0);
    service(&["uninstall"]).expect(0);
    assert!(!unit.exists());
    let told = fs::read_to_string(place.root().join("told")).expect("it was told");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        ["--user daemon-reload", "--user enable --now crabd.service", "--user disable --now crabd.service"]
    );
    let wrong = place.file("wrong.toml", "[limits]\nwaiting_tasks = 0\n").display().to_string();
    service(&["install", "--config", &wrong]).expect(2).says(&["limits.waiting_tasks"]);
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let place = Place::new();
    let directory = place.root().join("man");
    place.run(&["man", &directory.display().to_string()]).expect(0);
    for page in ["crab.1", "crab-run.1", "crab-node-drain.1", "crab-doctor.1"] {
        let text = fs::read_to_string(directory.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".TH"), "{page}");
    }
}

#[test]
fn the_configuration_explains_itself() {
    let place = Place::new();
    let text = place.run(&["config", "init"]).expect(0).text();
    let file = place.file("all.toml", &text).display().to_string();
    assert!(place.run(&["config", "check", &file]).expect(0).text().contains("sound, 0 keys set"));
    let schema: Value =
        serde_json::from_str(&place.run(&["config", "schema"]).expect(0).text()).expect("JSON");
    assert_eq!(schema["properties"]["metrics"]["properties"]["public"]["default"], false);
}
