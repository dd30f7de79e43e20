//! Two processes and one store; processes that die in the middle of their work; and
//! one whose disk is full.

use std::path::Path;

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_fjall::{FjallStore, Options};

/// With so little memory that tables are written and merged all the time.
fn open(path: &Path) -> Result<Box<dyn Store>> {
    let options = Options { buffer_bytes: 32 << 10, ..Options::default() };
    Ok(Box::new(FjallStore::open_with(path, &options)?))
}

jobtrack_testkit::store_processes!(open);
jobtrack_testkit::store_on_a_full_disk!(open);
