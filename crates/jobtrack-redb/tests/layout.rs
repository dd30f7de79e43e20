//! `docs/storage-format.md` says how to read the file with redb alone. This does it.

use std::collections::BTreeSet;
use std::fs;

use jobtrack::store::{Durability, Space, Store};
use jobtrack_redb::RedbStore;
use jobtrack_testkit::conformance::{batch, write};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

#[test]
fn the_file_is_laid_out_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    store.commit(&batch([], [write(Space::Job, b"a", Some(b"1"))]), Durability::Synced).unwrap();
    let all = Space::ALL.iter().map(|&space| write(space, b"k", Some(space.name().as_bytes())));
    store.commit(&batch([], all), Durability::Synced).unwrap();
    store.commit(&batch([], [write(Space::Job, b"a", None)]), Durability::Deferred).unwrap();
    drop(store);

    let names: BTreeSet<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["LOCK".to_owned(), "jobs.redb".to_owned()]));

    let database = Database::open(folder.path().join("jobs.redb")).unwrap();
    let snapshot = database.begin_read().unwrap();
    let tables: BTreeSet<_> =
        snapshot.list_tables().unwrap().map(|table| table.name().to_owned()).collect();
    let expected = ["store", "job", "key", "tombstone", "log", "blob", "meta"];
    assert_eq!(tables, BTreeSet::from(expected.map(str::to_owned)));

    let store = snapshot.open_table(TableDefinition::<&str, u64>::new("store")).unwrap();
    let entries: Vec<_> = store
        .iter()
        .unwrap()
        .map(|entry| entry.map(|(key, value)| (key.value().to_owned(), value.value())).unwrap())
        .collect();
    assert_eq!(entries, [("commit".to_owned(), 3), ("layout".to_owned(), 1)]);
    for name in expected.iter().skip(1) {
        let table = snapshot.open_table(TableDefinition::<&[u8], &[u8]>::new(name)).unwrap();
        let records: Vec<_> = table
            .iter()
            .unwrap()
            .map(|entry| entry.map(|(k, v)| (k.value().to_vec(), v.value().to_vec())).unwrap())
            .collect();
        let value = [&[0, 0, 0, 0, 0, 0, 0, 2], name.as_bytes()].concat();
        assert_eq!(records, [(b"k".to_vec(), value)], "{name}");
    }
}
