//! Stores that every release has written are read by this one.

use std::path::Path;

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_redb::RedbStore;

fn open(path: &Path) -> Result<Box<dyn Store>> {
    Ok(Box::new(RedbStore::open(path)?))
}

jobtrack_testkit::store_kept!("redb", open);
