//! Whether machines reach each other: the scheduler hears its workers, a worker reaches its scheduler and is heard by it, and
//! others would reach the scheduler where it listens.
//!
//! What is seen from one machine is told as that: a firewall between two shows on the one that dials, which is the worker's.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::client::endpoint::SOCKET_NAME;
use actors::client::{COOKIE_NAME, Client, ClientError, Endpoint};
use actors::link::preamble::{PROTOCOLS, Refusal};
use actors::link::{self, ConnectError, Cookie, Hello, Limits, Purpose, Role};
use actors::trust::Own;
use actors::wire::client::{EventFilter, NodeHealth, NodeRow, PAGE_LIMIT};
use arc_swap::ArcSwap;
use policy::event::{Event, NodeEvent};
use policy::id::{Incarnation, NodeId};
use policy::time::Timestamp;

use super::{Finding, fleet};
use crate::cli::text;

/// How long a machine of one's own network may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The newest events among which the beginning of a link is looked for: some seconds of a busy fleet, days of one at rest.
const EVENTS_LOOKED_AT: u64 = 5 * PAGE_LIMIT as u64;

/// Since when machines are connected, as far as it was looked for.
pub(super) type Since = BTreeMap<NodeId, Timestamp>;

/// The machine's membership as a worker of another one's scheduler; `None` where it has none, or leads a fleet itself.
pub(super) fn membership(directory: &Path) -> Option<Own> {
    if directory.join(SOCKET_NAME).exists() {
        return None;
    }
    // What is wrong with its files is told with its certificates.
    Own::of_worker(directory).ok().flatten()
}

/// What a worker sees of its scheduler, and that of it.
pub(super) async fn as_worker(own: &Own, directory: PathBuf) -> anyhow::Result<Vec<Finding>> {
    let name = own.member().name.to_string();
    let hello = Hello { role: Role::Worker, ..hello(name.clone()) };
    let found = knock(own.address(), hello, (Some(own.clone()), None)).await;
    let mut findings = vec![scheduler(own.address(), found)];
    if Own::of_client(&directory).ok().flatten().is_none() {
        let evidence =
            format!("whether the scheduler hears {name} was not asked: crab has no certificate here");
        let next = "`crab doctor` on the scheduler's machine tells; or ask there for one (`crab cluster invite NAME --role viewer`)";
        findings.push(Finding::ok("reach.back", evidence).more(next));
        return Ok(findings);
    }
    let client = Client::connect_with(Endpoint::Address(own.address().to_owned()), directory);
    findings.extend(fleet::look(&client, (None, Some(&name))).await?);
    Ok(findings)
}

fn hello(name: String) -> Hello {
    Hello {
        role: Role::Cli,
        purpose: Purpose::Local,
        name,
        incarnation: Incarnation(0),
        protocols: PROTOCOLS,
    }
}

/// Who is there, and whether they take us.
async fn knock(
    address: &str,
    hello: Hello,
    (own, cookie): (Option<Own>, Option<Cookie>),
) -> Result<String, ConnectError> {
    let limits = Limits { handshake_deadline: PATIENCE, ..Limits::default() };
    let endpoint = link::Endpoint::Tcp(address.to_owned());
    let own = own.map(|own| Arc::new(ArcSwap::from_pointee(own)));
    let inbound = Arc::new(|_, _: Vec<u8>| {});
    link::knock(&link::Dial { endpoint, hello, cookie, own, cluster: None, inbound, limits }).await
}

/// What a worker has found at the address of its scheduler.
fn scheduler(address: &str, found: Result<String, ConnectError>) -> Finding {
    let check = "reach.scheduler";
    let error = match found {
        Ok(name) => {
            let evidence = format!("{name} answers on {address} and takes this machine's certificate");
            return Finding::ok(check, evidence);
        }
        Err(error) => error,
    };
    let next = match &error {
        ConnectError::Refused { refusal: Refusal::Revoked | Refusal::Misnamed, .. } => {
            "ask for an invitation (`crab cluster invite NAME --role worker` there) and join with it: `crabd --join -`"
        }
        ConnectError::Refused { .. } => "see the scheduler's log",
        ConnectError::Untrusted { .. } | ConnectError::Stranger { .. } => {
            "something else listens there, or the fleet was made anew: ask for an invitation and join with it"
        }
        _ => {
            "is crabd up there, does the address still lead to it, does a firewall let this machine in? On a Mac see Privacy, Local Network"
        }
    };
    Finding::failure(check, error.to_string(), next)
}

/// How the scheduler sees this machine.
pub(super) fn heard_of(me: &str, nodes: &[NodeRow], now: Timestamp) -> Finding {
    let check = "reach.back";
    let Some(row) = nodes.iter().find(|row| *row.node.0 == *me) else {
        let evidence = format!("the scheduler knows no machine {me}");
        return Finding::failure(check, evidence, "start crabd here; what it cannot do it says in its log");
    };
    let evidence =
        format!("the scheduler heard {me} {} ago: {}", text::length(now.since(row.heard)), row.health);
    match row.health {
        NodeHealth::Up => Finding::ok(check, evidence),
        NodeHealth::Suspect => {
            Finding::warning(check, evidence, "heartbeats are late: look at this machine's load and network")
        }
        NodeHealth::Lost => {
            Finding::failure(check, evidence, "start crabd here, or see in its log why it does not connect")
        }
    }
}

/// How a machine's link is, as the scheduler knows it.
pub(super) fn link(node: &NodeRow, (since, now): (&Since, Timestamp)) -> String {
    let heard = text::length(now.since(node.heard));
    match (node.health, since.get(&node.node)) {
        (NodeHealth::Lost, _) => format!("not heard for {heard} (since {})", text::rfc3339(node.heard)),
        (_, Some(since)) => format!("connected since {}, heard {heard} ago", text::rfc3339(*since)),
        (_, None) => format!("heard {heard} ago"),
    }
}

/// Since when machines are connected, of those whose connections are among the newest events.
pub(super) async fn since(client: &Client) -> Result<Since, ClientError> {
    let last = client.hello().await?.durable;
    let (mut after, mut since) = (last.saturating_sub(EVENTS_LOOKED_AT), Since::new());
    while after < last {
        let page = client.events_page(after, EventFilter::All, Duration::ZERO).await?;
        for record in &page.records {
            if let Event::Node(node, NodeEvent::Joined { .. }) = &record.event {
                since.insert(node.clone(), record.at);
            }
        }
        if page.next_after <= after {
            break;
        }
        after = page.next_after;
    }
    Ok(since)
}

/// Whether others would reach this machine's scheduler where it listens.
pub(super) async fn from_outside(client: &Client, directory: &Path) -> anyhow::Result<Option<Finding>> {
    let settings = match client.settings().await {
        Ok(settings) => settings,
        // It is not for everybody to know.
        Err(ClientError::Refused(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let said = settings.iter().find(|row| &*row.key == "daemon.listen" && row.is_said());
    let Some(address) = said.and_then(|row| row.value.trim_matches('"').parse::<SocketAddr>().ok()) else {
        return Ok(None);
    };
    Ok(Some(match advertised(address, outward()) {
        Err(finding) => *finding,
        Ok(address) => {
            let cookie = Cookie::read(&directory.join(COOKIE_NAME)).ok();
            let own = Own::of_client(directory).ok().flatten();
            let name = format!("crab-{}", std::process::id());
            outside(address, knock(&address.to_string(), hello(name), (own, cookie)).await)
        }
    }))
}

/// The address of this machine that others would dial.
fn advertised(listens: SocketAddr, outward: Option<IpAddr>) -> Result<SocketAddr, Box<Finding>> {
    let check = "reach.listen";
    if listens.ip().is_loopback() {
        let evidence = format!("it listens on {listens}: this machine alone reaches it");
        let next = "for other machines: `crabd --listen ADDRESS:PORT` with an address of their network";
        return Err(Box::new(Finding::ok(check, evidence).more(next)));
    }
    if !listens.ip().is_unspecified() {
        return Ok(listens);
    }
    let none = || {
        let evidence = format!("it listens on {listens}, and this machine has no address on a network");
        Box::new(Finding::failure(check, evidence, "connect it to the network of the other machines"))
    };
    outward.map(|ip| SocketAddr::new(ip, listens.port())).ok_or_else(none)
}

/// The address with which this machine would dial others. Nothing is sent.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Of documents alone (RFC 5737): any network's way out.
    socket.connect("192.0.2.1:9").ok()?;
    socket
        .local_addr()
        .ok()
        .map(|address| address.ip())
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

/// What was found at an address of this machine's own.
fn outside(address: SocketAddr, found: Result<String, ConnectError>) -> Finding {
    let check = "reach.listen";
    if TcpListener::bind((address.ip(), 0)).is_err() {
        let evidence = format!("{} is no address of this machine (any more)", address.ip());
        let next = "listen on one that it has, and invite anew: invitations lead to the old one";
        return Finding::failure(check, evidence, next);
    }
    match found {
        // Whom it wants a certificate of, or another one, it has heard.
        Ok(_) | Err(ConnectError::Refused { .. }) => {
            let evidence = format!("the scheduler answers on {address}, as seen from this machine");
            Finding::ok(check, evidence).more("whether others get there, `crab doctor` on a worker tells")
        }
        Err(error @ (ConnectError::Stranger { .. } | ConnectError::WrongCookie { .. })) => {
            let next = "something else listens there: find it with `lsof -i`, or listen on another port";
            Finding::failure(check, error.to_string(), next)
        }
        Err(error) => Finding::failure(
            check,
            error.to_string(),
            "see the daemon's log, and this machine's own firewall",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    #[test]
    fn loopback_is_for_one_machine_and_everywhere_is_where_it_dials_from() {
        let listens = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let ip = "192.0.2.7".parse().ok();
        let loopback = advertised(listens("127.0.0.1:7"), ip).expect_err("nobody dials it");
        assert_eq!((loopback.level, loopback.next.is_some()), (Level::Ok, true));
        assert_eq!(advertised(listens("0.0.0.0:7"), ip).ok(), Some(listens("192.0.2.7:7")));
        assert_eq!(advertised(listens("192.0.2.8:7"), None).ok(), Some(listens("192.0.2.8:7")));
        assert_eq!(advertised(listens("0.0.0.0:7"), None).expect_err("no network").level, Level::Failure);
    }

    #[test]
    fn an_address_that_is_another_machines_is_a_failure_whoever_answers() {
        let elsewhere = "192.0.2.8:7".parse().expect("an address");
        assert_eq!(outside(elsewhere, Ok("a".to_owned())).level, Level::Failure);
        let here = "127.0.0.1:7".parse().expect("an address");
        assert_eq!(outside(here, Ok("a".to_owned())).level, Level::Ok);
        let endpoint = link::Endpoint::Tcp("127.0.0.1:7".to_owned());
        assert_eq!(outside(here, Err(ConnectError::Stranger { endpoint })).level, Level::Failure);
    }

    #[test]
    fn what_a_worker_finds_leads_on() {
        let endpoint = || link::Endpoint::Tcp("a:7".to_owned());
        let refused =
            ConnectError::Refused { endpoint: endpoint(), refusal: Refusal::Revoked, protocols: PROTOCOLS };
        for (error, next) in [
            (refused, "invitation"),
            (ConnectError::Late { endpoint: endpoint(), deadline: PATIENCE }, "firewall"),
            (ConnectError::Stranger { endpoint: endpoint() }, "something else"),
        ] {
            let finding = scheduler("a:7", Err(error));
            assert!(finding.level == Level::Failure && finding.next.is_some_and(|said| said.contains(next)));
        }
        assert_eq!(heard_of("mac-9", &[], at(1)).level, Level::Failure);
    }
}
