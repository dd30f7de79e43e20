//! Damage to any file is refused by name, or harmless; it is never read as data.

use std::path::Path;

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_fjall::{FjallStore, Options};
use jobtrack_testkit::damage::{self, Stop};

/// With so little memory that there are tables beside the journal.
fn open(path: &Path) -> Result<Box<dyn Store>> {
    let options = Options { buffer_bytes: 4 << 10, ..Options::default() };
    Ok(Box::new(FjallStore::open_with(path, &options)?))
}

#[test]
fn damage_to_a_closed_store_is_refused_or_harmless() {
    let found = damage::check(&open, Stop::Clean, 150);
    assert!(found.refused > 100, "{found}");
    assert_eq!(found.torn, 0);
}

#[test]
fn damage_to_a_killed_store_costs_its_last_commit_at_most() {
    let found = damage::check(&open, Stop::Killed, 60);
    assert!(found.refused > 100, "{found}");
}

#[test]
fn what_is_salvaged_is_as_it_was_written_and_what_is_not_is_told() {
    let salvaged =
        damage::check_salvage(&open, &|folder, scratch| FjallStore::salvage(folder, scratch), 150);
    println!("{salvaged:?}");
    assert!(salvaged.saved * 100 > salvaged.records * 10, "{salvaged:?}");
}
