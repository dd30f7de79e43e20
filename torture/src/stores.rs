//! The stores that are tortured.

use std::path::Path;

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_fjall::FjallStore;
use jobtrack_redb::RedbStore;
use jobtrack_sled::SledStore;
use tempfile::TempDir;

/// An embedded store, as the command line opens it.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Opens it in a folder.
    pub open: fn(&Path) -> Result<Box<dyn Store>>,
    /// Whether a full disk costs nothing but the commits that do not fit: once there is room, it
    /// takes the next without being opened again.
    pub recovers_from_full: bool,
}

/// All of them.
pub const ALL: [Kind; 3] = [
    Kind {
        name: "redb",
        open: |path| Ok(Box::new(RedbStore::open(path)?)),
        recovers_from_full: true,
    },
    Kind {
        name: "fjall",
        open: |path| Ok(Box::new(FjallStore::open(path)?)),
        recovers_from_full: false,
    },
    Kind {
        name: "sled",
        open: |path| Ok(Box::new(SledStore::open(path)?)),
        recovers_from_full: false,
    },
];

/// The one of this name.
pub fn named(name: &str) -> Option<Kind> {
    ALL.into_iter().find(|kind| kind.name == name)
}

/// A folder for what is not asked to last: in memory, where there is such a place.
#[allow(clippy::expect_used)] // Without it nothing can be tried.
pub(crate) fn folder_in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder")
}
