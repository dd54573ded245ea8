//! Who is let in where the fleet has certificates, and who is not.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use policy::trust::{FleetRole, Member};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{PATIENCE, Server};
use crate::clock::Clock;
use crate::link::listener::bind;
use crate::link::preamble::Refusal;
use crate::link::{ConnectError, Connection, Dial, EndReason, Limits, Role, connect_once, secure};
use crate::trust::authority::Authority;
use crate::trust::own::kept;
use crate::trust::{Invitation, Own, TrustError, join};

const HOUR: Duration = Duration::from_secs(3600);

fn invited(server: &Server, name: &str, role: FleetRole, expires: Duration) -> Invitation {
    let member = Member { name: name.into(), role, tenant: name.into() };
    server.fleet.as_ref().unwrap().invite(member, &server.tcp.to_string(), expires).unwrap()
}

/// A member with a directory of its own.
async fn member(server: &Server, name: &str, role: FleetRole) -> (TempDir, Own) {
    let data = tempfile::tempdir().unwrap();
    let own = join(data.path(), &invited(server, name, role, HOUR)).await.unwrap();
    (data, own)
}

fn dial(server: &Server, own: &Own) -> Dial {
    let (mut dial, _) = server.dial();
    dial.cookie = None;
    dial.own = Some(Arc::new(ArcSwap::from_pointee(own.clone())));
    dial
}

async fn connected(server: &Server, own: &Own) -> Connection {
    connect_once(&dial(server, own)).await.unwrap()
}

#[track_caller]
fn refused(result: Result<Connection, ConnectError>, expected: Refusal) {
    match result {
        Err(ConnectError::Refused { refusal, .. }) => assert_eq!(refusal, expected),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_believed_by_its_certificate_and_known_by_its_name() {
    let mut server = Server::secured(Limits::default()).await;
    let (_data, own) = member(&server, "ann", FleetRole::Operator).await;
    let connection = connected(&server, &own).await;
    let large = vec![7; 900_000];
    assert_eq!(connection.call(large.clone(), PATIENCE).await, Ok(large));
    let (peer, _) = server.next_connected().await;
    assert_eq!(peer.caller.to_string(), "operator ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_alone_opens_nothing() {
    let mut server = Server::secured(Limits::default()).await;
    refused(connect_once(&server.dial().0).await, Refusal::Uncertified);
    assert!(server.seen.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_certificate_of_another_fleet_is_refused_and_refuses() {
    let [server, other] =
        [Server::secured(Limits::default()).await, Server::secured(Limits::default()).await];
    let (_data, own) = member(&other, "ann", FleetRole::Operator).await;
    let error = connect_once(&dial(&server, &own)).await.unwrap_err();
    assert!(error.to_string().contains("another authority answers there"), "{error}");
    // An invitation of one fleet at the door of the other: somebody in between.
    let mut line = invited(&other, "bob", FleetRole::Operator, HOUR);
    line.address = server.tcp.to_string();
    let data = tempfile::tempdir().unwrap();
    let error = join(data.path(), &line).await.unwrap_err();
    assert!(error.to_string().contains("another authority answers there"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_good_once_and_for_its_time() {
    let server = Server::secured(Limits::default()).await;
    let line = invited(&server, "mac-2", FleetRole::Worker, HOUR);
    let [first, second] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let own = join(first.path(), &line).await.unwrap();
    assert_eq!((&*own.member().name, own.member().role), ("mac-2", FleetRole::Worker));
    // Who has used it may say it again; nobody else.
    assert_eq!(join(first.path(), &line).await.unwrap().member(), own.member());
    let error = join(second.path(), &line).await.unwrap_err();
    assert!(matches!(&error, TrustError::Refused(why) if why.contains("was used, has expired")), "{error}");
    let expired = invited(&server, "mac-3", FleetRole::Worker, Duration::from_micros(1));
    let error = join(second.path(), &expired).await.unwrap_err();
    assert!(matches!(&error, TrustError::Refused(why) if why.contains("has expired")), "{error}");
    let taken = Member { name: "mac-2".into(), role: FleetRole::Operator, tenant: "x".into() };
    let fleet = server.fleet.as_ref().unwrap();
    assert!(fleet.invite(taken, "a:1", HOUR).unwrap_err().to_string().contains("mac-2 is a member"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_ends_what_is_open_and_lets_nothing_in_again() {
    let server = Server::secured(Limits::default()).await;
    let (data, own) = member(&server, "ann", FleetRole::Operator).await;
    let (_other_data, other) = member(&server, "bob", FleetRole::Viewer).await;
    let [connection, stays] = [connected(&server, &own).await, connected(&server, &other).await];
    let fleet = Arc::clone(server.fleet.as_ref().unwrap());
    assert_eq!(fleet.revoke("ann").unwrap(), (1, 0));
    let ended = tokio::time::timeout(PATIENCE, connection.closed()).await.expect("at once");
    assert_eq!(ended, EndReason::PeerClosed);
    refused(connect_once(&dial(&server, &own)).await, Refusal::Revoked);
    assert_eq!(stays.call(vec![1], PATIENCE).await, Ok(vec![1]));
    // It cannot be renewed either, and it is so after a restart.
    assert!(own.renew(data.path()).await.is_err());
    let again = crate::trust::Fleet::open(server.data(), Clock::system()).unwrap().unwrap();
    assert_eq!(again.rows().0.iter().filter(|row| row.revoked.is_some()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_by_a_name_or_a_role_that_is_not_theirs() {
    let server = Server::secured(Limits::default()).await;
    let (_a, worker) = member(&server, "mac-a", FleetRole::Worker).await;
    let (_b, operator) = member(&server, "ann", FleetRole::Operator).await;
    for (own, role, name) in [
        (&worker, Role::Worker, "mac-b"),
        (&worker, Role::Cli, "mac-a"),
        (&worker, Role::Agent, "mac-a"),
        (&operator, Role::Worker, "ann"),
    ] {
        let mut dial = dial(&server, own);
        (dial.hello.role, dial.hello.name) = (role, name.to_owned());
        refused(connect_once(&dial).await, Refusal::Misnamed);
    }
    let mut dial = dial(&server, &worker);
    (dial.hello.role, dial.hello.name) = (Role::Worker, "mac-a".to_owned());
    connect_once(&dial).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_and_one_that_nobody_entered_are_refused() {
    let server = Server::secured(Limits::default()).await;
    let authority = Authority::open(server.data()).unwrap().unwrap();
    let member = Member { name: "old".into(), role: FleetRole::Operator, tenant: "old".into() };
    let now = Clock::system().wall();
    for (since, expected) in
        [(now - 100 * 24 * HOUR, "does not take our certificate"), (now, "does not know")]
    {
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap();
        let signed = authority.sign(request.der(), &member, since, 30 * 24 * HOUR).unwrap();
        let data = tempfile::tempdir().unwrap();
        let own = kept(
            data.path(),
            &[key.serialize_pem(), signed.pem, authority.pem().to_owned()].concat(),
            (&member, &server.tcp.to_string(), now),
        );
        let error = connect_once(&dial(&server, &own)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_with_itself_and_with_nothing_else() {
    let server = Server::secured(Limits::default()).await;
    let (data, own) = member(&server, "ann", FleetRole::Operator).await;
    let renewed = own.renew(data.path()).await.unwrap();
    assert!(renewed.until() >= own.until());
    for own in [&own, &renewed] {
        connected(&server, own).await.call(vec![1], PATIENCE).await.unwrap();
    }
    assert_eq!(server.fleet.as_ref().unwrap().rows().0.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stalls_in_tls_or_behind_it_is_cut_off_and_holds_up_nobody() {
    let limits = Limits { handshake_deadline: Duration::from_millis(400), ..Limits::default() };
    let server = Server::secured(limits).await;
    let (_data, own) = member(&server, "ann", FleetRole::Operator).await;
    let mut silent = server.raw().await;
    let mut begun = server.raw().await;
    begun.write_all(&[22, 3, 1, 0xff, 0xff, 1]).await.unwrap();
    let socket = tokio::net::TcpStream::connect(server.tcp).await.unwrap();
    let mut inside = secure::dial(socket, &own).await.unwrap();
    inside.write_all(b"CRAB").await.unwrap();
    inside.flush().await.unwrap();
    connected(&server, &own).await.call(vec![1], PATIENCE).await.unwrap();
    for stream in [&mut silent, &mut begun, &mut inside] {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "it is closed at the deadline");
    }
}

/// Bytes that a seed makes, some of them looking like the beginning of something.
fn noise(random: &mut fastrand::Rng) -> Vec<u8> {
    let begin: &[u8] = match random.u8(0..4) {
        0 => &[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
        1 => b"CRAB\x01",
        2 => &[22, 3, 3, 0xff, 0xff],
        _ => &[],
    };
    let length = random.usize(0..2_000);
    begin.iter().copied().chain(std::iter::repeat_with(|| random.u8(..)).take(length)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_before_tls_within_it_and_in_place_of_an_application_harms_nobody() {
    let limits = Limits { handshake_deadline: Duration::from_millis(500), ..Limits::default() };
    let server = Server::secured(limits).await;
    let (_data, own) = member(&server, "ann", FleetRole::Operator).await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let mut raw = server.raw().await;
        let _ = raw.write_all(&noise(&mut random)).await;
        let _ = raw.shutdown().await;
        let _ = tokio::time::timeout(PATIENCE, raw.read_to_end(&mut Vec::new())).await.expect("it is closed");
    }
    for _ in 0..50 {
        let socket = tokio::net::TcpStream::connect(server.tcp).await.unwrap();
        let mut inside = secure::dial(socket, &own).await.unwrap();
        let _ = inside.write_all(&noise(&mut random)).await;
        let _ = inside.shutdown().await;
        let _ =
            tokio::time::timeout(PATIENCE, inside.read_to_end(&mut Vec::new())).await.expect("it is closed");
    }
    let fleet = server.fleet.as_ref().unwrap();
    for _ in 0..500 {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let mut bytes = noise(&mut random);
        if random.bool() {
            let length = u32::try_from(bytes.len()).unwrap();
            bytes.splice(0..0, length.to_be_bytes());
        }
        ours.write_all(&bytes).await.unwrap();
        ours.shutdown().await.unwrap();
        let heard = crate::trust::hear_applicant(&mut theirs, fleet, None).await;
        assert!(!matches!(heard, Ok(Ok(_))));
    }
    assert_eq!(fleet.rows().0.len(), 1);
    connected(&server, &own).await.call(vec![1], PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_certificates_only_loopback_is_listened_on() {
    let error = bind::tcp("0.0.0.0:0".parse().unwrap(), false).unwrap_err();
    assert!(error.to_string().contains("run `crab cluster init` first"), "{error}");
    bind::tcp("127.0.0.1:0".parse().unwrap(), false).unwrap();
}
