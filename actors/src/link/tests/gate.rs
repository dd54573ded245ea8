//! Who is let in, who is not, and what the turned-away are told.

use std::time::Duration;

use policy::id::Incarnation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{PATIENCE, Server, hello};
use crate::link::listener::ListenerMessage;
use crate::link::preamble::{PROTOCOLS, Proof, Protocols, Refusal, Said, encode_proof, packet};
use crate::link::stream::Stream;
use crate::link::{ConnectError, Cookie, Limits, Purpose, connect_once};

/// What the server says next, if anything.
async fn said(stream: &mut Stream) -> Option<Said> {
    let mut header = [0; 7];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut header)).await.expect("in time").ok()?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[5], header[6]]))];
    stream.read_exact(&mut body).await.ok()?;
    Said::decode(&body)
}

async fn refusal(stream: &mut Stream) -> Option<Refusal> {
    match said(stream).await? {
        Said::Refusal(refusal) => Some(refusal),
        Said::Challenge(..) | Said::Welcome(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_another_cookie_is_told_where_the_right_one_is() {
    let server = Server::start(Limits::default()).await;
    let (mut dial, _heard) = server.dial();
    dial.cookie = Some(Cookie::new([9; 32]));
    let refused = connect_once(&dial).await.unwrap_err();
    assert!(matches!(refused, ConnectError::WrongCookie { .. }));
    let advice = "does not match: copy DATA/cookie of the scheduler's machine";
    assert!(refused.to_string().contains(advice), "{refused}");
    dial.cookie = None;
    assert!(matches!(connect_once(&dial).await, Err(ConnectError::NoCookie { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_proof_and_a_missing_one_are_refused() {
    let mut server = Server::start(Limits::default()).await;
    for proof in [Proof::None, Some([0; 32])] {
        let mut raw = server.raw().await;
        raw.write_all(&packet(&hello(Purpose::Local).encode(&[1; 32]))).await.unwrap();
        assert!(matches!(said(&mut raw).await, Some(Said::Challenge(_, Some(_)))));
        raw.write_all(&packet(&encode_proof(&proof))).await.unwrap();
        assert_eq!(refusal(&mut raw).await, Some(Refusal::Cookie));
        assert_eq!(raw.read(&mut [0; 8]).await.unwrap(), 0);
    }
    assert!(server.seen.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_protocol_is_told_both() {
    let server = Server::start(Limits::default()).await;
    let (mut dial, _heard) = server.dial();
    dial.hello.protocols = Protocols { min: 300, max: 400 };
    let refused = connect_once(&dial).await.unwrap_err().to_string();
    assert_eq!(refused, format!("{} speaks protocol {PROTOCOLS}, we speak 300–400", server.tcp));
    dial.hello.protocols = Protocols { min: 1, max: 400 };
    assert_eq!(connect_once(&dial).await.unwrap().protocol(), PROTOCOLS.max);
    dial.hello.protocols = Protocols { min: 1, max: PROTOCOLS.min };
    assert_eq!(connect_once(&dial).await.unwrap().protocol(), PROTOCOLS.min);
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_bytes_are_answered_with_a_refusal_and_closed() {
    let server = Server::start(Limits::default()).await;
    let other_version = [&b"CRAB\x09\x00\x05"[..], b"hello"].concat();
    let too_long = b"CRAB\x01\xff\xff".to_vec();
    let no_hello = packet(&[1, 2, 3]);
    let mut bad_name = hello(Purpose::Local);
    bad_name.name = "a#1".into();
    let bad_name = packet(&bad_name.encode(&[1; 32]));
    for (bytes, expected) in [
        (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n".to_vec(), Refusal::Preamble(1)),
        (vec![0; 3_000], Refusal::Preamble(1)),
        (other_version, Refusal::Preamble(1)),
        (too_long, Refusal::Malformed),
        (no_hello, Refusal::Malformed),
        (bad_name, Refusal::Name),
    ] {
        let mut raw = server.raw().await;
        raw.write_all(&bytes).await.unwrap();
        assert_eq!(refusal(&mut raw).await, Some(expected), "{:?}", String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_too_slowly_is_cut_off_at_the_deadline() {
    let limits = Limits { handshake_deadline: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start(limits).await;
    let mut silent = server.raw().await;
    let mut slow = server.raw().await;
    let bytes = packet(&hello(Purpose::Local).encode(&[1; 32]));
    let started = std::time::Instant::now();
    let dribbling = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for byte in bytes {
            ticks.tick().await;
            if slow.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        said(&mut slow).await
    };
    let (silent, slow) = tokio::join!(refusal(&mut silent), dribbling);
    assert_eq!(silent, Some(Refusal::TooLate));
    assert!(matches!(slow, None | Some(Said::Refusal(Refusal::TooLate))));
    assert!(started.elapsed() < PATIENCE / 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_of_one_address_do_not_pile_up() {
    let limits = Limits { pending_handshakes_per_ip: 3, ..Limits::default() };
    let server = Server::start(limits).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(server.raw().await);
    }
    let mut beyond = server.raw().await;
    assert_eq!(beyond.read(&mut [0; 8]).await.unwrap_or(0), 0);
    drop(waiting);
    // Their places are free again as soon as the listener has noticed.
    let (dial, _heard) = server.dial();
    let again = async { while connect_once(&dial).await.is_err() {} };
    tokio::time::timeout(PATIENCE, again).await.expect("a place is free");
}

/// macOS has one loopback address unless told otherwise.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_half_open_connections_do_not_stop_a_good_one() {
    let server = Server::start(Limits::default()).await;
    let mut half_open = Vec::new();
    for number in 0..200_u8 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 1, 1 + number / 8], 0).into()).unwrap();
        half_open.push(socket.connect(server.tcp).await.unwrap());
    }
    let started = std::time::Instant::now();
    let connection = server.connect().await;
    assert_eq!(connection.call(vec![1], PATIENCE).await, Ok(vec![1]));
    assert!(started.elapsed() < server.limits.handshake_deadline);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_and_a_closing_one_say_so() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let mut server = Server::start(limits).await;
    let first = server.connect().await;
    server.next_connected().await;
    let (dial, _heard) = server.dial();
    let refused = connect_once(&dial).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { refusal: Refusal::Full(1), .. }), "{refused}");
    drop(first);
    server.next_gone().await;
    server.address.tell(ListenerMessage::Close);
    assert!(server.address.ask(PATIENCE, ListenerMessage::Peers).await.unwrap().is_empty());
    let refused = connect_once(&dial).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { refusal: Refusal::ShuttingDown, .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_that_listens_is_not_taken_for_a_scheduler() {
    let server = Server::start(Limits::default()).await;
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut dial, _heard) = server.dial();
    dial.hello.incarnation = Incarnation(2);
    dial.endpoint = other.local_addr().unwrap().to_string().parse().unwrap();
    let answering = async {
        let (mut stream, _) = other.accept().await.unwrap();
        stream.write_all(b"220 mail.example ESMTP ready\r\n").await.unwrap();
        stream
    };
    let (refused, _stream) = tokio::join!(connect_once(&dial), answering);
    assert!(matches!(refused, Err(ConnectError::Stranger { .. })));
    drop(other);
    assert!(matches!(connect_once(&dial).await, Err(ConnectError::Unreachable { .. })));
}
