//! The durable home of jobs: a short trait, its contract, and what stands on both sides of it.
//!
//! A [`Store`] keeps records: bytes under a key in a named [`Space`]. It loads all of them at
//! opening and commits batches, wholly or not at all. It knows nothing of jobs, orders, expiry or
//! queries; those are written once above it. That keeps a backend at a few hundred lines.

mod codec;
mod copy;
mod folder;
mod memory;

use std::fmt;

use uuid::Uuid;

pub(crate) use codec::{EPOCHS_KEY, FORGOTTEN_KEY, FORMAT, Forgotten, HEAD_KEY, Head, Tombstone};
pub(crate) use codec::{
    decode_epochs, decode_forgotten, decode_head, decode_job, decode_tombstone,
};
pub(crate) use codec::{
    encode_epochs, encode_forgotten, encode_head, encode_job, encode_tombstone,
};
pub use copy::copy;
pub use folder::Folder;
pub use memory::MemoryStore;

use crate::error::{Error, Result};

/// A named space of records. The names are part of the storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Jobs, under a growing number.
    Job,
    /// Idempotency keys.
    Key,
    /// Tombstones, under a growing number.
    Tombstone,
    /// The log of each job. Not loaded at opening.
    Log,
    /// Payloads and results. Not loaded at opening.
    Blob,
    /// The engine's own: format, epochs, horizon, clean close.
    Meta,
}

impl Space {
    /// Every space.
    pub const ALL: &[Space] =
        &[Space::Job, Space::Key, Space::Tombstone, Space::Log, Space::Blob, Space::Meta];

    /// The name under which a backend keeps it.
    pub fn name(self) -> &'static str {
        match self {
            Space::Job => "job",
            Space::Key => "key",
            Space::Tombstone => "tombstone",
            Space::Log => "log",
            Space::Blob => "blob",
            Space::Meta => "meta",
        }
    }

    /// Whether [`Store::load`] visits it.
    pub fn is_loaded(self) -> bool {
        !matches!(self, Space::Log | Space::Blob)
    }
}

/// What a change must survive before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Durability {
    /// The end of the process, as far as the store can; a crash may lose it, though never a part of
    /// a batch and never an earlier batch without every later one.
    Deferred,
    /// kill -9 and power loss.
    #[default]
    Synced,
}

/// One record as it is loaded or read: its bytes, and the number of the commit that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The number of the commit that last wrote it.
    pub revision: u64,
    /// The bytes.
    pub value: Vec<u8>,
}

/// A change of several records, made wholly or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The batch's own id. A store that can be asked again after a lost connection keeps it, so
    /// that the same batch is never made twice.
    pub id: Uuid,
    /// What must be so before anything is written, also of records that are not written.
    pub expectations: Vec<Expectation>,
    /// What is written, each key at most once.
    pub writes: Vec<Write>,
}

/// What a batch expects of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The record's space.
    pub space: Space,
    /// The record's key.
    pub key: Vec<u8>,
    /// The number of the commit that last wrote it; None if it must be absent.
    pub revision: Option<u64>,
}

/// One record that a batch writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The record's space.
    pub space: Space,
    /// The record's key, at most 64 bytes.
    pub key: Vec<u8>,
    /// Its new bytes; None removes it, and removing what is absent is no error.
    pub value: Option<Vec<u8>>,
}

/// Why a batch was not committed.
#[derive(Debug, Clone)]
pub enum CommitError {
    /// An expectation was not met. Nothing was written.
    Conflict(Expectation),
    /// Whether the batch was written is not known, for instance since a sync failed.
    ///
    /// A store of this process must refuse every later commit with this answer until it is opened
    /// again: after a failed sync the operating system may have dropped what it could not write.
    Unknown(Error),
    /// Nothing was written, and the next commit may be tried.
    Failed(Error),
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommitError::Conflict(expectation) => {
                write!(f, "a record of space {} has changed", expectation.space.name())
            }
            CommitError::Unknown(error) => write!(f, "the outcome is unknown: {error}"),
            CommitError::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CommitError {}

/// What [`Store::load`] hands each record to: space, key, record.
pub type Visit<'a> = dyn FnMut(Space, &[u8], Record) -> Result<()> + 'a;

/// A durable home for records.
///
/// # Contract
///
/// - **All or nothing.** After a crash a batch is there wholly or not at all.
/// - **In order.** After a crash, if a batch is there, so is every batch committed before it.
/// - **Synced means synced.** A commit with [`Durability::Synced`] returns after everything it
///   wrote, and everything committed before it, would survive power loss.
/// - **Revisions rise.** Each commit has a number greater than every number before it, also across
///   openings, except that numbers of commits lost in a crash may come again.
/// - **Reads see commits.** `load` and `read` see every batch whose commit has returned, deferred
///   ones included, and nothing of any other.
/// - **One caller at a time commits**; `read` may come at any time from any thread. What `load` hands
///   records to must not commit.
///
/// `jobtrack-testkit` has a test for each of these, which a backend adopts in one line.
///
/// The engine keys jobs and tombstones by growing numbers (eight bytes, big endian), since in a
/// B-tree random keys multiply what is written by thirty.
pub trait Store: Send + Sync {
    /// Visits every record of every [loaded](Space::is_loaded) space, each space in the order of
    /// its keys, and returns the number of the last commit (0 in a new store).
    ///
    /// # Errors
    ///
    /// `StoreDamaged` where a record cannot be read back as it was written, `StoreFailed`
    /// otherwise, and every error of `visit` as it is.
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64>;

    /// Reads one record, or None if there is none.
    ///
    /// # Errors
    ///
    /// As [`load`](Store::load).
    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>>;

    /// Checks every expectation, makes every write, and returns the commit's number.
    ///
    /// # Errors
    ///
    /// See [`CommitError`]: only `Unknown` leaves open whether the batch was written.
    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError>;
}

impl<S: Store + ?Sized> Store for std::sync::Arc<S> {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        (**self).load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        (**self).read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        (**self).commit(batch, durability)
    }
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        (**self).load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        (**self).read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        (**self).commit(batch, durability)
    }
}
