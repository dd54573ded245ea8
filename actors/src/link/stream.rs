//! The stream under a session, guarded: its end, an error, silence and a cut all end the life.
//!
//! Whatever a stream is (TCP, Unix, encrypted one day) it is boxed here; must not know what it carries.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::time::{Instant, Sleep};

use super::life::{EndReason, Life};

/// A connected stream of bytes, both ways.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Bytes for T {}

/// Any of them.
pub(crate) type Stream = Box<dyn Bytes>;

/// Splits a stream in its two directions and ties it to a life: the reading side ends the life at the
/// end of the stream, at an error, when it is dropped, and after `idle` without a byte; and it reads
/// nothing once the life has ended.
pub(crate) fn guard(stream: Stream, life: Life, idle: Option<Duration>) -> (GuardedRead, WriteHalf<Stream>) {
    let (read, write) = tokio::io::split(stream);
    let ended = {
        let life = life.clone();
        Box::pin(async move { life.wait().await })
    };
    let silence = idle.map(|limit| Silence {
        limit,
        heard: Instant::now(),
        timer: Box::pin(tokio::time::sleep(limit)),
    });
    (GuardedRead { read, life, ended, silence }, write)
}

pub(crate) struct GuardedRead {
    read: ReadHalf<Stream>,
    life: Life,
    ended: Pin<Box<dyn Future<Output = EndReason> + Send>>,
    silence: Option<Silence>,
}

/// Watches for silence. The timer is not set anew for each byte, only when it fires too early.
struct Silence {
    limit: Duration,
    heard: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    fn poll_too_long(&mut self, context: &mut Context<'_>) -> Poll<EndReason> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let due = self.heard + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(EndReason::Idle(self.limit));
            }
            self.timer.as_mut().reset(due);
        }
    }
}

impl GuardedRead {
    fn over(&self, reason: EndReason) -> io::Error {
        self.life.end(reason);
        io::Error::new(io::ErrorKind::ConnectionAborted, reason)
    }
}

impl AsyncRead for GuardedRead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(reason) = self.ended.as_mut().poll(context) {
            self.ended = Box::pin(std::future::ready(reason));
            return Poll::Ready(Err(self.over(reason)));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.read).poll_read(context, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() == before && buffer.remaining() > 0 => {
                self.life.end(EndReason::PeerClosed);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => {
                if let Some(silence) = &mut self.silence {
                    silence.heard = Instant::now();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.over(end_of(&error)))),
            Poll::Pending => match self.silence.as_mut().map(|silence| silence.poll_too_long(context)) {
                Some(Poll::Ready(reason)) => Poll::Ready(Err(self.over(reason))),
                Some(Poll::Pending) | None => Poll::Pending,
            },
        }
    }
}

impl Drop for GuardedRead {
    fn drop(&mut self) {
        self.life.end(EndReason::PeerClosed);
    }
}

/// What an error on the stream means for the connection.
pub(crate) fn end_of(error: &io::Error) -> EndReason {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of errors are open")]
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            EndReason::PeerClosed
        }
        kind => EndReason::Broken(kind),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const IDLE: Duration = Duration::from_secs(8);

    #[tokio::test(start_paused = true)]
    async fn silence_ends_the_life_and_a_byte_puts_it_off() {
        let (near, mut far) = tokio::io::duplex(64);
        let life = Life::default();
        let (mut read, _write) = guard(Box::new(near), life.clone(), Some(IDLE));
        let started = Instant::now();
        let reading = tokio::spawn(async move {
            let mut bytes = [0; 8];
            while read.read(&mut bytes).await.is_ok() {}
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        far.write_all(b"x").await.unwrap();
        assert_eq!(life.wait().await, EndReason::Idle(IDLE));
        assert_eq!(started.elapsed().as_secs(), 13);
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn a_cut_stops_a_reader_that_waits() {
        let (near, _far) = tokio::io::duplex(64);
        let life = Life::default();
        let (mut read, _write) = guard(Box::new(near), life.clone(), None);
        let reading = tokio::spawn(async move { read.read_u8().await });
        life.end(EndReason::Displaced);
        assert!(reading.await.unwrap().is_err());
        assert_eq!(life.ended(), Some(EndReason::Displaced));
    }

    #[tokio::test]
    async fn the_other_side_s_end_is_the_end() {
        let (near, far) = tokio::io::duplex(64);
        let life = Life::default();
        let (mut read, _write) = guard(Box::new(near), life.clone(), None);
        drop(far);
        assert_eq!(read.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(life.ended(), Some(EndReason::PeerClosed));
    }
}
