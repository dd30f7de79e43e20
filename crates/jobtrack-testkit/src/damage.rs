//! Damage to the files of a store: bytes flipped, sectors emptied, files cut.
//!
//! [`check`] makes a small store, damages its files in one place after another, and opens it: each
//! time it must be refused, or be what it was. It must never be silently less, and not at a second
//! opening either.
//!
//! ```no_run
//! use jobtrack::Store;
//! use jobtrack_testkit::damage::{self, Stop};
//! # fn open(path: &std::path::Path) -> jobtrack::Result<Box<dyn Store>> { unimplemented!() }
//!
//! // Of some file systems, `open` of the store under test.
//! let found = damage::check(&open, Stop::Clean, 300);
//! assert!(found.refused > 100, "{found}");
//! ```

// Test code that is not compiled as a test: to fail is how it speaks.
#![allow(clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use jobtrack::store::{Durability, Record, Remains, Space, Store};
use jobtrack::{ErrorKind, Result};

use crate::conformance::{batch, write};

/// If it is set to `all`, every byte is flipped and every length is tried.
pub const DAMAGE: &str = "JOBTRACK_TEST_DAMAGE";

/// How many commits the damaged store has seen.
const COMMITS: u8 = 24;

/// In how many places a small file is damaged.
const LEAST: usize = 12;

/// What a disk that loses data loses at least.
const SECTOR: usize = 512;

/// Opens the store under test.
pub type Open<'a> = dyn Fn(&Path) -> Result<Box<dyn Store>> + 'a;

/// How the store came to its end before it was damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It was closed, opened, and closed again: all damage can be told from a crash.
    Clean,
    /// Its process was killed. Damage to the last commit looks as if a crash had torn it; so does a
    /// file that is cut.
    Killed,
}

/// How many damages were refused, and how many changed nothing that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// Refused by name.
    pub refused: usize,
    /// The store was what it had been.
    pub harmless: usize,
    /// Taken for a write that a crash has torn, as far as [`Stop`] allows it.
    pub torn: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { refused, harmless, torn } = self;
        write!(f, "{refused} refused, {harmless} harmless, {torn} taken for torn writes")
    }
}

/// Damages a store in about so many places, spread evenly; panics where damage is read silently.
pub fn check(open: &Open<'_>, stop: Stop, places: usize) -> Found {
    let subject = Subject::new(open, stop);
    let parent = tempfile::tempdir().expect("a folder");
    let mut found = Found::default();
    for damage in subject.image.damages(places) {
        match subject.inflict(open, &damage, &parent.path().join("damaged")) {
            Verdict::Refused => found.refused += 1,
            Verdict::Harmless => found.harmless += 1,
            Verdict::Torn => found.torn += 1,
        }
    }
    found
}

/// What a damaged store has turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Refused by name.
    Refused,
    /// What it had been.
    Harmless,
    /// Taken for a write that a crash has torn, as far as [`Stop`] allows it.
    Torn,
}

/// A small store, kept in memory, to be damaged again and again.
pub struct Subject {
    image: Image,
    whole: Content,
    stop: Stop,
}

impl Subject {
    /// Makes the store and brings it to its end.
    pub fn new(open: &Open<'_>, stop: Stop) -> Subject {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("data");
        // In two openings, since some engines tidy up at the next one only.
        let store = open(&folder).expect("a new store");
        fill(&*store, 0..COMMITS / 2);
        drop(store);
        let store = open(&folder).expect("the store");
        fill(&*store, COMMITS / 2..COMMITS);
        let image = match stop {
            Stop::Killed => Image::take_at_rest(&folder),
            Stop::Clean => {
                drop(store);
                drop(open(&folder).expect("the store"));
                Image::take(&folder)
            }
        };
        let folder = parent.path().join("copy");
        image.put(&folder);
        let whole = content(open, &folder).expect("a store that is not damaged");
        assert_eq!(whole.commit, u64::from(COMMITS));
        Subject { image, whole, stop }
    }

    /// How many damages there are: every byte flipped, every length, every sector lost.
    pub fn damages(&self) -> usize {
        self.image.files.values().flat_map(|(_, bytes)| Image::kinds(bytes.len())).sum()
    }

    /// Does the damage of this number to a copy of the store at the path, opens it, and judges.
    ///
    /// # Panics
    ///
    /// Where damage is read silently, with the file and the place in it.
    pub fn damage(&self, open: &Open<'_>, number: usize, path: &Path) -> Verdict {
        let damage = self.image.every_damage(number).expect("a damage of this number");
        self.inflict(open, &damage, path)
    }

    fn inflict(&self, open: &Open<'_>, damage: &Damage<'_>, folder: &Path) -> Verdict {
        let whole = &self.whole;
        self.image.put(folder);
        damage.apply(folder);
        let outcome = content(open, folder);
        let verdict = match &outcome {
            Ok(content) if content == whole => Verdict::Harmless,
            Ok(content) => {
                let is_last = content.commit + 1 == whole.commit;
                let may_be_torn = is_last || self.image.loses_end(damage);
                assert!(
                    self.stop == Stop::Killed && may_be_torn && content.is_prefix_of(whole),
                    "{damage}: commit {} of {} was read as if nothing were amiss",
                    content.commit,
                    whole.commit
                );
                Verdict::Torn
            }
            Err(error) => {
                let kinds =
                    [ErrorKind::StoreDamaged, ErrorKind::StoreForeign, ErrorKind::StoreTooNew];
                assert!(kinds.contains(&error.kind()), "{damage}: {error:?}");
                let path = folder.to_string_lossy();
                assert!(error.message().contains(&*path), "{damage}: {error:?} names no file");
                Verdict::Refused
            }
        };
        // What was refused must not be accepted a moment later with something missing.
        match (&outcome, content(open, folder)) {
            (Err(_), Ok(second)) => {
                assert!(second == *whole, "{damage}: refused first, then read with a part missing");
            }
            (Ok(first), second) => {
                let second = second.unwrap_or_else(|error| panic!("{damage}: then {error:?}"));
                assert!(*first == second, "{damage}: opened twice, and not the same");
            }
            (Err(_), Err(_)) => {}
        }
        verdict
    }
}

/// What came of salvaging one damaged store after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Salvaged {
    /// How many were salvaged.
    pub stores: usize,
    /// How many could not be read at all.
    pub hopeless: usize,
    /// How many records were there to be saved, in those that were salvaged.
    pub records: usize,
    /// How many of them were saved.
    pub saved: usize,
}

/// Reads what is left of a damaged store; a second folder is for whatever it has to write.
pub type Salvage<'a> = dyn Fn(&Path, &Path) -> Result<Remains> + 'a;

/// Damages a store so many times, and salvages it; panics if anything is saved that was
/// not written so, if something is missing and not told, or if the damaged store is changed.
pub fn check_salvage(open: &Open<'_>, salvage: &Salvage<'_>, places: usize) -> Salvaged {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("data");
    let scratch = parent.path().join("scratch");
    let store = open(&folder).expect("a new store");
    fill(&*store, 0..COMMITS);
    let mut whole = Vec::new();
    let scanned = store.scan(&mut |space, key, record| {
        whole.push((space, key.to_vec(), record?));
        Ok(())
    });
    scanned.expect("a store that is not damaged");
    drop(store);
    let image = Image::take(&folder);
    let mut salvaged = Salvaged::default();
    let damages = image.damages(places);
    let step = (damages.len() / places.max(1)).max(1);
    for damage in damages.into_iter().step_by(step) {
        image.put(&folder);
        damage.apply(&folder);
        let before = stamps(&folder);
        let _ = fs::remove_dir_all(&scratch);
        let outcome = salvage(&folder, &scratch);
        assert_eq!(stamps(&folder), before, "{damage}: the damaged store was written to");
        let Ok(remains) = outcome else {
            salvaged.hopeless += 1;
            continue;
        };
        for record in &remains.records {
            assert!(whole.contains(record), "{damage}: {record:?} was never written so");
        }
        let is_whole = remains.records.len() == whole.len();
        assert!(is_whole || !remains.losses.is_empty(), "{damage}: a loss was not told");
        salvaged.stores += 1;
        salvaged.records += whole.len();
        salvaged.saved += remains.records.len();
    }
    salvaged
}

/// The files of a folder, their lengths, and when they were last written.
fn stamps(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut stamps = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("the entry").path();
        let metadata = fs::metadata(&path).expect("the file");
        if metadata.is_dir() {
            stamps.extend(self::stamps(&path));
        }
        stamps.insert(path, (metadata.len(), metadata.modified().expect("its time")));
    }
    stamps
}

/// Everything that can be read.
#[derive(Debug, PartialEq)]
struct Content {
    commit: u64,
    records: Vec<(Space, Vec<u8>, Record)>,
}

impl Content {
    /// Whether this is what the first commits have left, and no more.
    fn is_prefix_of(&self, whole: &Content) -> bool {
        let expected = whole.records.iter().filter(|(_, _, record)| record.revision <= self.commit);
        self.records.iter().eq(expected)
    }
}

/// Each commit writes one record in every space, never the same twice, and all are synced.
fn fill(store: &dyn Store, numbers: Range<u8>) {
    for n in numbers {
        let writes = Space::ALL.iter().map(|&space| write(space, &[n], Some(&[n; 80])));
        store.commit(&batch([], writes), Durability::Synced).expect("the commit");
    }
}

fn content(open: &Open<'_>, folder: &Path) -> Result<Content> {
    let store = open(folder)?;
    let mut records = Vec::new();
    let commit = store.load(&mut |space, key, record| {
        records.push((space, key.to_vec(), record));
        Ok(())
    })?;
    for n in 0..COMMITS {
        for space in [Space::Log, Space::Blob] {
            let record = store.read(space, &[n])?;
            records.extend(record.map(|record| (space, vec![n], record)));
        }
    }
    Ok(Content { commit, records })
}

/// The files of a folder, kept in memory.
#[derive(PartialEq)]
struct Image {
    folders: Vec<PathBuf>,
    /// Each file's length, and its bytes up to the last that is not zero.
    files: BTreeMap<PathBuf, (u64, Vec<u8>)>,
}

impl Image {
    fn take(folder: &Path) -> Image {
        let mut image = Image { folders: Vec::new(), files: BTreeMap::new() };
        image.add(folder, Path::new(""));
        image
    }

    /// Takes it when an engine's own threads have come to rest.
    fn take_at_rest(folder: &Path) -> Image {
        let mut image = Image::take(folder);
        loop {
            thread::sleep(Duration::from_millis(50));
            let next = Image::take(folder);
            if next == image {
                return image;
            }
            image = next;
        }
    }

    fn add(&mut self, folder: &Path, under: &Path) {
        for entry in fs::read_dir(folder.join(under)).expect("the folder") {
            let path = under.join(entry.expect("the entry").file_name());
            if folder.join(&path).is_dir() {
                self.folders.push(path.clone());
                self.add(folder, &path);
            } else if path != Path::new("LOCK") {
                // Removed meanwhile by the engine: then the next image tells.
                let Ok(mut bytes) = fs::read(folder.join(&path)) else { continue };
                let length = bytes.len() as u64;
                let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                bytes.truncate(used);
                self.files.insert(path, (length, bytes));
            }
        }
    }

    fn put(&self, folder: &Path) {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir(folder).expect("the folder");
        for path in &self.folders {
            fs::create_dir(folder.join(path)).expect("the folder");
        }
        for (path, (length, bytes)) in &self.files {
            let mut file = File::create(folder.join(path)).expect("the file");
            file.write_all(bytes).expect("the bytes");
            file.set_len(*length).expect("the length");
        }
    }

    /// How many damages a file of so many bytes can take.
    fn kinds(bytes: usize) -> [usize; 3] {
        [bytes, bytes, bytes.div_ceil(SECTOR)]
    }

    /// The damage of this number, if there are as many.
    fn every_damage(&self, mut number: usize) -> Option<Damage<'_>> {
        for (path, (_, bytes)) in &self.files {
            let [flips, cuts, sectors] = Image::kinds(bytes.len());
            if number < flips {
                return Some(Damage { path, at: number, what: What::Flip(1 << (number % 8)) });
            }
            number -= flips;
            if number < cuts {
                return Some(Damage { path, at: number, what: What::Cut });
            }
            number -= cuts;
            if number < sectors {
                return Some(Damage { path, at: number * SECTOR, what: What::Lose });
            }
            number -= sectors;
        }
        None
    }

    /// Whether it takes all that a file has from some place on: by its end, or because the last sector
    /// with anything in it is lost. Several commits may stand there, and nothing after them tells.
    fn loses_end(&self, damage: &Damage<'_>) -> bool {
        let used = self.files.get(damage.path).map_or(0, |(_, bytes)| bytes.len());
        match damage.what {
            What::Cut => true,
            What::Lose => damage.at + SECTOR >= used,
            What::Flip(_) => false,
        }
    }

    fn damages(&self, places: usize) -> Vec<Damage<'_>> {
        let total: usize = self.files.values().map(|(_, bytes)| bytes.len()).sum();
        let is_all = env::var_os(DAMAGE).is_some_and(|value| value == "all");
        let places = if is_all { total } else { places.min(total) };
        let mut damages = Vec::new();
        for (path, (_, bytes)) in &self.files {
            // Small files matter as much as large ones.
            let share = (bytes.len() * places / total.max(1)).max(bytes.len().min(LEAST));
            for at in (0..share).map(|n| n * bytes.len() / share) {
                damages.push(Damage { path, at, what: What::Flip(1 << (at % 8)) });
                damages.push(Damage { path, at, what: What::Cut });
                if at % SECTOR == 0 || !is_all {
                    damages.push(Damage { path, at: at - at % SECTOR, what: What::Lose });
                }
            }
        }
        damages
    }
}

struct Damage<'i> {
    path: &'i Path,
    at: usize,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// These bits of the byte are flipped.
    Flip(u8),
    /// The file ends here.
    Cut,
    /// The sector that begins here is empty.
    Lose,
}

impl Damage<'_> {
    fn apply(&self, folder: &Path) {
        let path = folder.join(self.path);
        if let What::Cut = self.what {
            let file = File::options().write(true).open(path).expect("the file");
            return file.set_len(self.at as u64).expect("the length");
        }
        let mut file = File::options().read(true).write(true).open(path).expect("the file");
        let at = SeekFrom::Start(self.at as u64);
        let mut bytes = Vec::new();
        file.seek(at).expect("the place");
        (&mut file).take(SECTOR as u64).read_to_end(&mut bytes).expect("the bytes");
        match self.what {
            What::Flip(bits) => bytes.iter_mut().take(1).for_each(|byte| *byte ^= bits),
            _ => bytes.fill(0),
        }
        file.seek(at).expect("the place");
        file.write_all(&bytes).expect("the bytes");
    }
}

impl fmt::Display for Damage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at byte {} of {}", self.what, self.at, self.path.display())
    }
}
