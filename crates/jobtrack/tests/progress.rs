//! Progress ahead of the store: seen at once, stored once a second, never going back.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jobtrack::{
    Command, ErrorKind, Expr, Hold, JobId, MemoryStore, Names, NewJob, Options, Progress, Query,
    State, Store, Success, Tracker,
};
use jobtrack_testkit::{CrashStore, ManualClock};

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn open(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    Tracker::open(store, options).unwrap()
}

fn running(tracker: &Tracker) -> JobId {
    let id = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.start(id).unwrap();
    id
}

fn done(n: u64) -> Progress {
    Progress { done: n, total: Some(100), unit: "files".into() }
}

fn of(tracker: &Tracker, id: JobId) -> Option<u64> {
    tracker.get(id).unwrap().progress.as_ref().map(|progress| progress.done)
}

fn listed(tracker: &Tracker, n: u64) -> u64 {
    let filter = Expr::parse("progress.done", &n.to_string(), Names::Native).unwrap();
    tracker.count(&Query::matching(filter)).unwrap().count
}

#[test]
fn a_report_is_seen_at_once_and_listed_within_a_second() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let id = running(&tracker);
    clock.advance(Duration::from_secs(5));
    tracker.progress(id, done(1), None).unwrap(); // The first is told at once.
    assert_eq!(listed(&tracker, 1), 1);
    let revision = tracker.get(id).unwrap().job.revision;
    let second = tracker.progress(id, done(2), None).unwrap();
    assert_eq!((second.job.revision, second.progress.as_ref().unwrap().done), (revision, 2));
    let third = tracker.progress(id, done(3), None).unwrap();
    assert!(third.unflushed > second.unflushed, "each has a number of its own");
    assert_eq!((of(&tracker, id), listed(&tracker, 3)), (Some(3), 0));
    clock.advance(Duration::from_secs(1));
    tracker.maintain(10).unwrap();
    assert_eq!((of(&tracker, id), listed(&tracker, 3)), (Some(3), 1));
    assert_eq!(tracker.get(id).unwrap().unflushed, None);
}

#[test]
fn the_next_change_of_the_job_takes_its_progress_along() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let id = running(&tracker);
    for n in 1..=7 {
        tracker.progress(id, done(n), None).unwrap();
    }
    let mut watch = tracker.watch(Expr::everything(), None).unwrap();
    let job = tracker.succeed(id, Success::default()).unwrap();
    assert_eq!(job.progress.as_ref().unwrap().done, 7);
    let event = watch.try_next().unwrap().unwrap();
    assert_eq!(event.kind.job().unwrap().progress.as_ref().unwrap().done, 7);
    assert_eq!(tracker.progress(id, done(8), None).unwrap_err().kind(), ErrorKind::JobEnded);
    assert_eq!(of(&tracker, id), Some(7));
}

#[test]
fn a_report_with_a_progress_of_its_own_is_the_later_one() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let id = running(&tracker);
    tracker.progress(id, done(1), None).unwrap();
    tracker.progress(id, done(2), None).unwrap();
    tracker.report(id, done(3)).unwrap();
    assert_eq!((of(&tracker, id), listed(&tracker, 3)), (Some(3), 1));
    clock.advance(Duration::from_secs(2));
    tracker.maintain(1).unwrap();
    assert_eq!(of(&tracker, id), Some(3));
}

#[test]
fn a_crash_may_lose_a_second_and_a_clean_close_loses_nothing() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let id = running(&tracker);
    clock.advance(Duration::from_secs(1));
    tracker.progress(id, done(1), None).unwrap();
    tracker.sync().unwrap();
    tracker.progress(id, done(2), None).unwrap();
    let crashed = open(Arc::new(store.crash(0)), &clock);
    assert_eq!((of(&crashed, id), crashed.get(id).unwrap().state()), (Some(1), State::Running));
    tracker.close().unwrap();
    drop(tracker);
    assert_eq!(of(&open(store, &clock), id), Some(2));
}

#[test]
fn only_the_holder_reports_and_is_heard_of_by_it() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let id = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.claim_job(id, Hold::leased("w")).unwrap();
    assert_eq!(tracker.progress(id, done(1), None).unwrap_err().kind(), ErrorKind::Leased);
    assert_eq!(tracker.progress(id, done(1), Some(9)).unwrap_err().kind(), ErrorKind::LeaseLost);
    for n in 1..=200 {
        clock.advance(Duration::from_secs(1));
        tracker.progress(id, done(n), Some(1)).unwrap();
    }
    clock.advance(Duration::from_secs(61));
    let late = tracker.progress(id, done(1), Some(1)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::JobEnded, "its lease has run out, and nobody had looked");
    assert_eq!(of(&tracker, id), Some(200));
    let unknown = "1cd8a442-86d1-11e0-ae1c-123478563412".parse().unwrap();
    assert_eq!(tracker.progress(unknown, done(1), None).unwrap_err().kind(), ErrorKind::NotFound);
    let unit = Progress { unit: "x".repeat(1_000).into(), ..done(1) };
    assert_eq!(tracker.progress(id, unit, Some(1)).unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn progress_never_goes_back_while_others_change_the_job() {
    let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
    let id = running(&tracker);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = 0;
            while !is_over.load(Ordering::Relaxed) {
                let now = of(&tracker, id).unwrap_or(0);
                assert!(now >= last, "{now} after {last}");
                last = now;
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                tracker.run(Command::report(id, "going on")).unwrap();
                tracker.maintain(1).unwrap();
            }
        });
        for n in 1..=20_000 {
            tracker.progress(id, done(n), None).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    tracker.report(id, "done").unwrap();
    assert_eq!(listed(&tracker, 20_000), 1);
}
