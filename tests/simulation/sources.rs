//! Which seeds these sources are tried on: others after every change, the same ones for everybody who has
//! the same sources. So a change that was good for its author does not turn red on another machine by chance.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The rooms whose code a simulated history runs through.
const ROOMS: [&str; 4] = ["actors/src", "actors/policy/src", "supervision/src", "tests/simulation"];

/// Bits of the hash that are left out, so that a seed is short enough to be typed.
const LEFT_OUT: u32 = 20;

/// Where the seeds of these sources begin.
pub(super) fn first_seed() -> u64 {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut hasher = DefaultHasher::new();
    for room in ROOMS {
        for file in rust_files(&root.join(room)) {
            let text = std::fs::read(&file).expect("a source file can be read");
            (file.strip_prefix(root).expect("below the root"), text).hash(&mut hasher);
        }
    }
    hasher.finish() >> LEFT_OUT
}

/// All below a folder, in an order that every machine has.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a room is there") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
