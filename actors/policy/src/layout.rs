//! The layout of what is kept on disk, and how a later program reads what an earlier one has kept.
//!
//! What is kept is written without the names of its fields, so a kept type must not change, but for this:
//! - A struct gains a field that says since when, `#[serde(deserialize_with = "since::<3, _, _>")]`: what was
//!   kept before has its default there.
//! - An enum gains a variant behind all that it has.
//!
//! Then [`Layout::CURRENT`] is one more, and a sample of the layout is stored beside those before it; a test
//! compares every kind of record with the sample of the current layout, byte by byte.
//!
//! Must not know how values become bytes, and where they are kept.

use std::cell::Cell;

use serde::{Deserialize, Deserializer, Serialize};

/// Which fields and variants what is kept has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Layout(u8);

impl Layout {
    /// The first that is still read.
    pub const FIRST: Self = Self(1);
    /// What this program writes, and the latest that it reads.
    pub const CURRENT: Self = Self(2);

    /// That with this number, if this program reads it.
    #[must_use]
    pub fn known(number: u8) -> Option<Self> {
        (Self::FIRST..=Self::CURRENT).contains(&Self(number)).then_some(Self(number))
    }

    /// Its number, from 1.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// What `read` makes of bytes of this layout: [`since`] heeds it until `read` is over.
    pub fn read<R>(self, read: impl FnOnce() -> R) -> R {
        let _before = Before(READING.replace(self));
        read()
    }
}

/// What was kept before layouts were told apart.
impl Default for Layout {
    fn default() -> Self {
        Self::FIRST
    }
}

thread_local! {
    /// What deserialisation on this thread reads: it is called by the reader of the format, which has no room
    /// for an argument of ours.
    static READING: Cell<Layout> = const { Cell::new(Layout::CURRENT) };
}

/// Puts back what was read before, after a panic as well.
struct Before(Layout);

impl Drop for Before {
    fn drop(&mut self) {
        READING.set(self.0);
    }
}

/// Reads a field that there is since the layout with this number; its default from what was kept before.
///
/// # Errors
/// Those of reading the field.
pub fn since<'de, const LAYOUT: u8, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    if READING.get() < Layout(LAYOUT) { Ok(T::default()) } else { T::deserialize(deserializer) }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{BoolDeserializer, Error};

    use super::*;

    fn new_field() -> Result<bool, Error> {
        let deserializer: BoolDeserializer<Error> = true.into_deserializer();
        since::<2, bool, _>(deserializer)
    }

    #[test]
    fn a_field_that_a_layout_does_not_have_has_its_default() {
        assert_eq!(Layout::FIRST.read(new_field), Ok(false));
        assert_eq!(Layout::CURRENT.read(new_field), Ok(true));
    }

    #[test]
    fn what_is_read_is_current_again_behind_an_older_one_also_after_a_panic() {
        let _ = std::panic::catch_unwind(|| Layout::FIRST.read(|| panic!("on purpose")));
        assert_eq!(new_field(), Ok(true));
        let nested = Layout::FIRST.read(|| (Layout::CURRENT.read(new_field), new_field()));
        assert_eq!(nested, (Ok(true), Ok(false)));
    }

    #[test]
    fn only_known_layouts_have_a_number() {
        let known: Vec<u8> = (0..=u8::MAX).filter(|number| Layout::known(*number).is_some()).collect();
        assert_eq!(known, (1..=Layout::CURRENT.number()).collect::<Vec<_>>());
    }
}
