//! sled as an [`Engine`]: its default tree, one batch for each commit, and a sync that is one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use jobtrack::store::Abilities;
use jobtrack::{Clock, Error, ErrorKind, Result};
use jobtrack_checked::{Engine, Place, VisitPair};
use parking_lot::{Mutex, RwLock};
use sled::{Batch, Config, Db};

use crate::Options;

/// An open database, which is of use to [`CheckedStore`](jobtrack_checked::CheckedStore) alone.
pub struct Sled {
    /// Held for writing until a batch is stored: sled itself shows it from the moment it begins.
    state: RwLock<State>,
    synced: Mutex<Synced>,
    place: Place,
}

struct State {
    /// Taken only when it is dropped.
    database: Option<Db>,
    /// Whether a writing has failed, so that what sled shows may not be stored.
    is_broken: bool,
}

/// What of sled's files is known to be on the disk.
struct Synced {
    /// sled's log, of which a sync through any handle is a sync.
    log: File,
    /// The files of `blobs/`, which are written once.
    blobs: BTreeSet<OsString>,
}

impl Engine for Sled {
    type Options = Options;

    const NAME: &'static str = "sled";
    const LABEL: &'static str = "jobs.sled";
    const ABILITIES: Abilities = Abilities {
        compact: false,
        scan: true,
        restore: true,
        outlasts_a_full_disk: false,
        removes_on_a_full_disk: false,
    };

    fn clock(options: &Options) -> &dyn Clock {
        &*options.clock
    }

    fn open(place: &Place, options: &Options) -> Result<Sled> {
        remove_half_written(place)?;
        let log_path = place.path.join("db");
        if !place.is_new && !log_path.exists() {
            return Err(place.damaged("its file db is missing"));
        }
        let database =
            open_database(place, options).map_err(|error| refusal(place, "open", error))?;
        let log = OpenOptions::new()
            .write(true)
            .open(&log_path)
            .map_err(|error| place.refusal("open", &log_path, error))?;
        let engine = Sled {
            state: RwLock::new(State { database: Some(database), is_broken: false }),
            synced: Mutex::new(Synced { log, blobs: BTreeSet::new() }),
            place: place.clone(),
        };
        // What opening has written: the settings, the first segments, the snapshot.
        for name in ["conf", "db"] {
            sync_file(&place.path.join(name)).map_err(|error| engine.failed(error))?;
        }
        sync_folder(&place.path).map_err(|error| engine.failed(error))?;
        Ok(engine)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let state = self.state.read();
        let found = state.readable(&self.place)?.get(key);
        let found = found.map_err(|error| refusal(&self.place, "read", error))?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn scan(&self, is_backwards: bool, visit: &mut VisitPair<'_>) -> Result<()> {
        let state = self.state.read();
        let mut pairs = state.readable(&self.place)?.iter();
        while let Some(pair) = if is_backwards { pairs.next_back() } else { pairs.next() } {
            let (key, value) = pair.map_err(|error| refusal(&self.place, "read", error))?;
            visit(&key, &value)?;
        }
        Ok(())
    }

    fn write(&self, pairs: Vec<(Vec<u8>, Option<Vec<u8>>)>, is_synced: bool) -> Result<()> {
        let mut batch = Batch::default();
        for (key, value) in pairs {
            match value {
                None => batch.remove(key),
                Some(value) => batch.insert(key, value),
            }
        }
        let mut state = self.state.write();
        // Taken back only by success, so that a panic of sled leaves it set.
        let was_broken = std::mem::replace(&mut state.is_broken, true);
        state
            .database()?
            .apply_batch(batch)
            .map_err(|error| refusal(&self.place, "write", error))?;
        if is_synced {
            self.sync_files(state.database()?)?;
        }
        state.is_broken = was_broken;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.sync_files(self.state.read().database()?)
    }
}

impl Sled {
    /// sled's own flush, and what it leaves out.
    fn sync_files(&self, database: &Db) -> Result<()> {
        let mut synced = self.synced.lock();
        database.flush().map_err(|error| refusal(&self.place, "write", error))?;
        // The blobs first, since the log speaks of them.
        synced.sync_blobs(&self.place.path.join("blobs")).map_err(|error| self.failed(error))?;
        synced.log.sync_data().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        self.place.refusal("sync", &self.place.path, error)
    }
}

impl State {
    fn database(&self) -> Result<&Db> {
        self.database.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::StoreFailed, "the database was let go, as it is being dropped")
        })
    }

    fn readable(&self, place: &Place) -> Result<&Db> {
        if self.is_broken {
            let why = "a writing has failed; open the store again";
            return Err(place.error(ErrorKind::StoreFailed, "cannot be read", why));
        }
        self.database()
    }
}

/// After a failed writing sled may wait for ever for what it can no longer write, when it is dropped.
/// So this is left to a thread of its own, which does not keep the process from ending.
impl Drop for State {
    fn drop(&mut self) {
        let database = self.database.take();
        if self.is_broken {
            // Without a thread to be had, it is not dropped at all.
            let _ = thread::Builder::new().spawn(move || drop(database));
        }
    }
}

impl Synced {
    fn sync_blobs(&mut self, folder: &Path) -> io::Result<()> {
        let mut present = BTreeSet::new();
        let mut is_changed = false;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if !self.blobs.contains(&name) {
                match sync_file(&entry.path()) {
                    // Removed meanwhile by sled's own threads, so no longer needed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    outcome => outcome?,
                }
                is_changed = true;
            }
            present.insert(name);
        }
        if is_changed {
            sync_folder(folder)?;
        }
        self.blobs = present;
        Ok(())
    }
}

/// Opens the database, waiting for whoever had it open before.
///
/// The folder is held, so no other store is at work on it; but sled's threads keep its file and the
/// lock on it for a moment after the database was dropped.
fn open_database(place: &Place, options: &Options) -> sled::Result<Db> {
    const TRIES: u32 = 500;
    const PAUSE: Duration = Duration::from_millis(10);
    let config = Config::new()
        .path(&place.path)
        .cache_capacity(options.cache_bytes)
        // No thread that flushes now and then: the commits say when.
        .flush_every_ms(None);
    for _ in 1..TRIES {
        match config.open() {
            Err(sled::Error::Io(error)) if is_lock(&error) => thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
    config.open()
}

/// sled says in words alone that the lock on its file is taken.
fn is_lock(error: &io::Error) -> bool {
    error.to_string().starts_with("could not acquire lock")
}

/// Removes the temporary snapshots of a crash, which sled would take for whole ones.
fn remove_half_written(place: &Place) -> Result<()> {
    let entries = fs::read_dir(&place.path);
    for entry in entries.map_err(|error| place.refusal("read", &place.path, error))? {
        let path = entry.map_err(|error| place.refusal("read", &place.path, error))?.path();
        if path.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(&path).map_err(|error| place.refusal("remove", &path, error))?;
        }
    }
    Ok(())
}

/// sled's errors in jobtrack's words.
fn refusal(place: &Place, doing: &str, error: sled::Error) -> Error {
    match error {
        sled::Error::Io(error) if is_lock(&error) => {
            place.error(ErrorKind::StoreHeld, "is held by another program", error)
        }
        sled::Error::Io(error) => place.refusal(doing, &place.path, error),
        sled::Error::Unsupported(_) => {
            place.error(ErrorKind::StoreTooNew, "is of another sled", &error).with_source(error)
        }
        sled::Error::Corruption { at, .. } => {
            let place_in_file =
                at.map_or_else(|| "sled does not say where".to_owned(), |at| format!("at {at:?}"));
            let why = format!("what is there does not match sled's checksums, {place_in_file}");
            place.damaged(why).with_source(error)
        }
        error => place.damaged(&error).with_source(error),
    }
}

fn sync_file(path: &Path) -> io::Result<()> {
    // For writing, since Windows syncs nothing else.
    OpenOptions::new().write(true).open(path)?.sync_all()
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
