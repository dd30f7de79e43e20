//! What is not a whole jobtrack store of this version is refused by name, and what a crash leaves
//! behind is not.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use jobtrack::ErrorKind;
use jobtrack::store::{Durability, Space, Store};
use jobtrack_sled::SledStore;
use jobtrack_testkit::conformance::{batch, write};
use tempfile::TempDir;

fn open(path: &Path) -> jobtrack::Result<Box<dyn Store>> {
    Ok(Box::new(SledStore::open(path)?))
}

jobtrack_testkit::store_refusals!(open, "jobs.sled");

#[track_caller]
fn refused(folder: &Path, kind: ErrorKind, parts: &[&str]) {
    let error = SledStore::open(folder).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.message().contains(part), "{error}: lacks {part}");
    }
}

fn folder_with_a_store() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let change = batch([], [write(Space::Job, b"a", Some(b"1"))]);
    store.commit(&change, Durability::Synced).unwrap();
    drop(store);
    folder
}

fn last_commit(folder: &Path) -> jobtrack::Result<u64> {
    SledStore::open(folder)?.load(&mut |_, _, _| Ok(()))
}

#[test]
fn a_folder_of_sled_that_is_not_ours() {
    let other = tempfile::tempdir().unwrap();
    drop(sled::open(other.path()).unwrap());
    let before = fs::read_dir(other.path()).unwrap().count();
    refused(other.path(), ErrorKind::StoreForeign, &["is not a jobtrack store"]);
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), before, "nothing was added");
}

#[test]
fn a_store_of_another_sled() {
    let folder = folder_with_a_store();
    let path = folder.path().join("sled/conf");
    let mut conf = fs::read(&path).unwrap();
    let at = conf.windows(4).position(|text| text == b"0.34").unwrap();
    conf.splice(at..at + 4, *b"0.35");
    fs::write(path, conf).unwrap();
    refused(folder.path(), ErrorKind::StoreTooNew, &["version 0.35"]);
}

#[test]
fn a_store_whose_files_are_gone() {
    let folder = folder_with_a_store();
    fs::remove_file(folder.path().join("sled/db")).unwrap();
    refused(folder.path(), ErrorKind::StoreDamaged, &["its file db is missing"]);
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    refused(folder.path(), ErrorKind::StoreDamaged, &["sled\" is damaged"]);
}

/// sled itself takes it for its newest snapshot, and does not open.
#[test]
fn a_half_written_snapshot_is_no_error() {
    let folder = folder_with_a_store();
    let half = folder.path().join("sled/snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&half, "half a snapshot").unwrap();
    let error = loop {
        match sled::open(folder.path().join("sled")) {
            // sled keeps its files for a moment after they were closed.
            Err(sled::Error::Io(_)) => std::thread::yield_now(),
            outcome => break outcome.unwrap_err(),
        }
    };
    assert!(matches!(error, sled::Error::Corruption { .. }), "{error}");
    assert_eq!(last_commit(folder.path()).unwrap(), 1);
    assert!(!half.exists());
}

/// sled puts what is too large for a page into a file of its own, and never syncs that.
#[test]
fn large_values_lie_in_files_of_their_own_that_are_synced() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let value = vec![7; 2 << 20];
    for key in [b"a", b"b"] {
        let change = batch([], [write(Space::Blob, key, Some(&value))]);
        store.commit(&change, Durability::Synced).unwrap();
    }
    assert!(fs::read_dir(folder.path().join("sled/blobs")).unwrap().count() > 0);
    drop(store);
    let store = SledStore::open(folder.path()).unwrap();
    for key in [b"a", b"b"] {
        assert!(store.read(Space::Blob, key).unwrap().unwrap().value == value);
    }
}
