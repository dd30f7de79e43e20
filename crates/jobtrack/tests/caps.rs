//! Caps by number and bytes, and what goes to make room.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::store::{Space, copy};
use jobtrack::{
    Command, Durability, ErrorKind, FamilyOptions, JobId, Limits, MemoryStore, NewJob, Options,
    Query, RollUp, Store, Success, Tracker,
};
use jobtrack_testkit::{CrashStore, ManualClock};

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn open(store: impl Store + 'static, clock: &ManualClock, limits: Limits, evict: bool) -> Tracker {
    let families = FamilyOptions { roll_up: RollUp::Free, ..FamilyOptions::default() };
    let clock = Arc::new(clock.clone());
    Tracker::open(store, Options { clock, limits, evict, families, ..Options::default() }).unwrap()
}

fn at_most(jobs: usize) -> Limits {
    Limits { jobs, ..Limits::default() }
}

fn live(tracker: &Tracker) -> JobId {
    let id = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.start(id).unwrap();
    id
}

fn finished(tracker: &Tracker) -> JobId {
    let id = live(tracker);
    tracker.succeed(id, Success::default()).unwrap();
    id
}

fn ids(tracker: &Tracker) -> Vec<JobId> {
    tracker.query(&Query::default()).unwrap().jobs.iter().map(|job| job.uuid).collect()
}

fn settle(tracker: &Tracker) {
    while tracker.maintain(3).unwrap().more {}
}

#[test]
fn a_job_beyond_the_cap_is_refused_by_name_and_what_is_due_goes_first() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock, at_most(3), false);
    let ended = [finished(&tracker), finished(&tracker)];
    live(&tracker);
    let error = tracker.create(NewJob::default()).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("limits.jobs")));
    assert_eq!(error.message(), "3 jobs are there, at most 3 may be");
    // Held ones count.
    tracker.hold(ended[0]).unwrap();
    clock.advance(Duration::from_secs(300));
    live(&tracker);
    assert_eq!(tracker.create(NewJob::default()).unwrap_err().field(), Some("limits.jobs"));
    assert_eq!(ids(&tracker).len(), 3);
    // What is there may change and end all the same.
    finished_all(&tracker);
}

fn finished_all(tracker: &Tracker) {
    for id in ids(tracker) {
        if !tracker.get(id).unwrap().state().is_terminal() {
            tracker.succeed(id, Success::default()).unwrap();
        }
    }
}

#[test]
fn several_creations_in_one_commit_are_counted_together() {
    for evict in [false, true] {
        let tracker = open(MemoryStore::new(), &clock(), at_most(10), evict);
        for _ in 0..4 {
            finished(&tracker);
        }
        let gone = ids(&tracker)[0];
        let creates = || (0..20).map(|_| Command::create(NewJob::default()));
        let commands = [Command::delete(gone)].into_iter().chain(creates());
        let outcomes = tracker.run_all(commands);
        let made = outcomes.iter().skip(1).filter(|outcome| outcome.is_ok()).count();
        assert_eq!(made, if evict { 10 } else { 7 });
        assert_eq!(tracker.counts().unwrap().total(), 10);
        let live = tracker.counts().unwrap().of_state(jobtrack::State::Queued);
        assert_eq!(live, made as u64, "no unfinished one was evicted");
    }
}

#[test]
fn those_finished_for_the_longest_time_make_room_and_none_that_lives_or_is_held() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock, at_most(5), true);
    let mut jobs: Vec<JobId> = (0..5).map(|_| live(&tracker)).collect();
    // They end in another order than they were made.
    for which in [3, 1, 4] {
        clock.advance(Duration::from_secs(1));
        tracker.succeed(jobs[which], Success::default()).unwrap();
    }
    tracker.hold(jobs[1]).unwrap();
    tracker.create(NewJob::default()).unwrap();
    let error = tracker.get(jobs[3]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone, "{error}");
    tracker.create(NewJob::default()).unwrap();
    assert_eq!(tracker.get(jobs[4]).unwrap_err().kind(), ErrorKind::Gone);
    let error = tracker.create(NewJob::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(
        error.message(),
        "5 jobs are there, at most 5 may be, and none is finished, held by nobody and free to go"
    );
    tracker.unhold(jobs[1]).unwrap();
    tracker.create(NewJob::default()).unwrap();
    jobs.retain(|id| tracker.get(*id).is_ok());
    assert_eq!(jobs.len(), 2, "the two that live");
    // A creation that is refused for another reason costs nobody their place.
    tracker.succeed(jobs[0], Success::default()).unwrap();
    let taken = NewJob { uuid: Some(jobs[1]), ..NewJob::default() };
    assert_eq!(tracker.create(taken).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(tracker.get(jobs[0]).is_ok());
}

#[test]
fn no_child_is_evicted_before_its_parent_nor_while_that_lives() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock, at_most(4), true);
    let parent = live(&tracker);
    let child = tracker.create(NewJob { parent: Some(parent), ..NewJob::default() }).unwrap().uuid;
    tracker.start(child).unwrap();
    tracker.succeed(child, Success::default()).unwrap();
    clock.advance(Duration::from_secs(1));
    let other = finished(&tracker);
    live(&tracker);
    tracker.create(NewJob::default()).unwrap();
    assert!(tracker.get(child).is_ok() && tracker.get(other).is_err(), "its parent lives");
    clock.advance(Duration::from_secs(1));
    tracker.succeed(parent, Success::default()).unwrap();
    settle(&tracker);
    tracker.create(NewJob::default()).unwrap();
    assert!(tracker.get(parent).is_err() && tracker.get(child).is_ok(), "first the parent");
    tracker.create(NewJob::default()).unwrap();
    assert!(tracker.get(child).is_err());
    assert_eq!(tracker.counts().unwrap().total(), 4);
}

#[test]
fn a_lower_cap_is_met_in_steps_after_opening() {
    let (clock, store) = (clock(), Arc::new(MemoryStore::new()));
    let tracker = open(Arc::clone(&store), &clock, Limits::default(), false);
    let lives: Vec<JobId> = (0..3).map(|_| live(&tracker)).collect();
    for _ in 0..200 {
        finished(&tracker);
    }
    tracker.close().unwrap();
    clock.restart();
    let refusing = open(Arc::clone(&store), &clock, at_most(50), false);
    assert_eq!(
        refusing.create(NewJob::default()).unwrap_err().message(),
        "203 jobs are there, at most 50 may be"
    );
    refusing.close().unwrap();
    let tracker = open(store, &clock, at_most(50), true);
    let maintained = tracker.maintain(3).unwrap();
    assert_eq!((maintained.evicted, maintained.more), (3, true));
    settle(&tracker);
    assert_eq!(tracker.counts().unwrap().total(), 50);
    assert!(lives.iter().all(|id| tracker.get(*id).is_ok()));
}

#[test]
fn the_cap_by_bytes_is_exact_whatever_becomes_of_jobs_and_across_restarts() {
    let (clock, mut store) = (clock(), Arc::new(CrashStore::new()));
    let limits = Limits { bytes: 4_000, ..Limits::default() };
    let mut random = 7_u64;
    let mut below = |bound: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut tracker = open(Arc::clone(&store), &clock, limits.clone(), false);
    let mut refusals = 0;
    for step in 0..600 {
        let all = ids(&tracker);
        let which = usize::try_from(below(1 + all.len() as u64)).unwrap();
        let text = "x".repeat(usize::try_from(below(300)).unwrap());
        match (all.get(which).copied(), below(8)) {
            (None, _) | (_, 0..=2) => {
                let job = NewJob { message: text, ..NewJob::described("y".repeat(20)) };
                let durability = [Durability::Synced, Durability::Deferred][step % 2];
                let made = tracker.run(Command::create(job).durability(durability));
                refusals += usize::from(made.is_err());
            }
            (Some(id), 3) => drop(tracker.start(id)),
            (Some(id), 4) => drop(tracker.report(id, &*text)),
            (Some(id), 5) => drop(tracker.succeed(id, Success::default())),
            (Some(id), 6) => drop(tracker.delete(id)),
            (Some(_), _) => clock.advance(Duration::from_secs(20)),
        }
        if step % 20 == 0 {
            settle(&tracker);
            tracker.sync().unwrap();
            let before = bytes(&tracker);
            store = Arc::new(store.crash(0));
            clock.restart();
            tracker = open(Arc::clone(&store), &clock, limits.clone(), false);
            // What expires between the two is swept with the first commit.
            settle(&tracker);
            assert_eq!(bytes(&tracker), before, "step {step}");
        }
    }
    assert!(refusals > 20, "{refusals} creations were refused");
}

/// Bytes of all records, as the refusal of a creation tells them.
fn bytes(tracker: &Tracker) -> u64 {
    let huge = "x".repeat(4_000);
    let error = tracker.create(NewJob { message: huge, ..NewJob::default() }).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("limits.bytes")));
    let (_, rest) = error.message().split_once("take ").unwrap();
    rest.split_once(' ').unwrap().0.parse().unwrap()
}

#[test]
fn bytes_are_made_room_for_as_well_and_not_in_vain() {
    let tracker =
        open(MemoryStore::new(), &clock(), Limits { bytes: 2_000, ..Limits::default() }, true);
    let job = |n: usize| NewJob { message: "x".repeat(n), ..NewJob::default() };
    let mut made = Vec::new();
    for _ in 0..40 {
        let id = tracker.create(job(300)).unwrap().uuid;
        tracker.start(id).unwrap();
        tracker.succeed(id, Success::default()).unwrap();
        made.push(id);
    }
    settle(&tracker);
    let there = made.iter().filter(|id| tracker.get(**id).is_ok()).count();
    assert!((3..6).contains(&there), "{there} of some 420 bytes");
    assert!(made[40 - there..].iter().all(|id| tracker.get(*id).is_ok()), "the latest");
    let error = tracker.create(job(2_000)).unwrap_err();
    assert_eq!(error.field(), Some("limits.bytes"));
    assert!(made[40 - there..].iter().all(|id| tracker.get(*id).is_ok()), "{error}");
}

/// The epoch of a copy is a large number, and so takes more of each record.
#[test]
fn bytes_are_those_of_the_record_as_it_is_stored_also_in_a_copy() {
    let clock = clock();
    let [first, copied] = [(); 2].map(|()| Arc::new(MemoryStore::new()));
    open(Arc::clone(&first), &clock, Limits::default(), false).close().unwrap();
    copy(&*first, &*copied, &clock, &mut |_| {}).unwrap();
    let of_bytes = |bytes| {
        let limits = Limits { bytes, ..Limits::default() };
        open(Arc::clone(&copied), &clock, limits, false)
    };
    let tracker = of_bytes(usize::MAX);
    tracker.create(NewJob::default()).unwrap();
    tracker.close().unwrap();
    let mut bytes = 0;
    let mut count = |space, _: &[u8], record: jobtrack::Result<jobtrack::store::Record>| {
        bytes += if space == Space::Job { record?.value.len() } else { 0 };
        Ok(())
    };
    copied.scan(&mut count).unwrap();
    let tracker = of_bytes(2 * bytes - 1);
    let error = tracker.create(NewJob::default()).unwrap_err();
    let expected = format!("the records of all jobs take {bytes} bytes, that of this one {bytes};");
    assert!(error.message().starts_with(&expected), "{error}");
    tracker.close().unwrap();
    of_bytes(2 * bytes).create(NewJob::default()).unwrap();
}
