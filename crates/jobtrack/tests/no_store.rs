//! A tracker without a store answers as one with a store does, but for the logs.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Action, Claim, Command, Durability, Expr, Failure, Hold, JobId, MemoryStore, NewJob, NoStore,
    Options, Query, Store, Success, Tracker,
};
use jobtrack_testkit::ManualClock;
use proptest::prelude::*;

/// A tracker and its clock; two that are told the same come to the same.
struct World {
    tracker: Tracker,
    clock: ManualClock,
}

impl World {
    fn of(store: impl Store + 'static) -> World {
        let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap());
        let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
        World { tracker: Tracker::open(store, options).unwrap(), clock }
    }

    /// Does this, and tells what came of it.
    fn does(&self, what: u8, which: u8, how: u64) -> String {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(u128::from(which % 12) + 1));
        let parent = JobId::from_uuid(uuid::Uuid::from_u128(u128::from(which % 5) + 1));
        let new = |parent| NewJob {
            uuid: Some(job),
            parent,
            deadline: how
                .is_multiple_of(5)
                .then(|| self.tracker.now().saturating_add(Duration::from_secs(how))),
            ..NewJob::described("Backup of vol1")
        };
        let hold = || Hold::leased("worker-1");
        let command = match what {
            0..6 => Command::create(new(None)),
            6 => Command::create(new(Some(parent))),
            7..10 => Command::start(job),
            10 => Command::report(job, "7 of 40 files"),
            11..14 => Command::succeed(job, Success::default()),
            14 => Command::fail(job, Failure::new(how.cast_signed(), "no room")),
            15 => Command::request(
                job,
                [Action::Pause, Action::Resume, Action::Cancel][usize::from(which) % 3],
            ),
            16 => Command::claim(Claim::matching(Expr::everything(), hold())),
            17 => Command::claim_job(job, hold()),
            18 => Command::release(job, how % 3),
            19 => Command::extend(job, Duration::from_secs(how * 60)),
            20 => Command::hold(job),
            21 => Command::unhold(job),
            22 => Command::delete(job),
            _ => {
                self.clock.advance(Duration::from_secs(how * 10));
                let budget = usize::from(which);
                return format!("{:?}", self.tracker.maintain(budget).unwrap());
            }
        };
        format!("{:?}", self.tracker.run(command.durability(Durability::Deferred)))
    }

    fn listing(&self) -> String {
        let page = self.tracker.query(&Query::default()).unwrap();
        format!("{:?} {:?} {}", page.jobs, self.tracker.counts().unwrap(), self.tracker.revision())
    }
}

proptest! {
    #[test]
    fn it_answers_as_one_with_a_store_does(
        steps in proptest::collection::vec((0..26_u8, any::<u8>(), 0..60_u64), 0..120),
    ) {
        let (with, without) = (World::of(MemoryStore::new()), World::of(NoStore::default()));
        for (what, which, how) in steps {
            prop_assert_eq!(without.does(what, which, how), with.does(what, which, how));
            prop_assert_eq!(without.listing(), with.listing());
        }
    }
}

#[test]
fn nothing_outlives_the_tracker() {
    let store = Arc::new(NoStore::default());
    for _ in 0..2 {
        let world = World::of(Arc::clone(&store));
        assert_eq!((world.tracker.opened().jobs, world.tracker.counts().unwrap().total()), (0, 0));
        let job = world.tracker.create(NewJob::described("Backup of vol1")).unwrap();
        assert!(world.tracker.log(job.uuid).unwrap().entries.is_empty());
    }
}
