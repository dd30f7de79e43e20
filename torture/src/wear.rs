//! Bytes written to the disk over one job's life: what flash wears out by.
//!
//! One writer, every change a commit of its own, and synced: create, start, three reports, succeed;
//! then its time is up and it is swept. What the process had written is told by `/proc/self/io`, which
//! counts the pages it has made dirty for files on a disk.

// A judge's verdict is a panic.
#![allow(clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jobtrack::store::{Batch, CommitError, Durability, Record, Space, Store, Visit};
use jobtrack::{Command, NewJob, Options, Report, Result, Success, Tracker, Update};
use jobtrack_testkit::ManualClock;

use crate::course::{Broken, Course, Tally};
use crate::stores::Kind;

/// How many jobs go before the disk is looked at: engines that collect what they write come to their
/// second half.
const JOBS: u64 = 100;

/// Lets so many jobs live and counts what was written meanwhile.
///
/// # Errors
///
/// A change that was refused.
pub fn run(kind: Kind, course: &Course<'_>) -> Result<Tally, Broken> {
    let Some(_) = written() else {
        return Ok(Tally::skipped("needs /proc/self/io, which only Linux has"));
    };
    let folder = tempfile::tempdir_in(disk()).expect("a folder");
    let asked = Arc::new(AtomicU64::new(0));
    let store = (kind.open)(&folder.path().join("store")).expect("a new store");
    let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().expect("a time"));
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    let tracker =
        Tracker::open(Counted { store, asked: Arc::clone(&asked) }, options).expect("a tracker");
    let before = (written().unwrap_or(0), asked.load(Ordering::Relaxed));
    let mut tally = course.run("jobs", u64::MAX, 1, |_, _| {
        for _ in 0..JOBS {
            live(&tracker, &clock);
        }
        let mut tally = Tally::default();
        tally.add("jobs", JOBS);
        tally
    })?;
    // What engines still hold back belongs to it.
    drop(tracker);
    let jobs = tally.count("jobs").max(1);
    let bytes = written().unwrap_or(0) - before.0;
    if bytes == 0 {
        tally.skipped.push(format!("{} is not on a disk: no write was counted", disk().display()));
    }
    tally.add("bytes on disk per job", bytes / jobs);
    tally.add("bytes of records per job", (asked.load(Ordering::Relaxed) - before.1) / jobs);
    Ok(tally)
}

/// One job's life, in seven commits.
fn live(tracker: &Tracker, clock: &ManualClock) {
    let must = |command: Command| tracker.run(command).unwrap_or_else(|error| panic!("{error}"));
    let job = NewJob {
        description: "Create volume vol_0001".to_owned(),
        kind: "volume.create".to_owned(),
        ..NewJob::default()
    };
    let id = must(Command::create(job)).job.uuid;
    must(Command::start(id));
    for percent in [25, 50, 75] {
        clock.advance(Duration::from_millis(100));
        let report = Report::from(format!("{percent} % done").as_str());
        must(Command::update(id, Update::Report(report)));
    }
    tracker.succeed(id, Success::default()).unwrap_or_else(|error| panic!("{error}"));
    clock.advance(Duration::from_secs(301));
    let swept = tracker.maintain(1).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(swept.expired, 1);
}

/// Where temporary files are on a disk: beside what was built, since `/tmp` may be in memory.
fn disk() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or(Path::new("."), |root| root)
}

/// How many bytes this process has had written to disks.
fn written() -> Option<u64> {
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok())
}

/// A store, and the bytes that it is asked to write.
struct Counted {
    store: Box<dyn Store>,
    asked: Arc<AtomicU64>,
}

impl Store for Counted {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.store.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.store.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        let sizes = batch
            .writes
            .iter()
            .map(|write| write.key.len() + write.value.as_ref().map_or(0, Vec::len));
        self.asked.fetch_add(sizes.sum::<usize>() as u64, Ordering::Relaxed);
        self.store.commit(batch, durability)
    }
}
