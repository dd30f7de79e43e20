//! The sweeper, writers and readers while time passes: no answer shows a job after its time.

use std::sync::Arc;
use std::time::Duration;

use interleaved::{ErrorKind, Failure, NewJob, Query, State};
use shuttle::thread;

use crate::play::{BusyStore, StandingClock, id_of, new, opened, stored, under_many_schedules};

#[test]
fn no_answer_shows_a_job_after_its_time_whoever_sweeps() {
    under_many_schedules(|| {
        let (store, clock) = (Arc::new(BusyStore::default()), StandingClock::new());
        let tracker = opened(Arc::clone(&store), &clock);
        for n in 1..=2 {
            // Both within one step of the clock, so that the next hides nothing more.
            let retention = Some(Duration::from_secs(9 + n));
            tracker.create(NewJob { retention, ..new(u128::from(n)) }).unwrap();
            tracker.fail(id_of(u128::from(n)), Failure::default()).unwrap();
        }
        let moves = clock.clone();
        let time = thread::spawn(move || {
            for _ in 0..3 {
                moves.advance(8);
                thread::yield_now();
            }
        });
        let sweeps = tracker.clone();
        let sweeper = thread::spawn(move || {
            for _ in 0..2 {
                sweeps.maintain(1).unwrap();
            }
        });
        let writes = tracker.clone();
        let writer = thread::spawn(move || drop(writes.create(new(3)).unwrap()));
        let lists = tracker.clone();
        let lister = thread::spawn(move || {
            for _ in 0..3 {
                let before = lists.now();
                let page = lists.query(&Query::default()).unwrap();
                assert!(page.horizon >= before, "asked at {before}, answered of {}", page.horizon);
                assert!(page.jobs.iter().all(|job| !job.is_expired(page.horizon)));
            }
        });
        // One by one, which takes another way than a listing while nothing is hidden.
        let gets = tracker.clone();
        let getter = thread::spawn(move || {
            let mut was_gone = false;
            for _ in 0..3 {
                let before = gets.now();
                match gets.get(id_of(1)) {
                    Ok(found) => {
                        assert!(!found.is_expired(before), "shown after its time");
                        assert!(!was_gone, "it was gone before");
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Gone);
                        was_gone = true;
                    }
                }
            }
        });
        for thread in [time, sweeper, writer, lister, getter] {
            thread.join().unwrap();
        }
        // At 24 seconds both are gone, swept or not.
        let page = tracker.query(&Query::default()).unwrap();
        assert_eq!(page.jobs.iter().map(|job| job.uuid).collect::<Vec<_>>(), [id_of(3)]);
        assert_eq!(tracker.counts().unwrap().total(), 1);
        while tracker.maintain(1).unwrap().more {}
        drop(tracker);
        assert_eq!(stored(store, &clock), [(3, State::Queued)]);
    });
}

/// Whoever is told that a job is gone is told so for ever, also by a store opened after a crash
/// whose clock was set back: the horizon is stored before the answer is given.
#[test]
fn what_was_said_to_be_gone_stays_gone_for_those_who_open_the_store_again() {
    under_many_schedules(|| {
        let (store, clock) = (Arc::new(BusyStore::default()), StandingClock::new());
        let tracker = opened(Arc::clone(&store), &clock);
        tracker.create(NewJob { retention: Some(Duration::from_secs(10)), ..new(1) }).unwrap();
        tracker.fail(id_of(1), Failure::default()).unwrap();
        let moves = clock.clone();
        let time = thread::spawn(move || moves.advance(10));
        let extends = tracker.clone();
        let extender =
            thread::spawn(move || extends.extend(id_of(1), Duration::from_secs(60)).is_ok());
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let tracker = tracker.clone();
                thread::spawn(move || tracker.get(id_of(1)).is_err())
            })
            .collect();
        time.join().unwrap();
        let was_extended = extender.join().unwrap();
        // Who could not extend it was told that it is gone, too.
        let mut was_gone = !was_extended;
        for reader in readers {
            was_gone |= reader.join().unwrap();
        }
        assert!(!(was_gone && was_extended), "it was gone and came back");
        // As after a crash: the tracker does not close the store, and the clock stands at the start.
        std::mem::forget(tracker);
        let jobs = stored(store, &StandingClock::new());
        assert_eq!(jobs.is_empty(), was_gone, "{jobs:?}");
    });
}
