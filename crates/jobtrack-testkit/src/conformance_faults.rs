//! The promises of the contract that only a failing disk can put to the test.
//!
//! They need a hook beneath the store, [`Harness::break_disk`](crate::conformance::Harness). Without
//! one they say that they were skipped.

// Test code that is not compiled as a test: to fail is how it speaks.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr)]

use jobtrack::store::{Batch, CommitError, Durability, Space, Store};

use crate::conformance::{Harness, batch, write};
use crate::{DiskFault, Oracle};

/// No commit of a small batch takes as many operations.
const MOST: u64 = 200;

/// After so many that go well in a row a commit has come to its end.
const BEYOND: u32 = 12;

/// How a commit came out whose disk failed.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Committed,
    Failed,
    Unknown,
}

/// A commit that is answered `Failed` has written nothing, now and after reopening, and the next one
/// is made.
pub fn a_commit_that_failed_has_written_nothing(harness: &impl Harness) {
    each_operation_fails(harness, &|store, fate| {
        if *fate == Fate::Failed {
            store.commit(&change(3), Durability::Synced).expect("the next may be tried");
        }
    });
}

/// After an outcome that is unknown every later commit is answered so, and what is unknown is not
/// seen, until the store is opened again; then it is there wholly or not at all.
pub fn an_unknown_outcome_ends_all_commits_until_it_is_opened_again(harness: &impl Harness) {
    each_operation_fails(harness, &|store, fate| {
        if *fate == Fate::Unknown {
            for durability in [Durability::Synced, Durability::Deferred] {
                let next = store.commit(&change(3), durability);
                assert!(matches!(next, Err(CommitError::Unknown(_))), "{next:?}");
            }
        }
    });
}

/// Lets the n-th operation of a commit fail, for every n and in every way, and looks what `then` does
/// with a disk that is well again. Whatever is answered, a judge compares it with what is seen.
fn each_operation_fails(harness: &impl Harness, then: &dyn Fn(&dyn Store, &Fate)) {
    let oracle = Oracle::default();
    if !harness.break_disk(1, false, DiskFault::Error) {
        return eprintln!("SKIPPED: this store's harness cannot break its disk");
    }
    harness.mend_disk();
    for fault in DiskFault::ALL {
        for is_lasting in [false, true] {
            let mut harmless = 0;
            for n in 1..=MOST {
                let store = oracle.watch(harness.open().expect("the store"));
                store.commit(&change(1), Durability::Synced).expect("the commit");
                harness.break_disk(n, is_lasting, fault);
                let fate = match store.commit(&change(2), Durability::Synced) {
                    Ok(_) => Fate::Committed,
                    Err(CommitError::Failed(_)) => Fate::Failed,
                    Err(CommitError::Unknown(_)) => Fate::Unknown,
                    Err(CommitError::Conflict(expectation)) => panic!("{expectation:?}"),
                };
                harness.mend_disk();
                then(&store, &fate);
                drop(store);
                let left = oracle.judge(&*harness.open().expect("the store"));
                oracle.settle(left.expect("a store that can be read"));
                // Reads need no room, and some operations may fail; but beyond the last one no fault
                // is met any more.
                harmless = if fate == Fate::Committed { harmless + 1 } else { 0 };
                if harmless == BEYOND {
                    break;
                }
                assert!(n < MOST, "a commit takes {MOST} operations, or the disk stays broken");
            }
        }
    }
}

/// Writes a record that all of them write, and one that only those of this key do.
fn change(key: u8) -> Batch {
    let value = [key; 300];
    batch(
        [],
        [
            write(Space::Job, &[key], Some(&value)),
            write(Space::Blob, &[key], Some(&value)),
            write(Space::Meta, b"last", Some(&[key])),
        ],
    )
}
