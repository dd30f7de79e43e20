//! Signals: the first to stop begins an orderly end, the second is the end; SIGHUP has read again
//! what can be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::systemd;
use crate::Failed;

/// Waits for the signal to stop.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    is_told: Arc<AtomicBool>,
}

impl Stop {
    /// Heeds SIGTERM and SIGINT from now on.
    pub(crate) fn heeded() -> Result<Stop, Failed> {
        let is_told = Arc::new(AtomicBool::new(false));
        for number in [SIGTERM, SIGINT] {
            // Within the signal handler itself, so it works whatever the server hangs on. What is
            // acknowledged is in the store; the next start finds that it was not closed.
            register_conditional_shutdown(number, 128 + number, Arc::clone(&is_told))?;
        }
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Stop { terminate, interrupt, is_told })
    }

    /// Done once the process is told to stop. From then on the same again ends it at once.
    pub(crate) async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("told to stop by SIGTERM"),
            _ = self.interrupt.recv() => tracing::info!("told to stop by SIGINT"),
        }
        self.is_told.store(true, Ordering::SeqCst);
    }
}

/// What is read again on SIGHUP: each by its name. An error leaves in use what was read before.
#[derive(Default)]
pub(crate) struct Reload(Vec<(&'static str, Box<Again>)>);

type Again = dyn Fn() -> Result<(), String> + Send + Sync;

impl Reload {
    /// Has this read again as well.
    pub(crate) fn on(
        &mut self,
        name: &'static str,
        again: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.0.push((name, Box::new(again)));
    }

    /// Reads again whenever the process is sent SIGHUP. Without anything to read it is no reason to
    /// stop either: a terminal that is closed sends it, too.
    pub(crate) fn on_hangup(self) -> Result<JoinHandle<()>, Failed> {
        let mut hangup = signal(SignalKind::hangup())?;
        let all = Arc::new(self.0);
        Ok(tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                systemd::reloading();
                let all = Arc::clone(&all);
                let reloaded = tokio::task::spawn_blocking(move || {
                    for (name, again) in all.iter() {
                        match again() {
                            Ok(()) => tracing::info!("read again: {name}"),
                            Err(error) => tracing::error!(
                                "{name}: what was read before stays in use: {error}"
                            ),
                        }
                    }
                });
                if let Err(error) = reloaded.await {
                    tracing::error!("reading again ended in a fault: {error}");
                }
                systemd::ready();
            }
        }))
    }
}
