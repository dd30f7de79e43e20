//! What survives, and what is said when that is not known.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::store::{Batch, CommitError, Record, Space, Visit, Write};
use jobtrack::{
    Action, Command, Durability, ErrorKind, Expr, Failure, JobId, MemoryStore, NewJob, Options,
    Revision, State, Store, TombstoneOptions, Tracker,
};
use jobtrack_testkit::{CrashStore, Fault, FaultyStore};

fn open(store: impl Store + 'static) -> Tracker {
    Tracker::open(store, Options::default()).unwrap()
}

fn id(n: u128) -> JobId {
    JobId::from_uuid(uuid::Uuid::from_u128(n))
}

fn create(n: u128) -> Command {
    Command::create(NewJob { uuid: Some(id(n)), ..NewJob::default() })
}

#[test]
fn a_clean_close_goes_on_in_the_same_epoch_and_a_crash_begins_a_new_one() {
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store));
    let first = tracker.run(create(1)).unwrap().revision;
    assert_eq!(first.epoch, 1);
    drop(tracker);

    let tracker = open(Arc::clone(&store));
    assert!(tracker.opened().was_clean);
    let second = tracker.run(create(2)).unwrap().revision;
    assert_eq!(second.epoch, 1);
    assert!(second.number > first.number);

    let tracker = open(store.crash(usize::MAX));
    assert!(!tracker.opened().was_clean);
    assert_eq!(tracker.revision().epoch, 2);
    // A job keeps the revision of its own last change.
    assert_eq!(tracker.get(id(2)).unwrap().job.revision, second);
    assert_eq!(tracker.run(create(3)).unwrap().revision.epoch, 2);
}

#[test]
fn synced_changes_survive_a_crash_and_deferred_ones_as_a_prefix() {
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store));
    tracker.run(create(1)).unwrap();
    for n in 2..=4 {
        tracker.run(create(n).durability(Durability::Deferred)).unwrap();
    }
    assert_eq!(store.deferred(), 3);
    for kept in 0..=3 {
        let tracker = open(store.crash(kept));
        assert_eq!(tracker.counts().unwrap().total(), 1 + kept as u64);
    }
    // A synced change takes every earlier one along; so does a sync of its own.
    tracker.run(create(5)).unwrap();
    assert_eq!(open(store.crash(0)).counts().unwrap().total(), 5);
    tracker.run(create(6).durability(Durability::Deferred)).unwrap();
    tracker.sync().unwrap();
    assert_eq!(open(store.crash(0)).counts().unwrap().total(), 6);
    // There is nothing to do when nothing is deferred.
    let before = tracker.revision();
    tracker.sync().unwrap();
    assert_eq!(tracker.revision(), before);
}

#[test]
fn a_group_is_as_durable_as_its_strongest_command() {
    let store = Arc::new(CrashStore::new());
    let tracker = open(Arc::clone(&store));
    let outcomes = tracker.run_all([create(1).durability(Durability::Deferred), create(2)]);
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(store.deferred(), 0);
}

#[test]
fn a_failed_commit_changes_nothing_and_the_next_may_be_tried() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let tracker = open(Arc::clone(&store));
    tracker.run(create(1)).unwrap();
    let before = tracker.revision();
    store.fail_commit(1, Fault::Failed(ErrorKind::StoreFull));
    assert_eq!(tracker.start(id(1)).unwrap_err().kind(), ErrorKind::StoreFull);
    assert_eq!(tracker.get(id(1)).unwrap().state(), State::Queued);
    assert_eq!(tracker.revision(), before);
    assert_eq!(tracker.start(id(1)).unwrap().state(), State::Running);
}

#[test]
fn in_a_failed_group_what_rests_on_the_table_is_answered_as_ever() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let tracker = open(Arc::clone(&store));
    tracker.run(create(1)).unwrap();
    store.fail_commit(1, Fault::Failed(ErrorKind::StoreFailed));
    let kinds: Vec<_> = tracker
        .run_all([
            Command::start(id(1)),
            Command::start(id(1)), // refused for a start that never happened
            Command::start(id(9)),
            Command::delete(id(9)),
        ])
        .into_iter()
        .map(|outcome| outcome.unwrap_err().kind())
        .collect();
    let (failed, unknown) = (ErrorKind::StoreFailed, ErrorKind::NotFound);
    assert_eq!(kinds, [failed, failed, unknown, unknown]);
}

/// "It is so already" is an acknowledgement like any other, and was once given although the sync
/// that it rested on had failed.
#[test]
fn what_is_so_already_is_not_confirmed_when_its_sync_fails() {
    let crash = Arc::new(CrashStore::new());
    let store = Arc::new(FaultyStore::new(Arc::clone(&crash)));
    let tracker = open(Arc::clone(&store));
    let cooperative = NewJob { uuid: Some(id(1)), cooperative: true, ..NewJob::default() };
    tracker.create(cooperative).unwrap();
    tracker.start(id(1)).unwrap();
    let cancel = || Command::request(id(1), Action::Cancel);
    tracker.run(cancel().durability(Durability::Deferred)).unwrap();
    store.fail_commit(1, Fault::Failed(ErrorKind::StoreFull));
    assert_eq!(tracker.run(cancel()).unwrap_err().kind(), ErrorKind::StoreFull);
    tracker.run(cancel()).unwrap();
    let left = open(crash.crash(0));
    assert!(left.get(id(1)).unwrap().requested.is_some());
}

/// One tracker at a time: whoever finds that another has opened the store writes no more. A watch
/// that outlived its tracker once closed the store "cleanly" under the next one, in its own epoch.
#[test]
fn a_tracker_that_was_replaced_writes_no_more() {
    let store = Arc::new(MemoryStore::new());
    let old = open(Arc::clone(&store));
    let watch = old.watch(Expr::everything(), None).unwrap();
    let other = old.clone();
    drop(old);
    let new = open(Arc::clone(&store));
    assert_eq!(other.run(create(1)).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(other.run(create(2)).unwrap_err().kind(), ErrorKind::Unsettled);
    drop((other, watch));
    let revision = new.run(create(3)).unwrap().revision;
    std::mem::forget(new); // A crash.
    let third = open(store);
    assert!(!third.opened().was_clean);
    assert!(third.opened().epoch > revision.epoch);
    assert_eq!(third.counts().unwrap().total(), 1);
}

#[test]
fn an_unknown_outcome_is_seen_by_nobody_and_settled_by_opening_again() {
    for was_written in [false, true] {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let tracker = open(Arc::clone(&store));
        tracker.run(create(1)).unwrap();
        store.fail_commit(1, Fault::Unknown { was_written });
        assert_eq!(tracker.start(id(1)).unwrap_err().kind(), ErrorKind::OutcomeUnknown);
        // Reads go on, at the last revision that is known; no change is taken.
        assert_eq!(tracker.get(id(1)).unwrap().state(), State::Queued);
        assert_eq!(tracker.run(create(2)).unwrap_err().kind(), ErrorKind::Unsettled);
        assert_eq!(tracker.maintain(1).unwrap_err().kind(), ErrorKind::Unsettled);
        assert_eq!(tracker.close().unwrap_err().kind(), ErrorKind::Unsettled);
        drop(tracker);

        store.heal().unwrap();
        let tracker = open(store);
        assert!(!tracker.opened().was_clean);
        let expected = if was_written { State::Running } else { State::Queued };
        assert_eq!(tracker.get(id(1)).unwrap().state(), expected);
        tracker.run(create(2)).unwrap();
    }
}

/// A store whose commit panics once it holds a record of space job.
struct PanickingStore(MemoryStore);

impl Store for PanickingStore {
    fn load(&self, visit: &mut Visit<'_>) -> jobtrack::Result<u64> {
        self.0.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> jobtrack::Result<Option<Record>> {
        self.0.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        assert!(batch.writes.iter().all(|write| write.space != Space::Job), "as planned");
        self.0.commit(batch, durability)
    }
}

#[test]
fn a_panic_in_a_store_leaves_nobody_waiting_and_takes_no_further_change() {
    let tracker = open(PanickingStore(MemoryStore::new()));
    let ticket = tracker.submit(create(1));
    let other = tracker.clone();
    std::thread::spawn(move || other.drive()).join().unwrap_err();
    assert_eq!(ticket.wait().unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(tracker.run(create(2)).unwrap_err().kind(), ErrorKind::Unsettled);
    assert_eq!(tracker.get(id(1)).unwrap_err().kind(), ErrorKind::NotFound);
}

fn meta(key: &[u8], value: &[u8]) -> Write {
    Write { space: Space::Meta, key: key.into(), value: Some(value.to_vec()) }
}

fn store_with(writes: Vec<Write>) -> MemoryStore {
    let store = MemoryStore::new();
    let batch = Batch { id: uuid::Uuid::nil(), expectations: vec![], writes };
    store.commit(&batch, Durability::Synced).unwrap();
    store
}

#[test]
fn a_store_that_is_not_ours_damaged_or_from_the_future_is_refused_by_name() {
    let refused = |store: MemoryStore| {
        let error = Tracker::open(store, Options::default()).unwrap_err();
        (error.kind(), error.to_string())
    };
    let (kind, _) = refused(store_with(vec![meta(b"other", b"program")]));
    assert_eq!(kind, ErrorKind::StoreForeign);
    let (kind, text) = refused(store_with(vec![meta(b"head", &[9, 1, 1, 0, 1])]));
    assert_eq!(kind, ErrorKind::StoreTooNew, "{text}");
    // Format 2, epoch 1, horizon 0, closed cleanly.
    let (kind, text) = refused(store_with(vec![meta(b"head", &[1, 2, 1, 0, 1])]));
    assert_eq!(
        (kind, text.as_str()),
        (
            ErrorKind::StoreTooNew,
            "the store has format level 2, to which a newer jobtrack has raised it; this one knows \
         levels up to 1",
        )
    );
    let job = Write { space: Space::Job, key: [0; 8].into(), value: Some(vec![1, 2, 3]) };
    let (kind, text) = refused(store_with(vec![meta(b"head", &[1, 1, 1, 0, 1]), job]));
    assert_eq!(kind, ErrorKind::StoreDamaged);
    assert!(text.starts_with("record 0x0000000000000000 of space job: "), "{text}");
}

/// As `docs/storage-format.md` has them: a version byte, then the fields.
#[test]
fn the_records_of_epochs_and_of_what_is_forgotten_are_as_documented() {
    let store = Arc::new(CrashStore::new());
    let read = |store: &CrashStore, key: &[u8]| {
        store.read(Space::Meta, key).unwrap().map(|record| (record.revision, record.value))
    };
    let keep_none = || Options {
        tombstones: TombstoneOptions { at_most: 0, ..TombstoneOptions::default() },
        ..Options::default()
    };
    let tracker = Tracker::open(Arc::clone(&store), keep_none()).unwrap();
    assert_eq!(read(&store, b"epochs"), Some((1, vec![1, 1, 0])), "epoch 1, none before it");
    assert_eq!(read(&store, b"forgotten"), None);
    for n in 1..=2 {
        tracker.run(create(n)).unwrap();
        tracker.fail(id(n), Failure::default()).unwrap();
        tracker.delete(id(n)).unwrap();
    }
    // The tombstone of revision 1-4 went with the next commit.
    assert_eq!(read(&store, b"forgotten"), Some((5, vec![1, 1, 1, 4])));
    tracker.maintain(1).unwrap();
    assert_eq!(read(&store, b"forgotten"), Some((8, vec![1, 1, 1, 7])));
    tracker.close().unwrap();
    drop(tracker);
    let tracker = Tracker::open(Arc::clone(&store), keep_none()).unwrap();
    assert_eq!(read(&store, b"epochs").map(|(number, _)| number), Some(1), "it goes on");

    let crashed = Arc::new(store.crash(usize::MAX));
    let after = Tracker::open(Arc::clone(&crashed), keep_none()).unwrap().revision();
    let epochs = read(&crashed, b"epochs");
    assert_eq!(epochs, Some((after.number, vec![1, 2, 1, 1, 1])), "epoch 2, after 1 from 1-1 on");
    drop(tracker);

    // A job that leaves no tombstone behind: the number is that of the record itself.
    let tombstones = TombstoneOptions { keep: Duration::ZERO, ..TombstoneOptions::default() };
    let store = Arc::new(CrashStore::new());
    let tracker =
        Tracker::open(Arc::clone(&store), Options { tombstones, ..Options::default() }).unwrap();
    tracker.run(create(1)).unwrap();
    tracker.fail(id(1), Failure::default()).unwrap();
    tracker.delete(id(1)).unwrap();
    assert_eq!(read(&store, b"forgotten"), Some((4, vec![1, 1, 0])));
}

#[test]
fn revisions_are_told_with_their_epoch() {
    let tracker = open(MemoryStore::new());
    let revision = tracker.run(create(1)).unwrap().revision;
    assert_eq!(revision, Revision { epoch: 1, number: 2 });
    assert_eq!(revision.to_string(), "1-2");
}
