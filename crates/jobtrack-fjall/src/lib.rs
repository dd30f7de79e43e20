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
//!     writes: vec![Write { space: Space::Meta, key: b"k".into(), value: Some(b"v".to_vec()) }],
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
use std::sync::Arc;

use jobtrack::{Clock, SystemClock};
use jobtrack_checked::CheckedStore;

pub use crate::engine::Fjall;

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
///
/// [`CheckedStore`] tells how it is opened.
pub type FjallStore = CheckedStore<Fjall>;
