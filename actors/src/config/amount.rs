//! The amounts of a configuration file: read as people write them, shown so that they could be read again.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::taskfile::quantity;

/// A length of time, written `90s` or `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub Duration);

/// A size, written `4 GiB`, or a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Cores in thousandths, written `8` or `0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cores(pub u64);

/// Values by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Table<V>(pub BTreeMap<String, V>);

/// Values in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct List<V>(pub Vec<V>);

/// How a value is written in the file.
pub trait Written {
    /// What it is in JSON: one of these.
    const TYPES: &'static [&'static str];

    /// As TOML.
    fn written(&self) -> String;
}

macro_rules! plain {
    ($types:expr; $($Type:ty)*) => {$(
        impl Written for $Type {
            const TYPES: &'static [&'static str] = $types;

            fn written(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

plain! { &["boolean"]; bool }
plain! { &["integer"]; u8 u16 u32 u64 usize }
plain! { &["number", "string"]; Cores }

impl Written for String {
    const TYPES: &'static [&'static str] = &["string"];

    fn written(&self) -> String {
        format!("{self:?}")
    }
}

macro_rules! quoted {
    ($types:expr; $($Type:ty)*) => {$(
        impl Written for $Type {
            const TYPES: &'static [&'static str] = $types;

            fn written(&self) -> String {
                format!("\"{self}\"")
            }
        }
    )*};
}

quoted! { &["string", "number"]; Length Size }
quoted! { &["string"]; policy::budget::OnReached policy::admission::Unschedulable policy::ageing::Mode policy::time_slice::Fairness policy::preempt::Preemption std::net::SocketAddr crate::log::disk::Durability crate::config::log::LogFormat }

impl<V: Written> Written for Table<V> {
    const TYPES: &'static [&'static str] = &["object"];

    fn written(&self) -> String {
        let entries = self.0.iter().map(|(name, value)| format!("{name:?} = {}", value.written()));
        format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
    }
}

impl<V: Written> Written for List<V> {
    const TYPES: &'static [&'static str] = &["array"];

    fn written(&self) -> String {
        format!("[{}]", self.0.iter().map(Written::written).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let units =
            [(3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms")];
        let whole = units.into_iter().find(|(unit, _)| nanos > 0 && nanos.is_multiple_of(*unit));
        match whole {
            Some((unit, name)) => write!(f, "{}{name}", nanos / unit),
            None => write!(f, "{}s", self.0.as_secs_f64()),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let whole = units.into_iter().find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit));
        match whole {
            Some((unit, name)) => write!(f, "{} {name}", self.0 / unit),
            None => write!(f, "{} B", self.0),
        }
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1000, self.0 % 1000) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, part) => f.write_str(format!("{whole}.{part:03}").trim_end_matches('0')),
        }
    }
}

/// A text or a number, as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Text(String),
    Whole(u64),
    Broken(f64),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Whole(number) => number.fmt(f),
            Self::Broken(number) => number.fmt(f),
        }
    }
}

macro_rules! amounts {
    ($($name:ident: $read:path;)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let amount = Amount::deserialize(from)?.to_string();
                $read(&amount).map(Self).map_err(|error| serde::de::Error::custom(format!("{amount:?} {error}")))
            }
        }
    )*};
}

amounts! {
    Length: quantity::duration;
    Size: quantity::size;
    Cores: quantity::cpus;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_as_they_can_be_read() {
        for text in ["15s", "90m", "250ms", "168h", "0s"] {
            let length = quantity::duration(text).expect("a length");
            assert_eq!(quantity::duration(&Length(length).to_string()), Ok(length), "{text}");
        }
        for bytes in [0, 1, 1 << 10, 3 << 30, (1 << 30) + 1] {
            assert_eq!(quantity::size(&Size(bytes).to_string()), Ok(bytes));
        }
        assert_eq!(
            ["8", "0.5", "1.125"].map(|text| Cores(quantity::cpus(text).expect("cores")).to_string()),
            ["8", "0.5", "1.125"]
        );
        assert_eq!(Length(Duration::from_secs(5400)).written(), "\"90m\"");
        assert_eq!(Table([("a".to_owned(), 3_u64)].into()).written(), "{ \"a\" = 3 }");
    }
}
