//! What stands between the server and the world: its certificate, and its users.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jobtrack_http::{Tls, Users};
use tokio::task::JoinHandle;

use super::signals::Reload;
use crate::Failed;
use crate::tls::now;

/// How often the files of certificates are looked at; that of the users is when somebody asks.
const LOOK: Duration = Duration::from_secs(1);

/// What stands between the server and the world.
#[derive(Clone)]
pub(super) struct Guards {
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) users: Option<Arc<Users>>,
}

impl Guards {
    /// Certificate and users are read again on SIGHUP.
    pub(super) fn read_again(&self, reload: &mut Reload) {
        if let Some(tls) = self.tls.clone() {
            reload.on("certificate", move || tls.reload(now()).map_err(|error| error.to_string()));
        }
        if let Some(users) = self.users.clone() {
            reload.on("users", move || users.reload().map_err(|error| error.to_string()));
        }
    }

    /// Certificates are read again when their files change, too.
    pub(super) fn look(&self) -> Option<JoinHandle<()>> {
        let tls = self.tls.clone()?;
        let mut turns = tokio::time::interval(LOOK);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Some(tokio::spawn(async move {
            loop {
                turns.tick().await;
                let tls = Arc::clone(&tls);
                let looked = tokio::task::spawn_blocking(move || tls.reload_if_changed(now()));
                match looked.await {
                    Ok(Ok(false)) => {}
                    Ok(Ok(true)) => tracing::info!("read again: certificate"),
                    Ok(Err(error)) => {
                        tracing::error!("certificate: what was read before stays in use: {error}");
                    }
                    Err(error) => tracing::error!("reading again ended in a fault: {error}"),
                }
            }
        }))
    }
}

/// The users in this file, who must be some.
pub(super) fn open_users(path: &PathBuf) -> Result<Arc<Users>, Failed> {
    let users = Users::open(path)?;
    if users.names().is_empty() {
        return Err(Failed::because(format!(
            "{path}: it names no user, so nobody could use the server; add one: jobtrack user add \
             NAME --users {path}",
            path = path.display()
        )));
    }
    Ok(Arc::new(users))
}
