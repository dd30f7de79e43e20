//! How long jobs stay: by rule, by their own word, and while they are held.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Action, Actor, Cause, Command, Durability, Ending, ErrorKind, Expr, Failure, FamilyOptions,
    Job, JobId, MemoryStore, Names, NewJob, Options, Order, Query, RetentionRule, RollUp, Store,
    Success, Told, Tracker,
};
use jobtrack_testkit::{CrashStore, ManualClock};

const DAY: Duration = Duration::from_secs(86_400);

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn rules() -> Vec<RetentionRule> {
    vec![
        RetentionRule::any(seconds(60)).ending(Ending::Success),
        RetentionRule::any(7 * DAY).ending(Ending::Failure),
        RetentionRule::any(seconds(90)).ending(Ending::Cause(Cause::Canceled)),
        RetentionRule::any(30 * DAY).of_kind("backup"),
        RetentionRule::any(10 * DAY).of_kind("backup").ending(Ending::Success),
        RetentionRule::any(2 * DAY).of_kind("backup").ending(Ending::Cause(Cause::Canceled)),
    ]
}

fn options(clock: &ManualClock) -> Options {
    let families = FamilyOptions { roll_up: RollUp::Free, ..FamilyOptions::default() };
    Options { clock: Arc::new(clock.clone()), families, ..Options::default() }
}

fn open(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    Tracker::open(store, options(clock)).unwrap()
}

fn open_ruled(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    Tracker::open(store, Options { retention_rules: rules(), ..options(clock) }).unwrap()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn running(tracker: &Tracker, job: NewJob) -> JobId {
    let id = tracker.create(job).unwrap().uuid;
    tracker.start(id).unwrap();
    id
}

fn finished(tracker: &Tracker, job: NewJob) -> JobId {
    let id = running(tracker, job);
    tracker.succeed(id, Success::default()).unwrap();
    id
}

fn of_kind(kind: &str) -> NewJob {
    NewJob { kind: kind.to_owned(), ..NewJob::default() }
}

fn child_of(parent: JobId) -> NewJob {
    NewJob { parent: Some(parent), ..NewJob::default() }
}

fn is_there(tracker: &Tracker, id: JobId) -> bool {
    let listed = tracker.query(&Query::default()).unwrap().jobs.iter().any(|job| job.uuid == id);
    assert_eq!(tracker.get(id).is_ok(), listed);
    listed
}

fn settle(tracker: &Tracker) {
    while tracker.maintain(100).unwrap().more {}
}

/// For how long a job has yet to stay.
fn left(tracker: &Tracker, job: &Job) -> Duration {
    job.expire_time().unwrap().saturating_since(tracker.now())
}

#[test]
fn the_most_specific_rule_wins() {
    let tracker = open_ruled(MemoryStore::new(), &clock());
    let stay = |kind: &str, command: fn(JobId) -> Command| {
        let id = running(&tracker, of_kind(kind));
        let job = tracker.run(command(id)).unwrap().job;
        assert_eq!(left(&tracker, &job), job.retention());
        job.retention()
    };
    let succeed: fn(JobId) -> Command = |id| Command::succeed(id, Success::default());
    let fail: fn(JobId) -> Command = |id| Command::fail(id, Failure::default());
    let cancel: fn(JobId) -> Command = |id| Command::request(id, Action::Cancel);
    assert_eq!(stay("scrub", succeed), seconds(60));
    assert_eq!(stay("scrub", fail), 7 * DAY);
    assert_eq!(stay("scrub", cancel), seconds(90));
    assert_eq!(stay("backup", succeed), 10 * DAY);
    assert_eq!(stay("backup", fail), 30 * DAY, "a kind says more than a way to end");
    assert_eq!(stay("backup", cancel), 2 * DAY);
}

#[test]
fn a_jobs_own_retention_wins_over_all_rules_and_an_extended_one_is_never_shortened() {
    let (clock, store) = (clock(), Arc::new(CrashStore::new()));
    let tracker = open_ruled(Arc::clone(&store), &clock);
    // As long as what it would have had without a word of its own: it is its own all the same.
    let own = NewJob { retention: Some(seconds(300)), ..NewJob::default() };
    let own = running(&tracker, own);
    let longer = running(&tracker, NewJob::default());
    tracker.extend(longer, seconds(1_000)).unwrap();
    let ruled = running(&tracker, NewJob::default());
    assert_eq!(tracker.get(own).unwrap().retention.told, Some(Told::Exactly));
    assert_eq!(tracker.get(longer).unwrap().retention.told, Some(Told::AtLeast));
    assert_eq!(tracker.get(ruled).unwrap().retention.told, None);

    // Across a crash.
    let crashed = Arc::new(store.crash(0));
    clock.restart();
    let tracker = open_ruled(crashed, &clock);
    let succeed = |id| tracker.succeed(id, Success::default()).unwrap().retention();
    assert_eq!(succeed(own), seconds(300));
    assert_eq!(succeed(longer), seconds(1_000));
    assert_eq!(succeed(ruled), seconds(60));
    let longer = running(&tracker, NewJob::default());
    tracker.extend(longer, seconds(1_000)).unwrap();
    assert_eq!(tracker.fail(longer, Failure::default()).unwrap().retention(), 7 * DAY);
    assert_eq!(tracker.get(longer).unwrap().retention.told, None, "it is settled");
}

#[test]
fn rules_are_those_of_whoever_has_the_store_open_at_the_jobs_end() {
    let (clock, store) = (clock(), Arc::new(MemoryStore::new()));
    let tracker = open(Arc::clone(&store), &clock);
    let (id, ended) = (running(&tracker, NewJob::default()), finished(&tracker, NewJob::default()));
    tracker.close().unwrap();
    clock.restart();
    let tracker = open_ruled(store, &clock);
    assert_eq!(tracker.get(ended).unwrap().retention(), seconds(300), "what has ended is settled");
    assert_eq!(tracker.fail(id, Failure::default()).unwrap().retention(), 7 * DAY);
}

#[test]
fn a_held_job_stays_until_it_is_let_go_and_has_what_was_left() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let id = finished(&tracker, NewJob::default());
    clock.advance(seconds(100));
    let hold = Command::hold(id).by(Actor::named("ana")).because("ticket 4711");
    let job = tracker.run(hold.clone()).unwrap().job;
    assert_eq!(job.expire_time(), None);
    let held = job.held.as_deref().unwrap();
    assert_eq!(
        (held.by.name(), held.time, &*held.reason),
        ("ana", clock_time(&tracker), "ticket 4711")
    );

    clock.advance(100 * DAY);
    settle(&tracker);
    assert!(is_there(&tracker, id));
    // The first hold stands.
    let again = tracker.run(Command::hold(id).by(Actor::named("ben"))).unwrap().job;
    assert_eq!(again.held, job.held);
    let job = tracker.unhold(id).unwrap();
    assert_eq!((job.held.as_ref(), left(&tracker, &job)), (None, seconds(200)));
    assert_eq!(
        job.retention.from.unwrap().saturating_add(job.retention()),
        job.expire_time().unwrap()
    );
    clock.advance(seconds(200) - Duration::from_micros(1));
    assert!(is_there(&tracker, id));
    clock.advance(Duration::from_micros(1));
    assert!(!is_there(&tracker, id));
    assert_eq!(tracker.run(hold).unwrap_err().kind(), ErrorKind::Gone);
}

fn clock_time(tracker: &Tracker) -> jobtrack::Timestamp {
    tracker.now()
}

#[test]
fn a_hold_of_a_live_job_takes_effect_at_its_end() {
    let clock = clock();
    let tracker = open_ruled(MemoryStore::new(), &clock);
    let id = running(&tracker, NewJob::default());
    tracker.hold(id).unwrap();
    clock.advance(seconds(50));
    let job = tracker.fail(id, Failure::default()).unwrap();
    assert_eq!((job.expire_time(), job.retention()), (None, 7 * DAY));
    clock.advance(30 * DAY);
    assert!(is_there(&tracker, id));
    let job = tracker.unhold(id).unwrap();
    assert_eq!(left(&tracker, &job), 7 * DAY, "none of it had been used up");
    // One that is let go before its end stays as any other.
    let id = running(&tracker, NewJob::default());
    tracker.hold(id).unwrap();
    assert_eq!(tracker.unhold(id).unwrap().held, None);
    let job = tracker.fail(id, Failure::default()).unwrap();
    assert_eq!(left(&tracker, &job), 7 * DAY);
    let before = tracker.revision();
    assert_eq!(tracker.unhold(id).unwrap(), job);
    assert_eq!(tracker.revision(), before, "it was not held");
}

#[test]
fn a_hold_survives_and_is_found_by_query_and_order() {
    let (clock, store) = (clock(), Arc::new(CrashStore::new()));
    let tracker = open(Arc::clone(&store), &clock);
    let mut held = Vec::new();
    // Enough of them for segments, at opening.
    for n in 0..2_000_u64 {
        let job = NewJob { retention: Some(seconds(n)), ..NewJob::default() };
        let id =
            tracker.run(Command::create(job).durability(Durability::Deferred)).unwrap().job.uuid;
        tracker.run(Command::start(id).durability(Durability::Deferred)).unwrap();
        if n % 3 == 0 {
            let end = Command::succeed(id, Success::default()).durability(Durability::Deferred);
            tracker.run(end).unwrap();
        }
        if n > 0 && n % 100 == 0 {
            clock.advance(Duration::from_millis(1));
            let name = format!("user{}", 20 - n / 100);
            tracker.run(Command::hold(id).by(Actor::named(name)).because("why not")).unwrap();
            held.push(id);
        }
    }
    tracker.sync().unwrap();
    let before = tracker.query(&all()).unwrap().jobs;
    clock.restart();
    let tracker = open(Arc::new(store.crash(0)), &clock);
    assert_eq!(tracker.query(&all()).unwrap().jobs, before, "to the last field");
    clock.advance(40 * DAY);
    settle(&tracker);
    let found = |order: &str| {
        let order = Order::parse(order, Names::Native).unwrap();
        let filter = Expr::parse("held.time", "!null", Names::Native).unwrap();
        let page = tracker.query(&Query { order, ..Query::matching(filter) }).unwrap();
        page.jobs.iter().map(|job| job.uuid).collect::<Vec<_>>()
    };
    assert_eq!(found("held.time"), held);
    held.reverse();
    assert_eq!(found("held.time desc"), held);
    let unheld = Expr::parse("held.by", "user1*|null", Names::Native).unwrap();
    let count = tracker.count(&Query::matching(unheld)).unwrap().count;
    // Those who live and are held by nobody, and eleven whose holder's number begins with 1.
    assert_eq!(count, 2_000 - 667 - 13 + 11);
}

fn all() -> Query {
    Query { max_records: Some(10_000), ..Query::default() }
}

#[test]
fn what_is_held_cannot_be_deleted() {
    let tracker = open(MemoryStore::new(), &clock());
    let id = finished(&tracker, NewJob::default());
    tracker.run(Command::hold(id).by(Actor::named("ana")).because("audit")).unwrap();
    let error = tracker.delete(id).unwrap_err();
    assert_eq!((error.kind(), error.job()), (ErrorKind::Held, Some(id)));
    assert_eq!(
        error.message(),
        "cannot delete a job that is held by ana since 2026-03-01T10:00:00Z (audit): let it go first"
    );
    tracker.unhold(id).unwrap();
    tracker.delete(id).unwrap();
    assert!(!is_there(&tracker, id));
}

#[test]
fn a_held_parent_keeps_its_children_and_they_go_after_it() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let parent = running(&tracker, NewJob::default());
    let child = finished(&tracker, child_of(parent));
    tracker.succeed(parent, Success::default()).unwrap();
    settle(&tracker);
    tracker.hold(parent).unwrap();
    settle(&tracker);
    assert_eq!(tracker.get(child).unwrap().expire_time(), None);
    clock.advance(DAY);
    assert!(is_there(&tracker, parent) && is_there(&tracker, child));
    let expire_time = tracker.unhold(parent).unwrap().expire_time().unwrap();
    settle(&tracker);
    assert!(tracker.get(child).unwrap().expire_time().unwrap() >= expire_time);
    clock.advance(seconds(300));
    settle(&tracker);
    assert!(!is_there(&tracker, parent) && !is_there(&tracker, child));
}

#[test]
fn a_held_child_outlives_its_parent() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let parent = running(&tracker, NewJob::default());
    let child = finished(&tracker, child_of(parent));
    tracker.hold(child).unwrap();
    let sibling = finished(&tracker, child_of(parent));
    tracker.succeed(parent, Success::default()).unwrap();
    settle(&tracker);
    clock.advance(seconds(100));
    // What a parent's longer life has given it is not lost by a hold.
    tracker.extend(parent, seconds(1_000)).unwrap();
    settle(&tracker);
    tracker.hold(sibling).unwrap();
    clock.advance(seconds(900));
    settle(&tracker);
    assert!(
        !is_there(&tracker, parent) && is_there(&tracker, child) && is_there(&tracker, sibling)
    );
    let sibling = tracker.unhold(sibling).unwrap();
    assert_eq!(left(&tracker, &sibling), seconds(900));
    let child = tracker.unhold(child).unwrap();
    assert_eq!(left(&tracker, &child), seconds(300));
}

#[test]
fn a_hold_while_the_wall_steps_takes_nothing_away() {
    let clock = clock();
    for (at_hold, at_unhold) in [(4_000, -4_000), (-4_000, 4_000), (8_000, 8_000)] {
        let tracker = open(MemoryStore::new(), &clock);
        let id = finished(&tracker, NewJob::default());
        let step = |days: i64| {
            let micros = clock_time(&tracker).as_micros() + days * 86_400_000_000;
            clock.step_wall(jobtrack::Timestamp::from_micros(micros).unwrap());
        };
        clock.advance(seconds(100));
        step(at_hold);
        tracker.hold(id).unwrap();
        clock.advance(seconds(500));
        step(at_unhold);
        let job = tracker.unhold(id).unwrap();
        assert_eq!(left(&tracker, &job), seconds(200), "{at_hold}, {at_unhold}");
    }
}

#[test]
fn an_import_keeps_a_hold_and_refuses_one_that_expires() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let id = finished(&tracker, NewJob::default());
    let parts = jobtrack::JobParts::from(&*tracker.hold(id).unwrap());
    let other = open(MemoryStore::new(), &clock);
    let mut job = Job::clone(&other.run(Command::import(parts.clone())).unwrap().job);
    job.revision = parts.revision;
    assert_eq!(jobtrack::JobParts::from(&job), parts);
    let expire_time = Some(clock_time(&tracker).saturating_add(DAY));
    let wrong = jobtrack::JobParts {
        uuid: JobId::from_uuid(uuid::Uuid::from_u128(7)),
        expire_time,
        ..parts
    };
    let error = other.run(Command::import(wrong)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contradiction, "{error}");
}
