//! How things are said to people: amounts, ages and foreign text; [`event`], [`explain`] and [`output`] say what
//! has happened, what a task waits for and what it wrote. Programs print it; nothing here does.

pub mod event;
pub mod explain;
pub mod output;

use std::time::Duration;

use policy::artifact::Summary;
use policy::excess::UseLimits;
use policy::resources::Resources;
pub use policy::resources::{cores, size};
use policy::sample::Sample;
use policy::task::{About, Evaluation};
use policy::time::Timestamp;

/// `ann@mac: new disk`, or who alone where nobody said why.
#[must_use]
pub fn said(said: &policy::directive::Author) -> String {
    let why = if said.reason.is_empty() { String::new() } else { format!(": {}", said.reason) };
    format!("{}{why}", said.by)
}

/// `1h02m`, `3m20s`, `4.1s`, `12ms`.
#[must_use]
pub fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 if length.as_millis() < 1000 && length.as_millis() < 100 => format!("{}ms", length.as_millis()),
        0..10 => format!("{}.{}s", seconds, length.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// How long ago, seen from `now`.
#[must_use]
pub fn age(now: Timestamp, then: Timestamp) -> String {
    format!("{} ago", length(now.since(then)))
}

/// `2 cpus, 4 GiB, 1 gpu, 1 license`.
#[must_use]
pub fn resources(resources: &Resources) -> String {
    let mut parts = vec![format!("{} cpus", cores(resources.cpu_millis))];
    if resources.memory_bytes > 0 {
        parts.push(size(resources.memory_bytes));
    }
    if resources.gpu_slots > 0 {
        parts.push(format!("{} gpu", resources.gpu_slots));
    }
    if resources.disk_bytes > 0 {
        parts.push(format!("{} disk", size(resources.disk_bytes)));
    }
    parts.extend(resources.named.iter().map(|(name, amount)| format!("{amount} {name}")));
    parts.join(", ")
}

/// `team=red ci=7`; `None` where there are none.
#[must_use]
pub fn labels(about: &About) -> Option<String> {
    let all: Vec<String> = about.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

/// `run r7, rubric eval/rubric.md, phase 3, a promotion gate`.
#[must_use]
pub fn evaluation(evaluation: &Evaluation) -> String {
    let Evaluation { run, rubric, is_gate, phase } = evaluation;
    let named = [("run", run), ("rubric", rubric)].into_iter();
    let named =
        named.filter_map(|(name, text)| text.as_ref().map(|text| format!("{name} {}", harmless(text))));
    let phase = phase.iter().map(|phase| format!("phase {phase}"));
    let gate = is_gate.then(|| "a promotion gate".to_owned());
    named.chain(phase).chain(gate).collect::<Vec<_>>().join(", ")
}

/// `3 files, 1.2 MiB, 2 left out`.
#[must_use]
pub fn artifacts(summary: &Summary) -> String {
    let Summary { files, bytes, left_out, fault } = summary;
    let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    let left_out = if *left_out > 0 { format!(", {left_out} left out") } else { String::new() };
    let fault = fault.as_ref().map(|fault| format!("; {fault}")).unwrap_or_default();
    format!("{files}, {}{left_out}{fault}", size(*bytes))
}

/// `memory 8 GiB, processes 200`.
#[must_use]
pub fn limits(limits: &UseLimits) -> String {
    let parts = [
        limits.memory_bytes.map(|bytes| format!("memory {}", size(bytes))),
        limits.processes.map(|processes| format!("processes {processes}")),
        limits.open_files.map(|files| format!("open files {files}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `12.4s of processor time, 1.2 GiB (at most 1.5 GiB), 12 processes, 3.4 MiB written; 2.0s ago`.
#[must_use]
pub fn sample(sample: &Sample, now: Timestamp) -> String {
    let (memory, peak) = (size(sample.memory_bytes), size(sample.peak_memory_bytes));
    let processes =
        if sample.processes == 1 { "1 process" } else { &format!("{} processes", sample.processes) };
    let (cpu, written) = (length(sample.cpu), size(sample.output_bytes));
    let age = age(now, sample.at);
    format!("{cpu} of processor time, {memory} (at most {peak}), {processes}, {written} written; {age}")
}

/// RFC 3339, in UTC.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    instant(time).to_string()
}

/// The time of day where the user is.
#[must_use]
pub fn clock_time(time: Timestamp) -> String {
    instant(time).to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
}

fn instant(time: Timestamp) -> jiff::Timestamp {
    i64::try_from(time.0)
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .unwrap_or_default()
}

/// `t1, t2, t3 and 4 more`.
#[must_use]
pub fn some(of: &[impl ToString]) -> String {
    const NAMED: usize = 3;
    let named: Vec<_> = of.iter().take(NAMED).map(ToString::to_string).collect();
    match of.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// `1 task`, `2 tasks`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// One line of foreign text, without anything that a terminal obeys.
#[must_use]
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// One line that a task wrote, without its colours and without anything else that a terminal obeys.
#[must_use]
pub fn plain(line: &str) -> String {
    let mut rest = line;
    let mut plain = String::with_capacity(line.len());
    while let Some(at) = rest.find("\x1b[") {
        plain.push_str(&rest[..at]);
        let sequence = &rest[at + 2..];
        let end = sequence.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':'));
        rest = end.and_then(|end| sequence.get(end + 1..)).unwrap_or_default();
    }
    plain.push_str(rest);
    harmless(plain.trim_end_matches('\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(length(Duration::from_millis(12)), "12ms");
        assert_eq!(length(Duration::from_millis(4_190)), "4.1s");
        assert_eq!(length(Duration::from_secs(200)), "3m20s");
        assert_eq!(length(Duration::from_secs(3_725)), "1h02m");
        assert_eq!(size(0), "0 B");
        assert_eq!(size(3 << 29), "1.5 GiB");
        let of =
            Sample { cpu: Duration::from_secs(12), memory_bytes: 3 << 29, processes: 2, ..Sample::default() };
        let told = "12s of processor time, 1.5 GiB (at most 0 B), 2 processes, 0 B written; 1.0s ago";
        assert_eq!(sample(&of, Timestamp(1_000_000)), told);
        assert_eq!(cores(1500), "1.5");
        assert_eq!(cores(2000), "2");
        assert_eq!(rfc3339(Timestamp(1_767_225_600_000_000)), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_line_loses_its_colours() {
        assert_eq!(plain("\x1b[1;32m   Compiling\x1b[0m x\x1b"), "   Compiling x\u{fffd}");
        assert_eq!(plain("a\x1b[3"), "a");
        assert_eq!(plain("a\x1b[Kb\x1b[é"), "ab");
    }
}
