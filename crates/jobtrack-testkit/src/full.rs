//! A store on a disk that is full: what it declares, it does.
//!
//! [`store_on_a_full_disk!`](crate::store_on_a_full_disk) makes the test. It starts the test program
//! again with a small file system in memory of its own, which Linux lets anybody mount in a name
//! space of their own; where it does not, the test says that it was skipped.

// Test code that is not compiled as a test: to fail is how it speaks.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use jobtrack::store::{CommitError, Durability, Space, Store};
use jobtrack::{ErrorKind, Result};

use crate::conformance::{batch, write};

/// Names the mounted folder to the other process.
const FOLDER: &str = "JOBTRACK_TEST_FULL";

/// Where the other process mounts its file system.
const MOUNT: &str = r#"mount -t tmpfs -o size=32m none "$JOBTRACK_TEST_FULL" && "$0" "$@" &&
    exec "$0" "$@""#;

/// Where the first process leaves for the second which commits must be there.
const LEFT: &str = "left";

/// How much is put aside, to make room later: more than all that is stored, since an engine may write
/// it once more.
const BALLAST: usize = 22 << 20;

/// Makes the test of this module for one kind of embedded store, given the function that opens it
/// in a folder.
#[macro_export]
macro_rules! store_on_a_full_disk {
    ($open:expr $(,)?) => {
        #[test]
        fn a_full_disk_costs_nothing_that_was_acknowledged() {
            $crate::full::full_disk("on_a_small_disk");
        }

        /// Not a test of its own: it needs a disk to fill.
        #[test]
        #[ignore = "is run by the test above, in a process of its own"]
        fn on_a_small_disk() {
            $crate::full::on_a_small_disk(&$open);
        }
    };
}

/// Opens the store under test.
pub type Open<'a> = dyn Fn(&Path) -> Result<Box<dyn Store>> + 'a;

/// Runs the other test with a small disk, twice: the second time there is room again.
pub fn full_disk(test: &str) {
    let can = Command::new("unshare").args(["-rm", "true"]).output();
    if !can.as_ref().is_ok_and(|output| output.status.success()) {
        return eprintln!("SKIPPED: needs unshare, and the right to mount: {can:?}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", MOUNT])
        .arg(env::current_exe().expect("a program"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .expect("another process");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for part in ["the disk was full", "opened again"] {
        assert!(out.contains(part), "lacks {part}: {out}\n{err}");
    }
}

/// Fills the disk, and sees what the store makes of it.
pub fn on_a_small_disk(open: &Open<'_>) {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let data = folder.join("data");
    if let Ok(left) = fs::read_to_string(folder.join(LEFT)) {
        let (from, to) = left.split_once(' ').expect("two numbers");
        let from = from.parse().expect("a number");
        let to: u64 = to.parse().expect("a number");
        let store = open(&data).expect("the store, when there is room");
        check(&*store, from..to);
        put(&*store, to + 1, 100).expect("a commit, when there is room");
        return println!("\nopened again");
    }
    fs::write(folder.join("ballast"), vec![7; BALLAST]).expect("the ballast");
    let store = open(&data).expect("a new store");
    let abilities = store.abilities();
    let mut stored = 0u64;
    let mut refusal = None;
    // Ever smaller, until not even the smallest goes in.
    for size in [64 << 10, 4 << 10, 100] {
        refusal = fill(&*store, size, &mut stored);
        if matches!(refusal, Some(CommitError::Unknown(_))) {
            break;
        }
    }
    println!("\nthe disk was full after {stored} commits");
    let mut left = 0..stored;
    match refusal {
        Some(CommitError::Failed(error)) => {
            assert_eq!(error.kind(), ErrorKind::StoreFull, "{error}");
            check(&*store, 0..stored);
            let removals = (0..stored / 2).map(|n| write(Space::Blob, &n.to_be_bytes(), None));
            let removed = store.commit(&batch([], removals), Durability::Synced);
            println!("removing alone: {removed:?}");
            assert!(removed.is_ok() || !abilities.removes_on_a_full_disk, "{removed:?}");
            if removed.is_ok() {
                left.start = stored / 2;
            }
            check(&*store, left.clone());
            fs::remove_file(folder.join("ballast")).expect("the ballast");
            let again = put(&*store, stored, 100);
            println!("with room again: {again:?}");
            assert!(again.is_ok() || !abilities.outlasts_a_full_disk, "{again:?}");
            check(&*store, left.clone());
        }
        Some(CommitError::Unknown(error)) => {
            println!("unknown: {error}");
            assert!(!abilities.outlasts_a_full_disk, "{error}");
            assert!(!abilities.removes_on_a_full_disk, "{error}");
            fs::remove_file(folder.join("ballast")).expect("the ballast");
        }
        other => panic!("not the refusal of a full disk: {other:?}"),
    }
    fs::write(folder.join(LEFT), format!("{} {}", left.start, left.end)).expect("the numbers");
    // It must not hang, either.
    drop(store);
}

/// Commits until it is refused.
fn fill(store: &dyn Store, size: usize, stored: &mut u64) -> Option<CommitError> {
    loop {
        match put(store, *stored, size) {
            Ok(_) => *stored += 1,
            Err(error) => return Some(error),
        }
    }
}

fn put(store: &dyn Store, n: u64, size: usize) -> Result<u64, CommitError> {
    let value = [n.to_be_bytes().as_slice(), &vec![7; size]].concat();
    let change = batch([], [write(Space::Blob, &n.to_be_bytes(), Some(&value))]);
    store.commit(&change, Durability::Synced)
}

/// Everything that was acknowledged can be read.
fn check(store: &dyn Store, numbers: std::ops::Range<u64>) {
    store.load(&mut |_, _, _| Ok(())).expect("the loading");
    for n in numbers {
        let record = store.read(Space::Blob, &n.to_be_bytes()).expect("the reading");
        let record = record.unwrap_or_else(|| panic!("commit {n} is gone"));
        assert!(record.value.starts_with(&n.to_be_bytes()), "another's bytes");
    }
}
