//! What a history is played on: a store that can be opened again, and what a crash leaves of it.

// Test code that is not compiled as a test: to fail is how it speaks.
#![allow(clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobtrack::store::{Abilities, Batch, CommitError, Inspect, Record, Space, Visit};
use jobtrack::{Durability, Result, Store};
use tempfile::TempDir;

use crate::CrashStore;

/// What the store of a history stands on: stores of one kind, one after another, each opened on what
/// the one before it has left.
pub trait Machine {
    /// Opens the store that is there. The one before it is let go by now, unless it was left behind
    /// by a crash.
    ///
    /// # Errors
    ///
    /// Those of the store, which only a loss of power excuses.
    fn open(&mut self) -> Result<Box<dyn Store>>;

    /// Plans a loss of power for some moment of the next step, if it comes to that; `choice` is any
    /// number. Machines whose power goes between steps alone leave it out.
    fn threaten(&mut self, choice: u8) {
        let _ = choice;
    }

    /// The step is over. Tells whether the power went, and takes the threat back.
    fn has_lost_power(&mut self) -> bool {
        false
    }

    /// Cuts the power, if it is not gone yet, and makes the machine anew of what that has left. The
    /// store that was open is still there, and whatever it does concerns nobody any more.
    fn crash(&mut self, choice: u8);
}

/// A machine whose store is a [`CrashStore`]: its crashes keep what is synced and as many deferred
/// commits as they are told. At every second opening it has a folder, so that trackers leave an image
/// there which sometimes is of just this commit, and sometimes of an earlier one.
#[derive(Debug, Default)]
pub struct CrashMachine {
    store: Arc<CrashStore>,
    folder: Option<Arc<TempDir>>,
    openings: usize,
}

impl Machine for CrashMachine {
    fn open(&mut self) -> Result<Box<dyn Store>> {
        self.openings += 1;
        let store = Arc::clone(&self.store);
        // Two openings with it, and two without: so a tracker that finds an image is followed by one
        // that finds its records.
        if self.openings / 2 % 2 == 1 {
            return Ok(Box::new(store));
        }
        let folder = Arc::clone(self.folder.get_or_insert_with(|| Arc::new(new_folder())));
        Ok(Box::new(Beside { store, folder }))
    }

    fn crash(&mut self, choice: u8) {
        self.store = Arc::new(self.store.crash(usize::from(choice / 2 % 8)));
    }
}

/// A store in memory that has a folder all the same.
struct Beside {
    store: Arc<CrashStore>,
    folder: Arc<TempDir>,
}

impl Store for Beside {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.store.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.store.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        self.store.commit(batch, durability)
    }

    fn abilities(&self) -> Abilities {
        self.store.abilities()
    }

    fn scan(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        self.store.scan(visit)
    }

    fn folder(&self) -> Option<&Path> {
        Some(self.folder.path())
    }
}

/// In a folder of its own. A crash leaves what the files hold at that moment, as `kill -9` does.
///
/// ```
/// use jobtrack::{MemoryStore, Store};
/// use jobtrack_testkit::{FolderMachine, Machine, history};
///
/// // Of some store in a folder, its `open`; this one forgets, which no history with a restart
/// // would let pass.
/// let mut machine = FolderMachine::new(|_| Ok(Box::new(MemoryStore::new())));
/// history::play_on(&mut machine, &[2, 0, 0, 0, 19, 0, 0, 0]);
/// ```
pub struct FolderMachine<O> {
    open: O,
    /// Kept until the end, since whoever holds a store that crashed may still write to its folder.
    folders: Vec<TempDir>,
}

impl<O: Fn(&Path) -> Result<Box<dyn Store>>> FolderMachine<O> {
    /// A folder that does not exist yet, in memory where the system has a place for that.
    pub fn new(open: O) -> Self {
        FolderMachine { open, folders: vec![new_folder()] }
    }

    fn path(&self) -> PathBuf {
        self.folders.last().expect("there is one from the beginning").path().join("data")
    }
}

impl<O: Fn(&Path) -> Result<Box<dyn Store>>> Machine for FolderMachine<O> {
    fn open(&mut self) -> Result<Box<dyn Store>> {
        (self.open)(&self.path())
    }

    fn crash(&mut self, _choice: u8) {
        let mut image = Image::take(&self.path());
        // Taken when the engine's own threads have come to rest.
        loop {
            let next = Image::take(&self.path());
            if next == image {
                break;
            }
            image = next;
        }
        self.folders.push(new_folder());
        image.put(&self.path());
    }
}

/// Files in memory cost no wear and no time; what a disk would lose is not asked here.
fn new_folder() -> TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory.or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// All that stands in a folder; None for folders in it.
#[derive(PartialEq)]
struct Image(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Image {
    fn take(folder: &Path) -> Image {
        let mut files = BTreeMap::new();
        let mut left = vec![PathBuf::new()];
        while let Some(under) = left.pop() {
            for entry in fs::read_dir(folder.join(&under)).expect("the folder") {
                let path = under.join(entry.expect("the entry").file_name());
                if folder.join(&path).is_dir() {
                    left.push(path.clone());
                    files.insert(path, None);
                } else if let Ok(bytes) = fs::read(folder.join(&path)) {
                    // Else removed meanwhile by the engine: then the next image tells.
                    files.insert(path, Some(bytes));
                }
            }
        }
        Image(files)
    }

    fn put(&self, folder: &Path) {
        fs::create_dir(folder).expect("the folder");
        // In order of path, so that each folder comes before what is in it.
        for (path, bytes) in &self.0 {
            match bytes {
                None => fs::create_dir(folder.join(path)).expect("the folder"),
                Some(bytes) => fs::write(folder.join(path), bytes).expect("the file"),
            }
        }
    }
}
