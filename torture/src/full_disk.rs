//! A disk that is full, and has room again.
//!
//! A small tmpfs, which only root can mount. Jobs are created until one does not fit: that one is
//! refused by a clear error, all others are still answered from memory, and none of them is lost.
//! When there is room again the store takes the next job: where it declares so without being opened
//! again, else after that.

// A judge's verdict is a panic.
#![allow(clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use jobtrack::{ErrorKind, JobId, NewJob, Options, Tracker};
use jobtrack_testkit::Random;

use crate::course::{Broken, Course, Tally};
use crate::stores::Kind;

const MIB: u64 = 1 << 20;

/// Fills disk after disk.
///
/// # Errors
///
/// A promise that was broken.
pub fn run(kind: Kind, course: &Course<'_>) -> Result<Tally, Broken> {
    course.run("full disks", u64::MAX, 1, |_, seed| match Small::mount(40 * MIB) {
        Err(reason) => {
            let mut tally = Tally::skipped(format!("needs root, to mount a tmpfs: {reason}"));
            tally.add("full disks", course.target);
            tally
        }
        Ok(disk) => fill(kind, disk.folder.path(), seed),
    })
}

fn fill(kind: Kind, disk: &Path, seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let ballast = disk.join("ballast");
    let size = (4 + random.below(24)) * MIB;
    let zeros = vec![0; size as usize];
    fs::write(&ballast, &zeros).expect("room for the ballast");
    let path = disk.join("store");
    let open = || {
        let store = (kind.open)(&path).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
        Tracker::open(store, Options::default()).unwrap_or_else(|error| panic!("{error}"))
    };
    let tracker = open();
    let mut known: Vec<(JobId, String)> = Vec::new();
    let create = |tracker: &Tracker, known: &mut Vec<(JobId, String)>, length: usize| {
        let message = "x".repeat(length);
        let job = NewJob { message: message.clone(), ..NewJob::default() };
        tracker.create(job).map(|job| known.push((job.uuid, message)))
    };
    let (error, length) = loop {
        let length = 1 + random.below(4_000) as usize;
        if let Err(error) = create(&tracker, &mut known, length) {
            break (error, length);
        }
    };
    let kinds: &[ErrorKind] = match kind.recovers_from_full {
        true => &[ErrorKind::StoreFull],
        false => &[ErrorKind::StoreFull, ErrorKind::OutcomeUnknown],
    };
    assert!(kinds.contains(&error.kind()), "{}: {error:?}", kind.name);
    assert!(known.len() > 500, "{} jobs until the disk was full", known.len());
    all_are_there(&tracker, &known);

    // Refused again, as clearly, and reads go on. A smaller one might find room.
    let again = create(&tracker, &mut known, length).err().map(|error| error.kind());
    let expected = [ErrorKind::StoreFull, ErrorKind::Unsettled, ErrorKind::OutcomeUnknown];
    assert!(again.is_some_and(|kind| expected.contains(&kind)), "{again:?}");
    all_are_there(&tracker, &known);

    fs::remove_file(&ballast).expect("room again");
    let mut tracker = tracker;
    let mut tally = Tally::default();
    if !kind.recovers_from_full {
        drop(tracker);
        tracker = open();
        tally.add("opened again", 1);
    }
    create(&tracker, &mut known, length).unwrap_or_else(|error| panic!("with room again: {error}"));
    drop(tracker);
    all_are_there(&open(), &known);
    tally.add("full disks", 1);
    tally.add("jobs kept", known.len() as u64);
    tally
}

fn all_are_there(tracker: &Tracker, known: &[(JobId, String)]) {
    for (id, message) in known {
        let found = tracker.get(*id).unwrap_or_else(|error| panic!("acknowledged: {error}"));
        assert!(found.message == *message, "{id} is another");
    }
    let total = tracker.counts().unwrap_or_else(|error| panic!("{error}")).total();
    // The one whose outcome was unknown may be there after all.
    let most = known.len() as u64 + 1;
    assert!((known.len() as u64..=most).contains(&total), "{total} of {}", known.len());
}

/// A small disk, which goes with this.
struct Small {
    folder: tempfile::TempDir,
}

impl Small {
    fn mount(bytes: u64) -> Result<Small, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let size = format!("size={bytes}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        match mounted {
            Ok(status) if status.success() => Ok(Small { folder }),
            Ok(status) => Err(format!("mount: {status}")),
            Err(error) => Err(format!("mount: {error}")),
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // An engine's threads may keep its files for a moment after it was closed.
        let mut unmount = Command::new("umount");
        let _ = unmount.arg("--lazy").arg(self.folder.path()).stderr(Stdio::null()).status();
    }
}
