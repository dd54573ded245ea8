//! Data directories that cannot be used: taken, unwritable, damaged, full.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::place::Place;
use crate::support::program::{Running, run};
use crate::support::waiting::{SOON, until_true};

/// The log's last segment.
fn segment(place: &Place) -> PathBuf {
    let entries = fs::read_dir(place.data().join("scheduler/log")).expect("there is a log");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let segments = paths.filter(|path| path.extension().is_some_and(|is| is == "segment"));
    segments.max().expect("there is a segment")
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let daemon = place.single("1");
    let refused = run(&mut place.crabd(&[])).expect(1);
    refused.says(&["another daemon", "--data-dir", &place.data().display().to_string()]);
    place.run(&["run", "--", "true"]).expect(0);
    assert!(daemon.stop().success());
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let place = Place::new();
    let file = place.file("file", "").display().to_string();
    let crabd = |path: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crabd"));
        run(command.args(["--data-dir", path])).expect(1)
    };
    crabd(&file).says(&["data directory", &file]);
    crabd(&format!("{file}/below")).says(&["data directory", &file]);
    crabd("/proc/nowhere").says(&["data directory", "/proc/nowhere"]);
    let deep = place.root().join("x".repeat(110)).display().to_string();
    crabd(&deep).says(&["use a shorter data directory"]);
    if nix::unistd::geteuid().is_root() {
        println!("an unwritable directory is not tried: to root every directory is writable");
        return;
    }
    fs::create_dir(place.data()).expect("there is room");
    fs::set_permissions(place.data(), PermissionsExt::from_mode(0o500)).expect("it is ours");
    run(&mut place.crabd(&[])).expect(1).says(&["cannot write to the data directory"]);
}

#[test]
fn wrong_settings_are_refused_with_file_line_and_key() {
    let place = Place::new();
    let refused = |text: &str, words: &[&str]| {
        let config = place.file("crabd.toml", text).display().to_string();
        run(&mut place.crabd(&["--config", &config])).expect(1).says(words);
    };
    refused("[lease]\ntlt = \"3s\"\n", &["crabd.toml", "line 2", "tlt"]);
    refused("[lease]\nttl = \"4s\"\n", &["lease.ttl", "three heartbeats"]);
    refused("[lease]\ngrace = \"10ms\"\n", &["lease.grace", "at least"]);
    refused("[worker]\ncpus = \"many\"\n", &["many"]);
    refused("[daemon]\nlisten = \"here\"\n", &["listen"]);
    run(&mut place.crabd(&["--config", "/no/such/file"]))
        .expect(1)
        .says(&["/no/such/file: No such file or directory (os error 2)\n"]);
    run(&mut place.crabd(&["--listen", "nowhere"])).expect(2).says(&["--listen"]);
    run(&mut place.crabd(&["--join", "a:1", "--listen", "127.0.0.1:0"])).expect(2);
    run(&mut place.crabd(&["--name", "Not A Name!"])).expect(1).says(&["Not A Name!"]);
}

#[test]
fn damage_in_the_middle_of_the_log_stops_the_start_and_says_where() {
    let place = Place::new();
    let daemon = place.single("1");
    place.run(&["submit", "--wait", "--array", "1-50", "--", "true"]).expect(0);
    assert!(daemon.stop().success());
    let path = segment(&place);
    let whole = fs::read(&path).expect("it can be read");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x40;
    fs::write(&path, &damaged).expect("it can be written");
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    run(&mut place.crabd(&[])).expect(1).says(&["damaged", &name]);
    assert_eq!(fs::read(&path).expect("it can be read"), damaged, "nothing was cut or repaired");
    fs::write(&path, whole).expect("it can be written");
    let daemon = place.single("1");
    let row = &place.run(&["list", "--json"]).expect(0).json()[0];
    assert_eq!(row["tasks"]["succeeded"], 50);
    assert!(daemon.stop().success());
}

#[test]
fn a_torn_tail_is_cut_and_all_before_it_is_there() {
    let place = Place::new();
    let daemon = place.single("1");
    place.run(&["submit", "--wait", "--array", "1-50", "--", "true"]).expect(0);
    daemon.kill();
    let path = segment(&place);
    let mut file = File::options().append(true).open(&path).expect("it can be written");
    // The beginning of a record that never became whole.
    let head = fs::read(&path).expect("it can be read")[..40].to_vec();
    file.write_all(&head).expect("there is room");
    drop(file);
    let daemon = place.single("1");
    let row = &place.run(&["list", "--json"]).expect(0).json()[0];
    assert_eq!(row["tasks"]["succeeded"], 50);
    place.run(&["run", "--", "true"]).expect(0);
    assert!(daemon.stop().success());
    let daemon = place.single("1");
    assert_eq!(place.run(&["list", "--json"]).expect(0).json().len(), 2);
    assert!(daemon.stop().success());
}

/// A small file system of its own; taken away when dropped.
struct Mount(PathBuf);

impl Mount {
    fn small(path: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"]).arg(path);
        let done = cfg!(target_os = "linux") && mount.output().is_ok_and(|done| done.status.success());
        done.then(|| Self(path.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_nothing_is_acknowledged_and_all_goes_on_when_there_is_room() {
    let place = Place::new();
    fs::create_dir(place.data()).expect("there is room");
    let Some(_mount) = Mount::small(&place.data()) else {
        println!("not tried: only root on Linux can make a small file system");
        return;
    };
    let daemon = place.single("1");
    place.run(&["submit", "--wait", "--", "true"]).expect(0);
    let filler = place.data().join("filler");
    let mut file = File::create(&filler).expect("it can be made");
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
    drop(file);
    let full = || {
        let status = place.run(&["status", "--json"]).expect(0).json();
        status[0]["warnings"].to_string().contains("the log cannot be written")
    };
    // What still fits into the last page of the log is acknowledged rightly; the rest waits.
    let mut submits = Vec::new();
    until_true("the log says that it is full", SOON, || {
        if submits.len() < 100 {
            submits.push(Running::start(&mut place.crab(&["submit", "--", "true"])));
        }
        full()
    });
    fs::remove_file(&filler).expect("it is there");
    until_true("the log is written again", SOON, || !full());
    let acknowledged = submits.into_iter().map(Running::end).filter(|ran| ran.code == Some(0)).count();
    until_true("all have ended", SOON, || {
        let status = place.run(&["status", "--json"]).expect(0).json();
        status[0]["tasks"]["succeeded"].as_u64() > Some(acknowledged as u64) && status[0]["graphs"] == 0
    });
    assert!(acknowledged > 0);
    assert!(daemon.stop().success());
}
