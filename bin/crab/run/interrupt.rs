//! Ctrl-C: the first one cancels, the second one does not wait any longer.

use std::future;

use actors::client::{Client, ClientError};
use actors::wire::client::Target;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

/// The user's wish to stop, by Ctrl-C or SIGTERM.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    count: u32,
    cancelling: Option<JoinHandle<Result<u64, ClientError>>>,
}

/// What there is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// The user wants to cancel.
    Cancel,
    /// The user does not want to wait any longer.
    Kill,
    /// Cancelling was not possible.
    CancelFailed(String),
}

impl Told {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Cancel => "cancelling, again to kill".to_owned(),
            Self::Kill => "killed".to_owned(),
            Self::CancelFailed(why) => format!("cancelling failed: {why}"),
        }
    }
}

impl Interrupts {
    pub(crate) fn new() -> std::io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, count: 0, cancelling: None })
    }

    /// Whether the user has said so at all.
    pub(crate) fn cancelled(&self) -> bool {
        self.count > 0
    }

    /// Waits until there is something to be told. Cancel safe.
    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            why = cancel_failed(&mut self.cancelling) => return Told::CancelFailed(why),
        }
        self.count += 1;
        if self.count == 1 { Told::Cancel } else { Told::Kill }
    }

    /// Asks to cancel, beside everything else: the user may become impatient meanwhile.
    pub(crate) fn cancel(&mut self, client: &Client, target: Target) {
        let client = client.clone();
        self.cancelling = Some(tokio::spawn(async move { client.cancel(target).await }));
    }
}

/// Waits until cancelling has failed, for ever where it does not. Cancel safe.
async fn cancel_failed(cancelling: &mut Option<JoinHandle<Result<u64, ClientError>>>) -> String {
    let Some(present) = cancelling else { return future::pending().await };
    let done = present.await;
    *cancelling = None;
    match done {
        Ok(Ok(_)) => future::pending().await,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}
