//! `docs/storage-format.md` says how to read the files with fjall alone. This does it.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jobtrack::store::{Durability, Space, Store};
use jobtrack_fjall::FjallStore;
use jobtrack_testkit::conformance::{batch, write};
use xxhash_rust::xxh3::xxh3_64;

fn pairs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let database = fjall::Database::builder(path).open().unwrap();
    assert_eq!(database.list_keyspace_names().len(), 1);
    let records = database.keyspace("records", Default::default).unwrap();
    let pairs = records.iter().map(|pair| pair.into_inner().unwrap());
    pairs.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().unwrap())
}

#[test]
fn the_files_are_laid_out_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(folder.path()).unwrap();
    store.commit(&batch([], [write(Space::Job, b"a", Some(b"1"))]), Durability::Synced).unwrap();
    let all = Space::ALL.iter().map(|&space| write(space, b"k", Some(space.name().as_bytes())));
    store.commit(&batch([], all), Durability::Synced).unwrap();
    store.commit(&batch([], [write(Space::Job, b"a", None)]), Durability::Deferred).unwrap();
    drop(store);

    let names: BTreeSet<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["LOCK", "fjall", "jobs.fjall"].map(str::to_owned).into());

    let mut pairs = pairs(&folder.path().join("fjall"));
    let seal = pairs.remove(&b"s"[..]).unwrap();
    let mut sum = 0u64;
    for (letter, space) in b"jktlbm".iter().zip(Space::ALL) {
        let key = [*letter, b'k'];
        let value = pairs.remove(&key[..]).unwrap();
        let (body, check) = value.split_at(value.len() - 8);
        assert_eq!(body, [&2u64.to_be_bytes(), space.name().as_bytes()].concat());
        assert_eq!(number(check), xxh3_64(&[&2u64.to_be_bytes(), &key[..], body].concat()));
        sum = sum.wrapping_add(number(check));
    }
    assert_eq!(pairs, BTreeMap::new());

    let label = fs::read_to_string(folder.path().join("jobs.fjall")).unwrap();
    let (body, check) = label.split_at(label.find("check ").unwrap());
    assert_eq!(check, format!("check {:016x}\n", xxh3_64(body.as_bytes())));
    let id = uuid::Uuid::from_slice(&seal[8..24]).unwrap();
    let expected = format!("jobtrack store in fjall\nlayout 1\nstore {id}\ncommit 3\n");
    assert_eq!(body, expected);

    assert_eq!(seal.len(), 64);
    assert_eq!(&seal[..8], b"jobseal1");
    let numbers: Vec<u64> = seal[24..].chunks(8).map(number).collect();
    assert_eq!(numbers, [3, 2, 6, sum, xxh3_64(&seal[..56])]);
}
