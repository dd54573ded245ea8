//! `cluster-top`: where time went, what would be if, and what two tasks are otherwise.

use serde_json::json;

use crate::support::place::Place;

#[test]
fn a_task_is_told_what_it_would_wait_for_if_it_asked_for_less() {
    let place = Place::new();
    let _daemon = place.patient("2");
    let vain = place.submit(&["--name", "vain", "--cpus", "99", "--", "true"]);
    place.wait_state(&vain, "ready");
    let why = |with: &str| place.ask_top(&format!("why vain {with}")).expect(0).text();
    assert!(why("").contains("it can never run"), "{}", why(""));
    let less = why("--what-if cpus=1");
    assert!(less.contains("it asked for 1 cpus") && less.contains("it runs next"), "{less}");
    assert!(why("cpus=1 mem=1000T").contains("it can never run"), "as much memory as nobody has");
    assert!(why("cpus=1 node=elsewhere").contains("it can never run"), "on a machine that is not there");
    place.ask_top("why vain mem=much").expect(2).says(&["mem = \"much\" cannot be", "a size such as 16G"]);
    place.ask_top("why vain --what-if").expect(2).says(&["what if what?"]);
    place.ask_top("why vain colour=red").expect(2).says(&["why takes no colour="]);
    let machine = place.ask_top("why one").expect(0).text();
    assert!(machine.contains("one is up: it takes work"), "{machine}");
    place.ask_top("cordon one").expect(0);
    let machine = place.ask_top("why one").expect(0).text();
    assert!(machine.contains("it takes no new work") && machine.contains("an operator keeps"), "{machine}");
    place.ask_top("why e999999").expect(4).says(&["there is no event 999999"]);
    // It is a question alone.
    assert_eq!(place.show(&vain)["state"], "ready");
    place.run(&["cancel", &vain]).expect(0);
}

#[test]
fn the_time_in_a_queue_is_told_by_what_was_in_the_way() {
    let place = Place::new();
    let _daemon = place.single("1");
    place.submit(&["--lock", "repo", "--cpus", "0.1", "--", "sleep", "1"]);
    let locked = place.submit(&["--name", "locked", "--lock", "repo", "--cpus", "0.1", "--", "sleep", "0.5"]);
    place.wait_state(&locked, "succeeded");
    let holder = place.submit(&["--cpus", "1", "--", "sleep", "1"]);
    place.wait_state(&holder, "running");
    let crowded = place.submit(&["--name", "crowded", "--cpus", "1", "--", "true"]);
    place.wait_state(&crowded, "succeeded");
    for (name, cause) in [("locked", "lock"), ("crowded", "resources")] {
        let rows = place.rows(&format!("blame {name}"));
        let took = |phase: &str| {
            let found = rows.iter().find(|row| row["phase"] == phase);
            found.and_then(|row| row["took_s"].as_f64()).unwrap_or_default()
        };
        let of = took(&format!("queue/{cause}"));
        assert!(of >= 0.3 && of <= took("queue"), "{rows:?}");
        let told = place.run(&["blame", name, "--json"]).expect(0).json().remove(0);
        assert_eq!(told["queued_for_s"][cause].as_f64(), Some(of), "{told}");
    }
}

#[test]
fn the_time_of_a_task_is_told_by_what_it_went_to_and_for_whom_it_waited() {
    let place = Place::new();
    let _daemon = place.single("2");
    let file = "name = \"g\"\n[task.a]\nshell = \"sleep 0.3\"\n[task.b]\nafter = [\"a\"]\nshell = \"sleep 0.1; exit 3\"\n";
    let file = place.file("graph.toml", file).display().to_string();
    place.run(&["submit", "--wait", &file]).expect(1);
    let told = place.rows("blame b");
    let took = |phase: &str| {
        let found = told.iter().find(|row| row["phase"] == phase);
        found.and_then(|row| row["took_s"].as_f64()).unwrap_or_default()
    };
    // By what is on record: an event is a little later than what it tells of.
    assert!(took("dependencies") >= 0.25 && took("run") > 0.0, "{told:?}");
    let text = place.ask_top("blame b").expect(0).text();
    assert!(text.contains("b waited longest for") && text.contains(" a"), "{text}");
    assert_eq!(place.rows("step 0; blame b")[0]["phase"], "dependencies", "and from the log alone");
    let events = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
    let granted = events.iter().find(|event| event["event"] == "task.granted").expect("there is one");
    let led = place.ask_top(&format!("why e{}", granted["number"])).expect(0).text();
    assert!(led.contains("granted to one") && led.contains("because of: g1 has the task a"), "{led}");
    let changed = place.rows("diff a b");
    let of = |what: &str| changed.iter().find(|row| row["what"] == what);
    assert_eq!(of("name").map(|row| (&row["first"], &row["second"])), Some((&json!("a"), &json!("b"))));
    assert!(
        of("outcome").is_some_and(|row| row["second"].as_str().is_some_and(|text| text.contains('3'))),
        "{changed:?}"
    );
    assert!(of("graph").is_none(), "what is alike is left out: {changed:?}");
    assert!(place.rows("diff a a").is_empty());
}
