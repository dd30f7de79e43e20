//! Two processes and one store; and a process that dies in the middle of its work.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use jobtrack::ErrorKind;
use jobtrack::store::{Durability, Space, Store};
use jobtrack_redb::RedbStore;
use jobtrack_testkit::conformance::{batch, write};

/// Names the folder to the other process.
const FOLDER: &str = "JOBTRACK_TEST_FOLDER";

/// Not a test of its own: the other process. It commits until it is killed, and after each commit
/// says which one has returned, and whether it was synced.
#[test]
#[ignore = "is run by the tests below, in a process of its own"]
fn other_process() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let store = RedbStore::open(folder).unwrap();
    for n in 1u64.. {
        let durability = if n % 3 == 0 { Durability::Deferred } else { Durability::Synced };
        let value = n.to_be_bytes().repeat(50);
        let spaces = [Space::Job, Space::Blob];
        let writes = spaces.map(|space| write(space, &n.to_be_bytes(), Some(&value)));
        assert_eq!(store.commit(&batch([], writes), durability).unwrap(), n);
        let is_synced = durability == Durability::Synced;
        let mut out = std::io::stdout().lock();
        writeln!(out, "\ncommitted {n} {is_synced}").unwrap();
    }
}

fn start(folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "other_process", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// The commit that a line reports, and whether it was synced.
fn committed(line: &str) -> Option<(u64, bool)> {
    let (number, is_synced) = line.strip_prefix("committed ")?.split_once(' ')?;
    Some((number.parse().ok()?, is_synced.parse().ok()?))
}

#[test]
fn a_store_held_by_another_process_is_refused_by_its_name_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, out) = start(folder.path());
    let mut lines = out.lines().map(|line| line.unwrap());
    assert!(lines.any(|line| committed(&line).is_some()), "the other process holds the store");

    let error = RedbStore::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreHeld);
    let program = env::current_exe().unwrap();
    for part in [&format!("process {} ", child.id()), program.to_str().unwrap(), " since "] {
        assert!(error.message().contains(part), "{error}: lacks {part}");
    }

    child.kill().unwrap();
    child.wait().unwrap();
    RedbStore::open(folder.path()).unwrap();
}

#[test]
fn a_store_open_in_this_process_is_refused_to_a_second_opening() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    let error = RedbStore::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreHeld);
    assert!(error.message().contains(&format!("process {} ", std::process::id())), "{error}");
    drop(store);
    RedbStore::open(folder.path()).unwrap();
}

#[test]
fn what_a_killed_process_was_told_is_stored_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for kill_after in [1, 10, 60] {
        let _ = std::fs::remove_dir_all(folder.path());
        let (mut child, out) = start(folder.path());
        let mut lines = out.lines().map(|line| line.unwrap());
        let mut last_synced = 0;
        while last_synced < kill_after {
            let line = lines.next().expect("a process that goes on until it is killed");
            if let Some((number, true)) = committed(&line) {
                last_synced = number;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died, and was not read yet.
        let mut last = last_synced;
        for (number, is_synced) in lines.filter_map(|line| committed(&line)) {
            last = number;
            last_synced = if is_synced { number } else { last_synced };
        }

        let store = RedbStore::open(folder.path()).unwrap();
        let mut jobs = Vec::new();
        let revision = store.load(&mut |_, key, record| {
            let number = u64::from_be_bytes(key.try_into().unwrap());
            assert_eq!(record.revision, number);
            assert_eq!(record.value, number.to_be_bytes().repeat(50));
            jobs.push(number);
            Ok(())
        });
        let revision = revision.unwrap();
        assert!(revision >= last_synced, "{revision} is left of {last_synced}");
        // The one that was on its way may be there; of those after it none was begun.
        assert!(revision <= last + 1, "{revision} is more than {last}");
        assert!(jobs.into_iter().eq(1..=revision), "a hole");
        for number in 1..=revision {
            assert!(store.read(Space::Blob, &number.to_be_bytes()).unwrap().is_some(), "half");
        }
    }
}
