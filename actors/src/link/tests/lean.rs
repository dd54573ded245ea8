//! Sessions over the lean carrier.

use std::time::Duration;

use policy::id::Incarnation;
use supervision::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::support::{PATIENCE, Seen, Server, hello};
use crate::link::dialler::{Dialler, DiallerArgs, DiallerEvent};
use crate::link::handshake::introduce;
use crate::link::preamble::{PROTOCOLS, Refusal};
use crate::link::{
    ConnectError, Connection, EndReason, Endpoint, Limits, LinkError, MAX_FRAME_BYTES, Purpose, Role, Via,
    connect_once, direct,
};

#[tokio::test(flavor = "multi_thread")]
async fn frames_go_both_ways_over_both_sockets() {
    let mut server = Server::start(Limits::default()).await;
    for endpoint in [Endpoint::Tcp(server.tcp.to_string()), Endpoint::Unix(server.unix())] {
        let (mut dial, mut heard) = server.dial();
        let local = matches!(endpoint, Endpoint::Unix(_));
        dial.cookie = dial.cookie.filter(|_| !local);
        dial.endpoint = endpoint;
        let connection = connect_once(&dial).await.unwrap();
        assert_eq!((connection.server(), connection.protocol()), ("head", PROTOCOLS.max));
        let (peer, outlet) = server.next_connected().await;
        assert_eq!((&*peer.name, peer.role, peer.incarnation), ("tester", Role::Cli, Incarnation(1)));
        assert_eq!(matches!(peer.via, Via::Unix { .. }), local);
        round_trip(&connection).await;
        connection.cast(b"said".to_vec()).unwrap();
        assert_eq!(server.next_cast().await, b"said");
        outlet.send(b"told".to_vec()).unwrap();
        assert_eq!(heard.recv().await.unwrap(), b"told");
        drop(connection);
        assert_eq!(server.next_gone().await, peer);
        assert!(matches!(outlet.send(vec![1]), Err(LinkError::Closed(EndReason::PeerClosed))));
    }
}

/// What holds of calls over any carrier.
pub(super) async fn round_trip(connection: &Connection) {
    let call = |frame: &[u8]| connection.call(frame.to_vec(), PATIENCE);
    assert_eq!(call(b"asked").await, Ok(b"asked".to_vec()));
    assert_eq!(call(b"").await, Ok(Vec::new()));
    assert_eq!(call(b"later").await, Ok(b"later".to_vec()));
    assert_eq!(call(b"drop").await, Err(LinkError::Dropped));
    assert_eq!(
        call(b"large").await,
        Err(LinkError::FrameTooLarge { bytes: 2 << 20, limit: MAX_FRAME_BYTES })
    );
    let soon = Duration::from_millis(1);
    assert_eq!(connection.call(b"never".to_vec(), soon).await, Err(LinkError::Late(soon)));
    sizes(connection).await;
}

async fn sizes(connection: &Connection) {
    let largest = vec![7; MAX_FRAME_BYTES];
    assert_eq!(connection.call(largest.clone(), PATIENCE).await, Ok(largest));
    let too_large = vec![7; MAX_FRAME_BYTES + 1];
    let refused = LinkError::FrameTooLarge { bytes: MAX_FRAME_BYTES + 1, limit: MAX_FRAME_BYTES };
    assert_eq!(connection.call(too_large.clone(), PATIENCE).await, Err(refused));
    assert_eq!(connection.cast(too_large), Err(refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_answers_pass_through_a_small_window() {
    let limits = Limits { window_bytes: 4 << 20, ..Limits::default() };
    let server = Server::start(limits).await;
    let connection = server.connect().await;
    for _ in 0..40 {
        let frame = vec![1; MAX_FRAME_BYTES];
        assert_eq!(connection.call(frame.clone(), PATIENCE).await, Ok(frame));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stops_reading_fills_its_outlet_and_no_more() {
    let mut server = Server::start(Limits::default()).await;
    let mut raw = server.raw().await;
    introduce(&mut raw, &hello(Purpose::Local), Some(&server.cookie)).await.unwrap();
    let (peer, outlet) = server.next_connected().await;
    let limit = server.limits.window_bytes;
    let full = loop {
        if let Err(full) = outlet.send(vec![0; 60_000]) {
            break full;
        }
        assert!(outlet.unacknowledged() <= limit);
    };
    assert!(matches!(full, LinkError::Full { unacknowledged, .. } if unacknowledged > limit - 70_000));
    outlet.close();
    assert_eq!(server.next_gone().await, peer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_and_does_not_read_is_cut_off() {
    let limits = Limits { window_bytes: 1 << 20, answers_factor: 2, ..Limits::default() };
    let mut server = Server::start(limits).await;
    let mut raw = server.raw().await;
    introduce(&mut raw, &hello(Purpose::Local), Some(&server.cookie)).await.unwrap();
    let (peer, _outlet) = server.next_connected().await;
    let asking = async {
        for number in 0_u64.. {
            let mut frame = 50_009_u32.to_be_bytes().to_vec();
            frame.push(2);
            frame.extend_from_slice(&number.to_be_bytes());
            frame.resize(50_013, 0);
            if raw.write_all(&frame).await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("cut off");
    assert_eq!(server.next_gone().await, peer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_breaks_the_frame_format_is_cut_off() {
    let mut server = Server::start(Limits::default()).await;
    let too_long = [&u32::MAX.to_be_bytes()[..], &[1; 9]].concat();
    let too_short = [&3_u32.to_be_bytes()[..], &[1; 9]].concat();
    let unknown_kind = [&9_u32.to_be_bytes()[..], &[99], &[0; 8]].concat();
    let unsent_acknowledged = [&9_u32.to_be_bytes()[..], &[4], &[255; 8]].concat();
    for bytes in [too_long, too_short, unknown_kind, unsent_acknowledged] {
        let mut raw = server.raw().await;
        introduce(&mut raw, &hello(Purpose::Local), Some(&server.cookie)).await.unwrap();
        let (peer, _outlet) = server.next_connected().await;
        raw.write_all(&bytes).await.unwrap();
        assert_eq!(server.next_gone().await, peer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_a_session_and_a_quiet_client_is_not_silent() {
    let limits = Limits {
        idle_deadline: Duration::from_millis(400),
        keep_alive: Duration::from_millis(50),
        ..Limits::default()
    };
    let mut server = Server::start(limits).await;
    let quiet = server.connect().await;
    server.next_connected().await;
    let mut raw = server.raw().await;
    introduce(&mut raw, &hello(Purpose::Local), Some(&server.cookie)).await.unwrap();
    let (silent, _outlet) = server.next_connected().await;
    assert_eq!(server.next_gone().await, silent);
    assert_eq!(quiet.call(b"still here".to_vec(), PATIENCE).await, Ok(b"still here".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_comes_back_takes_the_place_of_its_dead_session_and_an_older_one_does_not() {
    let mut server = Server::start(Limits::default()).await;
    let dial = |incarnation| {
        let mut dial = server.dial().0;
        dial.hello.role = Role::Worker;
        dial.hello.incarnation = Incarnation(incarnation);
        dial
    };
    let (first, second, late) = (dial(1), dial(2), dial(1));
    let dead = connect_once(&first).await.unwrap();
    let (before, _outlet) = server.next_connected().await;
    let _alive = connect_once(&second).await.unwrap();
    assert_eq!(server.next_gone().await, before);
    assert_eq!(server.next_connected().await.0.incarnation, Incarnation(2));
    dead.closed().await;
    let refused = connect_once(&late).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { refusal: Refusal::Superseded(_), .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_ends_takes_its_sessions_along() {
    let mut server = Server::start(Limits::default()).await;
    let connection = server.connect().await;
    let (peer, _outlet) = server.next_connected().await;
    server.stop().await;
    assert_eq!(server.next_gone().await, peer);
    assert_eq!(connection.closed().await, EndReason::PeerClosed);
    let late = connection.call(vec![1], PATIENCE).await;
    assert_eq!(late, Err(LinkError::Closed(EndReason::PeerClosed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialler_comes_back_when_the_server_does() {
    let mut server = Server::start(Limits::default()).await;
    let (mut dial, _heard) = server.dial();
    dial.endpoint = Endpoint::Unix(server.unix());
    let (sender, mut events) = mpsc::unbounded_channel();
    let owner = Box::new(move |event| drop(sender.send(event)));
    let address = Address::new("dialler", "");
    let args = DiallerArgs { dial, seed: 1, owner };
    let (cell, ended) = supervision::actor::spawn::<Dialler>(args, address, None).await.unwrap();
    assert!(matches!(events.recv().await, Some(DiallerEvent::Up(_))));
    server.next_connected().await;
    let mut server = server.restart().await;
    assert!(matches!(events.recv().await, Some(DiallerEvent::Down(EndReason::PeerClosed))));
    let connection = loop {
        match events.recv().await.unwrap() {
            DiallerEvent::Up(connection) => break connection,
            DiallerEvent::Refused { .. } => {}
            DiallerEvent::Down(reason) => panic!("{reason}"),
        }
    };
    let (peer, _outlet) = server.next_connected().await;
    assert_eq!(connection.call(vec![1], PATIENCE).await, Ok(vec![1]));
    cell.stop(None);
    ended.await.unwrap();
    assert_eq!(server.next_gone().await, peer);
    assert_eq!(connection.closed().await, EndReason::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_connection_behaves_like_one_over_a_socket() {
    let mut server = Server::start(Limits::default()).await;
    let (sender, mut seen) = mpsc::unbounded_channel();
    let (inbound, mut heard) = mpsc::unbounded_channel();
    let inbound = std::sync::Arc::new(move |_, frame| drop(inbound.send(frame)));
    let door = std::sync::Arc::new(super::support::TestDoor { seen: sender });
    let connection = direct::connect(door, Role::Worker, ("embedded", Incarnation(3)), inbound);
    let Some(Seen::Connected(peer, outlet)) = seen.recv().await else { panic!("connected comes first") };
    assert_eq!((&*peer.name, peer.via), ("embedded", Via::Direct));
    assert_eq!(connection.call(b"later".to_vec(), PATIENCE).await, Ok(b"later".to_vec()));
    assert_eq!(connection.call(b"drop".to_vec(), PATIENCE).await, Err(LinkError::Dropped));
    outlet.send(b"told".to_vec()).unwrap();
    assert_eq!(heard.recv().await.unwrap(), b"told");
    drop(connection);
    assert!(matches!(seen.recv().await, Some(Seen::Gone(gone)) if gone == peer));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_frame_reaches_nobody() {
    let mut server = Server::start(Limits::default()).await;
    let mut raw = server.raw().await;
    introduce(&mut raw, &hello(Purpose::Local), Some(&server.cookie)).await.unwrap();
    let (peer, _outlet) = server.next_connected().await;
    raw.write_all(&[&109_u32.to_be_bytes()[..], &[1], &[0; 8], &[7; 50]].concat()).await.unwrap();
    raw.shutdown().await.unwrap();
    assert_eq!(server.next_gone().await, peer);
    assert_eq!(raw.read(&mut [0; 64]).await.unwrap_or(0), 0);
}
