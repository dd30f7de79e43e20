//! Stores that every release has written are read by this one.

use std::path::Path;

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_fjall::FjallStore;

fn open(path: &Path) -> Result<Box<dyn Store>> {
    Ok(Box::new(FjallStore::open(path)?))
}

jobtrack_testkit::store_kept!("fjall", open);
