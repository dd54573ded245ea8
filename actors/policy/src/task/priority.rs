//! How urgent tasks are.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// How urgent a task is. Waiting raises it, see `queue`.
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
pub enum Priority {
    /// When there is nothing else.
    Low,
    /// Most work.
    #[default]
    Normal,
    /// Before most work.
    High,
    /// Before everything.
    Critical,
}
