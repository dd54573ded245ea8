//! Whole files: what they become, and what is said of wrong ones, word for word.

use std::time::Duration;

use policy::bounds::{Deadline, TimeBounds};
use policy::budget::{Budget, OnReached};
use policy::dependency::{Dependency, Need, On};
use policy::event::ArraySpec;
use policy::resources::Resources;
use policy::task::{Priority, RetryPolicy, Signals, TaskSpec};
use policy::time::Timestamp;
use policy::workspace::{Keep, Source, Workspace};
use proptest::prelude::*;

use super::*;

fn context() -> Context {
    Context {
        directory: "/srv/repo".into(),
        name: "build".into(),
        tenant: "ann".into(),
        key: SubmissionKey(7),
        into: None,
        parameters: Given::new(),
    }
}

fn read(text: &str) -> Submission {
    parse(text, Path::new("build.toml"), &context()).unwrap_or_else(|refused| panic!("{refused}"))
}

fn filled(text: &str, given: &[(&str, &str)]) -> Result<Submission, String> {
    let parameters = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let context = Context { parameters, ..context() };
    parse(text, Path::new("build.toml"), &context).map_err(|refused| refused.to_string())
}

fn faults(text: &str) -> String {
    parse(text, Path::new("build.toml"), &context()).expect_err("a wrong file").to_string()
}

const NIGHTLY: &str = r#"
    name = "nightly"
    [defaults]
    env = { RUST_LOG = "info", JOBS = 2 }
    cpus = 0.5
    retries = 2
    timeout = "5m"
    resources = { license = 1 }
    [task.test]
    command = ["cargo", "test"]
    after = ["build"]
    array = "1-4%2"
    memory = "2 GiB"
    gpu = 1
    priority = "High"
    env = { JOBS = 4 }
    [task.build]
    shell = "make && make install"
    directory = "../lib"
    timeout = "1h30m"
    grace = 10
    tenant = "bob"
    resources = { disk = 3 }
    retry = { attempts = 5, backoff = "1s", factor = 1.5, backoff_limit = "1m", exit_codes = [75], signals = [15], timeouts = false, spawn_failures = true, losses = 2 }
"#;

#[test]
fn a_gang_is_read_as_the_array_that_it_is_and_not_beside_another_one() {
    let item = &read("[task.ring]\ncommand = [\"ring\"]\ngang = 3\n").items[0];
    assert_eq!((item.spec.gang, item.array), (Some(3), Some(ArraySpec::of_gang(3))));
    let told = faults("[task.ring]\ncommand = [\"ring\"]\ngang = 3\narray = \"1-4\"\n");
    assert!(told.contains("stands beside array: a gang is an array of its own, keep one of them"), "{told}");
    let told = faults("[task.ring]\ncommand = [\"ring\"]\ngang = 1\n");
    assert!(told.contains("gang = 1: must be"), "{told}");
}

#[test]
fn a_task_for_a_handler_is_a_message_and_takes_no_defaults_of_commands() {
    let text = "[defaults]\ncpus = 4\nmemory_limit = \"1 GiB\"\nqos = \"utility\"\nworkspace = \"scratch\"\nkind = \"x\"\n\
                timeout = \"5s\"\n[task.a]\nhandler = \"resize\"\npayload = { width = 640, ratio = 0.5, of = [\"a\", true] }\n\
                [task.b]\nhandler = \"resize\"\npayload = \"as it is\"\n[task.c]\nhandler = \"resize\"\nkind = \"own\"";
    let submission = read(text);
    let spec = &submission.items[0].spec;
    assert_eq!(spec.argv[0].to_string(), r#"{"of":["a",true],"ratio":0.5,"width":640}"#);
    assert_eq!((spec.handler(), spec.kind.as_deref()), (Some("resize"), Some("resize")));
    let message = TaskSpec::for_handler("a", "resize", spec.argv[0].clone());
    let only = TaskSpec { timeout: spec.timeout, tenant: spec.tenant.clone(), ..message };
    assert_eq!((**spec).clone(), only);
    assert_eq!(submission.items[1].spec.argv[0].to_string(), "as it is");
    assert_eq!(
        (submission.items[2].spec.argv[0].len(), submission.items[2].spec.kind.as_deref()),
        (0, Some("own"))
    );
    let wrong = faults(
        "[task.a]\nhandler = \"x\"\nshell = \"y\"\ncpus = 2\npayload = { at = 1979-05-27 }\n[task.b]\ncommand = [\"y\"]\npayload = 1",
    );
    for said in [
        "build.toml:2: task \"a\": handler: stands beside command or shell",
        "build.toml:4: task \"a\": cpus: is for commands",
        "JSON has no dates",
        "build.toml:8: task \"b\": payload: needs a handler",
    ] {
        assert!(wrong.contains(said), "{said}: {wrong}");
    }
}

#[test]
fn tasks_stand_in_the_order_of_the_file_and_take_the_defaults() {
    let submission = read(NIGHTLY);
    assert_eq!((&*submission.name, submission.key), ("nightly", SubmissionKey(7)));
    let test = &submission.items[0];
    assert_eq!(test.dependencies, [1.into()]);
    assert_eq!(test.array, Some(ArraySpec { first: 1, count: 4, parallel_limit: Some(2) }));
    let spec = &test.spec;
    assert_eq!((&*spec.name, &*spec.tenant, spec.priority), ("test", "ann", Priority::High));
    assert_eq!(spec.argv, ["cargo".into(), "test".into()]);
    assert_eq!(spec.directory, Some("/srv/repo".into()));
    assert_eq!(spec.environment, [("RUST_LOG".into(), "info".into()), ("JOBS".into(), "4".into())]);
    let resources = &spec.resources;
    assert_eq!((resources.cpu_millis, resources.memory_bytes, resources.gpu_slots), (500, 2 << 30, 1));
    assert_eq!(spec.retry, RetryPolicy { max_attempts: 3, ..RetryPolicy::default() });
    assert_eq!((spec.timeout, spec.grace), (Some(Duration::from_secs(300)), policy::task::DEFAULT_GRACE));
}

#[test]
fn a_workspace_is_read_and_a_directory_is_seen_from_it() {
    let text = "[defaults]\nworkspace = \"scratch\"\nprivate_home = true\n\
                [task.a]\nshell = \"x\"\ndirectory = \"sub\"\n\
                [task.b]\nshell = \"x\"\nworkspace = { worktree = \"../other\", commit = \"v1\" }\nworkspace_keep = \"always\"\n\
                [task.c]\nshell = \"x\"\nworkspace = { copy = \"data\" }\nprivate_home = false\n\
                [task.d]\nshell = \"x\"\nworkspace = { worktree = \".\" }\n\
                [task.e]\nshell = \"x\"\nworkspace = \"shared\"\ndirectory = \"sub\"";
    let items = read(text).items;
    let of = |place: usize| {
        let spec = &items[place].spec;
        (spec.workspace.as_deref().cloned(), spec.directory.as_ref().map(ToString::to_string))
    };
    let own = |source, keep, private_home| Some(Workspace { source, keep, private_home });
    let worktree =
        |path: &str, commit: &str| Source::Worktree { repository: path.into(), commit: commit.into() };
    assert_eq!(of(0), (own(Source::Scratch, Keep::Unsaved, true), Some("sub".into())));
    assert_eq!(of(1), (own(worktree("/srv/other", "v1"), Keep::Always, true), None));
    assert_eq!(of(2), (own(Source::Copy { of: "/srv/repo/data".into() }, Keep::Unsaved, false), None));
    assert_eq!(of(3), (own(worktree("/srv/repo", "HEAD"), Keep::Unsaved, true), None));
    assert_eq!(of(4), (None, Some("/srv/repo/sub".into())));
    for (field, expected) in [
        ("workspace = \"sratch\"", "must be \"shared\", \"scratch\", or a table"),
        ("workspace = { commit = \"main\" }", "must be \"shared\", \"scratch\", or a table"),
        ("workspace = { copy = \"a\", worktree = \"b\" }", "must be \"shared\", \"scratch\", or a table"),
        ("workspace = \"scratch\"\nworkspace_keep = \"maybe\"", "must be one of \"unsaved\", \"on_failure\""),
        ("workspace = \"scratch\"\ndirectory = \"/tmp\"", "must be a path within the workspace"),
        ("workspace_keep = \"always\"", "needs a workspace of its own"),
        ("private_home = true", "needs a workspace of its own"),
    ] {
        let wrong = faults(&format!("[task.a]\nshell = \"x\"\n{field}"));
        assert!(wrong.contains(expected), "{field}: {wrong}");
    }
}

#[test]
fn what_is_said_of_time_is_read() {
    let text = "[defaults]\nidle_timeout = 90\ndeadline = \"2h\"\n\
                [task.a]\nshell = \"x\"\nsoft_timeout = \"4m\"\nqueue_timeout = \"1h\"\n\
                [task.b]\nshell = \"x\"\ndeadline = \"1970-01-01T00:00:02+00:00\"";
    let bounds: Vec<_> = read(text).items.iter().map(|item| *item.spec.bounds.clone().unwrap()).collect();
    let length = |seconds| Some(Duration::from_secs(seconds));
    let a = TimeBounds {
        soft_timeout: length(240),
        idle_timeout: length(90),
        queue_timeout: length(3600),
        deadline: Some(Deadline::After(Duration::from_secs(7200))),
    };
    let deadline = Some(Deadline::At(Timestamp(2_000_000)));
    assert_eq!(bounds, [a, TimeBounds { idle_timeout: length(90), deadline, ..TimeBounds::default() }]);
    let wrong = faults("[task.a]\nshell = \"x\"\ndeadline = \"soon\"");
    assert!(
        wrong.contains("deadline = \"soon\": must be a length of time from the submission on"),
        "{wrong}"
    );
    let wrong = faults("[task.a]\nshell = \"x\"\ntimeout = \"4m\"\nsoft_timeout = \"4m\"");
    assert!(
        wrong.contains("4: task \"a\": soft_timeout = 240s: must be shorter than timeout, 240s"),
        "{wrong}"
    );
}

#[test]
fn what_a_task_says_itself_goes_before_the_defaults() {
    let submission = read(NIGHTLY);
    let spec = &submission.items[1].spec;
    assert_eq!(spec.argv, ["/bin/sh".into(), "-c".into(), "make && make install".into()]);
    assert_eq!((spec.directory.as_ref(), &*spec.tenant), (Some(&"/srv/lib".into()), "bob"));
    assert_eq!((spec.timeout, spec.grace), (Some(Duration::from_secs(5400)), Duration::from_secs(10)));
    assert_eq!(spec.resources.named, [("disk".into(), 3), ("license".into(), 1)].into());
    assert_eq!((spec.retry.max_attempts, spec.retry.factor_percent), (5, 150));
    assert_eq!(spec.retry.retryable_exit_codes, [75]);
    assert_eq!(spec.retry.signals, Signals::These(vec![15]));
    assert_eq!((spec.retry.timeouts, spec.retry.spawn_failures, spec.retry.losses), (false, true, 2));
}

#[test]
fn the_examples_are_whole() {
    let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"));
    for (name, items) in [("hello", 1), ("diamond", 4), ("array", 2), ("shards", 2), ("workspace", 9)] {
        let file = examples.join(name).with_extension("toml");
        let submission = read_file(&file, "ann".into(), (SubmissionKey(1), None), Given::new());
        assert_eq!(submission.map(|submission| submission.items.len()), Ok(items), "{name}");
    }
}

#[test]
fn json_says_the_same() {
    let toml = read(
        "[task.a]\ncommand = [\"x\"]\nafter = \"b\"\narray = { from = 1, to = 3 }\n[task.b]\nshell = \"y\"",
    );
    let json = r#"{"$schema": "s", "task": {
        "a": {"command": ["x"], "after": "b", "array": {"from": 1, "to": 3}, "timeout": null},
        "b": {"shell": "y"}}}"#;
    assert_eq!(parse(json, Path::new("build"), &context()), Ok(toml));
}

/// Each wrong file, and the one thing that is said of it after `build.toml:`.
const WRONG: &[(&str, &str)] = &[
    ("", " there is no task; the smallest file is: [task.hello] command = [\"echo\", \"hello\"]"),
    (
        "x = 1\n[task.a]\nshell = \"true\"",
        "1: x: no such field; there are $schema, name, parameters, defaults, retry_budget, budget, task",
    ),
    ("nmae = 1\n[task.a]\nshell = \"true\"", "1: nmae: no such field; did you mean \"name\"?"),
    (
        "[task.a]\nshell = \"true\"\ntimeuot = 1",
        "3: task \"a\": timeuot: no such field; did you mean \"timeout\"?",
    ),
    ("[task.a]", "1: task \"a\": command: is missing (or shell, for a line that a shell reads)"),
    (
        "[task.a]\nshell = \"x\"\ncommand = [\"x\"]",
        "2: task \"a\": shell: stands beside command: keep one of them",
    ),
    ("[task.a]\nshell = 1", "2: task \"a\": shell = 1: must be a text that is not empty"),
    (
        "[task.a]\ncommand = \"cargo test\"",
        "2: task \"a\": command = \"cargo test\": must be a list of texts: the program and its arguments, such as \
         [\"make\", \"-j2\"]; for a line that a shell reads write shell = \"…\"",
    ),
    (
        "[task.a]\ncommand = [\"x\", 1]",
        "2: task \"a\": command = 1: must be a text: arguments stand in quotes",
    ),
    (
        "[task.test]\nshell = \"x\"\ncpus = -1",
        "3: task \"test\": cpus = -1: must be between 0.001 and 1,000,000 in steps of 0.001",
    ),
    (
        "[task.a]\nshell = \"x\"\ncpus = nan",
        "3: task \"a\": cpus = nan: must be between 0.001 and 1,000,000 in steps of 0.001",
    ),
    (
        "[task.a]\nshell = \"x\"\nmemory = \"4 XB\"",
        "3: task \"a\": memory = \"4 XB\": must be a size such as \"512 MB\" or \"4 GiB\", or a number of bytes",
    ),
    (
        "[task.a]\nshell = \"x\"\nmemory = \"2048 TiB\"",
        "3: task \"a\": memory = \"2048 TiB\": must not be larger than 1 PiB",
    ),
    (
        "[task.a]\nshell = \"x\"\ngpu = 1.5",
        "3: task \"a\": gpu = 1.5: must be a whole number between 0 and 1,000,000",
    ),
    (
        "[task.a]\nshell = \"x\"\nresources = { disk = -1 }",
        "3: task \"a\": resources.disk = -1: must be a whole number from 0",
    ),
    (
        "[task.a]\nshell = \"x\"\npriority = \"urgent\"",
        "3: task \"a\": priority = \"urgent\": must be one of low, normal, high, critical",
    ),
    (
        "[task.a]\nshell = \"x\"\ntimeout = \"5 minutes\"",
        "3: task \"a\": timeout = \"5 minutes\": must be a length of time such as \"90s\", \"5m\" or \"1h30m\" (units: \
         ms, s, m, h, d)",
    ),
    (
        "[task.a]\nshell = \"x\"\ngrace = \"400d\"",
        "3: task \"a\": grace = \"400d\": must not be longer than 366 days",
    ),
    (
        "[task.a]\nshell = \"x\"\nretries = -1",
        "3: task \"a\": retries = -1: must be a whole number between 0 and 999",
    ),
    (
        "[task.a]\nshell = \"x\"\nretries = 1\nretry = { attempts = 2 }",
        "4: task \"a\": retry: stands beside retries: keep one of them",
    ),
    (
        "[task.a]\nshell = \"x\"\n[task.a.retry]\nattempts = 0",
        "4: task \"a\": retry.attempts = 0: must be a whole number between 1 and 1,000",
    ),
    (
        "[task.a]\nshell = \"x\"\nretry.exit_codes = [0]",
        "3: task \"a\": retry.exit_codes = 0: must be a whole number between 1 and 255",
    ),
    (
        "[task.a]\nshell = \"x\"\nretry.factor = 0.5",
        "3: task \"a\": retry.factor = 0.5: must be between 1 and 1000",
    ),
    (
        "[task.a]\nshell = \"x\"\narray = \"9-1\"",
        "3: task \"a\": array = \"9-1\": must be the first and last index, such as \"1-1000\", with \"%4\" behind for \
         at most 4 at once",
    ),
    ("[task.a]\nshell = \"x\"\nenv = { A = [1] }", "3: task \"a\": env = [1]: variable \"A\" must be a text"),
    (
        "[task.build]\nshell = \"x\"\n[task.b]\nshell = \"x\"\nafter = [\"biuld\"]",
        "5: task \"b\": after = \"biuld\": no such task; did you mean \"build\"?",
    ),
    (
        "[task.a]\nshell = \"x\"\nafter = [\"elsewhere\"]",
        "3: task \"a\": after = \"elsewhere\": no such task in this file",
    ),
    (
        "[task.a]\nshell = \"x\"\n[task.b]\nshell = \"y\"\n[task.a]\nshell = \"z\"",
        "5: a is there twice; the first is on line 1",
    ),
    ("[task.a]\nshell = \"x\"\ncpus = 1\nshell = \"y\"", "4: shell is there twice; the first is on line 2"),
    (
        "[[task]]\nname = \"a\"",
        "1: task = [[task]]: must be a table for each task under its name: [task.NAME]",
    ),
    ("[task]\na = 1", "2: task \"a\": must be a table"),
    ("defaults = 1\n[task.a]\nshell = \"x\"", "1: defaults = 1: must be a table"),
];

#[test]
fn each_fault_is_named_by_line_field_and_value() {
    for (text, expected) in WRONG {
        assert_eq!(faults(text), format!("build.toml:{expected}"), "of {text:?}");
    }
}

#[test]
fn every_fault_of_a_file_is_listed_in_order() {
    let text = "[task.a]\nshell = \"x\"\ncpus = 0\nafter = [\"c\"]\n[task.b]\ncommand = []\nspeed = 3\n";
    let lines: Vec<String> = faults(text).lines().map(|line| line.chars().take(38).collect()).collect();
    assert_eq!(
        lines,
        [
            "build.toml:3: task \"a\": cpus = 0: must",
            "build.toml:4: task \"a\": after = \"c\": n",
            "build.toml:6: task \"b\": command = []: ",
            "build.toml:7: task \"b\": speed: no such",
        ]
    );
}

#[test]
fn syntax_errors_are_listed_by_line() {
    let refused = faults("[task.a]\nshell = \n\n[task.b\nshell = \"x\"\n");
    assert!(refused.starts_with("build.toml:2: "), "{refused}");
    assert!(refused.contains("\nbuild.toml:4: "), "{refused}");
}

#[test]
fn what_is_wrong_many_times_on_one_line_is_said_once() {
    let refused = faults(&format!("[task.a]\ncommand = {}\n", "[".repeat(2000)));
    assert!(refused.lines().count() < 5, "{refused}");
    assert!(refused.starts_with("build.toml:2: "), "{refused}");
}

#[test]
fn what_is_not_shown_of_many_faults_is_counted() {
    let mut text = String::new();
    for index in 0..FAULT_LIMIT + 5 {
        text.push_str(&format!("[task.t{index}]\n"));
    }
    assert!(faults(&text).ends_with("\nand 5 more"));
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(100_000_000).unwrap();
    let refused = read_file(file.path(), "ann".into(), (SubmissionKey(1), None), Given::new()).unwrap_err();
    assert_eq!(
        refused.faults[0].to_string(),
        "has 100000000 bytes or more, the limit is 16777216; use an array for many similar tasks, or several files"
    );
}

#[test]
fn what_is_not_text_is_refused_with_its_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"[task.a]\nshell = \"\xff\"\n").unwrap();
    let refused = read_file(file.path(), "ann".into(), (SubmissionKey(1), None), Given::new()).unwrap_err();
    assert_eq!(refused.faults[0].line, 2);
    assert_eq!(refused.faults[0].expected, "not UTF-8 text: byte 18 is not; is this a task file?");
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let refused =
        read_file(Path::new("/nowhere/x.toml"), "ann".into(), (SubmissionKey(1), None), Given::new())
            .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "/nowhere/x.toml: cannot be opened: No such file or directory (os error 2)"
    );
}

#[test]
fn paths_and_names_come_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nightly.toml");
    std::fs::write(&file, "[task.a]\nshell = \"x\"\ndirectory = \"./sub/.\"\n").unwrap();
    let submission = read_file(&file, "ann".into(), (SubmissionKey(1), None), Given::new()).unwrap();
    assert_eq!(&*submission.name, "nightly");
    assert_eq!(submission.items[0].spec.directory, Some(path_text(&directory.path().join("sub"))));
}

#[test]
fn what_a_graph_may_use_up_is_said_once_for_all_its_tasks() {
    let submission = read(
        "retry_budget = 20\n[budget]\ntime = \"8h\"\nattempts = 100\ncost = 5\non_reached = \"cancel\"\n[task.a]\nshell = \"x\"",
    );
    let (wall, on_reached) = (Duration::from_hours(8), OnReached::Cancel);
    let expected = Budget { wall, attempts: 100, cost: 5, retries: 20, on_reached, ..Budget::default() };
    assert_eq!(submission.budget, expected);
    assert!(read("[task.a]\nshell = \"x\"").budget.is_unlimited());
}

#[test]
fn what_a_task_waits_for_is_a_name_or_says_how_it_must_end() {
    let text = r#"
        [task.a]
        shell = "true"
        [task.b]
        shell = "true"
        after = ["a", { task = "a", needs = "End" }, "a"]
        [task.c]
        shell = "true"
        after = { task = "b", needs = "always" }
        [task.d]
        shell = "true"
        [[task.d.after]]
        task = "c"
    "#;
    let submission = read(text);
    let of = |place: usize| submission.items[place].dependencies.clone();
    assert_eq!(of(1), [0.into(), Dependency::item(0, Need::End)]);
    assert_eq!((of(2), of(3)), (vec![Dependency::item(1, Need::Always)], vec![2.into()]));
}

#[test]
fn a_wrong_need_and_a_nameless_dependency_are_named_by_line() {
    let text = "[task.a]\nshell = \"x\"\nafter = [{ task = \"b\", needs = \"sucess\" },\n{ needs = \"end\" },\n\
                7, { tsk = \"b\" }]\n[task.b]\nshell = \"x\"\n";
    assert_eq!(
        faults(text),
        "build.toml:3: task \"a\": after.needs = \"sucess\": must be one of success, end, always\n\
         build.toml:4: task \"a\": after = {…}: names no task: task = NAME\n\
         build.toml:5: task \"a\": after = 7: must be a name, { task = NAME, needs = \"success\", \"end\" or \
         \"always\" }, or a list of these\n\
         build.toml:5: task \"a\": after.tsk: no such field; did you mean \"task\"?"
    );
}

#[test]
fn names_of_a_graph_that_is_added_to_are_left_for_it_to_find() {
    let context = Context { into: Some(GraphId(7)), ..context() };
    let text = "[task.a]\nshell = \"x\"\nafter = [\"old\", \"b\"]\n[task.b]\nshell = \"x\"\n";
    let submission = parse(text, Path::new("more.toml"), &context).unwrap();
    assert_eq!(submission.into, Some(GraphId(7)));
    let old = Dependency { on: On::Name("old".into()), needs: Need::Success };
    assert_eq!(submission.items[0].dependencies, [old, 1.into()]);
}

#[test]
fn conditions_on_machines_are_read_and_those_of_the_defaults_are_added() {
    let text = "[defaults]\nrequire = \"os=macos\"\nprefer = \"rack=left\"\navoid_failed = \"require\"\n\
                [task.a]\nshell = \"x\"\nrequire = [\"xcode>=16\", \"os=macos\"]\nprefer = [\"50:disk = ssd\"]\n\
                near = \"9:imagenet\"\n\
                node = \"mac-1\"\n[task.b]\nshell = \"x\"\navoid_failed = \"no\"\n";
    let submission = read(text);
    let of = |place: usize| {
        let constraints = &submission.items[place].spec.constraints;
        let require: Vec<_> = constraints.require.iter().map(ToString::to_string).collect();
        let prefer: Vec<_> = constraints.prefer.iter().map(ToString::to_string).collect();
        (require.join("; "), prefer.join("; "), constraints.avoid_failed.to_string())
    };
    let a = ("os=macos; xcode>=16; node=mac-1", "rack=left; 50:disk=ssd; 9:data/imagenet", "require");
    assert_eq!(of(0), (a.0.into(), a.1.into(), a.2.into()));
    assert_eq!(of(1), ("os=macos".into(), "rack=left".into(), "no".into()));
}

#[test]
fn who_runs_beside_it_is_read_and_what_the_defaults_say_is_added() {
    let text = "[defaults]\ngroup = \"web\"\nspread = \"node=2\"\n\
                [task.a]\nshell = \"x\"\nspread = [\"rack = 4\"]\napart = \"builds\"\nprefer_apart = [\"50:web\"]\n\
                [task.b]\nshell = \"x\"\ngroup = \"other\"\n";
    let submission = read(text);
    let of = |place: usize| {
        let company = submission.items[place].spec.constraints.company.as_deref().unwrap();
        let spread: Vec<_> = company.spread.iter().map(ToString::to_string).collect();
        let rather: Vec<_> = company.prefer_apart.iter().map(ToString::to_string).collect();
        let group = company.group.as_deref().unwrap_or_default().to_owned();
        [group, spread.join("; "), company.apart.join("; "), rather.join("; ")]
    };
    assert_eq!(of(0), ["web", "node=2; rack=4", "builds", "50:web"]);
    assert_eq!(of(1), ["other", "node=2", "", ""]);
    assert!(read("[task.a]\nshell = \"x\"\n").items[0].spec.constraints.company.is_none());
    let wrong = faults("[task.a]\nshell = \"x\"\ngroup = \"a\"\nspread = \"node\"\nprefer_apart = \"0:b\"\n");
    assert_eq!(
        wrong,
        "build.toml:4: task \"a\": spread = \"node\": must say how many at once for each value of a label, such as \
         node=1 or rack=2: from 1 to 100000\n\
         build.toml:5: task \"a\": prefer_apart = \"0:b\": a weight must be from 1 to 100, such as 50:rack=left"
    );
}

#[test]
fn alternatives_say_what_differs_from_the_rest_of_the_task() {
    let text = "[defaults]\nmemory = \"1 GiB\"\n[task.a]\nshell = \"x\"\ncpus = 4\ndisk = \"2 GiB\"\n\
                alternatives = [{ cpus = 8 }, { gpu = 1, resources = { key = 1 } }]\n\
                [task.b]\nshell = \"x\"\nalternatives = [{ cpus = -1 }, 7]\n[task.c]\nshell = \"x\"\nalternatives = []\n";
    let refused = faults(text);
    assert_eq!(
        refused,
        "build.toml:10: task \"b\": alternatives.cpus = -1: must be between 0.001 and 1,000,000 in steps of 0.001\n\
         build.toml:10: task \"b\": alternatives = 7: must be a table\n\
         build.toml:13: task \"c\": alternatives = []: must be a list of requests, the best first, such as \
         [{ cpus = 8 }, { cpus = 2, gpu = 1 }], at most 8"
    );
    let submission = read(text.split_once("[task.b]").unwrap().0);
    let spec = &submission.items[0].spec;
    let base = Resources { memory_bytes: 1 << 30, disk_bytes: 2 << 30, ..Resources::cpus(8000) };
    assert_eq!(spec.resources, base);
    let second = Resources { cpu_millis: 4000, gpu_slots: 1, named: [("key".into(), 1)].into(), ..base };
    assert_eq!(spec.alternatives, [second]);
}

#[test]
fn a_wrong_condition_is_named_by_line() {
    let text = "[task.a]\nshell = \"x\"\nrequire = [\"os=macos\",\n\"xcode>=new\"]\nprefer = \"500:x=1\"\n\
                avoid_failed = \"maybe\"\n";
    assert_eq!(
        faults(text),
        "build.toml:4: task \"a\": require = \"xcode>=new\": is compared as a version, so the value must begin with \
         a number, such as xcode>=16.2\n\
         build.toml:5: task \"a\": prefer = \"500:x=1\": a weight must be from 1 to 100, such as 50:rack=left\n\
         build.toml:6: task \"a\": avoid_failed = \"maybe\": must be one of no, prefer, require"
    );
}

#[test]
fn what_tasks_are_given_is_a_list_or_a_table_and_the_defaults_are_added() {
    let text = "[defaults]\nsecrets = [\"npm-token\"]\njobserver = true\nworkspace = \"scratch\"\n\
                [task.a]\nshell = \"x\"\nsecrets = { key = \"KEY_FILE\", npm-token = \"NPM\" }\nsandbox = \"workspace\"\n\
                [task.b]\nshell = \"x\"\njobserver = false\nsecrets = []\n\
                [task.c]\nshell = \"x\"\nworkspace = \"shared\"\nsandbox = \"workspace\"\nsecrets = [1]\n";
    let good = text.split("[task.c]").next().unwrap();
    let submission = read(good);
    let given = |place: usize| submission.items[place].spec.provision.as_deref().unwrap().clone();
    let names = |place: usize| {
        let of = |one: policy::provision::Secret| format!("{}={}", one.name, one.variable);
        given(place).secrets.into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(names(0), ["key=KEY_FILE", "npm-token=NPM"]);
    assert!(given(0).jobserver && given(0).sandbox.is_some() && !given(1).jobserver);
    assert_eq!(names(1), ["npm-token=CRAB_SECRET_NPM_TOKEN"]);
    let told = faults(text);
    assert!(told.contains("must be a list of names, or a table of the variables"), "{told}");
    assert!(told.contains("needs a workspace of its own"), "{told}");
}

#[test]
fn commands_around_a_task_are_words_or_a_line_for_the_shell() {
    let text = "[defaults]\nhooks = { before = [\"x\"], after = [[\"y\", \"z\"]] }\n\
                [task.a]\nshell = \"x\"\ngate = [\"cargo\", \"test\"]\nhooks = { before = [] }\n\
                [task.b]\ncommand = [\"x\"]\ngate = \"a && b\"\n\
                [task.c]\nshell = \"x\"\ngate = 1\nhooks = { before = [[]], after = \"x\", between = [] }\n\
                [task.d]\nhandler = \"h\"\ngate = \"x\"\n";
    let submission = read(text.split("[task.c]").next().unwrap());
    let of = |place: usize| {
        let stages = submission.items[place].spec.stages.as_deref().unwrap();
        let said = |(field, argv): (&str, &[policy::text::OsText])| {
            format!("{field} {}", argv.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        stages.commands().map(said).collect::<Vec<_>>()
    };
    assert_eq!(of(0), ["gate cargo test", "hooks.after y z"]);
    assert_eq!(of(1), ["hooks.before /bin/sh -c x", "gate /bin/sh -c a && b", "hooks.after y z"]);
    let told = faults(text);
    for expected in
        ["must be a command: a list of texts", "must be a list of commands", "between", "is for commands"]
    {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn the_published_schema_is_current() {
    let stored = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/crab-tasks.schema.json");
    let stored = std::fs::read_to_string(stored).unwrap_or_default();
    assert!(stored == schema(), "write it anew: crab schema > actors/examples/crab-tasks.schema.json");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = parse(&text, Path::new("x.toml"), &context());
        let _ = parse(&text, Path::new("x.json"), &context());
    }

    #[test]
    fn anything_that_looks_like_a_task_file_is_read_or_refused(
        lines in proptest::collection::vec(
            prop_oneof![
                Just("[task.a]".to_owned()), Just("[task.b]".to_owned()), Just("[[task.a]]".to_owned()),
                Just("[defaults]".to_owned()), Just("task.a.env = {".to_owned()),
                "(shell|cpus|after|array|retry|env|timeout|name) = (1|-1|1e400|\"x\"|\\[|\\[\\]|\\{\\}|nan|\"1-3%0\"|1979-05-27)",
            ],
            0..12,
        )
    ) {
        if let Err(refused) = parse(&lines.join("\n"), Path::new("x.toml"), &context()) {
            prop_assert!(!refused.faults.is_empty());
        }
    }
}

const TEMPLATE: &str = r#"
    [parameters]
    branch = "main"
    cores = 2
    quick = false
    goal = { help = "what is to be done" }
    [defaults]
    preemptible = "{{quick}}"
    [task."build-{{branch}}"]
    command = ["make", "{{ goal }}", "on {{branch}} with {{cores}}", "docker {{.Names}} {{"]
    cpus = "{{cores}}"
    [task.test]
    after = ["build-{{branch}}"]
    shell = "make {{goal}}"
"#;

#[test]
fn a_template_has_its_parameters_wherever_they_are_named_and_they_keep_their_types() {
    let submission =
        filled(TEMPLATE, &[("goal", "a \"b\"; $(c)\n[task.x]"), ("cores", "3"), ("quick", "true")]).unwrap();
    let [build, test] = &submission.items[..] else { panic!("two tasks") };
    assert_eq!((&*build.spec.name, build.spec.resources.cpu_millis), ("build-main", 3000));
    let words: Vec<String> = build.spec.argv.iter().map(ToString::to_string).collect();
    let goal = "a \"b\"; $(c)\n[task.x]";
    assert_eq!(words, ["make", goal, "on main with 3", "docker {{.Names}} {{"], "braces of others stay");
    assert!(build.spec.is_preemptible && test.spec.argv[2].to_string() == format!("make {goal}"));
    assert_eq!(test.dependencies[0].on, On::Item(0));
    let empty = filled(TEMPLATE, &[("goal", "")]).unwrap();
    assert_eq!(empty.items[0].spec.argv[1].to_string(), "", "nothing is a value as well");
}

#[test]
fn what_is_wrong_with_parameters_is_said_by_line_and_name() {
    assert_eq!(
        filled(TEMPLATE, &[]).unwrap_err(),
        "build.toml:2: parameters.goal: must be given (what is to be done): --set goal=VALUE"
    );
    assert_eq!(
        filled(TEMPLATE, &[("goal", "x"), ("core", "1"), ("cores", "few"), ("quick", "yes")]).unwrap_err(),
        "build.toml:2: parameters.core: no such parameter; did you mean \"cores\"?\n\
         build.toml:2: parameters.cores = few: must be a number, as its usual value is\n\
         build.toml:2: parameters.quick = yes: must be true or false, as its usual value is"
    );
    let plain = "[task.a]\ncommand = [\"{{x}}\"]";
    assert_eq!(
        filled(plain, &[("x", "1")]).unwrap_err(),
        "build.toml: parameters.x: the file has no parameters"
    );
    assert_eq!(filled(plain, &[]).unwrap().items[0].spec.argv[0].to_string(), "{{x}}", "no template");
    let unknown = format!("[parameters]\ny = 1\n{plain}");
    assert_eq!(
        filled(&unknown, &[]).unwrap_err(),
        "build.toml:4: parameters.x: is named here and not in [parameters]; there are y"
    );
    let strange = "parameters = { y = [1] }\n[task.a]\ncommand = [\"x\"]";
    assert!(
        filled(strange, &[])
            .unwrap_err()
            .starts_with("build.toml:1: parameters.y = [1]: must be its usual value")
    );
}

/// A small file cannot become one that fills the memory.
#[test]
fn a_template_that_grows_beyond_what_a_file_may_be_is_refused() {
    let text = format!("[parameters]\nx = 1\n[task.a]\ncommand = [\"{}\"]", "{{x}} ".repeat(2000));
    let large = "y".repeat(20_000);
    assert!(filled(&text, &[("x", &large)]).unwrap_err().contains("must be a number"));
    let text = text.replace("x = 1", "x = \"\"");
    let refused = filled(&text, &[("x", &large)]).unwrap_err();
    assert!(refused.contains("with its parameters the file has more than 16777216 bytes"), "{refused}");
}

#[test]
fn what_a_task_says_of_itself_is_taken_with_what_the_defaults_say() {
    let submission = read(
        "[defaults]\ngoal = \"green\"\nlabels = { team = \"red\", ci = 7 }\nevaluation = { run = \"r7\", phase = 1 }\n\
         [task.a]\ncommand = [\"x\"]\n\
         [task.b]\ncommand = [\"x\"]\nlabels = { team = \"blue\" }\nevaluation = { phase = 3, gate = true, rubric = \"r.md\" }",
    );
    let about = |place: usize| submission.items[place].spec.about.as_deref().unwrap().clone();
    let (a, b) = (about(0), about(1));
    assert_eq!(a.goal.as_deref(), Some("green"));
    assert_eq!(a.condition().map(|one| one.to_string()).as_deref(), Some("production!=yes"));
    assert_eq!(
        (b.labels.get("team").map(|one| &**one), b.labels.get("ci").map(|one| &**one)),
        (Some("blue"), Some("7"))
    );
    let judged = b.evaluation.unwrap();
    assert_eq!(
        (judged.run.as_deref(), judged.rubric.as_deref(), judged.phase),
        (Some("r7"), Some("r.md"), Some(3))
    );
    assert!(judged.is_gate && about(1).condition().is_some_and(|one| one.to_string() == "production=yes"));
}

#[test]
fn what_a_task_says_of_itself_wrongly_is_said_by_line_and_field() {
    let long = "x".repeat(501);
    let text = format!(
        "[task.a]\ncommand = [\"x\"]\ngoal = \"{long}\"\nlabels = {{ \"Team\" = \"red\" }}\nevaluation = {{ phase = 5 }}\n"
    );
    assert_eq!(
        faults(&text).lines().map(|line| line.chars().take(70).collect::<String>()).collect::<Vec<_>>(),
        [
            "build.toml:3: task \"a\": goal = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "build.toml:4: task \"a\": labels = \"Team\": must be 1 to 63 of a-z 0-9 . ",
            "build.toml:5: task \"a\": evaluation.phase = 5: must be a whole number b",
        ]
    );
}
