//! What tasks are given where they run, with the real programs: secrets, the jobserver with the system's make and cargo,
//! sandboxes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::place::{Daemon, Place};
use crate::support::waiting::{SOON, until, until_true};

/// No text that stands anywhere by chance.
const SECRET: &str = "hunter2-5f1e7c0a9b";

/// A secret of this machine, with this mode.
fn secret(place: &Place, name: &str, mode: u32) -> PathBuf {
    let directory = place.root().join("secrets");
    fs::create_dir_all(&directory).expect("it is writable");
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).expect("it is ours");
    let path = directory.join(name);
    fs::write(&path, SECRET).expect("it is writable");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
    path
}

fn daemon(place: &Place, config: &str) -> Daemon {
    let secrets = place.root().join("secrets");
    let text = format!("[worker]\nsecrets = \"{}\"\n{config}", secrets.display());
    let config = place.file("crabd.toml", text);
    let daemon = place.daemon(&["--cpus", "4", "--name", "one", "--config", &config.display().to_string()]);
    place.wait_nodes(1);
    daemon
}

/// Files below that have this in them.
fn with(text: &str, below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(with(text, &path)),
            Ok(kind) if kind.is_file() => {
                let bytes = fs::read(&path).unwrap_or_default();
                found.extend(bytes.windows(text.len()).any(|part| part == text.as_bytes()).then_some(path));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn no_byte_of_a_secret_is_kept_or_told_and_none_is_left_when_a_daemon_was_killed() {
    let place = Place::new();
    secret(&place, "npm-token", 0o600);
    let first = daemon(&place, "[log]\nlevel = \"trace\"\n");
    let script = "test \"$(cat $CRAB_SECRET_NPM_TOKEN)\" = \"$(cat secrets/npm-token)\" && ls -l $CRAB_SECRET_NPM_TOKEN \
                  && echo ready && while test ! -e go; do sleep 0.02; done";
    let task = place.submit(&["--secret", "npm-token", "--", "/bin/sh", "-c", script]);
    until_true("it has read it", SOON, || place.run(&["logs", &task]).text().contains("ready"));
    let held = with(SECRET, &place.data());
    assert!(held.len() == 1 && held[0].starts_with(place.data().join("private")), "{held:?}");
    let said = first.said();
    first.kill();
    let second = daemon(&place, "[log]\nlevel = \"trace\"\n");
    place.file("go", "");
    place.run(&["wait", &task]).expect(0);
    assert!(place.run(&["logs", &task]).text().starts_with("-rw-------"));
    until_true("it is gone", SOON, || with(SECRET, &place.data()).is_empty());
    let told = [&["show", &task][..], &["show", "--json", &task], &["events", "--json"], &["explain", &task]];
    for words in told {
        assert!(!place.run(words).text().contains(SECRET), "{words:?}");
    }
    assert!(said.contains("TRACE") && !said.contains(SECRET) && !second.said().contains(SECRET));
    let shown = place.run(&["show", &task]).text();
    assert!(shown.contains("npm-token, its file in $CRAB_SECRET_NPM_TOKEN"), "{shown}");
    assert_eq!(place.show(&task)["spec"]["secrets"]["npm-token"], "CRAB_SECRET_NPM_TOKEN");
}

#[test]
fn a_secret_that_is_not_there_or_that_others_can_read_is_refused_with_the_reason() {
    let place = Place::new();
    let path = secret(&place, "open", 0o640);
    let _daemon = daemon(&place, "");
    let refused = place.run(&["submit", "--secret", "missing", "--", "true"]).expect(7);
    refused.says(&["secret/missing"]);
    let task = place.submit(&["--secret", "open=TOKEN", "--", "true"]);
    place.run(&["wait", &task]).expect(1);
    let shown = place.run(&["show", &task]).text();
    let why = format!("secret \"open\" is not given: {} has mode 0640", path.display());
    assert!(shown.contains(&why), "{shown}");
    place
        .run(&["submit", "--secret", "A", "--", "true"])
        .expect(7)
        .says(&["secrets = \"A\"", "must be 1 to 63 of a-z"]);
    let clash = ["submit", "--secret", "open", "--secret", "other=CRAB_SECRET_OPEN", "--", "true"];
    place.run(&clash).expect(7).says(&["secret \"open\" has this variable"]);
}

/// A make that knows named pipes, 4.4 or later; `None` where the machine has an older one, or none.
fn make() -> Option<PathBuf> {
    let path = std::env::var_os("CRAB_MAKE").map_or_else(|| "make".into(), PathBuf::from);
    let said = Command::new(&path).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = said.strip_prefix("GNU Make ")?.split_whitespace().next()?.to_owned();
    let mut parts = version.split('.').filter_map(|part| part.parse::<u32>().ok());
    let version = (parts.next()?, parts.next().unwrap_or(0));
    (version >= (4, 4)).then_some(path)
}

/// Eight targets, each of which notes when it begins and ends, and waits for a file `go`.
const MAKEFILE: &str = "all: 1 2 3 4 5 6 7 8\n1 2 3 4 5 6 7 8:\n\t@echo + >> $(LOG); while test ! -e go; do sleep 0.02; \
                        done; echo - >> $(LOG)\n";

#[test]
fn makes_share_the_slots_of_the_machine_and_a_killed_one_loses_none() {
    let Some(make) = make() else {
        return eprintln!("not run: no GNU make 4.4 here (CRAB_MAKE names one)");
    };
    let place = Place::new();
    secret(&place, "none", 0o600);
    let _daemon = daemon(&place, "[jobserver]\nslots = 3\n");
    place.file("Makefile", MAKEFILE);
    let build = |log: &str| {
        let make = make.display().to_string();
        place.submit(&["--jobserver", "--retries", "0", "--", &make, "-s", &format!("LOG={log}"), "all"])
    };
    let begun =
        |log: &str| fs::read_to_string(place.root().join(log)).unwrap_or_default().matches('+').count();
    let (one, two) = (build("one"), build("two"));
    // Three slots, and one job of each: as soon as that many run no more are begun.
    until_true("all slots are taken", SOON, || begun("one") + begun("two") == 5);
    let pid = until("it runs", SOON, || place.show(&one)["attempt_list"][0]["pid"].as_i64());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a process id"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it is there");
    place.run(&["wait", &one]).expect(1);
    place.file("go", "");
    place.run(&["wait", &two]).expect(0);
    assert_eq!(begun("two"), 8);
    fs::remove_file(place.root().join("go")).expect("it is there");
    // Both are gone: all three are there again, with the job that each build has anyway.
    let three = build("three");
    until_true("all slots are there", SOON, || begun("three") == 4);
    place.file("go", "");
    place.run(&["wait", &three]).expect(0);
}

#[test]
fn cargo_takes_its_jobs_from_the_slots_of_the_machine() {
    let place = Place::new();
    secret(&place, "none", 0o600);
    let _daemon = daemon(&place, "[jobserver]\nslots = 2\n");
    // A build script sees what cargo hands on to the programs below it.
    let files = [
        ("Cargo.toml", "[package]\nname = \"a\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n"),
        (
            "build.rs",
            "fn main() { println!(\"cargo::warning={}\", std::env::var(\"CARGO_MAKEFLAGS\").unwrap()); }\n",
        ),
        ("src/main.rs", "fn main() {}\n"),
    ];
    fs::create_dir_all(place.root().join("src")).expect("it is new");
    files.iter().for_each(|(name, text)| drop(place.file(name, text)));
    let cargo = env!("CARGO");
    let task = place.submit(&["--jobserver", "--", cargo, "build", "--offline", "--color", "never"]);
    place.run(&["wait", &task]).expect(0);
    let said = place.run(&["logs", &task]).text();
    let pipe = format!("fifo:{}", place.data().join("private/jobserver.fifo").display());
    assert!(said.contains(&pipe), "{said}");
}

#[test]
fn a_task_in_a_sandbox_writes_in_its_workspace_alone_and_still_reports() {
    let place = Place::new();
    secret(&place, "none", 0o600);
    let _daemon = daemon(&place, "");
    let script = "echo x > inside && echo y > $TMPDIR/inside && echo '{\"result\": {\"a\": 1}}' >> $CRAB_REPORT && \
                  echo z > \"$OUT\"";
    let out = place.root().join("outside");
    let variable = format!("OUT={}", out.display());
    let words = [
        "--sandbox",
        "workspace",
        "--workspace",
        "scratch",
        "--env",
        &variable,
        "--",
        "/bin/sh",
        "-c",
        script,
    ];
    let submitted = place.run(&[&["submit", "--json"], &words[..]].concat());
    if submitted.code == Some(7) {
        submitted.says(&["sandbox"]);
        return eprintln!("not run: no sandbox on this machine");
    }
    let task = submitted.json()[0]["first_task"].as_str().expect("an id").to_owned();
    place.run(&["wait", &task]).expect(1);
    let said = place.run(&["logs", &task]).text();
    assert!(!out.exists() && (said.contains("Read-only") || said.contains("not permitted")), "{said}");
    let shown = place.show(&task);
    assert_eq!((&shown["result"]["a"], &shown["spec"]["sandbox"]), (&1.into(), &"workspace".into()));
    until_true("nothing is left", SOON, || {
        let left = fs::read_dir(place.data().join("private")).into_iter().flatten().flatten();
        left.filter(|entry| entry.path().is_dir()).count() == 0
    });
    let alone = place.run(&["submit", "--sandbox", "workspace", "--", "true"]).expect(7);
    alone.says(&["needs a workspace of its own"]);
}
