//! The layout of what leaves the process, kept on disk or said to a peer, and how programs of other versions
//! read it and are understood.
//!
//! It is written without the names of its fields, so such a type must not change, but for this:
//! - A struct gains a field that says since when,
//!   `#[serde(deserialize_with = "since::<3, _, _>", skip_serializing_if = "before::<3, _>")]`: in what an
//!   earlier program has written it has its default, and what is written for one is without it.
//! - An enum gains a variant behind all that it has. Earlier programs cannot read it.
//!
//! Then [`Layout::CURRENT`] is one more, and samples of the layout are stored beside those before it, by
//! `cargo test -p knittingcrab-actors --lib -- --ignored writes_the_current_layout`; tests compare all types
//! with what is stored of the current layout.
//!
//! Must not know how values become bytes, and where they go.

use std::cell::Cell;

use serde::{Deserialize, Deserializer, Serialize};

/// Which fields and variants there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Layout(u8);

impl Layout {
    /// The first that is still read.
    pub const FIRST: Self = Self(1);
    /// The first that peers may speak: this one and the one before, so that a fleet can be brought up to date
    /// machine by machine. Before 2, what peers say was not numbered.
    pub const SPOKEN: Self = if Self::CURRENT.0 > 3 { Self(Self::CURRENT.0 - 1) } else { Self(2) };
    /// What this program writes, and the latest that it reads.
    pub const CURRENT: Self = Self(20);

    /// That with this number, if this program reads it.
    #[must_use]
    pub fn known(number: u8) -> Option<Self> {
        (Self::FIRST..=Self::CURRENT).contains(&Self(number)).then_some(Self(number))
    }

    /// That of a protocol which was agreed upon with a peer.
    #[must_use]
    pub fn of_protocol(protocol: u16) -> Self {
        u8::try_from(protocol).ok().and_then(Self::known).unwrap_or(Self::CURRENT)
    }

    /// Its number, from 1.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// What `coding` reads or writes has this layout: [`since`] and [`before`] heed it until that is over.
    pub fn apply<R>(self, coding: impl FnOnce() -> R) -> R {
        Form::Of(self).apply(coding)
    }
}

/// What was kept before layouts were told apart.
impl Default for Layout {
    fn default() -> Self {
        Self::FIRST
    }
}

/// What `coding` writes is without the fields that were added and have their default: equal values are
/// written alike by programs of all versions. For digests; it cannot be read.
pub fn tersely<R>(coding: impl FnOnce() -> R) -> R {
    Form::Terse.apply(coding)
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Of(Layout),
    Terse,
}

thread_local! {
    /// What is read and written on this thread: whoever knows the format calls us, and has no room for an
    /// argument of ours.
    static FORM: Cell<Form> = const { Cell::new(Form::Of(Layout::CURRENT)) };
}

impl Form {
    fn apply<R>(self, coding: impl FnOnce() -> R) -> R {
        let _before = Before(FORM.replace(self));
        coding()
    }
}

/// Puts back what held before, after a panic as well.
struct Before(Form);

impl Drop for Before {
    fn drop(&mut self) {
        FORM.set(self.0);
    }
}

/// Reads a field that there is since the layout with this number; its default where there is none yet.
///
/// # Errors
/// Those of reading the field.
pub fn since<'de, const LAYOUT: u8, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    match FORM.get() {
        Form::Of(layout) if layout < Layout(LAYOUT) => Ok(T::default()),
        Form::Of(_) | Form::Terse => T::deserialize(deserializer),
    }
}

/// Whether a field that there is since the layout with this number is not written.
pub fn before<const LAYOUT: u8, T: Default + PartialEq>(value: &T) -> bool {
    match FORM.get() {
        Form::Of(layout) => layout < Layout(LAYOUT),
        Form::Terse => *value == T::default(),
    }
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
    fn a_field_that_a_layout_does_not_have_is_neither_read_nor_written() {
        assert_eq!(Layout::FIRST.apply(new_field), Ok(false));
        assert_eq!(Layout::CURRENT.apply(new_field), Ok(true));
        assert!(Layout::FIRST.apply(|| before::<2, _>(&true)));
        assert!(!Layout::CURRENT.apply(|| before::<2, _>(&false)));
    }

    #[test]
    fn a_digest_is_without_what_was_added_and_not_used() {
        assert!(tersely(|| before::<2, _>(&false)));
        assert!(!tersely(|| before::<2, _>(&true)));
    }

    #[test]
    fn what_holds_is_put_back_also_after_a_panic() {
        let _ = std::panic::catch_unwind(|| Layout::FIRST.apply(|| panic!("on purpose")));
        assert_eq!(new_field(), Ok(true));
        let nested = Layout::FIRST.apply(|| (Layout::CURRENT.apply(new_field), new_field()));
        assert_eq!(nested, (Ok(true), Ok(false)));
    }

    #[test]
    fn only_known_layouts_have_a_number() {
        let known: Vec<u8> = (0..=u8::MAX).filter(|number| Layout::known(*number).is_some()).collect();
        assert_eq!(known, (1..=Layout::CURRENT.number()).collect::<Vec<_>>());
        assert_eq!(Layout::of_protocol(u16::MAX), Layout::CURRENT);
    }
}
