//! A coding agent and the fleet: `crab mcp` as a client of the Model Context Protocol sees it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::support::place::Place;
use crate::support::program;
use crate::support::waiting::SOON;

/// An agent's side of the conversation.
struct Agent {
    server: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    asked: u64,
}

impl Agent {
    fn start(place: &Place) -> Self {
        let mut command = place.crab(&["mcp"]);
        let mut server =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("crab mcp starts");
        let (to, from) = (server.stdin.take(), server.stdout.take().expect("a pipe"));
        Self { server, to, from: BufReader::new(from), asked: 0 }
    }

    fn greeted(place: &Place) -> Self {
        let mut agent = Self::start(place);
        let hello = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}
        });
        let server = agent.ask("initialize", &hello);
        assert_eq!(server["result"]["serverInfo"]["name"], "knittingcrab", "{server}");
        assert!(
            server["result"]["instructions"].as_str().is_some_and(|text| text.contains("submit_command"))
        );
        agent.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        agent
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.to.as_mut().expect("open"), "{message}").expect("the server reads");
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        self.say(&json!({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params}));
        let mut line = String::new();
        self.from.read_line(&mut line).expect("an answer");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert_eq!(answer["id"], self.asked, "{answer}");
        answer
    }

    /// The text that a tool answers with, and whether it is an error.
    fn call(&mut self, tool: &str, arguments: &Value) -> (String, bool) {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        let parts = result["content"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let text: String = parts.iter().map(|part| part["text"].as_str().expect("text")).collect();
        (text, result["isError"] == true)
    }

    fn does(&mut self, tool: &str, arguments: &Value) -> String {
        let (text, is_error) = self.call(tool, arguments);
        assert!(!is_error, "{tool}: {text}");
        text
    }

    fn refuses(&mut self, tool: &str, arguments: &Value, words: &str) {
        let (text, is_error) = self.call(tool, arguments);
        assert!(is_error && text.contains(words), "{tool}: {text}");
    }

    fn leave(mut self) {
        drop(self.to.take());
        assert!(program::wait(&mut self.server, SOON).success(), "it ends with its input");
    }
}

#[test]
fn an_agent_runs_commands_and_graphs_and_reads_what_they_wrote() {
    let place = Place::new();
    let _daemon = place.single("2");
    let mut agent = Agent::greeted(&place);
    let script = "echo out of $WHO; echo complaint >&2";
    let told = agent.does(
        "submit_command",
        &json!({"command": ["sh", "-c", script], "env": {"WHO": "an agent"}, "wait_seconds": 30}),
    );
    let mut lines = told.lines();
    let mut object = || serde_json::from_str::<Value>(lines.next().expect("a line")).expect("JSON");
    let (submitted, ended) = (object(), object());
    assert_eq!(
        (&submitted["first_task"], &ended["outcome"]["exit_code"]),
        (&json!("t1"), &json!(0)),
        "{told}"
    );
    assert!(told.contains("out of an agent") && told.contains("complaint"), "with what it wrote: {told}");
    let all = agent.does("logs", &json!({"task": "t1"}));
    assert!(all.contains("out of an agent") && all.contains("complaint"), "{all}");
    let errors = agent.does("logs", &json!({"task": "t1", "only_stderr": true}));
    assert!(!errors.contains("out of"), "{errors}");
    let found = agent.does("logs", &json!({"task": "t1", "grep": "^out", "whole": true}));
    assert_eq!(found, "out of an agent\n");

    let tasks = json!({"task": {
        "first": {"command": ["true"]}, "then": {"command": ["false"], "after": ["first"]}
    }});
    let told = agent.does("submit_tasks", &json!({"tasks": tasks, "wait_seconds": 30}));
    assert!(
        told.contains("\"failed\":1") && told.contains("\"succeeded\":1"),
        "a failure is an answer: {told}"
    );
    let failed = agent.does("status", &json!({"target": "g2", "states": ["failed"]}));
    assert!(failed.contains("\"then\"") && !failed.contains("\"first\""), "{failed}");
    agent.leave();
}

#[test]
fn an_agent_is_told_why_something_waits_and_ends_it() {
    let place = Place::new();
    let _daemon = place.single("1");
    let mut agent = Agent::greeted(&place);
    agent.does("submit_command", &json!({"command": ["sleep", "600"], "name": "long"}));
    agent.does("submit_command", &json!({"command": ["true"], "name": "behind", "key": "once"}));
    let again = agent.does("submit_command", &json!({"command": ["true"], "name": "behind", "key": "once"}));
    assert!(again.contains("\"repeated\":true"), "{again}");
    let why = agent.does("explain", &json!({"task": "behind"}));
    assert!(why.contains("verdict"), "{why}");
    let waiting = agent.does("wait", &json!({"targets": ["behind"], "timeout_seconds": 0.1}));
    assert!(waiting.contains("\"succeeded\":0") || waiting.contains("\"state\":"), "{waiting}");
    place.wait_state("t1", "running");
    agent.refuses("signal", &json!({"task": "behind", "signal": "USR1"}), "it is ready");
    agent.refuses("signal", &json!({"task": "long", "signal": "TERM"}), "must be one of HUP");
    assert!(agent.does("signal", &json!({"task": "long", "signal": "WINCH"})).contains("\"WINCH\""));
    agent.does("cancel", &json!({"targets": ["long"]}));
    let ended = agent.does("wait", &json!({"targets": ["behind"], "timeout_seconds": 30}));
    assert!(ended.contains("succeeded"), "{ended}");
    assert!(agent.does("graphs", &json!({})).contains("behind"));
    assert!(agent.does("nodes", &json!({})).contains("\"node\""));
    assert!(agent.does("events", &json!({"types": ["task.*"]})).contains("\"v\":1"));
    assert!(agent.does("show", &json!({"task": "long"})).contains("sleep"));
    agent.leave();
}

#[test]
fn what_an_agent_says_wrongly_is_refused_with_the_reason() {
    let place = Place::new();
    let _daemon = place.single("1");
    let mut agent = Agent::greeted(&place);
    let tools = agent.ask("tools/list", &json!({}));
    let tools = tools["result"]["tools"].as_array().expect("tools").clone();
    assert_eq!(tools.len(), 13);
    for tool in &tools {
        assert!(tool["description"].as_str().is_some_and(|text| !text.is_empty()), "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
    }
    let size = serde_json::to_string(&tools).expect("JSON").len();
    assert!(size < 12_000, "what every conversation of an agent pays for: {size} bytes");
    agent.refuses("submit_command", &json!({}), "command");
    agent.refuses("submit_command", &json!({"command": ["true"], "cpu": 2}), "unknown field `cpu`");
    agent.refuses("submit_command", &json!({"command": ["true"], "memory": "much"}), "--memory");
    agent.refuses("submit_command", &json!({"command": []}), "required");
    agent.refuses("submit_tasks", &json!({"tasks": "[task.a]\ncommand = 7\n"}), "tasks:2");
    agent.refuses("show", &json!({"task": "--help"}), "--help");
    agent.refuses("show", &json!({"task": "t99"}), "t99");
    let unknown = agent.ask("tools/call", &json!({"name": "delete", "arguments": {}}));
    assert!(unknown["error"]["message"].as_str().is_some_and(|text| text.contains("delete")), "{unknown}");
    let schema = agent.ask("resources/read", &json!({"uri": "crab://task-file"}));
    assert!(
        schema["result"]["contents"][0]["text"].as_str().is_some_and(|text| text.contains("\"$schema\""))
    );
    let nothing = agent.ask("resources/read", &json!({"uri": "file:///etc/passwd"}));
    assert!(nothing["error"].is_object(), "{nothing}");
    agent.leave();
}

#[test]
fn an_agent_hears_that_no_daemon_is_there() {
    let place = Place::new();
    let mut agent = Agent::greeted(&place);
    agent.refuses("status", &json!({}), "crabd");
    agent.leave();
}
