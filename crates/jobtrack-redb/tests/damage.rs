//! What is left of a damaged store is read, page by page. (That damage is refused is tested where the
//! other refusals are.)

#![allow(clippy::print_stdout)]

use std::path::Path;

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_redb::RedbStore;
use jobtrack_testkit::damage;

fn open(path: &Path) -> Result<Box<dyn Store>> {
    Ok(Box::new(RedbStore::open(path)?))
}

#[test]
fn what_is_salvaged_is_as_it_was_written_and_what_is_not_is_told() {
    let salvaged = damage::check_salvage(&open, &|folder, _| RedbStore::salvage(folder), 150);
    println!("{salvaged:?}");
    assert!(salvaged.saved * 100 > salvaged.records * 10, "{salvaged:?}");
}
