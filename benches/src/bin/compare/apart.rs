//! What is measured in a process of its own: a tracker's memory, and opening a store.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jobtrack::store::Store;
use jobtrack::{NoStore, Opening, Options, Tracker};
use jobtrack_benches::{BenchClock, Jobs, Shape, import, progress_bar, resident};
use jobtrack_redb::RedbStore;
use tempfile::TempDir;

use crate::churn::churn_tracker;
use crate::line::{Line, Of, Stage};
use crate::load::SEED;
use crate::timing::Timed;

/// How often a store is opened, unless that takes long.
const OPENINGS: u64 = 3;
/// Then it is opened once.
const LONG: std::time::Duration = std::time::Duration::from_secs(10);

/// The name of the class that [`opening`] measures.
pub(crate) const OPENING: &str = "opening a redb file";
/// The name of the class that opens one with an image.
pub(crate) const FROM_IMAGE: &str = "opening it from an image";
/// The name of the class that leaves the image.
pub(crate) const LEAVING: &str = "closing it, with an image";
/// The name of the class of all memory.
pub(crate) const MEMORY: &str = "memory";

/// By how much this process grows when a tracker is given so many jobs, and by how much it has
/// grown after as many whole lives, if that is wanted.
pub(crate) fn memory(jobs: usize, shape: Shape, has_churn: bool) -> Vec<Line> {
    let clock = Arc::new(BenchClock::default());
    let options = Options { clock: Arc::<BenchClock>::clone(&clock), ..Options::default() };
    let tracker = Tracker::open(NoStore::default(), options).expect("a new store opens");
    let before = resident();
    let bar = progress_bar(jobs as u64, "memory of jobtrack");
    import(&tracker, Jobs::new(SEED, jobs).shaped(shape), |done| bar.inc(done as u64));
    bar.finish_and_clear();
    let line = |stage| {
        let bytes = resident().saturating_sub(before);
        assert_eq!(tracker.counts().expect("counts").total(), jobs as u64, "every job is there");
        Line::new(Of::Memory, MEMORY, jobs).sized(Some(bytes), None).at(stage)
    };
    let mut lines = vec![line(if shape == Shape::Wide { Stage::Wide } else { Stage::Fresh })];
    if has_churn {
        churn_tracker(&tracker, &clock, jobs, shape);
        lines.push(line(Stage::Churned));
    }
    lines
}

/// How long a tracker takes to open a redb file of so many jobs, on as many threads as there are
/// cores: from their records, beside reading the file alone; from the image that one before it has left,
/// beside reading that; and how long leaving it takes, beside closing without.
/// SQLite opens a file without reading it, so there is nothing to stand beside.
pub(crate) fn opening(jobs: usize, shape: Shape) -> Vec<Line> {
    let folder = folder();
    let path = folder.path().join("jobs");
    let bar = progress_bar(jobs as u64, "filling a store to open");
    let without = Options { image_from: usize::MAX, ..options() };
    let tracker = Tracker::open(open(&path), without).expect("a new store opens");
    import(&tracker, Jobs::new(SEED, jobs).shaped(shape), |done| bar.inc(done as u64));
    tracker.close().expect("the store closes");
    drop(tracker);
    bar.finish_and_clear();

    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut lines = Vec::new();
    for (class, image_from) in [(OPENING, usize::MAX), (FROM_IMAGE, 0)] {
        let has_image = image_from == 0;
        let options = || {
            let opening = Opening { threads, progress: None };
            Options { opening, image_from, ..options() }
        };
        if has_image {
            let tracker = Tracker::open(open(&path), options()).expect("the store opens");
            tracker.close().expect("the store closes");
        }
        let (mut opened, mut read, mut closed) = Default::default();
        let bar = progress_bar(OPENINGS, class);
        while Timed::runs(&opened) < OPENINGS && opened.total() < LONG {
            let began = Instant::now();
            let bytes = read_all(&path, has_image);
            Timed::add(&mut read, began.elapsed(), 1);
            assert!(bytes > jobs, "every job is there");

            let began = Instant::now();
            let tracker = Tracker::open(open(&path), options()).expect("the store opens");
            opened.add(began.elapsed(), 1);
            assert_eq!(tracker.opened().jobs, jobs, "every job is there");
            assert_eq!(tracker.opened().from_image, has_image);

            let began = Instant::now();
            tracker.close().expect("the store closes");
            Timed::add(&mut closed, began.elapsed(), 1);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let mut line = Line::new(Of::Whole, class, jobs).timed(&opened, None);
        line.floor_p50_ns = Some(read.p50());
        line.note = Some(format!("on {threads} threads"));
        lines.push(line);
        if has_image {
            lines.push(Line::new(Of::Whole, LEAVING, jobs).timed(&closed, None));
        }
    }
    lines
}

/// Reads all that an opening reads, and tells how many bytes that are.
fn read_all(path: &Path, has_image: bool) -> usize {
    if has_image {
        return std::fs::read(path.join("IMAGE")).expect("an image was left").len();
    }
    let mut bytes = 0;
    let read = open(path).load(&mut |_, _, record| {
        bytes += record.value.len();
        Ok(())
    });
    read.expect("the store can be read");
    bytes
}

/// A folder on a disk: beside the program and not in the system's temporary folder, which may be in
/// memory.
pub(crate) fn folder() -> TempDir {
    let this = std::env::current_exe().expect("a program knows its file");
    let beside = this.parent().expect("a file is in a folder");
    tempfile::tempdir_in(beside).expect("a folder can be made beside the program")
}

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
        let lines = opening(2_000, Shape::Full);
        let [records, image, _closing] = lines.as_slice() else { panic!("{lines:?}") };
        for line in [records, image] {
            assert!(line.floor_p50_ns < line.jobtrack_p50_ns, "{line:?}");
        }
        assert_eq!(records.sqlite_p50_ns, None);
    }

    // One test of memory, and so a process: what one has freed would be given to the other.

    #[test]
    fn memory_grows_with_the_jobs_and_not_with_their_lives() {
        let lines = memory(20_000, Shape::Full, true);
        let [fresh, churned] = &lines[..] else { panic!("two lines: {lines:?}") };
        assert_eq!((fresh.state, churned.state), (Stage::Fresh, Stage::Churned));
        // A hundred bytes a job are far more than a heap keeps in reserve.
        let bytes = fresh.jobtrack_bytes_per_job.unwrap();
        assert!(bytes > 100, "{bytes}");
        let after = churned.jobtrack_bytes_per_job.unwrap();
        assert!(after > bytes / 2 && after < bytes * 3, "{bytes}, then {after}");
    }
}
