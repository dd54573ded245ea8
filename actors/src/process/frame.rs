//! Messages on the socket between worker and host: a length, then the bytes.
//!
//! A message is a frame of its own; many go into one write. Must not know what the messages say.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::process::protocol::HOST_FRAME_LIMIT_BYTES;
use crate::wire::codec::{self, CodecError};

const LENGTH_BYTES: usize = size_of::<u32>();

/// Appends `message` to what will be written.
///
/// # Errors
/// Larger than [`HOST_FRAME_LIMIT_BYTES`]; nothing is appended.
pub fn append<T: Serialize>(out: &mut Vec<u8>, message: &T) -> Result<(), CodecError> {
    let bytes = codec::encode(message);
    let size = bytes.len();
    let length = u32::try_from(size).ok().filter(|_| size <= HOST_FRAME_LIMIT_BYTES);
    let Some(length) = length else {
        return Err(CodecError::TooLarge { size, limit: HOST_FRAME_LIMIT_BYTES });
    };
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&bytes);
    Ok(())
}

/// Bytes that arrived, and the messages they make.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    taken: usize,
}

impl Inbox {
    /// More has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// What arrived is no message: the connection is of no use any more.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, CodecError> {
        let rest = &self.bytes[self.taken..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let size = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if size > HOST_FRAME_LIMIT_BYTES {
            return Err(CodecError::TooLarge { size, limit: HOST_FRAME_LIMIT_BYTES });
        }
        let Some(frame) = rest.get(..size) else {
            return Ok(None);
        };
        let message = codec::decode(frame, HOST_FRAME_LIMIT_BYTES)?;
        self.taken += LENGTH_BYTES + size;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::protocol::{Command, HostId, HostReport};

    #[test]
    fn messages_arrive_whole_however_they_are_cut() {
        let mut bytes = Vec::new();
        for message in [Command::Inventory, Command::Forget(vec![policy::id::Token(3)]), Command::Retire] {
            append(&mut bytes, &message).unwrap();
        }
        let mut inbox = Inbox::default();
        let mut heard = Vec::new();
        for byte in bytes {
            inbox.push(&[byte]);
            heard.extend(inbox.take::<Command>().unwrap());
        }
        assert_eq!(heard.len(), 3);
        assert_eq!(heard[2], Command::Retire);
    }

    #[test]
    fn a_greeting_and_a_retirement_are_the_same_in_every_version() {
        let bytes = |command: &Command| {
            let mut out = Vec::new();
            append(&mut out, command).unwrap();
            out
        };
        let hello = Command::Hello { version: 1, host: HostId(7) };
        assert_eq!(bytes(&hello), [3, 0, 0, 0, 0, 1, 7]);
        assert_eq!(bytes(&Command::Retire), [1, 0, 0, 0, 6]);
        let mut told = Vec::new();
        append(&mut told, &HostReport::Hello { version: 1, pid: 9 }).unwrap();
        assert_eq!(told, [3, 0, 0, 0, 0, 1, 9]);
    }

    #[test]
    fn garbage_is_refused_before_memory_is_taken_for_it() {
        let mut inbox = Inbox::default();
        inbox.push(b"\xff\xff\xff\xffGET / HTTP/1.1");
        assert!(matches!(inbox.take::<Command>(), Err(CodecError::TooLarge { .. })));
    }
}
