//! Two processes and one store; and processes that die in the middle of their work.

use std::path::Path;

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_redb::RedbStore;

fn open(path: &Path) -> Result<Box<dyn Store>> {
    Ok(Box::new(RedbStore::open(path)?))
}

jobtrack_testkit::store_processes!(open);
