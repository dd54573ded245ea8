//! Files that a command leaves on a machine and somebody wants to keep: which of them come, whole, and what is said of the others.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::bed::Bed;
use crate::support::program::{Ran, run, write};
use crate::support::waiting::{SOON, until_true};

const RUNNER: [&str; 7] = ["exec", "--repo", "r", "--work", "w", "--role", "runner"];

/// Runs a script there and has these patterns fetched into a directory here.
fn argv<'a>(into: &'a str, patterns: &[&'a str], options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let mut argv = RUNNER.to_vec();
    argv.extend(patterns.iter().flat_map(|pattern| ["--keep", pattern]));
    argv.extend(["--keep-into", into]);
    argv.extend(options);
    argv.extend(["--", "sh", "-c", script]);
    argv
}

/// The names below a directory, in their order.
fn names(at: &Path) -> Vec<String> {
    let entries = fs::read_dir(at).expect("it is there").flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn text(at: &Path, name: &str) -> String {
    fs::read_to_string(at.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn what_a_command_leaves_comes_whatever_it_is_called_and_the_exit_status_stays() {
    let bed = Bed::new();
    let (into, marker) = (bed.root().join("into"), bed.root().join("marker"));
    let evil = format!("$(touch {})", marker.file_name().unwrap().to_string_lossy());
    let script = "mkdir -p out/sub 'out/a b' && cd out && printf one >'it'\\''s \"so\"' && printf two >-rf && printf three >'a b/ *' &&
        printf x >\"$1\" && printf y >sub/end && : >sub/empty && printf '#!' >sub/run && chmod 750 sub/run && printf z >../elsewhere && exit 3";
    let into_text = into.display().to_string();
    let mut line = argv(&into_text, &["out/**", "junit:none.xml"], &[], script);
    line.extend(["sh", &evil]);
    for mut command in [bed.there(&line), bed.here(&line)] {
        let ran = run(&mut command).expect(3);
        ran.says(&["not fetched: none.xml: nothing matches it", "fetched 7 files into"]);
        let out = into.join("out");
        assert_eq!(names(&into), ["out"]);
        assert_eq!(names(&out), [&evil, "-rf", "a b", "it's \"so\"", "sub"]);
        assert_eq!((text(&out, "it's \"so\""), text(&out, "-rf")), ("one".into(), "two".into()));
        assert_eq!((text(&out, "a b/ *"), text(&out, &evil)), ("three".into(), "x".into()));
        assert_eq!((text(&out, "sub/end"), text(&out, "sub/empty")), ("y".into(), String::new()));
        let mode =
            |name: &str| fs::metadata(out.join(name)).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode("sub/run"), 0o750);
        fs::remove_dir_all(&into).expect("it can be removed");
    }
    assert!(!marker.exists() && bed.list().is_empty());
}

#[test]
fn links_pipes_and_names_that_cannot_be_told_are_left_out_and_said() {
    let bed = Bed::new();
    let secret = bed.root().join("secret");
    fs::create_dir(&secret).expect("it can be made");
    write(&secret.join("key"), "hidden");
    let into = bed.root().join("into");
    // What lies here already may be anything.
    fs::create_dir(&into).expect("it can be made");
    std::os::unix::fs::symlink(&secret, into.join("d")).expect("it can be made");
    let into_text = into.display().to_string();
    let script = "mkdir out d && ln -s \"$1\" out/away && ln -s \"$1/key\" out/key && ln -s \"$1\" way && mkfifo out/pipe && printf x >\"$(printf 'out/n\\nl')\" &&
        printf x >\"$(printf 'out/b\\377')\" && printf x >\"$(printf 'out/e\\033[2J')\" && printf x >d/key && printf good >out/good";
    let mut line = argv(&into_text, &["out/**", "way/key", "d/*", "out"], &["--json"], script);
    let secret_text = secret.display().to_string();
    line.extend(["sh", &secret_text]);
    let ran = bed.run(&line).expect(0);
    let told: serde_json::Value = ran
        .err
        .lines()
        .find_map(|line| {
            serde_json::from_str(line).ok().filter(|json: &serde_json::Value| json["kept"].is_array())
        })
        .expect("it is told");
    assert_eq!(told["kept"].as_array().expect("a list").len(), 1, "{told}");
    assert_eq!((&told["kept"][0]["path"], &told["kept"][0]["kind"]), (&"out/good".into(), &"other".into()));
    let why = |path: &str| {
        let list = told["left_out"].as_array().expect("a list");
        let found = list.iter().find(|one| one["path"] == path).unwrap_or_else(|| panic!("{path}: {told}"));
        found["why"].as_str().expect("a text").to_owned()
    };
    assert!(why("out/away").contains("symbolic link") && why("out/key").contains("symbolic link"));
    assert!(why("out/pipe").contains("pipe") && why("out").contains("a directory"));
    assert!(why("out/b\u{fffd}").contains("UTF-8") && why("out/e\u{1b}[2J").contains("control"));
    assert!(why("way/key").contains("nothing matches") && why("d/key").contains("no directory"));
    assert!(told["fault"].as_str().expect("a text").contains("newline are left out: 1"), "{told}");
    assert_eq!(text(&into, "out/good"), "good");
    assert_eq!(text(&secret, "key"), "hidden", "nothing goes through a link here");
    assert_eq!(names(&into), ["d", "out"]);
    assert_eq!(names(&into.join("out")), ["good"]);
}

#[test]
fn more_than_may_be_kept_is_left_out_and_said() {
    let bed = Bed::new();
    let into = bed.root().join("into").display().to_string();
    let script =
        "mkdir out; n=0; while [ $n -lt 1003 ]; do n=$((n + 1)); : >out/$n; done; truncate -s 2G out/0";
    let ran = bed.run(&argv(&into, &["out/*"], &[], script)).expect(0);
    ran.says(&[
        "out/0: its 2147483648 bytes would exceed",
        "out/999: more than 1000 files",
        "fetched 1000 files",
    ]);
    assert_eq!(names(&Path::new(&into).join("out")).len(), 1000);
}

/// Leaves files of a mebibyte each.
const MANY: &str = "mkdir out; n=100; while [ $n -lt 300 ]; do n=$((n + 1)); head -c 1048576 /dev/zero | tr '\\000' \"$(printf %.1s $n)\" >out/$n; done";

fn many_are_whole(into: &Path) {
    let out = into.join("out");
    assert_eq!(names(&out).len(), 200);
    for name in names(&out) {
        let bytes = fs::read(out.join(&name)).expect("it is there");
        assert!(bytes.len() == 1 << 20 && bytes.iter().all(|byte| *byte == name.as_bytes()[0]), "{name}");
    }
}

#[test]
fn a_connection_that_is_cut_loses_nothing_and_what_is_here_is_not_fetched_again() {
    let bed = Bed::new();
    let into = bed.root().join("into");
    let into_text = into.display().to_string();
    let running = bed.start(&argv(&into_text, &["out/*"], &[], MANY));
    let first = into.join("out/101");
    until_true("the first is here", SOON, || first.exists());
    let inode = fs::metadata(&first).expect("it is here").ino();
    bed.cut();
    let ran: Ran = running.end().expect(0);
    ran.says(&["fetching goes on", "fetched 200 files"]);
    many_are_whole(&into);
    assert_eq!(fs::metadata(&first).expect("it is here").ino(), inode);
    assert_eq!(names(&into), ["out"], "and nothing half");
}

#[test]
fn who_is_killed_while_fetching_leaves_nothing_half_and_the_same_run_gives_it_again() {
    let bed = Bed::new();
    let into = bed.root().join("into");
    let into_text = into.display().to_string();
    let count = bed.root().join("count").display().to_string();
    let script = format!("echo run >>\"$1\"; {MANY}");
    let mut line = argv(&into_text, &["out/*"], &["--key", "k"], &script);
    line.extend(["sh", &count]);
    let running = bed.start(&line);
    until_true("the first is here", SOON, || into.join("out/101").exists());
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.end();
    let so_far = names(&into.join("out"));
    assert!(so_far.len() < 200, "it was killed in the middle");
    for name in so_far {
        assert_eq!(fs::metadata(into.join("out").join(name)).expect("it is here").len(), 1 << 20);
    }
    bed.run(&line).expect(0).says(&["fetched 200 files"]);
    many_are_whole(&into);
    assert_eq!(fs::read_to_string(&count).expect("it ran"), "run\n");
}

#[test]
fn what_is_ended_from_outside_is_not_fetched() {
    let bed = Bed::new();
    let into = bed.root().join("into");
    let into_text = into.display().to_string();
    let script = "mkdir out; echo x >out/a; echo begun; sleep 900";
    let running = bed.start(&argv(&into_text, &["out/*"], &["--tied", "10s", "--grace", "200ms"], script));
    until_true("it has begun", SOON, || running.out().contains("begun"));
    running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.end().code, Some(143));
    assert!(names(&into).is_empty());
    let running = bed.start(&argv(&into_text, &["out/*"], &[], script));
    until_true("it has begun", SOON, || running.out().contains("begun"));
    bed.run(&["kill", "--grace", "200ms", "--session", "aivcs__r__w__runner"]).expect(0);
    running.end().expect(143).says(&["nothing is fetched of what ended so: killed"]);
    assert!(names(&into).is_empty());
    // Its time is over, and what it has left by then is wanted.
    let timed = argv(&into_text, &["out/*"], &["--timeout", "1s", "--grace", "200ms"], script);
    bed.run(&timed).expect(124).says(&["fetched 1 file into"]);
    assert_eq!(text(&into, "out/a"), "x\n");
    bed.run(&[&RUNNER[..], &["--keep", "/etc/*", "--keep-into", &into_text, "--", "true"]].concat())
        .expect(2);
}
