//! What is measured in a process of its own: memory, and opening a store.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use jobtrack::store::Store;
use jobtrack::{Options, Tracker};
use jobtrack_benches::{BenchClock, Jobs, NullStore, import, progress_bar, resident};
use jobtrack_redb::RedbStore;

use crate::line::{Line, Of};
use crate::load::SEED;
use crate::sqlite::Sqlite;
use crate::timing::Timed;

/// How often a store is opened.
const OPENINGS: usize = 3;

/// What a child of this program measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apart {
    /// Queries, changes and the load, of both sides.
    Both,
    /// By how much the process grows with the jobs in a tracker.
    MemoryOfJobtrack,
    /// The same for SQLite.
    MemoryOfSqlite,
    /// How long a tracker takes to open a store of so many jobs.
    Opening,
}

impl Apart {
    const ALL: &[Apart] =
        &[Apart::Both, Apart::MemoryOfJobtrack, Apart::MemoryOfSqlite, Apart::Opening];
}

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Apart::Both => "both",
            Apart::MemoryOfJobtrack => "memory-of-jobtrack",
            Apart::MemoryOfSqlite => "memory-of-sqlite",
            Apart::Opening => "opening",
        })
    }
}

impl FromStr for Apart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Apart::ALL.iter().find(|each| each.to_string() == text);
        named.copied().ok_or_else(|| format!("{text:?} is nothing that can be measured"))
    }
}

/// By how much this process grows when a tracker is given so many jobs.
pub(crate) fn memory_of_jobtrack(jobs: usize) -> u64 {
    let tracker = Tracker::open(NullStore::default(), BenchClock::options());
    let tracker = tracker.expect("a new store opens");
    let before = resident();
    let bar = progress_bar(jobs as u64, "memory of jobtrack");
    import(&tracker, Jobs::new(SEED, jobs), |done| bar.inc(done as u64));
    bar.finish_and_clear();
    let after = resident();
    assert_eq!(tracker.counts().expect("counts").total(), jobs as u64, "every job is there");
    after.saturating_sub(before)
}

/// By how much it grows when SQLite is.
pub(crate) fn memory_of_sqlite(jobs: usize) -> u64 {
    let before = resident();
    let sqlite = Sqlite::holding(Jobs::new(SEED, jobs));
    let after = resident();
    assert_eq!(sqlite.counts().rows(), jobs as u64, "every job is there");
    after.saturating_sub(before)
}

/// How long a tracker takes to open a redb file of so many jobs, beside reading the file alone.
/// SQLite opens a file without reading it, so there is nothing to stand beside.
pub(crate) fn opening(jobs: usize) -> Line {
    // Beside the program and not in the system's temporary folder, which may be in memory.
    let this = std::env::current_exe().expect("a program knows its file");
    let beside = this.parent().expect("a file is in a folder");
    let folder = tempfile::tempdir_in(beside).expect("a folder can be made beside the program");
    let path = folder.path().join("jobs");
    let bar = progress_bar(jobs as u64, "filling a store to open");
    let tracker = Tracker::open(open(&path), options()).expect("a new store opens");
    import(&tracker, Jobs::new(SEED, jobs), |done| bar.inc(done as u64));
    tracker.close().expect("the store closes");
    drop(tracker);
    bar.finish_and_clear();

    let (mut rebuilt, mut read) = (Timed::default(), Timed::default());
    for _ in 0..OPENINGS {
        let began = Instant::now();
        let store = open(&path);
        let mut bytes = 0;
        store
            .load(&mut |_, _, record| {
                bytes += record.value.len();
                Ok(())
            })
            .expect("the store can be read");
        read.add(began.elapsed(), 1);
        assert!(bytes > jobs, "every job is a record");
        drop(store);

        let began = Instant::now();
        let tracker = Tracker::open(open(&path), options()).expect("the store opens");
        rebuilt.add(began.elapsed(), 1);
        assert_eq!(tracker.opened().jobs, jobs, "every job is there");
        tracker.close().expect("the store closes");
    }
    let mut line = Line::new(Of::Whole, OPENING, jobs).timed(&rebuilt, None);
    line.floor_p50_ns = Some(read.p50());
    line
}

/// The name of the class that [`opening`] measures.
pub(crate) const OPENING: &str = "opening a redb file";
/// The name of the class of both memories.
pub(crate) const MEMORY: &str = "memory";

fn open(path: &Path) -> RedbStore {
    RedbStore::open(path).expect("the store opens")
}

fn options() -> Options {
    BenchClock::options()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_takes_longer_than_reading() {
        let line = opening(2_000);
        assert!(line.floor_p50_ns < line.jobtrack_p50_ns, "{line:?}");
        assert_eq!(line.sqlite_p50_ns, None);
    }

    // One test a memory, and so a process: what one side has freed would be given to the other.
    // A hundred bytes a job are far more than a heap keeps in reserve.

    #[test]
    fn memory_of_jobtrack_grows_with_the_jobs() {
        let bytes = memory_of_jobtrack(20_000);
        assert!(bytes > 20_000 * 100, "{bytes}");
    }

    #[test]
    fn memory_of_sqlite_grows_with_the_jobs() {
        let bytes = memory_of_sqlite(20_000);
        assert!(bytes > 20_000 * 100, "{bytes}");
    }

    #[test]
    fn what_is_measured_apart_is_named() {
        for each in Apart::ALL {
            assert_eq!(each.to_string().parse(), Ok(*each));
        }
        assert!("nothing".parse::<Apart>().is_err());
    }
}
