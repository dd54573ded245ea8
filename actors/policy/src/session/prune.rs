//! Which sessions have been left: by their age, their role, and whether anybody or anything is in them.

use std::fmt;
use std::time::Duration;

use crate::time::Timestamp;

use super::Role;

/// How long a session must have been left before it is pruned, where nobody says how long: one day.
pub const PRUNED_AFTER: Duration = Duration::from_hours(24);

/// What is known of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whom it is for.
    pub role: Role,
    /// When it was last made, used or looked at, on its machine's clock.
    pub last_used: Timestamp,
    /// How many people look at it now.
    pub attached: u64,
    /// Whether an attempt runs in it.
    pub works: bool,
}

/// Which sessions somebody wants to be rid of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneRule {
    /// Those that have been left for so long.
    pub older_than: Duration,
    /// Of this role alone; without one, all but those of people.
    pub role: Option<Role>,
}

/// Why a session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Another role was named.
    OtherRole,
    /// It is a person's, and people were not named.
    Human,
    /// Something runs in it: that is killed, not pruned.
    Works,
    /// Somebody looks at it.
    Attached,
    /// It has not been left for so long.
    Young,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherRole => "of another role",
            Self::Human => "of a person: name the role to prune it",
            Self::Works => "at work: kill ends it",
            Self::Attached => "attached",
            Self::Young => "used not long enough ago",
        })
    }
}

impl PruneRule {
    /// Whether the session goes, or why it is kept. `now` is on the clock of its machine.
    ///
    /// # Errors
    /// It is kept.
    pub fn verdict(&self, session: &Standing, now: Timestamp) -> Result<(), Kept> {
        match self.role {
            Some(role) if role != session.role => Err(Kept::OtherRole),
            None if session.role == Role::Human => Err(Kept::Human),
            _ if session.works => Err(Kept::Works),
            _ if session.attached > 0 => Err(Kept::Attached),
            _ if now.since(session.last_used) < self.older_than => Err(Kept::Young),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn left(role: Role, hours: u64) -> Standing {
        Standing { role, last_used: NOW - Duration::from_hours(hours), attached: 0, works: false }
    }

    fn rule(hours: u64, role: Option<Role>) -> PruneRule {
        PruneRule { older_than: Duration::from_hours(hours), role }
    }

    #[test]
    fn the_left_ones_go_and_people_must_be_named() {
        let day = rule(24, None);
        assert_eq!(day.verdict(&left(Role::Agent, 25), NOW), Ok(()));
        assert_eq!(day.verdict(&left(Role::Runner, 24), NOW), Ok(()));
        assert_eq!(day.verdict(&left(Role::Agent, 23), NOW), Err(Kept::Young));
        assert_eq!(day.verdict(&left(Role::Human, 99), NOW), Err(Kept::Human));
        assert_eq!(rule(24, Some(Role::Human)).verdict(&left(Role::Human, 99), NOW), Ok(()));
        assert_eq!(rule(0, Some(Role::Agent)).verdict(&left(Role::Runner, 99), NOW), Err(Kept::OtherRole));
    }

    #[test]
    fn a_clock_that_was_set_back_prunes_nothing() {
        let ahead = Standing { last_used: NOW + Duration::from_hours(1), ..left(Role::Agent, 0) };
        assert_eq!(rule(24, None).verdict(&ahead, NOW), Err(Kept::Young));
    }

    proptest! {
        #[test]
        fn who_is_in_use_is_never_pruned(
            attached in 0_u64..3,
            works in any::<bool>(),
            hours in 0_u64..1000,
            older in 0_u64..1000,
            which in 0..3_usize,
            named in proptest::option::of(0..3_usize),
        ) {
            let session = Standing { attached, works, ..left(Role::ALL[which], hours) };
            let rule = rule(older, named.map(|role| Role::ALL[role]));
            if rule.verdict(&session, NOW).is_ok() {
                prop_assert!(attached == 0 && !works && hours >= older);
                prop_assert!(rule.role.map_or(session.role != Role::Human, |role| role == session.role));
            }
        }
    }
}
