//! What a section of the configuration consists of: its keys, each with its meaning, its usual value and what
//! is allowed.
//!
//! `section!` makes a section's type from that one list, so what is read, checked, shown and documented is the
//! same. A value that is not said is the usual one.

use std::fmt;
use std::ops::{RangeFrom, RangeInclusive};

use crate::config::ConfigError;
use crate::config::amount::Written;

/// A key, as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// With its section: `lease.ttl`.
    pub key: String,
    /// The value that was said, as it is written; `None` where none was.
    pub said: Option<String>,
    /// The value where none is said, or in words where it depends on the machine.
    pub usual: String,
    /// Whether that is a value, as it is written in the file.
    pub has_usual: bool,
    /// What it may be.
    pub allowed: String,
    /// What it means.
    pub about: &'static str,
    /// What it is in JSON: one of these.
    pub types: &'static [&'static str],
}

/// A section of a configuration file, or an entry of a table of such.
pub trait Section {
    /// Adds every key, its name after `path`.
    fn settings(&self, path: &str, into: &mut Vec<Setting>);

    /// Whether every value is allowed by itself.
    ///
    /// # Errors
    /// The first that is not.
    fn check(&self, path: &str) -> Result<(), ConfigError>;
}

/// What a value may be.
pub trait Allowed<T> {
    /// Whether it may be this.
    fn admits(&self, value: &T) -> bool;

    /// In words, after "must be".
    fn words(&self) -> String;
}

/// Whatever can be read: what it is, in words.
#[derive(Debug, Clone, Copy)]
pub struct Any(pub &'static str);

/// A value that a rule of its own decides on.
#[derive(Debug, Clone, Copy)]
pub struct If<T>(pub fn(&T) -> bool, pub &'static str);

impl<T> Allowed<T> for Any {
    fn admits(&self, _: &T) -> bool {
        true
    }

    fn words(&self) -> String {
        self.0.to_owned()
    }
}

impl<T> Allowed<T> for If<T> {
    fn admits(&self, value: &T) -> bool {
        self.0(value)
    }

    fn words(&self) -> String {
        self.1.to_owned()
    }
}

impl<T: PartialOrd + fmt::Display> Allowed<T> for RangeInclusive<T> {
    fn admits(&self, value: &T) -> bool {
        self.contains(value)
    }

    fn words(&self) -> String {
        format!("between {} and {}", self.start(), self.end())
    }
}

impl<T: PartialOrd + fmt::Display> Allowed<T> for RangeFrom<T> {
    fn admits(&self, value: &T) -> bool {
        self.contains(value)
    }

    fn words(&self) -> String {
        format!("at least {}", self.start)
    }
}

/// Whether a value is allowed.
///
/// # Errors
/// Where it is not, with the key, the value and what is.
pub fn admit<T: Written>(
    key: String,
    value: Option<&T>,
    allowed: &impl Allowed<T>,
) -> Result<(), ConfigError> {
    match value.filter(|value| !allowed.admits(value)) {
        Some(value) => Err(ConfigError::Range { key, value: value.written(), allowed: allowed.words() }),
        None => Ok(()),
    }
}

/// Defines a section: `key: Type = usual value, what is allowed;` or, where the usual value depends on the
/// machine, `key: Type as "in words", what is allowed;`. A key with a usual value has a method that gives
/// the value that holds. `section name: Type;` behind the keys is a section within it.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $Name:ident {
            $(
                #[doc = $about:literal]
                $key:ident: $Type:ty $(as $words:literal)? $(= $usual:expr)?, $allowed:expr;
            )*
            $(section $inner:ident: $Inner:ty;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $Name {
            $(
                #[doc = $about]
                pub $key: Option<$Type>,
            )*
            $(
                /// The section within this one that has this name.
                pub $inner: $Inner,
            )*
        }

        impl $Name {
            $($(
                #[doc = $about]
                #[doc = "The usual value where none is said."]
                #[must_use]
                pub fn $key(&self) -> $Type {
                    self.$key.clone().unwrap_or_else(|| $usual)
                }
            )?)*
        }

        impl $crate::config::section::Section for $Name {
            fn settings(&self, path: &str, into: &mut Vec<$crate::config::section::Setting>) {
                use $crate::config::amount::Written as _;
                use $crate::config::section::Allowed;
                $(
                    into.push($crate::config::section::Setting {
                        key: format!("{path}.{}", stringify!($key)),
                        said: self.$key.as_ref().map(|value| value.written()),
                        usual: section!(@usual $Type $(= $usual)? $(, $words)?),
                        has_usual: section!(@has $($words)?),
                        allowed: Allowed::<$Type>::words(&$allowed),
                        about: $about.trim(),
                        types: <$Type as $crate::config::amount::Written>::TYPES,
                    });
                )*
                $($crate::config::section::Section::settings(
                    &self.$inner,
                    &format!("{path}.{}", stringify!($inner)),
                    into,
                );)*
            }

            fn check(&self, path: &str) -> Result<(), $crate::config::ConfigError> {
                $(
                    let key = format!("{path}.{}", stringify!($key));
                    $crate::config::section::admit::<$Type>(key, self.$key.as_ref(), &$allowed)?;
                )*
                $(
                    let inner = format!("{path}.{}", stringify!($inner));
                    $crate::config::section::Section::check(&self.$inner, &inner)?;
                )*
                Ok(())
            }
        }
    };
    (@has) => {
        true
    };
    (@has $words:literal) => {
        false
    };
    (@usual $Type:ty = $usual:expr) => {
        { let usual: $Type = $usual; usual.written() }
    };
    (@usual $Type:ty, $words:literal) => {
        $words.to_owned()
    };
}

pub(crate) use section;
