//! Those who wait for the end of a job, and those who watch: nobody sleeps through what concerns
//! them.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use interleaved::{
    Command, ErrorKind, EventKind, Expr, Failure, Field, HistoryOptions, MemoryStore, Options,
    State, Success, Tracker, Watch,
};
use shuttle::future::block_on;
use shuttle::thread;

use crate::play::{StandingClock, id_of, new, tracker, under_many_schedules};

/// Far beyond the end of any test.
const FOR_EVER: Duration = Duration::MAX;

/// Who waits once slept on when the job was ended and deleted in one commit.
#[test]
fn waiting_ends_with_the_job_also_if_it_is_deleted_as_it_ends() {
    under_many_schedules(|| {
        let tracker = tracker();
        tracker.create(new(1)).unwrap();
        tracker.start(id_of(1)).unwrap();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let tracker = tracker.clone();
                thread::spawn(move || match tracker.wait(id_of(1), FOR_EVER) {
                    Ok(found) => assert_eq!(found.state(), State::Success),
                    // It had not begun to wait before the end.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Gone),
                })
            })
            .collect();
        let end = [Command::succeed(id_of(1), Success::default()), Command::delete(id_of(1))];
        tracker.run_all(end).into_iter().for_each(|done| drop(done.unwrap()));
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

#[test]
fn waiting_ends_with_the_tracker() {
    under_many_schedules(|| {
        let tracker = tracker();
        tracker.create(new(1)).unwrap();
        let waits = tracker.clone();
        let waiter =
            thread::spawn(move || waits.wait(id_of(1), FOR_EVER).map(|found| found.state()));
        let ends = tracker.clone();
        let ender = thread::spawn(move || ends.fail(id_of(1), Failure::default()).is_ok());
        tracker.close().unwrap();
        let ended = ender.join().unwrap();
        match waiter.join().unwrap() {
            Ok(state) => assert!(ended && state == State::Failure, "{state}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
        }
    });
}

/// What a watch tells until it ends, by blocking.
fn told_by_blocking(mut watch: Watch) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        match watch.next(FOR_EVER) {
            Ok(Some(event)) => told.push(shown(&event.kind)),
            Ok(None) => panic!("the time is never up"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                return told;
            }
        }
    }
}

/// What a watch tells until it ends, by awaiting.
fn told_by_awaiting(mut watch: Watch) -> Vec<String> {
    block_on(async {
        let mut told = Vec::new();
        loop {
            match poll_fn(|context| watch.poll_next(context)).await {
                Ok(event) => told.push(shown(&event.kind)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Closed);
                    return told;
                }
            }
        }
    })
}

/// The same by the pair of calls that a server uses.
fn told_when_ready(mut watch: Watch) -> Vec<String> {
    block_on(async {
        let mut told = Vec::new();
        loop {
            poll_fn(|context| watch.poll_ready(context)).await;
            match watch.try_next() {
                Ok(Some(event)) => told.push(shown(&event.kind)),
                Ok(None) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Closed);
                    return told;
                }
            }
        }
    })
}

fn shown(kind: &EventKind) -> String {
    match kind.job() {
        Some(job) => format!("{} {} {}", kind.name(), job.uuid.as_uuid().as_u128(), job.message),
        None => kind.name().to_owned(),
    }
}

#[test]
fn each_watch_tells_every_transition_once_in_order() {
    under_many_schedules(|| {
        let tracker = tracker();
        let watchers = [told_by_blocking, told_by_awaiting, told_when_ready].map(|told| {
            let watch = tracker.watch(Expr::everything(), None).unwrap();
            thread::spawn(move || told(watch))
        });
        let writers: Vec<_> = (1..=2)
            .map(|n| {
                let tracker = tracker.clone();
                thread::spawn(move || {
                    tracker.create(new(n)).unwrap();
                    for message in ["a", "b"] {
                        tracker.report(id_of(n), message).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        tracker.close().unwrap();
        let told = watchers.map(|watcher| watcher.join().unwrap());
        assert_eq!(told[0].len(), 6, "{:?}", told[0]);
        assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
        for n in 1..=2 {
            let of_job = told[0].iter().filter(|event| event.contains(&format!(" {n} ")));
            let expected = [format!("in {n} "), format!("changed {n} a"), format!("changed {n} b")];
            assert!(of_job.eq(expected.iter()), "{:?}", told[0]);
        }
    });
}

/// Whoever falls behind a short history, and catches up while others write, has in the end what the
/// table has.
#[test]
fn who_falls_behind_catches_up_while_others_write() {
    under_many_schedules(|| {
        let history = HistoryOptions { changes: 1, catch_up: 1, ..HistoryOptions::default() };
        let clock = Arc::new(StandingClock::new());
        let options = Options { clock, history, ..Options::default() };
        let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
        let running = Expr::is(Field::State, State::Running).unwrap();
        let mut watch = tracker.watch(running, None).unwrap();
        let watcher = thread::spawn(move || {
            let mut known = std::collections::BTreeSet::new();
            loop {
                match watch.next(FOR_EVER).map(|event| event.map(|event| event.kind)) {
                    Ok(Some(EventKind::In(job) | EventKind::Changed(job))) => {
                        known.insert(job.uuid);
                    }
                    Ok(Some(EventKind::Out(job))) => {
                        known.remove(&job.uuid);
                    }
                    Ok(Some(EventKind::Gone(gone))) => {
                        known.remove(&gone.uuid);
                    }
                    Ok(other) => panic!("{other:?}: no tombstone was forgotten"),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Closed);
                        return known;
                    }
                }
            }
        });
        let writers: Vec<_> = (1..=2)
            .map(|n| {
                let tracker = tracker.clone();
                thread::spawn(move || {
                    tracker.create(new(n)).unwrap();
                    tracker.start(id_of(n)).unwrap();
                    tracker.create(new(10 + n)).unwrap();
                    tracker.start(id_of(10 + n)).unwrap();
                    tracker.fail(id_of(n), Failure::default()).unwrap();
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        tracker.close().unwrap();
        let known: Vec<_> = watcher.join().unwrap().into_iter().collect();
        assert_eq!(known, [id_of(11), id_of(12)]);
    });
}
