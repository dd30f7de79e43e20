//! A store for jobtrack in [fjall], a log-structured merge tree.
//!
//! ```
//! use jobtrack::store::{Batch, Durability, Space, Store, Write};
//! use jobtrack_fjall::FjallStore;
//!
//! # let parent = tempfile::tempdir().unwrap();
//! # let path = parent.path().join("jobtrack-data");
//! let store = FjallStore::open(&path)?;
//! let batch = Batch {
//!     id: uuid::Uuid::nil(),
//!     expectations: Vec::new(),
//!     writes: vec![Write { space: Space::Meta, key: b"k".to_vec(), value: Some(b"v".to_vec()) }],
//! };
//! assert_eq!(store.commit(&batch, Durability::Synced).unwrap(), 1);
//! drop(store);
//!
//! let store = FjallStore::open(&path)?;
//! assert_eq!(store.read(Space::Meta, b"k")?.unwrap().value, b"v");
//! # Ok::<(), jobtrack::Error>(())
//! ```
//!
//! # When to choose it
//!
//! Small synced commits are its strength: it appends to a journal where a B-tree such as redb
//! rewrites pages. In return:
//!
//! - **It starts threads that nobody asked for**: one, which flushes memory to tables and merges
//!   them, and ends when the store is dropped. jobtrack itself starts none, and with redb there are
//!   none.
//! - A commit can wait for that thread: up to a quarter of a second has been measured.
//! - It brings two dozen crates with it, redb one.
//! - Its journal is a file of 64 MiB that is made in advance, as a hole where the file system has
//!   them; there may be several.
//!
//! # What this crate adds
//!
//! fjall checks its tables block by block and its journal by batches, but takes damage in the middle
//! of the journal for a torn end and drops what follows; and on some damage to its tables and to the
//! lists of them it ends the process. What is lost so is found by [`CheckedStore`], and all of them
//! are read and checked here before fjall opens them: damage is refused before anything is removed,
//! while a last batch that a power cut has torn (on which fjall may refuse to open) is cut off.
//!
//! Damage to the end of the journal of a store that was **not** closed cleanly looks like that torn
//! batch. If no trace of a later synced commit is left behind it, and the store's label (at most
//! 1,024 synced commits old) is no younger, it is cut off: up to so many commits can be lost without
//! a word, if the very end of the file is overwritten or cut. redb does not have this gap.
//!
//! A full disk, like every error in writing, leaves the outcome unknown, and the store must be
//! opened again.
//!
//! [fjall]: https://docs.rs/fjall

mod engine;
mod journal;
mod manifest;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jobtrack::store::{Batch, CommitError, Durability, Record, Space, Store, Visit};
use jobtrack::{Clock, Result, SystemClock};
use jobtrack_checked::CheckedStore;

use crate::engine::Fjall;

/// How a [`FjallStore`] is opened.
#[derive(Clone)]
pub struct Options {
    /// How much memory fjall may use for blocks of its tables; 8 MiB unless told otherwise.
    ///
    /// jobtrack keeps all jobs in memory; the store is asked for payloads, results and logs, and for
    /// the former state of what a commit replaces.
    pub cache_bytes: u64,
    /// How much is collected in memory before it is written as a table; 16 MiB unless told
    /// otherwise. Up to five times as much is held while the disk does not keep up.
    pub buffer_bytes: u64,
    /// Where the time comes from that the lock file shows, and the store's own id; the machine's
    /// clock unless told otherwise.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_bytes: 8 << 20,
            buffer_bytes: 16 << 20,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("cache_bytes", &self.cache_bytes)
            .field("buffer_bytes", &self.buffer_bytes)
            .finish_non_exhaustive()
    }
}

/// A store in a folder of its own, held by this process until it is dropped.
///
/// - **Synced** commits end with a sync of the journal. **Deferred** ones are handed to the operating
///   system: they survive the end of the process, and power loss only after the next synced one or
///   after the store was dropped.
/// - After an error in writing the outcome is unknown: every later commit is answered so, and every
///   reading fails, until the store is opened anew.
pub struct FjallStore(CheckedStore<Fjall>);

impl FjallStore {
    /// Opens the store in this folder, with the default [`Options`]; makes it if it is absent.
    ///
    /// # Errors
    ///
    /// `StoreHeld` if it is open already, in whichever process; `StoreForeign` if the folder is not
    /// a jobtrack store in fjall; `StoreTooNew` if a newer jobtrack or fjall wrote it;
    /// `StoreDamaged` if it does not hold what it once held; `StoreReadOnly`, `StoreFull` and
    /// `StoreFailed` for what the operating system refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<FjallStore> {
        Self::open_with(path, &Options::default())
    }

    /// Opens the store in this folder; makes it if it is absent.
    ///
    /// # Errors
    ///
    /// As [`open`](FjallStore::open).
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<FjallStore> {
        CheckedStore::open(path, options, &*options.clock).map(FjallStore)
    }
}

impl Store for FjallStore {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.0.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.0.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        self.0.commit(batch, durability)
    }
}

impl fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallStore").field("folder", &self.0.place().path).finish_non_exhaustive()
    }
}
