//! Parents and children: counts, who may succeed when, who is canceled with whom, who stays as long
//! as whom.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Action, Allows, Cause, Command, Durability, ErrorKind, Failure, FamilyOptions, Hold, JobId,
    JobParts, MemoryStore, NewJob, Options, RollUp, State, Store, Success, Timestamp, Tracker,
};
use jobtrack_testkit::{CrashStore, ManualClock};

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

fn open(store: impl Store + 'static, clock: &ManualClock) -> Tracker {
    let families = FamilyOptions {
        by_kind: [("free".to_owned(), RollUp::Free), ("strict".to_owned(), RollUp::Succeeded)]
            .into(),
        ..FamilyOptions::default()
    };
    let options = Options { clock: Arc::new(clock.clone()), families, ..Options::default() };
    Tracker::open(store, options).unwrap()
}

fn running(tracker: &Tracker, job: NewJob) -> JobId {
    let id = tracker.create(job).unwrap().uuid;
    tracker.start(id).unwrap();
    id
}

fn child(parent: JobId) -> NewJob {
    NewJob { parent: Some(parent), ..NewJob::default() }
}

/// Lets everything happen that is due.
fn settle(tracker: &Tracker) {
    while tracker.maintain(3).unwrap().more {}
}

fn succeed(tracker: &Tracker, id: JobId) -> Result<(), ErrorKind> {
    tracker.succeed(id, Success::default()).map(drop).map_err(|error| error.kind())
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn expires(tracker: &Tracker, id: JobId) -> Option<Timestamp> {
    tracker.get(id).unwrap().expire_time()
}

#[test]
fn children_are_counted_by_state_at_every_revision_and_after_a_restart() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    let parent = running(&tracker, NewJob::default());
    let counts = |tracker: &Tracker| {
        let children = tracker.children(parent).unwrap();
        State::ALL.iter().map(|state| children.of_state(*state)).collect::<Vec<_>>()
    };
    let ids: Vec<_> = (0..4).map(|_| tracker.create(child(parent)).unwrap().uuid).collect();
    assert_eq!(counts(&tracker), [4, 0, 0, 0, 0]);
    let outcomes = tracker.run_all([
        Command::start(ids[0]),
        Command::start(ids[1]),
        Command::pause(ids[1]),
        Command::start(ids[2]),
        Command::succeed(ids[2], Success::default()),
        Command::fail(ids[3], Failure::default()),
        Command::delete(ids[3]),
    ]);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(counts(&tracker), [0, 1, 1, 1, 0]);
    tracker.close().unwrap();
    drop(tracker);
    let tracker = open(store, &clock);
    assert_eq!(counts(&tracker), [0, 1, 1, 1, 0]);
    let tree = tracker.tree(parent, 100).unwrap();
    let shown: Vec<_> = tree.nodes.iter().map(|node| (node.depth, node.job.uuid)).collect();
    assert_eq!(shown, [(0, parent), (1, ids[0]), (1, ids[1]), (1, ids[2])]);
    assert!(!tree.is_cut && tracker.tree(parent, 3).unwrap().is_cut);
}

#[test]
fn a_parent_succeeds_once_its_children_let_it() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    for (kind, while_live, with_failed) in [
        ("", Err(ErrorKind::NotRolledUp), Ok(())),
        ("strict", Err(ErrorKind::NotRolledUp), Err(ErrorKind::NotRolledUp)),
        ("free", Ok(()), Ok(())),
    ] {
        let parent = || {
            let id = running(&tracker, NewJob { kind: kind.to_owned(), ..NewJob::default() });
            (id, running(&tracker, child(id)))
        };
        let (a, _) = parent();
        assert_eq!(succeed(&tracker, a), while_live, "{kind}");
        let (b, of_b) = parent();
        tracker.fail(of_b, Failure::default()).unwrap();
        assert_eq!(succeed(&tracker, b), with_failed, "{kind}");
        let (c, of_c) = parent();
        // Decided in turn, within one commit.
        let both = [of_c, c].map(|id| Command::succeed(id, Success::default()));
        assert!(tracker.run_all(both).iter().all(Result::is_ok), "{kind}");
    }
    let strict = running(&tracker, NewJob { kind: "strict".to_owned(), ..NewJob::default() });
    let _live = running(&tracker, child(strict));
    let error = tracker.succeed(strict, Success::default()).unwrap_err();
    assert_eq!(error.message(), "the job cannot succeed: 1 of its 1 children have not ended");
}

#[test]
fn a_parent_that_fails_takes_its_children_with_it_in_bounded_steps() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let parent = running(&tracker, NewJob::default());
    let children: Vec<_> = (0..10).map(|_| tracker.create(child(parent)).unwrap().uuid).collect();
    let grandchild = running(&tracker, child(children[0]));
    let done = running(&tracker, child(parent));
    succeed(&tracker, done).unwrap();
    let cooperative = running(&tracker, NewJob { cooperative: true, ..child(parent) });
    let held = tracker.create(child(parent)).unwrap().uuid;
    tracker.claim_job(held, Hold::leased("w")).unwrap();
    let allows = Allows { cancel: false, pause: true };
    let immune = running(&tracker, NewJob { allows, ..child(parent) });

    tracker.request(parent, Action::Cancel).unwrap();
    let first = tracker.maintain(4).unwrap();
    assert!(first.followed <= 4 && first.more, "{first:?}");
    let error = tracker.create(child(parent)).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::JobEnded, Some("parent")));
    settle(&tracker);
    for id in children.iter().chain([&grandchild]) {
        let job = tracker.get(*id).unwrap();
        assert_eq!(job.cause(), Some(Cause::Canceled), "{job:?}");
        assert!(job.message.starts_with("The job was canceled: its parent "), "{}", job.message);
    }
    assert_eq!(tracker.get(done).unwrap().state(), State::Success, "an end is final");
    for id in [cooperative, held] {
        let job = tracker.get(id).unwrap();
        let asked = job.requested.as_ref().map(|request| request.action);
        assert_eq!((job.state(), asked), (State::Running, Some(Action::Cancel)));
    }
    assert_eq!(tracker.get(immune).unwrap().state(), State::Running);
}

#[test]
fn a_wish_to_cancel_reaches_the_children_of_a_parent_that_answers_for_itself() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let parent = running(&tracker, NewJob { cooperative: true, ..NewJob::default() });
    let of_it = running(&tracker, child(parent));
    tracker.request(parent, Action::Cancel).unwrap();
    let error = tracker.create(child(parent)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CancelPending);
    settle(&tracker);
    assert_eq!(tracker.get(of_it).unwrap().cause(), Some(Cause::Canceled));
    assert_eq!(tracker.get(parent).unwrap().state(), State::Running);
}

#[test]
fn a_child_that_ended_stays_as_long_as_its_parent() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let parent = running(&tracker, NewJob { retention: Some(seconds(1_000)), ..NewJob::default() });
    let brief = running(&tracker, NewJob { retention: Some(seconds(1)), ..child(parent) });
    let long = running(&tracker, NewJob { retention: Some(seconds(5_000)), ..child(parent) });
    let below = running(&tracker, NewJob { retention: Some(seconds(1)), ..child(brief) });
    for id in [below, brief, long] {
        succeed(&tracker, id).unwrap();
        assert_eq!(expires(&tracker, id), None);
    }
    clock.advance(seconds(100_000));
    settle(&tracker);
    assert!(tracker.get(below).is_ok(), "the top of the family lives");
    let end = tracker.now();
    succeed(&tracker, parent).unwrap();
    settle(&tracker);
    let after = |n| Some(end.saturating_add(seconds(n)));
    for id in [brief, below, long] {
        // Whose own time is up has to wait for the parent's.
        assert_eq!(expires(&tracker, id), after(1_000));
    }
    tracker.extend(parent, seconds(2_000)).unwrap();
    settle(&tracker);
    assert_eq!(expires(&tracker, below), after(2_000));
    clock.advance(seconds(1_999));
    assert_eq!(tracker.children(parent).unwrap().total(), 2);
    clock.advance(seconds(1));
    settle(&tracker);
    for id in [parent, brief, below, long] {
        assert_eq!(tracker.get(id).unwrap_err().kind(), ErrorKind::Gone);
    }
}

#[test]
fn no_parent_goes_before_its_children_know() {
    let clock = clock();
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store), &clock);
    // It expires in the moment in which it ends.
    let parent = running(&tracker, NewJob { retention: Some(Duration::ZERO), ..NewJob::default() });
    let ended = running(&tracker, child(parent));
    succeed(&tracker, ended).unwrap();
    let live = running(&tracker, child(parent));
    tracker.fail(parent, Failure::default()).unwrap();
    assert_eq!(tracker.get(parent).unwrap_err().kind(), ErrorKind::Gone);

    // The crash comes before any step; the steps are found again.
    let tracker = open(Arc::new(store.crash(0)), &clock);
    settle(&tracker);
    assert_eq!(tracker.get(live).unwrap().cause(), Some(Cause::Canceled));
    assert_eq!(expires(&tracker, ended), Some(tracker.now().saturating_add(seconds(300))));
    clock.advance(seconds(300));
    assert_eq!(tracker.get(ended).unwrap_err().kind(), ErrorKind::Gone);
}

#[test]
fn a_parent_is_deleted_only_after_its_children_have_followed() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let parent = running(&tracker, NewJob::default());
    let of_it = running(&tracker, child(parent));
    let both = [Command::fail(parent, Failure::default()), Command::delete(parent)];
    let outcomes = tracker.run_all(both);
    assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::StillLive);
    settle(&tracker);
    tracker.delete(parent).unwrap();
    settle(&tracker);
    let orphan = tracker.get(of_it).unwrap();
    assert_eq!((orphan.cause(), orphan.parent), (Some(Cause::Canceled), Some(parent)));
    assert!(orphan.expire_time().is_some());
}

#[test]
fn families_have_bounds_and_parents_that_are_there() {
    let clock = clock();
    let tracker = open(MemoryStore::new(), &clock);
    let nobody: JobId = "1cd8a442-86d1-11e0-ae1c-123478563412".parse().unwrap();
    let error = tracker.create(child(nobody)).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::NotFound, Some("parent")));
    let itself = NewJob { uuid: Some(nobody), ..child(nobody) };
    assert_eq!(tracker.create(itself).unwrap_err().kind(), ErrorKind::NotFound);
    let mut last = tracker.create(NewJob::default()).unwrap().uuid;
    for _ in 1..jobtrack::limits::FAMILY_DEPTH {
        last = tracker.create(child(last)).unwrap().uuid;
    }
    let error = tracker.create(child(last)).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("parent")));

    let full = tracker.create(NewJob::default()).unwrap().uuid;
    let most = jobtrack::limits::FAMILY_CHILDREN;
    let command = || Command::create(child(full)).durability(Durability::Deferred);
    let outcomes = tracker.run_all((0..=most).map(|_| command()));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), most as usize);
    assert_eq!(tracker.children(full).unwrap().total(), most);
}

#[test]
fn a_family_is_imported_parents_first() {
    let clock = clock();
    let one = open(MemoryStore::new(), &clock);
    let parent = running(&one, NewJob::default());
    let of_it = running(&one, child(parent));
    succeed(&one, of_it).unwrap();
    let parts = |id| JobParts::from(&*one.get(id).unwrap().job);
    let two = open(MemoryStore::new(), &clock);
    let error = two.run(Command::import(parts(of_it))).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::NotFound, Some("parent")));
    for id in [parent, of_it] {
        two.run(Command::import(parts(id))).unwrap();
    }
    assert_eq!(two.children(parent).unwrap().of_state(State::Success), 1);
    assert_eq!(expires(&two, of_it), None);
}
