//! What a task leaves behind that somebody wants to keep: which files that are, what is kept of them, and when that goes.
//!
//! A task declares patterns ([`Artifacts`]); what lies in its directory at the end of an attempt is matched and chosen
//! ([`choose`]) and told in a [`Manifest`]; [`expired`] says what goes again. Must not know how files are found, copied or read.

mod choose;
mod expire;
mod id;
mod kind;
mod manifest;
mod pattern;

#[cfg(test)]
mod tests;

pub use crate::artifact::choose::{
    Choice, Chosen, DEPTH_LIMIT, Found, KeepLimits, LOOKED_LIMIT, Sort, choose,
};
pub use crate::artifact::expire::{Collection, Expiry, expired};
pub use crate::artifact::id::{ArtifactId, UnknownId};
pub use crate::artifact::kind::Kind;
pub use crate::artifact::manifest::{
    Digest, Kept, LEFT_OUT_LIMIT, LeftOut, Manifest, PATH_LIMIT_BYTES, Summary, WhyLeftOut, is_plain_path,
};
pub use crate::artifact::pattern::{
    Artifacts, Matcher, PATTERN_LIMIT_CHARS, PATTERNS_LIMIT, Pattern, Unsound,
};
