//! The queue of commands: who leads, what is committed together, and that nobody is forgotten.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use interleaved::{Command, Durability, ErrorKind, NewJob, State, Success};
use shuttle::future::block_on;
use shuttle::thread;

use crate::play::{
    BusyStore, StandingClock, id_of, new, opened, stored, tracker, under_many_schedules,
};

#[test]
fn callers_that_block_are_each_answered_and_share_commits() {
    under_many_schedules(|| {
        let (store, clock) = (Arc::new(BusyStore::default()), StandingClock::new());
        let tracker = opened(Arc::clone(&store), &clock);
        let before = store.commits();
        let callers: Vec<_> = (1..=3)
            .map(|n| {
                let tracker = tracker.clone();
                thread::spawn(move || {
                    let made = tracker.run(Command::create(new(n))).unwrap();
                    assert_eq!(made.job.uuid, id_of(n));
                    let started = tracker.run(Command::start(id_of(n))).unwrap();
                    assert_eq!(started.job.state(), State::Running);
                    assert!(started.revision > made.revision);
                    // What is acknowledged is seen.
                    let found = tracker.get(id_of(n)).unwrap();
                    assert!(found.revision >= started.revision);
                    assert_eq!(found.state(), State::Running);
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert!((2..=6).contains(&(store.commits() - before)), "{}", store.commits() - before);
        drop(tracker);
        let all: Vec<_> = (1..=3).map(|n| (n, State::Running)).collect();
        assert_eq!(stored(store, &clock), all);
    });
}

/// A command was once left behind that was submitted just as the leader found the queue empty.
#[test]
fn whoever_drives_is_not_forgotten_by_another_who_leads() {
    under_many_schedules(|| {
        let tracker = tracker();
        let drivers: Vec<_> = (1..=3)
            .map(|n| {
                let tracker = tracker.clone();
                thread::spawn(move || {
                    let ticket = tracker.submit(Command::create(new(n)));
                    tracker.drive();
                    ticket
                })
            })
            .collect();
        let tickets: Vec<_> = drivers.into_iter().map(|driver| driver.join().unwrap()).collect();
        // All have driven, so all is decided: nobody will drive any more.
        for ticket in tickets {
            assert!(ticket.is_decided());
            ticket.wait().unwrap();
        }
    });
}

/// The lead once fell to a caller who had yet to queue its commands.
#[test]
fn drivers_callers_and_groups_leave_no_command_behind() {
    under_many_schedules(|| {
        let tracker = tracker();
        let drives = tracker.clone();
        let driver = thread::spawn(move || {
            let ticket = drives.submit(Command::create(new(1)));
            drives.drive();
            // Whoever leads instead is bound to take it along.
            ticket.wait().unwrap()
        });
        let runs = tracker.clone();
        let caller = thread::spawn(move || runs.create(new(2)).unwrap());
        let groups = tracker.clone();
        let group = thread::spawn(move || {
            let commands = (3..=4).map(|n| {
                // An iterator may itself use the tracker.
                assert!(groups.get(id_of(n)).is_err());
                Command::create(new(n))
            });
            groups.run_all(commands).into_iter().for_each(|made| drop(made.unwrap()));
        });
        driver.join().unwrap();
        caller.join().unwrap();
        group.join().unwrap();
        assert_eq!(tracker.counts().unwrap().of_state(State::Queued), 4);
    });
}

#[test]
fn a_ticket_is_awaited_while_others_drive() {
    under_many_schedules(|| {
        let tracker = tracker();
        let ticket = tracker.submit(Command::create(new(1)));
        let awaiting = thread::spawn(move || block_on(ticket).unwrap().job.uuid);
        let other = tracker.submit(Command::create(new(2)));
        let waiting = thread::spawn(move || other.wait().unwrap().job.uuid);
        let drivers: Vec<_> = (0..2)
            .map(|_| {
                let tracker = tracker.clone();
                thread::spawn(move || tracker.drive())
            })
            .collect();
        let driven: usize = drivers.into_iter().map(|driver| driver.join().unwrap()).sum();
        assert_eq!(driven, 2, "each is committed once");
        assert_eq!(awaiting.join().unwrap(), id_of(1));
        assert_eq!(waiting.join().unwrap(), id_of(2));
    });
}

/// A ticket polled with another waker each time wakes the last one.
#[test]
fn a_ticket_wakes_who_polled_it_last() {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    under_many_schedules(|| {
        let tracker = tracker();
        let drives = tracker.clone();
        let ticket = tracker.submit(Command::create(new(1)));
        let driver = thread::spawn(move || drives.drive());
        let mut ticket = pin!(ticket);
        let first = ticket.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let mut outcome = first;
        while outcome.is_pending() {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            outcome = ticket.as_mut().poll(&mut Context::from_waker(&waker));
            if outcome.is_pending() {
                thread::park();
            }
        }
        assert!(matches!(outcome, Poll::Ready(Ok(_))), "{outcome:?}");
        assert_eq!(driver.join().unwrap(), 1);
    });
}

#[test]
fn closing_answers_everyone_and_keeps_what_was_acknowledged() {
    under_many_schedules(|| {
        let (store, clock) = (Arc::new(BusyStore::default()), StandingClock::new());
        let tracker = opened(Arc::clone(&store), &clock);
        let runs = tracker.clone();
        let caller = thread::spawn(move || runs.create(new(1)).map(|job| job.uuid));
        let submits = tracker.clone();
        let submitter = thread::spawn(move || {
            let ticket = submits.submit(Command::create(new(2)));
            submits.drive();
            ticket.wait().map(|applied| applied.job.uuid)
        });
        let undriven = tracker.submit(Command::create(new(3)));
        let awaiting = thread::spawn(move || block_on(undriven).map(|applied| applied.job.uuid));
        tracker.close().unwrap();
        let answers = [caller, submitter, awaiting].map(|thread| thread.join().unwrap());
        let mut acknowledged = Vec::new();
        for answer in answers {
            match answer {
                Ok(id) => acknowledged.push((id.as_uuid().as_u128(), State::Queued)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
            }
        }
        assert_eq!(tracker.create(NewJob::default()).unwrap_err().kind(), ErrorKind::Closed);
        drop(tracker);
        assert_eq!(stored(store, &clock), acknowledged);
    });
}

/// Commands on one job, from several at once: decided in some turn, and never two at a time.
#[test]
fn of_several_who_end_a_job_one_does() {
    under_many_schedules(|| {
        let tracker = tracker();
        tracker.create(new(1)).unwrap();
        tracker.start(id_of(1)).unwrap();
        let enders: Vec<_> = (0..3)
            .map(|n| {
                let tracker = tracker.clone();
                thread::spawn(move || {
                    let success = Success::with_message(format!("{n}"));
                    let command = Command::succeed(id_of(1), success);
                    let command = match n {
                        0 => command.durability(Durability::Deferred),
                        _ => command,
                    };
                    tracker.run(command).map(|applied| applied.job.message.clone())
                })
            })
            .collect();
        let mut ended = Vec::new();
        for ender in enders {
            match ender.join().unwrap() {
                Ok(message) => ended.push(message),
                Err(error) => assert_eq!(error.kind(), ErrorKind::JobEnded),
            }
        }
        assert_eq!(ended, [tracker.get(id_of(1)).unwrap().message.as_str()]);
    });
}
