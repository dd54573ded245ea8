//! What an attempt says of itself: a file of JSON lines, named by the variable `CRAB_REPORT`.
//!
//! A line is one of `{"used": {"llm:org-1": {"tokens": 4200}}}` (added up; counts in place of what was taken
//! at the start), `{"limited": {"rate": "llm:org-1", "for": "30s"}}`, `{"cost": 12}` (added up),
//! `{"result": {"branch": "fix-7"}}` (by name, the last counts) and `{"progress": 0.4, "doing": "linking"}` (the last
//! counts, and is looked for while it runs). A line that is anything else fails nobody: it is told as a fault.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use policy::id::Token;
use policy::task::{Progress, RESULTS_LIMIT, TaskReport};
use policy::time::Moment;
use serde::{Deserialize, Deserializer};

use super::Worker;
use crate::process::protocol::HostDirectory;
use crate::taskfile::quantity;

/// The variable that names the file.
pub const REPORT_VARIABLE: &str = "CRAB_REPORT";

/// Bytes that are read of a report: some hundred lines. It travels in a record of the log.
pub const REPORT_LIMIT_BYTES: u64 = 16 * 1024;

/// Faults that are told of one report: enough to see what is wrong with it.
const FAULTS_LIMIT: usize = 4;

/// Characters of a line that a fault shows.
const SHOWN_LIMIT_CHARS: usize = 60;

/// Bytes of a name in a report: what a configuration takes.
const NAME_LIMIT_BYTES: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    used: BTreeMap<String, BTreeMap<String, u64>>,
    limited: Option<Limited>,
    cost: u64,
    result: BTreeMap<String, Box<serde_json::value::RawValue>>,
    progress: Option<f64>,
    doing: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limited {
    rate: String,
    #[serde(rename = "for", deserialize_with = "wait")]
    wait: Duration,
}

/// A length as in a task file: a number of seconds, or a text such as `1m30s`.
fn wait<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = match serde_json::Value::deserialize(from)? {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    quantity::duration(&text).map_err(|error| serde::de::Error::custom(format!("{text:?} {error}")))
}

/// How coarse the times of a directory are at the most: ticks of the kernel, twice.
const COARSE: Duration = Duration::from_millis(20);

/// Since when no file has come or gone where reports are kept, as far as was looked.
#[derive(Debug, Default)]
pub(super) struct Stillness(Option<(SystemTime, Moment)>);

impl Stillness {
    /// Looks, now.
    pub(super) fn look(&mut self, directory: &Path, now: Moment) {
        let changed = std::fs::metadata(directory).and_then(|found| found.modified()).ok();
        self.0 = match (changed, self.0) {
            (Some(changed), Some((known, since))) if known == changed => Some((known, since)),
            (changed, _) => changed.map(|changed| (changed, now)),
        };
    }

    /// Whether an attempt that did not begin before `given`, and had ended by the last look, has left no file.
    pub(super) fn covers(&self, given: Moment) -> bool {
        self.0.is_some_and(|(_, since)| since + COARSE < given)
    }
}

impl Worker {
    /// Looks whether anything can be there for [`Self::read_report`], once for all that has ended by now.
    pub(super) fn look_for_reports(&mut self) {
        let now = self.args.clock.now();
        self.stillness.look(&self.args.directory.output(), now);
    }

    /// What an attempt that is over has reported; `None` where it has not.
    pub(super) fn read_report(&self, token: Token) -> Option<Box<TaskReport>> {
        let given = self.held.get(&token).map_or_else(Moment::default, |held| held.given);
        if self.stillness.covers(given) {
            return None;
        }
        let read = read(&self.args.directory.report(token));
        let report = match read {
            Ok(bytes) => parse(&bytes),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => TaskReport {
                faults: vec![format!("the report cannot be read: {error}").into()],
                ..TaskReport::default()
            },
        };
        (!report.is_empty()).then(|| Box::new(report))
    }
}

/// How far the attempts are that say so.
pub(super) fn progress(directory: &HostDirectory, attempts: Vec<Token>) -> Vec<(Token, Progress)> {
    let of = |token: Token| Some((token, parse(&read(&directory.report(token)).ok()?).progress?));
    attempts.into_iter().filter_map(of).collect()
}

/// The beginning of a plain file. What the attempt put there instead of one must not keep anybody waiting.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    let mut bytes = Vec::new();
    file.take(REPORT_LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> TaskReport {
    let (mut report, mut faults) = (TaskReport::default(), Vec::new());
    let limit = usize::try_from(REPORT_LIMIT_BYTES).unwrap_or(usize::MAX);
    let whole = bytes.len() <= limit;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(limit)]);
    let mut lines: Vec<&str> = text.split('\n').collect();
    if !whole {
        // The last one is cut.
        lines.pop();
        faults.push(format!("only the first {REPORT_LIMIT_BYTES} bytes were read").into());
    }
    for (number, line) in lines.into_iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if let Err(fault) = take(line, &mut report) {
            faults.push(format!("line {}: {fault}: {}", number + 1, shown(line)).into());
        }
    }
    faults.truncate(FAULTS_LIMIT);
    TaskReport { faults, ..report }
}

fn take(line: &str, report: &mut TaskReport) -> Result<(), String> {
    let line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let Line { used, limited, cost, result, progress, doing } = line;
    let names = used.iter().flat_map(|(rate, units)| units.keys().chain([rate])).chain(result.keys());
    if let Some(long) = names.chain(limited.iter().map(|limited| &limited.rate)).find(|name| is_long(name)) {
        return Err(format!("a name has {} bytes, the limit is {NAME_LIMIT_BYTES}", long.len()));
    }
    let amounts = used.iter().flat_map(|(rate, units)| units.iter().map(move |(unit, n)| (rate, unit, *n)));
    let mut all_fit = true;
    for (rate, unit, amount) in amounts {
        all_fit &= report.add_use(rate, unit, amount);
    }
    if let Some(Limited { rate, wait }) = limited {
        all_fit &= report.park(&rate, wait);
    }
    report.cost = report.cost.saturating_add(cost);
    if !all_fit {
        return Err("more rates than a report may name".to_owned());
    }
    if !result.iter().all(|(name, value)| report.add_result(name, value.get())) {
        return Err(format!("more than {RESULTS_LIMIT} results"));
    }
    if report.advance(progress, doing.as_deref()) {
        Ok(())
    } else {
        Err("progress is from 0 to 1".to_owned())
    }
}

fn is_long(name: &str) -> bool {
    name.len() > NAME_LIMIT_BYTES
}

fn shown(line: &str) -> String {
    match line.char_indices().nth(SHOWN_LIMIT_CHARS) {
        Some((end, _)) => format!("{:?}…", &line[..end]),
        None => format!("{line:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_add_up() {
        let report = parse(
            b"{\"used\": {\"llm:org-1\": {\"tokens\": 4200, \"calls\": 1}}}\n\n\
              {\"used\": {\"llm:org-1\": {\"tokens\": 800}}, \"cost\": 3}\n\
              {\"limited\": {\"rate\": \"llm:org-1\", \"for\": \"1m30s\"}, \"cost\": 4}\n\
              {\"limited\": {\"rate\": \"llm:org-1\", \"for\": 2.5}}",
        );
        let tokens = report.used.iter().find(|used| &*used.unit == "tokens").map(|used| used.amount);
        assert_eq!((tokens, report.cost, report.faults.len()), (Some(5000), 7, 0));
        assert_eq!(report.parked_for(), Some(Duration::from_secs(90)));
    }

    #[test]
    fn results_and_progress_are_what_was_said_last() {
        let report = parse(
            br#"{"progress": 0.1, "doing": "reading"}
{"result": {"branch": "fix-7", "files": [1, 2]}, "cost": 1}
{"progress": 1, "result": {"branch": {"name":"fix-8"}}}
{"progress": 40}"#,
        );
        let results: Vec<_> = report.results.iter().map(|one| (&*one.name, &*one.json)).collect();
        assert_eq!(results, [("branch", r#"{"name":"fix-8"}"#), ("files", "[1, 2]")]);
        assert_eq!(report.progress.unwrap().to_string(), "100% reading");
        assert_eq!((report.cost, report.faults.len()), (1, 1));
        assert!(report.faults[0].contains("from 0 to 1"), "{:?}", report.faults);
    }

    #[test]
    fn what_is_malformed_is_told_and_the_rest_counts() {
        let report =
            parse(b"{\"cost\": 1}\nnonsense\n{\"cots\": 2}\n{\"cost\": -1}\n\xff\n{\"cost\": 1}\n{}");
        assert_eq!(report.cost, 2);
        assert_eq!(report.faults.len(), FAULTS_LIMIT);
        assert!(report.faults[0].starts_with("line 2: ") && report.faults[0].ends_with(": \"nonsense\""));
        assert!(report.faults[1].contains("cots"), "{:?}", report.faults);
    }

    #[test]
    fn a_long_report_counts_up_to_its_last_whole_line() {
        let report = parse(&b"{\"cost\": 1}\n".repeat(2000));
        assert_eq!(report.cost, REPORT_LIMIT_BYTES / 12);
        assert_eq!(report.faults.len(), 1);
    }

    #[test]
    fn where_nothing_has_come_since_before_it_began_nothing_is_looked_for() {
        let home = tempfile::tempdir().unwrap();
        let (mut stillness, second) = (Stillness::default(), Duration::from_secs(1));
        let at = |seconds: u32| Moment::default() + second * seconds;
        assert!(!stillness.covers(at(9)), "nobody has looked");
        stillness.look(home.path(), at(1));
        stillness.look(home.path(), at(3));
        assert!(stillness.covers(at(2)) && !stillness.covers(at(1)) && !stillness.covers(at(0)));
        std::fs::write(home.path().join("7.report"), "{}").unwrap();
        let of_file = home.path().join("7.report").metadata().unwrap().modified().unwrap();
        File::open(home.path()).unwrap().set_modified(of_file + second).unwrap();
        stillness.look(home.path(), at(4));
        assert!(!stillness.covers(at(4)) && stillness.covers(at(5)));
        std::fs::remove_dir_all(home.path()).unwrap();
        stillness.look(home.path(), at(6));
        assert!(!stillness.covers(at(9)), "it cannot be looked at");
    }

    #[test]
    fn what_is_no_plain_file_is_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&path).unwrap_err().to_string(), "not a plain file");
        std::os::unix::fs::symlink("/etc/passwd", home.path().join("link")).unwrap();
        assert!(read(&home.path().join("link")).is_err());
    }
}
