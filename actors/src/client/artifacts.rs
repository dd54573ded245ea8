//! What is kept of what tasks left behind: what there is, and its bytes, compared with their digest.

use policy::artifact::{Kept, Manifest};
use policy::id::{AttemptNumber, TaskId};

use super::wait::Patience;
use super::{Client, ClientError, refusal};
use crate::wire::client::{Request, Response};
use crate::wire::fleet::{
    ARTIFACT_PIECE_LIMIT_BYTES, ARTIFACTS_SINCE, ArtifactPiece, ArtifactRead, ArtifactRefusal, ManifestPage,
};

impl Client {
    /// What is kept of an attempt, and what was left out; of the last attempt where none is named.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`] and [`ClientError::NoArtifact`].
    pub async fn list_artifacts(
        &self,
        task: TaskId,
        attempt: Option<AttemptNumber>,
    ) -> Result<Manifest, ClientError> {
        let ManifestPage { mut manifest, mut next } = self.manifest_page((task, attempt), 0).await?;
        while let Some(from) = next {
            // Of the same attempt, whatever is the last one by now.
            let page = self.manifest_page((task, Some(manifest.attempt)), from).await?;
            manifest.kept.extend(page.manifest.kept);
            next = page.next.filter(|next| *next > from);
        }
        Ok(manifest)
    }

    /// Reads one file of a manifest, piece by piece.
    #[must_use]
    pub fn get_artifact(&self, manifest: &Manifest, kept: &Kept) -> Fetch {
        Fetch {
            client: self.clone(),
            task: manifest.task,
            attempt: manifest.attempt,
            kept: kept.clone(),
            read: 0,
            hasher: Box::default(),
            is_over: false,
            patience: Patience::default(),
        }
    }

    async fn manifest_page(
        &self,
        of: (TaskId, Option<AttemptNumber>),
        from: u32,
    ) -> Result<ManifestPage, ClientError> {
        match self.artifact_piece(of, ArtifactRead::Manifest { from }).await? {
            ArtifactPiece::Manifest(page) => Ok(*page),
            ArtifactPiece::File(_) => Err(ClientError::Protocol("a file in place of a manifest".to_owned())),
        }
    }

    async fn artifact_piece(
        &self,
        (task, attempt): (TaskId, Option<AttemptNumber>),
        read: ArtifactRead,
    ) -> Result<ArtifactPiece, ClientError> {
        if self.layout().await?.number() < ARTIFACTS_SINCE {
            let why = "the daemon is of an earlier version, which keeps no artifacts";
            return Err(ClientError::Refused(why.into()));
        }
        match self.call(&Request::Artifact { task, attempt, read }).await? {
            Response::Artifact(answer) => Result::from(answer).map_err(ClientError::NoArtifact),
            other => Err(refusal(other)),
        }
    }
}

/// A file that is read.
#[derive(Debug)]
pub struct Fetch {
    client: Client,
    task: TaskId,
    attempt: AttemptNumber,
    kept: Kept,
    read: u64,
    hasher: Box<blake3::Hasher>,
    is_over: bool,
    patience: Patience,
}

impl Fetch {
    /// The next bytes; `None` behind the last, when all of them were what was kept. A scheduler that does not answer is tried
    /// again for a minute. Cancel safe.
    ///
    /// # Errors
    /// [`ClientError::NoArtifact`] where the node has it no more or is away, [`ClientError::Spoiled`] where it is not what was
    /// kept: then nothing that was read of it is to be trusted.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        if self.is_over {
            return Ok(None);
        }
        let bytes = self.piece().await?;
        self.read += bytes.len() as u64;
        if self.read > self.kept.bytes {
            return Err(self.spoiled());
        }
        self.hasher.update(&bytes);
        if self.read == self.kept.bytes {
            self.is_over = true;
            if *self.hasher.finalize().as_bytes() != self.kept.digest.0 {
                return Err(self.spoiled());
            }
        } else if bytes.is_empty() {
            return Err(self.spoiled());
        }
        Ok(Some(bytes))
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`Fetch::next`].
    pub async fn all(mut self) -> Result<Vec<u8>, ClientError> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    async fn piece(&mut self) -> Result<Vec<u8>, ClientError> {
        let read = ArtifactRead::File {
            number: self.kept.number,
            from: self.read,
            max_bytes: ARTIFACT_PIECE_LIMIT_BYTES,
        };
        loop {
            match self.client.artifact_piece((self.task, Some(self.attempt)), read).await {
                Ok(ArtifactPiece::File(bytes)) => {
                    self.patience.renew();
                    return Ok(bytes);
                }
                Ok(ArtifactPiece::Manifest(_)) => {
                    return Err(ClientError::Protocol("a manifest in place of a file".to_owned()));
                }
                Err(error @ ClientError::NoArtifact(ArtifactRefusal::Away { .. })) => return Err(error),
                Err(error) => self.patience.endure(&self.client, error).await?,
            }
        }
    }

    fn spoiled(&self) -> ClientError {
        ClientError::Spoiled { path: self.kept.path.clone() }
    }
}
