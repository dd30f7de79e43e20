//! What users of comparable systems ask for or suffer from: one test each, which would fail on the
//! behaviour complained of.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobtrack::{
    Action, Actor, Argument, BulkAction, BulkRequest, Cause, Claim, Command, Durability, Ending,
    ErrorKind, EventKind, Expr, Failure, FailureError, Hold, JobId, LeaseOptions, Limits, Lost,
    MemoryStore, Names, NewJob, Options, Order, Progress, Query, Report, RetentionRule, Severity,
    State, Store, Success, Tracker,
};
use jobtrack_testkit::{CrashStore, ManualClock};

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn open_with(store: impl Store + 'static, clock: &ManualClock, options: Options) -> Tracker {
    Tracker::open(store, Options { clock: Arc::new(clock.clone()), ..options }).unwrap()
}

fn open(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    open_with(store, clock, Options::default())
}

fn running(tracker: &Tracker, job: NewJob) -> JobId {
    let id = tracker.create(job).unwrap().uuid;
    tracker.start(id).unwrap();
    id
}

fn filter(text: &str) -> Expr {
    let (name, value) = text.split_once('=').unwrap();
    Expr::parse(name, value, Names::Native).unwrap()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn row_01_the_result_is_gone_before_it_is_read() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let id = running(&tracker, NewJob { retention: Some(seconds(60)), ..NewJob::default() });
    tracker.fail(id, Failure::new(7, "no space")).unwrap();
    for _ in 0..100 {
        assert_eq!(tracker.get(id).unwrap().code(), 7, "reading deletes nothing");
    }
    tracker.extend(id, seconds(120)).unwrap();
    clock.advance(seconds(119));
    assert_eq!(tracker.get(id).unwrap().code(), 7);
    clock.advance(seconds(1));
    let gone = tracker.get(id).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Gone, "a late asker hears that it expired");
    assert!(gone.message().contains("ended in failure"), "{gone}");

    // One length does not fit all: failures stay longer by rule, and what somebody needs is held.
    let failures = RetentionRule::any(seconds(3_600)).ending(Ending::Failure);
    let options = Options { retention_rules: vec![failures], ..Options::default() };
    let tracker = open_with(MemoryStore::new(), &clock, options);
    let (good, bad) = (running(&tracker, NewJob::default()), running(&tracker, NewJob::default()));
    tracker.succeed(good, Success::default()).unwrap();
    tracker.fail(bad, Failure::default()).unwrap();
    tracker.hold(good).unwrap();
    clock.advance(seconds(3_599));
    assert!(tracker.get(good).is_ok() && tracker.get(bad).is_ok());
    tracker.unhold(good).unwrap();
    clock.advance(seconds(300));
    assert!(tracker.get(good).is_err() && tracker.get(bad).is_err());
}

#[test]
fn row_02_finished_jobs_fill_memory_and_deletion_cannot_keep_up() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let records = |store: &MemoryStore| {
        let mut jobs = 0;
        let mut count = |space, _: &[u8], _| {
            jobs += usize::from(space == jobtrack::store::Space::Job);
            Ok(())
        };
        store.load(&mut count).unwrap();
        jobs
    };
    let round = || {
        for _ in 0..50 {
            let id = running(&tracker, NewJob { retention: Some(seconds(1)), ..NewJob::default() });
            tracker.succeed(id, Success::default()).unwrap();
        }
        clock.advance(seconds(2));
    };
    round();
    // Load alone, without any maintenance, gives back what has expired.
    for _ in 0..20 {
        round();
        assert!(records(&store) <= 100, "{} records", records(&store));
    }
    drop(tracker);

    // A cap by number or bytes is met by those that are finished, and by a refusal if none is.
    let limits = Limits { jobs: 20, bytes: 3_000, ..Limits::default() };
    let options = Options { limits, evict: true, ..Options::default() };
    let tracker = open_with(MemoryStore::new(), &clock, options);
    for _ in 0..100 {
        let id = running(&tracker, NewJob::default());
        tracker.succeed(id, Success::default()).unwrap();
        assert!(tracker.counts().unwrap().total() <= 20);
    }
    let full = (0..100).find_map(|_| tracker.create(NewJob::default()).err()).unwrap();
    assert_eq!(full.kind(), ErrorKind::LimitExceeded);
    assert_eq!(tracker.counts().unwrap().of_state(State::Success), 0, "{full}");
    let live = tracker.query(&Query::default()).unwrap().jobs;
    // And when it is full, ending and deleting still work.
    tracker.start(live[0].uuid).unwrap();
    tracker.succeed(live[0].uuid, Success::default()).unwrap();
    tracker.delete(live[0].uuid).unwrap();
    tracker.create(NewJob::default()).unwrap();
}

#[test]
fn row_03_running_for_ever_after_a_crash_or_forgotten_at_restart() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let owned = || Options {
        leases: LeaseOptions { owner: Some("controller".to_owned()), ..LeaseOptions::default() },
        ..Options::default()
    };
    let tracker = open_with(Arc::clone(&store), &clock, owned());
    let mine = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.claim_job(mine, Hold::in_process()).unwrap();
    let theirs = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.claim_job(theirs, Hold::leased("worker")).unwrap();
    let queued = tracker.create(NewJob::default()).unwrap().uuid;

    // The machine loses power. Whoever comes back has the same name.
    let tracker = open_with(Arc::new(store.crash(0)), &clock, owned());
    assert_eq!(tracker.get(mine).unwrap().cause(), Some(Cause::Lost));
    assert_eq!(tracker.get(theirs).unwrap().state(), State::Running, "its worker may be well");
    assert_eq!(tracker.get(queued).unwrap().state(), State::Queued, "nothing is forgotten");
    clock.advance(seconds(60));
    tracker.maintain(10).unwrap();
    assert_eq!(tracker.get(theirs).unwrap().cause(), Some(Cause::Lost));
}

#[test]
fn row_04_a_slow_but_living_job_is_rescued() {
    let clock = clock();
    let leases = LeaseOptions { lost: Lost::QueueAgain { at_most: 9 }, ..LeaseOptions::default() };
    let tracker = open_with(MemoryStore::new(), &clock, Options { leases, ..Options::default() });
    let id = tracker.create(NewJob::default()).unwrap().uuid;
    let any = || Claim::matching(Expr::everything(), Hold::leased("worker"));
    tracker.claim(any()).unwrap().unwrap();
    for _ in 0..1_000 {
        clock.advance(seconds(59));
        tracker.renew(id, 1).unwrap();
        tracker.maintain(10).unwrap();
        assert_eq!(tracker.claim(any()).unwrap(), None, "it lives, so nobody else gets it");
    }
    // It is thought dead, another finishes its job, and it wakes: the end stays as it is.
    clock.advance(seconds(61));
    tracker.maintain(10).unwrap();
    let second = tracker.claim(any()).unwrap().unwrap();
    assert_eq!(second.losses, 1);
    let ended = tracker.run(Command::succeed(id, Success::with_message("by another")).holding(2));
    let ended = ended.unwrap().job;
    let late = tracker.run(Command::fail(id, Failure::default()).holding(1));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::JobEnded);
    assert_eq!(tracker.get(id).unwrap().job, ended);
}

#[test]
fn row_05_i_cannot_find_my_job() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    for n in 0..500 {
        running(&tracker, NewJob::described(format!("filler {n}")));
    }
    let labels = [("tier".to_owned(), "gold".to_owned())].into();
    let mine = running(
        &tracker,
        NewJob { labels, node: "node-7".to_owned(), ..NewJob::described("Backup of vol1") },
    );
    tracker.report(mine, "copying /srv/a").unwrap();
    for text in [
        "labels.tier=gold",
        "description=*vol1",
        "message=*srv*",
        "node=node-7",
        "description=!filler*",
    ] {
        // The filter comes before the page: one job on a page of one, however many there are.
        let query = Query { max_records: Some(1), ..Query::matching(filter(text)) };
        let page = tracker.query(&query).unwrap();
        assert_eq!(page.jobs.iter().map(|job| job.uuid).collect::<Vec<_>>(), [mine], "{text}");
        assert!(page.next.is_none(), "{text}");
    }
}

#[test]
#[allow(clippy::disallowed_methods)] // It measures.
fn row_06_counting_is_the_slowest_query() {
    let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
    let create = |count: usize| {
        let command = || Command::create(NewJob::default()).durability(Durability::Deferred);
        for created in tracker.run_all((0..count).map(|_| command())) {
            created.unwrap();
        }
    };
    let fastest = || {
        let once = || {
            let began = Instant::now();
            tracker.counts().unwrap();
            began.elapsed()
        };
        (0..200).map(|_| once()).min().unwrap()
    };
    create(100);
    let of_few = fastest();
    create(20_000);
    let of_many = fastest();
    assert_eq!(tracker.counts().unwrap().of_state(State::Queued), 20_100);
    // A scan would take two hundred times as long.
    assert!(of_many < of_few * 20 + Duration::from_micros(20), "{of_few:?}, then {of_many:?}");
}

#[test]
fn row_07_order_and_paging_are_wrong() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let mut all = BTreeSet::new();
    for n in 0..200_u64 {
        // Less than a second apart, and many at the very same time.
        clock.advance(Duration::from_micros(n % 3));
        all.insert(running(&tracker, NewJob::default()));
    }
    let order = Order::parse("start_time desc", Names::Native).unwrap();
    let mut query = Query { order, max_records: Some(7), ..Query::default() };
    let (mut seen, mut last) = (Vec::new(), None);
    loop {
        let page = tracker.query(&query).unwrap();
        for job in &page.jobs {
            let key = (std::cmp::Reverse(job.start_time()), job.uuid);
            assert!(last < Some(key), "the order is total");
            last = Some(key);
            seen.push(job.uuid);
        }
        // Jobs move meanwhile, and none that stays where it is appears twice or not at all.
        running(&tracker, NewJob::described("newer"));
        tracker.report(seen[0], "moved on").unwrap();
        match page.next {
            None => break,
            after => query.after = after,
        }
    }
    assert_eq!(seen.len(), 200);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all);
}

#[test]
fn row_08_lists_lag_behind_the_truth() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let live = Query::matching(filter("state=running"));
    for _ in 0..100 {
        let id = running(&tracker, NewJob::default());
        let listed = tracker.query(&live).unwrap();
        assert_eq!(listed.jobs.len(), 1);
        assert_eq!(listed.revision, tracker.revision(), "the answer says what it rests on");
        tracker.succeed(id, Success::default()).unwrap();
        assert_eq!(tracker.count(&live).unwrap().count, 0, "finished is not running, at once");
    }
}

#[test]
fn row_09_polling_and_silent_gaps() {
    let clock = clock();
    let options = Options {
        history: jobtrack::HistoryOptions { changes: 3, catch_up: 2, ..Default::default() },
        tombstones: jobtrack::TombstoneOptions { keep: seconds(1), at_most: 1 },
        ..Options::default()
    };
    let tracker = open_with(MemoryStore::new(), &clock, options);
    let id = running(&tracker, NewJob::default());
    let waiter = std::thread::spawn({
        let tracker = tracker.clone();
        move || tracker.wait(id, seconds(60)).unwrap().state()
    });
    let mut watch = tracker.watch(Expr::everything(), None).unwrap();
    tracker.succeed(id, Success::default()).unwrap();
    assert_eq!(waiter.join().unwrap(), State::Success, "told, without asking again");
    assert!(matches!(watch.try_next().unwrap().unwrap().kind, EventKind::Changed(_)));
    // More happens than is kept, deletions among it: that is said, and not passed over.
    for _ in 0..5 {
        let id = running(&tracker, NewJob::default());
        tracker.fail(id, Failure::default()).unwrap();
        tracker.delete(id).unwrap();
    }
    let mut has_gap = false;
    while let Some(event) = watch.try_next().unwrap() {
        has_gap |= matches!(event.kind, EventKind::Gap);
    }
    assert!(has_gap);
}

#[test]
fn row_10_cancellation_is_opaque() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let id = running(&tracker, NewJob { cooperative: true, ..NewJob::default() });
    let cancel = Command::request(id, Action::Cancel).by(Actor::named("alice")).because("too slow");
    tracker.run(cancel).unwrap();
    let pending = tracker.get(id).unwrap();
    let request = pending.requested.as_ref().unwrap();
    assert_eq!((request.by.name(), &*request.reason), ("alice", "too slow"), "shown while pending");
    tracker.fail(id, Failure::default()).unwrap();
    let canceled = tracker.get(id).unwrap();
    assert_eq!(canceled.cause(), Some(Cause::Canceled), "not taken for done, nor for broken");
    assert_eq!(canceled.message, "The job was canceled by alice: too slow");
    let late = tracker.succeed(id, Success::default());
    assert_eq!(late.unwrap_err().kind(), ErrorKind::JobEnded, "canceled, and never succeeded");
    let asked = &tracker.log(id).unwrap().entries[2];
    assert_eq!(asked.kind.as_str(), "cancel_requested");
    assert_eq!((asked.actor.name(), &*asked.reason), ("alice", "too slow"), "and kept afterwards");
}

#[test]
fn row_11_errors_are_prose() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let id = running(&tracker, NewJob::default());
    let zero = Failure { code: Some(0), ..Failure::default() };
    assert_eq!(tracker.fail(id, zero).unwrap_err().kind(), ErrorKind::InvalidValue);
    let arguments = vec![Argument { code: "volume".to_owned(), message: "vol1".to_owned() }];
    let error = FailureError { target: "volume".to_owned(), arguments, ..FailureError::default() };
    let failure = Failure { error: Some(error), ..Failure::new(917_658, "vol1 is in use") };
    tracker.fail(id, failure).unwrap();
    let error = tracker.get(id).unwrap().error().unwrap();
    assert_eq!(
        (error.code.get(), &*error.message, &*error.target),
        (917_658, "vol1 is in use", "volume")
    );
    let by_argument = Query::matching(filter("error.arguments.message=vol1"));
    assert_eq!(tracker.count(&by_argument).unwrap().count, 1, "and it can be asked for by part");

    // What went wrong the first time is not forgotten for the second.
    let id = tracker.create(NewJob::default()).unwrap().uuid;
    for message in ["no space on vol1", "no space on vol2"] {
        let claimed = tracker.claim_job(id, Hold::leased("w")).unwrap();
        let token = claimed.lease.as_ref().unwrap().token;
        let severity = Some(Severity::Error);
        let report = Report { severity, ..Report::from(message) };
        tracker.run(Command::report(id, report).holding(token)).unwrap();
        tracker.release(id, token).unwrap();
    }
    let log = tracker.log(id).unwrap();
    let errors = log.entries.iter().filter(|entry| entry.severity == Some(Severity::Error));
    let told: Vec<_> = errors.filter_map(|entry| entry.message.as_deref()).collect();
    assert_eq!(told, ["no space on vol1", "no space on vol2"]);
}

#[test]
fn row_12_parent_and_children_disagree() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let parent = running(&tracker, NewJob { retention: Some(seconds(1_000)), ..NewJob::default() });
    let child = || NewJob { parent: Some(parent), ..NewJob::default() };
    let brief = running(&tracker, NewJob { retention: Some(seconds(1)), ..child() });
    let other = running(&tracker, child());
    tracker.succeed(brief, Success::default()).unwrap();
    clock.advance(seconds(500));
    let counts = tracker.children(parent).unwrap();
    assert_eq!((counts.of_state(State::Success), counts.live()), (1, 1), "none is lost from view");
    let early = tracker.succeed(parent, Success::default()).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::NotRolledUp);
    tracker.request(parent, Action::Cancel).unwrap();
    while tracker.maintain(10).unwrap().more {}
    assert_eq!(tracker.get(other).unwrap().cause(), Some(Cause::Canceled));
    assert_eq!(tracker.children(parent).unwrap().live(), 0);
}

#[test]
fn row_13_progress_updates_flood_the_store() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let ids: Vec<_> = (0..10).map(|_| running(&tracker, NewJob::default())).collect();
    let before = tracker.revision().number;
    for n in 1..=10_000_u64 {
        clock.advance(Duration::from_micros(500)); // Five seconds in all.
        let id = ids[usize::try_from(n).unwrap() % ids.len()];
        let progress = Progress { done: n, total: Some(10_000), unit: jobtrack::Text::new() };
        tracker.progress(id, progress, None).unwrap();
        assert_eq!(tracker.get(id).unwrap().progress.as_ref().unwrap().done, n, "seen at once");
    }
    let commits = tracker.revision().number - before;
    assert!((4..=6).contains(&commits), "{commits} commits of 10,000 reports");
}

#[test]
fn row_15_a_retried_create_makes_duplicates_and_unique_keys_jam() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let new = || NewJob { idempotency_key: Some("k".to_owned()), ..NewJob::default() };
    let first = tracker.create(new()).unwrap().uuid;
    let tracker = open(Arc::new(store.crash(0)), &clock);
    assert_eq!(tracker.create(new()).unwrap().uuid, first, "also after a crash");
    assert_eq!(tracker.count(&Query::default()).unwrap().count, 1);
    // An orphan jams nothing: an operator ends it, and its key goes with it.
    tracker.start(first).unwrap();
    tracker.run(Command::fail(first, Failure::default()).forced()).unwrap();
    tracker.delete(first).unwrap();
    assert_ne!(tracker.create(new()).unwrap().uuid, first);
    // Reports of a job that is there again are its own.
    assert_eq!(tracker.report(first, Report::from("late")).unwrap_err().kind(), ErrorKind::Gone);
}

#[test]
fn also_heard_bulk_by_the_filter_of_the_list_is_itself_a_job_with_progress() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    for n in 0..300 {
        running(&tracker, NewJob { kind: format!("kind {}", n % 3), ..NewJob::default() });
    }
    let listed = Query::matching(filter("kind=kind 1"));
    let request = BulkRequest::new(listed.filter.clone(), BulkAction::Cancel);
    let bulk = tracker.bulk(request).unwrap();
    let progress = tracker.get(bulk.job()).unwrap().progress.clone().unwrap();
    assert_eq!((progress.done, progress.total), (0, Some(100)));
    assert_eq!(bulk.run().unwrap().progress.as_ref().unwrap().done, 100);
    let canceled = tracker.query(&listed).unwrap().jobs;
    assert!(canceled.iter().all(|job| job.cause() == Some(Cause::Canceled)));
    assert_eq!(tracker.count(&Query::matching(filter("state=running"))).unwrap().count, 200);
}
