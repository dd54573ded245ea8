//! What runners write, line by line, to what is heard of tests. Any bytes may come: what is not understood says nothing.

use std::collections::HashMap;
use std::time::Duration;

use policy::shards::Verdict;
use serde::Deserialize;

use super::heard::Heard;

/// In whose way it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Libtest,
    Nextest,
    Pytest,
    Go,
    XcTest,
    /// Nothing is said but by the exit code.
    ExitCode,
}

/// Reads what one batch writes.
#[derive(Debug)]
pub(super) struct Reader {
    dialect: Dialect,
    pub(super) heard: Heard,
    /// Whose words the lines are that come.
    telling: Option<usize>,
    /// Of libtest: ended by a word that stands alone, which may be the test's own.
    loose: Option<usize>,
    /// Of pytest: under which head a test's failure stands; `None` where several have it.
    heads: HashMap<String, Option<usize>>,
}

impl Reader {
    pub(super) fn new<'t>(dialect: Dialect, tests: impl Iterator<Item = (usize, &'t str)> + Clone) -> Self {
        let mut heads = HashMap::new();
        if dialect == Dialect::Pytest {
            for (test, id) in tests.clone() {
                let same = |found: &mut Option<usize>| *found = None;
                heads.entry(pytest_head(id)).and_modify(same).or_insert(Some(test));
            }
        }
        Self { dialect, heard: Heard::of(tests), telling: None, loose: None, heads }
    }

    /// A line, without its end.
    pub(super) fn line(&mut self, line: &str) {
        match self.dialect {
            Dialect::Libtest => self.libtest(line),
            Dialect::Nextest => self.nextest(line),
            Dialect::Pytest => self.pytest(line),
            Dialect::Go => self.go(line),
            Dialect::XcTest => self.xctest(line),
            Dialect::ExitCode => {}
        }
    }

    fn libtest(&mut self, line: &str) {
        if let Some(head) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.telling = self.heard.find(head);
            return;
        }
        if let Some(counts) = line.strip_prefix("test result: ok. ") {
            self.telling = None;
            return self.libtest_whole(counts);
        }
        if line == "failures:" {
            self.telling = None;
        } else if let Some(test) = slow(line).and_then(|name| self.heard.find(name)) {
            // Of many threads none tells what it begins, but one that takes a minute is told of.
            self.heard.begin(test);
        } else if let Some((name, rest)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
        {
            let name = name.strip_suffix(" - should panic").unwrap_or(name);
            if let Some(test) = self.heard.find(name) {
                return match libtest_word(rest) {
                    Some(verdict) => self.heard.end(test, verdict, None),
                    // What it writes itself stands before how it ended.
                    None => self.heard.begin(test),
                };
            }
        } else if let Some(verdict) = libtest_word(line) {
            // The rest of a line that a test, or a process of its, has written into.
            if let Some(test) = self.heard.begun().or(self.loose) {
                self.loose = Some(test);
                return self.heard.end(test, verdict, None);
            }
        } else if let Some(test) = line.strip_prefix("    ").and_then(|name| self.heard.find(name)) {
            // In the list of those that have failed.
            return self.heard.end(test, Verdict::Failed, None);
        }
        if let Some(test) = self.telling {
            self.heard.say(test, line);
        }
    }

    /// `7 passed; 0 failed; 1 ignored; …`: where that is all of them, nobody has failed whose line was not understood.
    fn libtest_whole(&mut self, counts: &str) {
        let mut counts =
            counts.split("; ").filter_map(|count| count.split(' ').next()?.parse::<usize>().ok());
        let (passed, failed, ignored) = (counts.next(), counts.next(), counts.next());
        if let (Some(passed), Some(0), Some(ignored)) = (passed, failed, ignored)
            && passed.saturating_add(ignored) == self.heard.len()
            && self.heard.skipped() == ignored
        {
            self.heard.rest_passed();
        }
    }

    /// `        PASS [   0.005s] (1/2) program test::name`
    fn nextest(&mut self, line: &str) {
        let Some((word, rest)) = line.trim_start().split_once(" [") else { return self.tell(line) };
        let verdict = match word.trim() {
            "PASS" | "LEAK" | "SLOW+PASS" => Verdict::Passed,
            "FAIL" | "TIMEOUT" | "ABORT" | "LEAK-FAIL" | "EXECFAIL" | "FAIL + LEAK" => Verdict::Failed,
            word if word.starts_with("SIG") => Verdict::Failed,
            _ => return self.tell(line),
        };
        let Some((took, named)) = rest.split_once("] ") else { return };
        // What stands in parentheses are numbers; the name of the program has no blanks.
        let named = named.split_once(") ").map_or(named, |(_, named)| named);
        let Some(test) = named.split_once(' ').and_then(|(_, name)| self.heard.find(name)) else { return };
        self.heard.end(test, verdict, seconds(took.trim().trim_end_matches('s')));
        self.telling = (verdict == Verdict::Failed).then_some(test);
    }

    fn tell(&mut self, line: &str) {
        if let Some(test) = self.telling {
            self.heard.say(test, line);
        }
    }

    fn pytest(&mut self, line: &str) {
        if line.starts_with("====") {
            self.telling = None;
        } else if let Some(head) = underlined(line) {
            let head = head.strip_prefix("ERROR at setup of ").unwrap_or(head);
            let head = head.strip_prefix("ERROR at teardown of ").unwrap_or(head);
            self.telling = self.heads.get(head).copied().flatten();
        } else if let Some((test, verdict)) = self.pytest_end(line) {
            self.heard.end(test, verdict, None);
        } else if let Some(test) = self.heard.find(line.trim_end()) {
            self.heard.begin(test);
        } else {
            self.tell(line);
        }
    }

    /// `file.py::test PASSED   [ 50%]` while it goes, `FAILED file.py::test - why` at the end. Names may have blanks.
    fn pytest_end(&self, line: &str) -> Option<(usize, Verdict)> {
        PYTEST_WORDS.iter().find_map(|(word, verdict)| {
            let of_summary =
                line.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')).and_then(|rest| {
                    let ends = rest.match_indices(" - ").map(|(at, _)| &rest[..at]);
                    ends.chain([rest]).find_map(|name| self.heard.find(name))
                });
            let mut places = line.match_indices(word).filter_map(|(at, _)| line[..at].strip_suffix(' '));
            Some((of_summary.or_else(|| places.find_map(|name| self.heard.find(name)))?, *verdict))
        })
    }

    fn go(&mut self, line: &str) {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Event {
            action: String,
            test: Option<String>,
            elapsed: Option<f64>,
            output: Option<String>,
        }
        let Ok(event) = serde_json::from_str::<Event>(line) else { return };
        let Some(name) = event.test else { return };
        // What a test calls its own tests counts with it.
        let (top, is_top) = name.split_once('/').map_or((&*name, true), |(top, _)| (top, false));
        let Some(test) = self.heard.find(top) else { return };
        let verdict = match &*event.action {
            "pass" => Verdict::Passed,
            "fail" => Verdict::Failed,
            "skip" => Verdict::Skipped,
            "run" if is_top => return self.heard.begin(test),
            "output" => return self.heard.say(test, event.output.unwrap_or_default().trim_end_matches('\n')),
            _ => return,
        };
        if is_top {
            let took = event.elapsed.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            self.heard.end(test, verdict, took);
        }
    }

    /// `Test Case '-[Module.Class test]' passed (0.001 seconds).`, without `-[` and `Module.` on Linux.
    fn xctest(&mut self, line: &str) {
        let Some((named, rest)) =
            line.trim_start().strip_prefix("Test Case '").and_then(|rest| rest.split_once("' "))
        else {
            return self.tell(line);
        };
        let named = named.trim_start_matches("-[").trim_end_matches(']');
        let Some(test) = self.heard.find_spelled(&[' ', '.', '/'], named) else { return };
        let verdict = match rest.split_once(' ').map_or(rest, |(word, _)| word) {
            "passed" => Verdict::Passed,
            "failed" => Verdict::Failed,
            "skipped" => Verdict::Skipped,
            "started" | "started." => {
                self.telling = Some(test);
                return self.heard.begin(test);
            }
            _ => return,
        };
        let took = rest
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(' '))
            .and_then(|(took, _)| seconds(took));
        self.heard.end(test, verdict, took);
        self.telling = None;
    }
}

/// `name` of `test name has been running for over 60 seconds`.
fn slow(line: &str) -> Option<&str> {
    Some(line.strip_prefix("test ")?.split_once(" has been running for over ")?.0)
}

fn libtest_word(rest: &str) -> Option<Verdict> {
    match rest {
        "ok" => Some(Verdict::Passed),
        "FAILED" => Some(Verdict::Failed),
        "ignored" => Some(Verdict::Skipped),
        rest if rest.starts_with("ignored, ") => Some(Verdict::Skipped),
        rest if rest.starts_with("bench: ") => Some(Verdict::Passed),
        _ => None,
    }
}

/// What pytest says of an end. What was expected to fail and does is counted as it counts it, as skipped.
const PYTEST_WORDS: [(&str, Verdict); 6] = [
    ("XPASS", Verdict::Passed),
    ("XFAIL", Verdict::Skipped),
    ("PASSED", Verdict::Passed),
    ("FAILED", Verdict::Failed),
    ("ERROR", Verdict::Failed),
    ("SKIPPED", Verdict::Skipped),
];

/// `TestClass.test[x]` of `file.py::TestClass::test[x]`.
fn pytest_head(id: &str) -> String {
    let (path, parameters) = id.split_at(id.find('[').unwrap_or(id.len()));
    let named = path.split_once("::").map_or(path, |(_, named)| named);
    named.replace("::", ".") + parameters
}

/// `name` of `____ name ____`.
fn underlined(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('_')?.trim_start_matches('_').strip_prefix(' ')?;
    inner.trim_end_matches('_').strip_suffix(' ')
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

#[cfg(test)]
mod tests;
