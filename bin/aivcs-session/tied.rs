//! What belongs to `exec --tied`: the command on the machine ends with this process, and hears what is signalled to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use actors::session::Sessions;
use anyhow::Context;
use policy::session::SessionName;
use policy::signal::TaskSignal;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::place::Place;

/// What a process exits with that SIGTERM has ended.
const TERMINATED: i32 = 143;

/// Whether SIGTERM was heard.
static ASKED: AtomicBool = AtomicBool::new(false);

/// What is handed on.
const HANDED_ON: [(TaskSignal, fn() -> SignalKind); 6] = [
    (TaskSignal::Hup, SignalKind::hangup),
    (TaskSignal::Int, SignalKind::interrupt),
    (TaskSignal::Quit, SignalKind::quit),
    (TaskSignal::Usr1, SignalKind::user_defined1),
    (TaskSignal::Usr2, SignalKind::user_defined2),
    (TaskSignal::Winch, SignalKind::window_change),
];

/// On SIGTERM ends the session and exits. Whatever comes in between, the machine ends it by itself soon after. Hands all that
/// may be signalled to a task on to the attempt of this key, once it has begun: when what is returned is dropped.
pub(crate) fn hear(
    sessions: Sessions,
    (name, key): (SessionName, Box<str>),
    grace: Duration,
) -> anyhow::Result<Sender<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (heard, hand_on) = channel();
    let mut asked = {
        let _within = runtime.enter();
        for (what, kind) in HANDED_ON {
            let (mut signals, heard) = (signal(kind()).context("listening to signals")?, heard.clone());
            runtime.spawn(async move { while signals.recv().await.is_some() && heard.send(what).is_ok() {} });
        }
        signal(SignalKind::terminate()).context("listening to SIGTERM")?
    };
    let (ready, is_ready) = channel();
    let (of_signals, to) = (sessions.clone(), name.clone());
    std::thread::spawn(move || hand_on_to(&of_signals, (&to, &key), &is_ready, &hand_on));
    std::thread::spawn(move || {
        runtime.block_on(asked.recv());
        ASKED.store(true, Ordering::SeqCst);
        // Where the machine cannot be asked, nobody follows it any more, and it sees that.
        let _ = sessions.end(&name, grace, true, None);
        sessions.hang_up();
        std::process::exit(TERMINATED);
    });
    Ok(ready)
}

fn hand_on_to(
    sessions: &Sessions,
    (name, key): (&SessionName, &str),
    is_ready: &Receiver<()>,
    heard: &Receiver<TaskSignal>,
) {
    // Nothing is ever sent: it ends when there is something.
    let _ = is_ready.recv();
    for signal in heard {
        // What is over meanwhile hears nothing, as a process that has ended.
        let _ = sessions.signal(name, key, signal);
    }
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
