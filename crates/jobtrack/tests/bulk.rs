//! One action on all that a filter matches, as a job.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Action, Actor, Allows, BULK_KIND, BulkAction, BulkRequest, Cause, Command, ErrorKind, Expr,
    Extension, Failure, JobId, LeaseOptions, Limits, LogKind, Lost, MemoryStore, Names, NewJob,
    Options, Query, Relabel, State, Store, Success, Tracker,
};
use jobtrack_testkit::{CrashStore, Fault, FaultyStore, ManualClock};

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn open_with(store: impl Store + 'static, clock: &ManualClock, options: Options) -> Tracker {
    Tracker::open(store, Options { clock: Arc::new(clock.clone()), ..options }).unwrap()
}

fn open(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    open_with(store, clock, Options::default())
}

fn filter(text: &str) -> Expr {
    let (name, value) = text.split_once('=').unwrap();
    Expr::parse(name, value, Names::Native).unwrap()
}

fn create(tracker: &Tracker, count: usize, new: &NewJob) -> Vec<JobId> {
    let commands = (0..count).map(|_| Command::create(new.clone()));
    tracker.run_all(commands).into_iter().map(|made| made.unwrap().job.uuid).collect()
}

fn of_kind(kind: &str) -> NewJob {
    NewJob { kind: kind.to_owned(), ..NewJob::default() }
}

fn count(tracker: &Tracker, text: &str) -> u64 {
    tracker.count(&Query::matching(filter(text))).unwrap().count
}

fn cancel(text: &str) -> BulkRequest {
    BulkRequest::new(filter(text), BulkAction::Cancel)
}

#[test]
fn it_is_a_job_with_progress_that_says_what_was_done() {
    let tracker = open(MemoryStore::new(), &clock());
    create(&tracker, 600, &of_kind("backup"));
    create(&tracker, 5, &of_kind("restore"));
    let allows = Allows { pause: true, cancel: false };
    let kept = create(&tracker, 3, &NewJob { allows, ..of_kind("backup") });

    let request = BulkRequest {
        actor: Actor::named("alice"),
        reason: "maintenance".to_owned(),
        ..cancel("kind=backup")
    };
    let mut bulk = tracker.bulk(request).unwrap();
    let own = || tracker.get(bulk.job()).unwrap();
    assert_eq!((own().state(), &*own().kind), (State::Running, BULK_KIND));
    assert_eq!(own().progress.as_ref().unwrap().total, Some(603));
    let commits = tracker.revision().number;
    let step = bulk.step().unwrap();
    assert_eq!((step.done(), step.has_ended), (256, false));
    assert_eq!(tracker.revision().number, commits + 1, "a step and its progress are one commit");
    assert_eq!(tracker.get(bulk.job()).unwrap().progress.as_ref().unwrap().done, 256);
    assert_eq!(count(&tracker, "cause=canceled"), 256);

    let id = bulk.job();
    let ended = bulk.run().unwrap();
    assert_eq!((ended.uuid, ended.state(), ended.code()), (id, State::Success, 3));
    let message = format!(
        "cancel: 600 of 603 jobs changed; 3 refused; 3 cannot_cancel: the job does not allow \
         cancel (first of job {})",
        kept[0]
    );
    assert_eq!(ended.message, message);
    assert_eq!(ended.progress.as_ref().unwrap().done, 603);
    assert_eq!(count(&tracker, "state=queued"), 8);
    let canceled = tracker.query(&Query::matching(filter("cause=canceled"))).unwrap().jobs;
    assert_eq!(canceled[0].message, "The job was canceled by alice: maintenance");
    let log = tracker.log(canceled[0].uuid).unwrap();
    assert_eq!(
        (log.entries[1].kind, log.entries[1].actor.name()),
        (LogKind::CancelRequested, "alice")
    );
}

#[test]
fn it_deletes_extends_and_relabels() {
    let tracker = open(MemoryStore::new(), &clock());
    for id in create(&tracker, 10, &of_kind("a")) {
        tracker.start(id).unwrap();
        tracker.succeed(id, Success::default()).unwrap();
    }
    let live = create(&tracker, 2, &of_kind("a"));
    let run =
        |action| tracker.bulk(BulkRequest::new(filter("kind=a"), action)).unwrap().run().unwrap();

    let relabel = Relabel::from([("tier", Some("gold"))]);
    assert_eq!(run(BulkAction::Relabel(relabel.clone())).message, "relabel: 12 of 12 jobs changed");
    assert_eq!(count(&tracker, "labels.tier=gold"), 12);
    let again = &run(BulkAction::Relabel(relabel)).message;
    assert_eq!(again, "relabel: 0 of 12 jobs changed; 12 were so already");
    run(BulkAction::Relabel(Relabel::from([("tier", None)])));
    assert_eq!(count(&tracker, "labels.tier=gold"), 0);

    let hour = Extension { retention: Duration::from_secs(3_600) };
    assert_eq!(run(BulkAction::Extend(hour)).message, "extend: 12 of 12 jobs changed");
    assert_eq!(tracker.get(live[0]).unwrap().retention(), hour.retention);

    let deleted = &run(BulkAction::Delete).message;
    assert!(
        deleted.starts_with("delete: 10 of 12 jobs changed; 2 refused; 2 still_live: "),
        "{deleted}"
    );
    assert_eq!(count(&tracker, "kind=a"), 2);
}

#[test]
fn jobs_that_come_meanwhile_do_not_keep_it_going() {
    let tracker = open(MemoryStore::new(), &clock());
    create(&tracker, 300, &of_kind("a"));
    let mut bulk = tracker.bulk(cancel("kind=a")).unwrap();
    let mut steps = 0;
    while !bulk.step().unwrap().has_ended {
        steps += 1;
        create(&tracker, 300, &of_kind("a"));
        assert!(steps < 5);
    }
    assert_eq!(bulk.progress().changed, 300);
    assert_eq!(count(&tracker, "state=queued"), 300);
}

#[test]
fn what_changes_before_its_turn_is_looked_at_again() {
    let tracker = open(MemoryStore::new(), &clock());
    let ids = create(&tracker, 300, &of_kind("a"));
    let mut bulk = tracker.bulk(cancel("state=queued")).unwrap();
    bulk.step().unwrap();
    tracker.start(ids[270]).unwrap();
    tracker.request(ids[280], Action::Cancel).unwrap();
    tracker.delete(ids[280]).unwrap();
    let ended = bulk.run().unwrap();
    assert_eq!(ended.message, "cancel: 298 of 300 jobs changed");
    assert_eq!(tracker.get(ids[270]).unwrap().state(), State::Running, "it did not match any more");
}

#[test]
fn it_can_be_canceled_and_says_how_far_it_came() {
    let tracker = open(MemoryStore::new(), &clock());
    create(&tracker, 300, &of_kind("a"));
    let mut bulk = tracker.bulk(cancel("kind=a")).unwrap();
    bulk.step().unwrap();
    let pause = tracker.request(bulk.job(), Action::Pause);
    assert_eq!(pause.unwrap_err().kind(), ErrorKind::CannotPause);
    let asked = Command::request(bulk.job(), Action::Cancel).by(Actor::named("bob"));
    assert_eq!(tracker.run(asked).unwrap().job.state(), State::Running, "it ends between steps");
    let ended = bulk.run().unwrap();
    assert_eq!(ended.cause(), Some(Cause::Canceled));
    assert_eq!(ended.message, "cancel: 256 of 300 jobs changed; canceled after 256");
    assert_eq!(count(&tracker, "state=queued"), 44);
}

#[test]
fn one_whose_job_was_ended_by_somebody_goes_no_further() {
    let tracker = open(MemoryStore::new(), &clock());
    create(&tracker, 300, &of_kind("a"));
    let mut bulk = tracker.bulk(cancel("kind=a")).unwrap();
    bulk.step().unwrap();
    tracker.run(Command::fail(bulk.job(), Failure::default()).forced()).unwrap();
    assert_eq!(bulk.step().unwrap_err().kind(), ErrorKind::JobEnded);
    tracker.delete(bulk.job()).unwrap();
    assert_eq!(bulk.step().unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(count(&tracker, "state=queued"), 44);
}

#[test]
fn half_done_it_is_lost_with_its_process_and_can_be_asked_again() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    // Whatever becomes of others that are lost.
    let again = || Options {
        leases: LeaseOptions { lost: Lost::QueueAgain { at_most: 9 }, ..LeaseOptions::default() },
        ..Options::default()
    };
    let tracker = open_with(Arc::clone(&store), &clock, again());
    create(&tracker, 300, &of_kind("a"));
    let mut bulk = tracker.bulk(cancel("kind=a")).unwrap();
    bulk.step().unwrap();
    let id = bulk.job();

    let tracker = open_with(Arc::new(store.crash(0)), &clock, again());
    assert_eq!(tracker.opened().lost, 1);
    let lost = tracker.get(id).unwrap();
    assert_eq!((lost.cause(), lost.progress.as_ref().unwrap().done), (Some(Cause::Lost), 256));
    assert_eq!(count(&tracker, "state=queued"), 44, "a step is there wholly");
    let rest = tracker.bulk(cancel("state=queued")).unwrap().run().unwrap();
    assert_eq!(rest.message, "cancel: 44 of 44 jobs changed");

    // Given up by a process that goes on, it is lost when its lease runs out.
    let id = tracker.bulk(cancel("kind=a")).unwrap().job();
    clock.advance(Duration::from_secs(61));
    tracker.maintain(10).unwrap();
    assert_eq!(tracker.get(id).unwrap().cause(), Some(Cause::Lost));
}

#[test]
fn a_step_that_the_store_fails_can_be_tried_again() {
    let clock = clock();
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let tracker = open(Arc::clone(&store), &clock);
    create(&tracker, 10, &of_kind("a"));
    let mut bulk = tracker.bulk(cancel("kind=a")).unwrap();
    store.fail_commit(1, Fault::Failed(ErrorKind::StoreFailed));
    assert_eq!(bulk.step().unwrap_err().kind(), ErrorKind::StoreFailed);
    assert_eq!(bulk.progress().done(), 0);
    assert_eq!(bulk.run().unwrap().message, "cancel: 10 of 10 jobs changed");
}

#[test]
fn nothing_that_matches_is_an_end_and_what_cannot_be_is_refused() {
    let tracker = open(MemoryStore::new(), &clock());
    let ended = tracker.bulk(cancel("kind=none")).unwrap().run().unwrap();
    assert_eq!((ended.state(), &*ended.message), (State::Success, "cancel: 0 of 0 jobs changed"));
    let before = tracker.revision();
    for (action, kind) in [
        (BulkAction::Relabel(Relabel::default()), ErrorKind::MissingValue),
        (BulkAction::Relabel(Relabel::from([("", Some("x"))])), ErrorKind::InvalidValue),
        (BulkAction::Extend(Extension { retention: Duration::MAX }), ErrorKind::LimitExceeded),
    ] {
        let refused = tracker.bulk(BulkRequest::new(Expr::everything(), action));
        assert_eq!(refused.unwrap_err().kind(), kind);
    }
    assert_eq!(tracker.revision(), before);
}

#[test]
fn a_job_has_no_more_labels_than_it_may_and_a_repeated_creation_finds_it() {
    let limits = Limits { labels: 2, ..Limits::default() };
    let tracker = open_with(MemoryStore::new(), &clock(), Options { limits, ..Options::default() });
    let labels = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into();
    let new = NewJob { labels, idempotency_key: Some("k".to_owned()), ..NewJob::default() };
    let id = tracker.create(new.clone()).unwrap().uuid;
    let third = tracker.run(Command::relabel(id, [("c", Some("3"))])).unwrap_err();
    assert_eq!((third.kind(), third.field()), (ErrorKind::LimitExceeded, Some("labels")));
    let labels = [("c", Some("3")), ("a", None)];
    let job = tracker.run(Command::relabel(id, labels)).unwrap().job;
    assert_eq!(job.labels.iter().collect::<Vec<_>>(), [("b", "2"), ("c", "3")]);
    assert_eq!(tracker.create(new).unwrap().uuid, id, "who retries must not be jammed by it");
}
