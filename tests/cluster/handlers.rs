//! Agents that handle tasks, each a process of its own, killed and misled. The process is this program, which becomes an
//! agent when it is started for the one test that is none.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use actors::agent::{Agent, Call};
use actors::client::Endpoint;
use nix::sys::signal::Signal;

use super::fleet::{LEASES, free_address};
use crate::support::place::Place;
use crate::support::program::Ran;
use crate::support::waiting::{SOON, until_true};

/// Says to this program which agent it is: its directory, its name, and where the scheduler is.
const WHO: &str = "CRAB_TEST_AGENT";

#[test]
#[ignore = "is the agent of the other tests, which start it"]
fn agent_of_the_others() {
    let Ok(who) = std::env::var(WHO) else { return };
    let [data, name, endpoint] = who.split('|').collect::<Vec<_>>().try_into().expect("three");
    let endpoint = match endpoint.strip_prefix("unix:") {
        Some(data) => Endpoint::of_data_dir(data.as_ref()),
        None => Endpoint::Address(endpoint.to_owned()),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let agent = Agent::named(name).in_directory(data.into());
        let agent = agent.handle("greet", 2, greet).handle("hold", 1, hold).handle("panic", 1, panics);
        let handling = agent.start(&endpoint).await.expect("it starts");
        // Its end of the pipe closes when the test has had enough.
        let enough = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        let _ = enough.await;
        handling.stop(Some(Duration::from_secs(1))).await;
    });
}

async fn greet(call: Call) -> Result<(), String> {
    let who: serde_json::Value = call.json().map_err(|error| error.to_string())?;
    call.print(format_args!("hello, {}", who["who"].as_str().ok_or("nobody to greet")?));
    call.result("greeted", &who["who"]).map_err(|error| error.to_string())
}

/// Holds on at the first try until it is stopped, and longer.
async fn hold(call: Call) -> Result<(), String> {
    call.print(format_args!("attempt {}", call.attempt()));
    if call.attempt().0 == 1 {
        let why = call.cancelled().await;
        call.print(format_args!("told: {why:?}"));
        std::future::pending::<()>().await;
    }
    Ok(())
}

async fn panics(call: Call) -> Result<(), String> {
    assert!(call.attempt().0 > 1, "planted");
    Ok(())
}

/// An agent's process.
struct Agency(Child);

impl Agency {
    fn start(place: &Place, name: &str, endpoint: &str) -> Self {
        let mut this = Command::new(std::env::current_exe().expect("this program"));
        this.args(["--exact", "cluster::handlers::agent_of_the_others", "--ignored", "--nocapture"]);
        this.env(WHO, format!("{}|{name}|{endpoint}", place.data().display())).process_group(0);
        let log = std::fs::File::create(place.root().join(format!("{name}.log"))).expect("a log");
        this.stdin(Stdio::piped()).stdout(log.try_clone().expect("a log")).stderr(log);
        Self(this.spawn().expect("it starts"))
    }

    fn here(place: &Place, name: &str) -> Self {
        Self::start(place, name, &format!("unix:{}", place.data().display()))
    }

    fn signal(&self, signal: Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).expect("a process"));
        nix::sys::signal::kill(pid, signal).expect("it is there");
    }

    fn stop(mut self) {
        drop(self.0.stdin.take());
        assert!(crate::support::program::wait(&mut self.0, SOON).success());
    }
}

impl Drop for Agency {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn submitted(place: &Place, task: &str) -> Ran {
    let file = place.file("handled.toml", task).display().to_string();
    place.run(&["submit", "--json", &file])
}

/// Submits one task and tells its id.
fn submit(place: &Place, task: &str) -> String {
    submitted(place, task).expect(0).json()[0]["first_task"].as_str().expect("an id").to_owned()
}

#[test]
fn a_task_is_a_message_to_an_agent_and_shows_as_any_other() {
    let place = Place::new();
    let daemon = place.single("1");
    let nobody = submitted(&place, "[task.a]\nhandler = \"greet\"\npayload = { who = \"you\" }\n").expect(7);
    nobody.says(&["handler = greet: no agent that handles greet has joined"]);
    let agent = Agency::here(&place, "greeter");
    place.wait_nodes(2);
    let done = submit(&place, "[task.a]\nhandler = \"greet\"\npayload = { who = \"you\" }\n");
    let shown = place.wait_state(&done, "succeeded");
    assert_eq!((shown["node"].as_str(), &shown["spec"]["handler"]), (Some("greeter"), &"greet".into()));
    assert_eq!(shown["result"]["greeted"], "you");
    place.run(&["logs", &done]).expect(0).tells("hello, you");
    place.run(&["show", &done]).expect(0).tells("for greet: '{\"who\":\"you\"}'");
    // Refused, panicking, tried again: by the law of every task.
    let refused = submit(&place, "[task.a]\nhandler = \"greet\"\npayload = {}\n");
    assert_eq!(place.wait_state(&refused, "failed")["outcome"]["exit_code"], 1);
    place.run(&["logs", &refused]).expect(0).tells("nobody to greet");
    let panicked = submit(&place, "[task.a]\nhandler = \"panic\"\n");
    assert_eq!(place.wait_state(&panicked, "failed")["outcome"]["exit_code"], 101);
    place.run(&["logs", &panicked]).expect(0).tells("panicked: planted");
    let again = submit(&place, "[task.a]\nhandler = \"panic\"\nretries = 1\n");
    assert_eq!(place.wait_state(&again, "succeeded")["attempts"], 2);
    // Commands run beside it, and never there.
    place.run(&["submit", "--wait", "--array", "1-8", "--", "true"]).expect(0);
    let rows = place.run(&["nodes", "--json"]).expect(0).json();
    let there = rows.iter().find(|row| row["node"] == "greeter").expect("a node");
    assert_eq!((&there["labels"]["reached"], &there["health"]), (&"agent".into(), &"up".into()));
    agent.stop();
    until_true("it has left", SOON, || {
        place
            .run(&["nodes", "--json"])
            .expect(0)
            .json()
            .iter()
            .any(|row| row["node"] == "greeter" && row["health"] != "up")
    });
    assert!(daemon.stop().success());
}

#[test]
fn what_is_cancelled_hears_of_it_and_is_dropped_after_its_grace() {
    let place = Place::new();
    let daemon = place.patient("1");
    let task = submit(&place, "[task.a]\nhandler = \"hold\"\ngrace = \"1s\"\n");
    let why = place.run(&["explain", &task]).expect(0).text();
    assert!(why.contains("does not handle hold"), "{why}");
    let _agent = Agency::here(&place, "holder");
    place.wait_state(&task, "running");
    place.run(&["signal", &task, "USR1"]).expect(1).says(&["function handles it, which hears no signals"]);
    place.run(&["cancel", &task]).expect(0);
    place.wait_state(&task, "cancelled");
    place.run(&["logs", &task]).expect(0).tells("attempt 1\ntold: Cancel");
    assert!(daemon.stop().success());
}

#[test]
fn an_agent_that_is_killed_loses_its_tasks_to_another_when_its_lease_is_over() {
    let place = Place::new();
    let config = place.file("leases.toml", LEASES).display().to_string();
    let daemon = place.daemon(&["--cpus", "1", "--name", "one", "--config", &config]);
    let first = Agency::here(&place, "first");
    place.wait_nodes(2);
    let task = submit(&place, "[task.a]\nhandler = \"hold\"\n");
    place.wait_state(&task, "running");
    first.signal(Signal::SIGKILL);
    let second = Agency::here(&place, "second");
    let shown = place.wait_state(&task, "succeeded");
    assert_eq!((&shown["node"], &shown["attempts"]), (&"second".into(), &2.into()));
    assert_eq!(shown["attempt_list"][0]["outcome"]["reason"], "lease-expired", "{}", shown["attempt_list"]);
    // One that comes back under its name is known to have lost what it had: nobody waits for that.
    let task = submit(&place, "[task.a]\nhandler = \"hold\"\n");
    place.wait_state(&task, "running");
    second.signal(Signal::SIGKILL);
    drop(second);
    let second = Agency::here(&place, "second");
    assert_eq!(place.wait_state(&task, "succeeded")["attempts"], 2);
    // One that stands still is a partition: what it had is stopped there before it may run elsewhere.
    second.stop();
    assert!(daemon.stop().success());
}

#[test]
fn over_the_network_an_agent_is_invited_as_a_worker() {
    let head = Place::new();
    let address = free_address();
    head.run(&["cluster", "init"]).expect(0);
    let daemon = head.daemon(&["--name", "head", "--no-worker", "--listen", &address]);
    let line = head.run(&["cluster", "invite", "remote", "--role", "worker"]).expect(0).text();
    let elsewhere = Place::new();
    let agent = Agency::start(&elsewhere, "remote", line.trim());
    head.wait_nodes(1);
    let done = submit(&head, "[task.a]\nhandler = \"greet\"\npayload = { who = \"all\" }\n");
    head.wait_state(&done, "succeeded");
    agent.stop();
    let again = Agency::start(&elsewhere, "remote", &address);
    head.wait_nodes(1);
    again.stop();
    assert!(daemon.stop().success());
}
