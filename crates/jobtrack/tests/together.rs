//! What meets in one commit, or at a limit, or before and after a restart.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Allows, Command, Failure, JobId, Limits, MemoryStore, NewJob, Options, State, Success, Tracker,
};
use jobtrack_testkit::ManualClock;

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn open(clock: &ManualClock, limits: Limits) -> Tracker {
    let options = Options { clock: Arc::new(clock.clone()), limits, ..Options::default() };
    Tracker::open(MemoryStore::new(), options).unwrap()
}

fn settle(tracker: &Tracker) {
    while tracker.maintain(100).unwrap().more {}
}

/// A child that is created in the very commit in which its parent fails must follow it.
#[test]
fn a_child_follows_a_parent_that_ends_in_the_commit_that_made_the_child() {
    let tracker = open(&clock(), Limits::default());
    let mut missed = 0;
    for _ in 0..64 {
        let parent = tracker.create(NewJob::default()).unwrap().uuid;
        tracker.start(parent).unwrap();
        let child = NewJob {
            parent: Some(parent),
            allows: Allows { cancel: true, pause: true },
            ..NewJob::default()
        };
        let outcomes =
            tracker.run_all([Command::create(child), Command::fail(parent, Failure::default())]);
        let child = outcomes[0].as_ref().unwrap().job.uuid;
        outcomes[1].as_ref().unwrap();
        settle(&tracker);
        let child = tracker.get(child).unwrap();
        missed += usize::from(child.state() == State::Queued && child.requested.is_none());
    }
    assert_eq!(missed, 0, "of 64 children");
}

/// A key whose job was deleted belongs to the job that took it in the same commit.
#[test]
fn a_key_is_kept_by_the_job_that_took_it_in_the_commit_that_deleted_the_first() {
    let tracker = open(&clock(), Limits::default());
    let mut doubled = 0;
    for n in 0..64 {
        let keyed = |retention: u64| NewJob {
            idempotency_key: Some(format!("k{n}")),
            retention: Some(Duration::from_secs(retention)),
            ..NewJob::default()
        };
        let first = tracker.create(keyed(1_000_000)).unwrap().uuid;
        tracker.succeed(first, Success::default()).ok();
        tracker.start(first).ok();
        tracker.succeed(first, Success::default()).ok();
        let second = JobId::from_uuid(uuid::Uuid::from_u128(1_000 + n));
        let outcomes = tracker.run_all([
            Command::delete(first),
            Command::create(NewJob { uuid: Some(second), ..keyed(1_000) }),
            Command::start(second),
            Command::succeed(second, Success::default()),
        ]);
        for outcome in outcomes {
            outcome.unwrap();
        }
        let again = tracker.run(Command::create(keyed(1_000))).unwrap();
        doubled += usize::from(!again.is_repeat);
    }
    assert_eq!(doubled, 0, "of 64 keys");
}

/// Whoever deletes all jobs of a full tracker can create jobs again, without `maintain`.
#[test]
fn a_full_tracker_takes_jobs_again_once_its_jobs_are_gone() {
    let limits = Limits { memory: 4_000_000, ..Limits::default() };
    let tracker = open(&clock(), limits);
    let mut ids = Vec::new();
    let described = |n| NewJob { description: format!("{n:0>200}"), ..NewJob::default() };
    while let Ok(job) = tracker.create(described(ids.len())) {
        ids.push(job.uuid);
    }
    for id in ids {
        tracker.start(id).ok();
        tracker.succeed(id, Success::default()).unwrap();
        tracker.delete(id).unwrap();
    }
    assert_eq!(tracker.counts().unwrap().total(), 0);
    tracker.create(NewJob::default()).unwrap();
}

/// The same where they expire.
#[test]
fn a_full_tracker_takes_jobs_again_once_its_jobs_have_expired() {
    let limits = Limits { memory: 4_000_000, ..Limits::default() };
    let clock = clock();
    let tracker = open(&clock, limits);
    let mut ids = Vec::new();
    loop {
        let job = NewJob {
            description: format!("{:0>200}", ids.len()),
            retention: Some(Duration::from_secs(60)),
            ..NewJob::default()
        };
        match tracker.create(job) {
            Ok(job) => {
                tracker.start(job.uuid).unwrap();
                tracker.succeed(job.uuid, Success::default()).unwrap();
                ids.push(job.uuid);
            }
            Err(_) => break,
        }
    }
    clock.advance(Duration::from_secs(3_600));
    let mut last = None;
    for _ in 0..20_000 {
        last = tracker.create(NewJob::default()).err();
        if tracker.counts().unwrap().total() > 2_000 {
            break;
        }
    }
    assert_eq!(last.map(|error| error.to_string()), None);
}

/// What a child does must not depend on whether the store was opened again.
#[test]
fn a_child_that_is_imported_under_a_failed_parent_follows_it() {
    let store = Arc::new(MemoryStore::new());
    let options = || Options { clock: Arc::new(clock()), ..Options::default() };
    let tracker = Tracker::open(Arc::clone(&store), options()).unwrap();
    let parent = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.fail(parent, Failure::default()).unwrap();
    let parts = {
        let job = tracker.create(NewJob::default()).unwrap();
        let mut parts = jobtrack::JobParts::from(&*job);
        parts.uuid = JobId::from_uuid(uuid::Uuid::from_u128(77));
        parts.parent = Some(parent);
        parts
    };
    let child = tracker.run(Command::import(parts)).unwrap().job.uuid;
    settle(&tracker);
    let before = tracker.get(child).unwrap().state();
    tracker.close().unwrap();
    let tracker = Tracker::open(store, options()).unwrap();
    settle(&tracker);
    assert_eq!(tracker.get(child).unwrap().state(), before, "as before the restart");
}
