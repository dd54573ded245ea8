//! One request and its answer: the frames of it, and a new connection where the old one is dead.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use policy::layout::Layout;

use super::transport::{Transport, TransportError};
use super::{CALL_DEADLINE, Client, ClientError};
use crate::wire::chunk::{self, Answer};
use crate::wire::client::{Request, Response};
use crate::wire::{FRAME_LIMIT_BYTES, MESSAGE_LIMIT_BYTES, codec};

impl Client {
    /// Whether anything was ever answered.
    pub(super) fn has_been_answered(&self) -> bool {
        self.0.answered.load(Ordering::Relaxed)
    }

    pub(super) async fn call(&self, request: &Request) -> Result<Response, ClientError> {
        self.call_within(request, Duration::ZERO).await
    }

    /// Sends a request that the other side may take `wait` to answer. A connection that turns out to be
    /// dead is replaced once.
    pub(super) async fn call_within(
        &self,
        request: &Request,
        wait: Duration,
    ) -> Result<Response, ClientError> {
        let deadline = CALL_DEADLINE + wait;
        let mut replaced = false;
        loop {
            let (transport, fresh) = self.connection().await.map_err(|why| self.unreachable(why))?;
            let bytes = codec::encode_as(transport.layout(), request);
            if bytes.len() > MESSAGE_LIMIT_BYTES {
                return Err(ClientError::TooLarge { size: bytes.len(), limit: MESSAGE_LIMIT_BYTES });
            }
            match self.exchange(&*transport, &bytes, deadline).await {
                Ok(response) => {
                    self.0.answered.store(true, Ordering::Relaxed);
                    return response;
                }
                Err(TransportError::Closed { .. } | TransportError::NotThere { .. })
                    if !fresh && !replaced =>
                {
                    replaced = true;
                    self.drop_connection(&transport).await;
                }
                Err(why) => {
                    self.drop_connection(&transport).await;
                    return Err(self.unreachable(why));
                }
            }
        }
    }

    /// The layout in which the daemon is spoken to: that of its version, or of ours.
    pub(super) async fn layout(&self) -> Result<Layout, ClientError> {
        let connected = self.connection().await;
        connected.map(|(transport, _)| transport.layout()).map_err(|why| self.unreachable(why))
    }

    /// The connection, and whether it was made just now.
    async fn connection(&self) -> Result<(Arc<dyn Transport>, bool), TransportError> {
        let mut connection = self.0.connection.lock().await;
        if let Some(transport) = &*connection {
            return Ok((Arc::clone(transport), false));
        }
        let transport = tokio::time::timeout(CALL_DEADLINE, self.0.dial.dial(CALL_DEADLINE))
            .await
            .unwrap_or(Err(TransportError::TimedOut { after: CALL_DEADLINE }))?;
        *connection = Some(Arc::clone(&transport));
        Ok((transport, true))
    }

    async fn drop_connection(&self, dead: &Arc<dyn Transport>) {
        let mut connection = self.0.connection.lock().await;
        if connection.as_ref().is_some_and(|present| Arc::ptr_eq(present, dead)) {
            *connection = None;
        }
    }

    /// Sends the frames of a request and reads the answer to the last.
    async fn exchange(
        &self,
        transport: &dyn Transport,
        request: &[u8],
        deadline: Duration,
    ) -> Result<Result<Response, ClientError>, TransportError> {
        let id = self.0.next_request.fetch_add(1, Ordering::Relaxed);
        let frames = chunk::frames(id, request);
        let _turn = if frames.len() > 1 { Some(self.0.in_parts.lock().await) } else { None };
        for frame in frames {
            let answer = tokio::time::timeout(deadline, transport.call(frame, deadline))
                .await
                .unwrap_or(Err(TransportError::TimedOut { after: deadline }))?;
            match Answer::read(&answer) {
                Ok(Answer::PartTaken) => {}
                Ok(Answer::Whole(response)) => return Ok(decode(transport.layout(), response)),
                Ok(Answer::Refused(chunk::ChunkRefusal::Full { limit })) => {
                    let reason = format!("large requests of others fill {limit} bytes").into();
                    return Ok(Err(ClientError::Busy { reason, retry_after: Duration::from_secs(1) }));
                }
                Ok(Answer::Refused(refusal)) | Err(refusal) => {
                    return Ok(Err(ClientError::Protocol(refusal.to_string())));
                }
            }
        }
        Ok(Err(ClientError::Protocol("no answer to a whole request".to_owned())))
    }

    fn unreachable(&self, why: TransportError) -> ClientError {
        ClientError::transport(self.0.dial.place(), why)
    }
}

fn decode(layout: Layout, response: &[u8]) -> Result<Response, ClientError> {
    codec::decode_as(layout, response, FRAME_LIMIT_BYTES)
        .map_err(|error| ClientError::Protocol(error.to_string()))
}
