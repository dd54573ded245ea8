//! What belongs to `exec --tied`: the command on the machine ends with this process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actors::session::Sessions;
use anyhow::Context;
use policy::session::SessionName;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::place::Place;

/// What a process exits with that SIGTERM has ended.
const TERMINATED: i32 = 143;

/// Whether SIGTERM was heard.
static ASKED: AtomicBool = AtomicBool::new(false);

/// On SIGTERM ends the session and exits. Whatever comes in between, the machine ends it by itself soon after.
pub(crate) fn end_on_sigterm(sessions: Sessions, name: SessionName, grace: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut asked = {
        let _within = runtime.enter();
        signal(SignalKind::terminate()).context("listening to SIGTERM")?
    };
    std::thread::spawn(move || {
        runtime.block_on(asked.recv());
        ASKED.store(true, Ordering::SeqCst);
        // Where the machine cannot be asked, nobody follows it any more, and it sees that.
        let _ = sessions.end(&name, grace, true, None);
        sessions.hang_up();
        std::process::exit(TERMINATED);
    });
    Ok(())
}

/// The end is known and passed on: nobody asks for it again, unless its session `stays` to be looked at. Where SIGTERM has
/// brought it about, the process exits as that says.
pub(crate) fn clear(place: &Place, name: &SessionName, stays: bool) {
    while ASKED.load(Ordering::SeqCst) {
        std::thread::park();
    }
    // What stays is pruned with the others.
    if !stays {
        let _ = place.sessions.end(name, Duration::ZERO, true, None);
    }
    place.sessions.hang_up();
}
