//! What two processes say to each other before anything else, as bytes. Pure.
//!
//! Each thing said is a packet: magic, preamble version, length, body. The client says hello; the server
//! answers with a challenge (or a refusal), the client proves itself, the server welcomes it (or refuses).
//! The formats are fixed by hand and never change within a preamble version, a refusal's never at all: a
//! stranger's bytes are read here, and processes of all versions must understand why they were refused.

mod bytes;

use policy::id::Incarnation;
use policy::layout::Layout;

use super::secret::SECRET_BYTES;

pub(crate) use bytes::{decode_proof, encode_proof};

/// What every packet begins with.
pub const MAGIC: [u8; 4] = *b"CRAB";
/// The version of the preamble itself.
pub const PREAMBLE_VERSION: u8 = 1;
/// The protocols that this build speaks: the layouts of what is said.
pub const PROTOCOLS: Protocols =
    Protocols { min: Layout::SPOKEN.number() as u16, max: Layout::CURRENT.number() as u16 };
/// The longest name, in bytes: a DNS label.
pub const MAX_NAME_BYTES: usize = 63;
/// Magic, version, length.
pub(crate) const HEADER_BYTES: usize = 7;
/// The largest packet before the other side is known.
pub(crate) const MAX_PACKET_BYTES: usize = 4_096;

pub(crate) type Nonce = [u8; SECRET_BYTES];
/// Names a session to both of its ends; whoever knows it may speak in it.
pub(crate) type Key = [u8; 16];

/// A range of protocol versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocols {
    /// The oldest.
    pub min: u16,
    /// The newest.
    pub max: u16,
}

impl Protocols {
    /// The newest that both speak.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

impl std::fmt::Display for Protocols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.min == self.max { self.max.fmt(f) } else { write!(f, "{}–{}", self.min, self.max) }
    }
}

/// Which carrier the client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A node of the ractor cluster; one at a time per role and name.
    Cluster,
    /// Frames straight on the stream, for programs that come and go.
    Local,
}

/// As what a peer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A machine that runs tasks.
    Worker,
    /// A program linked with our library.
    Agent,
    /// A command line.
    Cli,
}

/// What a client says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// As what it comes.
    pub role: Role,
    /// Which carrier it asks for.
    pub purpose: Purpose,
    /// Its own name: lower-case letters, digits, `.`, `_`, `-`; at most [`MAX_NAME_BYTES`].
    pub name: String,
    /// Which life of it this is.
    pub incarnation: Incarnation,
    /// What it speaks.
    pub protocols: Protocols,
}

/// What a server says of itself and asks back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) protocol: u16,
    pub(crate) name: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) nonce: Nonce,
}

/// What a server gives a client that it believes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) key: Key,
    /// Over a Unix socket only, where no cookie is needed to come in.
    pub(crate) node_secret: Option<[u8; SECRET_BYTES]>,
}

/// Why a server refuses a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It speaks another preamble, or something else altogether.
    #[error("speaks preamble {0}, which we do not know")]
    Preamble(u8),
    /// Its hello cannot be read.
    #[error("could not read what we said")]
    Malformed,
    /// No common protocol.
    #[error("speaks protocol {0}")]
    Protocol(Protocols),
    /// The name is empty, too long, or has other characters.
    #[error(
        "does not take our name: at most {} of a-z 0-9 . _ -, beginning with a letter or digit",
        MAX_NAME_BYTES
    )]
    Name,
    /// The proof is wrong.
    #[error("has another cookie")]
    Cookie,
    /// The Unix socket is another user's.
    #[error("does not serve the user {0}")]
    User(u32),
    /// It has as many connections as it may have.
    #[error("is full: {0} connections, which is the limit")]
    Full(u32),
    /// It is stopping.
    #[error("is shutting down")]
    ShuttingDown,
    /// A later life of this peer is connected.
    #[error("is connected to incarnation {} of the same name", .0.0)]
    Superseded(Incarnation),
    /// The client took too long.
    #[error("waited too long for us")]
    TooLate,
    /// It speaks to certificates alone, and there is none.
    #[error(
        "wants a certificate: `crab cluster invite NAME` there prints an invitation, which `crabd --join` or `crab --address` uses"
    )]
    Uncertified,
    /// The certificate was taken back, or the fleet does not know it.
    #[error("does not know our certificate any more: ask for a new invitation (`crab cluster invite NAME`)")]
    Revoked,
    /// The certificate is for another name or another role.
    #[error(
        "has given us a certificate for another name or role: go by the name in it, or ask for an invitation for this one"
    )]
    Misnamed,
    /// A later build's reason.
    #[error("refuses us for a reason that this build does not know: {0}")]
    Other(u8),
}

/// Something said, with its marks around it.
pub(crate) fn packet(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.push(PREAMBLE_VERSION);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Whether a name may be used: see [`Hello::name`].
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
}

/// What a server can answer; the first byte of the body tells which.
#[derive(Clone)]
pub(crate) enum Said {
    Challenge(Challenge, Proof),
    Welcome(Welcome),
    Refusal(Refusal),
}

/// A proof of the cookie; absent over a Unix socket, where the system vouches for the peer.
pub(crate) type Proof = Option<[u8; SECRET_BYTES]>;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello() -> Hello {
        Hello {
            role: Role::Worker,
            purpose: Purpose::Cluster,
            name: "studio-1".into(),
            incarnation: Incarnation(7),
            protocols: Protocols { min: 1, max: 3 },
        }
    }

    #[test]
    fn version_1_of_the_hello_stays_as_it_is() {
        let sample = [&[0, 1, 0, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 7][..], &[9; 32], b"\x08studio-1"].concat();
        assert_eq!(hello().encode(&[9; 32]), sample);
        assert_eq!(Hello::decode(&sample), Some((hello(), [9; 32])));
    }

    #[test]
    fn every_refusal_survives_the_way() {
        let protocols = Protocols { min: 3, max: 4 };
        let all = [
            Refusal::Preamble(9),
            Refusal::Malformed,
            Refusal::Protocol(protocols),
            Refusal::Name,
            Refusal::Cookie,
            Refusal::User(501),
            Refusal::Full(1_024),
            Refusal::ShuttingDown,
            Refusal::Superseded(Incarnation(u64::MAX)),
            Refusal::TooLate,
            Refusal::Other(200),
        ];
        for refusal in all {
            let body = Said::Refusal(refusal).encode();
            assert!(matches!(Said::decode(&body), Some(Said::Refusal(read)) if read == refusal));
        }
    }

    #[test]
    fn the_newest_common_protocol_is_chosen() {
        let ours = Protocols { min: 2, max: 4 };
        assert_eq!(ours.common(Protocols { min: 1, max: 3 }), Some(3));
        assert_eq!(ours.common(Protocols { min: 4, max: 9 }), Some(4));
        assert_eq!(ours.common(Protocols { min: 5, max: 9 }), None);
        assert_eq!(ours.common(Protocols { min: 0, max: 1 }), None);
    }

    #[test]
    fn names_keep_to_the_plain_characters() {
        assert!(is_name("studio-1.local") && is_name("0") && is_name(&"a".repeat(63)));
        for name in ["", ".a", "A", "a#1", "a@b", "a b", "ä", &"a".repeat(64)] {
            assert!(!is_name(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn strange_bytes_are_refused_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Hello::decode(&body);
            let _ = decode_proof(&body);
            if let Some(said) = Said::decode(&body) {
                prop_assert_eq!(said.encode().len(), body.len());
            }
        }
    }
}
