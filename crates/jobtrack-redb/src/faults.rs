//! What is left after an error or a power cut, wherever it strikes.
//!
//! A disk stands between redb and its file that fails an operation of the test's choice, and knows
//! what a power cut would leave. Every operation of one workload is struck in turn.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jobtrack::store::{Batch, CommitError, Durability, Space, Store};
use jobtrack::{Command, ErrorKind, Failure, NewJob, Result, Tracker};
use jobtrack_testkit::ManualClock;
use jobtrack_testkit::conformance::{batch, write};
use parking_lot::Mutex;
use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::backend::Seam;
use crate::{DATA_FILE, Options, RedbStore};

/// Which operations fail, and with what.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    None,
    /// The operation of this number fails, counted from 0, with every one after it if it is lasting.
    At {
        number: usize,
        is_lasting: bool,
    },
    /// The next sync fails, and those after it do not: they have nothing left to write.
    NextSync,
    /// Nothing can be written from this length of the file on.
    Full {
        from: u64,
    },
}

#[derive(Debug, Clone)]
struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    trouble: Trouble,
    /// How many operations there were.
    operations: usize,
    /// The file as of the last sync.
    synced: Vec<u8>,
    /// What was done to it since then, in order.
    since: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Disk {
    fn new(trouble: Trouble) -> Disk {
        let state = State { trouble, operations: 0, synced: Vec::new(), since: Vec::new() };
        Disk(Arc::new(Mutex::new(state)))
    }

    fn open(&self, path: &Path) -> Result<RedbStore> {
        let disk = self.clone();
        let seam = Seam::around(move |file| {
            // What is found at opening has been synced before.
            let mut state = disk.0.lock();
            state.synced = bytes(&file);
            state.since.clear();
            Box::new(Faulty { file, disk: disk.clone() })
        });
        RedbStore::open_through(path, &Options::default(), seam)
    }

    fn set(&self, trouble: Trouble) {
        self.0.lock().trouble = trouble;
    }

    /// The file after a power cut that kept the changes since the last sync for which `keep` says
    /// so. No order binds a disk before a sync.
    fn after_power_cut(&self, mut keep: impl FnMut(usize) -> bool) -> Vec<u8> {
        let state = self.0.lock();
        let mut left = state.synced.clone();
        for (number, change) in state.since.iter().enumerate() {
            match change {
                _ if !keep(number) => {}
                Change::Length(length) => left.resize(*length, 0),
                Change::Bytes(at, bytes) => {
                    left.resize(left.len().max(at + bytes.len()), 0);
                    left[*at..at + bytes.len()].copy_from_slice(bytes);
                }
            }
        }
        left
    }
}

fn bytes(file: &FileBackend) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read(0, &mut bytes).unwrap();
    bytes
}

#[derive(Debug)]
struct Faulty {
    file: FileBackend,
    disk: Disk,
}

impl Faulty {
    /// Counts an operation, and fails it if that is planned. `end` is how far it writes.
    fn strike(&self, is_sync: bool, end: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let now = state.operations;
        state.operations += 1;
        match state.trouble {
            Trouble::At { number, is_lasting } if now == number || (is_lasting && now > number) => {
                Err(io::Error::other("the disk is broken"))
            }
            Trouble::NextSync if is_sync => {
                state.trouble = Trouble::None;
                Err(io::Error::other("the sync failed"))
            }
            Trouble::Full { from } if end > from => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.strike(false, 0)?;
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        // A file may be longer than its disk: what is not written takes no room.
        self.strike(false, 0)?;
        self.file.set_len(length)?;
        self.disk.0.lock().since.push(Change::Length(usize::try_from(length).unwrap()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.strike(true, 0)?;
        self.file.sync_data()?;
        let mut state = self.disk.0.lock();
        state.synced = bytes(&self.file);
        state.since.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.strike(false, offset + data.len() as u64)?;
        self.file.write(offset, data)?;
        let change = Change::Bytes(usize::try_from(offset).unwrap(), data.to_vec());
        self.disk.0.lock().since.push(change);
        Ok(())
    }
}

/// What the workload knows of its n-th batch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Acknowledged(Durability),
    Unknown,
    Refused,
}

/// The n-th batch: a job, its blob, and a count of them that is the same record every time.
fn nth(n: u8) -> Batch {
    // Now and then large enough that the file must grow.
    let size = if n % 4 == 3 { 60_000 } else { 100 };
    let blob = vec![n; size];
    batch(
        [],
        [
            write(Space::Job, &[n], Some(&[n])),
            write(Space::Blob, &[n], Some(&blob)),
            write(Space::Meta, b"last", Some(&[n])),
        ],
    )
}

const DURABILITIES: [Durability; 9] = {
    use Durability::{Deferred as D, Synced as S};
    [S, D, D, S, S, D, S, D, D]
};

fn commit(store: &RedbStore, n: u8, durability: Durability) -> Fate {
    match store.commit(&nth(n), durability) {
        Ok(_) => Fate::Acknowledged(durability),
        Err(CommitError::Unknown(_)) => Fate::Unknown,
        Err(CommitError::Failed(_)) => Fate::Refused,
        Err(CommitError::Conflict(expectation)) => panic!("{expectation:?}"),
    }
}

/// Commits every batch of the workload; `after` is called between them.
fn work(store: &RedbStore, mut after: impl FnMut(&[Fate])) -> Vec<Fate> {
    let mut fates = Vec::new();
    for (n, durability) in (0..).zip(DURABILITIES) {
        fates.push(commit(store, n, durability));
        after(&fates);
    }
    fates
}

/// Which batches are there; each must be there whole.
fn present(store: &RedbStore) -> Vec<u8> {
    let mut jobs = Vec::new();
    let mut last = None;
    store
        .load(&mut |space, key, record| {
            match space {
                Space::Job => jobs.push(key[0]),
                _ => last = Some(record.value[0]),
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(last, jobs.last().copied());
    for n in 0..u8::try_from(DURABILITIES.len()).unwrap() {
        let blob = store.read(Space::Blob, &[n]).unwrap().map(|record| record.value);
        let expected = nth(n).writes[1].value.clone();
        assert_eq!(blob, expected.filter(|_| jobs.contains(&n)), "batch {n} is torn");
    }
    jobs
}

/// Checks what an unclean stop has left against what was promised.
fn check(present: &[u8], fates: &[Fate], context: &str) {
    let is_present = |n: usize| present.contains(&u8::try_from(n).unwrap());
    let last_synced =
        fates.iter().rposition(|fate| *fate == Fate::Acknowledged(Durability::Synced));
    let last_present = (0..fates.len()).rposition(is_present);
    for (n, fate) in fates.iter().enumerate() {
        let context = format!("{context}: batch {n} of {fates:?}, left is {present:?}");
        match fate {
            Fate::Refused => assert!(!is_present(n), "refused, yet there: {context}"),
            Fate::Unknown => {}
            Fate::Acknowledged(_) if is_present(n) => {}
            Fate::Acknowledged(_) => {
                assert!(last_synced.is_none_or(|synced| n > synced), "lost: {context}");
                assert!(
                    last_present.is_none_or(|last| n > last),
                    "a later one is there: {context}"
                );
            }
        }
    }
}

/// How many operations the whole workload takes, from making the store to closing it.
fn operations_of_the_workload() -> usize {
    let parent = tempfile::tempdir().unwrap();
    let disk = Disk::new(Trouble::None);
    let store = disk.open(parent.path()).unwrap();
    work(&store, |_| {});
    drop(store);
    disk.0.lock().operations
}

#[test]
fn an_error_at_any_operation_keeps_every_promise() {
    let operations = operations_of_the_workload();
    let mut seen = Vec::new();
    for (number, is_lasting) in (0..operations).flat_map(|n| [(n, false), (n, true)]) {
        let parent = tempfile::tempdir().unwrap();
        let disk = Disk::new(Trouble::At { number, is_lasting });
        let context = format!("operation {number} of {operations}, lasting: {is_lasting}");
        let fates = match disk.open(parent.path()) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StoreFailed, "{context}: {error}");
                Vec::new()
            }
            Ok(store) => {
                let fates = work(&store, |_| {});
                let unsettled = fates.iter().position(|fate| *fate == Fate::Unknown);
                if let Some(unsettled) = unsettled {
                    let later = &fates[unsettled..];
                    assert!(
                        later.iter().all(|fate| *fate == Fate::Unknown),
                        "{context}: {fates:?}"
                    );
                }
                seen.extend(fates.clone());
                fates
            }
        };
        // The disk is well again, and the store is opened anew.
        disk.set(Trouble::None);
        let store = disk.open(parent.path()).unwrap_or_else(|error| panic!("{context}: {error}"));
        check(&present(&store), &fates, &context);
        let next = commit(&store, 0, Durability::Synced);
        assert_eq!(next, Fate::Acknowledged(Durability::Synced), "{context}");
    }
    // Otherwise the errors struck where they prove nothing.
    for fate in [Fate::Refused, Fate::Unknown, Fate::Acknowledged(Durability::Deferred)] {
        assert!(seen.contains(&fate), "{fate:?} was never seen");
    }
}

#[test]
fn a_power_cut_at_any_moment_keeps_every_promise() {
    let parent = tempfile::tempdir().unwrap();
    let disk = Disk::new(Trouble::None);
    let store = disk.open(parent.path()).unwrap();
    let mut lost_deferred = 0;
    let mut random = 1u64;
    work(&store, |fates| {
        let unsynced = disk.0.lock().since.len();
        for trial in 0..16 {
            let left = disk.after_power_cut(|number| match trial {
                0 => false,
                1 => true,
                2 => number < unsynced / 2,
                _ => {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    random >> 63 == 1
                }
            });
            let elsewhere = tempfile::tempdir().unwrap();
            fs::write(elsewhere.path().join(DATA_FILE), left).unwrap();
            let store = RedbStore::open(elsewhere.path()).unwrap();
            let present = present(&store);
            check(&present, fates, &format!("trial {trial}"));
            lost_deferred += fates.len() - present.len();
        }
    });
    assert!(lost_deferred > 0, "the workload ends with deferred commits, which a cut must take");
}

/// The moments within one commit: each operation of it is the last before the cut.
#[test]
fn a_power_cut_within_a_commit_leaves_it_whole_or_not_at_all() {
    let mut outcomes = [0, 0];
    for operations in 0.. {
        let parent = tempfile::tempdir().unwrap();
        let disk = Disk::new(Trouble::None);
        let store = disk.open(parent.path()).unwrap();
        assert_eq!(commit(&store, 0, Durability::Synced), Fate::Acknowledged(Durability::Synced));
        let number = disk.0.lock().operations + operations;
        disk.set(Trouble::At { number, is_lasting: true });
        let fate = commit(&store, 3, Durability::Synced);
        let unsynced = disk.0.lock().since.len();
        // Nothing of what was not synced, all of it, and all but each single change.
        for left_out in 0..unsynced + 2 {
            let left = disk.after_power_cut(|n| left_out <= unsynced && n != left_out);
            let elsewhere = tempfile::tempdir().unwrap();
            fs::write(elsewhere.path().join(DATA_FILE), left).unwrap();
            let present = present(&RedbStore::open(elsewhere.path()).unwrap());
            assert_eq!(present.first(), Some(&0));
            outcomes[present.len() - 1] += 1;
            if fate == Fate::Acknowledged(Durability::Synced) {
                assert_eq!(present, [0, 3]);
            }
        }
        if fate == Fate::Acknowledged(Durability::Synced) {
            break;
        }
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

#[test]
fn a_failed_sync_is_unknown_and_the_store_takes_no_more() {
    let unknown = |outcome| match outcome {
        Err(CommitError::Unknown(error)) => error,
        other => panic!("{other:?}"),
    };
    // The sync that ends a commit, and, for a batch that makes the file grow, the one after that.
    let large = batch([], [write(Space::Blob, b"large", Some(&vec![7; 1 << 20]))]);
    for failing in [nth(1), large] {
        let parent = tempfile::tempdir().unwrap();
        let disk = Disk::new(Trouble::None);
        let store = disk.open(parent.path()).unwrap();
        store.commit(&nth(0), Durability::Synced).unwrap();
        disk.set(Trouble::NextSync);
        let error = unknown(store.commit(&failing, Durability::Synced));
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert!(error.message().contains("the sync failed"), "{error}");
        assert!(error.message().contains(DATA_FILE), "{error}");

        // The disk seems well again, but what the system has dropped is not known.
        for durability in [Durability::Synced, Durability::Deferred] {
            assert_eq!(unknown(store.commit(&nth(2), durability)).kind(), ErrorKind::Unsettled);
        }
        drop(store);
        let store = disk.open(parent.path()).unwrap();
        let fates = [Fate::Acknowledged(Durability::Synced), Fate::Unknown, Fate::Refused];
        check(&present(&store), &fates, "reopened");
        assert_eq!(commit(&store, 2, Durability::Synced), Fate::Acknowledged(Durability::Synced));
    }
}

#[test]
fn a_full_disk_is_refused_and_nothing_else_is_lost() {
    let parent = tempfile::tempdir().unwrap();
    let disk = Disk::new(Trouble::None);
    let store = disk.open(parent.path()).unwrap();
    store.commit(&nth(0), Durability::Synced).unwrap();
    let from = fs::metadata(parent.path().join(DATA_FILE)).unwrap().len();
    disk.set(Trouble::Full { from });
    let large = vec![7; 1 << 20];
    let too_large = batch([], [write(Space::Blob, b"large", Some(&large))]);
    for _ in 0..3 {
        match store.commit(&too_large, Durability::Synced) {
            Err(CommitError::Failed(error)) => assert_eq!(error.kind(), ErrorKind::StoreFull),
            other => panic!("{other:?}"),
        }
        assert_eq!(present(&store), [0]);
    }

    // Somebody makes room.
    disk.set(Trouble::None);
    assert_eq!(store.commit(&too_large, Durability::Synced).unwrap(), 2);
    assert_eq!(store.read(Space::Blob, b"large").unwrap().unwrap().value, large);
}

#[test]
fn a_full_disk_leaves_the_outcome_unknown_while_deferred_commits_are_out() {
    let parent = tempfile::tempdir().unwrap();
    let disk = Disk::new(Trouble::None);
    let store = disk.open(parent.path()).unwrap();
    store.commit(&nth(0), Durability::Synced).unwrap();
    store.commit(&nth(1), Durability::Deferred).unwrap();
    let from = fs::metadata(parent.path().join(DATA_FILE)).unwrap().len();
    disk.set(Trouble::Full { from });
    let too_large = batch([], [write(Space::Blob, b"large", Some(&vec![7; 1 << 20]))]);
    let outcome = store.commit(&too_large, Durability::Synced);
    assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
    drop(store);

    disk.set(Trouble::None);
    let store = disk.open(parent.path()).unwrap();
    assert!(present(&store).starts_with(&[0]));
    assert!(store.read(Space::Blob, b"large").unwrap().is_none());
}

/// A sweep was once a deferred commit, after which the store could not tell any more that a full disk
/// had taken nothing: a disk that was full for a moment then needed a restart.
#[test]
fn upkeep_does_not_cost_the_recovery_from_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(Trouble::None);
    let store = disk.open(folder.path()).unwrap();
    let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap());
    let options = jobtrack::Options { clock: Arc::new(clock.clone()), ..Default::default() };
    let tracker = Tracker::open(store, options).unwrap();
    let job = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.fail(job, Failure::default()).unwrap();
    clock.advance(Duration::from_secs(300));
    assert_eq!(tracker.maintain(1_000).unwrap().expired, 1);

    let from = fs::metadata(folder.path().join(DATA_FILE)).unwrap().len();
    disk.set(Trouble::Full { from });
    let large = || NewJob { message: "x".repeat(4_000), ..NewJob::default() };
    let outcomes = tracker.run_all((0..1_000).map(|_| Command::create(large())));
    assert!(outcomes.iter().all(|outcome| {
        outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::StoreFull)
    }));
    disk.set(Trouble::None);
    tracker.create(NewJob::default()).unwrap();
}
