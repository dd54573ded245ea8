//! The bytes of a segment: its header, then frames.
//!
//! ```text
//! header  64 bytes: magic 8 · format u32 · log id u64 · first number u64 · first position u64 · zeros · crc32
//! frame   word u32 (kind in the upper 2 bits, length in the lower 30) · crc32 · payload
//! group   a frame whose payload is: magic 8 · its own position u64 · number of the next record u64
//! record  a frame whose payload is: layout u8 · bincode of the record in that layout
//! ```
//!
//! Integers are little-endian. The checksum of a frame covers its word and its payload, and starts from the
//! log's id and the frame's position, so that a frame is valid only where it was written, in this log.
//! A segment consists of groups: what one sync made durable. The header of a group was only written
//! after the group before it was durable, so it proves everything before it: damage in front of a valid
//! group header is damage, damage behind the last one is a torn tail.
//!
//! The first 64 bytes mean the same in every format to come. Must not know files or threads.

use policy::event::LogPosition;

/// The format of segments that this program writes, and the latest it reads.
pub(super) const FORMAT: u32 = 1;

const SEGMENT_MAGIC: [u8; 8] = *b"crablog\n";
const GROUP_MAGIC: [u8; 8] = *b"crabgrp\n";

/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 64;
/// Bytes of a frame in front of its payload.
pub(super) const FRAME_BYTES: usize = 8;
/// Bytes of a group's header, with its frame.
pub(super) const GROUP_BYTES: usize = FRAME_BYTES + 24;

const LENGTH_BITS: u32 = 30;
const LENGTH_MASK: u32 = (1 << LENGTH_BITS) - 1;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The last, or only, record of a batch.
    Last,
    /// A record of a batch that goes on in the next frame.
    More,
    /// The header of a group.
    Group,
}

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// When the log was made, which tells it from other logs.
    pub(super) log_id: u64,
    /// The number of the segment's first record.
    pub(super) first_number: u64,
    /// The position of the header's first byte.
    pub(super) first_position: LogPosition,
}

/// Why bytes are no header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// They are something else, or damaged, or too few.
    Damaged,
    /// A later program wrote them, in this format.
    Newer(u32),
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.log_id.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.first_number.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.first_position.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(HeaderFault::Damaged)?;
        let checksum = crc32fast::hash(&bytes[..HEADER_BYTES - 4]);
        if bytes[..8] != SEGMENT_MAGIC || u32_at(bytes, HEADER_BYTES - 4) != checksum {
            return Err(HeaderFault::Damaged);
        }
        match u32_at(bytes, 8) {
            FORMAT => Ok(Self {
                log_id: u64_at(bytes, 12),
                first_number: u64_at(bytes, 20),
                first_position: u64_at(bytes, 28),
            }),
            newer => Err(HeaderFault::Newer(newer)),
        }
    }
}

/// A frame's first bytes, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: Kind,
    /// Bytes of the payload.
    pub(super) length: usize,
    word: u32,
    checksum: u32,
}

impl FrameHead {
    /// `None` where no frame begins so.
    pub(super) fn decode(bytes: [u8; FRAME_BYTES]) -> Option<Self> {
        let (word, checksum) = (u32_at(&bytes, 0), u32_at(&bytes, 4));
        let kind = match word >> LENGTH_BITS {
            0 => Kind::Last,
            1 => Kind::More,
            2 => Kind::Group,
            _ => return None,
        };
        let length = usize::try_from(word & LENGTH_MASK).ok()?;
        (length > 0).then_some(Self { kind, length, word, checksum })
    }

    /// Whether this is the frame that was written at `position` of the log, with this payload.
    pub(super) fn holds(&self, log_id: u64, position: LogPosition, payload: &[u8]) -> bool {
        payload.len() == self.length && checksum(log_id, position, self.word, payload) == self.checksum
    }
}

/// Makes the frame whose payload stands behind `start` in `bytes`, after room for the frame's own bytes.
///
/// # Panics
/// When the payload has more than 2^30 bytes. A submission that large is refused long before.
pub(super) fn seal(bytes: &mut [u8], start: usize, kind: Kind, log_id: u64, position: LogPosition) {
    let length = bytes.len() - start - FRAME_BYTES;
    assert!(length <= LENGTH_MASK as usize, "a record of {length} bytes, the limit is {LENGTH_MASK}");
    let kind_bits = match kind {
        Kind::Last => 0,
        Kind::More => 1,
        Kind::Group => 2,
    };
    let word = u32::try_from(length).unwrap_or(LENGTH_MASK) | (kind_bits << LENGTH_BITS);
    let checksum = checksum(log_id, position, word, &bytes[start + FRAME_BYTES..]);
    bytes[start..start + 4].copy_from_slice(&word.to_le_bytes());
    bytes[start + 4..start + FRAME_BYTES].copy_from_slice(&checksum.to_le_bytes());
}

/// Appends the header of a group that begins at `position`, before the record with `next_number`.
pub(super) fn push_group(bytes: &mut Vec<u8>, log_id: u64, position: LogPosition, next_number: u64) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; FRAME_BYTES]);
    bytes.extend_from_slice(&GROUP_MAGIC);
    bytes.extend_from_slice(&position.to_le_bytes());
    bytes.extend_from_slice(&next_number.to_le_bytes());
    seal(bytes, start, Kind::Group, log_id, position);
}

/// Where the next valid group header begins in `bytes`, the first of which has `position` in the log.
pub(super) fn find_group(bytes: &[u8], log_id: u64, position: LogPosition) -> Option<LogPosition> {
    bytes.windows(GROUP_BYTES).zip(position..).find_map(|(window, at)| {
        let has_magic = window[FRAME_BYTES..FRAME_BYTES + 8] == GROUP_MAGIC;
        (has_magic && is_group(window, log_id, at)).then_some(at)
    })
}

fn is_group(window: &[u8], log_id: u64, position: LogPosition) -> bool {
    let Some(head) = window.first_chunk().and_then(|head| FrameHead::decode(*head)) else {
        return false;
    };
    head.kind == Kind::Group && head.holds(log_id, position, &window[FRAME_BYTES..])
}

/// The number of the next record, of a group's payload.
pub(super) fn group_number(payload: &[u8]) -> Option<u64> {
    (payload.len() == GROUP_BYTES - FRAME_BYTES).then(|| u64_at(payload, 16))
}

fn checksum(log_id: u64, position: LogPosition, word: u32, payload: &[u8]) -> u32 {
    let mixed = log_id ^ position;
    let seed = u32::try_from((mixed ^ (mixed >> 32)) & u64::from(u32::MAX)).unwrap_or_default();
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(&word.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut array = [0; 4];
    array.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(array)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut array = [0; 8];
    array.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(array)
}
