//! Which of several requests an attempt holds.

use serde::{Deserialize, Serialize};

use crate::resources::Resources;

/// Requests that one task may name: each is looked at for each node at each choice.
pub const REQUESTS_LIMIT: usize = 8;

/// Which of a task's requests an attempt holds: the first where it has no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct RequestNumber(pub u8);

impl RequestNumber {
    /// As people count, from 1.
    #[must_use]
    pub fn number(self) -> u32 {
        u32::from(self.0) + 1
    }
}

/// The request of this number, or the first where there is none: one that a grant names is always there.
pub(crate) fn request_of<'a>(
    first: &'a Resources,
    others: &'a [Resources],
    number: RequestNumber,
) -> &'a Resources {
    usize::from(number.0).checked_sub(1).and_then(|place| others.get(place)).unwrap_or(first)
}
