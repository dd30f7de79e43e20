//! Two processes and one store; processes that die in the middle of their work; and
//! one whose disk is full.

use std::path::Path;

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_redb::RedbStore;

fn open(path: &Path) -> Result<Box<dyn Store>> {
    Ok(Box::new(RedbStore::open(path)?))
}

jobtrack_testkit::store_processes!(open);
jobtrack_testkit::store_on_a_full_disk!(open);
