//! Many callers at once: shared commits, waiting, snapshots.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use jobtrack::store::{Batch, CommitError, Record, Space, Visit};
use jobtrack::{
    Command, Durability, ErrorKind, Expr, Failure, MemoryStore, NewJob, Options, Query, State,
    Store, Success, Tracker,
};

/// A store that takes its time, as a disk does, and counts its commits.
#[derive(Default)]
struct SlowStore {
    inner: MemoryStore,
    commits: AtomicU64,
}

impl Store for SlowStore {
    fn load(&self, visit: &mut Visit<'_>) -> jobtrack::Result<u64> {
        self.inner.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> jobtrack::Result<Option<Record>> {
        self.inner.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_micros(200));
        self.inner.commit(batch, durability)
    }
}

#[test]
fn callers_that_come_together_share_commits_and_each_hears_of_its_own() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 50;
    let store = Arc::new(SlowStore::default());
    let tracker = Tracker::open(Arc::clone(&store), Options::default()).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let tracker = tracker.clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    let kind = format!("{writer}-{n}");
                    let job = NewJob { kind: kind.clone(), ..NewJob::default() };
                    let job = tracker.create(job).unwrap();
                    assert_eq!(job.kind, kind);
                    tracker.start(job.uuid).unwrap();
                    let job = tracker.fail(job.uuid, Failure::new(7, kind.as_str())).unwrap();
                    assert_eq!(job.message, kind);
                    assert_eq!(tracker.get(job.uuid).unwrap().code(), 7);
                }
            });
        }
    });
    assert_eq!(tracker.counts().unwrap().of_state(State::Failure), WRITERS * EACH);
    let commits = store.commits.load(Ordering::SeqCst);
    assert!(
        commits < WRITERS * EACH * 3 / 2,
        "{commits} commits for {} changes",
        WRITERS * EACH * 3
    );
}

#[test]
fn drivers_and_blocking_callers_leave_no_command_behind() {
    let store = Arc::new(SlowStore::default());
    let tracker = Tracker::open(store, Options::default()).unwrap();
    thread::scope(|scope| {
        for n in 0..6 {
            let tracker = tracker.clone();
            scope.spawn(move || {
                for _ in 0..40 {
                    if n % 2 == 0 {
                        tracker.create(NewJob::default()).unwrap();
                    } else {
                        let ticket = tracker.submit(Command::create(NewJob::default()));
                        tracker.drive();
                        // Whoever drove instead is bound to take this one along.
                        ticket.wait().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(tracker.counts().unwrap().total(), 240);
}

/// The lead once fell to a caller whose iterator had yet to yield its commands: if that waited for
/// another caller, or panicked, nobody led any more.
#[test]
fn an_iterator_of_commands_may_itself_use_the_tracker_wait_or_panic() {
    let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            let tracker = tracker.clone();
            scope.spawn(move || {
                for _ in 0..500 {
                    let starts = (0..3)
                        .map(|_| Command::start(tracker.create(NewJob::default()).unwrap().uuid));
                    assert!(tracker.run_all(starts).iter().all(Result::is_ok));
                }
            });
        }
        let panics = tracker.clone();
        let ended = scope.spawn(move || {
            let commands = (0..50).map(|n| {
                assert!(n < 49, "as planned");
                Command::create(NewJob::default())
            });
            panics.run_all(commands)
        });
        assert!(ended.join().is_err());
    });
    // What the panic kept from being queued was not made.
    assert_eq!(tracker.counts().unwrap().of_state(State::Running), 3_000);
    assert_eq!(tracker.counts().unwrap().total(), 3_000);
}

/// A command was once left behind that was submitted just as the leader found the queue empty: its
/// submitter's drive saw a leader, and the leader saw no command.
#[test]
fn whoever_drives_while_another_leads_is_not_forgotten() {
    const ROUNDS: usize = 20_000;
    let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
    let (arrived, left) = (AtomicU64::new(0), AtomicU64::new(0));
    let meet = |place: &AtomicU64, round: usize| {
        place.fetch_add(1, Ordering::SeqCst);
        while place.load(Ordering::SeqCst) < 2 * round as u64 {
            // On a busy machine the other needs this core to come.
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    meet(&arrived, round);
                    let ticket = tracker.submit(Command::create(NewJob::default()));
                    tracker.drive();
                    // Both have driven, so both commands are decided.
                    meet(&left, round);
                    assert!(ticket.is_decided(), "round {round}");
                }
            });
        }
    });
}

/// Who waits once slept on when the job was ended and deleted in one commit.
#[test]
fn waiting_ends_with_a_job_that_is_deleted_as_it_ends() {
    let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
    let job = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.start(job).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| tracker.wait(job, Duration::from_secs(600)));
        let end = [Command::succeed(job, Success::default()), Command::delete(job)];
        assert!(tracker.run_all(end).iter().all(Result::is_ok));
        match waiting.join().unwrap() {
            Ok(found) => assert_eq!(found.state(), State::Success),
            // It had not begun to wait before the end.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Gone),
        }
    });
}

/// A waker runs once nothing is held, so that it may use the tracker.
#[test]
fn a_waker_of_a_watch_may_use_the_tracker() {
    struct Maintains(Tracker);
    impl Wake for Maintains {
        fn wake(self: Arc<Self>) {
            self.0.maintain(1).unwrap();
        }
    }
    let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
    let mut watch = tracker.watch(Expr::everything(), None).unwrap();
    let waker = Waker::from(Arc::new(Maintains(tracker.clone())));
    assert!(watch.poll_next(&mut Context::from_waker(&waker)).is_pending());
    tracker.create(NewJob::default()).unwrap();
}

#[test]
fn a_listing_is_of_one_revision_while_everything_changes() {
    let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // Pairs are made and ended in one commit each: no answer may show half a pair.
            while !stop.load(Ordering::SeqCst) {
                let pair = [NewJob::default(), NewJob::default()].map(Command::create);
                let made = tracker.run_all(pair);
                let ids: Vec<_> = made.into_iter().map(|made| made.unwrap().job.uuid).collect();
                let ends = ids.iter().map(|id| Command::fail(*id, Failure::default()));
                tracker.run_all(ends).into_iter().for_each(|end| drop(end.unwrap()));
                let deletes = ids.iter().map(|id| Command::delete(*id));
                tracker.run_all(deletes).into_iter().for_each(|end| drop(end.unwrap()));
            }
        });
        for _ in 0..500 {
            let page = tracker.query(&Query::default()).unwrap();
            assert_eq!(page.jobs.len() % 2, 0);
            let states: Vec<_> = page.jobs.iter().map(|job| job.state()).collect();
            assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "{states:?}");
            assert!(page.jobs.iter().all(|job| job.revision <= page.revision));
            assert_eq!(tracker.counts().unwrap().total() % 2, 0);
        }
        stop.store(true, Ordering::SeqCst);
        writer.join().unwrap();
    });
}

#[test]
fn waiting_ends_with_the_job_the_time_or_the_tracker() {
    let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
    let job = tracker.create(NewJob::default()).unwrap().uuid;
    let soon = tracker.wait(job, Duration::from_millis(1)).unwrap();
    assert_eq!(soon.state(), State::Queued);

    let long = Duration::from_secs(60);
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let tracker = tracker.clone();
            thread::spawn(move || tracker.wait(job, long).unwrap().state())
        })
        .collect();
    tracker.start(job).unwrap();
    tracker.succeed(job, Success::default()).unwrap();
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), State::Success);
    }
    assert_eq!(tracker.wait(job, long).unwrap().state(), State::Success);

    let endless = tracker.create(NewJob::default()).unwrap().uuid;
    let waiter = {
        let tracker = tracker.clone();
        thread::spawn(move || tracker.wait(endless, long).map(|found| found.state()))
    };
    tracker.close().unwrap();
    match waiter.join().unwrap() {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
        Ok(state) => panic!("still {state}"),
    }
}
