//! jobtrack's durable default: a store of one folder, which holds one [redb] file.
//!
//! ```
//! use jobtrack::store::{Batch, Durability, Space, Store, Write};
//! use jobtrack_redb::RedbStore;
//!
//! # let parent = tempfile::tempdir().unwrap();
//! # let path = parent.path().join("jobtrack-data");
//! let store = RedbStore::open(&path)?;
//! let batch = Batch {
//!     id: uuid::Uuid::nil(),
//!     expectations: Vec::new(),
//!     writes: vec![Write { space: Space::Meta, key: b"k".into(), value: Some(b"v".to_vec()) }],
//! };
//! assert_eq!(store.commit(&batch, Durability::Synced).unwrap(), 1);
//! drop(store);
//!
//! let store = RedbStore::open(&path)?;
//! assert_eq!(store.read(Space::Meta, b"k")?.unwrap().value, b"v");
//! # Ok::<(), jobtrack::Error>(())
//! ```
//!
//! What stands on disk is told by `docs/storage-format.md`. The file is checked whole whenever it is
//! opened (redb keeps a checksum of every page), so damage is reported at the door and never read
//! as data. The room that removed records leave is used again; [`Store::compact`] gives it back.
//!
//! [redb]: https://docs.rs/redb

/// The program of the README, which needs this store, compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

mod backend;
#[cfg(test)]
mod faults;
mod file;
mod refusal;
mod salvage;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jobtrack::store::{
    Abilities, Batch, CommitError, Durability, Folder, Inspect, Record, Remains, Restored, Space,
    Store, Visit,
};
use jobtrack::{Clock, Error, ErrorKind, Result, SystemClock};
use parking_lot::{Mutex, RwLock};
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend};

use crate::backend::Seam;
use crate::file::{Setback, decode, space_table};
use crate::refusal::refusal;

/// The data file within the folder.
const DATA_FILE: &str = "jobs.redb";

/// How a [`RedbStore`] is opened.
#[derive(Clone)]
pub struct Options {
    /// How much memory redb may use for pages of the file; 32 MiB unless told otherwise.
    ///
    /// redb's own default is 1 GiB. jobtrack keeps all jobs in memory and asks the store for
    /// payloads, results and logs only, so what is left to cache is the upper pages of the trees
    /// and what one commit writes.
    pub cache_bytes: usize,
    /// Where the time comes from that the lock file shows; the machine's clock unless told
    /// otherwise.
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
/// - **Synced** commits end with a sync of the file. **Deferred** ones stay in memory until the
///   next synced one or until the store is dropped; if the process dies before, they are gone.
/// - After an input or output error redb takes nothing more until its file is opened again. The
///   store does that by itself if it can prove that nothing was lost, so a disk that was full and
///   has room again needs no restart. Otherwise (after a failed sync, or with deferred commits
///   outstanding) the outcome is unknown: every later commit is answered so, and every reading
///   fails, until the store is opened anew.
pub struct RedbStore {
    /// Closed before the folder is let go.
    database: RwLock<Option<Database>>,
    writer: Mutex<Writer>,
    seam: Seam,
    cache_bytes: usize,
    folder: Folder,
}

/// What the one writer knows of the commits before its own.
struct Writer {
    /// The number of the last commit.
    last: u64,
    /// Whether there are commits that only a later sync will make durable.
    has_deferred: bool,
    /// Whether an outcome is unknown, so that nothing more is taken.
    is_unsettled: bool,
}

impl RedbStore {
    /// Opens the store in this folder, with the default [`Options`]; makes it if it is absent.
    ///
    /// # Errors
    ///
    /// `StoreHeld` if it is open already, in whichever process; `StoreForeign` if the folder or the
    /// file is not a jobtrack store; `StoreTooNew` if a newer jobtrack or redb wrote it;
    /// `StoreDamaged` if the file is not as it was written; `StoreReadOnly`, `StoreFull` and
    /// `StoreFailed` for what the operating system refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<RedbStore> {
        Self::open_with(path, &Options::default())
    }

    /// Opens the store in this folder; makes it if it is absent.
    ///
    /// # Errors
    ///
    /// As [`open`](RedbStore::open).
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<RedbStore> {
        Self::open_through(path.as_ref(), options, Seam::default())
    }

    /// Opens the store with something between redb and its file: a disk that fails, or is none.
    ///
    /// For jobtrack's own tests. It is hidden since redb's types are no part of what this crate
    /// promises.
    #[doc(hidden)]
    pub fn open_wrapped(
        path: impl AsRef<Path>,
        options: &Options,
        wrap: impl Fn(FileBackend) -> Box<dyn StorageBackend> + Send + Sync + 'static,
    ) -> Result<RedbStore> {
        Self::open_through(path.as_ref(), options, Seam::around(wrap))
    }

    fn open_through(path: &Path, options: &Options, seam: Seam) -> Result<RedbStore> {
        let folder = Folder::open(path, DATA_FILE, &*options.clock)?;
        if folder.is_new() {
            file::create(&folder, &seam)?;
        }
        let opened = file::open(&folder, &seam, options.cache_bytes);
        if opened.is_err() && seam.has_failed_sync() {
            folder.doubt();
        }
        let (database, last) = opened?;
        Ok(RedbStore {
            database: RwLock::new(Some(database)),
            writer: Mutex::new(Writer { last, has_deferred: false, is_unsettled: false }),
            seam,
            cache_bytes: options.cache_bytes,
            folder,
        })
    }

    /// Reads what is left of a damaged store in this folder: every record on a page that matches its
    /// checksum. Nothing is written there. [`rebuild`](jobtrack::store::rebuild) makes a store of it.
    ///
    /// # Errors
    ///
    /// `StoreHeld` if it is open; `StoreDamaged` if not even the beginning can be read; what the
    /// operating system refuses.
    pub fn salvage(path: impl AsRef<Path>) -> Result<Remains> {
        salvage::salvage(path.as_ref())
    }

    /// Reads from one snapshot of the file.
    fn reading<T>(&self, read: impl FnOnce(&redb::ReadTransaction) -> Result<T>) -> Result<T> {
        let database = self.database.read();
        let database = database.as_ref().ok_or_else(closed)?;
        read(&database.begin_read().map_err(|error| self.failed("read", error))?)
    }

    /// Visits every record of these spaces.
    fn visit<'a>(
        &self,
        snapshot: &redb::ReadTransaction,
        spaces: impl IntoIterator<Item = &'a Space>,
        visit: &mut Inspect<'_>,
    ) -> Result<()> {
        for &space in spaces {
            let table = snapshot
                .open_table(space_table(space))
                .map_err(|error| self.failed("read", error))?;
            for entry in table.iter().map_err(|error| self.failed("read", error))? {
                let (key, value) = entry.map_err(|error| self.failed("read", error))?;
                let record = decode(&self.folder, space, key.value(), value.value());
                visit(space, key.value(), record)?;
            }
        }
        Ok(())
    }

    fn failed(&self, doing: &str, error: impl Into<redb::Error>) -> Error {
        refusal(&self.folder, doing, error.into())
    }

    /// Tells whoever opens the store next that what it reads may not be on the disk.
    fn note_failed_sync(&self) {
        if self.seam.has_failed_sync() {
            self.folder.doubt();
        }
    }

    /// Finds out what an error that stopped a commit has left, and opens the file again if nothing
    /// was lost. redb refuses everything after such an error, so without this a disk that is full
    /// for a moment would cost a restart.
    fn settle(&self, writer: &mut Writer, error: Error) -> CommitError {
        // Closed first, by dropping it, so that nothing writes to the file any more.
        let mut database = self.database.write();
        *database = None;
        // What a failed sync has left behind cannot be found out by reading: the system may show
        // from its memory what the disk does not hold. And deferred commits were in memory only.
        let is_provable = !self.seam.has_failed_sync() && !writer.has_deferred;
        if is_provable
            && let Ok((reopened, last)) = file::open(&self.folder, &self.seam, self.cache_bytes)
            && last == writer.last
        {
            *database = Some(reopened);
            return CommitError::Failed(error);
        }
        writer.is_unsettled = true;
        self.note_failed_sync();
        let message = format!("{error}; whether the change was stored is not known");
        CommitError::Unknown(Error::new(ErrorKind::OutcomeUnknown, message).with_source(error))
    }
}

impl Store for RedbStore {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.reading(|snapshot| {
            let loaded = Space::ALL.iter().filter(|space| space.is_loaded());
            self.visit(snapshot, loaded, &mut |space, key, record| visit(space, key, record?))?;
            file::last_commit(&self.folder, snapshot)
        })
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.reading(|snapshot| {
            let table = snapshot
                .open_table(space_table(space))
                .map_err(|error| self.failed("read", error))?;
            match table.get(key).map_err(|error| self.failed("read", error))? {
                None => Ok(None),
                Some(value) => decode(&self.folder, space, key, value.value()).map(Some),
            }
        })
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        self.writing(durability, |database| file::commit(&self.folder, database, batch, durability))
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            scan: true,
            restore: true,
            compact: true,
            outlasts_a_full_disk: true,
            // A removal writes pages, too. As a rule some are free within the file, but not by promise.
            removes_on_a_full_disk: false,
        }
    }

    fn scan(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        self.reading(|snapshot| {
            self.visit(snapshot, Space::ALL, visit)?;
            file::last_commit(&self.folder, snapshot)
        })
    }

    fn restore(&self, restored: &Restored, durability: Durability) -> Result<(), CommitError> {
        self.writing(durability, |database| {
            file::restore(&self.folder, database, restored, durability)
        })
        .map(drop)
    }

    fn folder(&self) -> Option<&Path> {
        Some(self.folder.path())
    }

    fn compact(&self) -> Result<()> {
        let mut writer = self.writer.lock();
        let outcome = match &mut *self.database.write() {
            Some(database) => database.compact(),
            None => return Err(closed()),
        };
        match outcome {
            Ok(_) => {
                // It commits, and syncs, whether or not there was room to give back.
                writer.has_deferred = false;
                Ok(())
            }
            Err(error) => match self.settle(&mut writer, self.failed("compact", error)) {
                CommitError::Failed(error) | CommitError::Unknown(error) => Err(error),
                conflict @ CommitError::Conflict(_) => {
                    Err(Error::new(ErrorKind::Conflict, conflict.to_string()))
                }
            },
        }
    }
}

impl RedbStore {
    /// Makes one commit, unless the outcome of an earlier one is unknown.
    fn writing(
        &self,
        durability: Durability,
        write: impl FnOnce(&Database) -> Result<u64, Setback>,
    ) -> Result<u64, CommitError> {
        let mut writer = self.writer.lock();
        let unsettled = || {
            CommitError::Unknown(Error::new(
                ErrorKind::Unsettled,
                "the outcome of an earlier commit is unknown; open the store again",
            ))
        };
        if writer.is_unsettled {
            return Err(unsettled());
        }
        let outcome = match &*self.database.read() {
            Some(database) => write(database),
            // Closed only when unsettled.
            None => return Err(unsettled()),
        };
        match outcome {
            Ok(revision) => {
                writer.last = revision;
                writer.has_deferred = durability == Durability::Deferred;
                Ok(revision)
            }
            Err(Setback::Conflict(expectation)) => Err(CommitError::Conflict(expectation)),
            Err(Setback::Refused(error)) => Err(CommitError::Failed(error)),
            Err(Setback::Broken(error)) => Err(self.settle(&mut writer, error)),
        }
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // Closing syncs as well.
        *self.database.get_mut() = None;
        self.note_failed_sync();
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::StoreFailed, "the store was closed by an error; open it again")
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("folder", &self.folder.path()).finish_non_exhaustive()
    }
}
