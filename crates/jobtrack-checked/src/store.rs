//! The store above an engine.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use jobtrack::store::{
    Abilities, Batch, CommitError, Durability, Folder, Inspect, Record, Remains, Restored, Space,
    Store, Visit, check_number,
};
use jobtrack::{Error, ErrorKind, Result};
use parking_lot::Mutex;

use crate::evidence::Evidence;
use crate::label::Label;
use crate::record::{SEAL_KEY, Seal, decode, encode, record_key, split_key};
use crate::salvage::salvage;
use crate::{Engine, Place};

/// After how many synced commits the label is written again. It costs two syncs, and bounds how many
/// commits damage to the end of the engine's files could take without leaving a trace.
const COMMITS_PER_LABEL: u64 = 1024;

/// What the engine's length fields hold, less what stands around a value.
const LONGEST_VALUE: usize = (u32::MAX - 16) as usize;

/// A [`Store`] in a folder of its own, on an [`Engine`] whose word alone is not taken.
///
/// An error of the engine while it writes leaves the outcome unknown, and the store takes and shows
/// nothing more until it is opened again. So does a full disk: unlike redb, these engines offer no
/// way to prove what was written without opening their files anew.
pub struct CheckedStore<E: Engine> {
    // In this order, since fields are dropped in it: the folder is let go when the files are closed.
    engine: E,
    writer: Mutex<Writer>,
    /// Whether an outcome is unknown, so that nothing more is taken or shown.
    is_unsettled: AtomicBool,
    place: Place,
    folder: Folder,
}

/// What the one writer knows of the commits before its own.
struct Writer {
    /// The last commit, and what the store has held since.
    seal: Seal,
    /// The last commit that is known to be synced.
    synced: u64,
    /// The commit of the label.
    label: u64,
}

impl<E: Engine> CheckedStore<E> {
    /// Opens the store in this folder, with the default options; makes it if it is absent.
    ///
    /// # Errors
    ///
    /// `StoreHeld` if it is open already, in whichever process; `StoreForeign` if the folder is not
    /// a jobtrack store of this engine; `StoreTooNew` if a newer jobtrack or engine wrote it;
    /// `StoreDamaged` if it does not hold what it once held; `StoreReadOnly`, `StoreFull` and
    /// `StoreFailed` for what the operating system refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &E::Options::default())
    }

    /// Opens the store in this folder; makes it if it is absent.
    ///
    /// # Errors
    ///
    /// As [`open`](CheckedStore::open).
    pub fn open_with(path: impl AsRef<Path>, options: &E::Options) -> Result<Self> {
        let clock = E::clock(options);
        let folder = Folder::open(path, E::LABEL, clock)?;
        if folder.is_new() {
            Label { store: clock.new_id(), floor: None }.write(&folder, E::NAME)?;
        }
        let label = Label::read(&folder, E::NAME)?;
        let mut place = Place {
            path: folder.path().join(E::NAME),
            store: label.store,
            is_new: label.floor.is_none(),
            floor: label.floor.unwrap_or(0),
        };
        let (engine, seal) = match label.floor {
            None => Self::create(&folder, &place, options)?,
            Some(floor) => Self::recover(&folder, &mut place, floor, options)?,
        };
        let writer = Writer { seal, synced: place.floor, label: place.floor };
        Ok(CheckedStore {
            engine,
            writer: Mutex::new(writer),
            is_unsettled: AtomicBool::new(false),
            place,
            folder,
        })
    }

    /// Reads what is left of a damaged store in this folder: every record that matches its checksum.
    /// Nothing is written there, but a copy of the engine's files in the folder `scratch`, which is
    /// the caller's to remove. [`rebuild`](jobtrack::store::rebuild) makes a store of it.
    ///
    /// # Errors
    ///
    /// `StoreHeld` if it is open; `StoreForeign` if it is of another kind; `StoreDamaged` if the
    /// engine reads nothing of it; what the operating system refuses.
    pub fn salvage(path: impl AsRef<Path>, scratch: impl AsRef<Path>) -> Result<Remains> {
        salvage::<E>(path.as_ref(), scratch.as_ref())
    }

    /// Makes the engine's files. What a crash left of an earlier attempt goes first: the label says
    /// that nothing was ever stored in it.
    fn create(folder: &Folder, place: &Place, options: &E::Options) -> Result<(E, Seal)> {
        match fs::remove_dir_all(&place.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Folder::refusal("remove", &place.path, error));
            }
            _ => {}
        }
        fs::create_dir(&place.path)
            .map_err(|error| Folder::refusal("make the folder", &place.path, error))?;
        let seal = Seal { store: place.store, commit: 0, synced: 0, records: 0, sum: 0 };
        let engine = guarded(place, || {
            let engine = E::open(place, options)?;
            engine.write(vec![(SEAL_KEY.to_vec(), Some(seal.to_bytes()))], true)?;
            Ok(engine)
        })?;
        // Engines sync their files, and not every name that leads to them. After a power cut the
        // label would speak of a store that is not there.
        sync_tree(&place.path).map_err(|error| place.refusal("sync", &place.path, error))?;
        folder.sync()?;
        Label { store: place.store, floor: Some(0) }.write(folder, E::NAME)?;
        Ok((engine, seal))
    }

    /// Opens the engine, and refuses it if it no longer holds what it is known to have held.
    fn recover(
        folder: &Folder,
        place: &mut Place,
        label: u64,
        options: &E::Options,
    ) -> Result<(E, Seal)> {
        if folder.is_doubted() {
            Folder::write_again(&place.path)
                .map_err(|error| place.refusal("write", &place.path, error))?;
            folder.trust()?;
        }
        let evidence = Evidence::search(&place.path, place.store)
            .map_err(|error| place.refusal("read", &place.path, error))?
            .filter(|evidence| evidence.synced > label);
        if let Some(evidence) = &evidence {
            place.floor = evidence.synced;
            // Before the engine may remove the evidence: the next opening must know it, too.
            Label { store: place.store, floor: Some(place.floor) }.write(folder, E::NAME)?;
        }
        let engine = guarded(place, || E::open(place, options)).inspect_err(|error| {
            // Opening syncs as well.
            if matches!(error.kind(), ErrorKind::StoreFailed | ErrorKind::StoreFull) {
                folder.doubt();
            }
        })?;
        let seal = match guarded(place, || engine.get(SEAL_KEY))? {
            None => return Err(place.damaged("it has no seal, which every commit writes")),
            Some(bytes) => Seal::from_bytes(&bytes)
                .ok_or_else(|| place.damaged("its seal does not match its checksum"))?,
        };
        if seal.store != place.store {
            let why = format!("it is a part of store {}, not of {}", seal.store, place.store);
            return Err(place.damaged(why));
        }
        if seal.commit < place.floor {
            let witness = match evidence {
                Some(found) => {
                    format!("the seal at byte {} of {}", found.offset, found.file.display())
                }
                None => folder.data_path().display().to_string(),
            };
            return Err(place.damaged(format!(
                "commit {} was stored, as {witness} shows, but all after commit {} are gone",
                place.floor, seal.commit
            )));
        }
        Ok((engine, seal))
    }

    /// The engine beneath.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// The folder in which the engine keeps its files.
    pub fn place(&self) -> &Place {
        &self.place
    }

    fn refuse_if_unsettled(&self) -> Result<()> {
        if self.is_unsettled.load(Ordering::Acquire) {
            let message = "the store was closed by an error; open it again";
            return Err(Error::new(ErrorKind::StoreFailed, message));
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Record, u64)>> {
        match guarded(&self.place, || self.engine.get(key))? {
            None => Ok(None),
            Some(bytes) => decode(key, &bytes).map(Some).ok_or_else(|| self.unreadable(key)),
        }
    }

    fn unreadable(&self, key: &[u8]) -> Error {
        let what = match split_key(key) {
            Some((space, key)) => format!("the record {} of space {}", hex(key), space.name()),
            None => format!("the record {}", hex(key)),
        };
        self.place.damaged(format!("{what} does not match its checksum"))
    }

    /// What a batch comes to: the pairs to write, its seal among them.
    fn plan(&self, last: &Seal, synced: u64, batch: &Batch) -> Result<Plan, CommitError> {
        for expectation in &batch.expectations {
            let key = record_key(expectation.space, &expectation.key);
            let found = self.get(&key).map_err(CommitError::Failed)?;
            if found.map(|(record, _)| record.revision) != expectation.revision {
                return Err(CommitError::Conflict(expectation.clone()));
            }
        }
        let seal = Seal { commit: last.commit + 1, synced, ..*last };
        // A map, so that a key that is written twice, against the contract, is counted once.
        let writes = batch.writes.iter().map(|write| {
            let value = write.value.as_deref().map(|value| (seal.commit, value));
            (record_key(write.space, &write.key), value)
        });
        self.seal(seal, writes.collect())
    }

    /// Brings the count and the sum of a seal up to what is written: under each key a revision and
    /// a value, or nothing any more.
    fn seal(
        &self,
        mut seal: Seal,
        writes: BTreeMap<Vec<u8>, Option<(u64, &[u8])>>,
    ) -> Result<Plan, CommitError> {
        if writes.values().flatten().any(|(_, value)| value.len() > LONGEST_VALUE) {
            return Err(CommitError::Failed(Error::new(
                ErrorKind::LimitExceeded,
                format!("a record may have {LONGEST_VALUE} bytes at most"),
            )));
        }
        let mut written = Vec::with_capacity(writes.len() + 1);
        for (key, value) in writes {
            if let Some((_, check)) = self.get(&key).map_err(CommitError::Failed)? {
                seal.records = seal.records.wrapping_sub(1);
                seal.sum = seal.sum.wrapping_sub(check);
            } else if value.is_none() {
                continue;
            }
            let value = value.map(|(revision, value)| {
                let (bytes, check) = encode(&key, revision, value);
                seal.records = seal.records.wrapping_add(1);
                seal.sum = seal.sum.wrapping_add(check);
                bytes
            });
            written.push((key, value));
        }
        written.push((SEAL_KEY.to_vec(), Some(seal.to_bytes())));
        Ok(Plan { seal, pairs: written })
    }

    /// Writes the label again if it is too old. That it fails changes nothing of the commit, which
    /// is stored; the next one will tell what is wrong with the disk.
    fn renew_label(&self, writer: &mut Writer, commits: u64) {
        let is_due = writer.synced.saturating_sub(writer.label) >= commits;
        let label = Label { store: self.place.store, floor: Some(writer.synced) };
        if is_due && label.write(&self.folder, E::NAME).is_ok() {
            writer.label = writer.synced;
        }
    }
}

struct Plan {
    seal: Seal,
    pairs: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl<E: Engine> Store for CheckedStore<E> {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.walk(&mut |space, key, record| {
            let record = record?;
            if space.is_loaded() { visit(space, key, record) } else { Ok(()) }
        })
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.refuse_if_unsettled()?;
        Ok(self.get(&record_key(space, key))?.map(|(record, _)| record))
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        self.write(durability, |writer| self.plan(&writer.seal, writer.synced, batch))
    }

    fn abilities(&self) -> Abilities {
        Abilities { scan: true, restore: true, ..E::ABILITIES }
    }

    fn scan(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        // Collected first, since an engine may let commits wait while it is walked through, and
        // who visits may take long.
        let mut all = Vec::new();
        let walked = self.walk(&mut |space, key, record| {
            all.push((space, key.to_vec(), record));
            Ok(())
        });
        for (space, key, record) in all {
            visit(space, &key, record)?;
        }
        walked
    }

    fn restore(&self, restored: &Restored, durability: Durability) -> Result<(), CommitError> {
        self.write(durability, |writer| {
            check_number(writer.seal.commit, restored.number).map_err(CommitError::Failed)?;
            let seal = Seal { commit: restored.number, synced: writer.synced, ..writer.seal };
            let writes = restored.records.iter().map(|(space, key, record)| {
                (record_key(*space, key), Some((record.revision, record.value.as_slice())))
            });
            self.seal(seal, writes.collect())
        })
        .map(drop)
    }

    fn compact(&self) -> Result<()> {
        if !E::ABILITIES.compact {
            let message = format!("a store in {} cannot give room back to the disk", E::NAME);
            return Err(Error::new(ErrorKind::StoreCannot, message));
        }
        let _alone = self.writer.lock();
        self.refuse_if_unsettled()?;
        guarded(&self.place, || self.engine.compact())
    }
}

impl<E: Engine> CheckedStore<E> {
    /// Visits every record, and compares what is there with the seal.
    fn walk(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        self.refuse_if_unsettled()?;
        let (mut records, mut sum) = (0u64, 0u64);
        let mut seal = None;
        // Told of by itself; the sum cannot come out then.
        let mut has_unreadable = false;
        let is_in_visit = Cell::new(false);
        let outcome = caught(&self.place, || {
            self.engine.scan(false, &mut |key, bytes| {
                if key == SEAL_KEY {
                    seal = Seal::from_bytes(bytes);
                    return Ok(());
                }
                let (space, own_key) = split_key(key).ok_or_else(|| self.unreadable(key))?;
                let record = match decode(key, bytes) {
                    Some((record, check)) => {
                        sum = sum.wrapping_add(check);
                        Ok(record)
                    }
                    None => {
                        has_unreadable = true;
                        Err(self.unreadable(key))
                    }
                };
                records += 1;
                is_in_visit.set(true);
                let outcome = visit(space, own_key, record);
                is_in_visit.set(false);
                outcome
            })
        });
        outcome.unwrap_or_else(|(panic, error)| {
            // What the engine does not do is its caller's own, and goes on to it.
            if is_in_visit.get() { resume_unwind(panic) } else { Err(error) }
        })?;
        let seal = seal.ok_or_else(|| self.place.damaged("its seal is gone, or is damaged"))?;
        if records != seal.records || sum != seal.sum && !has_unreadable {
            return Err(self.place.damaged(format!(
                "commit {} left {} records; {records} are there, and {}",
                seal.commit,
                seal.records,
                if records == seal.records {
                    "among them some that it had replaced"
                } else {
                    "not the same ones"
                }
            )));
        }
        Ok(seal.commit)
    }

    /// Makes one commit, unless the outcome of an earlier one is unknown.
    fn write(
        &self,
        durability: Durability,
        plan: impl FnOnce(&Writer) -> Result<Plan, CommitError>,
    ) -> Result<u64, CommitError> {
        let mut writer = self.writer.lock();
        if self.is_unsettled.load(Ordering::Acquire) {
            return Err(CommitError::Unknown(Error::new(
                ErrorKind::Unsettled,
                "the outcome of an earlier commit is unknown; open the store again",
            )));
        }
        let plan = plan(&writer)?;
        let is_synced = durability == Durability::Synced;
        if let Err(error) = guarded(&self.place, || self.engine.write(plan.pairs, is_synced)) {
            self.is_unsettled.store(true, Ordering::Release);
            // It may have been a sync.
            self.folder.doubt();
            let message = format!("{error}; whether the change was stored is not known");
            let unknown = Error::new(ErrorKind::OutcomeUnknown, message).with_source(error);
            return Err(CommitError::Unknown(unknown));
        }
        writer.seal = plan.seal;
        if is_synced {
            writer.synced = plan.seal.commit;
            self.renew_label(&mut writer, COMMITS_PER_LABEL);
        }
        Ok(plan.seal.commit)
    }
}

impl<E: Engine> Drop for CheckedStore<E> {
    /// Makes deferred commits durable and says in the label which commit is the last. What fails
    /// here is found at the next opening.
    fn drop(&mut self) {
        let mut writer = self.writer.lock();
        if self.is_unsettled.load(Ordering::Acquire) {
            return;
        }
        if writer.synced < writer.seal.commit {
            if guarded(&self.place, || self.engine.sync()).is_err() {
                return self.folder.doubt();
            }
            writer.synced = writer.seal.commit;
        }
        self.renew_label(&mut writer, 1);
    }
}

impl<E: Engine> fmt::Debug for CheckedStore<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedStore").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Runs the engine's code; a panic of it becomes an error.
pub(crate) fn guarded<T>(place: &Place, run: impl FnOnce() -> Result<T>) -> Result<T> {
    caught(place, run).unwrap_or_else(|(_, error)| Err(error))
}

/// As [`guarded`], with the panic itself.
///
/// Engines panic on damaged files. What they leave behind is not used again: after a failed opening
/// there is no store, a failed writing unsettles it, and readings change nothing.
fn caught<T>(
    place: &Place,
    run: impl FnOnce() -> Result<T>,
) -> Result<Result<T>, (Box<dyn Any + Send>, Error)> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        let error = place.damaged(format!("its library gave up: {text}"));
        (panic, error)
    })
}

/// Makes every file under the folder durable, and every name.
fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            // For writing, since Windows syncs nothing else.
            OpenOptions::new().write(true).open(&path)?.sync_all()?;
        }
    }
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file, and its names are the file system's affair.
#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}
