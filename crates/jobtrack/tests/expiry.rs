//! Exact expiry: at the very moment, whatever the clocks and restarts do.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jobtrack::{
    Clock, Command, Durability, ErrorKind, Failure, JobId, MemoryStore, NewJob, Options, Query,
    State, Store, Success, Timestamp, TombstoneOptions, Tracker,
};
use jobtrack_testkit::{CrashStore, ManualClock};

const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn options(clock: &ManualClock) -> Options {
    Options { clock: Arc::new(clock.clone()), ..Options::default() }
}

fn open(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    Tracker::open(store, options(clock)).unwrap()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn finished(tracker: &Tracker) -> JobId {
    let job = tracker.create(NewJob::default()).unwrap();
    tracker.start(job.uuid).unwrap();
    tracker.succeed(job.uuid, Success::default()).unwrap();
    job.uuid
}

fn running(tracker: &Tracker) -> JobId {
    let job = tracker.create(NewJob::default()).unwrap();
    tracker.start(job.uuid).unwrap();
    job.uuid
}

/// Whether each way of asking shows the job.
#[track_caller]
fn is_shown(tracker: &Tracker, id: JobId) -> bool {
    let by_get = match tracker.get(id) {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Gone | ErrorKind::NotFound), "{error}");
            false
        }
    };
    let listed = tracker.query(&Query::default()).unwrap().jobs;
    assert_eq!(listed.iter().any(|job| job.uuid == id), by_get);
    assert_eq!(tracker.count(&Query::default()).unwrap().count, listed.len() as u64);
    assert_eq!(tracker.counts().unwrap().total(), listed.len() as u64);
    by_get
}

fn back(clock: &ManualClock, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap();
    Timestamp::from_micros(clock.wall().as_micros() - micros).unwrap()
}

#[test]
fn a_job_is_gone_at_the_very_microsecond() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let id = finished(&tracker);
    clock.advance(seconds(300) - Duration::from_micros(1));
    assert!(is_shown(&tracker, id));
    clock.advance(Duration::from_micros(1));
    assert!(!is_shown(&tracker, id));
    let error = tracker.get(id).unwrap_err();
    assert_eq!(
        error.message(),
        "the job ended in success at 2026-03-01T10:00:00Z and expired at 2026-03-01T10:05:00Z"
    );
}

#[test]
fn retention_is_the_jobs_own_or_the_engines() {
    let clock = clock();
    let options = Options { retention: seconds(10), ..options(&clock) };
    let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
    let own = NewJob { retention: Some(seconds(20)), ..NewJob::default() };
    let own = tracker.create(own).unwrap().uuid;
    tracker.fail(own, Failure::default()).unwrap();
    let engines = finished(&tracker);
    let none = NewJob { retention: Some(Duration::ZERO), ..NewJob::default() };
    let none = tracker.create(none).unwrap().uuid;
    tracker.fail(none, Failure::default()).unwrap();
    assert!(!is_shown(&tracker, none));
    clock.advance(seconds(10));
    assert!(!is_shown(&tracker, engines) && is_shown(&tracker, own));
    clock.advance(seconds(10));
    assert!(!is_shown(&tracker, own));
}

#[test]
fn a_stepped_wall_expires_nothing_early_and_revives_nothing() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let (first, live) = (finished(&tracker), running(&tracker));

    clock.step_wall(clock.wall().saturating_add(TEN_YEARS));
    assert!(is_shown(&tracker, first));
    // One that ends after the step lives as long as any other.
    let second = finished(&tracker);
    clock.advance(seconds(299));
    assert!(is_shown(&tracker, first) && is_shown(&tracker, second));
    clock.advance(seconds(1));
    assert!(!is_shown(&tracker, first) && !is_shown(&tracker, second));

    clock.step_wall(back(&clock, TEN_YEARS + TEN_YEARS));
    assert!(!is_shown(&tracker, first) && is_shown(&tracker, live));
    let third = finished(&tracker);
    clock.advance(seconds(299));
    assert!(is_shown(&tracker, third));
    clock.advance(seconds(1));
    assert!(!is_shown(&tracker, third));
}

#[test]
fn a_wall_set_back_across_a_restart_brings_nothing_back_and_is_reported() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let (gone, live) = (finished(&tracker), running(&tracker));
    clock.advance(seconds(200));
    let fresh = finished(&tracker);
    clock.advance(seconds(100));
    assert!(!is_shown(&tracker, gone));

    for crash in [false, true] {
        let clock = clock.clone();
        let left = if crash {
            store.crash(0)
        } else {
            tracker.close().unwrap();
            store.crash(usize::MAX)
        };
        clock.restart();
        clock.step_wall(back(&clock, TEN_YEARS));
        let tracker = open(left, &clock);
        assert_eq!(tracker.opened().set_back, TEN_YEARS, "crash: {crash}");
        assert_eq!(tracker.opened().was_clean, !crash);
        assert!(tracker.opened().to_string().contains("set back"));
        assert!(!is_shown(&tracker, gone) && is_shown(&tracker, live));
        assert!(is_shown(&tracker, fresh));
        clock.advance(seconds(200));
        assert!(!is_shown(&tracker, fresh));
        clock.step_wall(clock.wall().saturating_add(TEN_YEARS - seconds(200)));
        drop(tracker);
        if !crash {
            break;
        }
    }
}

#[test]
fn a_wall_set_forward_across_a_restart_is_downtime_and_is_reported() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let (ended, live) = (finished(&tracker), running(&tracker));
    drop(tracker);
    clock.restart();
    clock.step_wall(clock.wall().saturating_add(TEN_YEARS));
    let tracker = open(store, &clock);
    assert_eq!(tracker.opened().downtime, TEN_YEARS);
    assert_eq!((tracker.opened().jobs, tracker.opened().expired), (2, 1));
    assert!(!is_shown(&tracker, ended) && is_shown(&tracker, live));
    assert_eq!(tracker.get(live).unwrap().state(), State::Running);
}

/// A clock on which time passes with each look, as it does while a reader waits for a sync.
struct Ticking(ManualClock, AtomicBool);

impl Clock for Ticking {
    fn wall(&self) -> Timestamp {
        self.0.wall()
    }

    fn monotonic(&self) -> Duration {
        if self.1.load(Ordering::SeqCst) {
            self.0.advance(Duration::from_millis(500));
        }
        self.0.monotonic()
    }

    fn new_id(&self) -> uuid::Uuid {
        self.0.new_id()
    }
}

/// The horizon was once read before the sync that hid what was due, and the jobs after it: a job that
/// expired in between was missing, though it lived at the horizon that the answer named.
#[test]
fn an_answer_is_of_the_horizon_that_it_names() {
    let clock = Arc::new(Ticking(clock(), AtomicBool::new(false)));
    let options = Options { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Options::default() };
    let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
    let end = |retention| {
        let new = NewJob { retention: Some(retention), ..NewJob::default() };
        let job = tracker.create(new).unwrap().uuid;
        tracker.fail(job, Failure::default()).unwrap()
    };
    end(seconds(300));
    let jobs: Vec<_> =
        (1..40).map(|n| end(seconds(300) + n * Duration::from_millis(250))).collect();
    clock.0.advance(seconds(300));
    clock.1.store(true, Ordering::SeqCst);
    let page = tracker.query(&Query::default()).unwrap();
    let counts = tracker.counts().unwrap();
    let living = |horizon| jobs.iter().filter(|job| !job.is_expired(horizon)).count();
    assert!(living(page.horizon) > 0, "the time passed too fast for this test");
    assert_eq!(page.jobs.len(), living(page.horizon));
    assert_eq!(counts.total(), living(counts.horizon) as u64);
}

/// The uuid was free again because the group itself had swept its job, and a deferred commit of both
/// was then lost.
#[test]
fn a_uuid_that_is_used_again_does_not_bring_its_old_job_back() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tombstones = TombstoneOptions { keep: Duration::ZERO, ..TombstoneOptions::default() };
    let options = Options { tombstones, ..options(&clock) };
    let tracker = Tracker::open(Arc::clone(&store), options.clone()).unwrap();
    let id = finished(&tracker);
    clock.advance(seconds(300));
    let again = Command::create(NewJob { uuid: Some(id), ..NewJob::default() });
    tracker.run(again.durability(Durability::Deferred)).unwrap();
    clock.restart();
    clock.step_wall(back(&clock, seconds(300)));
    let left = Tracker::open(store.crash(0), options).unwrap();
    assert_eq!(left.get(id).unwrap().state(), State::Queued);
}

/// A horizon at the end of the range would never leave it: every job would be gone at its end.
#[test]
fn a_clock_at_the_end_of_time_is_refused_and_leaves_the_store_as_it_was() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let id = finished(&open(Arc::clone(&store), &clock));
    let before = clock.wall();
    clock.step_wall(Timestamp::MAX);
    let error = Tracker::open(Arc::clone(&store), options(&clock)).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidValue, Some("clock")));
    clock.step_wall(before);
    assert!(is_shown(&open(store, &clock), id));
}

/// What an answer hid must not come back: the sweep that hid it was deferred, the machine crashed,
/// and the clock was set back.
#[test]
fn what_was_once_hidden_survives_a_crash_together_with_a_clock_set_back() {
    for swept in [false, true] {
        let clock = clock();
        let store = Arc::new(CrashStore::new());
        let tracker = open(Arc::clone(&store), &clock);
        let id = finished(&tracker);
        clock.advance(seconds(300));
        if swept {
            let create = Command::create(NewJob::default());
            tracker.run(create.durability(Durability::Deferred)).unwrap();
            assert_eq!(store.deferred(), 1, "the sweep rode on a deferred commit");
        }
        assert_eq!(tracker.get(id).unwrap_err().kind(), ErrorKind::Gone);
        let left = store.crash(0);
        clock.restart();
        clock.step_wall(back(&clock, seconds(300)));
        assert!(!is_shown(&open(left, &clock), id), "swept: {swept}");
    }
}

#[test]
fn a_uuid_is_refused_while_its_tombstone_stands() {
    let clock = clock();
    let tombstones = TombstoneOptions { keep: seconds(60), ..TombstoneOptions::default() };
    let options = Options { tombstones, ..options(&clock) };
    let store = Arc::new(MemoryStore::new());
    let tracker = Tracker::open(Arc::clone(&store), options.clone()).unwrap();
    let id = finished(&tracker);
    clock.advance(seconds(300));
    let again = || NewJob { uuid: Some(id), ..NewJob::default() };
    // Whether it has been swept or not.
    assert_eq!(tracker.create(again()).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(tracker.create(again()).unwrap_err().kind(), ErrorKind::AlreadyExists);
    drop(tracker);

    let tracker = Tracker::open(Arc::clone(&store), options.clone()).unwrap();
    assert_eq!(tracker.create(again()).unwrap_err().kind(), ErrorKind::AlreadyExists);
    clock.advance(seconds(60));
    assert_eq!(tracker.get(id).unwrap_err().kind(), ErrorKind::NotFound);
    tracker.create(again()).unwrap();
    tracker.fail(id, Failure::default()).unwrap();
    tracker.delete(id).unwrap();
    let error = tracker.get(id).unwrap_err();
    assert!(error.message().contains("was deleted at"), "{error}");
    drop(tracker);
    let tracker = Tracker::open(store, options).unwrap();
    assert_eq!(tracker.get(id).unwrap_err().kind(), ErrorKind::Gone);
}

#[test]
fn maintenance_takes_out_what_is_due_within_its_budget() {
    let clock = clock();
    let tombstones = TombstoneOptions { keep: seconds(60), ..TombstoneOptions::default() };
    let options = Options { tombstones, ..options(&clock) };
    let store = Arc::new(MemoryStore::new());
    let tracker = Tracker::open(Arc::clone(&store), options).unwrap();
    let records = || {
        let mut count = 0;
        store
            .load(&mut |_, _, _| {
                count += 1;
                Ok(())
            })
            .unwrap();
        count
    };
    for _ in 0..10 {
        finished(&tracker);
    }
    assert_eq!(tracker.maintain(100).unwrap(), jobtrack::Maintained::default());
    clock.advance(seconds(300));
    let maintained = tracker.maintain(4).unwrap();
    assert_eq!((maintained.expired, maintained.more), (4, true));
    let maintained = tracker.maintain(100).unwrap();
    assert_eq!((maintained.expired, maintained.more), (6, false));
    assert_eq!(records(), 12, "ten tombstones, the head and the epochs");
    clock.advance(seconds(60));
    assert_eq!(tracker.maintain(100).unwrap().tombstones, 10);
    assert_eq!(records(), 3, "the head, the epochs, and what is forgotten");
}

#[test]
fn no_more_tombstones_are_kept_than_may_be() {
    let clock = clock();
    let tombstones = TombstoneOptions { at_most: 3, ..TombstoneOptions::default() };
    let options = Options { tombstones, ..options(&clock) };
    let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
    let ids: Vec<_> = (0..5)
        .map(|_| {
            let id = finished(&tracker);
            clock.advance(seconds(1));
            tracker.delete(id).unwrap();
            id
        })
        .collect();
    tracker.maintain(10).unwrap();
    let kinds: Vec<_> = ids.iter().map(|id| tracker.get(*id).unwrap_err().kind()).collect();
    assert_eq!(kinds[..2], [ErrorKind::NotFound; 2], "the oldest go first");
    assert_eq!(kinds[2..], [ErrorKind::Gone; 3]);
}

/// Every commit sweeps twice what it wrote, so a steady load never falls behind.
#[test]
fn sweeping_keeps_pace_with_any_load() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let deferred = |command: Command| command.durability(Durability::Deferred);
    for _ in 0..20 {
        let created =
            tracker.run_all((0..200).map(|_| deferred(Command::create(NewJob::default()))));
        let ids = created.into_iter().map(|applied| applied.unwrap().job.uuid);
        tracker.run_all(ids.map(|id| deferred(Command::fail(id, Failure::default()))));
        clock.advance(seconds(100));
    }
    let mut jobs = 0;
    let mut count = |space, _: &[u8], _| {
        jobs += usize::from(space == jobtrack::store::Space::Job);
        Ok(())
    };
    store.load(&mut count).unwrap();
    assert!(jobs <= 4 * 200, "{jobs} jobs are still stored");
}
