//! Opening a store of many jobs, on one thread and on several.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jobtrack::store::{Batch, CommitError, Record, Space, Visit, Write};
use jobtrack::{
    Command, Durability, ErrorKind, Limits, MemoryStore, NewJob, Opening, Options, Query, Result,
    Store, Success, Tracker,
};

/// More than one segment holds, so that there are several batches.
const JOBS: usize = 70_000;

/// A store that outlives its trackers.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<MemoryStore>);

impl Store for Kept {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.0.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.0.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        self.0.commit(batch, durability)
    }
}

impl Kept {
    /// With so many jobs, of which every fourth has ended.
    fn with_jobs(jobs: usize) -> Kept {
        let store = Kept::default();
        let tracker = Tracker::open(store.clone(), Options::default()).unwrap();
        let create = |n: usize| {
            let job =
                NewJob { kind: format!("kind{}", n % 7), ..NewJob::described(format!("Job {n}")) };
            Command::create(job).durability(Durability::Deferred)
        };
        let made = tracker.run_all((0..jobs).map(create));
        let ids = made.into_iter().map(|made| made.unwrap().job.uuid);
        for id in ids.step_by(4) {
            tracker.run(Command::start(id).durability(Durability::Deferred)).unwrap();
            let ended = Command::succeed(id, Success::default());
            tracker.run(ended.durability(Durability::Deferred)).unwrap();
        }
        tracker.close().unwrap();
        store
    }

    fn open(&self, opening: Opening) -> Result<Tracker> {
        Tracker::open(self.clone(), Options { opening, ..Options::default() })
    }
}

#[test]
fn more_threads_open_the_same_jobs() {
    let store = Kept::with_jobs(JOBS);
    let mut answers = Vec::new();
    for threads in [1, 2, 4] {
        let told = Arc::new(AtomicUsize::new(0));
        let teller = Arc::clone(&told);
        let progress = move |jobs| teller.store(jobs, Ordering::Relaxed);
        let tracker = store.open(Opening { threads, progress: Some(Arc::new(progress)) }).unwrap();
        assert_eq!(tracker.opened().jobs, JOBS);
        let told = told.load(Ordering::Relaxed);
        assert!((JOBS / 2..=JOBS).contains(&told), "{told}");
        let mut query = Query { max_records: Some(10_000), ..Query::default() };
        let mut jobs = Vec::new();
        loop {
            let page = tracker.query(&query).unwrap();
            jobs.extend(page.jobs);
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let counts = tracker.counts().unwrap();
        let kinds: Vec<_> = counts.kinds().map(str::to_owned).collect();
        answers.push((jobs, kinds, counts.total()));
        tracker.close().unwrap();
    }
    assert_eq!(answers[0].0.len(), JOBS);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[test]
fn what_is_damaged_is_named_on_any_number_of_threads() {
    let store = Kept::with_jobs(JOBS);
    let second = store.0.read(Space::Job, &2_u64.to_be_bytes()).unwrap().unwrap();
    let put = |key: u64, value: Vec<u8>| {
        let key = key.to_be_bytes().into();
        let writes = vec![Write { space: Space::Job, key, value: Some(value) }];
        let batch = Batch { id: uuid::Uuid::max(), expectations: vec![], writes };
        store.0.commit(&batch, Durability::Synced).unwrap();
    };
    for (key, value, found) in [
        (1_000_000, second.value, "a second record holds the job"),
        (3, vec![1, 2, 3], "record 0x0000000000000003 of space job"),
    ] {
        put(key, value);
        for threads in [1, 2, 4] {
            let opening = Opening { threads, ..Opening::default() };
            let error = store.open(opening).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreDamaged);
            assert!(error.to_string().contains(found), "{error}");
        }
        // So that the next one is found by itself.
        let key = key.to_be_bytes().into();
        let writes = vec![Write { space: Space::Job, key, value: None }];
        let batch = Batch { id: uuid::Uuid::max(), expectations: vec![], writes };
        store.0.commit(&batch, Durability::Synced).unwrap();
    }
}

#[test]
fn no_threads_and_too_many_are_refused() {
    for (threads, kind) in [(0, ErrorKind::InvalidValue), (257, ErrorKind::LimitExceeded)] {
        let opening = Opening { threads, ..Opening::default() };
        let error = Kept::default().open(opening).unwrap_err();
        assert_eq!((error.kind(), error.field()), (kind, Some("threads")));
    }
}

#[test]
fn new_jobs_are_refused_before_memory_is_used_up_and_others_go_on() {
    let limits = Limits { memory: 4 << 20, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let store = Kept::default();
    let tracker = Tracker::open(store.clone(), options.clone()).unwrap();
    let mut made = Vec::new();
    let error = loop {
        let job = NewJob::described(format!("{:0>900}", made.len()));
        match tracker.run(Command::create(job).durability(Durability::Deferred)) {
            Ok(applied) => made.push(applied.job.uuid),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("limits.memory")));
    assert!(made.len() > 1_000, "{}", made.len());
    assert!(tracker.memory() < 9 << 19, "{}", tracker.memory());
    for id in &made {
        tracker.run(Command::start(*id).durability(Durability::Deferred)).unwrap();
    }
    assert!(tracker.memory() < 9 << 19, "{}", tracker.memory());
    for id in &made {
        let ended = Command::succeed(*id, Success::default());
        tracker.run(ended.durability(Durability::Deferred)).unwrap();
        tracker.run(Command::delete(*id).durability(Durability::Deferred)).unwrap();
    }
    while tracker.maintain(1_000).unwrap().more {}
    tracker.create(NewJob::described("There is room again")).unwrap();
    tracker.close().unwrap();

    let small = Limits { memory: 100, ..Limits::default() };
    let error =
        Tracker::open(Kept::with_jobs(600), Options { limits: small, ..options }).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("limits.memory")));
}
