//! The preamble's formats, by hand: big-endian numbers, texts with their length in front. Version 1 of each is
//! fixed by the samples in the tests beside the types.

use policy::id::Incarnation;

use super::{Challenge, Hello, Nonce, Proof, Protocols, Purpose, Refusal, Role, Said, Welcome};

const CHALLENGE: u8 = 1;
const WELCOME: u8 = 2;
const REFUSAL: u8 = 3;

/// Takes a body apart, front to back.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.u8()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    /// Nothing may be left over.
    fn done<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(usize::from(u8::MAX))];
    body.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    body.extend_from_slice(bytes);
}

impl Hello {
    pub(crate) fn encode(&self, nonce: &Nonce) -> Vec<u8> {
        let mut body = Vec::with_capacity(64 + self.name.len());
        body.extend_from_slice(&self.protocols.min.to_be_bytes());
        body.extend_from_slice(&self.protocols.max.to_be_bytes());
        body.push(match self.purpose {
            Purpose::Cluster => 1,
            Purpose::Local => 2,
        });
        body.push(match self.role {
            Role::Worker => 1,
            Role::Agent => 2,
            Role::Cli => 3,
        });
        body.extend_from_slice(&self.incarnation.0.to_be_bytes());
        body.extend_from_slice(nonce);
        put_text(&mut body, &self.name);
        body
    }

    pub(crate) fn decode(body: &[u8]) -> Option<(Self, Nonce)> {
        let mut fields = Fields(body);
        let protocols = Protocols { min: fields.u16()?, max: fields.u16()? };
        let purpose = match fields.u8()? {
            1 => Purpose::Cluster,
            2 => Purpose::Local,
            _ => return None,
        };
        let role = match fields.u8()? {
            1 => Role::Worker,
            2 => Role::Agent,
            3 => Role::Cli,
            _ => return None,
        };
        let incarnation = Incarnation(fields.u64()?);
        let nonce = fields.array()?;
        let name = fields.text()?;
        fields.done((Self { role, purpose, name, incarnation, protocols }, nonce))
    }
}

/// An optional secret: one byte that tells whether it is there, then it.
pub(crate) fn encode_proof(proof: &Proof) -> Vec<u8> {
    let mut body = vec![u8::from(proof.is_some())];
    body.extend(proof.iter().flatten());
    body
}

pub(crate) fn decode_proof(body: &[u8]) -> Option<Proof> {
    let mut fields = Fields(body);
    let proof = match fields.u8()? {
        0 => None,
        1 => Some(fields.array()?),
        _ => return None,
    };
    fields.done(proof)
}

impl Challenge {
    /// All of it but the proof, which is over these bytes among others.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = vec![CHALLENGE];
        body.extend_from_slice(&self.protocol.to_be_bytes());
        body.extend_from_slice(&self.incarnation.0.to_be_bytes());
        body.extend_from_slice(&self.nonce);
        put_text(&mut body, &self.name);
        body
    }
}

impl Said {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Challenge(challenge, proof) => [challenge.encode(), encode_proof(proof)].concat(),
            Self::Welcome(welcome) => {
                [&[WELCOME], &welcome.key[..], &encode_proof(&welcome.node_secret)].concat()
            }
            Self::Refusal(refusal) => {
                let (code, detail) = refusal.code();
                [&[REFUSAL, code], &detail.to_be_bytes()[..]].concat()
            }
        }
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        match fields.u8()? {
            CHALLENGE => {
                let protocol = fields.u16()?;
                let incarnation = Incarnation(fields.u64()?);
                let nonce = fields.array()?;
                let name = fields.text()?;
                let proof = decode_proof(fields.0)?;
                Some(Self::Challenge(Challenge { protocol, name, incarnation, nonce }, proof))
            }
            WELCOME => {
                let key = fields.array()?;
                Some(Self::Welcome(Welcome { key, node_secret: decode_proof(fields.0)? }))
            }
            REFUSAL => {
                let (code, detail) = (fields.u8()?, fields.u64()?);
                fields.done(Self::Refusal(Refusal::from_code(code, detail)))
            }
            _ => None,
        }
    }
}

impl Refusal {
    fn code(self) -> (u8, u64) {
        match self {
            Self::Preamble(version) => (1, u64::from(version)),
            Self::Malformed => (2, 0),
            Self::Protocol(Protocols { min, max }) => (3, u64::from(min) << 16 | u64::from(max)),
            Self::Name => (4, 0),
            Self::Cookie => (5, 0),
            Self::User(uid) => (6, u64::from(uid)),
            Self::Full(limit) => (7, u64::from(limit)),
            Self::ShuttingDown => (8, 0),
            Self::Superseded(newer) => (9, newer.0),
            Self::TooLate => (10, 0),
            Self::Uncertified => (11, 0),
            Self::Revoked => (12, 0),
            Self::Misnamed => (13, 0),
            Self::Other(code) => (code, 0),
        }
    }

    fn from_code(code: u8, detail: u64) -> Self {
        let small = u32::try_from(detail).unwrap_or(u32::MAX);
        let [.., a, b, c, d] = detail.to_be_bytes();
        match code {
            1 => Self::Preamble(d),
            2 => Self::Malformed,
            3 => {
                Self::Protocol(Protocols { min: u16::from_be_bytes([a, b]), max: u16::from_be_bytes([c, d]) })
            }
            4 => Self::Name,
            5 => Self::Cookie,
            6 => Self::User(small),
            7 => Self::Full(small),
            8 => Self::ShuttingDown,
            9 => Self::Superseded(Incarnation(detail)),
            10 => Self::TooLate,
            11 => Self::Uncertified,
            12 => Self::Revoked,
            13 => Self::Misnamed,
            other => Self::Other(other),
        }
    }
}
