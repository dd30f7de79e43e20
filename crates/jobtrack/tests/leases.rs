//! Claims and leases: one owner at a time, whatever workers, clocks and restarts do.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Action, Actor, Cause, Claim, Command, Direction, Durability, ErrorKind, Expr, Failure, Field,
    Hold, Job, JobId, LeaseOptions, Lost, MemoryStore, NewJob, Options, Order, Query, State, Store,
    Success, Tracker,
};
use jobtrack_testkit::{CrashStore, Fault, FaultyStore, ManualClock};

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn open(store: impl Store + 'static, clock: &ManualClock, leases: LeaseOptions) -> Tracker {
    let options = Options { clock: Arc::new(clock.clone()), leases, ..Options::default() };
    Tracker::open(store, options).unwrap()
}

fn tracker(clock: &ManualClock, lost: Lost) -> Tracker {
    open(MemoryStore::new(), clock, LeaseOptions { lost, ..LeaseOptions::default() })
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn any() -> Claim {
    Claim::matching(Expr::everything(), Hold::leased("worker-1"))
}

fn token(job: &Job) -> u64 {
    job.lease.as_ref().unwrap().token
}

fn named(tracker: &Tracker, description: &str) -> JobId {
    tracker.create(NewJob::described(description)).unwrap().uuid
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, jobtrack::Error>) -> (ErrorKind, String) {
    let error = outcome.unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_claim_takes_the_best_queued_job_that_matches_in_the_order_asked_for() {
    let clock = clock();
    let tracker = tracker(&clock, Lost::Fail);
    for name in ["b", "a", "d", "c"] {
        named(&tracker, name);
    }
    let order = Order::by(Field::Description, Direction::Descending).unwrap();
    let filter = Expr::is(Field::Description, "c").unwrap().negate();
    let claim =
        || Claim { order: order.clone(), ..Claim::matching(filter.clone(), Hold::leased("w")) };
    let mut taken = Vec::new();
    while let Some(job) = tracker.claim(claim()).unwrap() {
        assert_eq!((job.state(), token(&job)), (State::Running, 1));
        taken.push(job.description.clone());
        if taken.len() == 1 {
            named(&tracker, "cc"); // Queued meanwhile, and the best now.
        }
    }
    assert_eq!(taken, ["d", "cc", "b", "a"]);
    assert_eq!(refused(tracker.run(Command::claim(claim()))).0, ErrorKind::NothingToClaim);
}

#[test]
fn two_claimers_never_get_the_same_job_in_one_commit_or_in_many() {
    let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
    for outcome in tracker.run_all((0..500).map(|_| Command::create(NewJob::default()))) {
        outcome.unwrap();
    }
    let taken: Vec<JobId> = std::thread::scope(|scope| {
        let claimers: Vec<_> = (0..8)
            .map(|n| {
                let tracker = tracker.clone();
                scope.spawn(move || {
                    let mut taken = Vec::new();
                    loop {
                        let claims = (0..n % 4 + 1).map(|_| Command::claim(any()));
                        let outcomes = tracker.run_all(claims);
                        let found: Vec<_> =
                            outcomes.into_iter().flatten().map(|it| it.job.uuid).collect();
                        if found.is_empty() {
                            return taken;
                        }
                        taken.extend(found);
                    }
                })
            })
            .collect();
        claimers.into_iter().flat_map(|claimer| claimer.join().unwrap()).collect()
    });
    assert_eq!(taken.len(), 500);
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), 500);
}

#[test]
fn a_job_created_changed_and_claimed_in_one_commit_is_decided_in_turn() {
    let clock = clock();
    let tracker = tracker(&clock, Lost::Fail);
    let id = named(&tracker, "first");
    let outcomes = tracker.run_all([
        Command::claim(any()),
        Command::create(NewJob::described("second")),
        Command::claim(any()),
        Command::claim(any()),
        Command::release(id, 1),
        Command::claim(any()),
    ]);
    let of = |n: usize| outcomes[n].as_ref().unwrap().job.clone();
    assert_eq!(of(0).uuid, id);
    assert_eq!(of(2).description, "second");
    assert_eq!(outcomes[3].as_ref().unwrap_err().kind(), ErrorKind::NothingToClaim);
    assert_eq!((of(5).uuid, token(&of(5))), (id, 2), "given back, and given out with a new token");
}

#[test]
fn only_who_shows_the_token_writes_and_everybody_else_is_told_who_holds_it() {
    let clock = clock();
    let tracker = tracker(&clock, Lost::QueueAgain { at_most: 3 });
    let id = named(&tracker, "");
    let first = token(&tracker.claim(any()).unwrap().unwrap());
    let (kind, message) = refused(tracker.report(id, "mine"));
    assert_eq!(kind, ErrorKind::Leased);
    assert_eq!(
        message,
        "the job is held by worker-1 since 2026-03-01T10:00:00Z until 2026-03-01T10:01:00Z; show \
         the token of that lease"
    );
    assert_eq!(refused(tracker.claim_job(id, Hold::leased("other"))).0, ErrorKind::Leased);

    clock.advance(seconds(60));
    let second = tracker.claim_job(id, Hold::leased("worker-2")).unwrap();
    assert_eq!((token(&second), second.losses), (first + 1, 1));
    let late = Command::succeed(id, Success::default()).holding(first);
    let (kind, message) = refused(tracker.run(late));
    assert_eq!(kind, ErrorKind::LeaseLost);
    assert_eq!(
        message,
        "token 1 is not valid any more: the job is held by worker-2 since 2026-03-01T10:01:00Z \
         until 2026-03-01T10:02:00Z"
    );
    tracker.run(Command::succeed(id, Success::default()).holding(first + 1)).unwrap();
    let ended = tracker.get(id).unwrap();
    assert_eq!((ended.state(), ended.lease.clone()), (State::Success, None));
}

#[test]
fn a_lease_is_renewed_by_every_write_of_its_holder_and_ends_by_the_trackers_clock_alone() {
    let clock = clock();
    let tracker = tracker(&clock, Lost::Fail);
    let id = named(&tracker, "");
    let token = token(&tracker.claim(any()).unwrap().unwrap());
    for n in 0..10 {
        clock.advance(seconds(59));
        clock.step_wall("2036-01-01T00:00:00Z".parse().unwrap()); // A wall that lies changes nothing.
        match n % 2 {
            0 => tracker.renew(id, token).unwrap(),
            _ => tracker.run(Command::report(id, "going on").holding(token)).unwrap().job,
        };
    }
    clock.advance(seconds(60));
    // Nobody has written since: it is shown with the time at which its lease ended.
    let shown = tracker.get(id).unwrap();
    assert!(
        shown.state() == State::Running && shown.lease.as_ref().unwrap().until <= tracker.now()
    );
    let (kind, message) = refused(tracker.renew(id, token));
    assert_eq!(kind, ErrorKind::JobEnded, "{message}");
    let lost = tracker.get(id).unwrap();
    assert_eq!((lost.state(), lost.cause()), (State::Failure, Some(Cause::Lost)));
    assert_eq!(lost.message, "The worker of the job was lost: worker-1");
    assert_eq!((lost.code(), lost.losses), (3, 1));
}

#[test]
fn maintenance_alone_notices_a_lost_worker_within_its_budget() {
    let clock = clock();
    let tracker = tracker(&clock, Lost::Fail);
    for _ in 0..5 {
        named(&tracker, "");
        tracker.claim(any()).unwrap().unwrap();
    }
    clock.advance(seconds(60));
    let first = tracker.maintain(3).unwrap();
    assert_eq!((first.lapsed, first.more), (3, true));
    let second = tracker.maintain(3).unwrap();
    assert_eq!((second.lapsed, second.more), (2, false));
    assert_eq!(tracker.counts().unwrap().of_state(State::Failure), 5);
}

#[test]
fn the_policy_of_the_kind_decides_what_becomes_of_the_lost() {
    let clock = clock();
    let leases = LeaseOptions {
        by_kind: [
            ("again".to_owned(), Lost::QueueAgain { at_most: 2 }),
            ("leave".to_owned(), Lost::Leave),
        ]
        .into(),
        ..LeaseOptions::default()
    };
    let tracker = open(MemoryStore::new(), &clock, leases);
    let of_kind = |kind: &str| {
        tracker.create(NewJob { kind: kind.to_owned(), ..NewJob::default() }).unwrap().uuid
    };
    let (again, leave) = (of_kind("again"), of_kind("leave"));
    tracker.claim_job(leave, Hold::leased("w")).unwrap();
    for n in 1..=2 {
        tracker.claim_job(again, Hold::leased("w")).unwrap();
        clock.advance(seconds(60));
        assert!(tracker.maintain(10).unwrap().lapsed > 0);
        let job = tracker.get(again).unwrap();
        assert_eq!((job.state(), job.losses), (State::Queued, n));
        assert_eq!(job.message, "Queued again: its worker w was lost");
        assert_eq!(job.start_time().unwrap().to_string(), "2026-03-01T10:00:00Z");
    }
    tracker.claim_job(again, Hold::leased("w")).unwrap();
    clock.advance(seconds(60));
    tracker.maintain(10).unwrap();
    assert_eq!(tracker.get(again).unwrap().cause(), Some(Cause::Lost));

    let left = tracker.get(leave).unwrap();
    assert_eq!((left.state(), left.lease.clone(), left.losses), (State::Running, None, 1));
    // Whoever cares for it can take it up, or end it.
    let taken = tracker.claim_job(leave, Hold::leased("v")).unwrap();
    assert_eq!((taken.state(), token(&taken)), (State::Running, 2));
}

#[test]
fn a_held_job_keeps_a_request_until_it_is_answered_or_its_worker_is_gone() {
    let clock = clock();
    let tracker = tracker(&clock, Lost::QueueAgain { at_most: 9 });
    let (a, b, c) = (named(&tracker, ""), named(&tracker, ""), named(&tracker, ""));
    for id in [a, b, c] {
        tracker.claim_job(id, Hold::leased("w")).unwrap();
        let cancel = Command::request(id, Action::Cancel).by(Actor::named("alice"));
        assert_eq!(tracker.run(cancel).unwrap().job.state(), State::Running);
    }
    tracker.run(Command::fail(a, Failure::default()).holding(1)).unwrap();
    tracker.release(b, 1).unwrap();
    clock.advance(seconds(60));
    tracker.maintain(10).unwrap();
    for id in [a, b, c] {
        let job = tracker.get(id).unwrap();
        assert_eq!(
            (job.cause(), &*job.message),
            (Some(Cause::Canceled), "The job was canceled by alice")
        );
    }
}

#[test]
fn an_operator_ends_a_held_job_by_force_and_its_worker_hears_of_it() {
    let clock = clock();
    let tracker = tracker(&clock, Lost::Leave);
    let id = named(&tracker, "");
    tracker.claim(any()).unwrap();
    assert_eq!(refused(tracker.fail(id, Failure::default())).0, ErrorKind::Leased);
    let forced = |command: Command| tracker.run(command.forced());
    assert_eq!(
        refused(forced(Command::pause(id))),
        (
            ErrorKind::InvalidValue,
            "force: only a job's end can be forced: succeed or fail".to_owned()
        )
    );
    forced(Command::fail(id, Failure::new(9, "stuck"))).unwrap();
    let late = tracker.run(Command::report(id, "alive!").holding(1));
    assert_eq!(refused(late).0, ErrorKind::JobEnded);
}

#[test]
fn a_restart_gives_every_lease_a_full_term_and_forgets_no_token() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let leases =
        || LeaseOptions { lost: Lost::QueueAgain { at_most: 5 }, ..LeaseOptions::default() };
    let tracker = open(Arc::clone(&store), &clock, leases());
    let (held, given_back) = (named(&tracker, ""), named(&tracker, ""));
    tracker.claim_job(held, Hold::leased("w").lasting(seconds(100))).unwrap();
    tracker.claim_job(given_back, Hold::leased("w")).unwrap();
    tracker.release(given_back, 1).unwrap();
    clock.advance(seconds(99));
    tracker.run(Command::renew(held, 1, None)).unwrap(); // Deferred: the crash takes it.

    let store = Arc::new(store.crash(0));
    clock.restart();
    clock.advance(seconds(50_000)); // The machine was down for long.
    let again = open(Arc::clone(&store), &clock, leases());
    let job = again.get(held).unwrap();
    let lease = job.lease.as_ref().unwrap();
    assert_eq!((lease.token, lease.term, &*lease.holder), (1, Some(seconds(100)), "w"));
    assert_eq!(lease.until, again.now().saturating_add(seconds(100)));
    clock.advance(seconds(99));
    again.renew(held, 1).unwrap();
    assert_eq!(token(&again.claim_job(given_back, Hold::leased("w")).unwrap()), 2);

    clock.advance(seconds(100));
    again.maintain(10).unwrap();
    again.close().unwrap();
    drop(again);
    let third = open(Arc::clone(&store), &clock, leases());
    let job = third.get(held).unwrap();
    assert_eq!((job.claims, job.losses, job.lease.clone()), (1, 1, None));
    assert_eq!(token(&third.claim_job(held, Hold::leased("w")).unwrap()), 2);
}

#[test]
fn an_owner_in_the_process_loses_its_jobs_to_its_next_incarnation_and_to_no_other() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let owned = |owner: Option<&str>| LeaseOptions {
        owner: owner.map(str::to_owned),
        ..LeaseOptions::default()
    };
    let tracker = open(Arc::clone(&store), &clock, owned(Some("controller")));
    let id = named(&tracker, "");
    let claim = || Claim::matching(Expr::everything(), Hold::in_process());
    let job = tracker.claim(claim()).unwrap().unwrap();
    assert_eq!(job.lease.as_ref().unwrap().holder, "controller");
    clock.advance(seconds(1_000_000));
    tracker.maintain(10).unwrap();
    assert_eq!(tracker.get(id).unwrap().state(), State::Running, "it has no term");
    tracker.close().unwrap();
    drop(tracker);

    let other = open(Arc::clone(&store), &clock, owned(None));
    assert_eq!((other.opened().lost, other.get(id).unwrap().state()), (0, State::Running));
    assert_eq!(refused(other.claim(claim())).0, ErrorKind::InvalidValue, "there is no owner");
    drop(other);

    let next = open(Arc::clone(&store), &clock, owned(Some("controller")));
    assert_eq!(next.opened().lost, 1);
    let lost = next.get(id).unwrap();
    assert_eq!(
        (lost.cause(), &*lost.message),
        (Some(Cause::Lost), "The worker of the job was lost: controller")
    );
    // The new incarnation has the name, but not the token's power.
    assert_eq!(refused(next.run(Command::report(id, "").holding(1))).0, ErrorKind::JobEnded);
}

#[test]
fn a_claim_survives_a_crash_even_if_it_was_asked_for_deferred() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store), &clock, LeaseOptions::default());
    let id = named(&tracker, "");
    tracker.run(Command::claim(any()).durability(Durability::Deferred)).unwrap();
    let again = open(Arc::new(store.crash(0)), &clock, LeaseOptions::default());
    assert_eq!(token(&again.get(id).unwrap()), 1);
}

#[test]
fn a_claim_whose_commit_fails_leaves_the_job_for_the_next() {
    let clock = clock();
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let tracker = open(Arc::clone(&store), &clock, LeaseOptions::default());
    let ids = [named(&tracker, ""), named(&tracker, "")];
    assert_eq!(tracker.claim(any()).unwrap().unwrap().uuid, ids[0]);
    store.fail_commit(1, Fault::Failed(ErrorKind::StoreFailed));
    assert_eq!(refused(tracker.claim(any())).0, ErrorKind::StoreFailed);
    assert_eq!(tracker.get(ids[1]).unwrap().state(), State::Queued);
    assert_eq!(tracker.claim(any()).unwrap().unwrap().uuid, ids[1]);
}

#[test]
fn a_running_job_past_its_deadline_fails_as_timed_out() {
    let clock = clock();
    let tracker = tracker(&clock, Lost::QueueAgain { at_most: 9 });
    let until = |n| Some(tracker.now().saturating_add(seconds(n)));
    let new = |n| NewJob { deadline: until(n), ..NewJob::default() };
    let (running, held, paused, queued) = (
        tracker.create(new(30)).unwrap().uuid,
        tracker.create(new(30)).unwrap().uuid,
        tracker.create(new(30)).unwrap().uuid,
        tracker.create(new(30)).unwrap().uuid,
    );
    tracker.start(running).unwrap();
    tracker.claim_job(held, Hold::leased("w")).unwrap();
    tracker.start(paused).unwrap();
    tracker.pause(paused).unwrap();
    clock.advance(Duration::from_micros(29_999_999));
    assert_eq!(tracker.maintain(10).unwrap().lapsed, 0);
    clock.advance(Duration::from_micros(1));
    let late = tracker.run(Command::succeed(held, Success::default()).holding(1));
    assert_eq!(refused(late).0, ErrorKind::JobEnded);
    for id in [running, held] {
        let job = tracker.get(id).unwrap();
        assert_eq!((job.cause(), job.code()), (Some(Cause::TimedOut), 4));
        assert_eq!(job.message, "The job ran past its deadline");
    }
    // Only what runs can run past it.
    assert_eq!(tracker.get(paused).unwrap().state(), State::Paused);
    assert_eq!(tracker.get(queued).unwrap().state(), State::Queued);
    tracker.resume(paused).unwrap();
    tracker.maintain(10).unwrap();
    assert_eq!(tracker.get(paused).unwrap().cause(), Some(Cause::TimedOut));
    let timed_out = Expr::is(Field::Cause, Cause::TimedOut).unwrap();
    assert_eq!(tracker.count(&Query::matching(timed_out)).unwrap().count, 3);
}

#[test]
fn bad_claims_are_refused_by_name() {
    let clock = clock();
    let tracker = tracker(&clock, Lost::Fail);
    let id = named(&tracker, "");
    let field = |hold: Hold| {
        let error = tracker.claim_job(id, hold).unwrap_err();
        error.field().map(str::to_owned)
    };
    assert_eq!(field(Hold::leased("")).as_deref(), Some("holder"));
    assert_eq!(field(Hold::leased("a\nb")).as_deref(), Some("holder"));
    assert_eq!(field(Hold::leased("w").lasting(Duration::ZERO)).as_deref(), Some("term"));
    assert_eq!(field(Hold::leased("w").lasting(Duration::MAX)).as_deref(), Some("term"));
    assert_eq!(refused(tracker.renew(id, 1)).0, ErrorKind::LeaseLost);
    assert_eq!(refused(tracker.release(id, 1)).0, ErrorKind::LeaseLost);
    let options = Options {
        leases: LeaseOptions { term: Duration::ZERO, ..LeaseOptions::default() },
        ..Options::default()
    };
    let error = Tracker::open(MemoryStore::new(), options).unwrap_err();
    assert_eq!(error.field(), Some("leases.term"));
    assert_eq!(tracker.get(id).unwrap().state(), State::Queued);
}
