//! What an attempt says of itself: a file of JSON lines, named by the variable `CRAB_REPORT`.
//!
//! A line is one of `{"used": {"llm:org-1": {"tokens": 4200}}}` (added up; counts in place of what was taken
//! at the start), `{"limited": {"rate": "llm:org-1", "for": "30s"}}` and `{"cost": 12}` (added up). A line
//! that is anything else fails nobody: it is told as a fault.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use policy::id::Token;
use policy::task::TaskReport;
use serde::{Deserialize, Deserializer};

use super::Worker;
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

impl Worker {
    /// What an attempt that is over has reported; `None` where it has not. An attempt that says nothing, as
    /// most do, costs one look for a file that is not there.
    pub(super) fn read_report(&self, token: Token) -> Option<Box<TaskReport>> {
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
    let Line { used, limited, cost } = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let names = used.iter().flat_map(|(rate, units)| units.keys().chain([rate]));
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
    if all_fit { Ok(()) } else { Err("more rates than a report may name".to_owned()) }
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
    fn what_is_no_plain_file_is_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&path).unwrap_err().to_string(), "not a plain file");
        std::os::unix::fs::symlink("/etc/passwd", home.path().join("link")).unwrap();
        assert!(read(&home.path().join("link")).is_err());
    }
}
