//! Two processes and one store; and processes that die in the middle of their work.

use std::path::Path;

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_sled::SledStore;

fn open(path: &Path) -> Result<Box<dyn Store>> {
    Ok(Box::new(SledStore::open(path)?))
}

jobtrack_testkit::store_processes!(open);
// Not on a full disk: there sled now and then waits for ever within a commit (see the crate's page).
