//! `cluster-top`: lines and their answers, actions, the past, and a person at the prompt.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::fleet::Fleet;
use crate::support::place::Place;
use crate::support::program::run;
use crate::support::pty::Terminal;
use crate::support::waiting::{SOON, until, until_true};

#[test]
fn a_line_is_answered_as_a_table_as_json_and_for_programs() {
    let place = Place::new();
    let _daemon = place.single("2");
    let task = place.submit(&["--name", "first", "--", "true"]);
    place.wait_state(&task, "succeeded");
    let table = place.ask_top("tasks | select task, name, state").expect(0).text();
    assert_eq!(table, format!("TASK  NAME   STATE\n{task:<4}  first  succeeded\n"));
    let told = place.rows("tasks done | where name ~ fir | select task,state,tries");
    assert_eq!(told, [json!({"v": 1, "what": "task", "task": task, "state": "succeeded", "tries": 1})]);
    let plain = run(&mut place.top(&["--plain", "-e", "nodes | select node,state"])).expect(0).text();
    assert_eq!(plain, "node\tstate\none\tup\n");
    let card = place.ask_top(&format!("task {task}")).expect(0).text();
    assert!(card.contains("command") && card.contains("succeeded after"), "{card}");
    let why = place.ask_top(&format!("why {task}")).expect(0).text();
    assert!(why.contains("succeeded"), "{why}");
    assert_eq!(place.ask_top("logs first").expect(0).text(), "");
}

#[test]
fn every_actor_of_both_sides_is_told_and_shows_what_it_holds() {
    let place = Place::new();
    let _daemon = place.single("2");
    let task = place.submit(&["--", "sleep", "600"]);
    place.wait_state(&task, "running");
    let tree = place.ask_top("tree").expect(0).text();
    for actor in [
        "scheduler-side",
        "log",
        "scheduler",
        "queue/normal",
        "gateway",
        "node/one",
        "lease/",
        &format!("task/{task}"),
        "listener",
        "inspector",
        "machine-side@one",
        "worker@one",
        "attempt/",
    ] {
        assert!(tree.contains(actor), "{actor} is not in\n{tree}");
    }
    let state = place.ask_top(&format!("state task/{task}")).expect(0).text();
    assert!(state.contains("held by") && state.contains("one under token"), "{state}");
    let worker = place.ask_top("state worker@one").expect(0).text();
    assert!(worker.contains("runs, pid"), "{worker}");
    // One that is busy for a moment is told of the next time.
    let leases =
        until("its lease is told", SOON, || Some(place.rows("leases")).filter(|rows| !rows.is_empty()));
    assert_eq!((&leases[0]["task"], &leases[0]["node"]), (&json!(task), &json!("one")), "{leases:?}");
    let top = place.rows("top by=in window=100ms");
    assert!(top.iter().any(|row| row["actor"] == "node/one"), "{top:?}");
    let traced = place.rows("trace node/one max=3 for=10s");
    assert!(traced.iter().any(|row| row["kind"] == "Tick" || row["kind"] == "Heard"), "{traced:?}");
    assert!(traced.iter().all(|row| row.get("payload").is_none()), "nobody has asked for it: {traced:?}");
    let traced = place.rows("trace node/one max=9 for=10s payload | where kind = Heard");
    assert!(
        traced.iter().any(|row| row["payload"].as_str().is_some_and(|said| said.starts_with("heartbeat"))),
        "{traced:?}"
    );
    let coming = place.rows("tree node/one window=4s | where actor = node/one");
    assert!(coming[0]["in/s"].as_u64().is_some_and(|coming| coming > 0), "it hears and ticks: {coming:?}");
    place.ask_top("actor nobody").expect(4).says(&["there is no actor nobody", "^^^^^^"]);
    place.run(&["cancel", &task]).expect(0);
}

#[test]
fn beside_actors_stand_their_breakers_leases_and_what_they_run() {
    let place = Place::new();
    let _daemon = place.single("2");
    let task = place.submit(&["--name", "long", "--env", "TOKEN=hidden", "--", "sleep", "600"]);
    let pid = place.wait_state(&task, "running")["attempt_list"][0]["pid"].clone();
    let rows = place.rows("tree");
    let row = |name: &str| {
        let found =
            rows.iter().find(|row| row["actor"].as_str().is_some_and(|actor| actor.starts_with(name)));
        found.unwrap_or_else(|| panic!("{name} is in {rows:?}")).clone()
    };
    let node = row("node/one");
    assert_eq!(node["brk"], "closed");
    assert!(node["lease"].as_str().is_some_and(|ends| ends.ends_with('s')), "{node}");
    for actor in [format!("task/{task}"), "attempt/".to_owned()] {
        let told = row(&actor);
        assert_eq!((&told["command"], &told["pid"]), (&"sleep 600".into(), &pid), "{told}");
        assert_eq!(told["lease"], node["lease"], "one heartbeat renews them all");
    }
    assert!(!format!("{rows:?}").contains("hidden"));
    assert_eq!(row("queue/low")["command"], Value::Null);
    place.run(&["cancel", &task]).expect(0);
}

#[test]
fn actors_of_another_machine_are_told_over_the_connection_it_dialled() {
    let fleet = Fleet::start(2);
    let place = &fleet.scheduler;
    let seen = place.rows("ps node=worker1");
    assert!(seen.iter().any(|row| row["actor"] == "worker@worker1"), "{seen:?}");
    assert!(seen.iter().any(|row| row["actor"] == "dialler@worker1"), "{seen:?}");
    let state = place.ask_top("state worker@worker0").expect(0).text();
    assert!(state.contains("lease ends in"), "{state}");
    place.ask_top("state worker").expect(2).says(&["names 2 actors", "worker@worker0"]);
    let done = run(&mut place.top(&["--yes", "-e", "restart worker@worker1"])).expect(0).text();
    assert_eq!(done, "done\n");
    until_true("its supervisor has started it again", SOON, || {
        let seen = run(&mut place.top(&["--json", "-e", "actor worker@worker1"]));
        seen.code == Some(0) && seen.json()[0]["restarts"] == 1
    });
}

#[test]
fn a_wrong_line_is_told_where_it_is_wrong_and_exit_codes_tell_the_rest() {
    let place = Place::new();
    let daemon = place.single("2");
    place.ask_top("taskz | head").expect(2).says(&["  taskz | head\n  ^^^^^", "did you mean task"]);
    place
        .ask_top("tasks | where colour = red")
        .expect(2)
        .says(&["there is no column colour", "possible: task"]);
    place.ask_top("task t99").expect(4).says(&["there is no task t99"]);
    place.ask_top("why nobody").expect(4).says(&["nothing is called nobody"]);
    let told = run(&mut place.top(&["--json", "-e", "nonsense"])).expect(2);
    let error: Value = serde_json::from_str(told.err.trim()).expect("it is JSON");
    assert_eq!(error["exit_code"], 2);
    place.ask_top("lints").expect(0);
    drop(daemon);
    let daemon = place.patient("2");
    let vain = place.submit(&["--cpus", "99", "--", "true"]);
    place.wait_state(&vain, "ready");
    let lints = run(&mut place.top(&["--json", "-e", "lints"])).expect(3).json();
    assert_eq!((lints.len(), &lints[0]["lint"]), (1, &json!("unschedulable")), "{lints:?}");
    let file =
        place.file("check.ct", "# what is there\nnodes | count\ntasks ready | count\n").display().to_string();
    assert_eq!(run(&mut place.top(&["run", &file])).expect(0).text(), "COUNT\n    1\nCOUNT\n    1\n");
    daemon.kill();
    place.ask_top("nodes").expect(6);
}

#[test]
fn actions_ask_are_recorded_and_are_done() {
    let place = Place::new();
    let _daemon = place.single("2");
    let task = place.submit(&["--", "sleep", "600"]);
    place.wait_state(&task, "running");
    place.ask_top(&format!("kill {task}")).expect(2).says(&["ends", "--yes"]);
    run(&mut place.top(&["--read-only", "-e", &format!("kill {task}")])).expect(7);
    assert_eq!(place.show(&task)["state"], "running");
    run(&mut place.top(&["--yes", "--reason", "a test", "-e", &format!("kill {task}")])).expect(0);
    place.wait_state(&task, "cancelled");
    let events = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
    let asked = events.iter().find(|event| event["event"] == "scheduler.operated").expect("it is recorded");
    assert_eq!(
        (&asked["action"], &asked["reason"]),
        (&json!(format!("cancel task {task}")), &json!("a test"))
    );
    assert!(asked["by"].as_str().is_some_and(|by| by.starts_with("tester")), "{asked}");
    place.ask_top(&format!("retry {task}")).expect(0);
    place.wait_state(&task, "running");
    place.ask_top("breaker reset one").expect(2).says(&["--yes"]);
    run(&mut place.top(&["--yes", "-e", "breaker reset one"])).expect(7).says(&["is closed"]);
    place.ask_top("pause tenant=somebody").expect(0);
    place.ask_top("cordon one").expect(0);
    let nodes = place.rows("nodes");
    assert_eq!(nodes[0]["directed"], "cordoned", "{nodes:?}");
    assert!(place.ask_top("status").expect(0).text().contains("paused"));
    place.ask_top("uncordon one").expect(0);
    place.ask_top("resume tenant=somebody").expect(0);
    place.ask_top("halt").expect(2).says(&["starts nothing more on all"]);
    run(&mut place.top(&["--yes", "-e", "restart core"])).expect(7).says(&["is a supervisor"]);
    run(&mut place.top(&["--yes", "-e", "restart scheduler"])).expect(0);
    until_true("the core is there again", SOON, || {
        let seen = run(&mut place.top(&["--json", "-e", "actor scheduler"]));
        seen.code == Some(0) && seen.json()[0]["restarts"] == 1
    });
    place.wait_state(&task, "running");
    place.run(&["cancel", &task]).expect(0);
}

#[test]
fn a_graph_is_exported_as_a_trace_and_as_a_picture() {
    let place = Place::new();
    let _daemon = place.single("2");
    let file = "name = \"g\"\n[task.a]\nshell = \"sleep 0.2\"\n[task.b]\narray = \"1-2\"\nshell = \"sleep 0.2\"\nafter = [\"a\"]\n";
    let file = place.file("graph.toml", file).display().to_string();
    place.run(&["submit", "--wait", &file]).expect(0);
    let trace: Value =
        serde_json::from_str(&place.ask_top("export chrome g").expect(0).text()).expect("it is JSON");
    let bars: Vec<_> =
        trace["traceEvents"].as_array().expect("a list").iter().filter(|one| one["ph"] == "X").collect();
    assert_eq!((bars.len(), bars[0]["name"].as_str()), (3, Some("a")), "{trace}");
    assert_ne!(bars[1]["tid"], bars[2]["tid"], "two that run at once have a lane each: {trace}");
    let picture = place.ask_top("export dot g").expect(0).text();
    assert!(picture.contains("\"a\" -> \"b\";") && picture.contains("2 succeeded"), "{picture}");
    place.ask_top("export gif g").expect(2).says(&["possible: chrome dot"]);
}

/// What `line` tells, without what passes by itself.
fn standing(place: &Place, args: &[&str], line: &str) -> Vec<Value> {
    let all = [args, &["--json", "-e", line]].concat();
    let mut rows = run(&mut place.top(&all)).expect(0).json();
    for row in &mut rows {
        row.as_object_mut()
            .expect("it is one")
            .retain(|field, _| !["for_s", "age_s", "stranded"].contains(&field.as_str()));
    }
    rows
}

#[test]
fn the_state_at_an_event_is_what_was_shown_live_at_that_event() {
    let place = Place::new();
    let _daemon = place.single("2");
    let durable = || place.ask(|client| async move { client.hello().await }).expect("it answers").durable;
    let mut moments = Vec::new();
    let note = |moments: &mut Vec<_>| {
        // Nothing happened meanwhile, so it is the state at that very event.
        let moment = until("a moment in which nothing happens", SOON, || {
            let before = durable();
            let told = [standing(&place, &[], "tasks"), standing(&place, &[], "graphs")];
            (durable() == before).then_some((before, told))
        });
        moments.push(moment);
    };
    let first = place.submit(&["--name", "slow", "--", "sleep", "600"]);
    place.wait_state(&first, "running");
    note(&mut moments);
    let file = "[task.a]\nshell = \"exit 3\"\n[task.b]\nafter = [\"a\"]\ncommand = [\"true\"]\n\
                [task.c]\narray = \"1-3%1\"\ncommand = [\"true\"]\nafter = [{ task = \"a\", needs = \"end\" }]\n";
    let file = place.file("graph.toml", file).display().to_string();
    place.run(&["submit", "--wait", &file]).expect(1);
    note(&mut moments);
    place.run(&["cancel", &first]).expect(0);
    place.wait_state(&first, "cancelled");
    note(&mut moments);
    place.run(&["retry", &first]).expect(0);
    place.wait_state(&first, "running");
    note(&mut moments);
    let data = place.data().display().to_string();
    for (number, [tasks, graphs]) in &moments {
        let at = |line: &str| format!("at seq={number}; {line}");
        assert_eq!(&standing(&place, &[], &at("tasks")), tasks, "at {number}");
        assert_eq!(&standing(&place, &[], &at("graphs")), graphs, "at {number}");
        assert_eq!(&offline(&data, &at("tasks")), tasks, "at {number}, from the files");
    }
    let (one, other) = (moments[0].0, moments[2].0);
    let changed = place.rows(&format!("diff @{one} @{other} | where what ~ slow"));
    assert_eq!(changed[1]["before"], "running on one", "{changed:?}");
    let refused = place.ask_top(&format!("at seq={one}; kill {first}")).expect(7);
    refused.says(&["the past cannot be changed"]);
    place.run(&["cancel", &first]).expect(0);
}

#[test]
fn claims_rates_budgets_and_sessions_are_told() {
    let place = Place::new();
    let config = "[rates]\nllm = \"100 tokens per hour\"\n[amounts]\nseats = 3\n";
    let config = place.file("crabd.toml", config).display().to_string();
    let _daemon = place.daemon(&["--cpus", "2", "--name", "one", "--config", &config]);
    place.wait_nodes(1);
    let file = "budget = { attempts = 5, time = \"1h\" }\n[task.a]\ncommand = [\"sleep\", \"600\"]\nlocks = [\"repo\"]\n\
                rates = { llm = { tokens = 40 } }\namounts = { seats = 2 }\n";
    let file = place.file("graph.toml", file).display().to_string();
    let task = place.submit(&[&file]);
    place.wait_state(&task, "running");
    let waits = place.submit(&["--lock", "repo", "--", "true"]);
    place.wait_state(&waits, "ready");
    let locks = place.rows("locks");
    assert_eq!(
        (&locks[0]["name"], &locks[0]["state"], &locks[0]["task"], &locks[0]["node"]),
        (&json!("repo"), &json!("exclusive"), &json!(task), &json!("one"))
    );
    assert_eq!((&locks[1]["what"], &locks[1]["holds"]), (&json!("amount"), &json!("2")), "{locks:?}");
    assert!(place.ask_top("locks").expect(0).text().contains(&format!("{waits} waits")));
    let rates = place.rows("rates");
    assert_eq!((&rates[0]["used"], &rates[0]["limit"]), (&json!(40), &json!(100)), "{rates:?}");
    let live = place.rows("budgets");
    let amounts: Vec<_> = live.iter().map(|row| (&row["what"], &row["used"], &row["limit"])).collect();
    assert_eq!(amounts[1], (&json!("attempts"), &json!("1"), &json!("5")), "{live:?}");
    assert_eq!(place.rows("step 0; budgets"), live, "and as it was");
    place.ask_top("step -1; rates").expect(7).says(&["does not stand in the log"]);
    let sessions = run(&mut place.top(&["--json", "-e", "sessions"]));
    assert!(sessions.code == Some(0) || sessions.err.contains("aivcs-session doctor"), "{}", sessions.err);
    place.ask_top("sessions host=-x").expect(2);
    place.run(&["cancel", &task, &waits]).expect(0);
}

#[test]
fn events_are_played_as_they_came_and_what_operators_said_is_shown_with_them() {
    let place = Place::new();
    let _daemon = place.single("2");
    place.run(&["node", "cordon", "one"]).expect(0);
    place.run(&["pause"]).expect(0);
    let cordoned = place.rows("nodes");
    let durable = place.ask(|client| async move { client.hello().await }).expect("it answers").durable;
    place.run(&["resume"]).expect(0);
    place.run(&["node", "uncordon", "one"]).expect(0);
    let then = place.rows(&format!("at seq={durable}; nodes"));
    assert_eq!((&then[0]["directed"], &cordoned[0]["directed"]), (&json!("cordoned"), &json!("cordoned")));
    assert!(place.ask_top(&format!("at seq={durable}; status")).expect(0).text().contains("paused"));
    let played =
        place.ask_top(&format!("at seq={durable}; play x1000; nodes | select directed")).expect(0).text();
    assert!(played.contains("uncordon") || played.contains("takes work"), "{played}");
    assert!(!played.contains("cordoned\n"), "it goes on from where that ended: {played}");
    place.ask_top("play").expect(7).says(&["`at -5m` goes back first"]);
    place.ask_top("step -1; play fast").expect(2).says(&["as fast as what?"]);
}

#[test]
fn a_cluster_is_found_by_the_name_that_its_user_gave_it() {
    let (place, other) = (Place::new(), Place::new());
    let _daemon = place.single("2");
    let _other = other.daemon(&["--cpus", "1", "--name", "two"]);
    other.wait_nodes(1);
    let file = format!("[contexts.far]\ndata_dir = {:?}\n", other.data().display().to_string());
    std::fs::create_dir_all(place.root().join("knittingcrab")).expect("there is room");
    place.file("knittingcrab/client.toml", file);
    let top = |args: &[&str]| run(place.top(args).env("XDG_CONFIG_HOME", place.root()));
    let crab = |args: &[&str]| run(place.crab(args).env("XDG_CONFIG_HOME", place.root()));
    let nodes = "nodes | select node";
    assert_eq!(top(&["-e", nodes]).expect(0).text(), "NODE\none\n");
    assert_eq!(top(&["--context", "far", "-e", nodes]).expect(0).text(), "NODE\ntwo\n");
    assert_eq!(top(&["-e", &format!("context far; {nodes}")]).expect(0).text(), "NODE\ntwo\n");
    assert!(top(&["-e", "context"]).expect(0).text().starts_with("far"));
    top(&["-e", "context fra"]).expect(4).says(&["did you mean far?", "possible: far"]);
    assert!(crab(&["--context", "far", "nodes"]).expect(0).text().contains("two"));
    crab(&["--context", "fra", "nodes"]).expect(2).says(&["did you mean far?"]);
}

/// The same without a daemon, over the files of its log.
fn offline(data: &str, line: &str) -> Vec<Value> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cluster-top"));
    command.env_remove("CRAB_ADDRESS").env_remove("CRAB_DATA_DIR").args([
        "--journal",
        data,
        "--json",
        "-e",
        line,
    ]);
    let mut rows = run(&mut command).expect(0).json();
    for row in &mut rows {
        row.as_object_mut().expect("it is one").retain(|field, _| field != "for_s");
    }
    rows
}

#[test]
fn a_person_at_the_prompt_completes_recalls_mistypes_and_agrees() {
    let place = Place::new();
    let _daemon = place.single("2");
    let task = place.submit(&["--name", "victim", "--", "sleep", "600"]);
    place.wait_state(&task, "running");
    let mut terminal = Terminal::start(&mut place.top(&[]));
    terminal.shows("crab one | 1 up");
    terminal.shows("> ");
    terminal.types("send scheduler {\"pa\t");
    terminal.shows("{\"pause\":{");
    // Nothing of it is sent.
    terminal.types("\x03");
    terminal.shows("> ");
    terminal.types("budg\t");
    terminal.shows("budgets");
    terminal.types("\r");
    terminal.shows("no budgets");
    terminal.shows("> ");
    terminal.types("taskz\r");
    terminal.shows("^^^^^");
    terminal.shows("did you mean task");
    terminal.shows("> ");
    terminal.types(&format!("kill {task}\r"));
    terminal.shows("ends");
    terminal.types("no\r");
    terminal.shows("nothing was done");
    terminal.shows("> ");
    // The last line again, from the history.
    terminal.types("\x1b[A\r");
    terminal.shows("type");
    terminal.types(&format!("{task}\r"));
    terminal.shows("1 task will end");
    place.wait_state(&task, "cancelled");
    terminal.shows("> ");
    terminal.types("at -1h\r");
    terminal.shows("nothing had happened by then");
    terminal.shows("> ");
    terminal.types("step -1\r");
    terminal.shows("@");
    terminal.types("retry victim\r");
    terminal.shows("the past cannot be changed");
    terminal.shows("> ");
    terminal.types("\x04");
    assert_eq!(terminal.ended().code(), Some(0));
    let history = std::fs::read_to_string(place.data().join("cluster-top.history")).expect("it is kept");
    assert!(history.contains(&format!("kill {task}")), "{history}");
}

#[test]
fn the_full_screen_shows_tables_details_and_keys_and_gives_the_terminal_back() {
    let place = Place::new();
    let _daemon = place.single("2");
    let task = place.submit(&["--name", "worked", "--", "true"]);
    place.wait_state(&task, "succeeded");
    let mut terminal = Terminal::start(&mut place.top(&["tui"]));
    terminal.shows("1 tree");
    terminal.shows("scheduler-side");
    terminal.types("3");
    terminal.shows("worked");
    terminal.types("\r");
    terminal.shows("command");
    // A click on the name of a table.
    terminal.types("\x1b[<0;50;2M");
    terminal.shows("HEARD");
    terminal.types("[");
    // What changes is drawn alone.
    terminal.shows("@");
    terminal.types("=");
    terminal.shows("one");
    terminal.types("q");
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn the_first_answer_is_there_soon() {
    let place = Place::new();
    let _daemon = place.single("2");
    place.ask_top("status").expect(0);
    let began = std::time::Instant::now();
    place.ask_top("status").expect(0);
    // Generous, for a machine that does other things as well; the figure is in the documents.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
