//! Sessions over the cluster carrier. ractor's names are global to a process, so each test runs in a
//! process of its own, and each of its clients in another.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use policy::id::Incarnation;
use supervision::Address;
use tokio::sync::mpsc;

use super::lean::round_trip;
use super::support::{PATIENCE, Seen, Server, hello};
use crate::link::dialler::{Dialler, DiallerArgs, DiallerEvent};
use crate::link::preamble::{PROTOCOLS, Refusal};
use crate::link::{
    Cluster, ConnectError, Connection, Cookie, Dial, Endpoint, Hello, Limits, LinkError, Purpose, Role,
    connect_once,
};

const ALONE: &str = "CRAB_TEST_LINK_ALONE";
const CLIENT: &str = "CRAB_TEST_LINK_CLIENT";

/// Runs one test of the link in this program again.
pub(super) fn rerun(test: &str, variable: &str, value: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("link::tests::{test}");
    command.args([&name, "--exact", "--include-ignored", "--nocapture"]).env(variable, value);
    command
}

/// Whether we are the process of this test's own; if not, it has been run to its end.
fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = rerun(&format!("cluster::{test}"), ALONE, "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("1 passed"), "{test} did not run");
    false
}

/// A client in a process of its own, killed when dropped.
struct Client(Child);

impl Client {
    fn start(server: &Server, endpoint: &Endpoint, incarnation: u64) -> Self {
        let cookie = server.cookie_file();
        let value = format!("{endpoint} {incarnation} {}", cookie.display());
        let mut command = rerun("cluster::client", CLIENT, &value);
        Self(command.env_remove(ALONE).stdout(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn node_hello(incarnation: u64) -> Hello {
    Hello {
        role: Role::Worker,
        purpose: Purpose::Cluster,
        name: "studio-1".into(),
        incarnation: Incarnation(incarnation),
        protocols: PROTOCOLS,
    }
}

/// What a client does: says back what it is told, and over each new connection tries the calls first.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of the other tests, in a process of its own"]
async fn client() {
    let Ok(value) = std::env::var(CLIENT) else { return };
    let [endpoint, incarnation, cookie] = value.split(' ').collect::<Vec<_>>()[..] else { panic!("{value}") };
    let hello = node_hello(incarnation.parse().unwrap());
    let (told, mut heard) = mpsc::unbounded_channel();
    let dial = Dial {
        endpoint: endpoint.parse().unwrap(),
        cluster: Some(Cluster::new(&hello.name, hello.incarnation)),
        hello,
        // Over a Unix socket it must go without.
        cookie: (!endpoint.contains('/')).then(|| Cookie::read(cookie.as_ref()).unwrap()),
        own: None,
        inbound: Arc::new(move |_, frame| drop(told.send(frame))),
        limits: Limits::default(),
    };
    let (sender, mut events) = mpsc::unbounded_channel();
    let owner = Box::new(move |event| drop(sender.send(event)));
    let args = DiallerArgs { dial, seed: 1, owner };
    let address = Address::new("dialler", "");
    let (_cell, _ended) = supervision::actor::spawn::<Dialler>(args, address, None).await.unwrap();
    let mut current: Option<Connection> = None;
    loop {
        tokio::select! {
            event = events.recv() => if let Some(DiallerEvent::Up(connection)) = event {
                round_trip(&connection).await;
                connection.cast(b"ready".to_vec()).unwrap();
                current = Some(connection);
            },
            frame = heard.recv() => {
                let said = current.as_ref().map(|connection| connection.cast(frame.unwrap()));
                assert!(matches!(said, None | Some(Ok(()) | Err(LinkError::Closed(_)))), "{said:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_call_and_cast_over_both_sockets() {
    if !alone("nodes_call_and_cast_over_both_sockets") {
        return;
    }
    let mut server = Server::start(Limits::default()).await;
    for endpoint in [Endpoint::Tcp(server.tcp.to_string()), Endpoint::Unix(server.unix())] {
        let client = Client::start(&server, &endpoint, 1);
        let (peer, outlet) = server.next_connected().await;
        assert_eq!((&*peer.name, peer.role, peer.incarnation), ("studio-1", Role::Worker, Incarnation(1)));
        assert_eq!(server.next_cast().await, b"ready");
        for number in 0..2_000_u32 {
            outlet.send(number.to_be_bytes().to_vec()).unwrap();
        }
        for number in 0..2_000_u32 {
            assert_eq!(server.next_cast().await, number.to_be_bytes());
        }
        drop(client);
        assert_eq!(server.next_gone().await, peer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_comes_back_after_a_cut_and_after_a_restart_of_the_server() {
    if !alone("a_node_comes_back_after_a_cut_and_after_a_restart_of_the_server") {
        return;
    }
    let mut server = Server::start(Limits::default()).await;
    let _client = Client::start(&server, &Endpoint::Tcp(server.tcp.to_string()), 1);
    let (first, outlet) = server.next_connected().await;
    assert_eq!(server.next_cast().await, b"ready");
    outlet.close();
    assert_eq!(server.next_gone().await, first);
    let (second, _outlet) = server.next_connected().await;
    assert!(second.id > first.id);
    assert_eq!(server.next_cast().await, b"ready");
    let mut server = server.restart().await;
    server.next_connected().await;
    assert_eq!(server.next_cast().await, b"ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_returning_node_takes_the_place_of_its_dead_session_at_once() {
    if !alone("a_returning_node_takes_the_place_of_its_dead_session_at_once") {
        return;
    }
    let mut server = Server::start(Limits::default()).await;
    let endpoint = Endpoint::Tcp(server.tcp.to_string());
    let mut dead = Client::start(&server, &endpoint, 5);
    let (mut before, _outlet) = server.next_connected().await;
    assert_eq!(server.next_cast().await, b"ready");
    // The same life in a new process stands for a connection that the client has lost and we have not.
    for incarnation in [5, 6] {
        dead.signal(Signal::SIGSTOP);
        let alive = Client::start(&server, &endpoint, incarnation);
        assert_eq!(server.next_gone().await, before);
        let (peer, _outlet) = server.next_connected().await;
        assert_eq!(peer.incarnation, Incarnation(incarnation));
        assert_eq!(server.next_cast().await, b"ready");
        dead = alive;
        before = peer;
    }
    let (mut dial, _heard) = server.dial();
    dial.hello = node_hello(5);
    let refused = connect_once(&dial).await.unwrap_err();
    let newer = Incarnation(6);
    assert!(matches!(refused, ConnectError::Refused { refusal: Refusal::Superseded(by), .. } if by == newer));
    drop(dead);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_reading_fills_its_outlet_and_goes_on_when_it_reads_again() {
    if !alone("a_node_that_stops_reading_fills_its_outlet_and_goes_on_when_it_reads_again") {
        return;
    }
    let mut server = Server::start(Limits::default()).await;
    let client = Client::start(&server, &Endpoint::Tcp(server.tcp.to_string()), 1);
    let (_, outlet) = server.next_connected().await;
    assert_eq!(server.next_cast().await, b"ready");
    client.signal(Signal::SIGSTOP);
    let mut sent = 0;
    while outlet.send(vec![0; 60_000]).is_ok() {
        sent += 1;
        assert!(outlet.unacknowledged() <= server.limits.window_bytes);
    }
    assert!(matches!(outlet.send(vec![0; 60_000]), Err(LinkError::Full { .. })));
    client.signal(Signal::SIGCONT);
    for _ in 0..sent {
        assert_eq!(server.next_cast().await.len(), 60_000);
    }
    outlet.send(b"once more".to_vec()).unwrap();
    assert_eq!(server.next_cast().await, b"once more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_falls_silent_is_given_up() {
    if !alone("a_node_that_falls_silent_is_given_up") {
        return;
    }
    // Longer than ractor's own pings are apart.
    let limits = Limits { idle_deadline: Duration::from_millis(5_500), ..Limits::default() };
    let mut server = Server::start(limits).await;
    let client = Client::start(&server, &Endpoint::Tcp(server.tcp.to_string()), 1);
    let (peer, _outlet) = server.next_connected().await;
    assert_eq!(server.next_cast().await, b"ready");
    client.signal(Signal::SIGSTOP);
    let given_up = tokio::time::timeout(PATIENCE, server.seen.recv()).await.expect("in time");
    assert!(matches!(given_up, Some(Seen::Gone(gone)) if gone == peer));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_does_not_become_a_node_is_cut_off() {
    if !alone("one_who_does_not_become_a_node_is_cut_off") {
        return;
    }
    let limits = Limits { handshake_deadline: Duration::from_millis(300), ..Limits::default() };
    let mut server = Server::start(limits).await;
    let mut raw = server.raw().await;
    let hello = Hello { purpose: Purpose::Cluster, ..hello(Purpose::Local) };
    crate::link::handshake::introduce(&mut raw, &hello, Some(&server.cookie)).await.unwrap();
    let (peer, _outlet) = server.next_connected().await;
    assert_eq!(server.next_gone().await, peer);
}
