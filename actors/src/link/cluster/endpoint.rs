//! The one actor of this process that other nodes can reach, and its message.
//!
//! **Role.** Hands what comes from other nodes to the sessions it came in. **Parent** the node.
//! **Hears** other nodes, through ractor_cluster. **Tells** sessions. **On crash** the node ends with it, all
//! sessions too, and the next use starts both again. **Invariant.** What carries no known key changes nothing.

use std::sync::Arc;

use ractor::message::{BoxedDowncastErr, SerializedMessage};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::node::Sessions;
use crate::link::peer::LinkError;
use crate::link::preamble::Key;
use crate::link::session::status;

/// The process group that the endpoints of all nodes are in.
pub(crate) const GROUP: &str = "knittingcrab.link";

/// What stands in front of each frame: whose it is and what it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) key: Key,
    pub(crate) acknowledges: bool,
}

impl Mark {
    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(17);
        bytes.extend_from_slice(&self.key);
        bytes.push(u8::from(self.acknowledges));
        bytes
    }

    fn decode(bytes: Option<&[u8]>) -> Option<Self> {
        let (key, [kind @ (0 | 1)]) = bytes?.split_first_chunk::<16>()? else { return None };
        Some(Self { key: *key, acknowledges: *kind == 1 })
    }
}

/// The one message type that crosses nodes. A mark that cannot be read is `None`, so that a call with one can
/// be answered: ractor never answers a call that it cannot decode.
pub(crate) enum EndpointMessage {
    Cast { mark: Option<Mark>, frame: Vec<u8> },
    Call { mark: Option<Mark>, frame: Vec<u8>, reply: RpcReplyPort<Vec<u8>> },
}

impl ractor::Message for EndpointMessage {
    fn serializable() -> bool {
        true
    }

    fn serialize(self) -> Result<SerializedMessage, BoxedDowncastErr> {
        let variant = String::new();
        Ok(match self {
            Self::Cast { mark, frame } => {
                SerializedMessage::Cast { variant, args: frame, metadata: mark.map(Mark::encode) }
            }
            Self::Call { mark, frame, reply } => {
                SerializedMessage::Call { variant, args: frame, reply, metadata: mark.map(Mark::encode) }
            }
        })
    }

    fn deserialize(message: SerializedMessage) -> Result<Self, BoxedDowncastErr> {
        match message {
            SerializedMessage::Cast { args, metadata, .. } => {
                Ok(Self::Cast { mark: Mark::decode(metadata.as_deref()), frame: args })
            }
            SerializedMessage::Call { args, reply, metadata, .. } => {
                Ok(Self::Call { mark: Mark::decode(metadata.as_deref()), frame: args, reply })
            }
            SerializedMessage::CallReply(..) => Err(BoxedDowncastErr),
        }
    }
}

/// See the module docs. Not one of ours: its message must be known to ractor as serialisable.
pub(crate) struct Endpoint;

impl Actor for Endpoint {
    type Msg = EndpointMessage;
    type State = Arc<Sessions>;
    type Arguments = Arc<Sessions>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        sessions: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        ractor::pg::join(GROUP.to_owned(), vec![myself.get_cell()]);
        Ok(sessions)
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        message: Self::Msg,
        sessions: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            EndpointMessage::Cast { mark, frame } => said(sessions, mark, frame),
            EndpointMessage::Call { mark, frame, reply } => asked(sessions, mark, frame, reply),
        }
        Ok(())
    }
}

fn said(sessions: &Sessions, mark: Option<Mark>, frame: Vec<u8>) {
    let Some((mark, session)) = mark.and_then(|mark| Some((mark, sessions.find(&mark.key)?))) else {
        sessions.count_unknown();
        return;
    };
    if !mark.acknowledges {
        session.received_cast(frame);
    } else if let Ok(total) = <[u8; 8]>::try_from(&frame[..]) {
        session.received_acknowledgement(u64::from_be_bytes(total));
    }
}

fn asked(sessions: &Sessions, mark: Option<Mark>, frame: Vec<u8>, reply: RpcReplyPort<Vec<u8>>) {
    let Some(session) = mark.and_then(|mark| sessions.find(&mark.key)) else {
        sessions.count_unknown();
        let _ = reply.send(status::put(Err(LinkError::Undecodable)));
        return;
    };
    session.received_call(frame, move |answer| {
        let _ = reply.send(status::put(answer));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_without_a_known_key_is_answered_as_an_error() {
        let sessions = Sessions::default();
        for metadata in [None, Some(vec![1, 2, 3]), Some(vec![0; 17]), Some(vec![9; 17])] {
            let (reply, answer) = ractor::concurrency::oneshot();
            let message = SerializedMessage::Call {
                variant: "anything".into(),
                args: vec![1],
                reply: reply.into(),
                metadata,
            };
            let Ok(EndpointMessage::Call { mark, frame, reply }) = ractor::Message::deserialize(message)
            else {
                panic!("a call stays a call");
            };
            asked(&sessions, mark, frame, reply);
            assert_eq!(status::take(answer.await.unwrap()), Err(LinkError::Undecodable));
        }
        assert_eq!(sessions.unknown.load(std::sync::atomic::Ordering::Relaxed), 4);
    }
}
