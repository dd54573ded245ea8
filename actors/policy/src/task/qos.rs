//! How much a task's processes matter to the machine that runs them, beside others that want its cores now.
//!
//! Must not know how an operating system is told.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// The classes of Apple's systems that a program may be put into from outside. Whoever is granted a core in the
/// scheduler's books has it; this says who waits where more run than there are cores, people's programs included.
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
pub enum Qos {
    /// As any program.
    #[default]
    Default,
    /// Others first: work that somebody looks at now and then.
    Utility,
    /// Only what nobody else wants: on a Mac the efficiency cores, and slower disk and network.
    Background,
}
