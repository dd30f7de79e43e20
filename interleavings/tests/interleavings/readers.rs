//! Readers beside writers: every answer is of one revision, and none goes back.

use std::sync::Arc;

use interleaved::{Command, Failure, Query, State};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

use crate::play::{id_of, new, tracker, under_many_schedules};

#[test]
fn no_answer_shows_half_a_commit_and_none_goes_back() {
    under_many_schedules(|| {
        let tracker = tracker();
        let writes = tracker.clone();
        let writer = thread::spawn(move || {
            let run = |commands: [Command; 2]| {
                writes.run_all(commands).into_iter().for_each(|done| drop(done.unwrap()));
            };
            // Each pair was queued at once, and nobody else leads: so each is one commit.
            run([1, 2].map(|n| Command::create(new(n))));
            run([1, 2].map(|n| Command::fail(id_of(n), Failure::default())));
            run([1, 2].map(|n| Command::delete(id_of(n))));
        });
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let tracker = tracker.clone();
                thread::spawn(move || {
                    let mut latest = None;
                    for _ in 0..3 {
                        let page = tracker.query(&Query::default()).unwrap();
                        let states: Vec<_> = page.jobs.iter().map(|job| job.state()).collect();
                        assert!(
                            matches!(states.as_slice(), [] | [_, _])
                                && states.first() == states.last(),
                            "{states:?}"
                        );
                        assert!(page.jobs.iter().all(|job| job.revision <= page.revision));
                        assert!(latest <= Some(page.revision));
                        latest = Some(page.revision);
                        assert_eq!(tracker.counts().unwrap().total() % 2, 0);
                        assert!(tracker.revision() >= page.revision);
                    }
                })
            })
            .collect();
        writer.join().unwrap();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn what_one_was_told_everyone_sees() {
    under_many_schedules(|| {
        let tracker = tracker();
        tracker.create(new(1)).unwrap();
        let told = Arc::new(AtomicU64::new(0));
        let (writes, tells) = (tracker.clone(), Arc::clone(&told));
        let writer = thread::spawn(move || {
            for n in 1..=3 {
                writes.report(id_of(1), format!("{n}").as_str()).unwrap();
                tells.store(n, Ordering::SeqCst);
            }
        });
        let other = tracker.clone();
        let noise = thread::spawn(move || drop(other.create(new(2)).unwrap()));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (tracker, told) = (tracker.clone(), Arc::clone(&told));
                thread::spawn(move || {
                    let mut before = 0;
                    for _ in 0..4 {
                        let at_least = told.load(Ordering::SeqCst);
                        let message = tracker.get(id_of(1)).unwrap().message.clone();
                        let seen = message.parse().unwrap_or(0);
                        assert!(seen >= at_least, "{at_least} was acknowledged, {seen} is seen");
                        assert!(seen >= before, "{before} was seen before {seen}");
                        before = seen;
                    }
                })
            })
            .collect();
        writer.join().unwrap();
        noise.join().unwrap();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(tracker.counts().unwrap().of_state(State::Queued), 2);
    });
}
