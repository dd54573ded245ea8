//! What a task waits for, and how the end of that must have been. Of what follows from an end it knows nothing.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::id::TaskId;

/// How what a task depends on must have ended before it may start. From the strictest on: what satisfies
/// one satisfies all behind it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
#[repr(u8)]
pub enum Need {
    /// It succeeded. Where it did not, the dependent is skipped.
    #[default]
    Success,
    /// It ran to its end, well or badly. Where it was cancelled or skipped, the dependent is skipped.
    End,
    /// It is over in whatever manner: for what cleans up. Only a cancellation of the whole graph ends it, too.
    Always,
}

/// What is depended on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum On {
    /// An item by its place: in the submission while it is handed in, in the graph once it is recorded.
    Item(u32),
    /// A task or array of the graph that is added to, by its name. Never recorded: admission finds its place.
    Name(Arc<str>),
    /// A task of the graph that is added to, by its id. Never recorded either.
    Task(TaskId),
}

/// One thing that must have ended before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dependency {
    /// What.
    pub on: On,
    /// How.
    pub needs: Need,
}

impl Dependency {
    /// On an item by its place, ended in this way.
    #[must_use]
    pub fn item(place: u32, needs: Need) -> Self {
        Self { on: On::Item(place), needs }
    }

    /// The place of the item, where it is named by that.
    #[must_use]
    pub fn place(&self) -> Option<u32> {
        match self.on {
            On::Item(place) => Some(place),
            On::Name(_) | On::Task(_) => None,
        }
    }
}

/// On the success of the item at a place.
impl From<u32> for Dependency {
    fn from(place: u32) -> Self {
        Self::item(place, Need::Success)
    }
}

/// As it is written: `7`, `"build"`, `t12`.
impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(place) => place.fmt(f),
            Self::Name(name) => write!(f, "{name:?}"),
            Self::Task(task) => task.fmt(f),
        }
    }
}
