//! A daemon that root starts, to run as somebody else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::unistd::User;

use crate::support::place::{Daemon, Place};
use crate::support::program::run;

/// The user that owns nothing.
const NOBODY: u32 = 65_534;

/// A `crabd` that everybody may run, as whoever it becomes must.
fn program(place: &Place) -> PathBuf {
    let program = place.root().join("crabd");
    fs::copy(env!("CARGO_BIN_EXE_crabd"), &program).expect("there is room");
    for path in [place.root(), &program] {
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("it is ours");
    }
    program
}

#[test]
fn a_daemon_that_root_starts_runs_as_another_user_and_its_tasks_with_it() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let program = program(&place);
    let crabd = |user: &str| {
        let mut crabd = Command::new(&program);
        crabd.arg("--data-dir").arg(place.data()).args(["--user", user]).current_dir("/").process_group(0);
        crabd
    };
    run(&mut crabd("no-such-user")).expect(1).says(&["there is no user", "--user"]);
    run(crabd("root").uid(NOBODY).gid(NOBODY)).expect(1).says(&["only root can become"]);

    let daemon = Daemon::of(&mut crabd("nobody"), &place);
    place.wait_ready();
    let asks = "id -u; id -G; echo $HOME $USER; test -w / || echo kept out";
    let told = place.run(&["run", "--", "sh", "-c", asks]).expect(0).text();
    let nobody = User::from_uid(NOBODY.into()).expect("it is looked up").expect("it is there");
    assert_eq!(told, format!("{NOBODY}\n{}\n{} nobody\nkept out\n", nobody.gid, nobody.dir.display()));
    for name in ["", "crabd.sock", "scheduler", "host"] {
        let found = fs::metadata(place.data().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.uid(), NOBODY, "{name}");
    }
    assert!(!daemon.said().contains("runs as root"), "{}", daemon.said());
    assert!(daemon.stop().success());

    run(&mut crabd("daemon")).expect(1).says(&["belongs to user 65534", "chown -R daemon"]);
}
