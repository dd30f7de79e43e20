//! What systemd is told, where it started the server (`Type=notify`), and elsewhere nobody.

use std::time::Duration;

use jobtrack_http::Monitor;
use sd_notify::{NotifyState, notify, watchdog_enabled};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

/// The store is being opened, which may take its time: until this is dropped, systemd is asked for
/// more of it.
pub(crate) fn opening() -> Patience {
    tell(&[NotifyState::Status("opening the store")]);
    Patience(tokio::spawn(async {
        let mut turns = interval(TURN);
        loop {
            turns.tick().await;
            let micros = u32::try_from((TURN * 3).as_micros()).unwrap_or(u32::MAX);
            tell(&[NotifyState::ExtendTimeoutUsec(micros)]);
        }
    }))
}

/// How often more time is asked for.
const TURN: Duration = Duration::from_secs(10);

/// Asks for more time until it is dropped.
pub(crate) struct Patience(JoinHandle<()>);

impl Drop for Patience {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Requests are served.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// What can be read again is being read again; [`ready`] follows.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("systemd was not told of the reload: {error}"),
    }
}

/// The server is about to stop. `time` is how long that may take.
pub(crate) fn stopping(time: Duration) {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    let status = NotifyState::Status("finishing the requests in progress");
    tell(&[NotifyState::Stopping, status, NotifyState::ExtendTimeoutUsec(micros)]);
}

/// Tells systemd, as often as it asks to be told, that the server still answers: as long as the
/// event loop turns and the tracker can be read. A commit that takes long is no reason to be
/// restarted, which would only make it begin anew.
pub(crate) fn keep_alive(monitor: Monitor) -> Option<JoinHandle<()>> {
    let limit = watchdog_enabled()?;
    let turn = limit / 3;
    Some(tokio::spawn(async move {
        let mut turns = interval(turn.max(Duration::from_millis(1)));
        loop {
            turns.tick().await;
            let monitor = monitor.clone();
            let asked = tokio::task::spawn_blocking(move || monitor.probe());
            match timeout(turn, asked).await {
                Ok(Ok(())) => tell(&[NotifyState::Watchdog]),
                Ok(Err(error)) => tracing::error!("the tracker could not be asked: {error}"),
                Err(_) => tracing::error!("the tracker has not answered for {turn:?}"),
            }
        }
    }))
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = notify(states) {
        tracing::debug!("systemd was not told: {error}");
    }
}
