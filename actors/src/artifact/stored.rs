//! Files of ours beside artifacts: JSON with a version; each version keeps a sample that a test reads. What a later program has
//! written is refused. Must not know what is in them.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    version: u8,
    #[serde(flatten)]
    what: T,
}

/// Reads what has at most this version.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], known: u8) -> io::Result<T> {
    let Stored { version, what } = serde_json::from_slice(bytes).map_err(io::Error::other)?;
    if version > known {
        return Err(io::Error::other(format!("it has format version {version}, this program knows {known}")));
    }
    Ok(what)
}

pub(super) fn text<T: Serialize>(what: &T, version: u8) -> io::Result<Vec<u8>> {
    serde_json::to_vec(&Stored { version, what }).map_err(io::Error::other)
}
