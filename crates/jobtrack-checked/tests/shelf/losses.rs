//! What an engine loses is found, whatever it says itself.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;

use jobtrack::store::{CommitError, Durability, Space, Store};
use jobtrack::{Error, ErrorKind};
use jobtrack_checked::CheckedStore;
use jobtrack_testkit::conformance::{batch, write};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::{Pairs, Shelf, open, tamper};

/// A record of the test, as the engine has it.
const A: &[u8] = b"ja";

fn put(store: &CheckedStore<Shelf>, key: &[u8], value: Option<&[u8]>) -> u64 {
    store.commit(&batch([], [write(Space::Job, key, value)]), Durability::Synced).unwrap()
}

/// Three commits: `a`, `b`, and `a` again.
fn folder_with_a_store() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, b"a", Some(b"1"));
    put(&store, b"b", Some(b"1"));
    put(&store, b"a", Some(b"2"));
    drop(store);
    folder
}

fn load(folder: &Path) -> Result<u64, Error> {
    open(folder)?.load(&mut |_, _, _| Ok(()))
}

#[track_caller]
fn damaged<T>(outcome: Result<T, Error>, parts: &[&str]) {
    let Err(error) = outcome else { panic!("damage must be found") };
    assert_eq!(error.kind(), ErrorKind::StoreDamaged, "{error}");
    for part in parts {
        assert!(error.message().contains(part), "{error}: lacks {part}");
    }
}

#[test]
fn a_record_that_has_changed() {
    for at in 0..17 {
        let folder = folder_with_a_store();
        tamper(folder.path(), |pairs| pairs.get_mut(A).unwrap()[at] ^= 4);
        let named = ["shelf\" is damaged", "the record 61 of space job"];
        damaged(load(folder.path()), &named);
        let store = open(folder.path()).unwrap();
        damaged(store.read(Space::Job, b"a"), &named);
        // Written over, it could never be told again that it was damaged.
        let over = batch([], [write(Space::Job, b"a", Some(b"3"))]);
        match store.commit(&over, Durability::Synced) {
            Err(CommitError::Failed(error)) => damaged::<()>(Err(error), &named),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_record_under_another_key() {
    let folder = folder_with_a_store();
    tamper(folder.path(), |pairs| {
        let value = pairs.remove(A).unwrap();
        pairs.insert(b"jc".to_vec(), value);
    });
    damaged(load(folder.path()), &["record 63 of space job"]);
}

#[test]
fn a_record_that_is_gone_or_was_never_written() {
    let folder = folder_with_a_store();
    tamper(folder.path(), |pairs| drop(pairs.remove(A)));
    damaged(load(folder.path()), &["commit 3 left 2 records; 1 are there"]);

    let folder = folder_with_a_store();
    tamper(folder.path(), |pairs| drop(pairs.insert(b"x".to_vec(), Vec::new())));
    damaged(load(folder.path()), &["does not match"]);
}

#[test]
fn an_old_record_that_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, b"a", Some(b"1"));
    drop(store);
    let mut old = Pairs::new();
    tamper(folder.path(), |pairs| old.clone_from(pairs));

    // In place of a newer one.
    let store = open(folder.path()).unwrap();
    put(&store, b"a", Some(b"2"));
    drop(store);
    tamper(folder.path(), |pairs| drop(pairs.insert(A.to_vec(), old[A].clone())));
    damaged(load(folder.path()), &["some that it had replaced"]);

    // After it was removed.
    tamper(folder.path(), |pairs| pairs.clone_from(&old));
    let folder = folder_with_a_store();
    let store = open(folder.path()).unwrap();
    put(&store, b"a", None);
    assert_eq!(store.load(&mut |_, _, _| Ok(())).unwrap(), 4);
    drop(store);
    tamper(folder.path(), |pairs| drop(pairs.insert(A.to_vec(), old[A].clone())));
    damaged(load(folder.path()), &["commit 4 left 1 records; 2 are there"]);
}

#[test]
fn a_seal_that_is_gone_or_of_another_store() {
    let folder = folder_with_a_store();
    tamper(folder.path(), |pairs| drop(pairs.remove(&b"s"[..])));
    damaged(load(folder.path()), &["no seal"]);

    let (folder, other) = (folder_with_a_store(), folder_with_a_store());
    fs::copy(other.path().join("shelf/pairs"), folder.path().join("shelf/pairs")).unwrap();
    damaged(load(folder.path()), &["it is a part of store"]);
}

#[test]
fn commits_that_are_gone_from_the_end_of_a_closed_store() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let mut old = Pairs::new();
    tamper(folder.path(), |pairs| old.clone_from(pairs));
    let store = open(folder.path()).unwrap();
    put(&store, b"a", Some(b"1"));
    drop(store);
    tamper(folder.path(), |pairs| pairs.clone_from(&old));
    for _ in 0..2 {
        damaged(load(folder.path()), &["commit 1 was stored, as", "jobs.shelf shows"]);
    }
}

#[test]
fn commits_that_are_gone_from_the_end_of_a_killed_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, b"a", Some(b"1"));
    let mut old = Pairs::new();
    tamper(folder.path(), |pairs| old.clone_from(pairs));
    put(&store, b"b", Some(b"1"));
    // The seal of this one says that commit 2 was synced before it.
    put(&store, b"c", Some(b"1"));
    let mut seal = Vec::new();
    tamper(folder.path(), |pairs| seal.clone_from(&pairs[&b"s"[..]]));
    // As a killed process does: the label is never renewed.
    let killed = tempfile::tempdir().unwrap();
    fs::create_dir(killed.path().join("shelf")).unwrap();
    for name in ["jobs.shelf", "shelf/pairs"] {
        fs::copy(folder.path().join(name), killed.path().join(name)).unwrap();
    }
    drop(store);

    tamper(killed.path(), |pairs| pairs.clone_from(&old));
    let trace = killed.path().join("shelf/trace");
    fs::write(&trace, [&[7; 100], &seal[..]].concat()).unwrap();
    damaged(load(killed.path()), &["commit 2 was stored, as the seal at byte 100 of", "trace"]);
    // Even when the engine has tidied the trace away.
    fs::remove_file(trace).unwrap();
    damaged(load(killed.path()), &["commit 2 was stored", "all after commit 1 are gone"]);
}

#[test]
fn the_label_is_never_a_thousand_synced_commits_old() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let label = || fs::read_to_string(folder.path().join("jobs.shelf")).unwrap();
    assert!(label().contains("\ncommit 0\n"));
    for _ in 0..1023 {
        put(&store, b"a", Some(b"1"));
    }
    assert!(label().contains("\ncommit 0\n"));
    put(&store, b"a", Some(b"1"));
    assert!(label().contains("\ncommit 1024\n"), "{}", label());
    store.commit(&batch([], []), Durability::Deferred).unwrap();
    drop(store);
    assert!(label().contains("\ncommit 1025\n"), "closing makes the last commit durable");
}

#[test]
fn a_store_that_was_being_made_is_made_again() {
    let folder = folder_with_a_store();
    let label = folder.path().join("jobs.shelf");
    // The label as a crash leaves it that came while the engine made its files.
    let text = fs::read_to_string(&label).unwrap();
    let (body, _) = text.rsplit_once("commit 3\n").unwrap();
    let body = format!("{body}commit none\n");
    fs::write(label, format!("{body}check {:016x}\n", xxh3_64(body.as_bytes()))).unwrap();
    fs::write(folder.path().join("shelf/pairs"), "half").unwrap();
    fs::write(folder.path().join("shelf/more"), "").unwrap();

    let store = open(folder.path()).unwrap();
    assert_eq!(store.load(&mut |_, _, _| panic!("a record")).unwrap(), 0);
    assert_eq!(put(&store, b"a", Some(b"1")), 1);
    assert!(!folder.path().join("shelf/more").exists());
}

#[test]
fn a_failed_write_leaves_the_outcome_unknown_until_it_is_opened_again() {
    for is_panic in [false, true] {
        let folder = folder_with_a_store();
        let store = open(folder.path()).unwrap();
        let fault = if is_panic { &store.engine().panics } else { &store.engine().fails };
        let change = batch([], [write(Space::Job, b"c", Some(b"1"))]);
        if is_panic {
            // Its reading of the former record panics first: nothing was written.
            fault.store(true, Ordering::Relaxed);
            let outcome = store.commit(&change, Durability::Synced);
            assert!(matches!(outcome, Err(CommitError::Failed(_))), "{outcome:?}");
            let outcome = store.commit(&batch([], []), Durability::Synced);
            assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
            fault.store(false, Ordering::Relaxed);
        } else {
            fault.store(true, Ordering::Relaxed);
            match store.commit(&change, Durability::Synced) {
                Err(CommitError::Unknown(error)) => {
                    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
                    assert!(error.message().contains("no room on the shelf"), "{error}");
                }
                other => panic!("{other:?}"),
            }
        }
        match store.commit(&change, Durability::Synced) {
            Err(CommitError::Unknown(error)) => assert_eq!(error.kind(), ErrorKind::Unsettled),
            other => panic!("{other:?}"),
        }
        assert_eq!(store.read(Space::Job, b"a").unwrap_err().kind(), ErrorKind::StoreFailed);
        assert_eq!(store.load(&mut |_, _, _| Ok(())).unwrap_err().kind(), ErrorKind::StoreFailed);
        drop(store);
        // It may have been a sync: the next opening writes the files again, and takes the note away.
        let note = folder.path().join("SYNC_FAILED");
        assert!(note.exists());
        let store = open(folder.path()).unwrap();
        assert!(!note.exists());
        assert_eq!(store.commit(&change, Durability::Synced).unwrap(), 4);
    }
}

#[test]
fn a_panic_of_the_engine_is_an_error_and_one_of_its_caller_goes_on() {
    let folder = folder_with_a_store();
    let store = open(folder.path()).unwrap();
    store.engine().panics.store(true, Ordering::Relaxed);
    damaged(store.load(&mut |_, _, _| Ok(())), &["its library gave up: the shelf fell"]);
    damaged(store.read(Space::Job, b"a"), &["the shelf fell"]);
    store.engine().panics.store(false, Ordering::Relaxed);

    let own = catch_unwind(AssertUnwindSafe(|| store.load(&mut |_, _, _| panic!("my own"))));
    assert_eq!(own.unwrap_err().downcast_ref::<&str>(), Some(&"my own"));
    assert_eq!(store.load(&mut |_, _, _| Ok(())).unwrap(), 3);
}
