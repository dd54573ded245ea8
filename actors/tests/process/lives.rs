//! What survives whose death.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use actors::clock::Clock;
use actors::process::frame;
use actors::process::port::{HostEvent, HostListener, HostPort, HostProgram, LocalHost};
use actors::process::protocol::{
    Command, HOST_PROTOCOL_OLDEST, HostDirectory, HostId, HostReport, HostedPhase, Start, StopReason,
    host_layout,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use policy::id::Token;
use policy::signal::TaskSignal;
use policy::task::{AttemptOutcome, LossReason, Qos};

use crate::bed::{Bed, PATIENCE, RUNTIME, is_alive, start_of, until};

crate::tests![
    a_task_survives_the_daemon_with_output_and_status,
    an_end_is_told_again_until_it_is_forgotten,
    a_dead_hosts_attempts_are_killed_and_told,
    a_dead_host_has_told_what_had_ended,
    the_lease_ends_everything_also_while_nobody_is_connected,
    nothing_starts_after_the_leases_end,
    a_later_deadline_replaces_an_earlier_one,
    garbage_does_no_harm,
    a_second_daemon_displaces_the_first,
    the_socket_is_private,
    polite_signals_do_not_end_the_host,
    a_host_of_the_version_before_is_spoken_with_as_it_is,
    a_host_that_is_too_old_is_told_to_retire,
];

fn a_task_survives_the_daemon_with_output_and_status() {
    let mut bed = Bed::new();
    bed.sh(1, "echo one; while ! [ -e go ]; do sleep 0.01; done; echo two; exit 5");
    bed.started(1);
    bed.disconnect();
    std::fs::write(bed.home().join("go"), "").unwrap();
    let spool = bed.directory().spool(Token(1));
    until("the end", || std::fs::read(&spool).ok()?.windows(3).any(|bytes| bytes == b"two").then_some(()));
    bed.connect();
    until("the status", || {
        let phase = bed.inventory().first()?.phase.clone();
        matches!(phase, HostedPhase::Ended { outcome: AttemptOutcome::Exited(5), .. }).then_some(())
    });
    assert_eq!(bed.output(1), "one\ntwo\n");
}

fn an_end_is_told_again_until_it_is_forgotten() {
    let mut bed = Bed::new();
    bed.sh(1, "exit 9");
    bed.ended(1);
    bed.disconnect();
    bed.connect();
    assert_eq!(bed.inventory().len(), 1);
    bed.command(Command::Forget(vec![Token(1)]));
    assert!(bed.inventory().is_empty());
}

fn kill_host(bed: &mut Bed) {
    let old = bed.host;
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    bed.wait_connected();
    assert_ne!(bed.host, old);
}

fn a_dead_hosts_attempts_are_killed_and_told() {
    let mut bed = Bed::new();
    bed.sh(1, "(setsid sleep 1000 & echo $! > other); echo said; echo ready > ready; sleep 1000");
    bed.file("ready");
    let (pid, other) = (bed.started(1), bed.pid_in("other"));
    until("the output", || bed.directory().spool(Token(1)).exists().then_some(()));
    kill_host(&mut bed);
    assert_eq!(bed.ended(1), AttemptOutcome::Lost(LossReason::HostDied));
    until("their end", || (!is_alive(pid) && !is_alive(other)).then_some(()));
    assert_eq!(bed.output(1), "said\n", "and the spool says that it is complete");
}

fn a_dead_host_has_told_what_had_ended() {
    let mut bed = Bed::new();
    bed.sh(1, "exit 6");
    bed.ended(1);
    kill_host(&mut bed);
    let inventory = bed.inventory();
    assert!(matches!(inventory[0].phase, HostedPhase::Ended { outcome: AttemptOutcome::Exited(6), .. }));
}

fn the_lease_ends_everything_also_while_nobody_is_connected() {
    let mut bed = Bed::new();
    bed.sh(1, "trap '' TERM; sleep 1000");
    let pid = bed.started(1);
    bed.kill_at(Clock::system().now() + Duration::from_millis(300));
    bed.inventory();
    bed.disconnect();
    until("the kill", || (!is_alive(pid)).then_some(()));
    bed.connect();
    assert!(matches!(
        bed.inventory()[0].phase,
        HostedPhase::Ended { outcome: AttemptOutcome::Lost(LossReason::LeaseLost), .. }
    ));
}

fn nothing_starts_after_the_leases_end() {
    let mut bed = Bed::new();
    bed.kill_at(Clock::system().now());
    bed.sh(1, "echo ran > ran");
    assert_eq!(bed.ended(1), AttemptOutcome::Lost(LossReason::LeaseLost));
    assert!(!bed.home().join("ran").exists());
}

fn a_later_deadline_replaces_an_earlier_one() {
    let mut bed = Bed::new();
    bed.kill_at(Clock::system().now() + Duration::from_millis(300));
    bed.sh(1, "sleep 0.6; exit 8");
    bed.kill_at(Clock::system().now() + Duration::from_secs(60));
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(8));
}

fn garbage_does_no_harm() {
    let mut bed = Bed::new();
    bed.start(1, &["sleep", "1000"]);
    bed.started(1);
    let socket = bed.directory().socket().unwrap();
    let wrong = Command::Hello { version: 1, host: HostId(0) };
    let mut impostor = Vec::new();
    frame::append(&mut impostor, &wrong).unwrap();
    frame::append(&mut impostor, &Command::Retire).unwrap();
    let mut kept = Vec::new();
    for bytes in
        [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0xff; 5000], &[0; 64], &impostor, b"", b"\x05\0\0\0"]
    {
        for _ in 0..3 {
            let mut stream = UnixStream::connect(&socket).unwrap();
            // Refused early is as good.
            let _ = stream.write_all(bytes);
            kept.push(stream);
        }
    }
    assert_eq!(bed.inventory().len(), 1, "the worker is heard as before");
}

fn a_second_daemon_displaces_the_first() {
    let mut first = Bed::new();
    first.start(1, &["sleep", "1000"]);
    first.started(1);
    let socket = first.directory().socket().unwrap();
    let mut second = UnixStream::connect(socket).unwrap();
    let host = actors::process::host::read_id(&first.directory()).unwrap();
    let mut hello = Vec::new();
    frame::append(&mut hello, &Command::Hello { version: 1, host }).unwrap();
    second.write_all(&hello).unwrap();
    // The first connects again at once, which displaces the second.
    first.wait_connected();
    assert_eq!(first.inventory().len(), 1);
    let mut rest = Vec::new();
    second.read_to_end(&mut rest).unwrap();
    assert!(!rest.is_empty(), "it was greeted before it was displaced");
}

fn the_socket_is_private() {
    let bed = Bed::new();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(bed.directory().path().to_owned()), 0o700);
    assert_eq!(mode(bed.directory().socket().unwrap()), 0o600);
}

fn polite_signals_do_not_end_the_host() {
    let mut bed = Bed::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(Pid::from_raw(bed.host), signal).unwrap();
    }
    bed.sh(1, "exit 1");
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(1));
}

fn a_host_of_the_version_before_is_spoken_with_as_it_is() {
    let (port, events, mut host) = meet(HOST_PROTOCOL_OLDEST);
    assert!(matches!(events.recv_timeout(PATIENCE), Ok(HostEvent::Connected { pid: 9 })));
    port.command(Command::Stop { token: Token(1), why: StopReason::Preempt });
    port.command(Command::Stop { token: Token(2), why: StopReason::Drain });
    let stop = |token, why| Command::Stop { token: Token(token), why };
    assert_eq!(host.hear(), stop(1, StopReason::Evict), "it does not know the other word");
    assert_eq!(host.hear(), stop(2, StopReason::Drain));
    let start = |qos| Command::Start(Box::new(Start { qos, ..start_of(3, &["true"], "/") }));
    port.command(start(Qos::Background));
    assert_eq!(host.hear(), start(Qos::Default), "it knows no class");
    let refused = port.signal(Token(3), TaskSignal::Usr1).unwrap_err();
    assert!(refused.contains("of an earlier version"), "{refused}");
}

fn a_host_that_is_too_old_is_told_to_retire() {
    let (_port, _events, mut host) = meet(HOST_PROTOCOL_OLDEST - 1);
    assert_eq!(host.hear(), Command::Retire);
}

/// A host of another version, as far as a daemon can tell.
struct Elder {
    stream: UnixStream,
    inbox: frame::Inbox,
    _home: tempfile::TempDir,
}

impl Elder {
    fn hear(&mut self) -> Command {
        loop {
            if let Some(command) = host_layout(HOST_PROTOCOL_OLDEST).apply(|| self.inbox.take()).unwrap() {
                return command;
            }
            let mut buffer = [0; 1024];
            let read = match self.stream.read(&mut buffer) {
                // A child of another test has ended; a read with a deadline is not begun again by itself.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
            assert!(read > 0, "the daemon has left");
            self.inbox.push(&buffer[..read]);
        }
    }
}

/// A daemon that meets a host of this version.
fn meet(version: u16) -> (LocalHost, Receiver<HostEvent>, Elder) {
    let home = tempfile::Builder::new().prefix("crab").tempdir().unwrap();
    let directory = HostDirectory::new(home.path());
    std::fs::write(directory.id(), "7").unwrap();
    let listener = UnixListener::bind(directory.socket().unwrap()).unwrap();
    let (told, events) = channel();
    let tell: HostListener = Arc::new(move |event| drop(told.send(event)));
    let _runtime = RUNTIME.enter();
    let port = LocalHost::open(directory, HostProgram::new("/bin/false".into()), tell);
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut elder = Elder { stream, inbox: frame::Inbox::default(), _home: home };
    assert!(matches!(elder.hear(), Command::Hello { host: HostId(7), .. }));
    assert_eq!(elder.hear(), Command::Inventory);
    let mut hello = Vec::new();
    frame::append(&mut hello, &HostReport::Hello { version, pid: 9 }).unwrap();
    elder.stream.write_all(&hello).unwrap();
    (port, events, elder)
}
