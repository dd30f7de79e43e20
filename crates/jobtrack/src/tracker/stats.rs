//! What a tracker has done since it was opened, and where it stands: kept up and read, never counted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Inner, Maintained, Tracker};
use crate::error::{Error, ErrorKind};
use crate::field::Names;
use crate::job::{Revision, State};
use crate::query::{Budget, Expr, Order, Query};
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

/// How many rows looking for one job may read.
const BRIEF_ROWS: u64 = 16_384;

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

impl Tracker {
    /// How long ago the oldest job was created that is still queued: whether anybody takes them up.
    /// Zero if none is queued, and None where finding it takes more than a look at 16,384 rows. As
    /// [`stats`](Tracker::stats), it asks the store nothing.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use jobtrack::{MemoryStore, NewJob, Options, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// assert_eq!(tracker.oldest_queued(), Some(Duration::ZERO));
    /// let job = tracker.create(NewJob::described("Backup of vol1"))?;
    /// std::thread::sleep(Duration::from_millis(5));
    /// assert!(tracker.oldest_queued() >= Some(Duration::from_millis(5)));
    /// tracker.start(job.uuid)?;
    /// assert_eq!(tracker.oldest_queued(), Some(Duration::ZERO));
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    pub fn oldest_queued(&self) -> Option<Duration> {
        let now = self.0.time.now();
        let filter = Expr::parse("state", State::Queued.as_str(), Names::Native).ok()?;
        let order = Order::parse("create_time", Names::Native).ok()?;
        let budget = Budget { rows: Some(BRIEF_ROWS), ..Budget::default() };
        let first = Query { order, budget, max_records: Some(1), ..Query::matching(filter) };
        // Queued jobs do not expire, so it makes no difference what the store knows of the time.
        let snapshot = self.0.view.read().table.snapshot(now);
        let page = self.0.run(&snapshot, |run| run.page(&first)).ok()?;
        match page.jobs.first() {
            Some(job) => Some(now.saturating_since(job.create_time)),
            // A walk that was cut short may have found nothing yet.
            None => page.next.is_none().then_some(Duration::ZERO),
        }
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
