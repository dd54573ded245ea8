//! Reading what is kept of an attempt: asked of the machine on which it was.

use policy::id::{AttemptNumber, TaskId};

use crate::gateway::answer::{ACTOR_DEADLINE, Answerer, Written};
use crate::node::NodeMessage;
use crate::wire::client::Response;
use crate::wire::fleet::{ARTIFACT_PIECE_LIMIT_BYTES, ArtifactAnswer, ArtifactRead, ArtifactRefusal};

impl Answerer {
    /// A piece of it.
    pub(super) async fn artifact(
        &self,
        task: TaskId,
        attempt: Option<AttemptNumber>,
        read: ArtifactRead,
    ) -> Response {
        let Written { token, node, .. } = match self.written(task, attempt).await {
            Ok(Some(written)) => written,
            Ok(None) => return Response::Artifact(ArtifactAnswer::Refused(ArtifactRefusal::None)),
            Err(answer) => return answer,
        };
        let question = |reply| NodeMessage::ReadArtifact { token, read: bounded(read), reply };
        let piece = match self.side.nodes.get(&node) {
            Some(actor) => {
                let answer = actor.ask(ACTOR_DEADLINE, question).await;
                answer.unwrap_or_else(|why| Err(ArtifactRefusal::Away { reason: why.to_string().into() }))
            }
            // It has not come back since the scheduler was started.
            None => Err(ArtifactRefusal::Away { reason: "it is not connected".into() }),
        };
        // Whoever asked does not know which one it is.
        let piece = piece.map_err(|refusal| match refusal {
            ArtifactRefusal::Away { reason } => {
                ArtifactRefusal::Away { reason: format!("{node}: {reason}").into() }
            }
            other => other,
        });
        Response::Artifact(piece.into())
    }
}

fn bounded(read: ArtifactRead) -> ArtifactRead {
    match read {
        ArtifactRead::File { number, from, max_bytes } => {
            ArtifactRead::File { number, from, max_bytes: max_bytes.min(ARTIFACT_PIECE_LIMIT_BYTES) }
        }
        ArtifactRead::Manifest { .. } => read,
    }
}
