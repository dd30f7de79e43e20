//! No store at all.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Batch, CommitError, Durability, Record, Space, Store, Visit};
use crate::error::Result;

/// Takes every commit and keeps nothing, for jobs that need not outlive their tracker: what a tracker
/// does costs least with it, since nothing is made of a job that only a store would read.
///
/// The jobs themselves, their orders and what watchers are told are in memory as with any store. What a
/// tracker reads from its store is not there: a job's [log](crate::Tracker::log) is empty. Whoever opens
/// it again finds a new store.
/// [`MemoryStore`](super::MemoryStore) has that, too.
///
/// ```
/// use jobtrack::{NewJob, NoStore, Options, Tracker};
///
/// let tracker = Tracker::open(NoStore::default(), Options::default())?;
/// let job = tracker.create(NewJob::described("Backup of vol1"))?.uuid;
/// tracker.start(job)?;
/// assert_eq!(tracker.get(job)?.state().as_str(), "running");
/// assert!(tracker.log(job)?.entries.is_empty());
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct NoStore {
    commits: AtomicU64,
}

impl Store for NoStore {
    fn load(&self, _visit: &mut Visit<'_>) -> Result<u64> {
        self.commits.store(0, Ordering::Relaxed);
        Ok(0)
    }

    fn read(&self, _space: Space, _key: &[u8]) -> Result<Option<Record>> {
        Ok(None)
    }

    fn commit(&self, _batch: &Batch, _durability: Durability) -> Result<u64, CommitError> {
        Ok(self.commits.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn keeps_records(&self) -> bool {
        false
    }
}
