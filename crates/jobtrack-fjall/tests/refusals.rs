//! What is not a whole jobtrack store of this version is refused by name, and what a crash leaves
//! behind is not.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use jobtrack::ErrorKind;
use jobtrack::store::{Durability, Space, Store};
use jobtrack_fjall::FjallStore;
use jobtrack_testkit::conformance::{batch, write};
use tempfile::TempDir;

fn open(path: &Path) -> jobtrack::Result<Box<dyn Store>> {
    Ok(Box::new(FjallStore::open(path)?))
}

jobtrack_testkit::store_refusals!(open, "jobs.fjall");

#[track_caller]
fn refused(folder: &Path, kind: ErrorKind, parts: &[&str]) {
    let error = FjallStore::open(folder).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.message().contains(part), "{error}: lacks {part}");
    }
}

fn folder_with_a_store() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(folder.path()).unwrap();
    put(&store, 1, Durability::Synced);
    drop(store);
    folder
}

/// Commits one record, a thousand times the same byte.
fn put(store: &FjallStore, byte: u8, durability: Durability) {
    let change = batch([], [write(Space::Blob, &[byte], Some(&[byte; 1000]))]);
    store.commit(&change, durability).unwrap();
}

/// A copy of an open store, as the end of its process leaves it.
fn killed(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder, copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn journal(folder: &Path) -> PathBuf {
    folder.join("fjall/0.jnl")
}

/// Empties the middle of the value of this byte in the journal.
fn tear(folder: &Path, byte: u8) {
    let mut bytes = fs::read(journal(folder)).unwrap();
    let at = bytes.windows(1000).position(|value| value == [byte; 1000]).unwrap();
    bytes[at + 200..at + 712].fill(0);
    fs::write(journal(folder), bytes).unwrap();
}

fn last_commit(folder: &Path) -> jobtrack::Result<u64> {
    FjallStore::open(folder)?.load(&mut |_, _, _| Ok(()))
}

#[test]
fn a_folder_of_fjall_that_is_not_ours() {
    let other = tempfile::tempdir().unwrap();
    drop(fjall::Database::builder(other.path()).open().unwrap());
    let before = fs::read_dir(other.path()).unwrap().count();
    refused(other.path(), ErrorKind::StoreForeign, &["is not a jobtrack store"]);
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), before, "nothing was added");
}

#[test]
fn a_store_of_a_newer_fjall() {
    let folder = folder_with_a_store();
    fs::write(folder.path().join("fjall/version"), b"FJL\x04").unwrap();
    refused(folder.path(), ErrorKind::StoreTooNew, &["fjall format is 4, this build reads 3"]);
}

#[test]
fn a_store_whose_files_are_gone() {
    for name in ["version", "0.jnl", "keyspaces/1/current"] {
        let folder = folder_with_a_store();
        fs::remove_file(folder.path().join("fjall").join(name)).unwrap();
        refused(folder.path(), ErrorKind::StoreDamaged, &["is damaged"]);
    }
    let folder = folder_with_a_store();
    fs::remove_dir_all(folder.path().join("fjall")).unwrap();
    refused(folder.path(), ErrorKind::StoreDamaged, &["fjall\" is damaged"]);
}

/// fjall itself does not open such a journal, so a power cut would end the store.
#[test]
fn a_last_batch_that_lacks_its_middle_is_taken_for_torn() {
    for durability in [Durability::Synced, Durability::Deferred] {
        let folder = tempfile::tempdir().unwrap();
        let store = FjallStore::open(folder.path()).unwrap();
        put(&store, 1, Durability::Synced);
        put(&store, 2, durability);
        let killed = killed(folder.path());
        assert_eq!(last_commit(killed.path()).unwrap(), 2);

        let torn = self::killed(folder.path());
        tear(torn.path(), 2);
        let raw = self::killed(torn.path());
        assert!(fjall::Database::builder(raw.path().join("fjall")).open().is_err());
        assert_eq!(last_commit(torn.path()).unwrap(), 1);
        let store = FjallStore::open(torn.path()).unwrap();
        put(&store, 3, Durability::Synced);
        drop(store);
        assert_eq!(last_commit(torn.path()).unwrap(), 2);
    }
}

#[test]
fn deferred_batches_may_be_torn_anywhere_and_synced_ones_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(folder.path()).unwrap();
    put(&store, 1, Durability::Synced);
    for byte in 2..6 {
        put(&store, byte, Durability::Deferred);
    }
    let deferred = killed(folder.path());
    tear(deferred.path(), 3);
    assert_eq!(last_commit(deferred.path()).unwrap(), 2, "the first ones are kept");

    // A synced commit makes those before it durable, and the next seal says so.
    put(&store, 6, Durability::Synced);
    put(&store, 7, Durability::Deferred);
    let synced = killed(folder.path());
    tear(synced.path(), 3);
    let journal = fs::read(journal(synced.path())).unwrap();
    for _ in 0..2 {
        refused(synced.path(), ErrorKind::StoreDamaged, &["0.jnl", "commit 6 was stored"]);
    }
    assert!(fs::read(self::journal(synced.path())).unwrap() == journal, "it was left as it is");
}
