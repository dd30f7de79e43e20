//! What those who watch are told, and when they are told that it is not all.

// The helpers of tests are a part of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::needless_pass_by_value)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use jobtrack::{
    Command, Durability, ErrorKind, Event, EventKind, Expr, Failure, Field, HistoryOptions, Job,
    JobId, MemoryStore, Names, NewJob, Options, Position, Query, Revision, Scope, State, Store,
    Success, TombstoneOptions, Tracker, Watch,
};
use jobtrack_testkit::{CrashStore, ManualClock};

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn options(clock: &ManualClock) -> Options {
    Options { clock: Arc::new(clock.clone()), ..Options::default() }
}

fn open(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    Tracker::open(store, options(clock)).unwrap()
}

fn memory() -> Tracker {
    Tracker::open(MemoryStore::new(), Options::default()).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn id(n: u128) -> JobId {
    JobId::from_uuid(uuid::Uuid::from_u128(n))
}

fn new(n: u128) -> NewJob {
    NewJob { uuid: Some(id(n)), ..NewJob::default() }
}

fn of_scope(n: u128, name: &str) -> NewJob {
    let scope = Scope { name: name.into(), id: jobtrack::Text::new() };
    NewJob { scope: Some(scope), ..new(n) }
}

fn running() -> Expr {
    Expr::is(Field::State, State::Running).unwrap()
}

fn drain(watch: &mut Watch) -> Vec<Event> {
    std::iter::from_fn(|| watch.try_next().unwrap()).collect()
}

/// Kind and job of each event, the job as its last digit.
fn told(events: &[Event]) -> Vec<(&'static str, u128)> {
    let number = |event: &Event| event.kind.uuid().map_or(0, |id| id.as_uuid().as_u128());
    events.iter().map(|event| (event.kind.name(), number(event))).collect()
}

fn drained(watch: &mut Watch) -> Vec<(&'static str, u128)> {
    told(&drain(watch))
}

/// What watches from this position on are told at once.
fn told_after(
    tracker: &Tracker,
    filter: Expr,
    after: impl Into<Position>,
) -> Vec<(&'static str, u128)> {
    drained(&mut tracker.watch(filter, Some(after.into())).unwrap())
}

#[test]
fn each_transition_through_the_filter_is_told_in_order() {
    let tracker = memory();
    let mut watch = tracker.watch(running(), None).unwrap();
    let mut all = tracker.watch(Expr::everything(), None).unwrap();
    tracker.create(new(1)).unwrap();
    tracker.start(id(1)).unwrap();
    tracker.report(id(1), "half").unwrap();
    tracker.create(new(2)).unwrap();
    tracker.pause(id(1)).unwrap();
    tracker.resume(id(1)).unwrap();
    tracker.succeed(id(1), Success::default()).unwrap();
    tracker.delete(id(1)).unwrap();

    let events = drain(&mut watch);
    assert_eq!(told(&events), [("in", 1), ("changed", 1), ("out", 1), ("in", 1), ("out", 1)]);
    let states: Vec<_> = events.iter().map(|event| event.kind.job().unwrap().state()).collect();
    use State::{Paused, Running, Success as Ended};
    assert_eq!(states, [Running, Running, Paused, Running, Ended]);
    assert_eq!(events[1].kind.job().unwrap().message, "half");
    for event in &events {
        assert_eq!(event.revision, event.kind.job().unwrap().revision);
        assert_eq!(event.position, event.revision.into(), "each is the whole of its commit");
    }
    let events = drain(&mut all);
    assert_eq!(events.len(), 8);
    let EventKind::Gone(gone) = &events[7].kind else { panic!("{events:?}") };
    assert!(gone.was_deleted && gone.state == Ended);

    // Who takes up after any of them is told the rest, however often.
    for n in 0..events.len() {
        let rest = told_after(&tracker, Expr::everything(), events[n].position);
        assert_eq!(rest, told(&events[n + 1..]));
    }
}

#[test]
fn commands_of_one_commit_are_transitions_of_their_own() {
    let tracker = memory();
    let mut watch = tracker.watch(Expr::everything(), None).unwrap();
    let begin = watch.position();
    let fail = Command::fail(id(1), Failure::new(7, "no space"));
    tracker
        .run_all([Command::create(new(1)), Command::start(id(1)), fail, Command::delete(id(1))])
        .into_iter()
        .for_each(|outcome| drop(outcome.unwrap()));
    let events = drain(&mut watch);
    assert_eq!(told(&events), [("in", 1), ("changed", 1), ("changed", 1), ("gone", 1)]);
    let revision = tracker.revision();
    assert!(events.iter().all(|event| event.revision == revision));
    // Within the commit a watch takes up at its beginning, and nothing is lost.
    for event in &events[..3] {
        assert_eq!(event.position.revision(), begin.revision());
        assert_eq!(event.position.to_string(), format!("{begin}..{revision}"));
        assert_eq!(told_after(&tracker, Expr::everything(), event.position), told(&events));
    }
    assert_eq!(events[3].position, revision.into());
    // Seen from outside the job never ran.
    assert_eq!(told_after(&tracker, running(), begin), [("in", 1), ("out", 1)]);
}

#[test]
fn a_position_moves_on_while_nothing_concerns_the_filter() {
    let tracker = memory();
    let mut watch = tracker.watch(running(), None).unwrap();
    tracker.create(new(1)).unwrap();
    assert_eq!(watch.try_next().unwrap(), None);
    assert_eq!(watch.position(), tracker.revision().into());
}

#[test]
fn a_job_is_gone_when_it_is_swept_and_shown_by_no_event_after_its_time() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let mut prompt = tracker.watch(Expr::everything(), None).unwrap();
    let mut late = tracker.watch(Expr::everything(), None).unwrap();
    tracker.create(new(1)).unwrap();
    tracker.fail(id(1), Failure::default()).unwrap();
    assert_eq!(drained(&mut prompt), [("in", 1), ("changed", 1)]);
    clock.advance(seconds(300));
    assert_eq!(drained(&mut prompt), [], "it is due, and nobody has swept it");
    // The queued job may be shown; as it ended it would be shown after its time.
    // That its time is up is stored before it is said, and that commit sweeps it: it is said twice.
    assert_eq!(drained(&mut late), [("in", 1), ("gone", 1), ("gone", 1)]);
    let events = drain(&mut prompt);
    assert_eq!(told(&events), [("gone", 1)]);
    let EventKind::Gone(gone) = &events[0].kind else { panic!("{events:?}") };
    assert!(!gone.was_deleted);
    assert_eq!(gone.gone_time, gone.end_time.saturating_add(seconds(300)));

    tracker.create(new(2)).unwrap();
    tracker.fail(id(2), Failure::default()).unwrap();
    assert_eq!(drained(&mut prompt), [("in", 2), ("changed", 2)]);
    clock.advance(seconds(300));
    tracker.maintain(1).unwrap();
    assert_eq!(drained(&mut prompt), [("gone", 2)]);
}

#[test]
fn a_job_that_is_gone_as_soon_as_it_ends_is_told_at_once() {
    let tracker = open(MemoryStore::new(), &clock());
    let mut watch = tracker.watch(running(), None).unwrap();
    tracker.create(NewJob { retention: Some(Duration::ZERO), ..new(1) }).unwrap();
    tracker.start(id(1)).unwrap();
    tracker.succeed(id(1), Success::default()).unwrap();
    assert_eq!(drained(&mut watch), [("in", 1), ("gone", 1)]);
}

#[test]
fn what_a_watch_says_is_gone_stays_so() {
    for swept in [false, true] {
        let clock = clock();
        let store = Arc::new(CrashStore::new());
        let tracker = open(Arc::clone(&store), &clock);
        let mut watch = tracker.watch(Expr::everything(), None).unwrap();
        tracker.create(new(1)).unwrap();
        tracker.fail(id(1), Failure::default()).unwrap();
        clock.advance(seconds(300));
        if swept {
            tracker.maintain(1).unwrap();
        }
        assert_eq!(drained(&mut watch).last(), Some(&("gone", 1)));
        let left = store.crash(0);
        clock.restart();
        clock.step_wall("2026-03-01T10:00:00Z".parse().unwrap());
        let error = open(left, &clock).get(id(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Gone, "swept: {swept}");
    }
}

/// What every kind of catching up begins with: one job of each fate, and a position before it.
fn fates(tracker: &Tracker) -> Revision {
    for n in 1..=4 {
        tracker.create(of_scope(n, "a")).unwrap();
        tracker.start(id(n)).unwrap();
    }
    tracker.create(of_scope(5, "b")).unwrap();
    tracker.create(of_scope(6, "b")).unwrap();
    let before = tracker.revision();
    tracker.report(id(1), "first").unwrap();
    tracker.pause(id(2)).unwrap();
    tracker.report(id(1), "second").unwrap();
    tracker.fail(id(3), Failure::default()).unwrap();
    tracker.delete(id(3)).unwrap();
    tracker.start(id(5)).unwrap();
    tracker.fail(id(6), Failure::default()).unwrap();
    tracker.delete(id(6)).unwrap();
    before
}

#[test]
fn after_a_restart_each_job_that_changed_is_told_once() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let before = fates(&tracker);
    tracker.close().unwrap();
    drop(tracker);

    let tracker = open(store, &clock);
    assert_eq!(tracker.opened().epoch, 1);
    let mut watch = tracker.watch(running(), Some(before.into())).unwrap();
    let events = drain(&mut watch);
    let expected = [("out", 2), ("in", 1), ("gone", 3), ("in", 5), ("gone", 6)];
    assert_eq!(told(&events), expected);
    assert_eq!(events[1].kind.job().unwrap().message, "second");
    // Only at the end is everything known up to one revision; before that, it begins again.
    for event in &events[..4] {
        assert_eq!(event.position.revision(), before);
        assert_eq!(told_after(&tracker, running(), event.position), expected);
    }
    assert_eq!(events[4].position, tracker.revision().into());
    assert_eq!(told_after(&tracker, running(), events[4].position), []);
    tracker.report(id(1), "third").unwrap();
    assert_eq!(drained(&mut watch), [("changed", 1)], "from then on it is as ever");

    // Nobody hears of jobs that are not theirs, gone or not.
    let of_a = Expr::parse("scope.name", "a", Names::Native).unwrap();
    let told = told_after(&tracker, running().and(of_a.clone()), before);
    assert_eq!(told, [("out", 2), ("gone", 3), ("in", 1)]);
    let told = told_after(&tracker, of_a.negate().and(running()), before);
    assert_eq!(told, [("in", 5), ("gone", 6)]);
    let one = Expr::is(Field::Uuid, id(2)).unwrap();
    assert_eq!(told_after(&tracker, one, before), [("in", 2)]);
}

#[test]
fn beyond_the_tombstones_there_is_a_gap_and_then_all_as_ever() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let before = fates(&tracker);
    let after = tracker.revision();
    clock.advance(seconds(3_600));
    tracker.maintain(10).unwrap();
    assert_eq!(told_after(&tracker, running(), before).len(), 5, "the history still has it");
    drop(tracker);

    for _ in 0..2 {
        // What was forgotten is known after another restart, too.
        let tracker = open(Arc::clone(&store), &clock);
        let mut watch = tracker.watch(running(), Some(before.into())).unwrap();
        let events = drain(&mut watch);
        assert_eq!(told(&events), [("gap", 0)]);
        assert_eq!(events[0].revision, tracker.revision());
        assert_eq!(events[0].position, tracker.revision().into());
        tracker.report(id(1), "on").unwrap();
        assert_eq!(drained(&mut watch), [("changed", 1)]);
        assert_eq!(told_after(&tracker, running(), after), [("in", 1)], "nothing went after it");
    }
}

#[test]
fn a_job_that_goes_without_a_tombstone_makes_a_gap() {
    let clock = clock();
    let tombstones = TombstoneOptions { keep: Duration::ZERO, ..TombstoneOptions::default() };
    let options = Options { tombstones, ..options(&clock) };
    let store = Arc::new(MemoryStore::new());
    let tracker = Tracker::open(Arc::clone(&store), options.clone()).unwrap();
    let mut watch = tracker.watch(Expr::everything(), None).unwrap();
    tracker.create(NewJob { retention: Some(seconds(10)), ..new(1) }).unwrap();
    let before = tracker.revision();
    tracker.fail(id(1), Failure::default()).unwrap();
    assert_eq!(drained(&mut watch), [("in", 1), ("changed", 1)]);
    clock.advance(seconds(10));
    // Its uuid is free, and its record is taken over before anybody has swept it: that is how it
    // goes.
    tracker.run_all([Command::create(new(1)), Command::start(id(1))]);
    let events = drained(&mut watch);
    assert_eq!(events, [("gone", 1), ("in", 1), ("changed", 1)]);
    let after = tracker.revision();
    drop((watch, tracker));

    let tracker = Tracker::open(store, options).unwrap();
    assert_eq!(told_after(&tracker, Expr::everything(), before), [("gap", 0)]);
    assert_eq!(told_after(&tracker, Expr::everything(), after), []);
}

#[test]
fn what_a_crash_took_makes_a_gap() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    tracker.create(new(1)).unwrap();
    let durable = tracker.revision();
    let mut watch = tracker.watch(Expr::everything(), None).unwrap();
    let deferred = |command: Command| command.durability(Durability::Deferred);
    tracker.run_all([deferred(Command::start(id(1))), deferred(Command::report(id(1), "on"))]);
    let partly = watch.try_next().unwrap().unwrap().position;
    let wholly = watch.try_next().unwrap().unwrap().position;
    assert_eq!((partly.revision(), wholly.revision()), (durable, tracker.revision()));

    let after_crash = open(store.crash(0), &clock);
    let told = |after| told_after(&after_crash, Expr::everything(), after);
    assert_eq!(told(durable.into()), []);
    assert_eq!(told(partly), [("gap", 0)], "half of what it heard never was");
    assert_eq!(told(wholly), [("gap", 0)]);
    let unlucky = open(store.crash(1), &clock);
    assert_eq!(told_after(&unlucky, Expr::everything(), partly), [("in", 1)], "it was kept");
    assert_eq!(told_after(&unlucky, Expr::everything(), wholly), []);
}

#[test]
fn a_position_of_another_store_or_of_the_future_makes_a_gap() {
    let tracker = memory();
    for after in ["0-0", "1-0", "1-2", "2-1", "1-1..1-2", "1-1..3-1"] {
        let after: Position = after.parse().unwrap();
        assert_eq!(told_after(&tracker, Expr::everything(), after), [("gap", 0)], "{after}");
    }
    assert_eq!(told_after(&tracker, Expr::everything(), tracker.revision()), []);
}

#[test]
fn who_falls_out_of_the_history_catches_up_or_hears_of_the_gap() {
    let clock = clock();
    let history = HistoryOptions { changes: 10, catch_up: 3, ..HistoryOptions::default() };
    let tombstones = TombstoneOptions { at_most: 4, ..TombstoneOptions::default() };
    let options = Options { history, tombstones, ..options(&clock) };
    let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
    let mut slow = tracker.watch(Expr::everything(), None).unwrap();
    for n in 1..=8 {
        tracker.create(new(n)).unwrap();
        tracker.start(id(n)).unwrap();
    }
    tracker.fail(id(4), Failure::default()).unwrap();
    tracker.delete(id(4)).unwrap();
    assert_eq!(slow.try_next().unwrap().map(|event| event.kind.name()), Some("in"));
    // What comes while it catches up is a part of it.
    tracker.report(id(5), "on").unwrap();
    let rest = drained(&mut slow);
    let expected =
        [("in", 2), ("in", 3), ("in", 5), ("in", 6), ("in", 7), ("in", 8), ("gone", 4), ("in", 5)];
    // Some of the jobs were held already when the fifth was reported.
    assert!(expected.iter().all(|event| rest.contains(event)), "{rest:?}");
    assert!(rest.len() <= expected.len(), "{rest:?}");
    assert_eq!(slow.position(), tracker.revision().into());

    for n in 11..=16 {
        tracker.create(new(n)).unwrap();
        tracker.fail(id(n), Failure::default()).unwrap();
        tracker.delete(id(n)).unwrap();
    }
    tracker.maintain(10).unwrap();
    assert_eq!(drained(&mut slow), [("gap", 0)]);
}

#[test]
fn a_filter_beyond_its_limits_is_refused() {
    let mut filter = Expr::is_set(Field::Message);
    for n in 0..2_000 {
        filter = filter.or(Expr::is(Field::Code, n).unwrap());
    }
    let error = memory().watch(filter, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[test]
fn waiting_ends_with_an_event_the_time_or_the_tracker() {
    let tracker = memory();
    let mut watch = tracker.watch(running(), None).unwrap();
    assert_eq!(watch.next(Duration::from_millis(1)).unwrap(), None);
    let waiting = thread::spawn(move || {
        let event = watch.next(seconds(60)).unwrap().unwrap();
        let closed = watch.next(Duration::MAX).unwrap_err();
        (told(&[event]), closed.kind(), watch.try_next().unwrap_err().kind())
    });
    tracker.create(new(1)).unwrap();
    tracker.start(id(1)).unwrap();
    tracker.close().unwrap();
    let closed = ErrorKind::Closed;
    assert_eq!(waiting.join().unwrap(), (vec![("in", 1)], closed, closed));
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_watch_is_awaited_without_a_runtime() {
    let tracker = memory();
    let mut watch = tracker.watch(running(), None).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    assert!(watch.poll_ready(&mut context).is_pending());
    assert!(watch.poll_next(&mut context).is_pending());
    tracker.create(new(1)).unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1, "once, however often it was polled");
    assert!(watch.poll_next(&mut context).is_pending(), "nothing that concerns the filter");
    tracker.start(id(1)).unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), 2);
    assert!(watch.poll_ready(&mut context).is_ready());
    let Poll::Ready(Ok(event)) = watch.poll_next(&mut context) else { panic!("it is there") };
    assert_eq!(told(&[event]), [("in", 1)]);

    let mut other = tracker.watch(running(), None).unwrap();
    assert!(other.poll_next(&mut context).is_pending());
    drop(other);
    assert!(watch.poll_next(&mut context).is_pending());
    tracker.close().unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), 3, "who has left is not woken");
    let Poll::Ready(Err(error)) = watch.poll_next(&mut context) else { panic!("it has ended") };
    assert_eq!(error.kind(), ErrorKind::Closed);
}

/// However much has happened that does not concern the filter, one poll looks through a few commits,
/// and asks to be polled again.
#[test]
fn a_poll_lets_others_have_the_thread() {
    const COMMITS: u128 = 300;
    const LATER: u128 = 10_000;
    let small = HistoryOptions { changes: 1, catch_up: 1, ..HistoryOptions::default() };
    for (history, least) in [(HistoryOptions::default(), 3), (small, 1)] {
        let options = Options { history, ..Options::default() };
        let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
        let mut watch = tracker.watch(Expr::is(Field::Uuid, id(LATER)).unwrap(), None).unwrap();
        for n in 1..=COMMITS {
            tracker.create(new(n)).unwrap();
        }
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut polls = 0;
        loop {
            assert!(watch.poll_next(&mut Context::from_waker(&waker)).is_pending());
            let has_more = woken.0.swap(0, Ordering::SeqCst) == 1;
            if !has_more {
                break;
            }
            polls += 1;
        }
        assert!(polls >= least, "{polls}");
        assert_eq!(watch.position(), tracker.revision().into(), "it has come to the end");
        tracker.create(new(LATER)).unwrap();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "and waits");
        let Poll::Ready(Ok(event)) = watch.poll_next(&mut Context::from_waker(&waker)) else {
            panic!("it is there")
        };
        assert_eq!(event.kind.name(), "in");
    }
}

/// Keeps a listing in step, as slowly as it is told to, until it has seen the last job.
fn follow(tracker: &Tracker, filter: Expr, pause: Duration, stop: &AtomicBool) -> (usize, usize) {
    let list = || {
        let page = tracker.query(&Query::matching(filter.clone())).unwrap();
        let jobs: BTreeMap<JobId, Arc<Job>> =
            page.jobs.into_iter().map(|job| (job.uuid, job)).collect();
        (jobs, page.revision)
    };
    let (mut jobs, revision) = list();
    let mut watch = tracker.watch(filter.clone(), Some(revision.into())).unwrap();
    let (mut events, mut gaps) = (0, 0);
    loop {
        let is_last = stop.load(Ordering::SeqCst);
        while let Some(event) = watch.next(Duration::from_millis(5)).unwrap() {
            events += 1;
            match event.kind {
                EventKind::In(job) | EventKind::Changed(job) => drop(jobs.insert(job.uuid, job)),
                EventKind::Out(job) => drop(jobs.remove(&job.uuid)),
                EventKind::Gone(gone) => drop(jobs.remove(&gone.uuid)),
                EventKind::Gap => {
                    gaps += 1;
                    let (listed, revision) = list();
                    assert!(revision >= event.revision);
                    jobs = listed;
                }
            }
            if events % 16 == 0 {
                thread::sleep(pause);
            }
        }
        if is_last {
            let (listed, _) = list();
            assert_eq!(jobs, listed);
            return (events, gaps);
        }
    }
}

#[test]
fn whatever_the_pace_events_add_up_to_the_listing() {
    const WRITERS: u128 = 3;
    const EACH: u128 = 300;
    for (changes, at_most) in [(100_000, 1_000_000), (50, 1_000_000), (50, 20)] {
        let history = HistoryOptions { changes, catch_up: 16, ..HistoryOptions::default() };
        let tombstones = TombstoneOptions { at_most, ..TombstoneOptions::default() };
        let options = Options { history, tombstones, ..Options::default() };
        let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let tracker = &tracker;
                    scope.spawn(move || {
                        for n in 0..EACH {
                            let n = 1 + writer * EACH + n;
                            tracker.create(new(n)).unwrap();
                            tracker.start(id(n)).unwrap();
                            if !n.is_multiple_of(4) {
                                tracker.fail(id(n), Failure::default()).unwrap();
                            }
                            if n % 4 > 1 {
                                tracker.delete(id(n)).unwrap();
                            }
                        }
                    })
                })
                .collect();
            let pauses = [Duration::ZERO, Duration::from_micros(100), Duration::from_millis(3)];
            let followers: Vec<_> = pauses
                .into_iter()
                .flat_map(|pause| [(pause, Expr::everything()), (pause, running())])
                .map(|(pause, filter)| {
                    let (tracker, stop) = (&tracker, &stop);
                    scope.spawn(move || follow(tracker, filter, pause, stop))
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            stop.store(true, Ordering::SeqCst);
            for follower in followers {
                let (events, gaps) = follower.join().unwrap();
                assert!(events > 0);
                assert!(gaps == 0 || at_most == 20, "{gaps} gaps in a history of {changes}");
            }
        });
    }
}

#[test]
fn a_watch_goes_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&memory().watch(Expr::everything(), None).unwrap());
}
