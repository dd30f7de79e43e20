//! Power cuts that lose, tear and reorder what was not synced, beneath redb.
//!
//! redb's file lies on a [`Disk`] in memory. A random history of jobs is played above it, the power
//! goes between two steps, within one, while the store is closed, and while it is opened again. After
//! each loss several of the files that may be left are examined, and the history goes on with one of
//! them. For each:
//!
//! 1. every acknowledged write is there,
//! 2. every other batch wholly or not at all (the [`Oracle`], record by record; and, in the file with
//!    which the history goes on, the model, job by job),
//! 3. revisions rise, and epochs (the history),
//! 4. what the tracker answers, counts and lists is what its records say (the history),
//! 5. nothing is taken for damage: the store opens,
//! 6. opened twice, it holds the same,
//! 7. and so it does if the power goes again while it is opened.

// A judge's verdict is a panic.
#![allow(clippy::expect_used, clippy::panic)]

use std::fs;

use jobtrack::Result;
use jobtrack::store::Store;
use jobtrack_redb::{Options, RedbStore};
use jobtrack_testkit::{Content, Disk, Oracle, Random};
use jobtrack_testkit::{Machine, history};
use tempfile::TempDir;

use crate::course::{Broken, Course, Tally, cores};
use crate::stores::folder_in_memory;

/// How many of the files that one loss of power may leave are examined.
const FILES: usize = 8;
/// How many steps a history has.
const STEPS: usize = 90;

/// Plays history after history until there were enough power cuts.
///
/// # Errors
///
/// A promise that was broken.
pub fn run(course: &Course<'_>) -> Result<Tally, Broken> {
    course.run("power cuts", u64::MAX, cores(), |_, seed| play(seed))
}

/// The history of one seed.
fn play(seed: u64) -> Tally {
    play_on(false, seed)
}

fn play_on(is_lying: bool, seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let history = random.bytes(STEPS * 4);
    let mut machine = RedbMachine::new(is_lying, random);
    history::play_on(&mut machine, &history);
    let mut tally = machine.tally;
    tally.add("histories", 1);
    tally
}

/// A computer with one redb store on one disk.
struct RedbMachine {
    place: Place,
    /// Where files that may be left are examined.
    side: Place,
    disk: Disk,
    /// Whether its syncs do nothing.
    is_lying: bool,
    oracle: Oracle,
    random: Random,
    tally: Tally,
}

impl RedbMachine {
    fn new(is_lying: bool, random: Random) -> RedbMachine {
        RedbMachine {
            place: Place::new(),
            side: Place::new(),
            disk: disk(is_lying, Vec::new()),
            is_lying,
            oracle: Oracle::default(),
            random,
            tally: Tally::default(),
        }
    }

    /// Opens a file that a power cut has left, twice, and once with another power cut meanwhile.
    fn examine(&mut self, file: &[u8]) {
        self.side.fill();
        let disk = Disk::new(file.to_vec());
        let first = self.content(&disk);
        let operations = disk.operations();
        assert_eq!(self.content(&disk), first, "opened twice, and not the same");

        let disk = Disk::new(file.to_vec());
        disk.cut_power(1 + self.random.below(operations));
        drop(self.side.open(&disk));
        assert!(disk.is_off(), "the power was to go while it is opened or closed");
        let left = disk.after_power_cut(&mut self.random);
        let after = self.content(&Disk::new(left));
        assert_eq!(after, first, "another power cut, during recovery, has changed something");
        self.tally.add("power cuts", 2);
        self.tally.add("during recovery", 1);
    }

    fn content(&self, disk: &Disk) -> Content {
        let store = self.side.open(disk).unwrap_or_else(|error| panic!("after a cut: {error}"));
        self.oracle.judge(&store).unwrap_or_else(|error| panic!("after a cut: {error}"))
    }
}

impl Machine for RedbMachine {
    fn open(&mut self) -> Result<Box<dyn Store>> {
        if !self.place.has_file() {
            // The power went while the store was being made, and what there was of it is gone.
            self.disk = disk(self.is_lying, Vec::new());
        }
        let store = self.place.open(&self.disk)?;
        let found = self.oracle.judge(&store)?;
        self.oracle.settle(found);
        Ok(Box::new(self.oracle.watch(store)))
    }

    fn threaten(&mut self, choice: u8) {
        if choice.is_multiple_of(4) {
            self.disk.cut_power(1 + self.random.below(24));
        }
    }

    fn has_lost_power(&mut self) -> bool {
        self.disk.heal();
        self.disk.is_off()
    }

    fn crash(&mut self, _choice: u8) {
        self.tally.add(if self.disk.is_off() { "within a step" } else { "between steps" }, 1);
        self.disk.cut_power(0);
        if !self.place.has_file() {
            return;
        }
        for _ in 1..FILES {
            let left = self.disk.after_power_cut(&mut self.random);
            self.examine(&left);
        }
        let left = self.disk.after_power_cut(&mut self.random);
        self.examine(&left);
        self.disk = disk(self.is_lying, left);
    }
}

fn disk(is_lying: bool, bytes: Vec<u8>) -> Disk {
    let disk = Disk::new(bytes);
    if is_lying {
        disk.lie();
    }
    disk
}

/// A folder for a store whose data file lies elsewhere, on a [`Disk`].
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(folder_in_memory())
    }

    /// Whether the store has been made.
    pub(crate) fn has_file(&self) -> bool {
        self.0.path().join("jobs.redb").exists()
    }

    /// Lets the folder look as if a store had been made in it.
    pub(crate) fn fill(&self) {
        fs::write(self.0.path().join("jobs.redb"), "").expect("a file");
    }

    pub(crate) fn open(&self, disk: &Disk) -> Result<RedbStore> {
        let disk = disk.clone();
        let options = Options { cache_bytes: 1 << 20, ..Options::default() };
        RedbStore::open_wrapped(self.0.path(), &options, move |_| Box::new(disk.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    /// Who judges power cuts must find fault with a disk that does not sync.
    #[test]
    fn a_disk_that_lies_about_its_syncs_is_found_out() {
        let found = (0..20).filter(|seed| catch_unwind(|| play_on(true, *seed)).is_err());
        assert!(found.count() > 15);
    }
}
