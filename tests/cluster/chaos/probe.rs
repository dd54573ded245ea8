//! What the tasks of the fleet run, and what they leave behind: each attempt a file with the moments at which it
//! truly ran. All machines share one kernel, so its clock is true for all of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use actors::clock::Clock;
use policy::event::{Event, Item, Record, TaskEvent};
use policy::id::{NodeId, TaskId, Token};
use policy::resources::Resources;
use policy::task::TaskSpec;
use policy::time::Timestamp;

use crate::promises::Process;

/// The directory for the files; only a task has it.
const DIRECTORY: &str = "CRAB_PROBE";
/// Milliseconds to run.
const LENGTH: &str = "CRAB_PROBE_LENGTH";
/// What to exit with.
const CODE: &str = "CRAB_PROBE_CODE";
/// Between two signs of life.
const TICK: Duration = Duration::from_millis(20);

/// The name by which the test program becomes the program of a task.
const NAME: &str = "cluster::chaos::probe::the_program_of_a_task_does_nothing_where_it_is_none";

/// A task that runs for so long and ends with this code.
pub(super) fn task(name: String, directory: &Path, length: u64, code: u8) -> Item {
    let own = std::env::current_exe().expect("it has a path").display().to_string();
    let argv = vec![own.into(), NAME.into(), "--exact".into(), "--quiet".into(), "--nocapture".into()];
    let say = |name: &str, value: String| (name.into(), value.into());
    Item::new(TaskSpec {
        directory: Some("/".into()),
        environment: vec![
            say(DIRECTORY, directory.display().to_string()),
            say(LENGTH, length.to_string()),
            say(CODE, code.to_string()),
        ],
        resources: Resources::cpus(1000),
        ..TaskSpec::new(name, argv)
    })
}

#[test]
fn the_program_of_a_task_does_nothing_where_it_is_none() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    let path = Path::new(&directory).join(format!("{}.{}", of("CRAB_TASK"), of("CRAB_TOKEN")));
    let mut file = File::options().create(true).append(true).open(path).expect("room for a line");
    let clock = Clock::system();
    let mut mark = |what: &str| {
        let line = format!("{what} {}\n", clock.wall().0);
        file.write_all(line.as_bytes()).expect("room for a line");
    };
    let length = Duration::from_millis(of(LENGTH).parse().expect("a length"));
    let started = Instant::now();
    mark("start");
    while let Some(rest) = length.checked_sub(started.elapsed()).filter(|rest| !rest.is_zero()) {
        std::thread::park_timeout(rest.min(TICK));
        mark("tick");
    }
    mark("end");
    std::process::exit(of(CODE).parse().expect("a code"));
}

/// What truly ran, by the files and by what each attempt was granted. A process that was killed counts until its
/// last sign of life.
pub(super) fn processes(directory: &Path, records: &[Record]) -> Vec<Process> {
    let granted = granted(records);
    let files = fs::read_dir(directory).expect("the probes' directory").flatten();
    files.filter_map(|file| process(&file.path(), &granted)).collect()
}

fn granted(records: &[Record]) -> BTreeMap<Token, NodeId> {
    let of = |record: &Record| match &record.event {
        Event::Task { event: TaskEvent::Granted { token, node, .. }, .. } => Some((*token, node.clone())),
        _ => None,
    };
    records.iter().filter_map(of).collect()
}

/// `None` where it was killed before its first line.
fn process(path: &Path, granted: &BTreeMap<Token, NodeId>) -> Option<Process> {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let (task, token) = name.split_once('.').expect("a task and a token");
    let task = TaskId(task.trim_start_matches('t').parse().expect("a task"));
    let token = Token(token.parse().expect("a token"));
    let text = fs::read_to_string(path).expect("it can be read");
    let starts = text.lines().filter(|line| line.starts_with("start")).count();
    assert!(starts <= 1, "{name} ran twice: {text}");
    let moments = text.lines().filter_map(|line| line.split_once(' ')?.1.parse().ok()).map(Timestamp);
    let moments: Vec<_> = moments.collect();
    // Without a grant it is told by the check of grants.
    let node = granted.get(&token).cloned().unwrap_or_else(|| "nobody".into());
    let (started, ended) = (*moments.first()?, moments.last().copied());
    Some(Process { task, token, node, need: Resources::cpus(1000), started, ended, frozen: Vec::new() })
}
