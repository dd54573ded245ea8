//! Peers that do not belong: without the cookie, of another version, or speaking nonsense.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;

use super::fleet::{Fleet, free_address};
use crate::support::place::{Daemon, Place};
use crate::support::program::write;
use crate::support::waiting::{SOON, until_true};

/// A packet of the preamble: magic, version, length, body.
fn packet(version: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short").to_be_bytes();
    [b"CRAB", &[version][..], &length, body].concat()
}

/// A worker's hello that speaks the protocols from `min` to `max`.
fn hello(min: u16, max: u16) -> Vec<u8> {
    let numbers = [min.to_be_bytes(), max.to_be_bytes()].concat();
    [&numbers[..], &[1, 1], &7_u64.to_be_bytes(), &[9; 32], &[3], b"odd"].concat()
}

/// What comes back on a stream until the other side closes it.
fn answer(stream: &mut (impl Read + Write), said: &[u8]) -> Vec<u8> {
    // The other side may close before it has read all: that is an answer as well.
    let _ = stream.write_all(said);
    let mut back = Vec::new();
    let _ = stream.read_to_end(&mut back);
    back
}

fn tcp(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream
}

/// Writes a private cookie.
fn cookie(place: &Place, text: &str) {
    let path = place.data().join("cookie");
    fs::create_dir_all(place.data()).expect("a directory");
    write(&path, text);
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("it is ours");
}

#[test]
fn nonsense_and_other_versions_are_turned_away_and_disturb_nothing() {
    let place = Place::new();
    let address = free_address();
    let daemon = place.daemon(&["--cpus", "1", "--listen", &address]);
    let nonsense = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0; 100_000],
        vec![0xff; 100_000],
        packet(1, b"nonsense"),
        packet(9, &hello(1, 1)),
        packet(1, &hello(7, 9)),
        [b"CRAB".as_slice(), &[1, 0xff, 0xff]].concat(),
    ];
    for said in &nonsense {
        let back = answer(&mut tcp(&address), said);
        assert!(back.is_empty() || back.starts_with(b"CRAB"), "{back:?}");
        let mut stream = UnixStream::connect(place.data().join("crabd.sock")).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        let back = answer(&mut stream, said);
        assert!(back.is_empty() || back.starts_with(b"CRAB"), "{back:?}");
    }
    assert!(daemon.said().contains("turned away"));
    // Somebody who says nothing is not waited for by others, nor for ever by itself.
    let mut silent: Vec<_> = (0..20).map(|_| tcp(&address)).collect();
    place.run(&["run", "--", "true"]).expect(0);
    for stream in &mut silent {
        let read = stream.read(&mut [0; 64]);
        let waited = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        assert!(!read.as_ref().is_err_and(waited), "it is closed within the deadline: {read:?}");
    }
    drop(silent);
    until_true("there is room again", SOON, || place.run(&["--address", &address, "status"]).code == Some(0));
    assert!(daemon.stop().success());
}

/// Connections that come and say nothing.
const CROWD: usize = 10_000;
/// How much the daemon may grow by them: places are for 64, and what they hold is a packet each.
const CROWD_MIB: u64 = 16;

#[test]
fn ten_thousand_that_connect_and_say_nothing_cost_nothing_worth_naming() {
    let place = Place::new();
    let address = free_address();
    place.run(&["cluster", "init"]).expect(0);
    let daemon = place.daemon(&["--cpus", "1", "--listen", &address]);
    // Descriptors of this program: whoever has fewer than that sends fewer at once.
    let at_once = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .map_or(500, |(soft, _)| soft / 2);
    let before = memory_mib(daemon.id());
    let mut held = std::collections::VecDeque::new();
    for _ in 0..CROWD {
        // Full is an answer as well: the system's own queue has an end.
        held.extend(TcpStream::connect(&address).ok());
        if held.len() as u64 > at_once {
            held.pop_front();
        }
    }
    place.run(&["run", "--", "true"]).expect(0);
    let grown = memory_mib(daemon.id()).saturating_sub(before);
    assert!(grown < CROWD_MIB, "{grown} MiB for {} connections", held.len());
    drop(held);
    let line = place.run(&["cluster", "invite", "ann", "--role", "viewer"]).expect(0).text();
    let guest = Place::new();
    until_true("there is room again", SOON, || {
        guest.run(&["--address", line.trim(), "status"]).code == Some(0)
    });
    assert!(daemon.stop().success());
}

/// What a process has in memory.
fn memory_mib(pid: u32) -> u64 {
    let told = std::process::Command::new("ps").args(["-o", "rss=", "-p", &pid.to_string()]).output();
    String::from_utf8_lossy(&told.expect("there is ps").stdout).trim().parse::<u64>().expect("a number")
        / 1024
}

/// The user nobody, of whom every system knows.
const NOBODY: u32 = 65_534;

#[test]
fn another_user_of_the_machine_gets_nothing_at_the_socket_however_open_it_is() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let daemon = place.single("1");
    let open = |path: &std::path::Path, mode| {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
    };
    let program = place.root().join("crab");
    fs::copy(env!("CARGO_BIN_EXE_crab"), &program).expect("there is room");
    open(&program, 0o755);
    open(place.root(), 0o755);
    let ask = || {
        let mut crab = std::process::Command::new(&program);
        crab.uid(NOBODY).gid(NOBODY).env_clear().current_dir("/").arg("--data-dir").arg(place.data());
        crate::support::program::run(crab.args(["submit", "--", "true"]))
    };
    ask().expect(6).says(&["Permission denied"]);
    open(&place.data(), 0o755);
    open(&place.data().join("crabd.sock"), 0o777);
    ask().expect(6).says(&["65534"]);
    let events = place.run(&["events", "--json"]).expect(0).text();
    assert!(events.contains("user 65534 of this machine"), "{events}");
    assert!(!events.contains("graph.admitted"), "{events}");
    assert!(daemon.stop().success());
}

#[test]
fn a_worker_with_a_wrong_cookie_is_told_so_and_joins_as_soon_as_it_has_the_right_one() {
    let mut fleet = Fleet::start(1);
    let stranger = Place::new();
    cookie(&stranger, &"ab".repeat(32));
    let args = ["--name", "stranger", "--cpus", "1", "--join", &fleet.address];
    let daemon = Daemon::spawn(&stranger, &args);
    until_true("it says why", SOON, || daemon.said().contains("does not match: copy DATA/cookie"));
    assert_eq!(fleet.scheduler.run(&["nodes", "--json"]).expect(0).json().len(), 1);
    daemon.kill();
    stranger
        .run(&["--address", &fleet.address, "status"])
        .expect(6)
        .says(&["does not match: copy DATA/cookie"]);
    fs::remove_file(stranger.data().join("cookie")).expect("it is there");
    let daemon = Daemon::spawn(&stranger, &args);
    assert_eq!(daemon.ended().code(), Some(1));
    let right = fs::read_to_string(fleet.scheduler.data().join("cookie")).expect("a cookie");
    cookie(&stranger, &right);
    fs::set_permissions(stranger.data().join("cookie"), PermissionsExt::from_mode(0o644))
        .expect("it is ours");
    let daemon = Daemon::spawn(&stranger, &args);
    until_true("it refuses to start", SOON, || daemon.said().contains("others can read it"));
    assert_eq!(daemon.ended().code(), Some(1));
    cookie(&stranger, &right);
    let daemon = Daemon::spawn(&stranger, &args);
    fleet.scheduler.wait_nodes(2);
    assert!(daemon.stop().success());
    fleet.scheduler.run(&["run", "--", "true"]).expect(0);
    fleet.stop();
}

#[test]
fn a_scheduler_that_is_not_there_yet_is_waited_for() {
    let place = Place::new();
    let worker = Place::new();
    let address = free_address();
    let head = ["--name", "head", "--no-worker", "--listen", &address];
    let daemon = place.daemon(&head);
    let secret = fs::read_to_string(place.data().join("cookie")).expect("a cookie");
    assert!(daemon.stop().success());
    cookie(&worker, &secret);
    let member = Daemon::spawn(&worker, &["--name", "late", "--cpus", "1", "--join", &address]);
    until_true("it says so", SOON, || member.said().contains("trying again"));
    let daemon = place.daemon(&head);
    place.wait_nodes(1);
    assert!(member.stop().success());
    assert!(daemon.stop().success());
}
