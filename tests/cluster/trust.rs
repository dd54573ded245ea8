//! Certificates: a fleet that is made with them, who may do what in it, and who is sent away.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use actors::link::preamble::PROTOCOLS;
use actors::link::{self, Connection, Dial, Hello, Purpose, Role};
use actors::trust;
use actors::wire::client::Request;
use actors::wire::codec;
use actors::wire::fleet::FromWorker;
use arc_swap::ArcSwap;
use policy::event::SubmissionKey;
use policy::id::{Incarnation, NodeSession};
use policy::submission::Submission;

use super::fleet::free_address;
use crate::support::place::{Daemon, Place};
use crate::support::program::run;
use crate::support::waiting::{SOON, until_true};

/// A scheduler with certificates, and where it listens.
pub(super) fn head() -> (Place, Daemon, String) {
    let place = Place::new();
    let address = free_address();
    assert!(place.run(&["cluster", "init"]).expect(0).text().contains("the fleet's authority is"));
    let daemon = place.daemon(&["--name", "head", "--no-worker", "--listen", &address]);
    (place, daemon, address)
}

/// An invitation, as one line.
pub(super) fn invited(head: &Place, args: &[&str]) -> String {
    let ran = head.run(&[&["cluster", "invite"], args].concat()).expect(0);
    ran.text().trim().to_owned()
}

/// The line a person sees; the secret must not be in it.
#[track_caller]
fn hides(said: &str, line: &str) {
    let secret = line.rsplit(':').next().expect("a secret");
    assert!(!said.contains(secret), "the secret is told");
}

#[test]
fn a_fleet_is_made_with_invitations_and_a_member_that_is_sent_away_is_gone_at_once() {
    let (head, daemon, address) = head();
    let key = head.data().join("trust").join("authority.pem");
    assert_eq!(fs::metadata(key).expect("a key").permissions().mode() & 0o777, 0o600);
    head.run(&["cluster", "init"]).expect(1).says(&["is there already"]);
    let line = invited(&head, &["mac-2", "--role", "worker"]);
    assert!(line.starts_with(&format!("crab1:{address}:")), "{line}");
    let worker = Place::new();
    // The cookie is of no use: it is for machines without certificates.
    // On its command line everybody on that machine would see it.
    let file = worker.file("line", format!("{line}\n"));
    let member = Daemon::spawn(&worker, &["--cpus", "2", "--join", &format!("@{}", file.display())]);
    head.wait_nodes(1);
    hides(&member.said(), &line);
    let told = head.run(&["nodes", "--json"]).expect(0).json();
    assert_eq!(told[0]["node"], "mac-2");
    head.run(&["submit", "--wait", "--", "sh", "-c", "echo here"]).expect(0);
    // Output of a few megabytes: frames as large as they get, over the cluster's carrier in TLS.
    head.run(&[
        "submit",
        "--name",
        "loud",
        "--wait",
        "--",
        "sh",
        "-c",
        "head -c 3000000 /dev/zero | tr '\\0' x",
    ])
    .expect(0);
    assert!(head.run(&["logs", "loud"]).expect(0).text().len() >= 3_000_000);
    // The line is used up, for others; the machine itself needs none any more.
    let other = Place::new();
    let thief = Daemon::spawn(&other, &["--cpus", "2", "--join", &line]);
    assert_eq!(thief.ended().code(), Some(1));
    assert!(member.stop().success());
    let member = Daemon::spawn(&worker, &["--cpus", "2", "--join", &address]);
    head.wait_nodes(1);
    let rows = head.run(&["cluster", "list", "--json"]).expect(0).json();
    assert_eq!((rows[0]["name"].as_str(), rows[0]["state"].as_str()), (Some("mac-2"), Some("good")));
    head.run(&["cluster", "revoke", "mac-2"]).expect(0);
    until_true("it is told", SOON, || member.said().contains("does not know our certificate any more"));
    until_true("it is away", SOON, || head.run(&["nodes", "--json"]).expect(0).json()[0]["health"] != "up");
    head.run(&["cluster", "revoke", "nobody"]).expect(4);
    let events = head.run(&["events", "--json"]).expect(0).text();
    for told in ["audit.done", "invite mac-2 as worker", "got a certificate", "revoke mac-2", "audit.refused"]
    {
        assert!(events.contains(told), "{told}: {events}");
    }
    member.kill();
    assert!(daemon.stop().success());
}

#[test]
fn each_role_may_do_what_it_may_and_nothing_else() {
    let (head, daemon, address) = head();
    let member = invited(&head, &["mac-2", "--role", "worker"]);
    let worker = Place::new();
    let machine = Daemon::spawn(&worker, &["--cpus", "2", "--join", &member]);
    head.wait_nodes(1);
    let theirs = head.submit(&["--name", "theirs", "--", "sleep", "600"]);
    let join = |name: &str, more: &[&str]| {
        let place = Place::new();
        let line = invited(&head, &[&[name], more].concat());
        let written = format!("@{}", place.file("line", &line).display());
        let ran = place.run(&["--address", &written, "nodes", "--json"]).expect(0);
        hides(&ran.err, &line);
        place
    };
    let viewer = join("vic", &["--role", "viewer"]);
    let operator = join("olga", &["--role", "operator"]);
    let agent = join("bot", &["--role", "agent"]);
    let at = |place: &Place, args: &[&str]| place.run(&[&["--address", &address], args].concat());
    // A viewer sees everything and changes nothing.
    at(&viewer, &["status"]).expect(0);
    at(&viewer, &["show", &theirs]).expect(0);
    at(&viewer, &["events", "--json"]).expect(0);
    for denied in [
        &["cancel", &theirs][..],
        &["retry", &theirs],
        &["signal", &theirs, "USR1"],
        &["submit", "--", "true"],
        &["pause"],
        &["node", "drain", "mac-2"],
        &["cluster", "invite", "eve"],
        &["cluster", "list"],
        &["cluster", "revoke", "olga"],
    ] {
        at(&viewer, denied).expect(1).says(&["as viewer you have no right to"]);
    }
    for denied in [r#"send scheduler {"pause":{}}"#, &format!(r#"send task/{theirs} {{"cancel":{{}}}}"#)] {
        let line = ["--address", &address, "--yes", "-e", denied];
        run(&mut viewer.top(&line)).expect(7).says(&["as viewer you have no right to"]);
    }
    // An agent's tasks are its tenant's, and it sees no others.
    let own = at(&agent, &["submit", "--json", "--name", "own", "--", "sleep", "600"]).expect(0).json();
    let own = own[0]["first_task"].as_str().expect("an id").to_owned();
    assert_eq!(head.show(&own)["tenant"], "bot");
    at(&agent, &["show", &own]).expect(0);
    let graphs = at(&agent, &["list", "--json"]).expect(0).json();
    assert_eq!(graphs.len(), 1, "{graphs:?}");
    at(&agent, &["show", &theirs]).expect(4);
    let unseen = |verb: &&str| drop(at(&agent, &[verb, &theirs]).expect(4));
    ["cancel", "logs", "artifacts"].iter().for_each(unseen);
    at(&agent, &["signal", &theirs, "USR1"]).expect(4);
    at(&viewer, &["artifacts", &theirs]).expect(4).says(&["declares none"]);
    at(&agent, &["cancel", "theirs"]).expect(4);
    // Whatever it says, what it submits is its tenant's.
    let named = at(&agent, &["submit", "--json", "--tenant", "ci", "--", "true"]).expect(0).json();
    assert_eq!(head.show(named[0]["first_task"].as_str().expect("an id"))["tenant"], "bot");
    for denied in
        [&["status"][..], &["metrics"], &["pause"], &["node", "drain", "mac-2"], &["cluster", "list"]]
    {
        at(&agent, denied).expect(1).says(&["as agent you have no right to"]);
    }
    at(&agent, &["cancel", &own]).expect(0);
    head.wait_state(&own, "cancelled");
    // An operator does everything, under the name in the certificate.
    at(&operator, &["node", "cordon", "mac-2"]).expect(0);
    at(&operator, &["cancel", &theirs]).expect(0);
    at(&operator, &["cluster", "revoke", "bot"]).expect(0);
    at(&agent, &["list"]).expect(6).says(&["does not know our certificate any more"]);
    let events = head.run(&["events", "--json"]).expect(0).text();
    for told in ["operator olga", "viewer vic", &format!("Cancel task {theirs}")] {
        assert!(events.contains(told), "{told}: {events}");
    }
    assert!(!events.contains("tester@"), "who says so is not believed: {events}");
    assert!(machine.stop().success());
    assert!(daemon.stop().success());
}

/// Joins as a library does, and connects in this role.
async fn connected(place: &Place, line: &str, role: Role) -> Connection {
    let own = trust::join(&place.data(), &line.parse().expect("a line")).await.expect("a certificate");
    let (name, endpoint) = (own.member().name.to_string(), link::Endpoint::Tcp(own.address().to_owned()));
    let hello =
        Hello { role, purpose: Purpose::Local, name, incarnation: Incarnation(1), protocols: PROTOCOLS };
    let own = Some(Arc::new(ArcSwap::from_pointee(own)));
    let limits = link::Limits::default();
    let dial =
        Dial { endpoint, hello, cookie: None, own, cluster: None, inbound: Arc::new(|_, _| {}), limits };
    link::connect_once(&dial).await.expect("it is let in")
}

#[test]
fn a_worker_that_asks_is_not_answered_and_who_is_none_says_nothing_unasked() {
    let (head, daemon, _) = head();
    let machine = invited(&head, &["mac-2", "--role", "worker"]);
    let person = invited(&head, &["olga", "--role", "operator"]);
    let (worker, operator) = (Place::new(), Place::new());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let worker = connected(&worker, &machine, Role::Worker).await;
        let submission = Submission::new(SubmissionKey(1), "g", Vec::new());
        for request in [Request::Hello, Request::Submit(Box::new(submission)), Request::Status] {
            let answer = worker.call(codec::encode(&request), SOON).await;
            assert!(answer.is_err(), "{answer:?}");
        }
        let operator = connected(&operator, &person, Role::Cli).await;
        let session = NodeSession(1);
        operator.cast(codec::encode(&FromWorker::Goodbye { session })).expect("it is sent");
        operator.call(codec::encode(&Request::Hello), SOON).await.expect("it is heard behind that");
    });
    for told in ["a worker asks nothing that a client may", "only a worker says something unasked"] {
        // Another thread than the one that answers records it.
        let events = || head.run(&["events", "--json", "--type", "audit.refused"]).expect(0).text();
        until_true(told, SOON, || events().contains(told));
    }
    assert_eq!(head.run(&["list", "--json"]).expect(0).json().len(), 0);
    assert!(daemon.stop().success());
}

#[test]
fn whose_a_key_is_that_was_used_before_is_told_to_its_tenant_alone() {
    let (head, daemon, address) = head();
    let agent = |name: &str| {
        let place = Place::new();
        place.run(&["--address", &invited(&head, &[name, "--role", "agent"]), "nodes"]).expect(0);
        place
    };
    let (ann, bob) = (agent("ann"), agent("bob"));
    let submit = |place: &Place, program: &str| {
        place.run(&["--address", &address, "submit", "--key", "nightly", "--json", "--", program])
    };
    let first = submit(&ann, "true").expect(0).json();
    let graph = first[0]["graph"].as_str().expect("an id").to_owned();
    assert_eq!(submit(&ann, "true").expect(0).json()[0]["repeated"], true);
    submit(&ann, "false").expect(5).says(&[&graph, "choose another key"]);
    let told = submit(&bob, "true");
    assert!(!told.err.contains(&graph), "{}", told.err);
    told.expect(1).says(&["the key was used by somebody else"]);
    assert!(daemon.stop().success());
}

#[test]
fn without_certificates_nobody_else_is_listened_to_and_the_refusal_leads_on() {
    let place = Place::new();
    let daemon = Daemon::spawn(&place, &["--cpus", "1", "--listen", "0.0.0.0:0"]);
    until_true("it says what to do", SOON, || daemon.said().contains("run `crab cluster init` first"));
    assert_eq!(daemon.ended().code(), Some(1));
    let daemon = place.daemon(&["--cpus", "1"]);
    place.run(&["cluster", "invite", "x"]).expect(1).says(&["run `crab cluster init`"]);
    assert!(daemon.stop().success());
    let stranger = Place::new();
    stranger.run(&["--address", "127.0.0.1:9", "status"]).expect(6).says(&["ask for an invitation"]);
    stranger.run(&["--address", "crab1:nonsense", "status"]).expect(6).says(&["this is no invitation"]);
}
