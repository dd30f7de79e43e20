//! Many schedules of one small program, and the world it runs in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use interleaved::store::{Batch, CommitError, Record, Space, Visit};
use interleaved::{
    Clock, Durability, JobId, MemoryStore, NewJob, Options, Query, Result, State, Store, Timestamp,
    Tracker,
};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use uuid::Uuid;

/// How many schedules each test tries, if it is set.
const SCHEDULES: &str = "JOBTRACK_SCHEDULES";
/// What the schedules are drawn from, if it is set.
const SEED: &str = "JOBTRACK_SEED";

/// Several times what catches what was broken on purpose; some seconds.
const SCHEDULES_UNLESS_TOLD: usize = 2_000;
/// Most places at which the second kind of schedule takes the turn from whoever has it.
const DEPTH: usize = 3;

/// Runs the program under many schedules: one half draws every turn by lot, the other gives the
/// threads ranks that change at a few places, which finds what needs a few turns in a rare order.
pub(crate) fn under_many_schedules(program: impl Fn() + Send + Sync + Copy + 'static) {
    let schedules = usize::try_from(number(SCHEDULES, SCHEDULES_UNLESS_TOLD as u64)).unwrap();
    let seed = number(SEED, 1);
    // Shown with the test's failure: the same numbers make the same schedules.
    println!("{SCHEDULES}={schedules} {SEED}={seed}");
    let half = schedules.div_ceil(2);
    run(RandomScheduler::new_from_seed(seed, half), program);
    run(PctScheduler::new_from_seed(seed, DEPTH, half), program);
}

fn run(scheduler: impl Scheduler + 'static, program: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // Unoptimised, the parser and the codec need more than shuttle's 32 KiB.
    config.stack_size = 512 * 1024;
    Runner::new(scheduler, config).run(program);
}

fn number(name: &str, unless_told: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")),
        Err(_) => unless_told,
    }
}

/// A clock that moves only when it is told to, and whose ids are the same in every run. It takes no
/// lock, and so no turn.
#[derive(Clone)]
pub(crate) struct StandingClock(Arc<(AtomicI64, AtomicU64)>);

impl StandingClock {
    pub(crate) fn new() -> Self {
        StandingClock(Arc::new((AtomicI64::new(0), AtomicU64::new(0))))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.0.fetch_add(seconds, Ordering::SeqCst);
    }

    fn seconds(&self) -> i64 {
        self.0.0.load(Ordering::SeqCst)
    }
}

impl Clock for StandingClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1_772_359_200_000_000 + self.seconds() * 1_000_000).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.seconds().unsigned_abs())
    }

    fn new_id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.1.fetch_add(1, Ordering::SeqCst)) + 1_000)
    }
}

/// A job's id that is easy to read.
pub(crate) fn id_of(n: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(n))
}

/// A new job of this id.
pub(crate) fn new(n: u128) -> NewJob {
    NewJob { uuid: Some(id_of(n)), ..NewJob::default() }
}

/// A store that gives everyone else a turn in the middle of a commit, as a disk does, and holds the
/// tracker to one commit at a time.
#[derive(Default)]
pub(crate) struct BusyStore {
    inner: MemoryStore,
    is_busy: shuttle::sync::atomic::AtomicBool,
    commits: AtomicU64,
}

impl BusyStore {
    /// How many commits it has taken.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }
}

impl Store for BusyStore {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.inner.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.inner.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        const SEQ: Ordering = Ordering::SeqCst;
        assert!(!self.is_busy.swap(true, SEQ), "two commits at a time");
        shuttle::thread::yield_now();
        let outcome = self.inner.commit(batch, durability);
        self.commits.fetch_add(1, SEQ);
        self.is_busy.store(false, SEQ);
        outcome
    }
}

/// A tracker on a new store.
pub(crate) fn tracker() -> Tracker {
    opened(Arc::default(), &StandingClock::new())
}

/// A tracker on this store, with this clock.
pub(crate) fn opened(store: Arc<BusyStore>, clock: &StandingClock) -> Tracker {
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    Tracker::open(store, options).unwrap()
}

/// The jobs that are in the store, as a tracker finds them that opens it anew.
pub(crate) fn stored(store: Arc<BusyStore>, clock: &StandingClock) -> Vec<(u128, State)> {
    let page = opened(store, clock).query(&Query::default()).unwrap();
    page.jobs.iter().map(|job| (job.uuid.as_uuid().as_u128(), job.state())).collect()
}
