//! Creations that are made again.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Applied, Command, Durability, ErrorKind, Failure, JobParts, MemoryStore, NewJob, Options,
    Scope, Store, Success, Tracker,
};
use jobtrack_testkit::{CrashStore, Fault, FaultyStore, ManualClock};

fn open(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    Tracker::open(store, options).unwrap()
}

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn keyed(key: &str) -> NewJob {
    NewJob { idempotency_key: Some(key.to_owned()), ..NewJob::described("Backup of vol1") }
}

fn create(tracker: &Tracker, job: NewJob) -> Result<Applied, jobtrack::Error> {
    tracker.run(Command::create(job))
}

#[test]
fn the_same_creation_gives_the_first_job_again_as_it_stands_by_now() {
    let tracker = open(MemoryStore::new(), &clock());
    let first = create(&tracker, keyed("k")).unwrap();
    assert!(!first.is_repeat);
    tracker.start(first.job.uuid).unwrap();
    tracker.report(first.job.uuid, "going on").unwrap();
    let revision = tracker.revision();
    // What may change in a job's life is not asked for again.
    let retry = NewJob { message: "new".to_owned(), retention: Some(Duration::ZERO), ..keyed("k") };
    let again = create(&tracker, retry).unwrap();
    assert!(again.is_repeat);
    assert_eq!((again.job.uuid, &*again.job.message), (first.job.uuid, "going on"));
    assert_eq!(tracker.revision(), revision, "nothing was written for it");

    let other = tracker.run_all([Command::create(keyed("l")), Command::create(keyed("l"))]);
    let of = |n: usize| other[n].as_ref().unwrap();
    assert_eq!((of(0).is_repeat, of(1).is_repeat), (false, true), "within one commit as well");
    assert_eq!(of(0).job, of(1).job);
}

#[test]
fn other_content_is_a_conflict_that_names_the_job_and_the_field() {
    let tracker = open(MemoryStore::new(), &clock());
    let first = create(&tracker, keyed("k")).unwrap().job.uuid;
    for (field, other) in [
        ("description", NewJob { description: "x".to_owned(), ..keyed("k") }),
        ("kind", NewJob { kind: "x".to_owned(), ..keyed("k") }),
        ("cooperative", NewJob { cooperative: true, ..keyed("k") }),
        (
            "uuid",
            NewJob {
                uuid: Some("1cd8a442-86d1-11e0-ae1c-123478563412".parse().unwrap()),
                ..keyed("k")
            },
        ),
    ] {
        let error = create(&tracker, other).unwrap_err();
        assert_eq!((error.kind(), error.job()), (ErrorKind::KeyTaken, Some(first)));
        let message = format!("\"k\" made the job {first}, whose {field} differs");
        assert_eq!(error.message(), message);
    }
    let scoped = NewJob {
        scope: Some(Scope { name: "vs1".into(), id: jobtrack::Text::new() }),
        ..keyed("k")
    };
    assert!(!create(&tracker, scoped).unwrap().is_repeat, "a key is one within its scope");
    let error = create(&tracker, keyed("")).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidValue, Some("idempotency_key")));
}

#[test]
fn a_key_outlives_restarts_and_ends_with_its_job_or_on_request() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let first = create(&tracker, keyed("k")).unwrap().job.uuid;
    tracker.start(first).unwrap();
    let store = Arc::new(store.crash(0));
    clock.restart();
    let tracker = open(Arc::clone(&store), &clock);
    assert_eq!(create(&tracker, keyed("k")).unwrap().job.uuid, first);

    tracker.succeed(first, Success::default()).unwrap();
    clock.advance(Duration::from_micros(299_999_999));
    assert!(create(&tracker, keyed("k")).unwrap().is_repeat);
    clock.advance(Duration::from_micros(1));
    // It expired this moment, and nobody has swept it: the key is free all the same.
    let second = create(&tracker, keyed("k")).unwrap();
    assert!(!second.is_repeat);
    let second = second.job.uuid;
    tracker.fail(second, Failure::default()).unwrap();
    tracker.delete(second).unwrap();
    let third = create(&tracker, keyed("k")).unwrap().job.uuid;
    tracker.run(Command::free_key(third)).unwrap();
    tracker.run(Command::free_key(third)).unwrap();
    let outcomes = tracker.run_all([
        Command::create(keyed("k")),
        Command::create(NewJob { kind: "other".to_owned(), ..keyed("k") }),
    ]);
    let fourth = outcomes[0].as_ref().unwrap();
    assert!(!fourth.is_repeat && fourth.job.uuid != third);
    assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::KeyTaken);
}

#[test]
fn a_repeat_is_as_durable_as_it_asks_even_of_a_deferred_creation() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    tracker.run(Command::create(keyed("k")).durability(Durability::Deferred)).unwrap();
    assert!(create(&tracker, keyed("k")).unwrap().is_repeat);
    assert_eq!(store.deferred(), 0);
}

#[test]
fn a_creation_that_failed_leaves_its_key_free() {
    let clock = clock();
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let tracker = open(Arc::clone(&store), &clock);
    store.fail_commit(1, Fault::Failed(ErrorKind::StoreFailed));
    create(&tracker, keyed("k")).unwrap_err();
    assert!(!create(&tracker, keyed("k")).unwrap().is_repeat);
}

#[test]
fn an_import_brings_its_key_unless_that_is_taken() {
    let clock = clock();
    let one = open(MemoryStore::new(), &clock);
    let job = create(&one, keyed("k")).unwrap().job;
    let two = open(MemoryStore::new(), &clock);
    two.run(Command::import(JobParts::from(&*job))).unwrap();
    assert_eq!(create(&two, keyed("k")).unwrap().job.uuid, job.uuid);
    let mut other = JobParts::from(&*job);
    other.uuid = "1cd8a442-86d1-11e0-ae1c-123478563412".parse().unwrap();
    assert_eq!(two.run(Command::import(other)).unwrap_err().kind(), ErrorKind::KeyTaken);
}
