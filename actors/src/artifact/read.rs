//! Reads what is kept, piece by piece.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use policy::artifact::Manifest;
use policy::id::Token;

use super::{Depot, Storing, manifest};
use crate::wire::fleet::{
    ARTIFACT_PIECE_LIMIT_BYTES, ArtifactPiece, ArtifactRead, ArtifactRefusal, ManifestPage,
};

/// Bytes of a file in a manifest beside its path: number, size, digest and the like.
const ENTRY_BYTES: usize = 64;

impl Depot {
    /// A piece of what is kept of an attempt.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(&self, token: Token, read: ArtifactRead) -> Result<ArtifactPiece, ArtifactRefusal> {
        let Some(storing) = &self.storing else { return Err(ArtifactRefusal::Gone) };
        if !self.known().kept.contains_key(&token) {
            let is_wanted = self.known().wanted.contains_key(&token);
            return Err(if is_wanted { ArtifactRefusal::NotYet } else { ArtifactRefusal::Gone });
        }
        let piece = match read {
            ArtifactRead::Manifest { from } => page(storing, token, from),
            ArtifactRead::File { number, from, max_bytes } => {
                file(storing, (token, number), from, max_bytes).map(ArtifactPiece::File)
            }
        };
        piece.map_err(|error| match error.kind() {
            ErrorKind::NotFound => ArtifactRefusal::Gone,
            _ => ArtifactRefusal::Unreadable { reason: error.to_string().into() },
        })
    }
}

fn page(storing: &Storing, token: Token, from: u32) -> std::io::Result<ArtifactPiece> {
    let manifest = manifest::read(&storing.root.join(token.0.to_string()))?;
    Ok(ArtifactPiece::Manifest(Box::new(page_of(manifest, from as usize))))
}

/// Some files of a manifest, from this place on.
fn page_of(mut manifest: Manifest, from: usize) -> ManifestPage {
    let rest = manifest.kept.split_off(from.min(manifest.kept.len()));
    if from > 0 {
        manifest.left_out.clear();
    }
    let (mut bytes, mut next) = (0, None);
    manifest.kept.clear();
    for (place, kept) in (from..).zip(rest) {
        bytes += kept.path.len() + ENTRY_BYTES;
        if bytes > ARTIFACT_PIECE_LIMIT_BYTES as usize && !manifest.kept.is_empty() {
            next = u32::try_from(place).ok();
            break;
        }
        manifest.kept.push(kept);
    }
    ManifestPage { manifest, next }
}

fn file(
    storing: &Storing,
    (token, number): (Token, u32),
    from: u64,
    max_bytes: u32,
) -> std::io::Result<Vec<u8>> {
    let file = File::open(storing.root.join(token.0.to_string()).join(number.to_string()))?;
    let length = file.metadata()?.len().saturating_sub(from);
    let wanted = u64::from(max_bytes.clamp(1, ARTIFACT_PIECE_LIMIT_BYTES)).min(length);
    let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}
