//! Who is served when all cannot be: tenants, priorities, and who has waited long. Counted in starts, so that a slow
//! machine does not change what is seen.

use serde_json::Value;

use crate::support::place::Place;

/// The events of everything, as JSON.
fn events(place: &Place) -> Vec<Value> {
    place.run(&["events", "--json", "--after", "0"]).expect(0).json()
}

/// The numbers of the tasks in the order of their starts.
fn starts(place: &Place) -> Vec<u64> {
    let number = |event: &Value| event["task"].as_str().and_then(|task| task[1..].parse().ok());
    events(place).iter().filter(|event| event["event"] == "task.started").filter_map(number).collect()
}

#[test]
fn four_tasks_behind_four_hundred_of_another_tenant_do_not_wait_for_them() {
    let place = Place::new();
    let _daemon = place.single("2");
    place.run(&["submit", "--tenant", "first", "--array", "1-400", "--", "sleep", "0.05"]).expect(0);
    let before = starts(&place).len();
    place.run(&["submit", "--wait", "--tenant", "second", "--array", "1-4", "--", "sleep", "0.05"]).expect(0);
    let starts = starts(&place);
    let last = starts.iter().rposition(|task| *task > 400).expect("they have started");
    // Two slots start sixteen tasks of 50 ms in 0.4 s; what had been granted when they came goes before.
    assert!(last - before <= 24, "the last of four was start {last}, {before} were before they came");
    let status = place.run(&["status", "--json"]).expect(0).json().remove(0);
    let first = &status["tenants"][0];
    assert_eq!((&first["tenant"], &first["weight"]), (&"first".into(), &1.into()));
    place.run(&["cancel", "g1"]).expect(0);
}

#[test]
fn one_task_of_low_priority_gets_its_turn_under_a_flood_of_critical_ones() {
    let place = Place::new();
    let _daemon = place.single("2");
    place.run(&["submit", "--priority", "critical", "--array", "1-300", "--", "sleep", "0.02"]).expect(0);
    let before = starts(&place).len();
    place.run(&["submit", "--wait", "--priority", "low", "--", "true"]).expect(0);
    let low = starts(&place).iter().position(|task| *task == 301).expect("it has started");
    assert!(low - before <= 50, "one start of twenty is its own: {low}, {before} were before it came");
    place.run(&["cancel", "g1"]).expect(0);
}

#[test]
fn who_waits_long_is_raised_level_by_level_and_each_time_there_is_one_event() {
    let place = Place::new();
    let text = "[scheduler]\ntick = \"50ms\"\nageing_base = \"400ms\"\nobjective_ticks = 40\n";
    let config = place.file("crabd.toml", text).display().to_string();
    let _daemon = place.daemon(&["--config", &config, "--cpus", "1", "--name", "one"]);
    place.wait_nodes(1);
    place.run(&["submit", "--", "sleep", "3"]).expect(0);
    place.run(&["submit", "--wait", "--priority", "low", "--array", "1-50", "--", "true"]).expect(0);
    let boosts: Vec<_> =
        events(&place).into_iter().filter(|event| event["event"] == "task.aged-boost").collect();
    let of = |event: &Value| (event["task"].clone(), event["served_as"].clone(), event["late"].clone());
    let first = |class: &str, late: bool| (Value::from("t2"), Value::from(class), Value::from(late));
    let expected =
        [first("normal", false), first("high", false), first("critical", false), first("critical", true)];
    assert_eq!(boosts.iter().map(of).collect::<Vec<_>>(), expected, "of the first of the line alone");
}

#[test]
fn under_the_strict_mode_the_more_urgent_go_first_whatever_the_slices_say() {
    let place = Place::new();
    // Nobody ages meanwhile, however slow the machine.
    let text = "[scheduler]\nfairness_mode = \"strict\"\nageing = \"none\"\nobjective_ticks = 100000\n";
    let config = place.file("crabd.toml", text).display().to_string();
    let _daemon = place.daemon(&["--config", &config, "--cpus", "1", "--name", "one"]);
    place.wait_nodes(1);
    place.run(&["pause"]).expect(0);
    for priority in ["low", "critical"] {
        place.run(&["submit", "--priority", priority, "--array", "1-40", "--", "true"]).expect(0);
    }
    place.run(&["resume"]).expect(0);
    place.run(&["wait", "g1", "g41"]).expect(0);
    let starts = starts(&place);
    // What starts at once is told in any order.
    assert!(starts.len() == 80 && starts[..25].iter().all(|task| *task > 40), "{starts:?}");
}
