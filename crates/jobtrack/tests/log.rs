//! The log of a job: what it tells, to whom, how much of it, and what becomes of it.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::store::{Batch, Record, Restored, Space, Write, copy, verify};
use jobtrack::{
    Action, Actor, Clock, Command, Durability, ErrorKind, Failure, Hold, JobId, Log, LogKind,
    LogOptions, MemoryStore, NewJob, Options, Progress, Report, Severity, State, Store, Success,
    Tracker,
};
use jobtrack_testkit::{CrashStore, ManualClock};

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn open_with(store: impl Store + 'static, clock: &ManualClock, log: LogOptions) -> Tracker {
    let options = Options { clock: Arc::new(clock.clone()), log, ..Options::default() };
    Tracker::open(store, options).unwrap()
}

fn open(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    open_with(store, clock, LogOptions::default())
}

fn kinds(log: &Log) -> Vec<&'static str> {
    log.entries.iter().map(|entry| entry.kind.as_str()).collect()
}

fn running(tracker: &Tracker) -> JobId {
    let id = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.start(id).unwrap();
    id
}

fn logs(store: &MemoryStore) -> Vec<(Vec<u8>, Record)> {
    let mut logs = Vec::new();
    let mut visit = |space, key: &[u8], record: jobtrack::Result<Record>| {
        if space == Space::Log {
            logs.push((key.to_vec(), record?));
        }
        Ok(())
    };
    store.scan(&mut visit).unwrap();
    logs
}

fn put(store: &MemoryStore, key: &[u8], value: Option<Vec<u8>>) {
    let writes = vec![Write { space: Space::Log, key: key.into(), value }];
    let batch = Batch { id: clock().new_id(), expectations: Vec::new(), writes };
    store.commit(&batch, Durability::Synced).unwrap();
}

#[test]
fn it_tells_what_happened_when_by_whom_and_why() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let new = NewJob { cooperative: true, ..NewJob::default() };
    let by_alice = |command: Command| command.by(Actor::named("alice")).because("too slow");
    let id = tracker.run(by_alice(Command::create(new))).unwrap().job.uuid;
    let claimed = tracker.claim_job(id, Hold::leased("worker-1")).unwrap();
    clock.advance(Duration::from_secs(5));
    let severity = Some(Severity::Warning);
    let slow = Report { message: Some("a slow disk".to_owned()), severity, progress: None };
    tracker.run(Command::report(id, slow).holding(1)).unwrap();
    let canceled = tracker.run(by_alice(Command::request(id, Action::Cancel))).unwrap();
    let ended = tracker.run(Command::fail(id, Failure::default()).holding(1)).unwrap();

    let log = tracker.log(id).unwrap();
    let [created, claim, message, request, failed] = &*log.entries else { panic!("{log:?}") };
    assert_eq!((created.from, created.to), (None, Some(State::Queued)));
    assert_eq!((created.actor.name(), &*created.reason), ("alice", "too slow"));
    assert_eq!((claim.kind, claim.actor.name()), (LogKind::Claimed, "worker-1"));
    assert_eq!((claim.from, claim.to), (Some(State::Queued), Some(State::Running)));
    assert_eq!((claim.revision, claim.time), (claimed.revision, claimed.update_time));
    assert_eq!(message.severity, Some(Severity::Warning));
    assert_eq!(message.message.as_deref(), Some("a slow disk"));
    assert_eq!((message.from, message.to), (Some(State::Running), None));
    assert_eq!(message.time.saturating_since(claim.time), Duration::from_secs(5));
    assert_eq!((request.kind, &*request.reason), (LogKind::CancelRequested, "too slow"));
    assert_eq!((request.revision, request.to), (canceled.revision, None), "it waits");
    assert_eq!((failed.kind, failed.to), (LogKind::Failed, Some(State::Failure)));
    assert_eq!(failed.severity, Some(Severity::Error));
    assert_eq!(failed.message.as_deref(), Some(&*ended.job.message));
}

#[test]
fn changes_of_one_commit_are_told_apart_by_their_ordinal() {
    let tracker = open(MemoryStore::new(), &clock());
    let id: JobId = "00000000-0000-0000-0000-000000000007".parse().unwrap();
    let new = NewJob { uuid: Some(id), ..NewJob::default() };
    let succeed = Command::succeed(id, Success { code: 5, ..Success::with_message("nearly") });
    let commands = [Command::create(new), Command::start(id), Command::report(id, "half"), succeed];
    let revision = tracker.run_all(commands).pop().unwrap().unwrap().revision;
    let log = tracker.log(id).unwrap();
    let places: Vec<_> = log.entries.iter().map(|it| (it.revision, it.ordinal)).collect();
    assert_eq!(places, [0, 1, 2, 3].map(|ordinal| (revision, ordinal)));
    assert_eq!(log.entries[3].severity, Some(Severity::Warning), "a success with a code");
}

#[test]
fn a_lease_that_is_renewed_and_progress_alone_are_not_told() {
    let tracker = open(MemoryStore::new(), &clock());
    let id = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.claim_job(id, Hold::leased("w")).unwrap();
    tracker.renew(id, 1).unwrap();
    let progress = Progress { done: 1, total: None, unit: String::new().into() };
    tracker.run(Command::report(id, progress.clone()).holding(1)).unwrap();
    tracker.progress(id, progress, Some(1)).unwrap();
    assert_eq!(kinds(&tracker.log(id).unwrap()), ["created", "claimed"]);
}

#[test]
fn what_is_lost_and_what_is_late_is_told() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let lost = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.claim_job(lost, Hold::leased("w")).unwrap();
    let deadline = Some(clock.wall().saturating_add(Duration::from_secs(1)));
    let late = tracker.create(NewJob { deadline, ..NewJob::default() }).unwrap().uuid;
    tracker.start(late).unwrap();
    let parent = running(&tracker);
    let child = tracker.create(NewJob { parent: Some(parent), ..NewJob::default() }).unwrap().uuid;
    tracker.fail(parent, Failure::default()).unwrap();
    clock.advance(Duration::from_secs(61));
    while tracker.maintain(10).unwrap().more {}
    let last = |id| tracker.log(id).unwrap().entries.pop().unwrap();
    assert_eq!(last(lost).kind, LogKind::Lost);
    assert_eq!(last(lost).reason, "w was not heard of in time");
    assert_eq!(last(late).kind, LogKind::TimedOut);
    assert_eq!(last(child).kind, LogKind::CancelRequested);
    assert!(last(child).message.unwrap().ends_with("has failed"));
}

#[test]
fn it_is_bounded_by_count_and_bytes_and_says_what_was_dropped() {
    let bounded = |entries, bytes| {
        let tracker = open_with(MemoryStore::new(), &clock(), LogOptions { entries, bytes });
        let id = running(&tracker);
        tracker.pause(id).unwrap();
        for n in 0..50 {
            tracker.report(id, format!("message {n:02}")).unwrap();
        }
        tracker.log(id).unwrap()
    };
    let log = bounded(6, 4_096);
    assert_eq!(kinds(&log), ["created", "started", "paused", "message", "message", "message"]);
    assert_eq!(log.dropped, 47);
    // Each message is ten bytes long, and counts 42; "created" and the like count 32.
    let log = bounded(10_000, 3 * 32 + 5 * 42);
    assert_eq!((log.entries.len(), log.dropped), (8, 45));
    assert_eq!(log.entries[7].message.as_deref(), Some("message 49"));
    // The latest stays whatever its size.
    assert_eq!(kinds(&bounded(10, 1)), ["message"]);
    assert_eq!(bounded(0, 4_096), Log::default());
    assert_eq!(bounded(64, 0), Log::default());
}

#[test]
fn bounds_beyond_what_is_documented_are_refused_by_name() {
    for (log, field) in [
        (LogOptions { entries: 10_001, ..LogOptions::default() }, "log.entries"),
        (LogOptions { bytes: usize::MAX, ..LogOptions::default() }, "log.bytes"),
    ] {
        let options = Options { log, ..Options::default() };
        let error = Tracker::open(MemoryStore::new(), options).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some(field)));
    }
}

#[test]
fn a_severity_is_that_of_a_message() {
    let tracker = open(MemoryStore::new(), &clock());
    let id = running(&tracker);
    let severity = Report { severity: Some(Severity::Error), ..Report::default() };
    let error = tracker.report(id, severity).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::MissingValue, Some("message")));
}

#[test]
fn it_goes_with_its_job_and_is_told_only_as_long_as_that_is() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    assert_eq!(
        tracker.log(JobId::from_uuid(clock.new_id())).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let expires = running(&tracker);
    tracker.succeed(expires, Success::default()).unwrap();
    let deleted = running(&tracker);
    tracker.fail(deleted, Failure::default()).unwrap();
    assert_eq!(logs(&store).len(), 2);
    tracker.delete(deleted).unwrap();
    assert_eq!(tracker.log(deleted).unwrap_err().kind(), ErrorKind::Gone);
    clock.advance(Duration::from_secs(301));
    assert_eq!(tracker.log(expires).unwrap_err().kind(), ErrorKind::Gone, "swept or not");
    tracker.maintain(10).unwrap();
    assert_eq!(logs(&store), []);
}

#[test]
fn a_job_in_the_place_of_one_that_expired_has_a_log_of_its_own() {
    for log in [LogOptions::default(), LogOptions::off()] {
        let clock = clock();
        let store = Arc::new(MemoryStore::new());
        let id = JobId::from_uuid(clock.new_id());
        let new =
            || NewJob { uuid: Some(id), retention: Some(Duration::ZERO), ..NewJob::default() };
        let tracker = open(Arc::clone(&store), &clock);
        tracker.create(new()).unwrap();
        tracker.start(id).unwrap();
        tracker.succeed(id, Success::default()).unwrap();
        clock.advance(Duration::from_secs(7_200));
        drop(tracker);
        let tracker = open_with(Arc::clone(&store), &clock, log);
        tracker.create(new()).unwrap();
        let expected: &[&str] = if log == LogOptions::off() { &[] } else { &["created"] };
        assert_eq!(kinds(&tracker.log(id).unwrap()), expected);
        tracker.close().unwrap();
        assert_eq!(verify(&*store, &mut |_| {}, &mut |_| {}).unwrap().defects, 0);
    }
}

#[test]
fn it_survives_a_restart_a_crash_and_a_copy() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let id = running(&tracker);
    let deferred = Command::report(id, "may be lost").durability(Durability::Deferred);
    tracker.run(deferred).unwrap();
    assert_eq!(kinds(&tracker.log(id).unwrap()), ["created", "started", "message"]);

    // The machine loses power before the last change is synced.
    let store = Arc::new(store.crash(0));
    let tracker = open(Arc::clone(&store), &clock);
    assert_eq!(kinds(&tracker.log(id).unwrap()), ["created", "started"]);
    tracker.report(id, "back").unwrap();
    let log = tracker.log(id).unwrap();
    assert!(log.entries[2].revision.epoch > log.entries[1].revision.epoch);
    tracker.close().unwrap();
    assert_eq!(open(Arc::clone(&store), &clock).log(id).unwrap(), log);

    let from = MemoryStore::new();
    let mut records = Vec::new();
    let mut keep = |space, key: &[u8], record: Record| {
        records.push((space, key.to_vec(), record));
        Ok(())
    };
    store.load(&mut keep).unwrap();
    let key = 1_u64.to_be_bytes();
    records.push((Space::Log, key.to_vec(), store.read(Space::Log, &key).unwrap().unwrap()));
    from.restore(&Restored { number: 50, records }, Durability::Synced).unwrap();
    let to = MemoryStore::new();
    copy(&from, &to, &clock, &mut |_| {}).unwrap();
    assert_eq!(open(to, &clock).log(id).unwrap(), log, "every revision is kept");
}

#[test]
fn one_that_is_damaged_or_another_s_is_refused_and_begun_anew() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let id = running(&open(Arc::clone(&store), &clock));
    let (key, record) = logs(&store).pop().unwrap();

    put(&store, &key, Some(record.value[..9].to_vec()));
    let tracker = open(Arc::clone(&store), &clock);
    let error = tracker.log(id).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreDamaged);
    let place = "record 0x0000000000000001 of space log";
    assert_eq!(error.field(), Some(place), "{error}");
    tracker.pause(id).unwrap();
    let log = tracker.log(id).unwrap();
    assert_eq!((kinds(&log), log.dropped), (vec!["paused"], 1), "a job outlives its log");

    drop(tracker);
    put(&store, &key, Some([&[2], &record.value[1..]].concat()));
    let tracker = open(Arc::clone(&store), &clock);
    assert_eq!(tracker.log(id).unwrap_err().kind(), ErrorKind::StoreTooNew);
    tracker.resume(id).unwrap();
    assert_eq!(kinds(&tracker.log(id).unwrap()), ["resumed"]);

    drop(tracker);
    let mut value = record.value;
    value[1] ^= 1;
    put(&store, &key, Some(value));
    let tracker = open(Arc::clone(&store), &clock);
    assert_eq!(tracker.log(id).unwrap(), Log::default(), "it is of another job");
}
