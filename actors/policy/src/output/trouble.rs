//! Which lines tell of trouble. A guess from words, the same for compilers, test runners and scripts.

/// Words that tell of it, in lower case.
const WORDS: &[&str] = &[
    "abort",
    "aborted",
    "aborting",
    "assertion",
    "cannot",
    "conflict",
    "crashed",
    "denied",
    "error",
    "errors",
    "exception",
    "fail",
    "failed",
    "failing",
    "fails",
    "failure",
    "failures",
    "fatal",
    "panic",
    "panicked",
    "segfault",
    "segmentation",
    "traceback",
    "undefined",
    "unresolved",
    "violation",
];
/// How names of kinds of errors end, as in `ValueError`.
const ENDINGS: &[&str] = &["Error", "Exception", "Failure"];
/// What takes it back before such a word, as in `0 errors`, `without failures`.
const NONE: &[&str] = &["0", "no", "without", "zero"];

/// Whether a line without colours tells of an error, a failure or a crash.
#[must_use]
pub fn speaks_of(line: &str) -> bool {
    // `test a_failed_login_is_told ... ok`, and the like of other runners.
    let passed = ["ok", "PASSED", "PASS"].iter().any(|word| line.trim_end().ends_with(word));
    !passed && words(line).any(|(at, word)| is_trouble(word) && !taken_back(line, at, word))
}

/// Words and where they begin. What is joined with `_` is one word.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let free = |c: char| !(c.is_alphanumeric() || c == '_');
    let begin = line.as_ptr() as usize;
    line.split(free).filter(|word| !word.is_empty()).map(move |word| (word.as_ptr() as usize - begin, word))
}

fn is_trouble(word: &str) -> bool {
    let known = |known: &&str| known.len() == word.len() && known.eq_ignore_ascii_case(word);
    WORDS.iter().any(known)
        || ENDINGS.iter().any(|ending| word.len() > ending.len() && word.ends_with(ending))
}

fn taken_back(line: &str, at: usize, word: &str) -> bool {
    let (before, after) = (&line[..at], &line[at + word.len()..]);
    let last = before.trim_end().rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let counted = NONE.iter().any(|none| none.eq_ignore_ascii_case(last)) && before.ends_with(' ');
    // `failed: 0`, `errors=0`; a path such as `src/error.rs`.
    let zero = after.trim_start_matches([':', '=', ' ']).strip_prefix('0');
    let none = after.starts_with([':', '='])
        && zero.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
    let named = before.ends_with('/') || after.starts_with('/') || is_suffix(after);
    counted || none || named
}

/// Whether a name goes on with `.rs` and the like.
fn is_suffix(after: &str) -> bool {
    after.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_many_tools_are_found() {
        for line in [
            "error[E0308]: mismatched types",
            "error: could not compile `x`",
            "thread 'main' panicked at src/main.rs:3:5:",
            "FAIL src/app.test.js",
            "test a::b ... FAILED",
            "test result: FAILED. 3 passed; 1 failed; 0 ignored",
            "Traceback (most recent call last):",
            "ValueError: invalid literal",
            "java.lang.NullPointerException: null",
            "main.c:3:1: fatal error: x.h: No such file or directory",
            "ld: undefined reference to `f'",
            "Segmentation fault (core dumped)",
            "make: *** [all] Error 2",
            "--- FAIL: TestX (0.00s)",
            "permission denied",
            "10 errors",
        ] {
            assert!(speaks_of(line), "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        for line in [
            "   Compiling thiserror v2.0.1",
            "test a_failed_login_is_told ... ok",
            "test error ... ok",
            "test result: ok. 3 passed; 0 failed; 0 ignored",
            "0 errors, 0 warnings",
            "Finished without errors",
            "failures: 0",
            "errors=0",
            "reading src/error.rs",
            "error_handling is on",
            "all good",
            "",
        ] {
            assert!(!speaks_of(line), "{line}");
        }
    }
}
