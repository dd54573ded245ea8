//! What each runner writes, as it was written here, and anything else.

use policy::time::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::cli::suite::heard::Told;

const ALL: [Dialect; 6] =
    [Dialect::Libtest, Dialect::Nextest, Dialect::Pytest, Dialect::Go, Dialect::XcTest, Dialect::ExitCode];

/// Reads lines that come a second apart.
fn read(dialect: Dialect, names: &[&str], text: &str) -> Told {
    let mut reader = Reader::new(dialect, names.iter().copied().enumerate());
    for (at, line) in (1..).zip(text.lines()) {
        reader.heard.line(Timestamp(at * 1_000_000), line);
        reader.line(line);
    }
    reader.heard.finish()
}

fn verdicts(told: &Told, tests: usize) -> Vec<Option<Verdict>> {
    (0..tests).map(|test| told.verdicts.get(&test).copied()).collect()
}

const PASSED: Option<Verdict> = Some(Verdict::Passed);
const FAILED: Option<Verdict> = Some(Verdict::Failed);
const SKIPPED: Option<Verdict> = Some(Verdict::Skipped);

#[test]
fn libtest_tells_of_each_test_and_of_what_failed() {
    let text = "\nrunning 4 tests\ntest m::a ... ok\ntest m::b ... FAILED\ntest m::c - should panic ... ok\n\
                test m::d ... ignored, slow\ntest m::a2 ... ok\n\nfailures:\n\n---- m::b stdout ----\nb is wrong\n\
                at line 3\n\n\nfailures:\n    m::b\n\ntest result: FAILED. 2 passed; 1 failed; 1 ignored\n";
    let told = read(Dialect::Libtest, &["m::a", "m::b", "m::c", "m::d"], text);
    assert_eq!(verdicts(&told, 4), [PASSED, FAILED, PASSED, SKIPPED]);
    assert_eq!(told.said[&1], "b is wrong\nat line 3");
    assert_eq!(told.took[&1], Duration::from_secs(1));
}

#[test]
fn what_a_test_of_libtest_writes_itself_hides_no_end() {
    let text = "running 2 tests\ntest a ... from a child\nok\ntest b ... halfok\n\
                test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
    assert_eq!(verdicts(&read(Dialect::Libtest, &["a", "b"], text), 2), [PASSED, PASSED]);
    // It says ok, and then fails.
    let text = "test a ... says\nok\nFAILED\n";
    assert_eq!(verdicts(&read(Dialect::Libtest, &["a"], text), 1), [FAILED]);
    // The result of another process, which had another number of tests.
    let text = "test result: ok. 1 passed; 0 failed; 0 ignored\n";
    assert_eq!(verdicts(&read(Dialect::Libtest, &["a", "b"], text), 2), [None, None]);
}

#[test]
fn whoever_runs_when_the_output_ends_has_not_reported() {
    let silent = Some(Verdict::Silent);
    let told = read(Dialect::Libtest, &["a", "b", "c"], "running 3 tests\ntest a ... ok\ntest b ... ");
    assert_eq!(verdicts(&told, 3), [PASSED, silent, None]);
    let told = read(Dialect::Libtest, &["a", "b"], "test b has been running for over 60 seconds\n");
    assert_eq!(verdicts(&told, 2), [None, silent]);
    let told = read(Dialect::Pytest, &["f.py::a", "f.py::b"], "f.py::a ");
    assert_eq!(verdicts(&told, 2), [silent, None]);
    let text = "{\"Action\":\"run\",\"Test\":\"TestA\"}\nexit status 2\n";
    assert_eq!(verdicts(&read(Dialect::Go, &["TestA", "TestB"], text), 2), [silent, None]);
}

#[test]
fn nextest_tells_with_times() {
    let text = "    Starting 2 tests across 1 binary\n        PASS [   0.005s] (1/2) shardtry tests::a\n\
                \x20       SKIP [         ] (───) shardtry tests::c\n        FAIL [   0.221s] (2/2) shardtry tests::b\n\
                \x20 stderr ───\n    b is bad\n     SIGABRT [   0.1s] shardtry tests::d\n     TIMEOUT [  60.0s] (3/4) shardtry tests::e\n";
    let told = read(Dialect::Nextest, &["tests::a", "tests::b", "tests::c", "tests::d", "tests::e"], text);
    assert_eq!(verdicts(&told, 5), [PASSED, FAILED, None, FAILED, FAILED]);
    assert_eq!(told.took[&1], Duration::from_millis(221));
    assert!(told.said[&1].contains("b is bad"));
}

#[test]
fn pytest_tells_while_it_goes_and_at_its_end() {
    let names = [
        "t.py::p[a b]",
        "t.py::f",
        "t.py::s",
        "t.py::xf",
        "t.py::xp",
        "t.py::e",
        "t.py::td",
        "t.py::C::m[x - y]",
        "t.py::q",
    ];
    let text = "t.py::p[a b] PASSED                  [ 11%]\nt.py::f FAILED          [ 33%]\nt.py::s SKIPPED (why)  [ 44%]\n\
                t.py::xf XFAIL  [ 55%]\nt.py::xp XPASS  [ 66%]\nt.py::e ERROR  [ 77%]\nt.py::td PASSED   [ 88%]\n\
                t.py::td ERROR    [ 88%]\n====== ERRORS ======\n______ ERROR at setup of e ______\nE   RuntimeError: setup\n\
                ===== FAILURES =====\n______ f _______\n\n>   assert 1 == 2\nE   assert 1 == 2\n==== short test summary info ====\n\
                PASSED t.py::C::m[x - y]\nPASSED t.py::p[a b]\nFAILED t.py::q - assert 1 == 2\n";
    let told = read(Dialect::Pytest, &names, text);
    let wanted = [PASSED, FAILED, SKIPPED, SKIPPED, PASSED, FAILED, FAILED, PASSED, FAILED];
    assert_eq!(verdicts(&told, names.len()), wanted);
    assert!(told.said[&1].contains("assert 1 == 2") && !told.said[&1].contains("setup"), "{:?}", told.said);
    assert!(told.said[&5].contains("RuntimeError: setup"));
}

#[test]
fn go_tells_as_json_and_what_a_test_calls_counts_with_it() {
    let event = |action: &str, test: &str, more: &str| {
        format!(
            "{{\"Time\":\"2026-01-01T00:00:00Z\",\"Action\":\"{action}\",\"Package\":\"p\",\"Test\":\"{test}\"{more}}}\n"
        )
    };
    let text = event("run", "TestA", "")
        + &event("run", "TestA/sub", "")
        + &event("output", "TestA/sub", ",\"Output\":\"    a_test.go:3: wrong\\n\"")
        + &event("fail", "TestA/sub", ",\"Elapsed\":0.1")
        + &event("fail", "TestA", ",\"Elapsed\":1.5")
        + &event("run", "TestB", "")
        + &event("pass", "TestB", ",\"Elapsed\":0")
        + &event("skip", "TestC", ",\"Elapsed\":0")
        + "{\"Action\":\"fail\",\"Package\":\"p\",\"Elapsed\":1.6}\n";
    let told = read(Dialect::Go, &["TestA", "TestB", "TestC"], &text);
    assert_eq!(verdicts(&told, 3), [FAILED, PASSED, SKIPPED]);
    assert_eq!((told.took[&0], &*told.said[&0]), (Duration::from_millis(1500), "a_test.go:3: wrong"));
}

#[test]
fn xctest_tells_of_a_test_in_either_spelling() {
    let text = "Test Case '-[Mod.Cls testA]' started.\nTest Case '-[Mod.Cls testA]' passed (0.001 seconds).\n\
                Test Case 'Cls.testB' started at 2026-01-01\n/x.swift:3: error: wrong\nTest Case 'Cls.testB' failed (0.5 seconds)\n";
    let told = read(Dialect::XcTest, &["Mod.Cls/testA", "Mod.Cls/testB", "Mod.Other/testC"], text);
    assert_eq!(verdicts(&told, 3), [PASSED, FAILED, None]);
    assert_eq!((told.took[&1], &*told.said[&1]), (Duration::from_millis(500), "/x.swift:3: error: wrong"));
    assert_eq!(verdicts(&read(Dialect::XcTest, &["Mod/Cls/testA"], text), 1), [PASSED]);
}

#[test]
fn what_a_test_says_is_kept_up_to_a_limit() {
    let mut text = "failures:\n---- a stdout ----\n".to_owned();
    (0..10_000).for_each(|_| text.push_str("something is wrong, äöü\n"));
    let told = read(Dialect::Libtest, &["a"], &text);
    assert!(told.said[&0].len() <= 16 << 10 && told.said[&0].len() > 15 << 10);
    assert!(told.last.len() == 20);
}

/// What lines are made of that are meant.
const PIECES: [&str; 30] = [
    "test ",
    " ... ",
    "ok",
    "FAILED",
    "a",
    "b::c",
    "f.py::a",
    "PASSED ",
    " - ",
    "____ ",
    "PASS [",
    "0.1s",
    "] ",
    "(1/2) ",
    "---- ",
    " stdout ----",
    "failures:",
    "test result: ok. ",
    "1 passed; 0 failed; 0 ignored",
    "Test Case '",
    "' passed (",
    "-[",
    "]",
    " ",
    "é",
    "{\"Action\":\"",
    "run",
    "\",\"Test\":\"a\"}",
    "    ",
    "====",
];

/// Lines that look as if they were meant, and lines that do not.
fn line() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(PIECES.to_vec());
    prop_oneof![
        prop::collection::vec(pieces, 0..6).prop_map(|words| words.concat()),
        prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ]
}

proptest! {
    #[test]
    fn anything_may_be_written_and_nothing_is_said_of_others_tests(
        lines in prop::collection::vec(line(), 0..40),
    ) {
        for dialect in ALL {
            let told = read(dialect, &["a", "b::c", "f.py::a"], &lines.join("\n"));
            let named = told.verdicts.keys().chain(told.took.keys()).chain(told.said.keys());
            prop_assert!(named.into_iter().all(|test| *test < 3));
        }
    }
}
