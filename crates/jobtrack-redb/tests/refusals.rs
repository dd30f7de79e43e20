//! What is not a whole jobtrack store of this version is refused by name, and left as it is.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use jobtrack::store::{Durability, Record, Space, Store};
use jobtrack::{Error, ErrorKind};
use jobtrack_redb::RedbStore;
use jobtrack_testkit::conformance::{batch, write};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

fn open(path: &Path) -> jobtrack::Result<Box<dyn Store>> {
    Ok(Box::new(RedbStore::open(path)?))
}

jobtrack_testkit::store_refusals!(open, "jobs.redb");

/// Another program's table, or the store's own as another version might have it.
const STORE: TableDefinition<'_, &str, u64> = TableDefinition::new("store");

/// The refusal, which must leave the data file as it was.
#[track_caller]
fn refused(folder: &Path, kind: ErrorKind, parts: &[&str]) -> Error {
    let before = fs::read(data_file(folder)).ok();
    let error = RedbStore::open(folder).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.message().contains(part), "{error}: lacks {part}");
    }
    assert!(fs::read(data_file(folder)).ok() == before, "the file was changed");
    error
}

fn data_file(folder: &Path) -> PathBuf {
    folder.join("jobs.redb")
}

/// A folder with a store of some records, closed.
fn folder_with_a_store() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    for n in 0..20u8 {
        let writes = Space::ALL.iter().map(|&space| write(space, &[n], Some(&[n; 300])));
        store.commit(&batch([], writes), Durability::Synced).unwrap();
    }
    drop(store);
    folder
}

/// A folder whose data file is a redb file that a test makes.
fn folder_with_a_database(fill: impl FnOnce(&Database)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fill(&Database::create(data_file(folder.path())).unwrap());
    folder
}

#[test]
fn a_data_file_that_is_no_redb_file() {
    for content in [b"x".to_vec(), b"SQLite format 3\0".repeat(1000), vec![0; 100_000]] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(data_file(folder.path()), &content).unwrap();
        refused(folder.path(), ErrorKind::StoreForeign, &["jobs.redb\" is not a jobtrack store"]);
    }
}

#[test]
fn another_programs_redb_file() {
    let mut folders = vec![folder_with_a_database(|_| {})];
    folders.push(folder_with_a_database(|database| {
        let transaction = database.begin_write().unwrap();
        let table = TableDefinition::<u64, u64>::new("store");
        transaction.open_table(table).unwrap().insert(1, 2).unwrap();
        transaction.commit().unwrap();
    }));
    for folder in folders {
        let error = RedbStore::open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreForeign, "{error}");
    }
}

#[test]
fn a_store_of_a_newer_layout() {
    let folder = folder_with_a_store();
    let database = Database::open(data_file(folder.path())).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(STORE).unwrap().insert("layout", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = RedbStore::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreTooNew, "{error}");
    assert!(error.message().contains("layout 2, this build reads up to 1"), "{error}");
}

#[test]
fn a_store_of_a_newer_redb() {
    let folder = folder_with_a_store();
    let mut bytes = fs::read(data_file(folder.path())).unwrap();
    for slot in [64, 192] {
        assert_eq!(bytes[slot], 3, "redb's format of today");
        bytes[slot] = 4;
    }
    fs::write(data_file(folder.path()), bytes).unwrap();
    refused(folder.path(), ErrorKind::StoreTooNew, &["redb format is 4"]);
}

#[test]
fn a_store_without_its_number() {
    let folder = folder_with_a_store();
    let database = Database::open(data_file(folder.path())).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(STORE).unwrap().remove("commit").unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = RedbStore::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreDamaged, "{error}");
    assert!(error.message().ends_with("it has no commit"), "{error}");
}

#[test]
fn a_record_that_is_cut_short_is_named() {
    let folder = folder_with_a_store();
    let database = Database::open(data_file(folder.path())).unwrap();
    let transaction = database.begin_write().unwrap();
    for table in ["job", "blob"] {
        let table = TableDefinition::<&[u8], &[u8]>::new(table);
        transaction
            .open_table(table)
            .unwrap()
            .insert(b"\x0a\xff".as_slice(), b"1234567".as_slice())
            .unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let store = RedbStore::open(folder.path()).unwrap();
    let loaded = store.load(&mut |_, _, _| Ok(())).unwrap_err();
    let read = store.read(Space::Blob, b"\x0a\xff").unwrap_err();
    for (error, space) in [(loaded, "job"), (read, "blob")] {
        assert_eq!(error.kind(), ErrorKind::StoreDamaged);
        assert!(error.message().contains(&format!("record 0aff of space {space}")), "{error}");
    }
}

#[test]
fn a_file_cut_to_any_length() {
    let folder = folder_with_a_store();
    let whole = fs::read(data_file(folder.path())).unwrap();
    for length in [0, 1, 9, 100, 320, 4096, 8192, 40_000, whole.len() - 4096, whole.len() - 1] {
        let cut = tempfile::tempdir().unwrap();
        fs::write(data_file(cut.path()), &whole[..length]).unwrap();
        let kind = if length == 1 { ErrorKind::StoreForeign } else { ErrorKind::StoreDamaged };
        refused(cut.path(), kind, &["jobs.redb\" is"]);
    }
}

/// Everything in the store, or how it was refused.
fn content(folder: &Path) -> Result<Vec<(Space, Vec<u8>, Record)>, Error> {
    let store = RedbStore::open(folder)?;
    let mut records = Vec::new();
    store.load(&mut |space, key, record| {
        records.push((space, key.to_vec(), record));
        Ok(())
    })?;
    for n in 0..20u8 {
        for space in [Space::Log, Space::Blob] {
            let record = store.read(space, &[n])?;
            records.extend(record.map(|record| (space, vec![n], record)));
        }
    }
    Ok(records)
}

/// How the store is refused after a change to its file; None if that changed nothing of it.
fn refusal_after(
    whole: &[u8],
    expected: &[(Space, Vec<u8>, Record)],
    change: impl FnOnce(&mut [u8]),
) -> Option<Error> {
    let changed = tempfile::tempdir().unwrap();
    let mut bytes = whole.to_vec();
    change(&mut bytes);
    fs::write(data_file(changed.path()), bytes).unwrap();
    match content(changed.path()) {
        Err(error) => Some(error),
        Ok(records) => {
            assert!(records == expected, "damage was read as data");
            None
        }
    }
}

#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    let folder = folder_with_a_store();
    let expected = content(folder.path()).unwrap();
    assert_eq!(expected.len(), 20 * Space::ALL.len());
    let whole = fs::read(data_file(folder.path())).unwrap();
    let mut noticed = 0;
    // The whole header, and every so many bytes after it; 389 is prime to every page size.
    for at in (0..330).chain((330..whole.len()).step_by(389)) {
        let flip = |bytes: &mut [u8]| bytes[at] ^= 1 << (at % 8);
        let Some(error) = refusal_after(&whole, &expected, flip) else { continue };
        noticed += 1;
        let kinds = match at {
            0..9 => &[ErrorKind::StoreForeign][..],
            // The version of redb's format.
            64 | 192 => &[ErrorKind::StoreTooNew, ErrorKind::StoreDamaged, ErrorKind::StoreForeign],
            _ => &[ErrorKind::StoreDamaged],
        };
        assert!(kinds.contains(&error.kind()), "byte {at}: {error:?}");
    }
    assert!(noticed > 100, "most of the file is in use, so most flips are noticed: {noticed}");
}

#[test]
fn a_lost_sector_is_noticed_or_harmless() {
    const SECTOR: usize = 512;
    let folder = folder_with_a_store();
    let expected = content(folder.path()).unwrap();
    let whole = fs::read(data_file(folder.path())).unwrap();
    let mut noticed = 0;
    for at in (SECTOR..whole.len()).step_by(SECTOR * 5) {
        // Emptied, and overwritten with another's bytes.
        let other = whole[at - SECTOR..at].to_vec();
        for sector in [vec![0; SECTOR], other] {
            let lose = |bytes: &mut [u8]| bytes[at..at + SECTOR].copy_from_slice(&sector);
            if let Some(error) = refusal_after(&whole, &expected, lose) {
                noticed += 1;
                assert_eq!(error.kind(), ErrorKind::StoreDamaged, "byte {at}: {error:?}");
            }
        }
    }
    assert!(noticed > 10, "{noticed}");
}
