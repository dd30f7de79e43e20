//! Nothing leaves a store that the archive did not get.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jobtrack::{
    Archive, Command, Error, ErrorKind, Job, JobId, Limits, MemoryStore, NewJob, Options, Result,
    Store, Success, TombstoneOptions, Tracker,
};
use jobtrack_testkit::{CrashStore, Fault, FaultyStore, ManualClock};

/// An archive that fails when it is told to.
#[derive(Default)]
struct Shelf {
    jobs: Mutex<Vec<Arc<Job>>>,
    fails: AtomicBool,
    asked: AtomicUsize,
}

impl Archive for Shelf {
    fn take(&self, jobs: &[Arc<Job>]) -> Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.fails.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::StoreFull, "the shelf is full"));
        }
        self.jobs.lock().unwrap().extend_from_slice(jobs);
        Ok(())
    }
}

impl Shelf {
    fn ids(&self) -> Vec<JobId> {
        self.jobs.lock().unwrap().iter().map(|job| job.uuid).collect()
    }
}

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn options(clock: &ManualClock, shelf: &Arc<Shelf>) -> Options {
    let archive: Arc<dyn Archive> = Arc::clone(shelf) as _;
    Options { clock: Arc::new(clock.clone()), archive: Some(archive), ..Options::default() }
}

fn open(store: impl Store + 'static, clock: &ManualClock, shelf: &Arc<Shelf>) -> Tracker {
    Tracker::open(store, options(clock, shelf)).unwrap()
}

fn finished(tracker: &Tracker) -> Arc<Job> {
    let job = tracker.create(NewJob::default()).unwrap();
    tracker.start(job.uuid).unwrap();
    tracker.succeed(job.uuid, Success::default()).unwrap()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn what_expires_is_deleted_or_evicted_is_archived_as_it_last_stood() {
    let (clock, shelf) = (clock(), Arc::default());
    let limits = Limits { jobs: 3, ..Limits::default() };
    let options = Options { limits, evict: true, ..options(&clock, &shelf) };
    let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
    let deleted = finished(&tracker);
    let deleted_at = tracker.delete(deleted.uuid).unwrap();
    let evicted = [finished(&tracker), finished(&tracker)];
    tracker.create(NewJob::default()).unwrap();
    tracker.create(NewJob::default()).unwrap();
    let expired = finished_later(&tracker, &clock, evicted[1].uuid);
    clock.advance(seconds(300));
    assert_eq!(tracker.maintain(10).unwrap().expired, 1);
    let archived = shelf.jobs.lock().unwrap().clone();
    assert_eq!(archived, [deleted_at, Arc::clone(&evicted[0]), expired]);
    let status = tracker.archive_status().unwrap().unwrap();
    assert_eq!((status.archived, status.waiting), (3, 0));
    assert!(status.failing.is_none());
}

/// The job with another stay, so that it is another than it was.
fn finished_later(tracker: &Tracker, clock: &ManualClock, id: JobId) -> Arc<Job> {
    clock.advance(seconds(1));
    tracker.extend(id, seconds(301)).unwrap()
}

#[test]
fn a_failing_archive_holds_back_removals_and_nothing_else() {
    let (clock, shelf) = (clock(), Arc::<Shelf>::default());
    let tracker = open(MemoryStore::new(), &clock, &shelf);
    let (expiring, kept) = (finished(&tracker), tracker.create(NewJob::default()).unwrap());
    shelf.fails.store(true, Ordering::Relaxed);
    clock.advance(seconds(300));
    let since = tracker.now();
    let maintained = tracker.maintain(10).unwrap();
    assert_eq!((maintained.expired, maintained.more), (0, false));
    // It is hidden all the same, and every change goes on.
    assert_eq!(tracker.get(expiring.uuid).unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(tracker.counts().unwrap().total(), 1);
    tracker.start(kept.uuid).unwrap();
    tracker.succeed(kept.uuid, Success::default()).unwrap();
    let error = tracker.delete(kept.uuid).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::StoreFailed, Some("archive")));
    assert_eq!(error.message(), "nothing is removed while the archive fails: the shelf is full");
    let status = tracker.archive_status().unwrap().unwrap();
    assert_eq!((status.archived, status.waiting), (0, 1));
    assert_eq!(status.failing.map(|(at, _)| at), Some(since));

    // It is not asked again and again.
    let asked = shelf.asked.load(Ordering::Relaxed);
    for _ in 0..10 {
        finished(&tracker);
    }
    assert_eq!(shelf.asked.load(Ordering::Relaxed), asked);
    shelf.fails.store(false, Ordering::Relaxed);
    clock.advance(seconds(1));
    assert_eq!(tracker.maintain(10).unwrap().expired, 1);
    tracker.delete(kept.uuid).unwrap();
    assert_eq!(shelf.ids(), [expiring.uuid, kept.uuid]);
    let status = tracker.archive_status().unwrap().unwrap();
    assert_eq!((status.archived, status.waiting), (2, 0));
    assert!(status.failing.is_none());
}

#[test]
fn a_failing_archive_lets_nothing_be_evicted_nor_the_place_of_an_expired_job_be_taken() {
    let (clock, shelf) = (clock(), Arc::<Shelf>::default());
    let limits = Limits { jobs: 2, ..Limits::default() };
    let tombstones = TombstoneOptions { keep: Duration::ZERO, ..TombstoneOptions::default() };
    let options = Options { limits, evict: true, tombstones, ..options(&clock, &shelf) };
    let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
    let (first, second) = (finished(&tracker), finished(&tracker));
    shelf.fails.store(true, Ordering::Relaxed);
    let error = tracker.create(NewJob::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.message().ends_with("the shelf is full"), "{error}");
    assert!(tracker.get(first.uuid).is_ok() && tracker.get(second.uuid).is_ok());
    clock.advance(seconds(300));
    let again = || NewJob { uuid: Some(first.uuid), ..NewJob::default() };
    let error = tracker.create(again()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreFailed, "{error}");
    shelf.fails.store(false, Ordering::Relaxed);
    clock.advance(seconds(1));
    tracker.create(again()).unwrap();
    assert!(shelf.ids().contains(&first.uuid));
}

#[test]
fn after_a_crash_between_archive_and_commit_a_job_is_there_twice_and_never_not_at_all() {
    let (clock, shelf) = (clock(), Arc::<Shelf>::default());
    let store = Arc::new(CrashStore::new());
    let faulty = Arc::new(FaultyStore::new(Arc::clone(&store)));
    let tracker = open(Arc::clone(&faulty), &clock, &shelf);
    let job = finished(&tracker);
    faulty.fail_commit(1, Fault::Failed(ErrorKind::StoreFailed));
    assert_eq!(tracker.delete(job.uuid).unwrap_err().kind(), ErrorKind::StoreFailed);
    assert!(tracker.get(job.uuid).is_ok());
    assert_eq!(shelf.ids(), [job.uuid]);
    clock.restart();
    let tracker = open(Arc::new(store.crash(0)), &clock, &shelf);
    tracker.run(Command::delete(job.uuid)).unwrap();
    assert_eq!(shelf.ids(), [job.uuid, job.uuid]);
}

#[test]
fn changes_do_not_pay_for_the_archive_with_each_commit() {
    let (clock, shelf) = (clock(), Arc::<Shelf>::default());
    let tracker = open(MemoryStore::new(), &clock, &shelf);
    let none = || NewJob { retention: Some(Duration::ZERO), ..NewJob::default() };
    for _ in 0..100 {
        let id = tracker.create(none()).unwrap().uuid;
        tracker.start(id).unwrap();
        tracker.succeed(id, Success::default()).unwrap();
        clock.advance(Duration::from_millis(50));
    }
    // Five seconds of it.
    let asked = shelf.asked.load(Ordering::Relaxed);
    assert!((4..=6).contains(&asked), "{asked}");
    while tracker.maintain(100).unwrap().more {}
    assert_eq!(shelf.ids().len(), 100);
}
