//! What tasks say of themselves, with the real programs: labels, goals, gates and phases; and files that are templates.

use crate::support::place::Place;

const PLAN: &str = r#"
[parameters]
goal = { help = "what is to be done" }
team = "red"

[defaults]
goal = "{{goal}}"
labels = { team = "{{team}}" }
evaluation = { run = "r7", phase = 3 }

[task.say]
shell = "echo $CRAB_GOAL / $CRAB_LABEL_TEAM / $CRAB_EVALUATION_RUN / $CRAB_PHASE"
"#;

#[test]
fn a_template_is_filled_and_what_a_task_says_of_itself_is_shown_and_told_to_it() {
    let place = Place::new();
    let _daemon = place.daemon(&["--cpus", "2"]);
    let plan = place.file("plan.toml", PLAN).display().to_string();
    place
        .run(&["submit", &plan])
        .expect(2)
        .says(&["parameters.goal: must be given (what is to be done): --set goal=VALUE"]);
    let task = place.submit(&[&plan, "--set", "goal=$(id) \"now\"", "--set", "team=blue"]);
    place.run(&["wait", &task]).expect(0);
    assert_eq!(place.run(&["logs", &task]).text().trim_end(), "$(id) \"now\" / blue / r7 / 3");
    let shown = place.run(&["show", &task]).text();
    for said in ["team=blue", "$(id) \"now\"", "run r7, phase 3"] {
        assert!(shown.contains(said), "{said} is not in {shown}");
    }
    let json = place.show(&task);
    assert_eq!((&json["labels"]["team"], &json["goal"]), (&"blue".into(), &"$(id) \"now\"".into()));
    assert_eq!(
        (&json["spec"]["evaluation"]["phase"], &json["spec"]["evaluation"]["gate"]),
        (&3.into(), &false.into())
    );
    let rows = place.rows("tasks | where labels~team=blue | select task labels goal");
    assert_eq!(
        (rows.len(), &rows[0]["task"], &rows[0]["labels"]),
        (1, &task.as_str().into(), &"team=blue".into())
    );
    assert!(place.rows("tasks | where labels~team=red").is_empty());
}

/// The gatekeeper's rules.
#[test]
fn a_gate_runs_on_production_alone_and_an_early_phase_never_there() {
    let place = Place::new();
    let config = place.file("crabd.toml", "[worker.labels]\nproduction = \"yes\"\n").display().to_string();
    let _daemon = place.daemon(&["--cpus", "2", "--config", &config]);
    place.wait_nodes(1);
    place.run(&["run", "--promotion-gate", "--phase", "1", "--", "true"]).expect(0);
    place.run(&["run", "--phase", "4", "--", "true"]).expect(0);
    let refused = place.run(&["submit", "--phase", "2", "--", "true"]).expect(7);
    refused.says(&["production!=yes"]);
    place.run(&["submit", "--phase", "5", "--", "true"]).expect(2);
}
