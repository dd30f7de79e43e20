//! The plainest engine: a map in memory, of which every write writes a file anew. It does what a
//! test tells it, and a test changes the file as a bad disk does.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use jobtrack::store::Abilities;
use jobtrack::{Clock, ErrorKind, Result, SystemClock};
use jobtrack_checked::{CheckedStore, Engine, Place, VisitPair};

/// Every pair of the store.
pub(crate) type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The engine.
pub(crate) struct Shelf {
    pairs: Mutex<Pairs>,
    file: PathBuf,
    /// Whether the next write fails, and whether by panicking.
    pub(crate) fails: AtomicBool,
    /// Whether everything panics.
    pub(crate) panics: AtomicBool,
}

impl Engine for Shelf {
    type Options = SystemClock;

    const NAME: &'static str = "shelf";
    const LABEL: &'static str = "jobs.shelf";
    const ABILITIES: Abilities = Abilities {
        scan: true,
        restore: true,
        compact: false,
        outlasts_a_full_disk: false,
        removes_on_a_full_disk: false,
    };

    fn clock(options: &SystemClock) -> &dyn Clock {
        options
    }

    fn open(place: &Place, _: &SystemClock) -> Result<Shelf> {
        let file = place.path.join("pairs");
        let pairs = if place.is_new { Pairs::new() } else { unpack(&fs::read(&file).unwrap()) };
        let (fails, panics) = Default::default();
        Ok(Shelf { pairs: Mutex::new(pairs), file, fails, panics })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        assert!(!self.panics.load(Ordering::Relaxed), "the shelf fell");
        Ok(self.pairs.lock().unwrap().get(key).cloned())
    }

    fn scan(&self, is_backwards: bool, visit: &mut VisitPair<'_>) -> Result<()> {
        assert!(!self.panics.load(Ordering::Relaxed), "the shelf fell");
        let pairs = self.pairs.lock().unwrap().clone();
        let mut each = |(key, value): (&Vec<u8>, &Vec<u8>)| visit(key, value);
        match is_backwards {
            false => pairs.iter().try_for_each(&mut each),
            true => pairs.iter().rev().try_for_each(&mut each),
        }
    }

    fn write(&self, pairs: Vec<(Vec<u8>, Option<Vec<u8>>)>, _is_synced: bool) -> Result<()> {
        assert!(!self.panics.load(Ordering::Relaxed), "the shelf fell");
        if self.fails.swap(false, Ordering::Relaxed) {
            return Err(jobtrack::Error::new(ErrorKind::StoreFull, "no room on the shelf"));
        }
        let mut all = self.pairs.lock().unwrap();
        for (key, value) in pairs {
            match value {
                None => all.remove(&key),
                Some(value) => all.insert(key, value),
            };
        }
        fs::write(&self.file, pack(&all)).unwrap();
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

/// Opens a store on a shelf.
pub(crate) fn open(folder: &Path) -> Result<CheckedStore<Shelf>> {
    CheckedStore::open(folder)
}

/// Changes what the engine of a closed store holds.
pub(crate) fn tamper(folder: &Path, change: impl FnOnce(&mut Pairs)) {
    let file = folder.join("shelf/pairs");
    let mut pairs = unpack(&fs::read(&file).unwrap());
    change(&mut pairs);
    fs::write(file, pack(&pairs)).unwrap();
}

fn pack(pairs: &Pairs) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in pairs.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

fn unpack(mut bytes: &[u8]) -> Pairs {
    let mut part = || {
        let (length, rest) = bytes.split_first_chunk()?;
        let (part, rest) = rest.split_at(usize::try_from(u64::from_be_bytes(*length)).unwrap());
        bytes = rest;
        Some(part.to_vec())
    };
    let mut pairs = Pairs::new();
    while let (Some(key), Some(value)) = (part(), part()) {
        pairs.insert(key, value);
    }
    pairs
}
