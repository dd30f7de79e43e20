//! One test for each promise of the [`Store`] contract.
//!
//! A backend adopts them all with one line, [`store_conformance!`](crate::store_conformance), and
//! an expression that gives a [`Harness`] around a new, empty place for a store. A harness that can
//! break the disk beneath its store has that tested as well. What happens to a store whose machine
//! fails is not tested here: no test can cut the power of any store.

// Test code that is not compiled as a test: to fail is how it speaks.
#![allow(clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use jobtrack::store::{
    Batch, CommitError, Durability, Expectation, Record, Restored, Space, Store, Write,
};
use jobtrack::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::DiskFault;
pub use crate::conformance_faults::{
    a_commit_that_failed_has_written_nothing,
    an_unknown_outcome_ends_all_commits_until_it_is_opened_again,
};

/// Makes the tests of this module, each under its own name, for one kind of store.
///
/// The expression is evaluated once for each test.
///
/// ```
/// # mod test {
/// use jobtrack::MemoryStore;
/// use jobtrack_testkit::conformance::shared;
///
/// jobtrack_testkit::store_conformance!(shared(MemoryStore::new()));
/// # }
/// ```
#[macro_export]
macro_rules! store_conformance {
    ($harness:expr $(,)?) => {
        $crate::store_conformance! { @tests $harness =>
            a_new_store_is_empty
            a_commit_is_read_back_from_every_space
            a_key_is_apart_in_every_space
            load_visits_the_loaded_spaces_in_key_order
            load_hands_on_the_error_of_its_visitor
            a_conflict_writes_nothing
            every_expectation_is_checked
            an_expected_absence_is_checked
            a_record_that_is_only_expected_stays_as_it_is
            revisions_rise
            revisions_rise_across_openings
            a_record_has_the_revision_of_its_last_write
            a_removed_record_is_gone
            removing_what_is_absent_is_no_error
            deferred_commits_are_seen
            synced_commits_survive_reopening
            reopening_keeps_a_prefix_of_the_deferred_commits
            empty_values_are_values
            large_values_come_back_whole
            keys_may_be_64_bytes_of_any_kind
            many_records_fit_into_one_commit
            reads_go_on_beside_commits_and_see_them_whole
            a_commit_that_failed_has_written_nothing
            an_unknown_outcome_ends_all_commits_until_it_is_opened_again
            what_is_not_among_its_abilities_is_refused
            a_scan_visits_every_space_as_of_one_commit
            commits_go_on_while_a_scan_is_visited
            records_are_restored_with_their_revisions
            a_restored_store_takes_commits_and_survives_reopening
            what_is_restored_must_follow_on
            compacting_changes_nothing_that_is_read
        }
    };
    (@tests $harness:expr => $($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                $crate::conformance::$name(&$harness);
            }
        )+
    };
}

/// A place for a store, which can be opened, dropped and opened again.
pub trait Harness {
    /// Opens the store that is in this place. The one opened before has been dropped.
    ///
    /// # Errors
    ///
    /// Those of the store; the tests take any for a failure.
    fn open(&self) -> Result<Box<dyn Store>>;

    /// Lets the n-th operation of the disk from now on fail (1 is the next), and all after it if it
    /// is lasting. False if this harness has no hand in its disk; then nothing is tested of it.
    fn break_disk(&self, n: u64, is_lasting: bool, fault: DiskFault) -> bool {
        let _ = (n, is_lasting, fault);
        false
    }

    /// The disk is well again. What it has lost stays lost.
    fn mend_disk(&self) {}
}

impl<F: Fn() -> Result<Box<dyn Store>>> Harness for F {
    fn open(&self) -> Result<Box<dyn Store>> {
        self()
    }
}

/// A harness for a store that lives in memory and can be used on after a tracker is done with it.
pub fn shared(store: impl Store + 'static) -> impl Harness {
    let store = Arc::new(store);
    move || Ok(Box::new(store.clone()) as Box<dyn Store>)
}

/// A batch with an id of its own.
pub fn batch(
    expectations: impl IntoIterator<Item = Expectation>,
    writes: impl IntoIterator<Item = Write>,
) -> Batch {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Batch {
        id: Uuid::from_u64_pair(0, NEXT.fetch_add(1, Ordering::Relaxed)),
        expectations: expectations.into_iter().collect(),
        writes: writes.into_iter().collect(),
    }
}

/// A write of one record; None removes it.
pub fn write(space: Space, key: &[u8], value: Option<&[u8]>) -> Write {
    Write { space, key: key.into(), value: value.map(<[u8]>::to_vec) }
}

/// The expectation that a record was last written by this commit, or is absent.
pub fn expect(space: Space, key: &[u8], revision: Option<u64>) -> Expectation {
    Expectation { space, key: key.into(), revision }
}

/// Nothing is loaded, nothing is read, and the number of the last commit is 0.
pub fn a_new_store_is_empty(harness: &impl Harness) {
    let store = open(harness);
    assert_eq!(load(&store), (0, Vec::new()));
    for &space in Space::ALL {
        assert_eq!(read(&store, space, b"k"), None);
    }
}

/// What was written is read, log and blob included, by the next reader and after reopening.
pub fn a_commit_is_read_back_from_every_space(harness: &impl Harness) {
    let store = open(harness);
    let writes = Space::ALL.iter().map(|&space| write(space, b"k", Some(space.name().as_bytes())));
    let revision = commit(&store, &batch([], writes));
    let check = |store: &dyn Store| {
        for &space in Space::ALL {
            let record = Record { revision, value: space.name().as_bytes().to_vec() };
            assert_eq!(read(store, space, b"k"), Some(record));
        }
        assert_eq!(read(store, Space::Job, b"other"), None);
    };
    check(&store);
    drop(store);
    check(&open(harness));
}

/// One key names a different record in each space.
pub fn a_key_is_apart_in_every_space(harness: &impl Harness) {
    let store = open(harness);
    for &space in Space::ALL {
        assert_eq!(read(&store, space, b"k"), None, "{space:?}");
        commit(&store, &batch([expect(space, b"k", None)], [write(space, b"k", Some(b"v"))]));
    }
    commit(&store, &batch([], [write(Space::Key, b"k", None)]));
    for &space in Space::ALL {
        assert_eq!(read(&store, space, b"k").is_some(), space != Space::Key, "{space:?}");
    }
}

/// `load` visits job, key, tombstone and meta whole, each in the order of its keys as bytes, and
/// neither log nor blob.
pub fn load_visits_the_loaded_spaces_in_key_order(harness: &impl Harness) {
    let store = open(harness);
    let keys: [&[u8]; 6] = [b"b", b"", b"\xff", b"a\x00", b"a", b"ab"];
    let mut expected = Vec::new();
    for (space, key) in Space::ALL.iter().flat_map(|&space| keys.map(|key| (space, key))) {
        let revision = commit(&store, &batch([], [write(space, key, Some(b"v"))]));
        if space.is_loaded() {
            expected.push((space, key.to_vec(), Record { revision, value: b"v".to_vec() }));
        }
    }
    expected.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let check = |store: &dyn Store| {
        let (last, mut visited) = load(store);
        assert_eq!(last, (Space::ALL.len() * keys.len()) as u64);
        // The order of the spaces is the store's affair, that within each is not.
        visited.sort_by_key(|(space, _, _)| *space);
        assert_eq!(visited, expected);
    };
    check(&store);
    drop(store);
    check(&open(harness));
}

/// An error of the visitor ends the loading and comes back as it is.
pub fn load_hands_on_the_error_of_its_visitor(harness: &impl Harness) {
    let store = open(harness);
    let keys = [b"1", b"2", b"3"];
    commit(&store, &batch([], keys.map(|key| write(Space::Job, key, Some(b"v")))));
    let mut visits = 0;
    let outcome = store.load(&mut |_, _, _| {
        visits += 1;
        if visits == 2 { Err(Error::new(ErrorKind::Contradiction, "enough")) } else { Ok(()) }
    });
    let error = outcome.expect_err("the visitor's error");
    assert_eq!((error.kind(), error.message()), (ErrorKind::Contradiction, "enough"));
    assert_eq!(visits, 2);
    assert_eq!(load(&store).1.len(), 3, "the next loading is whole");
}

/// A conflict names the expectation and leaves every record, and the last number, as they were.
pub fn a_conflict_writes_nothing(harness: &impl Harness) {
    let store = open(harness);
    let first = commit(&store, &batch([], [write(Space::Job, b"a", Some(b"1"))]));
    let second = commit(&store, &batch([], [write(Space::Job, b"a", Some(b"2"))]));
    let before = load(&store);
    for wrong in [None, Some(first), Some(second + 1), Some(u64::MAX)] {
        let unmet = expect(Space::Job, b"a", wrong);
        let batch = batch(
            [unmet.clone()],
            [
                write(Space::Job, b"a", Some(b"3")),
                write(Space::Job, b"b", Some(b"3")),
                write(Space::Blob, b"c", Some(b"3")),
            ],
        );
        assert_conflict(&store, &batch, &unmet);
        assert_eq!(load(&store), before);
        assert_eq!(read(&store, Space::Blob, b"c"), None);
    }
    drop(store);
    assert_eq!(load(&open(harness)), before);
}

/// One unmet expectation among many is enough, wherever it stands.
pub fn every_expectation_is_checked(harness: &impl Harness) {
    let store = open(harness);
    let keys = [b"1", b"2", b"3"];
    let revision = commit(&store, &batch([], keys.map(|key| write(Space::Job, key, Some(b"v")))));
    let met = keys.map(|key| expect(Space::Job, key, Some(revision)));
    for wrong in 0..keys.len() {
        let mut expectations = met.to_vec();
        let Some(unmet) = expectations.get_mut(wrong) else { continue };
        unmet.revision = Some(revision + 7);
        let unmet = unmet.clone();
        let batch = batch(expectations, [write(Space::Job, b"4", Some(b"v"))]);
        assert_conflict(&store, &batch, &unmet);
    }
    let last = commit(&store, &batch(met, [write(Space::Job, b"4", Some(b"v"))]));
    assert!(last > revision);
}

/// Absence can be expected: of what never was, and of what was removed.
pub fn an_expected_absence_is_checked(harness: &impl Harness) {
    let store = open(harness);
    let absent = expect(Space::Key, b"k", None);
    let create = batch([absent.clone()], [write(Space::Key, b"k", Some(b"v"))]);
    let first = commit(&store, &create);
    assert_conflict(&store, &create, &absent);
    commit(&store, &batch([], [write(Space::Key, b"k", None)]));
    let gone = expect(Space::Key, b"k", Some(first));
    assert_conflict(&store, &batch([gone.clone()], []), &gone);
    commit(&store, &create);
}

/// Records that are expected but not written count, and are not touched.
pub fn a_record_that_is_only_expected_stays_as_it_is(harness: &impl Harness) {
    let store = open(harness);
    let first = commit(&store, &batch([], [write(Space::Job, b"parent", Some(b"1"))]));
    let expected = expect(Space::Job, b"parent", Some(first));
    let child = batch([expected.clone()], [write(Space::Job, b"child", Some(b"1"))]);
    commit(&store, &child);
    let record = Record { revision: first, value: b"1".to_vec() };
    assert_eq!(read(&store, Space::Job, b"parent"), Some(record));
    commit(&store, &batch([], [write(Space::Job, b"parent", Some(b"2"))]));
    assert_conflict(&store, &child, &expected);
}

/// Each commit has a greater number than the one before, whatever it does and however durable.
pub fn revisions_rise(harness: &impl Harness) {
    let store = open(harness);
    let batches = [
        batch([], [write(Space::Job, b"a", Some(b"1"))]),
        batch([], [write(Space::Job, b"a", Some(b"1"))]),
        batch([], [write(Space::Job, b"a", None)]),
        batch([], [write(Space::Log, b"a", Some(b"1"))]),
        batch([], []),
    ];
    let mut last = 0;
    for durability in [Durability::Synced, Durability::Deferred, Durability::Synced] {
        for batch in &batches {
            let revision = store.commit(batch, durability).expect("the commit");
            assert!(revision > last, "{revision} after {last}");
            last = revision;
            assert_eq!(load(&store).0, last);
        }
    }
}

/// The first commit after reopening has a greater number than every synced one before.
pub fn revisions_rise_across_openings(harness: &impl Harness) {
    let mut last = 0;
    for _ in 0..3 {
        let store = open(harness);
        assert_eq!(load(&store).0, last);
        for _ in 0..3 {
            let revision = commit(&store, &batch([], [write(Space::Job, b"a", Some(b"1"))]));
            assert!(revision > last, "{revision} after {last}");
            last = revision;
        }
        // What the last commit did leaves no record behind, but its number stays.
        last = commit(&store, &batch([], [write(Space::Job, b"a", None)]));
    }
}

/// A record's revision is the number of the commit that last wrote it, not of the last commit.
pub fn a_record_has_the_revision_of_its_last_write(harness: &impl Harness) {
    let store = open(harness);
    let first = commit(
        &store,
        &batch([], [write(Space::Job, b"a", Some(b"1")), write(Space::Job, b"b", Some(b"1"))]),
    );
    let second = commit(&store, &batch([], [write(Space::Job, b"b", Some(b"1"))]));
    commit(&store, &batch([], [write(Space::Job, b"c", Some(b"1"))]));
    let check = |store: &dyn Store| {
        let revision = |key| read(store, Space::Job, key).map(|record| record.revision);
        assert_eq!(revision(b"a"), Some(first));
        assert_eq!(revision(b"b"), Some(second), "the same bytes, written again");
    };
    check(&store);
    drop(store);
    check(&open(harness));
}

/// A removed record is neither read nor loaded, also after reopening, and its key is free.
pub fn a_removed_record_is_gone(harness: &impl Harness) {
    let store = open(harness);
    let keys = [b"1", b"2"];
    commit(&store, &batch([], keys.map(|key| write(Space::Job, key, Some(b"v")))));
    commit(&store, &batch([], [write(Space::Job, b"1", None)]));
    let check = |store: &dyn Store| {
        assert_eq!(read(store, Space::Job, b"1"), None);
        let keys: Vec<_> = load(store).1.into_iter().map(|(_, key, _)| key).collect();
        assert_eq!(keys, [b"2"]);
    };
    check(&store);
    drop(store);
    let store = open(harness);
    check(&store);
    commit(&store, &batch([expect(Space::Job, b"1", None)], [write(Space::Job, b"1", Some(b"w"))]));
}

/// A batch may remove what is not there.
pub fn removing_what_is_absent_is_no_error(harness: &impl Harness) {
    let store = open(harness);
    for &space in Space::ALL {
        commit(&store, &batch([], [write(space, b"k", None)]));
        assert_eq!(read(&store, space, b"k"), None);
    }
}

/// A deferred commit is seen as soon as it has returned, and counts in expectations.
pub fn deferred_commits_are_seen(harness: &impl Harness) {
    let store = open(harness);
    let mut expected = None;
    for value in [b"1", b"2", b"3"] {
        let batch = batch(
            [expect(Space::Job, b"k", expected)],
            [write(Space::Job, b"k", Some(value)), write(Space::Log, b"k", Some(value))],
        );
        let revision = store.commit(&batch, Durability::Deferred).expect("the commit");
        let record = Record { revision, value: value.to_vec() };
        assert_eq!(read(&store, Space::Log, b"k"), Some(record.clone()));
        assert_eq!(load(&store), (revision, vec![(Space::Job, b"k".to_vec(), record)]));
        expected = Some(revision);
    }
}

/// What a synced commit wrote, and every deferred one before it, is there after reopening.
pub fn synced_commits_survive_reopening(harness: &impl Harness) {
    let store = open(harness);
    for (key, durability) in [
        (b"1", Durability::Deferred),
        (b"2", Durability::Deferred),
        (b"3", Durability::Synced),
        (b"4", Durability::Synced),
    ] {
        let batch = batch([], [write(Space::Job, key, Some(b"v"))]);
        store.commit(&batch, durability).expect("the commit");
    }
    let before = load(&store);
    assert_eq!(before.1.len(), 4);
    drop(store);
    assert_eq!(load(&open(harness)), before);
}

/// After reopening, a deferred commit is there wholly or not at all, and with it every one before.
pub fn reopening_keeps_a_prefix_of_the_deferred_commits(harness: &impl Harness) {
    let store = open(harness);
    let mut last = commit(&store, &batch([], []));
    for key in 0..8u8 {
        let batch = batch(
            [],
            [write(Space::Job, &[key], Some(b"v")), write(Space::Key, &[key], Some(b"v"))],
        );
        last = store.commit(&batch, Durability::Deferred).expect("the commit");
    }
    drop(store);
    let store = open(harness);
    let (found, records) = load(&store);
    let kept = |space| -> Vec<_> {
        records.iter().filter(|record| record.0 == space).map(|record| record.1.clone()).collect()
    };
    let jobs = kept(Space::Job);
    assert_eq!(jobs, kept(Space::Key));
    assert!((0..8u8).map(|key| vec![key]).take(jobs.len()).eq(jobs), "not the first ones");
    assert!(found <= last);
}

/// A record of no bytes is there, and is not the same as none.
pub fn empty_values_are_values(harness: &impl Harness) {
    let store = open(harness);
    let revision = commit(
        &store,
        &batch([], [write(Space::Job, b"k", Some(b"")), write(Space::Blob, b"k", Some(b""))]),
    );
    drop(store);
    let store = open(harness);
    let record = Record { revision, value: Vec::new() };
    assert_eq!(read(&store, Space::Blob, b"k"), Some(record.clone()));
    assert_eq!(load(&store).1, [(Space::Job, b"k".to_vec(), record)]);
}

/// A value of a megabyte comes back as it was, loaded or read.
pub fn large_values_come_back_whole(harness: &impl Harness) {
    let store = open(harness);
    let value: Vec<u8> = (0..1_048_583u32).map(|n| (n % 251) as u8).collect();
    let revision = commit(
        &store,
        &batch([], [write(Space::Job, b"k", Some(&value)), write(Space::Blob, b"k", Some(&value))]),
    );
    drop(store);
    let store = open(harness);
    let record = Record { revision, value };
    assert!(read(&store, Space::Blob, b"k") == Some(record.clone()), "the blob differs");
    assert!(load(&store).1 == [(Space::Job, b"k".to_vec(), record)], "the job differs");
}

/// Keys of up to 64 bytes are told apart by every byte, whichever bytes they are.
pub fn keys_may_be_64_bytes_of_any_kind(harness: &impl Harness) {
    let store = open(harness);
    let mut keys =
        vec![vec![0; 64], vec![0; 63], vec![0xff; 64], vec![0xff; 63], b"'\"/%".to_vec()];
    for at in 0..64 {
        let mut key = vec![0x80; 64];
        key.splice(at..=at, [b'\n']);
        keys.push(key);
    }
    let writes: Vec<_> = keys.iter().map(|key| write(Space::Job, key, Some(key))).collect();
    commit(&store, &batch([], writes));
    for key in &keys {
        assert_eq!(read(&store, Space::Job, key).map(|record| record.value).as_ref(), Some(key));
    }
    keys.sort_unstable();
    assert!(load(&store).1.into_iter().map(|(_, key, _)| key).eq(keys));
}

/// Ten thousand records in one commit, half of them removed by another.
pub fn many_records_fit_into_one_commit(harness: &impl Harness) {
    const MANY: u64 = 10_000;
    let store = open(harness);
    let writes = (0..MANY).map(|n| write(Space::Job, &n.to_be_bytes(), Some(&n.to_le_bytes())));
    let first = commit(&store, &batch([], writes));
    let removals = (0..MANY).step_by(2).map(|n| write(Space::Job, &n.to_be_bytes(), None));
    let expectations = (0..MANY).map(|n| expect(Space::Job, &n.to_be_bytes(), Some(first)));
    commit(&store, &batch(expectations, removals));
    drop(store);
    let (_, records) = load(&open(harness));
    let expected = (0..MANY).skip(1).step_by(2).map(|n| {
        let record = Record { revision: first, value: n.to_le_bytes().to_vec() };
        (Space::Job, n.to_be_bytes().to_vec(), record)
    });
    assert!(records.into_iter().eq(expected), "the records differ");
}

/// While one thread commits, others load and read, and find each commit wholly or not at all.
pub fn reads_go_on_beside_commits_and_see_them_whole(harness: &impl Harness) {
    const COMMITS: u64 = 200;
    let store = open(harness);
    commit(&store, &pair(0));
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = 0;
                    // Once more after the end, which must be seen.
                    loop {
                        let is_last = is_done.load(Ordering::Acquire);
                        let (_, records) = load(&store);
                        let values: Vec<_> =
                            records.iter().map(|(_, _, record)| &record.value).collect();
                        assert_eq!(values.len(), 2);
                        assert_eq!(values.first(), values.last(), "half a commit");
                        let number = number(records.first().map(|(_, _, record)| record));
                        assert!(number >= seen, "{number} after {seen}");
                        seen = self::number(read(&store, Space::Meta, b"k").as_ref());
                        assert!(seen >= number, "{seen} after {number}");
                        if is_last {
                            break seen;
                        }
                    }
                })
            })
            .collect();
        for n in 1..=COMMITS {
            let durability = if n % 10 == 0 { Durability::Synced } else { Durability::Deferred };
            store.commit(&pair(n), durability).expect("the commit");
        }
        is_done.store(true, Ordering::Release);
        for reader in readers {
            assert_eq!(reader.join().expect("a reader without a failure"), COMMITS);
        }
    });
}

/// Scanning, restoring and compacting are either declared or refused, and a refusal changes nothing.
pub fn what_is_not_among_its_abilities_is_refused(harness: &impl Harness) {
    let store = open(harness);
    let abilities = store.abilities();
    let refusal = |outcome: Result<(), Error>| {
        let error = outcome.expect_err("a refusal of what is not declared");
        assert_eq!(error.kind(), ErrorKind::StoreCannot, "{error}");
    };
    if !abilities.scan {
        refusal(store.scan(&mut |_, _, _| Ok(())).map(drop));
    }
    if !abilities.restore {
        match store.restore(&restored(7, []), Durability::Synced) {
            Err(CommitError::Failed(error)) => refusal(Err(error)),
            other => panic!("not a refusal: {other:?}"),
        }
    }
    if !abilities.compact {
        refusal(store.compact());
    }
    assert_eq!(load(&store), (0, Vec::new()));
}

/// A scan visits what `load` does, and log and blob as well, whole and with the last number.
pub fn a_scan_visits_every_space_as_of_one_commit(harness: &impl Harness) {
    let store = open(harness);
    if !store.abilities().scan {
        return;
    }
    assert_eq!(scan(&store), (0, Vec::new()));
    let mut expected = Vec::new();
    for (n, &space) in (1..).zip(Space::ALL) {
        let value = space.name().as_bytes();
        let revision = commit(&store, &batch([], [write(space, b"k", Some(value))]));
        assert_eq!(revision, n);
        expected.push((space, b"k".to_vec(), Record { revision, value: value.to_vec() }));
    }
    let last = store.commit(&batch([], []), Durability::Deferred).expect("the commit");
    let (number, mut visited) = scan(&store);
    visited.sort_by_key(|(space, _, _)| *space);
    assert_eq!((number, visited), (last, expected));

    let enough = || Error::new(ErrorKind::Contradiction, "enough");
    let error = store.scan(&mut |_, _, _| Err(enough())).expect_err("the visitor's error");
    assert_eq!((error.kind(), error.message()), (ErrorKind::Contradiction, "enough"));
}

/// What is committed while somebody visits is neither held up nor seen.
pub fn commits_go_on_while_a_scan_is_visited(harness: &impl Harness) {
    let store = open(harness);
    if !store.abilities().scan {
        return;
    }
    let first = commit(&store, &pair(0));
    let mut visits = 0;
    let number = store.scan(&mut |_, _, record| {
        visits += 1;
        assert_eq!(record?.value, 0u64.to_be_bytes(), "as of one commit");
        thread::scope(|scope| scope.spawn(|| commit(&store, &pair(visits))).join())
            .expect("a commit that does not wait for the visitor");
        Ok(())
    });
    assert_eq!((visits, number.expect("the scan")), (2, first));
    assert_eq!(scan(&store).0, first + 2);
}

/// Records keep the revisions that they had in another store, though no commit here had them.
pub fn records_are_restored_with_their_revisions(harness: &impl Harness) {
    let store = open(harness);
    if !store.abilities().restore {
        return;
    }
    let record = |space: Space, revision| {
        (space, b"k".to_vec(), Record { revision, value: space.name().as_bytes().to_vec() })
    };
    restore(&store, &restored(1_000, [record(Space::Job, 7), record(Space::Blob, 900)]));
    restore(&store, &restored(1_001, [record(Space::Tombstone, 1_000)]));
    let check = |store: &dyn Store| {
        let (last, mut loaded) = load(store);
        loaded.sort_by_key(|(space, _, _)| *space);
        let expected = vec![record(Space::Job, 7), record(Space::Tombstone, 1_000)];
        assert_eq!((last, loaded), (1_001, expected));
        assert_eq!(read(store, Space::Blob, b"k"), Some(record(Space::Blob, 900).2));
    };
    check(&store);
    drop(store);
    check(&open(harness));
}

/// After restoring, commits have the numbers that follow, and find the revisions that were restored.
pub fn a_restored_store_takes_commits_and_survives_reopening(harness: &impl Harness) {
    let store = open(harness);
    if !store.abilities().restore {
        return;
    }
    let record = Record { revision: 5, value: b"old".to_vec() };
    restore(&store, &restored(50, [(Space::Job, b"k".to_vec(), record)]));
    let unmet = expect(Space::Job, b"k", Some(50));
    assert_conflict(&store, &batch([unmet.clone()], []), &unmet);
    let change =
        batch([expect(Space::Job, b"k", Some(5))], [write(Space::Job, b"k", Some(b"new"))]);
    assert_eq!(commit(&store, &change), 51);
    drop(store);
    for n in 52..60 {
        let store = open(harness);
        assert_eq!(load(&store).0, n - 1);
        assert_eq!(commit(&store, &batch([], [])), n);
    }
}

/// Only the first restoring commit of a store without any may choose its number.
pub fn what_is_restored_must_follow_on(harness: &impl Harness) {
    let store = open(harness);
    if !store.abilities().restore {
        return;
    }
    let record = Record { revision: 1, value: b"v".to_vec() };
    let at = |number| restored(number, [(Space::Job, b"k".to_vec(), record.clone())]);
    let refuse = |number| match store.restore(&at(number), Durability::Synced) {
        Err(CommitError::Failed(error)) => assert_eq!(error.kind(), ErrorKind::InvalidValue),
        other => panic!("{number} was not refused: {other:?}"),
    };
    refuse(0);
    assert_eq!(load(&store), (0, Vec::new()));
    restore(&store, &at(10));
    for wrong in [0, 1, 9, 10, 12, u64::MAX] {
        refuse(wrong);
    }
    assert_eq!(load(&store).0, 10);
}

/// Nothing that is read changes by compacting, deferred commits included, and commits go on.
pub fn compacting_changes_nothing_that_is_read(harness: &impl Harness) {
    let store = open(harness);
    if !store.abilities().compact {
        return;
    }
    store.compact().expect("the compacting of a new store");
    for n in 0..20u8 {
        let writes = Space::ALL.iter().map(|&space| write(space, &[n], Some(&[n; 5_000])));
        commit(&store, &batch([], writes));
    }
    let removals = (0..18u8).map(|n| write(Space::Job, &[n], None));
    let last = store.commit(&batch([], removals), Durability::Deferred).expect("the commit");
    let before = load(&store);
    store.compact().expect("the compacting");
    assert_eq!(load(&store), before);
    assert_eq!(read(&store, Space::Blob, &[3]).expect("a record").value, [3; 5_000]);
    assert_eq!(commit(&store, &batch([], [])), last + 1);
    drop(store);
    let after = load(&open(harness));
    assert_eq!((after.0, after.1), (last + 1, before.1));
}

fn restored<const N: usize>(number: u64, records: [(Space, Vec<u8>, Record); N]) -> Restored {
    Restored { number, records: Vec::from(records) }
}

fn restore(store: &dyn Store, records: &Restored) {
    store.restore(records, Durability::Synced).expect("the restoring");
}

/// The number of the last commit, and every record in the order of its visit.
fn scan(store: &dyn Store) -> (u64, Vec<(Space, Vec<u8>, Record)>) {
    let mut records = Vec::new();
    let last = store.scan(&mut |space, key, record| {
        records.push((space, key.to_vec(), record?));
        Ok(())
    });
    (last.expect("the scan"), records)
}

fn pair(n: u64) -> Batch {
    let value = n.to_be_bytes();
    batch([], [Space::Job, Space::Meta].map(|space| write(space, b"k", Some(&value))))
}

fn number(record: Option<&Record>) -> u64 {
    let value = record.expect("the record").value.as_slice();
    u64::from_be_bytes(value.try_into().expect("eight bytes"))
}

fn open(harness: &impl Harness) -> Box<dyn Store> {
    harness.open().expect("the store")
}

fn commit(store: &dyn Store, batch: &Batch) -> u64 {
    store.commit(batch, Durability::Synced).expect("the commit")
}

fn read(store: &dyn Store, space: Space, key: &[u8]) -> Option<Record> {
    store.read(space, key).expect("the reading")
}

/// The number of the last commit, and every loaded record in the order of its visit.
fn load(store: &dyn Store) -> (u64, Vec<(Space, Vec<u8>, Record)>) {
    let mut records = Vec::new();
    let last = store.load(&mut |space, key, record| {
        records.push((space, key.to_vec(), record));
        Ok(())
    });
    (last.expect("the loading"), records)
}

fn assert_conflict(store: &dyn Store, batch: &Batch, unmet: &Expectation) {
    match store.commit(batch, Durability::Synced) {
        Err(CommitError::Conflict(expectation)) => assert_eq!(&expectation, unmet),
        other => panic!("not the conflict of {unmet:?}: {other:?}"),
    }
}
