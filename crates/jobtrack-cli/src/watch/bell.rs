//! Rings when something has changed, so that a quiet server is not asked again and again.
//!
//! It listens for the first event only and then hangs up until it is wound again: a busy server sends
//! one event for each look at it, and not all that happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};

use super::events::Events;
use crate::target::{Target, query};

pub(super) struct Bell {
    has_rung: Arc<AtomicBool>,
    /// Takes the revision after which to listen; None where nobody would answer.
    wind: Option<Sender<String>>,
}

impl Bell {
    /// A bell at this server. At a store there is none, and it has always rung.
    pub(super) fn hang(target: &Arc<Target>) -> Bell {
        let has_rung = Arc::new(AtomicBool::new(true));
        let Target::Server(_) = **target else { return Bell { has_rung, wind: None } };
        let (wind, wound) = channel::<String>();
        let (target, rings) = (Arc::clone(target), Arc::clone(&has_rung));
        std::thread::spawn(move || {
            while let Ok(revision) = wound.recv() {
                let query = query([("after", revision.as_str()), ("fields", "uuid")]);
                // Where it cannot listen (an older server, or too many who watch), it rings.
                if let Ok(body) = target.events(&query) {
                    let _ = Events::new(body).next();
                }
                rings.store(true, Ordering::Release);
            }
        });
        Bell { has_rung, wind: Some(wind) }
    }

    /// Whether something has changed since it was wound.
    pub(super) fn has_rung(&self) -> bool {
        self.has_rung.load(Ordering::Acquire)
    }

    /// Listens anew for what comes after this revision. Only after it has rung.
    pub(super) fn wind(&self, revision: &str) {
        if let Some(wind) = &self.wind {
            self.has_rung.store(false, Ordering::Release);
            let _ = wind.send(revision.to_owned());
        }
    }
}
