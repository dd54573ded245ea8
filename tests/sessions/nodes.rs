//! Machines behind SSH as nodes of a scheduler: what runs there, how often, and what is left of it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::bed::Bed;
use crate::support::place::{Daemon, Place};
use crate::support::program::run;
use crate::support::waiting::{SOON, until_true};

/// A scheduler without a worker here, and these machines of one bed as its nodes.
pub(super) fn scheduler(bed: &Bed, nodes: &[&str], cpus: u64) -> (Place, String) {
    let place = Place::new();
    let config = bed.root().join("ssh_config").display().to_string();
    let node = |name: &&str| {
        format!(
            "[ssh_nodes.{name}]\nhost = \"box\"\nrepo = \"r\"\nssh_config = \"{config}\"\ncpus = {cpus}\nsteer = true\n"
        )
    };
    let nodes: String = nodes.iter().map(node).collect();
    let file = place.file("crabd.toml", format!("[lease]\nttl = \"15s\"\n{LOOKED_AFTER}{nodes}"));
    (place, file.display().to_string())
}

/// Often enough for a test to see it.
const LOOKED_AFTER: &str = "[strain]\ncalm = \"1s\"\n[remote_execution]\nhealth_check_every = \"1s\"\n\
    unhealthy_after = 2\nprune_after = \"2s\"\n";

pub(super) fn daemon(bed: &Bed, place: &Place, config: &str, nodes: usize) -> Daemon {
    let mut command = place.crabd(&["--no-worker", "--name", "head", "--config", config]);
    // Its connections are of the bed, so that they can be cut.
    command.env("HOME", bed.root().join("here"));
    let daemon = Daemon::of(&mut command, place);
    place.wait_ready();
    place.wait_nodes(nodes);
    daemon
}

/// Nothing of any session is left on the machine, files among it.
pub(super) fn nothing_left(bed: &Bed) {
    until_true("no session is left", SOON, || bed.list().is_empty());
    until_true("no files of sessions are left", SOON, || {
        fs::read_dir(bed.home().join(".aivcs-session/s")).is_ok_and(|entries| entries.count() == 0)
    });
}

#[test]
fn a_task_runs_in_a_session_and_its_output_and_status_come_back() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let script = "echo \"$CRAB_NODE $GREETING\"; pwd; echo bad >&2; exit 3";
    let task = place.submit(&["--env", "GREETING=it's $(id)", "--", "sh", "-c", script]);
    let shown = place.wait_state(&task, "failed");
    assert_eq!(
        shown["node"].as_str().or_else(|| shown["attempts"][0]["node"].as_str()),
        Some("mac-1"),
        "{shown}"
    );
    let logs = place.run(&["logs", &task]).expect(0);
    let repository = bed.base().join("r").canonicalize().expect("it is there");
    let (text, said) = (logs.text(), format!("mac-1 it's $(id)\n{}\n", repository.display()));
    assert!(text.contains(&said) && text.contains("bad\n"), "{text}");
    nothing_left(&bed);
}

#[test]
fn cancelling_ends_everything_there() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let seconds = format!("7654{}", std::process::id());
    let script = "(setsid sh -c 'trap \"\" TERM HUP; sleep \"$0\"; :' \"$1\" &) ; sleep \"$1\"";
    let task = place.submit(&["--grace", "200ms", "--", "sh", "-c", script, "sh", &seconds]);
    let family = format!("sleep {seconds}");
    until_true("both sleep", SOON, || bed.processes(&family).len() >= 2);
    place.run(&["cancel", &format!("t{}", task.trim_start_matches('t'))]).expect(0);
    place.wait_state(&task, "cancelled");
    assert!(bed.processes(&family).is_empty());
    nothing_left(&bed);
}

#[test]
fn a_killed_exec_is_the_end_of_what_it_followed() {
    let bed = Bed::new();
    let seconds = format!("6543{}", std::process::id());
    let argv =
        ["exec", "--repo", "r", "--work", "w", "--role", "runner", "--tied", "2s", "--", "sleep", &seconds];
    let running = bed.start(&argv);
    until_true("it sleeps", SOON, || bed.processes(&format!("sleep {seconds}")).len() == 2);
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.end();
    until_true("nothing of it is left", SOON, || bed.processes(&format!("sleep {seconds}")).is_empty());
    until_true("its session has ended", SOON, || bed.list().is_empty());
    let running = bed.start(&argv);
    until_true("it sleeps", SOON, || bed.processes(&format!("sleep {seconds}")).len() == 2);
    running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.end().code, Some(143));
    assert!(bed.processes(&format!("sleep {seconds}")).is_empty() && bed.list().is_empty());
}

#[test]
fn two_hundred_tasks_over_two_nodes_outlive_the_daemon() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1", "mac-2"], 4);
    let first = daemon(&bed, &place, &config, 2);
    let ran = bed.root().join("ran").display().to_string();
    let script = "echo \"$CRAB_TASK $CRAB_ATTEMPT $CRAB_NODE\" >>\"$1\"; sleep 0.3; echo done";
    let argv = ["--json", "submit", "--array", "1-200", "--", "sh", "-c", script, "sh", &ran];
    place.run(&argv).expect(0);
    let lines = || fs::read_to_string(&ran).unwrap_or_default().lines().count();
    until_true("some have run", SOON, || lines() >= 20);
    first.kill();
    let _second = daemon(&bed, &place, &config, 2);
    until_true("all have ended", Duration::from_mins(8), || {
        place.run(&["wait", "g1", "--timeout", "20s"]).code == Some(0)
    });
    let text = fs::read_to_string(&ran).expect("they ran");
    let mut runs: BTreeMap<&str, u32> = BTreeMap::new();
    text.lines().for_each(|line| *runs.entry(line.split(' ').next().expect("a task")).or_default() += 1);
    assert_eq!(runs.len(), 200, "none is lost");
    let twice: Vec<_> = runs.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "none is doubled: {twice:?}");
    assert!(text.contains(" mac-1\n") && text.contains(" mac-2\n"));
    nothing_left(&bed);
}

#[test]
fn a_task_is_watched_steered_and_left_in_its_session() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let go = |argv: &[&str]| {
        let mut command = place.crab(argv);
        command.env("HOME", bed.root().join("here"));
        run(&mut command)
    };
    let script = "read -r first; read -r second; echo \"heard $first, $second\"";
    let task = place.submit(&["--", "sh", "-c", script]);
    until_true("it runs there", SOON, || {
        bed.list().first().is_some_and(|session| session["attempt"]["state"] == "running")
    });
    place.wait_state(&task, "running");
    let name = go(&["attach", &task]).expect(0).text();
    let seen = go(&["sessions", "--json"]).expect(0).json().remove(0);
    assert_eq!((&seen["node"], &seen["session"]), (&"mac-1".into(), &name.trim_end().into()));
    assert_eq!(
        (&seen["task"], &seen["ghost"]),
        (&format!("t{}", task.trim_start_matches('t')).into(), &false.into())
    );
    assert_eq!(bed.names(), [name.trim_end()], "without a terminal it only says where it would attach");
    go(&["steer", &task, "$(id) 'x'"]).expect(0);
    go(&["steer", &task, "--", "-v"]).expect(0);
    place.wait_state(&task, "succeeded");
    let logs = place.run(&["logs", &task]).expect(0).text();
    assert!(logs.contains("heard $(id) 'x', -v\n"), "{logs}");
    let refused = go(&["steer", &task, "too late"]).expect(1);
    assert!(refused.err.contains("does not run"), "{}", refused.err);
    go(&["attach", "t999"]).expect(4);
    let refused = go(&["shell", "elsewhere"]).expect(1);
    assert!(refused.err.contains("ssh_nodes"), "{}", refused.err);
    // As one that its own part has been kept from ending.
    let ghost = name.trim_end().split("__").nth(2).expect("a work");
    bed.run(&["exec", "--repo", "r", "--work", ghost, "--role", "runner", "--detach", "--", "sleep", "900"])
        .expect(0);
    let seen = go(&["sessions"]).expect(0).text();
    assert!(seen.contains("which has ended"), "{seen}");
    let ghosts = || {
        let lints = run(place.top(&["--json", "-e", "lints"]).env("HOME", bed.root().join("here"))).json();
        lints.into_iter().filter(|lint| lint["lint"] == "ghost-session").collect::<Vec<_>>()
    };
    let told = ghosts();
    assert_eq!((told.len(), &told[0]["fix"]), (1, &"crab sessions mac-1 --prune".into()), "{told:?}");
    go(&["sessions", "mac-1", "--prune"]).expect(0);
    assert!(ghosts().is_empty(), "it is not there any more");
    nothing_left(&bed);
    let name = go(&["shell", "mac-1"]).expect(0).text();
    assert_eq!(name, "aivcs__r__shell__human\n");
    bed.run(&["kill", "--purge", "--session", name.trim_end()]).expect(0);
    nothing_left(&bed);
}

#[test]
fn a_task_there_reports_and_hears_signals_as_everywhere() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let script = "trap 'echo heard >&2; exit 5' USR1; \
                  echo '{\"progress\": 0.5, \"doing\": \"waiting\", \"cost\": 7}' >>\"$CRAB_REPORT\"; \
                  echo ready; while :; do sleep 0.1; done";
    let task = place.submit(&["--", "sh", "-c", script]);
    place.wait_state(&task, "running");
    // Before it has begun there, it is handed on later.
    until_true("it has said how far it is", SOON, || {
        place.run(&["show", &task]).expect(0).text().contains("50% waiting")
    });
    place.run(&["signal", &task, "USR1"]).expect(0);
    place.wait_state(&task, "failed");
    let shown = place.show(&task);
    assert_eq!(shown["outcome"]["exit_code"], 5, "{shown}");
    let events = shown["events"].as_array().expect("a list");
    let end = events.iter().rfind(|event| event["event"] == "task.attempt-ended").expect("it has ended");
    assert_eq!(end["report"]["cost"], 7, "{end}");
    let logs = place.run(&["logs", &task]).expect(0).text();
    assert!(logs.contains("heard") && !logs.contains("connecting again"), "{logs}");
    let result = "echo '{\"result\": {\"branch\": \"fix-7\"}}' >>\"$CRAB_REPORT\"";
    let task = place.submit(&["--", "sh", "-c", result]);
    place.wait_state(&task, "succeeded");
    let text = place.run(&["show", &task]).expect(0).text();
    assert!(text.contains("fix-7"), "{text}");
    nothing_left(&bed);
}

#[test]
fn attempts_go_over_the_daemons_connection_and_go_on_without_it() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let connections = || {
        fs::read_to_string(bed.root().join("sshd.log"))
            .expect("it is there")
            .matches("Accepted publickey")
            .count()
    };
    let sockets = bed.root().join("here/.aivcs-session/m");
    // While it is made its name has a suffix.
    let is_made = |name: std::ffi::OsString| !name.to_string_lossy().contains('.');
    until_true("the daemon has looked", SOON, || {
        fs::read_dir(&sockets).is_ok_and(|found| found.flatten().any(|one| is_made(one.file_name())))
    });
    for _ in 0..3 {
        place.run(&["submit", "--wait", "--", "echo", "hi"]).expect(0);
    }
    assert_eq!(connections(), 1);
    let go = bed.root().join("go").display().to_string();
    let script = "echo before; until [ -e \"$1\" ]; do sleep 0.05; done; echo behind; exit 3";
    let task = place.submit(&["--", "sh", "-c", script, "sh", &go]);
    until_true("it has begun", SOON, || place.run(&["logs", &task]).text().contains("before"));
    bed.cut();
    fs::write(&go, "").expect("it is writable");
    assert_eq!(place.wait_state(&task, "failed")["attempts"], 1);
    let logs = place.run(&["logs", &task]).expect(0).text();
    assert!(logs.matches("before").count() == 1 && logs.matches("behind").count() == 1, "{logs}");
    nothing_left(&bed);
}

#[test]
fn nothing_is_sent_to_a_machine_that_does_not_answer_and_it_says_why() {
    let mut bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let strain = || {
        let node = place.run(&["nodes", "--json"]).expect(0).json().remove(0);
        format!("{} {}", node["strain"], node["strain_reason"])
    };
    until_true("it has been heard", SOON, || strain().starts_with("\"normal\""));
    bed.stop_sshd();
    bed.cut();
    until_true("it is missed", SOON, || strain().starts_with("\"critical\""));
    assert!(strain().contains("has not answered"), "{}", strain());
    let file = place.file("here.toml", "[task.a]\ncommand = [\"true\"]\nlocation = \"box\"\n");
    let task = place.run(&["submit", "--json", &file.display().to_string()]).expect(0);
    let why = place.run(&["explain", "t1"]).expect(0).text();
    assert!(why.contains("has not answered"), "{why}");
    bed.start_sshd();
    place.run(&["wait", "g1", "--timeout", "30s"]).expect(0);
    let shown = place.run(&["show", "t1", "--json"]).expect(0).json().remove(0);
    assert_eq!(shown["attempts"], 1, "{shown} {}", task.text());
    nothing_left(&bed);
}

#[test]
fn what_is_said_of_all_such_machines_holds_and_changes_with_the_file() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let text = fs::read_to_string(&config).expect("it is there");
    let text = text
        .replace("host = \"box\"\n", "")
        .replace("[remote_execution]\n", "[remote_execution]\nhost = \"box\"\n");
    let said = |more: &str| {
        place.file("crabd.toml", text.replace("[remote_execution]\n", &format!("[remote_execution]\n{more}")))
    };
    said("session_setup_timeout = \"20s\"\n");
    let daemon = daemon(&bed, &place, &config, 1);
    let task = place.submit(&["--", "true"]);
    place.wait_state(&task, "succeeded");
    nothing_left(&bed);
    said("auto_kill_runner_sessions = false\nuser = \"nobody\"\n");
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    let shown = |key: &str| {
        let rows = place.run(&["config", "show", "--json", "--only", key]).expect(0).json();
        rows.into_iter().find(|row| row["key"] == key).expect("it is a key")["value"].clone()
    };
    until_true("it is taken over", SOON, || shown("remote_execution.auto_kill_runner_sessions") == "false");
    assert_ne!(shown("remote_execution.user"), "\"nobody\"", "it holds after a restart");
    let task = place.submit(&["--", "sh", "-c", "exit 3"]);
    place.wait_state(&task, "failed");
    let left = bed.list().remove(0);
    assert_eq!((&left["role"], &left["dead_status"]), (&"runner".into(), &3.into()));
    // Until it is pruned, like all that was left.
    nothing_left(&bed);
    said("enabled = false\n");
    daemon.kill();
    let daemon = place.daemon(&["--no-worker", "--name", "head", "--config", &config]);
    assert!(place.run(&["nodes", "--json"]).expect(0).json().iter().all(|node| node["health"] != "up"));
    assert!(daemon.said().contains("remote_execution.enabled"), "{}", daemon.said());
}

#[test]
fn sessions_that_were_left_by_tasks_are_ended_by_themselves_and_others_are_not() {
    let bed = Bed::new();
    let (place, config) = scheduler(&bed, &["mac-1"], 2);
    let _daemon = daemon(&bed, &place, &config, 1);
    let task = place.submit(&["--", "sleep", "900"]);
    until_true("it runs there", SOON, || bed.names().len() == 1);
    let name = bed.names().remove(0);
    let tag = name.split("__").nth(2).and_then(|work| work.split_once('-')).expect("a tag").1.to_owned();
    let left = |work: &str| {
        bed.run(&["exec", "--repo", "r", "--work", work, "--role", "runner", "--", "true"]).expect(0);
        bed.session(&format!("aivcs__r__{work}__runner"))
    };
    let (ours, others) = (left(&format!("t99-{tag}")), left("t99-another"));
    assert!(ours.exists() && others.exists(), "what ended without being tied leaves its output");
    until_true("what this scheduler has left is gone", SOON, || !ours.exists());
    assert!(others.exists() && bed.names() == [name], "nobody else's, and nothing that works");
    place.run(&["cancel", &format!("t{}", task.trim_start_matches('t'))]).expect(0);
    place.wait_state(&task, "cancelled");
    bed.run(&["kill", "--purge", "--session", "aivcs__r__t99-another__runner"]).expect(0);
    nothing_left(&bed);
}
