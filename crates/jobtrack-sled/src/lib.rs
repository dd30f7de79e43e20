//! A store for jobtrack in [sled], for those who have it already.
//!
//! ```
//! use jobtrack::store::{Batch, Durability, Space, Store, Write};
//! use jobtrack_sled::SledStore;
//!
//! # let parent = tempfile::tempdir().unwrap();
//! # let path = parent.path().join("jobtrack-data");
//! let store = SledStore::open(&path)?;
//! let batch = Batch {
//!     id: uuid::Uuid::nil(),
//!     expectations: Vec::new(),
//!     writes: vec![Write { space: Space::Meta, key: b"k".into(), value: Some(b"v".to_vec()) }],
//! };
//! assert_eq!(store.commit(&batch, Durability::Synced).unwrap(), 1);
//! drop(store);
//!
//! let store = SledStore::open(&path)?;
//! assert_eq!(store.read(Space::Meta, b"k")?.unwrap().value, b"v");
//! # Ok::<(), jobtrack::Error>(())
//! ```
//!
//! # Whether to choose it
//!
//! **Take jobtrack-redb unless you have a reason not to.** sled 0.34.7, the last release, is of 2021;
//! version 1.0 has been an alpha for years and is another program with another format. Issues are
//! open upstream about stores that do not open after an abrupt stop
//! ([1533](https://github.com/spacejam/sled/issues/1533),
//! [1527](https://github.com/spacejam/sled/issues/1527),
//! [1166](https://github.com/spacejam/sled/issues/1166)), and no release of 0.34 has followed.
//!
//! # What this crate adds
//!
//! - **A sync that is one.** sled's own `flush` asks Linux to write (`sync_file_range`), but neither
//!   for the metadata of the file nor for the disk's cache, so it does not survive power loss. Here a
//!   synced commit also syncs sled's data file, and every file of `blobs/` (records too large for
//!   a page), which sled never syncs.
//! - **Half-written snapshots are no error.** sled writes its snapshot under a temporary name,
//!   `snap.N.generating`, and after a crash takes that for the newest one and does not open (issue
//!   1527). Here it is removed first.
//! - **Damage is found.** [`CheckedStore`] keeps a checksum of every record and a seal of every
//!   commit, so what sled has lost or reads wrongly is refused. What sled does not open stays closed;
//!   there is no tool to mend it.
//!
//! # What it costs
//!
//! - **It starts threads that nobody asked for**: sled's pool for input and output, seven of them, for
//!   as long as the process lives. Its thread that flushes twice a second is turned off.
//! - A reader waits while a commit is on its way, its sync included, since sled shows a batch before
//!   it is stored.
//! - Damage to the end of the log of a store that was **not** closed cleanly looks like a write that
//!   a crash has torn: if no trace of a later synced commit is left, and the store's label (at most
//!   1,024 synced commits old) is no younger, it is taken for one. redb does not have this gap.
//! - A full disk, like every error in writing, leaves the outcome unknown, and the store must be
//!   opened again, **in another process**: sled may keep its files for as long as this one lives. On a full
//!   disk sled has also been seen to wait for ever within a commit: then only ending the process
//!   helps.
//!
//! [sled]: https://docs.rs/sled/0.34.7

mod engine;

use std::fmt;
use std::sync::Arc;

use jobtrack::{Clock, SystemClock};
use jobtrack_checked::CheckedStore;

pub use crate::engine::Sled;

/// How a [`SledStore`] is opened.
#[derive(Clone)]
pub struct Options {
    /// How much memory sled may use for pages; 32 MiB unless told otherwise (sled's own default is
    /// 1 GiB). It keeps a table of all pages beside that.
    pub cache_bytes: u64,
    /// Where the time comes from that the lock file shows, and the store's own id; the machine's
    /// clock unless told otherwise.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Options { cache_bytes: 32 << 20, clock: Arc::new(SystemClock::new()) }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("cache_bytes", &self.cache_bytes).finish_non_exhaustive()
    }
}

/// A store in a folder of its own, held by this process until it is dropped.
///
/// - **Synced** commits end with a sync of sled's files. **Deferred** ones stay in memory until the
///   next synced one, until half a megabyte has come together, or until the store is dropped.
/// - After an error in writing the outcome is unknown: every later commit is answered so, and every
///   reading fails, until the store is opened anew.
///
/// [`CheckedStore`] tells how it is opened.
pub type SledStore = CheckedStore<Sled>;
