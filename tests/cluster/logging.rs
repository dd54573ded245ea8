//! The log of the daemon: in both formats, put aside when it is large, louder at run time, and without secrets.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::fleet::free_address;
use crate::support::place::{Daemon, Place};
use crate::support::waiting::{SOON, until, until_true};

/// A daemon with this in its `[log]`.
fn logging(place: &Place, log: &str) -> Daemon {
    let config = place.file("crabd.toml", format!("[log]\n{log}"));
    let daemon = place.daemon(&["--cpus", "2", "--name", "one", "--config", &config.display().to_string()]);
    place.wait_nodes(1);
    daemon
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_log_as_json_tells_of_a_task_by_its_fields_and_is_louder_when_asked() {
    let place = Place::new();
    let _daemon = logging(&place, "format = \"json\"\nfile = \"logs/crabd.log\"\n");
    let log = place.data().join("logs/crabd.log");
    assert_eq!(place.run(&["log-level"]).expect(0).text(), "info,ractor=warn,sled=warn\n");
    place.run(&["run", "--", "true"]).expect(0);
    let of_tasks = |lines: &[Value]| {
        let of_task = |line: &&Value| line["target"] == "actors::task" && line["task"] == "t2";
        lines.iter().filter(of_task).cloned().collect::<Vec<_>>()
    };
    assert!(lines(&log).iter().all(|line| line["level"] != "DEBUG"));
    let louder = ["log-level", "actors::task=debug", "--reason", "t2", "--json"];
    let told = place.run(&louder).expect(0).json().remove(0);
    assert_eq!(told["levels"], "info,actors::task=debug,ractor=warn,sled=warn");
    place.run(&["run", "--", "true"]).expect(0);
    let told = until("it is logged", SOON, || {
        Some(of_tasks(&lines(&log))).filter(|told| told.iter().any(|line| line["kind"] == "AttemptEnded"))
    });
    let granted = told.iter().find(|line| line["kind"] == "Granted").expect("it was granted");
    assert_eq!((&granted["attempt"], &granted["node"]), (&1.into(), &"one".into()));
    assert!(granted["actor"].as_str().expect("it says whose").starts_with("task#"), "{granted}");
    let events = place.run(&["events", "--json", "--type", "scheduler.operated"]).expect(0).json();
    assert_eq!(
        (&events[0]["action"], &events[0]["reason"]),
        (&"log actors::task=debug".into(), &"t2".into())
    );
    place.run(&["log-level", "actors::task=lots"]).expect(2).says(&["\"lots\" is no level"]);
    place.run(&["log-level", "--node", "two", "debug"]).expect(1).says(&["it is not connected"]);
    assert!(place.ask_top("log-level warn node=one").text().contains("warn,"), "by the other door as well");
    assert!(place.run(&["log-level", "--node", "one"]).expect(0).text().starts_with("warn,"));
}

#[test]
fn a_large_log_is_put_aside_and_so_many_are_kept() {
    let place = Place::new();
    let _daemon =
        logging(&place, "level = \"trace\"\nfile = \"logs/crabd.log\"\nfile_size = \"64 KiB\"\nfiles = 2\n");
    let logs = place.data().join("logs");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(&logs).expect("it is there").flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    until_true("the log was put aside twice", SOON, || {
        place.run(&["run", "--array", "1-50", "--", "true"]).expect(0);
        names() == ["crabd.log", "crabd.log.1", "crabd.log.2"]
    });
    for name in names() {
        assert!(fs::metadata(logs.join(name)).expect("it is there").len() <= 64 << 10);
    }
}

#[test]
fn what_the_log_is_to_be_is_checked() {
    let place = Place::new();
    let check = |text: &str| {
        let file = place.file("wrong.toml", text).display().to_string();
        place.run(&["config", "check", &file]).expect(2)
    };
    check("[log]\nlevel = \"loud\"\n").says(&["log.level = \"loud\" must be LEVEL or TARGET=LEVEL"]);
    check("[log]\nfile_size = \"1 KiB\"\n").says(&["log.file_size", "at least 64 KiB"]);
    check("[log]\nformat = \"xml\"\n").says(&["human"]);
}

/// Every file below a directory.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

#[test]
fn no_secret_is_logged_at_any_level_by_anybody() {
    const SECRET: &str = "s3cr3t-0f-th3-t4sk";
    const PASSED: &str = "s3cr3t-0f-th3-m4ch1n3";
    let (place, address) = (Place::new(), free_address());
    let worker = "[worker]\npass_env = [\"API_KEY\"]\n";
    let config =
        place.file("leads.toml", format!("[log]\nlevel = \"trace\"\nfile = \"leads.log\"\n{worker}"));
    let mut leads = place.crabd(&["--cpus", "1", "--name", "leads", "--listen", &address]);
    leads.arg("--config").arg(&config).env("API_KEY", PASSED);
    let _leads = Daemon::of(&mut leads, &place);
    place.wait_nodes(1);
    let other = Place::new();
    fs::create_dir_all(other.data()).expect("it can be made");
    fs::copy(place.data().join("cookie"), other.data().join("cookie")).expect("it is there");
    let config =
        other.file("joins.toml", format!("[log]\nlevel = \"trace\"\nfile = \"joins.log\"\n{worker}"));
    let mut joins = other.crabd(&["--cpus", "1", "--name", "joins", "--join", &address]);
    joins.arg("--config").arg(&config).env("API_KEY", PASSED);
    let _joins = Daemon::of(&mut joins, &other);
    place.wait_nodes(2);
    let seen = "[ \"$TOKEN\" = \"$1\" ] && [ \"$API_KEY\" = \"$2\" ] && [ \"$CRAB_ATTEMPT\" = 2 ]";
    let graph = place.file(
        "secret.toml",
        format!(
            "[defaults]\nenv = {{ TOKEN = \"{SECRET}\" }}\nretry = {{ attempts = 2, backoff = \"10ms\" }}\n\
             [task.here]\ncommand = ['sh', '-c', '{seen}', 'sh', '{SECRET}', '{PASSED}']\nnode = \"leads\"\n\
             [task.there]\ncommand = ['sh', '-c', '{seen}', 'sh', '{SECRET}', '{PASSED}']\nnode = \"joins\"\n"
        ),
    );
    place.run(&["run", &graph.display().to_string()]).expect(0);
    place.run(&["show", "t1", "--json"]).expect(0);
    place.run(&["explain", "here"]).expect(0);
    place.ask_top("ps").expect(0);
    place.ask_top("state worker/joins@joins").expect(0);
    place.run(&["submit", "--env", &format!("NAME={SECRET}"), "--cpus", "99", "--", "true"]);
    let cookie = fs::read_to_string(place.data().join("cookie")).expect("it is there");
    let mut logs = vec![place.root().join("crabd.log"), other.root().join("crabd.log")];
    for data in [place.data(), other.data()] {
        files(&data, &mut logs);
    }
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    let loud = logs.iter().filter(|path| fs::metadata(path).is_ok_and(|log| log.len() > 10_000)).count();
    assert!(loud >= 2, "both daemons say what they do: {logs:?}");
    for path in logs {
        let text = String::from_utf8_lossy(&fs::read(&path).expect("it can be read")).into_owned();
        for secret in [SECRET, PASSED, cookie.trim()] {
            assert!(!text.contains(secret), "{} tells {secret}", path.display());
        }
    }
}
