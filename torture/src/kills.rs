//! Processes that are killed while they work on a real store, or under whose feet a system call fails.

// A judge's verdict is a panic.
#![allow(clippy::panic)]

use jobtrack_testkit::{Random, processes};

use crate::course::{Broken, Course, Tally, cores};
use crate::machines::worker;
use crate::stores::Kind;

/// How many rounds go on with the store that the one before has left.
const ROUNDS: u64 = 20;

/// Kills a process at any moment, and again the one that goes on after it, and so forth. What they
/// were told is stored is kept here, outside of them.
///
/// # Errors
///
/// A promise that was broken.
pub fn run(kind: Kind, course: &Course<'_>) -> Result<Tally, Broken> {
    course.run("rounds", u64::MAX, cores(), |_, seed| {
        processes::kill_rounds(&kind.open, &|| worker(kind), seed, ROUNDS);
        let mut tally = Tally::default();
        tally.add("rounds", ROUNDS);
        tally
    })
}

/// What is done to a process by strace, of which the n-th call is struck.
const FAULTS: [(&str, &str, u64); 10] = [
    ("fsync,fdatasync,?sync_file_range,?msync", "error=EIO", 120),
    ("fsync,fdatasync,?sync_file_range,?msync", "error=ENOSPC", 120),
    ("write,pwrite64,writev,?pwritev,?pwritev2", "error=EIO", 500),
    ("write,pwrite64,writev,?pwritev,?pwritev2", "error=ENOSPC", 500),
    ("ftruncate,?fallocate", "error=ENOSPC", 8),
    ("openat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?mkdir", "error=EIO", 60),
    ("read,pread64,lseek,fstat,?statx", "error=EIO", 90),
    ("fsync,fdatasync", "signal=KILL", 120),
    ("write,pwrite64,ftruncate,?fallocate", "signal=KILL", 500),
    ("openat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?mkdir", "signal=KILL", 60),
];

/// Lets system calls of a real process fail, once or for ever, or be its last.
///
/// # Errors
///
/// A promise that was broken.
pub fn system_calls(kind: Kind, course: &Course<'_>) -> Result<Tally, Broken> {
    course.run("processes", u64::MAX, cores(), |number, seed| {
        let mut random = Random::new(seed);
        let fault = FAULTS.iter().cycle().nth((number % FAULTS.len() as u64) as usize);
        let Some((calls, what, most)) = fault else { return Tally::default() };
        let is_lasting = random.chance(400) && what.starts_with("error");
        let when = 1 + random.below(*most);
        let inject = format!("{calls}:{what}:when={when}{}", if is_lasting { "+" } else { "" });
        let mut tally = Tally::default();
        match processes::strike(&kind.open, &|| worker(kind), &inject) {
            Err(error) => {
                tally.skipped.push(format!("needs strace, which cannot be run here: {error}"));
                // Nor can the next.
                tally.add("processes", course.target);
            }
            Ok(struck) => {
                tally.add("processes", 1);
                tally.add("answered unknown", u64::from(struck.was_unknown));
                tally.add("answered failed", u64::from(struck.was_refused));
                tally.add("killed at a call", u64::from(what.starts_with("signal")));
            }
        }
        tally
    })
}
