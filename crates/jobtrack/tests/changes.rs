//! What a tracker does with commands: decides, refuses, counts, answers.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use jobtrack::{
    Action, Actor, Command, ErrorKind, Failure, Field, JobId, Limits, MemoryStore, Names, NewJob,
    Options, Query, State, Success, Tracker,
};

fn open() -> Tracker {
    Tracker::open(MemoryStore::new(), Options::default()).unwrap()
}

fn id(n: u128) -> JobId {
    JobId::from_uuid(uuid::Uuid::from_u128(n))
}

fn with_id(n: u128) -> NewJob {
    NewJob { uuid: Some(id(n)), ..NewJob::default() }
}

#[test]
fn a_job_goes_its_way_and_each_change_has_a_greater_revision() {
    let tracker = open();
    let mut revisions = Vec::new();
    let mut note = |job: Arc<jobtrack::Job>| {
        revisions.push(job.revision);
        job
    };
    let job = note(tracker.create(NewJob::described("Backup")).unwrap());
    note(tracker.start(job.uuid).unwrap());
    note(tracker.report(job.uuid, "half").unwrap());
    note(tracker.pause(job.uuid).unwrap());
    note(tracker.resume(job.uuid).unwrap());
    note(tracker.succeed(job.uuid, Success::default()).unwrap());
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");

    let found = tracker.get(job.uuid).unwrap();
    assert_eq!((found.state(), found.message.as_str()), (State::Success, "half"));
    assert_eq!(found.revision, tracker.revision());
    let deleted = tracker.delete(job.uuid).unwrap();
    assert_eq!(deleted.state(), State::Success);
    assert_eq!(tracker.get(job.uuid).unwrap_err().kind(), ErrorKind::Gone);
}

#[test]
fn a_refusal_changes_nothing() {
    let tracker = open();
    let job = tracker.create(NewJob::described("Backup")).unwrap();
    let before = tracker.revision();
    let refusals = [
        (Command::create(with_id(1)).expecting(before), ErrorKind::InvalidValue),
        (Command::succeed(job.uuid, Success::default()), ErrorKind::NotRunning),
        (Command::delete(job.uuid), ErrorKind::StillLive),
        (Command::start(id(7)), ErrorKind::NotFound),
        (
            Command::create(NewJob { uuid: Some(job.uuid), ..NewJob::default() }),
            ErrorKind::AlreadyExists,
        ),
        (Command::fail(job.uuid, Failure::new(0, "x")), ErrorKind::InvalidValue),
        (Command::report(job.uuid, "a\0b"), ErrorKind::InvalidValue),
        (Command::report(job.uuid, "x".repeat(5_000)), ErrorKind::LimitExceeded),
    ];
    for (command, kind) in refusals {
        let error = tracker.run(command).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(tracker.revision(), before);
    assert_eq!(*tracker.get(job.uuid).unwrap().job, *job);
    assert_eq!(tracker.counts().unwrap().total(), 1);
}

#[test]
fn a_refusal_names_field_and_limit() {
    let tracker = open();
    let message = |job: NewJob| tracker.create(job).unwrap_err().to_string();
    let label = |name: &str| BTreeMap::from([(name.to_owned(), "x".to_owned())]);
    assert_eq!(
        message(NewJob::described("x".repeat(2_000))),
        "description: the text is 2000 bytes long, at most 1024 may be"
    );
    assert_eq!(
        message(NewJob { kind: "a\u{7}b".to_owned(), ..NewJob::default() }),
        "kind: the name holds the control character '\\u{7}' (at byte 1)"
    );
    assert_eq!(
        message(NewJob { labels: label(""), ..NewJob::default() }),
        "labels: a label must have a name"
    );
    let many = (0..33).map(|n| (format!("l{n}"), String::new())).collect();
    assert_eq!(
        message(NewJob { labels: many, ..NewJob::default() }),
        "labels: 33 are given, at most 32 may be"
    );
    let for_ever = Some(std::time::Duration::from_secs(u64::MAX));
    let error = tracker.create(NewJob { retention: for_ever, ..NewJob::default() }).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("retention")));
}

#[test]
fn the_cap_on_jobs_refuses_creation_alone() {
    let limits = Limits { jobs: 2, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
    let outcomes = tracker.run_all((1..=3).map(|n| Command::create(with_id(n))));
    assert!(outcomes[0].is_ok() && outcomes[1].is_ok());
    assert_eq!(outcomes[2].as_ref().unwrap_err().kind(), ErrorKind::LimitExceeded);
    tracker.start(id(1)).unwrap();
    tracker.succeed(id(1), Success::default()).unwrap();
    tracker.delete(id(1)).unwrap();
    tracker.create(with_id(4)).unwrap();
}

#[test]
fn commands_on_one_job_in_one_group_are_decided_in_turn() {
    let tracker = open();
    let outcomes = tracker.run_all([
        Command::create(with_id(1)),
        Command::start(id(1)),
        Command::start(id(1)),
        Command::succeed(id(1), Success::with_message("done")),
        Command::delete(id(1)),
        Command::create(with_id(1)),
        Command::create(with_id(2)),
    ]);
    let states: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(applied) => Ok(applied.job.state()),
            Err(error) => Err(error.kind()),
        })
        .collect();
    assert_eq!(
        states,
        [
            Ok(State::Queued),
            Ok(State::Running),
            Err(ErrorKind::NotQueued),
            Ok(State::Success),
            Ok(State::Success),
            Err(ErrorKind::AlreadyExists),
            Ok(State::Queued),
        ]
    );
    // All of one commit, and seen together.
    let revisions: Vec<_> = outcomes.iter().flatten().map(|applied| applied.revision).collect();
    assert!(revisions.iter().all(|revision| *revision == tracker.revision()), "{revisions:?}");
    assert_eq!(tracker.counts().unwrap().total(), 1);
}

#[test]
fn an_expected_revision_guards_a_change() {
    let tracker = open();
    let job = tracker.create(with_id(1)).unwrap();
    let seen = job.revision;
    tracker.run(Command::start(id(1)).expecting(seen)).unwrap();
    let error = tracker.run(Command::pause(id(1)).expecting(seen)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // What came earlier in the same group has changed it as well.
    let seen = tracker.get(id(1)).unwrap().job.revision;
    let outcomes = tracker.run_all([
        Command::report(id(1), "first").expecting(seen),
        Command::report(id(1), "second").expecting(seen),
    ]);
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn who_asked_and_why_is_kept_with_the_request() {
    let tracker = open();
    tracker.create(NewJob { cooperative: true, ..with_id(1) }).unwrap();
    tracker.start(id(1)).unwrap();
    let ask =
        Command::request(id(1), Action::Pause).by(Actor::named("alice")).because("backup window");
    tracker.run(ask).unwrap();
    let request = tracker.get(id(1)).unwrap().requested.clone().unwrap();
    assert_eq!((request.by.name(), request.reason.as_str()), ("alice", "backup window"));
}

#[test]
fn counts_are_by_kind_and_state() {
    let tracker = open();
    for n in 0..10 {
        let kind = if n % 2 == 0 { "backup" } else { "" };
        tracker.create(NewJob { kind: kind.to_owned(), ..with_id(n) }).unwrap();
    }
    for n in 0..3 {
        tracker.start(id(n)).unwrap();
    }
    tracker.fail(id(0), Failure::default()).unwrap();
    let counts = tracker.counts().unwrap();
    assert_eq!(counts.total(), 10);
    assert_eq!(counts.of_state(State::Running), 2);
    assert_eq!(counts.of("backup", State::Queued), 3);
    assert_eq!(counts.of("backup", State::Failure), 1);
    assert_eq!(counts.of("", State::Running), 1);
    assert_eq!(counts.kinds().collect::<Vec<_>>(), ["", "backup"]);
}

#[test]
fn a_query_sees_every_change_once_it_is_acknowledged() {
    let tracker = open();
    let running = || {
        let filter = jobtrack::Expr::parse("state", "running", Names::Native).unwrap();
        let jobs = tracker.query(&Query::matching(filter)).unwrap().jobs;
        jobs.iter().map(|job| job.uuid).collect::<Vec<_>>()
    };
    for n in 1..=3 {
        tracker.create(with_id(n)).unwrap();
    }
    assert_eq!(running(), []);
    tracker.start(id(2)).unwrap();
    assert_eq!(running(), [id(2)]);
    tracker.start(id(1)).unwrap();
    assert_eq!(running(), [id(1), id(2)]);
    tracker.succeed(id(2), Success::default()).unwrap();
    assert_eq!(running(), [id(1)]);
    let field = Field::parse("state", Names::Native).unwrap();
    assert_eq!(field, Field::State);
}

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_ticket_is_awaited_without_any_runtime_and_never_drives() {
    let tracker = open();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = Context::from_waker(&waker);
    let mut ticket = pin!(tracker.submit(Command::create(with_id(1))));
    assert!(ticket.as_mut().poll(&mut context).is_pending());
    assert_eq!(tracker.get(id(1)).unwrap_err().kind(), ErrorKind::NotFound);

    assert_eq!(tracker.drive(), 1);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(Ok(applied)) = ticket.poll(&mut context) else { panic!("still pending") };
    assert_eq!(applied.job.uuid, id(1));
    assert_eq!(tracker.drive(), 0);
}

#[test]
fn dropping_a_ticket_does_not_withdraw_its_command() {
    let tracker = open();
    drop(tracker.submit(Command::create(with_id(1))));
    // A caller that blocks commits what was queued before it, too.
    tracker.create(with_id(2)).unwrap();
    assert!(tracker.get(id(1)).is_ok());
}

#[test]
fn a_command_over_a_limit_is_refused_before_it_is_queued() {
    let tracker = open();
    let ticket = tracker.submit(Command::create(NewJob::described("x".repeat(2_000))));
    assert!(ticket.is_decided());
    assert_eq!(ticket.wait().unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert_eq!(tracker.drive(), 0);
}

#[test]
fn after_closing_everything_is_refused_and_nobody_is_left_waiting() {
    let tracker = open();
    tracker.create(with_id(1)).unwrap();
    let waiting = tracker.submit(Command::start(id(1)));
    tracker.close().unwrap();
    tracker.close().unwrap();
    let closed = ErrorKind::Closed;
    assert_eq!(waiting.wait().unwrap_err().kind(), closed);
    assert_eq!(tracker.submit(Command::start(id(1))).wait().unwrap_err().kind(), closed);
    assert_eq!(tracker.start(id(1)).unwrap_err().kind(), closed);
    assert_eq!(tracker.maintain(10).unwrap_err().kind(), closed);
    // An answer could hide what has expired since, and could not store that it did.
    assert_eq!(tracker.get(id(1)).unwrap_err().kind(), closed);
    assert_eq!(tracker.query(&Query::default()).unwrap_err().kind(), closed);
    assert_eq!(tracker.counts().unwrap_err().kind(), closed);
}

#[test]
fn a_ticket_that_nobody_drove_ends_with_the_tracker() {
    let tracker = open();
    let ticket = tracker.submit(Command::create(with_id(1)));
    drop(tracker);
    assert_eq!(ticket.wait().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn limits_are_limited_so_that_every_text_can_be_asked_for() {
    let open = |limits| {
        let options = Options { limits, ..Options::default() };
        Tracker::open(MemoryStore::new(), options).map(drop)
    };
    let error = open(Limits { message: 65_537, ..Limits::default() }).unwrap_err();
    let expected = (ErrorKind::LimitExceeded, Some("limits.message"));
    assert_eq!((error.kind(), error.field()), expected);
    open(Limits { message: 65_536, ..Limits::default() }).unwrap();
}
