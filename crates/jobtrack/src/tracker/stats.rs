//! What a tracker has done since it was opened, and where it stands: kept up and read, never counted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Inner, Maintained, Tracker};
use crate::error::{Error, ErrorKind};
use crate::job::Revision;
use crate::table::Counts;

/// What [`Tracker::stats`] tells: counts since the tracker was opened, and where it stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stats {
    /// The revision of the latest commit.
    pub revision: Revision,
    /// Jobs by kind and state.
    pub counts: Counts,
    /// Commits that were stored.
    pub commits: u64,
    /// Changes of jobs in them, those by the engine itself included.
    pub changes: u64,
    /// Commits that failed, or whose outcome is not known.
    pub store_errors: u64,
    /// Commits that swept something.
    pub sweeps: u64,
    /// Expired jobs that were swept.
    pub expired: u64,
    /// Jobs whose lease or deadline had run out.
    pub lapsed: u64,
    /// Expired jobs that wait to be swept; no answer shows them.
    pub due: u64,
    /// For how long the first of them has waited.
    pub sweep_lag: Duration,
    /// How far the stored horizon is behind engine time. It moves when something is written, or
    /// hidden as expired.
    pub horizon_lag: Duration,
    /// Tombstones that are kept.
    pub tombstones: usize,
    /// Commands that wait to be decided.
    pub queued: usize,
    /// Watches that are open.
    pub watches: usize,
    /// Bytes of memory that the jobs take, as [`Tracker::memory`] has it.
    pub memory: usize,
    /// Why no change is taken until the store is opened again, if that is so.
    pub trouble: Option<Error>,
}

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    changes: AtomicU64,
    store_errors: AtomicU64,
    sweeps: AtomicU64,
    expired: AtomicU64,
    lapsed: AtomicU64,
    pub(super) watches: AtomicUsize,
    trouble: Mutex<Option<Error>>,
}

impl Counters {
    pub(super) fn committed(&self, changes: usize, maintained: &Maintained) {
        add(&self.commits, 1);
        add(&self.changes, changes);
        add(&self.sweeps, usize::from(maintained.expired > 0));
        add(&self.expired, maintained.expired);
        add(&self.lapsed, maintained.lapsed);
    }

    pub(super) fn failed(&self, error: &Error) {
        add(&self.store_errors, 1);
        if matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Conflict) {
            self.stuck(error);
        }
    }

    /// Remembers why no change is taken any more; the first reason stays.
    pub(super) fn stuck(&self, error: &Error) {
        self.trouble.lock().get_or_insert_with(|| error.clone());
    }
}

fn add(counter: &AtomicU64, more: usize) {
    // Counters stand for themselves, so no order between them is promised.
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

impl Tracker {
    /// What it has done since it was opened, and where it stands. Costs microseconds (with each kind
    /// of job a fraction of one), asks the store nothing and waits for no commit; after
    /// [`close`](Tracker::close) it tells how it ended.
    ///
    /// ```
    /// use jobtrack::{MemoryStore, NewJob, Options, State, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// let job = tracker.create(NewJob::described("Backup of vol1"))?;
    /// tracker.start(job.uuid)?;
    /// let stats = tracker.stats();
    /// assert_eq!((stats.commits, stats.changes), (2, 2));
    /// assert_eq!(stats.counts.of_state(State::Running), 1);
    /// assert!(stats.trouble.is_none());
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }

    /// Why no change is taken until the store is opened again, if that is so: the outcome of a
    /// commit is not known, or another tracker has opened the store. Reads go on.
    pub fn trouble(&self) -> Option<Error> {
        self.0.counters.trouble.lock().clone()
    }
}

impl Inner {
    fn stats(&self) -> Stats {
        let view = self.view.read();
        let table = &view.table;
        let now = self.time.now();
        let counts = table.counts(now);
        let due = (table.len() as u64).saturating_sub(counts.total());
        let first_due = table.due(now).next().and_then(|due| due.expire_time());
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        Stats {
            revision: table.revision,
            due,
            sweep_lag: first_due.map_or(Duration::ZERO, |due| now.saturating_since(due)),
            horizon_lag: now.saturating_since(view.durable_horizon),
            tombstones: table.tombstones.len(),
            memory: table.bytes(),
            counts,
            commits: read(&counters.commits),
            changes: read(&counters.changes),
            store_errors: read(&counters.store_errors),
            sweeps: read(&counters.sweeps),
            expired: read(&counters.expired),
            lapsed: read(&counters.lapsed),
            queued: self.queue.len(),
            watches: counters.watches.load(Ordering::Relaxed),
            trouble: counters.trouble.lock().clone(),
        }
    }
}
