//! Every file operation of redb fails in turn: once, or from then on.
//!
//! A workload of random batches is run once to count its operations, from making the store to closing
//! it, and then again for each of them: the n-th is answered with an input/output error, that the
//! disk is full, or after half of a write, once or for ever. Meanwhile the [`Oracle`] sees to it that
//! a commit that failed has written nothing, that what is unknown is not seen, and that nothing is
//! taken after it. Then the disk is well again, with what it held or with what a power cut leaves of
//! that, and the store must open, hold what was promised, and take the next commit.

// A judge's verdict is a panic.
#![allow(clippy::panic)]

use jobtrack::ErrorKind;
use jobtrack::store::{Batch, CommitError, Durability, Space, Store};
use jobtrack_testkit::conformance::{batch, write};
use jobtrack_testkit::{Disk, DiskFault, Oracle, Random};

use crate::course::{Broken, Course, Tally, cores};
use crate::power_cuts::Place;

/// How many batches a workload has.
const BATCHES: usize = 10;

/// Runs so many workloads.
///
/// # Errors
///
/// A promise that was broken.
pub fn run(course: &Course<'_>) -> Result<Tally, Broken> {
    course.run("workloads", course.target, cores(), |_, seed| workload(seed))
}

fn workload(seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let batches = batches(&mut random);
    let mut tally = Tally::default();
    let operations = {
        let (place, disk) = (Place::new(), Disk::new(Vec::new()));
        let store = place.open(&disk).unwrap_or_else(|error| panic!("{error}"));
        for (batch, durability) in &batches {
            store.commit(batch, *durability).unwrap_or_else(|error| panic!("{error}"));
        }
        drop(store);
        disk.operations()
    };
    for number in 1..=operations {
        for fault in DiskFault::ALL {
            for is_lasting in [false, true] {
                let disk = Disk::new(Vec::new());
                disk.fail(number, is_lasting, fault);
                let context =
                    format!("operation {number} of {operations}, {fault:?}, {is_lasting}");
                struck(&disk, &batches, &mut random, &mut tally, &context);
                tally.add("faults", 1);
            }
        }
    }
    tally.add("workloads", 1);
    tally
}

/// Runs the workload on a disk that fails, and judges what is left.
fn struck(
    disk: &Disk,
    batches: &[(Batch, Durability)],
    random: &mut Random,
    tally: &mut Tally,
    context: &str,
) {
    let (place, oracle) = (Place::new(), Oracle::default());
    match place.open(disk) {
        Err(error) => {
            let kinds = [ErrorKind::StoreFailed, ErrorKind::StoreFull];
            assert!(kinds.contains(&error.kind()), "{context}: {error:?}");
            tally.add("not opened", 1);
        }
        Ok(store) => {
            let store = oracle.watch(store);
            for (batch, durability) in batches {
                match store.commit(batch, *durability) {
                    Ok(_) => {}
                    Err(CommitError::Failed(_)) => tally.add("failed", 1),
                    Err(CommitError::Unknown(_)) => tally.add("unknown or refused after it", 1),
                    Err(CommitError::Conflict(expectation)) => {
                        panic!("{context}: {expectation:?}")
                    }
                }
            }
        }
    }
    disk.heal();
    if !place.has_file() {
        // The store was not made, and what there is of it is thrown away.
        let disk = Disk::new(Vec::new());
        return go_on(&place, &disk, &oracle, &format!("{context}: not made"));
    }
    let (cut, judge) = (Disk::new(disk.after_power_cut(random)), oracle.copy());
    go_on(&place, disk, &oracle, &format!("{context}: healed"));
    // What was read from the system's memory then, and not from the disk, must not be missed now.
    let later = Disk::new(disk.after_power_cut(random));
    go_on(&place, &later, &oracle, &format!("{context}: healed, and a power cut after that"));
    // Had it been cut at once. Whatever was noted in the folder may be lost then.
    go_on(&place, &cut, &judge, &format!("{context}: power cut"));
}

/// Opens the store, twice, judges it, and makes a synced commit.
fn go_on(place: &Place, disk: &Disk, oracle: &Oracle, context: &str) {
    let content = || {
        let store = place.open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
        let content = oracle.judge(&store);
        (content.unwrap_or_else(|error| panic!("{context}: {error}")), store)
    };
    let (first, store) = content();
    drop(store);
    let (second, store) = content();
    assert!(first == second, "{context}: opened twice, and not the same");
    oracle.settle(second);
    let next = batch([], [write(Space::Job, b"next", Some(b"v"))]);
    let next = oracle.watch(store).commit(&next, Durability::Synced);
    assert_eq!(next.ok(), Some(first.commit + 1), "{context}: then no commit");
}

/// Records that come, change and go, now and then large enough for the file to grow.
fn batches(random: &mut Random) -> Vec<(Batch, Durability)> {
    (0..BATCHES)
        .map(|_| {
            let writes = 1 + random.below(4);
            let mut batch = batch([], []);
            for n in 0..writes {
                let spaces = Space::ALL.len() as u64;
                let space = Space::ALL.iter().cycle().nth(random.below(spaces) as usize);
                let size = if random.chance(80) { 50_000 } else { random.below(400) as usize };
                let value = (!random.chance(200)).then(|| random.bytes(size));
                // Each key once in a batch, as the contract has it.
                let key = [n as u8, random.below(4) as u8];
                batch.writes.push(write(*space.unwrap_or(&Space::Job), &key, value.as_deref()));
            }
            let durability =
                if random.chance(400) { Durability::Deferred } else { Durability::Synced };
            (batch, durability)
        })
        .collect()
}
