//! How a request becomes one frame or, where it is too large for one, several.
//!
//! A frame begins with one byte that tells what it is. The parts of a request are sent one after the
//! other, each after the answer to the one before; the [`Assembler`] of the receiving side holds what has
//! come, within limits, and forgets a request whose next part does not come in time. An answer always fits
//! into one frame: what could be longer is asked for page by page.

use std::time::Duration;

use policy::time::Moment;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::codec;
use super::{FRAME_LIMIT_BYTES, MESSAGE_LIMIT_BYTES};

/// Bytes of a request in one part: the rest of the frame is for what stands in front.
pub const PART_BYTES: usize = FRAME_LIMIT_BYTES - 64;
/// The longest wait for the next part; a sender that lives needs milliseconds.
pub const PART_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of requests in parts that are held at once, from all peers.
pub const ASSEMBLY_LIMIT_BYTES: usize = 2 * MESSAGE_LIMIT_BYTES;

const WHOLE: u8 = 0;
const PART: u8 = 1;
const PART_TAKEN: u8 = 2;
const REFUSED: u8 = 3;
/// A part's tag, number, index and total.
const PART_HEADER_BYTES: usize = 1 + 8 + 4 + 4;

/// What a frame with a request, or a part of one, carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'b> {
    /// All of a request.
    Whole(&'b [u8]),
    /// A part of a request.
    Part(Part<'b>),
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'b> {
    /// Names the request among those of its sender.
    pub id: u64,
    /// Which part, from 0.
    pub index: u32,
    /// How many parts there are.
    pub total: u32,
    /// Its bytes.
    pub bytes: &'b [u8],
}

/// What is answered to a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'b> {
    /// The bytes of the response.
    Whole(&'b [u8]),
    /// The part was taken; send the next.
    PartTaken,
    /// The frame was not taken, and what came of its request is forgotten.
    Refused(ChunkRefusal),
}

/// Why a frame is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ChunkRefusal {
    /// It is no frame.
    #[error("malformed frame")]
    Malformed,
    /// A request of so many parts is too large.
    #[error("a request of {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of the request, as far as known.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Not the part that is next.
    #[error("part {found} where part {expected} is next")]
    OutOfOrder {
        /// The part that came.
        found: u32,
        /// The part that is next.
        expected: u32,
    },
    /// Too much is held already; nothing of the request is kept.
    #[error("the parts of other requests fill {limit} bytes")]
    Full {
        /// Bytes allowed.
        limit: u64,
    },
}

/// The frames of a request, in order; one for nearly every request.
pub fn frames(id: u64, request: &[u8]) -> impl ExactSizeIterator<Item = Vec<u8>> {
    let parts = if request.len() < FRAME_LIMIT_BYTES { 1 } else { request.len().div_ceil(PART_BYTES) };
    let total = u32::try_from(parts).unwrap_or(u32::MAX);
    (0..total).map(move |index| match total {
        1 => [&[WHOLE], request].concat(),
        _ => part_frame(id, (index, total), request),
    })
}

fn part_frame(id: u64, (index, total): (u32, u32), request: &[u8]) -> Vec<u8> {
    let start = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(PART_BYTES).min(request.len());
    let bytes = &request[start..request.len().min(start + PART_BYTES)];
    let mut frame = Vec::with_capacity(PART_HEADER_BYTES + bytes.len());
    frame.push(PART);
    frame.extend_from_slice(&id.to_le_bytes());
    frame.extend_from_slice(&index.to_le_bytes());
    frame.extend_from_slice(&total.to_le_bytes());
    frame.extend_from_slice(bytes);
    frame
}

impl<'b> Frame<'b> {
    /// Reads the front of a frame.
    ///
    /// # Errors
    /// [`ChunkRefusal::Malformed`].
    pub fn read(frame: &'b [u8]) -> Result<Self, ChunkRefusal> {
        match frame.split_first() {
            Some((&WHOLE, request)) => Ok(Self::Whole(request)),
            Some((&PART, rest)) => part(rest).map(Self::Part).ok_or(ChunkRefusal::Malformed),
            _ => Err(ChunkRefusal::Malformed),
        }
    }
}

fn part(rest: &[u8]) -> Option<Part<'_>> {
    let (id, rest) = rest.split_first_chunk()?;
    let (index, rest) = rest.split_first_chunk()?;
    let (total, bytes) = rest.split_first_chunk()?;
    let (index, total) = (u32::from_le_bytes(*index), u32::from_le_bytes(*total));
    let possible = index < total && bytes.len() <= PART_BYTES && !bytes.is_empty();
    possible.then_some(Part { id: u64::from_le_bytes(*id), index, total, bytes })
}

impl<'b> Answer<'b> {
    /// As bytes.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        match self {
            Self::Whole(response) => [&[WHOLE], *response].concat(),
            Self::PartTaken => vec![PART_TAKEN],
            Self::Refused(refusal) => {
                let mut frame = vec![REFUSED];
                codec::encode_into(refusal, &mut frame);
                frame
            }
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`ChunkRefusal::Malformed`].
    pub fn read(frame: &'b [u8]) -> Result<Self, ChunkRefusal> {
        match frame.split_first() {
            Some((&WHOLE, response)) => Ok(Self::Whole(response)),
            Some((&PART_TAKEN, [])) => Ok(Self::PartTaken),
            Some((&REFUSED, refusal)) => codec::decode(refusal, FRAME_LIMIT_BYTES)
                .map(Self::Refused)
                .map_err(|_| ChunkRefusal::Malformed),
            _ => Err(ChunkRefusal::Malformed),
        }
    }
}

/// Puts the parts of requests together: one request at a time from each peer.
#[derive(Debug, Default)]
pub struct Assembler {
    peers: FxHashMap<u64, Assembly>,
    held_bytes: usize,
}

#[derive(Debug)]
struct Assembly {
    id: u64,
    total: u32,
    next: u32,
    bytes: Vec<u8>,
    deadline: Moment,
}

impl Assembler {
    /// Takes a part from a peer; the whole request when it was the last.
    ///
    /// # Errors
    /// Why it is not taken. What came of the peer's request is forgotten then.
    pub fn take(&mut self, peer: u64, part: Part<'_>, now: Moment) -> Result<Option<Vec<u8>>, ChunkRefusal> {
        self.expire(now);
        let mut assembly = match self.remove(peer) {
            Some(assembly) if assembly.id == part.id && part.index > 0 => assembly,
            // A new request takes the place of an unfinished one.
            _ => Assembly { id: part.id, total: part.total, next: 0, bytes: Vec::new(), deadline: now },
        };
        self.check(&assembly, part)?;
        assembly.bytes.extend_from_slice(part.bytes);
        assembly.next += 1;
        if assembly.next == assembly.total {
            return Ok(Some(assembly.bytes));
        }
        assembly.deadline = now + PART_TIMEOUT;
        self.held_bytes += assembly.bytes.len();
        self.peers.insert(peer, assembly);
        Ok(None)
    }

    /// Forgets a peer that is gone.
    pub fn forget(&mut self, peer: u64) {
        self.remove(peer);
    }

    /// Forgets the requests whose next part did not come in time.
    pub fn expire(&mut self, now: Moment) {
        let held_bytes = &mut self.held_bytes;
        self.peers.retain(|_, assembly| {
            let waits = now < assembly.deadline;
            *held_bytes -= if waits { 0 } else { assembly.bytes.len() };
            waits
        });
    }

    /// Bytes that are held at present.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn remove(&mut self, peer: u64) -> Option<Assembly> {
        let assembly = self.peers.remove(&peer)?;
        self.held_bytes -= assembly.bytes.len();
        Some(assembly)
    }

    fn check(&self, assembly: &Assembly, part: Part<'_>) -> Result<(), ChunkRefusal> {
        if (part.index, part.total) != (assembly.next, assembly.total) {
            return Err(ChunkRefusal::OutOfOrder { found: part.index, expected: assembly.next });
        }
        let claimed = u64::from(part.total - 1) * PART_BYTES as u64;
        if claimed >= MESSAGE_LIMIT_BYTES as u64 {
            return Err(ChunkRefusal::TooLarge { bytes: claimed, limit: MESSAGE_LIMIT_BYTES as u64 });
        }
        let held = self.held_bytes + assembly.bytes.len() + part.bytes.len();
        if held > ASSEMBLY_LIMIT_BYTES {
            return Err(ChunkRefusal::Full { limit: ASSEMBLY_LIMIT_BYTES as u64 });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment(1);

    fn part(id: u64, index: u32, total: u32) -> Part<'static> {
        Part { id, index, total, bytes: b"abc" }
    }

    #[test]
    fn a_small_request_is_one_frame() {
        let frames: Vec<_> = frames(1, b"hello").collect();
        assert_eq!(frames.len(), 1);
        assert_eq!(Frame::read(&frames[0]), Ok(Frame::Whole(b"hello")));
    }

    #[test]
    fn a_part_out_of_order_ends_the_request() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.take(1, part(7, 0, 3), NOW), Ok(None));
        let refusal = ChunkRefusal::OutOfOrder { found: 2, expected: 1 };
        assert_eq!(assembler.take(1, part(7, 2, 3), NOW), Err(refusal));
        assert_eq!(assembler.held_bytes(), 0);
        let refusal = ChunkRefusal::OutOfOrder { found: 1, expected: 0 };
        assert_eq!(assembler.take(1, part(7, 1, 3), NOW), Err(refusal));
    }

    #[test]
    fn parts_that_do_not_come_in_time_are_forgotten() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.take(1, part(7, 0, 2), NOW), Ok(None));
        assert_eq!(assembler.take(2, part(7, 0, 2), NOW + PART_TIMEOUT / 2), Ok(None));
        assembler.expire(NOW + PART_TIMEOUT);
        assert_eq!(assembler.held_bytes(), 3);
        assembler.forget(2);
        assert_eq!(assembler.held_bytes(), 0);
    }

    #[test]
    fn a_request_over_the_limit_is_refused_at_its_first_part() {
        let mut assembler = Assembler::default();
        let refused = assembler.take(1, part(7, 0, 1000), NOW);
        assert!(matches!(refused, Err(ChunkRefusal::TooLarge { .. })), "{refused:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn what_is_cut_is_put_together_again(length in 0_usize..(3 * FRAME_LIMIT_BYTES), fill in any::<u8>()) {
            let request: Vec<u8> = (0..length).map(|at| fill ^ at.to_le_bytes()[0]).collect();
            let mut assembler = Assembler::default();
            let mut whole = None;
            for frame in frames(3, &request) {
                prop_assert!(frame.len() <= FRAME_LIMIT_BYTES);
                prop_assert_eq!(&whole, &None);
                whole = match Frame::read(&frame) {
                    Ok(Frame::Whole(bytes)) => Some(bytes.to_vec()),
                    Ok(Frame::Part(part)) => assembler.take(1, part, NOW).unwrap(),
                    Err(refusal) => return Err(TestCaseError::fail(refusal.to_string())),
                };
            }
            prop_assert!(whole.as_deref() == Some(&request[..]));
            prop_assert_eq!(assembler.held_bytes(), 0);
        }

        #[test]
        fn whatever_comes_the_count_of_what_is_held_is_right(
            parts in prop::collection::vec((0_u64..3, 0_u64..3, 0_u32..4, 1_u32..5, 0_u64..60_000_000), 0..40)
        ) {
            let mut assembler = Assembler::default();
            let mut now = NOW;
            for (peer, id, index, total, later) in parts {
                now = now + Duration::from_micros(later);
                let _ = assembler.take(peer, Part { id, index, total, bytes: &[1; 10] }, now);
                let held: usize = assembler.peers.values().map(|assembly| assembly.bytes.len()).sum();
                prop_assert_eq!(assembler.held_bytes(), held);
            }
        }

        #[test]
        fn any_frame_is_read_or_refused(frame in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = (Frame::read(&frame), Answer::read(&frame));
        }
    }
}
