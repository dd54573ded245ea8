//! What is refused, in the words of the refusal.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::constraint::{Condition, Preference, Test};
use crate::dependency::{Dependency, Need};
use crate::event::{ArraySpec, SubmissionKey};
use crate::id::{GraphId, TaskId};
use crate::resources::Resources;
use crate::task::TaskSpec;
use crate::text::OsText;
use crate::workspace::{Keep, Source, Workspace};

fn spec(name: &str) -> TaskSpec {
    TaskSpec {
        directory: Some("/src".into()),
        environment: vec![("A".into(), "1".into())],
        tenant: "ann".into(),
        timeout: Some(Duration::from_secs(60)),
        ..TaskSpec::new(name, vec!["make".into()])
    }
}

fn item(name: &str, dependencies: &[u32]) -> Item {
    Item { dependencies: dependencies.iter().map(|on| (*on).into()).collect(), ..Item::new(spec(name)) }
}

fn submission(items: Vec<Item>) -> Submission {
    Submission::new(SubmissionKey(1), "nightly", items)
}

fn lines(submission: &Submission) -> Vec<String> {
    let rejection = check(submission).err().unwrap_or_default();
    rejection.problems.iter().map(|problem| problem.line(submission)).collect()
}

fn lines_of(change: impl FnOnce(&mut TaskSpec)) -> String {
    let mut spec = spec("build");
    change(&mut spec);
    lines(&submission(vec![Item::new(spec)])).join("\n")
}

#[test]
fn a_task_for_a_handler_is_a_message_and_nothing_of_a_command() {
    let refused = |change: fn(&mut TaskSpec)| {
        let mut spec = TaskSpec::for_handler("cat.png", "resize", vec![0, 255]);
        change(&mut spec);
        lines(&submission(vec![Item::new(spec)])).join("\n")
    };
    assert_eq!(refused(|_| {}), "", "any bytes are a payload");
    assert!(
        refused(|spec| spec.resources.cpu_millis = 1)
            .contains("resources = \"resize\": a task for a handler")
    );
    assert!(refused(|spec| spec.alternatives = vec![Resources::cpus(1000)]).contains("and nothing else"));
    assert!(
        refused(|spec| spec.directory = Some("/src".into()))
            .contains("directory = \"resize\": is for commands")
    );
    assert!(refused(|spec| spec.argv.push("x".into())).contains("payload = 2: must be one"));
    assert!(refused(|spec| spec.argv = vec![vec![7; 1 << 20].into()]).contains("payload = 1048576 bytes"));
    let odd = TaskSpec { kind: None, ..TaskSpec::for_handler("x", "Re size", "") };
    assert!(
        lines(&submission(vec![Item::new(odd)]))
            .join("\n")
            .contains("handler = \"Re size\": must be 1 to 55")
    );
}

type Change = fn(&mut TaskSpec);

#[test]
fn each_wrong_field_is_named_with_its_value_and_what_it_must_be() {
    let table: &[(Change, &str)] = &[
        (|spec| spec.name = "".into(), r#"task "": name = "": must have 1 to 100 characters"#),
        (
            |spec| spec.name = "a\x1bb".into(),
            r#"task "a\u{1b}b": name = "a\u{1b}b": must not contain control characters"#,
        ),
        (|spec| spec.argv.clear(), r#"task "build": command = []: must name at least the program"#),
        (|spec| spec.argv[0] = "".into(), r#"task "build": command = "": the program's name is empty"#),
        (
            |spec| spec.argv.push("a\0b".into()),
            r#"task "build": command = "a\0b": must not contain a byte 0"#,
        ),
        (
            |spec| spec.directory = Some("src".into()),
            r#"task "build": directory = "src": must be an absolute path"#,
        ),
        (
            |spec| spec.environment[0].0 = "A=B".into(),
            r#"task "build": env = "A=B": a variable's name must not be empty or contain ="#,
        ),
        (
            |spec| spec.environment = vec![("A".into(), "1".into()); 257],
            r#"task "build": env = 257 variables: must be at most 256 variables"#,
        ),
        (
            |spec| spec.resources = Resources::default(),
            r#"task "build": cpus = 0: must be at least 1 (thousandths of a core) where nothing else is needed"#,
        ),
        (
            |spec| spec.resources.cpu_millis = u64::MAX,
            r#"task "build": cpus = 18446744073709551615: must be between 0 and 1000000000 (thousandths of a core)"#,
        ),
        (
            |spec| spec.resources.named.extend([("cpu_millis".into(), 1)]),
            r#"task "build": resources = "cpu_millis": has a field of its own: cpus, memory, gpu or disk"#,
        ),
        (
            |spec| spec.tenant = "Ann".into(),
            r#"task "build": tenant = "Ann": must be 1 to 63 of a-z 0-9 . _ - and start with a letter or digit"#,
        ),
        (
            |spec| spec.timeout = Some(Duration::ZERO),
            r#"task "build": timeout = 0ns: must be longer than nothing and at most 2592000s"#,
        ),
        (
            |spec| spec.retry.max_attempts = 0,
            r#"task "build": retry.attempts = 0: must be between 1 and 1000 (in all)"#,
        ),
        (
            |spec| spec.retry.factor_percent = 99,
            r#"task "build": retry.factor = 99: must be between 100 and 100000 (percent)"#,
        ),
        (
            |spec| spec.retry.retryable_exit_codes = vec![75, 0],
            r#"task "build": retry.exit_codes = 0: must be between 1 and 255"#,
        ),
        (
            |spec| spec.directory = Some(OsText::from(vec![b'/'; 70_000])),
            r#"task "build": 70008 bytes: names, paths and lists must take at most 65536 bytes"#,
        ),
        (
            |spec| spec.argv.push(OsText::from(vec![b'x'; 131_072])),
            r#"task "build": command = 131078 bytes: must take at most 131072 bytes: put them in a file"#,
        ),
    ];
    for (change, expected) in table {
        assert_eq!(lines_of(change), *expected);
    }
    assert_eq!(lines_of(|_| ()), "");
    assert_eq!(lines_of(|spec| spec.resources = Resources { gpu_slots: 1, ..Resources::default() }), "");
}

#[test]
fn a_cycle_is_named_in_full() {
    let cycle = submission(vec![item("z", &[1]), item("a", &[2]), item("b", &[3]), item("c", &[1])]);
    assert_eq!(
        lines(&cycle),
        [
            r#"task "a": after = "a" → "b" → "c" → "a": must not lead back to the task itself (each waits for the next)"#
        ]
    );
}

#[test]
fn dependencies_on_itself_or_on_nobody_are_refused_and_the_same_twice_is_not() {
    let wrong = submission(vec![item("a", &[0, 7]), item("b", &[0, 0])]);
    assert_eq!(
        lines(&wrong),
        [
            r#"task "a": after = "a": a task cannot wait for itself"#,
            r#"task "a": after = 7: no such item: the graph has 2"#,
        ]
    );
    assert_eq!(check(&submission(vec![item("a", &[]), item("b", &[0, 0])])), Ok(()));
}

#[test]
fn a_chain_of_a_million_is_walked_and_a_circle_as_long_is_found() {
    let length: u32 = 1_000_000;
    let spec = Arc::new(spec("x"));
    let link = |on: u32| Item { dependencies: vec![on.into()], ..Item::new(Arc::clone(&spec)) };
    let mut items: Vec<_> = (1..length).map(link).collect();
    items.push(Item::new(Arc::clone(&spec)));
    assert_eq!(cycle::find(&items), None);
    items[length as usize - 1].dependencies.push(0.into());
    let found = cycle::find(&items).unwrap();
    assert_eq!(found.len(), length as usize);
    assert!(cycle::shown(&found, &items).contains(r#""x" → (999900 more) → "x" → "x""#));
}

#[test]
fn names_are_unique_and_the_graph_is_not_empty_or_too_large() {
    assert_eq!(lines(&submission(Vec::new())), ["there is no task in it"]);
    let twice = submission(vec![item("a", &[]), item("a", &[])]);
    assert_eq!(lines(&twice), [r#"task "a": name = "a": item 0 of the graph has this name"#]);
    let limits = AdmissionLimits { items: 1, dependencies_per_item: 1, ..AdmissionLimits::default() };
    let large = submission(vec![item("a", &[]), item("b", &[0, 0])]);
    let problems = check_within(&large, &limits).unwrap_err().problems;
    let lines: Vec<_> = problems.iter().map(|problem| problem.line(&large)).collect();
    assert_eq!(
        lines,
        [
            "2 items: must have at most 1 items: split it, or use arrays",
            r#"task "b": after = 2 dependencies: must be at most 1 dependencies"#,
        ]
    );
}

#[test]
fn conditions_that_nobody_could_have_written_are_refused() {
    let mut one = spec("a");
    let wrong = Condition { label: "os family".into(), test: Test::Exists };
    one.constraints.require = vec![wrong, Condition::is("os", "macos")];
    one.constraints.prefer = vec![Preference { on: Condition::is("rack", ""), weight: 101 }];
    let lines = lines(&submission(vec![Item::new(one)]));
    assert!(lines[0].starts_with(r#"task "a": require = "os family": must be a condition"#), "{lines:?}");
    assert!(lines[1].starts_with(r#"task "a": prefer = "rack=": a label's value has 1 to 100"#), "{lines:?}");
    assert!(lines[2].starts_with(r#"task "a": prefer = 101: must be"#), "{lines:?}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn arrays_have_an_index_at_least_and_none_beyond_the_largest_number() {
    let array = |first, count, parallel_limit| {
        let mut one = item("a", &[]);
        one.array = Some(ArraySpec { first, count, parallel_limit });
        lines(&submission(vec![one])).join("\n")
    };
    assert_eq!(array(5, 0, Some(1)), r#"task "a": array = 0 from 5: must have at least 1 index"#);
    assert_eq!(array(0, 1, Some(0)), r#"task "a": array = limit 0: must let at least 1 run at once"#);
    assert_eq!(
        array(u64::MAX, 1, None),
        r#"task "a": array = 1 from 18446744073709551615: the last index must be less than 18446744073709551615"#
    );
    assert_eq!(array(0, u64::MAX, None), "18446744073709551615 tasks: must make at most 10000000 tasks");
    assert_eq!(array(u64::MAX - 10, 10, None), "");
}

#[test]
fn a_gang_is_an_array_of_its_own_that_claims_nothing_and_goes_for_nobody() {
    let gang = |members: u32, array, change: Change| {
        let mut spec = TaskSpec { gang: Some(members), ..spec("a") };
        change(&mut spec);
        lines(&submission(vec![Item { array, ..Item::new(spec) }])).join("\n")
    };
    let own = |members| Some(ArraySpec::of_gang(members));
    assert_eq!(gang(3, own(3), |_| ()), "");
    assert_eq!(gang(1, own(1), |_| ()), r#"task "a": gang = 1: must be 2 to 64 machines"#);
    assert_eq!(gang(65, own(65), |_| ()), r#"task "a": gang = 65: must be 2 to 64 machines"#);
    for array in [None, own(2), own(3).map(|array| ArraySpec { parallel_limit: Some(3), ..array })] {
        let told = gang(3, array, |_| ());
        assert!(
            told.ends_with("is an array of its own: its indices are from 0, and all run at once"),
            "{told}"
        );
    }
    let told = gang(2, own(2), |spec| spec.is_preemptible = true);
    assert!(told.starts_with(r#"task "a": gang = 2: cannot be preemptible"#), "{told}");
    let told = gang(2, own(2), |spec| {
        let lock = [("repo".into(), crate::claims::Mode::Exclusive)].into();
        spec.claims = Some(Arc::new(crate::claims::Claims { locks: lock, ..Default::default() }));
    });
    assert_eq!(told, r#"task "a": gang = 2: cannot claim locks, pools, amounts or rates"#);
}

#[test]
fn a_gang_for_which_too_few_machines_are_named_is_refused_whoever_joins() {
    let gang = |require: &[&str]| {
        let require = require.iter().map(|one| one.parse().unwrap()).collect();
        let constraints = crate::constraint::Constraints::requiring(require);
        let spec = TaskSpec { gang: Some(2), constraints, ..spec("a") };
        lines(&submission(vec![Item { array: Some(ArraySpec::of_gang(2)), ..Item::new(spec) }])).join("\n")
    };
    let told =
        |most| format!(r#"task "a": gang = 2: needs as many machines, and its conditions name {most}"#);
    assert_eq!(gang(&["node=mac-1"]), told(1));
    assert_eq!(gang(&["node in mac-1,mac-2", "node in mac-2,mac-3"]), told(1));
    assert_eq!(gang(&["node in mac-1,mac-2", "node!=mac-1"]), told(1));
    assert_eq!(gang(&["node=mac-1", "node=mac-2"]), told(0));
    for possible in [&["node in mac-1,mac-2"][..], &["node!=mac-1"], &["rack=left"]] {
        assert_eq!(gang(possible), "", "{possible:?}");
    }
}

#[test]
fn what_is_not_listed_of_many_problems_is_counted() {
    let items = (0..250).map(|number| item(&number.to_string(), &[9999])).collect();
    let rejection = check(&submission(items)).unwrap_err();
    assert_eq!((rejection.problems.len(), rejection.more), (PROBLEMS_LIMIT, 150));
}

#[test]
fn there_is_room_up_to_the_limit_and_always_where_nobody_waits() {
    let limits = AdmissionLimits { waiting_tasks: 10_000, ..AdmissionLimits::default() };
    let wait = |waiting, new| room(waiting, new, &limits).err().map(|busy| busy.retry_after.as_secs());
    assert_eq!((wait(9_000, 1_000), wait(0, 50_000)), (None, None));
    assert_eq!((wait(10_000, 1), wait(10_000, 2_500), wait(u64::MAX, 1)), (Some(1), Some(3), Some(60)));
    assert_eq!(
        room(10_000, 1, &limits).unwrap_err().to_string(),
        "10000 tasks are waiting and 1 more would exceed the limit of 10000"
    );
}

proptest! {
    #[test]
    fn a_cycle_is_found_where_there_is_one_and_only_there(
        edges in prop::collection::vec((0_u32..12, 0_u32..12), 0..20),
    ) {
        let mut items: Vec<_> = (0..12).map(|number| item(&number.to_string(), &[])).collect();
        for (from, to) in edges {
            items[from as usize].dependencies.push(to.into());
        }
        // Tasks that wait for nobody are taken away until none is left, or none can go.
        let mut left: std::collections::BTreeSet<u32> = (0..12).collect();
        loop {
            let waits = |one: &u32| items[*one as usize].dependencies.iter().any(|on| on.place().is_some_and(|on| on != *one && left.contains(&on)));
            let stay: std::collections::BTreeSet<_> = left.iter().copied().filter(waits).collect();
            if stay.len() == left.len() {
                break;
            }
            left = stay;
        }
        let found = cycle::find(&items);
        prop_assert_eq!(found.is_none(), left.is_empty());
        for (place, one) in found.iter().flatten().enumerate() {
            let cycle = found.as_ref().unwrap();
            let next = u32::try_from(cycle[(place + 1) % cycle.len()]).unwrap();
            prop_assert!(items[*one].dependencies.contains(&next.into()));
        }
    }
}

fn existing() -> Existing {
    let mut existing = Existing::default();
    let array = |name| Item {
        array: Some(ArraySpec { first: 0, count: 3, parallel_limit: None }),
        ..item(name, &[])
    };
    existing.push(TaskId(10), &item("a", &[]));
    existing.push(TaskId(11), &array("many"));
    existing.push(TaskId(20), &item("z", &[]));
    existing
}

fn needing(name: &str, on: On) -> Item {
    Item { dependencies: vec![Dependency { on, needs: Need::End }], ..item(name, &[]) }
}

#[test]
fn what_is_added_names_what_is_there_and_what_comes_with_it() {
    let items = vec![
        needing("b", On::Name("many".into())),
        needing("c", On::Task(TaskId(20))),
        needing("d", On::Name("b".into())),
        item("e", &[2]),
    ];
    let mut adding = Submission { into: Some(GraphId(10)), ..submission(items) };
    find_own_names(&mut adding);
    assert_eq!(check(&adding), Ok(()));
    let placed = place(&adding, &existing(), &AdmissionLimits::default()).unwrap();
    let places: Vec<_> = placed.iter().map(|item| item.dependencies[0].place().unwrap()).collect();
    assert_eq!(places, [1, 2, 3, 5]);
    assert_eq!(placed[0].dependencies[0].needs, Need::End);
}

#[test]
fn everything_that_does_not_go_with_the_graph_is_named() {
    let items = vec![
        item("a", &[]),
        needing("b", On::Name("nobody".into())),
        needing("c", On::Task(TaskId(12))),
        needing("d", On::Task(TaskId(21))),
    ];
    let adding = Submission { into: Some(GraphId(10)), ..submission(items) };
    let limits = AdmissionLimits { items: 5, tasks: 6, ..AdmissionLimits::default() };
    let problems = place(&adding, &existing(), &limits).unwrap_err().problems;
    let found: Vec<_> = problems.iter().map(|problem| problem.line(&adding)).collect();
    assert_eq!(
        found,
        [
            "7 items with those that are there: a graph has at most 5",
            "9 tasks with those that are there: a graph makes at most 6",
            r#"task "a": name = "a": t10 of the graph has this name: choose another"#,
            r#"task "b": after = "nobody": no task or array of the graph has this name"#,
            r#"task "c": after = t12: is no task of the graph, or one of an array's: name the array"#,
            r#"task "d": after = t21: is no task of the graph"#,
        ]
    );
    let alone = Submission { into: None, ..adding };
    assert_eq!(
        lines(&alone),
        [
            r#"task "b": after = "nobody": no task of the graph has this name"#,
            r#"task "c": after = t12: only what is added to a graph can name tasks of it"#,
            r#"task "d": after = t21: only what is added to a graph can name tasks of it"#,
        ]
    );
}

#[test]
fn a_cycle_among_what_is_added_is_named_in_full() {
    let items = vec![needing("b", On::Name("c".into())), needing("c", On::Name("b".into()))];
    let mut adding = Submission { into: Some(GraphId(10)), ..submission(items) };
    find_own_names(&mut adding);
    assert_eq!(
        lines(&adding),
        [
            r#"task "b": after = "b" → "c" → "b": must not lead back to the task itself (each waits for the next)"#
        ]
    );
}

fn of_workspace(source: Source, directory: &str) -> String {
    lines_of(|spec| {
        let workspace = Workspace { source, keep: Keep::Unsaved, private_home: false };
        (spec.workspace, spec.directory) = (Some(Box::new(workspace)), Some(directory.into()));
    })
}

#[test]
fn a_workspace_is_made_of_absolute_paths_and_what_git_takes_for_a_commit() {
    let worktree = |repository: &str, commit: &str| {
        let (repository, commit) = (repository.into(), commit.into());
        of_workspace(Source::Worktree { repository, commit }, "sub")
    };
    assert_eq!(worktree("/repo", "origin/main~2"), "");
    assert!(worktree("repo", "main").contains("workspace.worktree = \"repo\": must be an absolute path"));
    for commit in ["", "--upload-pack=x", "a b", "a\nb", &"x".repeat(251)] {
        assert!(worktree("/repo", commit).contains("workspace.commit"), "{commit:?}");
    }
    let copy = |of: &str| of_workspace(Source::Copy { of: of.into() }, "a/..b");
    assert_eq!(copy("/src"), "");
    assert!(copy("/s\0rc").contains("workspace.copy"));
    for directory in ["/abs", "..", "a/../../b"] {
        assert!(of_workspace(Source::Scratch, directory).contains("within the workspace"), "{directory}");
    }
}

#[test]
fn what_is_given_has_names_of_files_and_of_variables_and_walls_need_a_workspace() {
    use crate::provision::{Provision, SECRETS_LIMIT, Sandbox, Secret};
    let given = |provision: Provision| lines_of(|spec| spec.provision = Some(Box::new(provision)));
    let secrets = |secrets: Vec<Secret>| given(Provision { secrets, ..Provision::default() });
    let named = |name: &str, variable: &str| Secret { name: name.into(), variable: variable.into() };
    assert_eq!(secrets(vec![Secret::new("npm-token"), Secret::new("b")]), "");
    assert!(secrets(vec![named("../x", "A")]).contains("secrets = \"../x\": must be 1 to 63 of a-z"));
    assert!(
        secrets(vec![named("x", "A=B")]).contains("secrets = \"A=B\": must be 1 to 100 of A-Z a-z 0-9 _")
    );
    assert!(
        secrets(vec![Secret::new("a-b"), Secret::new("a.b")]).contains("secret \"a-b\" has this variable")
    );
    let many = (0..=SECRETS_LIMIT).map(|number| Secret::new(&format!("s{number}"))).collect();
    assert!(secrets(many).contains("secrets = 17: must be at most 16"));
    let walls = given(Provision { sandbox: Some(Sandbox::Workspace), ..Provision::default() });
    assert!(walls.contains("sandbox = \"workspace\": needs a workspace of its own"), "{walls}");
}

#[test]
fn what_a_task_says_of_itself_fits_a_line_and_a_phase_is_one_of_four() {
    use crate::task::{About, Evaluation, LABEL_LIMIT_BYTES, TASK_LABELS_LIMIT};
    let said = |about: About| lines_of(|spec| spec.about = Some(Box::new(about)));
    let labelled = |name: &str, value: &str| {
        said(About { labels: [(name.into(), value.into())].into(), ..About::default() })
    };
    assert_eq!(labelled("team", "red & blue"), "");
    assert!(labelled("Team", "red").contains("labels = \"Team\": must be 1 to 63 of a-z"));
    assert!(labelled("team", "a\nb").contains("labels.team = \"a\\nb\": must be 1 to 200 bytes"));
    assert!(labelled("team", &"x".repeat(LABEL_LIMIT_BYTES + 1)).contains("labels.team"));
    let many = (0..=TASK_LABELS_LIMIT).map(|one| (format!("l{one}").into(), "x".into())).collect();
    assert!(said(About { labels: many, ..About::default() }).contains("labels = 17: must be at most 16"));
    let goal = |text: &str| said(About { goal: Some(text.into()), ..About::default() });
    assert_eq!(goal("two lines\nof it"), "");
    assert!(
        goal(" ").contains("goal = \" \": must be 1 to 500 characters")
            && goal(&"x".repeat(501)).contains("goal")
    );
    let judged = |evaluation: Evaluation| said(About { evaluation: Some(evaluation), ..About::default() });
    let phase = |phase: u8| judged(Evaluation { phase: Some(phase), ..Evaluation::default() });
    assert!([1, 2, 3, 4].into_iter().all(|one| phase(one).is_empty()));
    assert!(
        phase(0).contains("evaluation.phase = 0: must be between 1 and 4")
            && phase(5).contains("evaluation.phase")
    );
    let rubric = Evaluation { rubric: Some("".into()), ..Evaluation::default() };
    assert!(judged(rubric).contains("evaluation.rubric"));
}

#[test]
fn a_usual_timeout_is_given_to_tasks_that_say_none_of_their_own() {
    use crate::bounds::TimeBounds;
    let of = |timeout: Option<u64>, soft: Option<u64>| {
        let bounds = TimeBounds { soft_timeout: soft.map(Duration::from_secs), ..TimeBounds::default() };
        let timeout = timeout.map(Duration::from_secs);
        Item::new(TaskSpec {
            timeout,
            bounds: Some(Box::new(bounds)),
            ..TaskSpec::new("t", vec!["true".into()])
        })
    };
    let items = vec![of(None, None), of(Some(7), None), of(None, Some(10)), of(None, Some(300))];
    let mut submission = Submission::new(SubmissionKey(1), "g", items);
    give_usual_timeout(&mut submission, Duration::from_secs(300));
    let limits = submission.items.iter().map(|item| item.spec.timeout.map(|limit| limit.as_secs()));
    assert_eq!(limits.collect::<Vec<_>>(), [Some(300), Some(7), Some(300), None]);
}
