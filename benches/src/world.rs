//! A tracker full of generated jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jobtrack::store::{Batch, CommitError, Record, Space, Visit, Write};
use jobtrack::{
    Clock, Command, Durability, JobParts, NoStore, Options, Result, Store, SystemClock, Timestamp,
    Tracker,
};
use uuid::Uuid;

use crate::generator::{Jobs, WINDOW_END};

/// How many commands are handed over at a time.
const IMPORT_BATCH: usize = 1_000;

/// A clock that runs as the machine's does, but from the end of the generated jobs' window, so that
/// the same jobs are equally old on every day; and that can be moved forward, so that expiry can be
/// measured without waiting for it, or held still, so that two sides stamp the same times.
#[derive(Debug, Default)]
pub struct BenchClock {
    clock: SystemClock,
    ahead_micros: AtomicU64,
    /// Where it is held, on the machine's clock; 0 while it runs.
    held_nanos: AtomicU64,
}

impl Clock for BenchClock {
    fn wall(&self) -> Timestamp {
        WINDOW_END.saturating_add(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        let ahead = Duration::from_micros(self.ahead_micros.load(Ordering::Relaxed));
        match self.held_nanos.load(Ordering::Relaxed) {
            0 => self.clock.monotonic() + ahead,
            held => Duration::from_nanos(held) + ahead,
        }
    }

    fn new_id(&self) -> Uuid {
        self.clock.new_id()
    }
}

impl BenchClock {
    /// The options of a tracker that goes by such a clock.
    pub fn options() -> Options {
        Options { clock: Arc::new(BenchClock::default()), ..Options::default() }
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.ahead_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Holds it where it is, until it is moved forward or [released](BenchClock::release).
    pub fn hold(&self) {
        let nanos = u64::try_from(self.clock.monotonic().as_nanos()).unwrap_or(u64::MAX);
        self.held_nanos.store(nanos, Ordering::Relaxed);
    }

    /// Lets it run again. The time for which it was held has passed then.
    pub fn release(&self) {
        self.held_nanos.store(0, Ordering::Relaxed);
    }
}

/// A store that counts what another one is given. It is given records, also if the other keeps none.
#[derive(Debug)]
pub struct MeteredStore<S> {
    inner: S,
    meter: Arc<Meter>,
}

/// What went through a [`MeteredStore`].
#[derive(Debug, Default)]
pub struct Meter {
    commits: AtomicU64,
    bytes: AtomicU64,
}

impl<S: Store> MeteredStore<S> {
    /// The store with a meter in front of it, and the meter.
    pub fn new(inner: S) -> (Self, Arc<Meter>) {
        let meter = Arc::new(Meter::default());
        (MeteredStore { inner, meter: Arc::clone(&meter) }, meter)
    }
}

impl Meter {
    /// Commits so far.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Bytes of all keys and values written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl<S: Store> Store for MeteredStore<S> {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.inner.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.inner.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        let bytes = |write: &Write| write.key.len() + write.value.as_ref().map_or(0, Vec::len);
        let written: usize = batch.writes.iter().map(bytes).sum();
        self.meter.bytes.fetch_add(written as u64, Ordering::Relaxed);
        self.meter.commits.fetch_add(1, Ordering::Relaxed);
        self.inner.commit(batch, durability)
    }
}

/// Imports all the jobs, and calls `progress` with the number of each batch that is done.
///
/// # Panics
///
/// If the tracker refuses a job: the generated ones are legal, so something is wrong.
pub fn import(
    tracker: &Tracker,
    jobs: impl Iterator<Item = JobParts>,
    mut progress: impl FnMut(usize),
) {
    let mut jobs = jobs.peekable();
    while jobs.peek().is_some() {
        let commands: Vec<Command> = jobs
            .by_ref()
            .take(IMPORT_BATCH)
            .map(|job| Command::import(job).durability(Durability::Deferred))
            .collect();
        let count = commands.len();
        for imported in tracker.run_all(commands) {
            imported.expect("a generated job is legal");
        }
        progress(count);
    }
}

/// A tracker that holds so many jobs of this seed, and the jobs.
pub fn tracker_with(seed: u64, count: usize) -> (Tracker, Vec<JobParts>) {
    let jobs: Vec<JobParts> = Jobs::new(seed, count).collect();
    (tracker_of(jobs.iter().cloned()), jobs)
}

/// A tracker above a store that keeps nothing, with these jobs.
///
/// # Panics
///
/// If the tracker refuses a job.
pub fn tracker_of(jobs: impl Iterator<Item = JobParts>) -> Tracker {
    let tracker = Tracker::open(NoStore::default(), BenchClock::options());
    let tracker = tracker.expect("a new store opens");
    import(&tracker, jobs, |_| ());
    tracker
}
