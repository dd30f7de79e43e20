//! Handing jobs over to the archive before they go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Inner, Tracker};
use crate::archive::Archive;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Job;
use crate::timestamp::Timestamp;

/// Between two times that the archive is asked, unless somebody needs it: each time takes as long as
/// a commit.
const PAUSE: Duration = Duration::from_secs(1);

/// How the [archive](crate::Archive) of a tracker fares.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ArchiveStatus {
    /// Jobs that were handed over since the tracker was opened; those that were tried in vain do not
    /// count.
    pub archived: u64,
    /// Expired jobs, hidden from every answer, that wait to be handed over.
    pub waiting: u64,
    /// Why nothing is removed, and since when, in engine time; None while all is well.
    pub failing: Option<(Timestamp, Error)>,
}

/// What may be removed within a commit.
#[derive(Debug, Clone)]
pub(super) enum Removals {
    /// Whatever is due or asked for.
    All,
    /// What is asked for: what is due can wait.
    Asked,
    /// Nothing, since the archive fails.
    None(Error),
}

/// The archive, and what came of it so far.
#[derive(Default)]
pub(super) struct Archiving {
    sink: Option<Arc<dyn Archive>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    archived: u64,
    /// When it was last asked, in monotonic time.
    asked: Option<Duration>,
    failing: Option<(Timestamp, Error)>,
}

impl fmt::Debug for Archiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archiving").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Archiving {
    pub(super) fn new(sink: Option<Arc<dyn Archive>>) -> Self {
        Archiving { sink, state: Mutex::default() }
    }

    /// What may be removed within a commit that begins now, and whether that is what it is for.
    pub(super) fn removals(&self, now: Duration, is_upkeep: bool) -> Removals {
        if self.sink.is_none() {
            return Removals::All;
        }
        let state = self.state.lock();
        let is_soon = state.asked.is_some_and(|asked| now.saturating_sub(asked) < PAUSE);
        match &state.failing {
            Some((_, error)) if is_soon => Removals::None(error.clone()),
            None if is_soon && !is_upkeep => Removals::Asked,
            _ => Removals::All,
        }
    }

    /// Hands these jobs over.
    pub(super) fn take(&self, jobs: &[Arc<Job>], now: Duration, engine: Timestamp) -> Result<()> {
        let Some(sink) = self.sink.as_ref().filter(|_| !jobs.is_empty()) else { return Ok(()) };
        let outcome = sink.take(jobs);
        let mut state = self.state.lock();
        state.asked = Some(now);
        match outcome {
            Ok(()) => {
                state.archived += jobs.len() as u64;
                state.failing = None;
                Ok(())
            }
            Err(error) => {
                let error = Error::new(
                    ErrorKind::StoreFailed,
                    format!("nothing is removed while the archive fails: {error}"),
                )
                .with_field("archive");
                let since = state.failing.as_ref().map_or(engine, |(since, _)| *since);
                state.failing = Some((since, error.clone()));
                Err(error)
            }
        }
    }

    pub(super) fn is_failing(&self) -> bool {
        self.state.lock().failing.is_some()
    }
}

impl Tracker {
    /// How the archive fares; None if there is none.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn archive_status(&self) -> Result<Option<ArchiveStatus>> {
        self.0.archive_status()
    }
}

impl Inner {
    fn archive_status(&self) -> Result<Option<ArchiveStatus>> {
        if self.archiving.sink.is_none() {
            return Ok(None);
        }
        let (all, shown) = self.read(|table, horizon| (table.len(), table.counts(horizon)))?;
        let state = self.archiving.state.lock();
        Ok(Some(ArchiveStatus {
            archived: state.archived,
            waiting: (all as u64).saturating_sub(shown.total()),
            failing: state.failing.clone(),
        }))
    }
}
