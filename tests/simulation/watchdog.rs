//! Nothing hangs unnoticed: a run whose time stands still is a finding, and one that never comes back ends the program.
//!
//! Simulated time goes on when every actor has nothing to do. Where actors keep each other busy for ever it stands
//! still, whoever they are; so a run is looked at from outside, in real time, and ended as a broken promise. A loop
//! within one handler gives nobody a turn, and its thread cannot be ended: there the program says what it was, and ends.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// How long one seed may take in real time; it takes about a second, on a busy machine some.
const PATIENCE: Duration = Duration::from_secs(180);

/// Between two looks at all that run.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Between two looks at one run.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// So many looks in a row see the same simulated moment: then it never passes. A moment takes a few milliseconds; a
/// look that comes while the thread has no core is not counted.
const SAME_MOMENT: u32 = 20;

/// So many looks, whatever the moments: then the run goes on in steps that are too small to come to an end.
const ALL_LOOKS: u32 = 480;

/// What runs, and since when.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<BTreeMap<String, Instant>>);

impl Running {
    /// Does something that has a name and should end.
    pub(super) fn during<T>(&self, name: impl Into<String>, act: impl FnOnce() -> T) -> T {
        let name = name.into();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Instant::now());
        let done = act();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        done
    }

    fn hanging(&self) -> Option<String> {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, _) = running.iter().find(|(_, since)| since.elapsed() > PATIENCE)?;
        Some(name.clone())
    }

    /// Ends the program where something hangs: its thread would never come back.
    fn watch(&self, done: &mpsc::Receiver<()>, at_each_look: impl Fn()) {
        while done.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            if let Some(name) = self.hanging() {
                eprintln!("{name} hangs: no end after {PATIENCE:?} of real time");
                std::process::exit(101);
            }
            at_each_look();
        }
    }
}

/// Has each core do this, until all have come back, under the watchdog.
pub(super) fn on_all_cores(work: impl Fn(&Running) + Sync, at_each_look: impl Fn() + Send) {
    let running = Running::default();
    let (over, done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let (running, work) = (&running, &work);
        scope.spawn(move || running.watch(&done, at_each_look));
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let over = over.clone();
            scope.spawn(move || {
                let _over = over;
                work(running);
            });
        }
        drop(over);
    });
}

/// What a run and the thread that looks at it share.
#[derive(Debug, Default)]
struct Probe {
    is_asked: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Probe {
    /// Asks every now and then, until the other end of `over` is gone.
    fn ask_until(&self, over: &mpsc::Receiver<()>) {
        while over.recv_timeout(PROBE_EVERY) == Err(RecvTimeoutError::Timeout) {
            self.is_asked.store(true, Ordering::Relaxed);
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
            waker.iter().for_each(Waker::wake_by_ref);
        }
    }
}

/// Runs this on a paused clock until its end.
///
/// # Errors
/// How it goes on for ever.
pub(super) async fn until_its_end<T>(run: impl Future<Output = T>) -> Result<T, String> {
    let (probe, (goes_on, over)) = (Arc::new(Probe::default()), mpsc::channel::<()>());
    let asking = Arc::clone(&probe);
    std::thread::spawn(move || asking.ask_until(&over));
    let began = tokio::time::Instant::now();
    let (mut run, mut looks, mut same, mut last) = (pin!(run), 0, 0, began);
    let ended = poll_fn(|context| {
        *probe.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        if let Poll::Ready(ended) = run.as_mut().poll(context) {
            return Poll::Ready(Ok(ended));
        }
        if !probe.is_asked.swap(false, Ordering::Relaxed) {
            return Poll::Pending;
        }
        let now = tokio::time::Instant::now();
        (looks, same) = (looks + 1, if now == last { same + 1 } else { 0 });
        last = now;
        let at = now - began;
        if same >= SAME_MOMENT {
            return Poll::Ready(Err(format!(
                "time stands still at {at:?}: actors keep each other busy for ever"
            )));
        }
        if looks >= ALL_LOOKS {
            return Poll::Ready(Err(format!("too much happens: it is only {at:?} after {looks} looks")));
        }
        Poll::Pending
    })
    .await;
    drop(goes_on);
    ended
}
