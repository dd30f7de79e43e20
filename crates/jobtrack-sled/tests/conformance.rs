//! `SledStore` keeps the contract of `Store`.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used)]

use jobtrack::store::Store;
use jobtrack_sled::SledStore;
use jobtrack_testkit::conformance::Harness;
use jobtrack_testkit::store_conformance;

/// A folder of its own for each test.
fn in_a_folder() -> impl Harness {
    let parent = tempfile::tempdir().unwrap();
    move || {
        let store = SledStore::open(parent.path().join("data"))?;
        Ok(Box::new(store) as Box<dyn Store>)
    }
}

store_conformance!(in_a_folder());
