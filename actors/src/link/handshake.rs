//! Saying the preamble over a stream, on both sides. Nothing is allocated for a stranger but one packet,
//! and whoever calls sets the deadline.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use policy::id::Incarnation;
use policy::trust::{Caller, FleetRole};

use super::preamble::{
    Challenge, HEADER_BYTES, Hello, MAGIC, MAX_PACKET_BYTES, Nonce, PREAMBLE_VERSION, PROTOCOLS, Proof,
    Refusal, Role, Said, Welcome, decode_proof, encode_proof, is_name, packet,
};
use super::secret::{Cookie, random};
use super::secure::Arrived;
use super::stream::Stream;

/// Separates our proofs from any other use of the cookie, and the two sides' from each other.
const SERVER_PROOF: &[u8] = b"knittingCrab link 1 server";
const CLIENT_PROOF: &[u8] = b"knittingCrab link 1 client";

/// What a server is called.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Which life of it this is.
    pub incarnation: Incarnation,
    /// The cluster's cookie.
    pub cookie: Cookie,
}

/// A client that was believed.
pub(crate) struct Guest {
    pub(crate) hello: Hello,
    pub(crate) protocol: u16,
    pub(crate) caller: Caller,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Refused(Refusal),
    #[error("what answers is no scheduler")]
    Stranger,
    #[error("the cookie does not match")]
    Cookie,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Server: hears a client out and believes it or not. Where the system or a certificate vouches for it, no cookie is
/// asked for; what a certificate says goes before what the client says of itself.
pub(super) async fn believe(
    stream: &mut Stream,
    identity: &Identity,
    arrived: &Arrived,
) -> Result<Guest, Failure> {
    let said = hear(stream).await?;
    let (hello, _) = Hello::decode(&said).ok_or(Failure::Refused(Refusal::Malformed))?;
    if !is_name(&hello.name) {
        return Err(Failure::Refused(Refusal::Name));
    }
    if !may_come_as(&arrived.caller, &hello) {
        return Err(Failure::Refused(Refusal::Misnamed));
    }
    let common = PROTOCOLS.common(hello.protocols);
    let protocol = common.ok_or(Failure::Refused(Refusal::Protocol(PROTOCOLS)))?;
    let nonce: Nonce = random()?;
    let Identity { name, incarnation, cookie } = identity;
    let challenge = Challenge { protocol, name: name.clone(), incarnation: *incarnation, nonce };
    let cookie = (!arrived.is_vouched).then_some(cookie);
    let both = [&said[..], &challenge.encode()].concat();
    let proof = cookie.map(|cookie| proof(cookie, SERVER_PROOF, &both).into());
    say(stream, &Said::Challenge(challenge, proof)).await?;
    let shown = hear(stream).await?;
    let shown = decode_proof(&shown).ok_or(Failure::Refused(Refusal::Malformed))?;
    if !holds(cookie, CLIENT_PROOF, &both, &shown) {
        return Err(Failure::Refused(Refusal::Cookie));
    }
    Ok(Guest { hello, protocol, caller: arrived.caller.clone() })
}

/// A worker goes by the name in its certificate, and nobody else is a worker.
fn may_come_as(caller: &Caller, hello: &Hello) -> bool {
    match (caller, hello.role) {
        (Caller::Local, _) => true,
        (Caller::Member(member), Role::Worker) => {
            member.role == FleetRole::Worker && *member.name == *hello.name
        }
        (Caller::Member(member), Role::Agent | Role::Cli) => member.role != FleetRole::Worker,
    }
}

/// Client: introduces itself and is welcomed, or not. Without a cookie the server must be vouched for.
pub(crate) async fn introduce(
    stream: &mut Stream,
    hello: &Hello,
    cookie: Option<&Cookie>,
) -> Result<(Challenge, Welcome), Failure> {
    let (challenge, both) = greet(stream, hello, cookie).await?;
    let proof = cookie.map(|cookie| proof(cookie, CLIENT_PROOF, &both).into());
    put(stream, &packet(&encode_proof(&proof))).await?;
    let Said::Welcome(welcome) = answer(stream).await? else { return Err(Failure::Stranger) };
    Ok((challenge, welcome))
}

/// Client: says who it is; tells who is there, and what both have said. Nobody is let in by that.
pub(super) async fn greet(
    stream: &mut Stream,
    hello: &Hello,
    cookie: Option<&Cookie>,
) -> Result<(Challenge, Vec<u8>), Failure> {
    let ours = hello.encode(&random()?);
    put(stream, &packet(&ours)).await?;
    let Said::Challenge(challenge, shown) = answer(stream).await? else { return Err(Failure::Stranger) };
    let both = [&ours[..], &challenge.encode()].concat();
    if !holds(cookie, SERVER_PROOF, &both, &shown) {
        return Err(Failure::Cookie);
    }
    Ok((challenge, both))
}

/// Server: says something.
pub(crate) async fn say(stream: &mut Stream, said: &Said) -> io::Result<()> {
    put(stream, &packet(&said.encode())).await
}

/// An encrypted stream keeps what it could not send at once until it is flushed.
async fn put(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Server: refuses, and lets the client read it. Bytes that nobody reads would make the system throw the
/// refusal away, so a little of what still comes is read.
pub(crate) async fn refuse(stream: &mut Stream, refusal: Refusal) {
    if say(stream, &Said::Refusal(refusal)).await.is_ok() && stream.shutdown().await.is_ok() {
        let mut rest = [0; 256];
        for _ in 0..MAX_PACKET_BYTES / rest.len() {
            if !matches!(stream.read(&mut rest).await, Ok(1..)) {
                break;
            }
        }
    }
}

fn proof(cookie: &Cookie, side: &[u8], both: &[u8]) -> blake3::Hash {
    cookie.proof(&[side, both].concat())
}

/// Compares in constant time, as blake3's hashes do.
fn holds(cookie: Option<&Cookie>, side: &[u8], both: &[u8], shown: &Proof) -> bool {
    match (cookie, shown) {
        (Some(cookie), Some(shown)) => proof(cookie, side, both) == *shown,
        (Some(_), None) => false,
        (None, _) => true,
    }
}

/// Client: the server's answer, unless it is a refusal.
async fn answer(stream: &mut Stream) -> Result<Said, Failure> {
    match hear(stream).await {
        Ok(body) => match Said::decode(&body) {
            Some(Said::Refusal(refusal)) => Err(Failure::Refused(refusal)),
            Some(said) => Ok(said),
            None => Err(Failure::Stranger),
        },
        Err(Failure::Refused(_)) => Err(Failure::Stranger),
        Err(failure) => Err(failure),
    }
}

/// One packet's body.
async fn hear(stream: &mut Stream) -> Result<Vec<u8>, Failure> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    let [m0, m1, m2, m3, version, l0, l1] = header;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if [m0, m1, m2, m3] != MAGIC {
        return Err(Failure::Refused(Refusal::Preamble(PREAMBLE_VERSION)));
    }
    if length > MAX_PACKET_BYTES {
        return Err(Failure::Refused(Refusal::Malformed));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    if version != PREAMBLE_VERSION {
        return Err(Failure::Refused(Refusal::Preamble(PREAMBLE_VERSION)));
    }
    Ok(body)
}
