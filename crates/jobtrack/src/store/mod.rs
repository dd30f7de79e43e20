//! The durable home of jobs: a short trait, its contract, and what stands on both sides of it.
//!
//! A [`Store`] keeps records: bytes under a key in a named [`Space`]. It loads all of them at
//! opening and commits batches, wholly or not at all. It knows nothing of jobs, orders, expiry or
//! queries; those are written once above it. That keeps a backend at a few hundred lines.

mod codec;
mod copy;
mod folder;
mod key;
mod memory;
mod nothing;
mod restore;
mod salvage;
mod verify;

use std::fmt;
use std::path::Path;

use uuid::Uuid;

pub(crate) use codec::{Claims, claims_key, claims_of_key, decode_claims, encode_claims};
pub(crate) use codec::{EPOCHS_KEY, FORGOTTEN_KEY, FORMAT, Forgotten, HEAD_KEY, Head, Tombstone};
pub(crate) use codec::{Stay, decode_stay, encode_stay, stay_key, stay_of_key};
pub(crate) use codec::{
    check_format, decode_epochs, decode_forgotten, decode_head, decode_job, decode_log,
    decode_tombstone,
};
pub(crate) use codec::{
    encode_epochs, encode_forgotten, encode_head, encode_job, encode_log, encode_tombstone,
};
pub use copy::copy;
pub use folder::Folder;
pub use key::Key;
pub use memory::MemoryStore;
pub use nothing::NoStore;
pub use restore::{Restorer, check_new, check_number};
pub use salvage::{Loss, Remains, rebuild};
pub(crate) use verify::shown;
pub use verify::{Defect, Verified, verify};

use crate::error::{Error, ErrorKind, Result};

/// A named space of records. The names are part of the storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Jobs, under a growing number.
    Job,
    /// Idempotency keys.
    Key,
    /// Tombstones, under a growing number.
    Tombstone,
    /// The log of each job, under the key of its record. Not loaded at opening.
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
    pub key: Key,
    /// The number of the commit that last wrote it; None if it must be absent.
    pub revision: Option<u64>,
}

/// One record that a batch writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The record's space.
    pub space: Space,
    /// The record's key, at most 64 bytes.
    pub key: Key,
    /// Its new bytes; None removes it, and removing what is absent is no error.
    pub value: Option<Vec<u8>>,
}

/// Records as another store had them, which [`Store::restore`] writes into a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The number of the commit that writes them: any in a store that has none yet, then one more
    /// each time.
    pub number: u64,
    /// The records, each key once. Their revisions are of commits that the other store made.
    pub records: Vec<(Space, Vec<u8>, Record)>,
}

/// What a store can do beyond what every one must. `jobtrack-testkit` tests what is declared, and
/// that what is not is refused with `StoreCannot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// [`Store::scan`]: so it can be copied, verified and backed up.
    pub scan: bool,
    /// [`Store::restore`]: so it can be what another is copied into.
    pub restore: bool,
    /// [`Store::compact`].
    pub compact: bool,
    /// On a full disk a commit is refused with [`Failed`](CommitError::Failed), kind `StoreFull`;
    /// reading goes on, and once there is room commits go through again, without the store being
    /// opened anew. Without this the outcome of such a commit is unknown.
    pub outlasts_a_full_disk: bool,
    /// On a disk that was filled commit by commit, one that only removes goes through all the same.
    pub removes_on_a_full_disk: bool,
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

/// What [`Store::scan`] hands each record to: space, key, and the record, or why it cannot be read.
pub type Inspect<'a> = dyn FnMut(Space, &[u8], Result<Record>) -> Result<()> + 'a;

/// A durable home for records.
///
/// `load`, `read` and `commit` are all that the engine needs. The others have bodies that refuse, and
/// a store that has more to offer says so in its [`Abilities`].
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

    /// Whether it keeps what it is given, as every store does but [`NoStore`]. Where it does not, no
    /// records are made for it: its batches are empty.
    fn keeps_records(&self) -> bool {
        true
    }

    /// What this store can do beyond the three above: nothing, unless it says so.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// Visits every record of every space, log and blob included, all as of one commit, whose
    /// number it returns. Commits go on meanwhile.
    ///
    /// A record that cannot be read is handed on as the error that it is, and the scan goes on
    /// behind it.
    ///
    /// # Errors
    ///
    /// `StoreCannot` if it is not among its abilities; `StoreDamaged` for damage that concerns no
    /// one record, also after every record was visited; `StoreFailed`; every error of `visit` as
    /// it is.
    fn scan(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        let _ = visit;
        Err(cannot("be read whole"))
    }

    /// Writes records with the revisions they had elsewhere, into a store that has seen no commit
    /// but those of earlier calls. The last call is synced, and makes those before it durable.
    ///
    /// # Errors
    ///
    /// As [`commit`](Store::commit); `StoreCannot` if it is not among its abilities, and
    /// `InvalidValue` for a number that does not follow on. Nothing was written then.
    fn restore(&self, records: &Restored, durability: Durability) -> Result<(), CommitError> {
        let (_, _) = (records, durability);
        Err(CommitError::Failed(cannot("take records as another had them")))
    }

    /// Gives back to the disk what room it can. Nothing of what it holds changes. Readings and
    /// commits wait.
    ///
    /// # Errors
    ///
    /// `StoreCannot` if it is not among its abilities; as [`load`](Store::load) otherwise.
    fn compact(&self) -> Result<()> {
        Err(cannot("give room back to the disk"))
    }

    /// A folder of the store's own in which the engine may keep a file beside the store's: the image of
    /// its table, which it can do without. None unless a store says otherwise.
    fn folder(&self) -> Option<&Path> {
        None
    }
}

fn cannot(what: &str) -> Error {
    Error::new(ErrorKind::StoreCannot, format!("this kind of store cannot {what}"))
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

    fn keeps_records(&self) -> bool {
        (**self).keeps_records()
    }

    fn abilities(&self) -> Abilities {
        (**self).abilities()
    }

    fn scan(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        (**self).scan(visit)
    }

    fn restore(&self, records: &Restored, durability: Durability) -> Result<(), CommitError> {
        (**self).restore(records, durability)
    }

    fn compact(&self) -> Result<()> {
        (**self).compact()
    }

    fn folder(&self) -> Option<&Path> {
        (**self).folder()
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

    fn keeps_records(&self) -> bool {
        (**self).keeps_records()
    }

    fn abilities(&self) -> Abilities {
        (**self).abilities()
    }

    fn scan(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        (**self).scan(visit)
    }

    fn restore(&self, records: &Restored, durability: Durability) -> Result<(), CommitError> {
        (**self).restore(records, durability)
    }

    fn compact(&self) -> Result<()> {
        (**self).compact()
    }

    fn folder(&self) -> Option<&Path> {
        (**self).folder()
    }
}
