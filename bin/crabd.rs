//! The daemon: the scheduler side, the machine side, or both, until it is told to stop.
//!
//! Each thing it does has a file: what it was told ([`crabd::settings`]), what it runs ([`crabd::sides`]),
//! whom it runs as ([`crabd::user`]), what signals it hears ([`crabd::signals`]). What scheduling means is known elsewhere.

#[path = "crabd"]
mod crabd {
    pub(crate) mod abroad;
    pub(crate) mod lock;
    pub(crate) mod logging;
    pub(crate) mod membership;
    pub(crate) mod memory;
    pub(crate) mod rotation;
    pub(crate) mod settings;
    pub(crate) mod sides;
    pub(crate) mod signals;
    pub(crate) mod user;
}

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use crabd::lock::DirectoryLock;
use crabd::logging;
use crabd::membership;
use crabd::settings::{Args, Settings};
use crabd::sides::Sides;
use crabd::signals::{Heard, Signals};
use crabd::user;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long work on disks and other machines may go on when all else has ended: what is not done by then is as if the daemon had
/// been killed, and the next one does it again.
const LEFT_WORK_TIMEOUT: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    if let Some(directory) = actors::process::host::asked_for(std::env::args_os()) {
        return ended(actors::process::host::main(&directory).map_err(Into::into));
    }
    actors::memory::give_back_by(crabd::memory::give_back);
    let args = Args::parse();
    // Before there are threads.
    if let Err(error) = args.user().and_then(|name| user::settle(name.as_deref(), args.data_dir.as_deref())) {
        return ended(Err(error));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    ended(runtime.context("starting the runtime").and_then(|runtime| {
        let outcome = runtime.block_on(run(&args));
        runtime.shutdown_timeout(LEFT_WORK_TIMEOUT);
        outcome
    }))
}

#[expect(clippy::print_stderr, reason = "the last words of a daemon that could not start")]
fn ended(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crabd: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error with its causes, each said once: many say their cause themselves.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| match cause.to_string() {
        cause if told.is_empty() => cause,
        cause if told.ends_with(&cause) => told,
        cause => format!("{told}: {cause}"),
    })
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let mut settings = Settings::gather(args)?;
    logging::begin(&settings.config.log, &settings.data_dir)?;
    if settings.capacity.is_some() {
        user::tell_of_root(args.user()?.as_deref());
    }
    let mut signals = Signals::listen().context("listening for signals")?;
    let _lock = DirectoryLock::take(&settings.data_dir)?;
    let own = membership::settle(&mut settings).await?;
    let mut sides = Sides::start(&settings, own.clone()).await?;
    let data = settings.data_dir.clone();
    let _renewing = own.map(|own| AbortOnDrop(tokio::spawn(actors::trust::keep_good(data, own))));
    tracing::info!(name = settings.name, data = %settings.data_dir.display(), "ready");
    notify(&[sd_notify::NotifyState::Ready]);
    let outcome = serve(args, &settings, &mut signals, &mut sides).await;
    notify(&[sd_notify::NotifyState::Stopping]);
    sides.stop().await;
    tracing::info!("stopped");
    outcome
}

/// A task that ends with what it is for.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs until a signal says to stop, or a side ends by itself, which is an error.
async fn serve(
    args: &Args,
    settings: &Settings,
    signals: &mut Signals,
    sides: &mut Sides,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            heard = signals.next() => match heard {
                Heard::Stop => return Ok(()),
                Heard::Reload => reload(args.config.as_deref(), settings, sides),
            },
            ending = sides.ended() => anyhow::bail!("{ending}"),
        }
    }
}

/// Takes over what can change while running, and says what cannot.
fn reload(config: Option<&Path>, settings: &Settings, sides: &Sides) {
    let Some(path) = config else {
        return tracing::warn!("nothing to reload: started without --config");
    };
    match actors::config::Config::read(path) {
        Ok(config) => sides.reload(settings, &config),
        Err(error) => tracing::error!(%error, "not reloaded, the settings stay as they are"),
    }
}

/// Tells a service manager that asks for it; nobody may be there.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
