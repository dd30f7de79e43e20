//! What is not a store that can be opened, in the way of every store in a folder.
//!
//! [`store_refusals!`](crate::store_refusals) makes the tests. One of them starts the test program
//! again as somebody who may not write, so the macro stands at the top of a file in `tests/`.

// Test code that is not compiled as a test: to fail is how it speaks.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use jobtrack::store::{Durability, Space, Store};
use jobtrack::{ErrorKind, Result};

use crate::conformance::{batch, write};

/// Names the folder to the other process.
const FOLDER: &str = "JOBTRACK_TEST_READ_ONLY";

/// Makes the tests of this module for one kind of embedded store, given the function that opens it
/// in a folder, and the name of the file in it without which there is no store.
#[macro_export]
macro_rules! store_refusals {
    ($open:expr, $data_file:literal $(,)?) => {
        #[test]
        fn what_is_no_store_is_refused_and_left_alone() {
            $crate::refusals::foreign(&$open, $data_file);
        }

        #[test]
        fn half_written_temporaries_are_never_an_error() {
            $crate::refusals::temporaries(&$open, $data_file);
        }

        #[test]
        fn a_store_that_cannot_be_written_is_refused_as_such() {
            $crate::refusals::read_only(&$open);
        }

        /// Not a test of its own: somebody who may not write.
        #[test]
        #[ignore = "is run by the test above, in a process of its own"]
        fn somebody_else() {
            $crate::refusals::somebody_else(&$open);
        }
    };
}

/// Opens the store under test.
pub type Open<'a> = dyn Fn(&Path) -> Result<Box<dyn Store>> + 'a;

/// A file in place of the folder, a folder in place of the file, and folders of something else.
pub fn foreign(open: &Open<'_>, data_file: &str) {
    let parent = tempfile::tempdir().expect("a folder");
    let at = |name: &str| parent.path().join(name);
    let refused = |path: &Path, parts: &[&str]| {
        let error = open(path).err().expect("a refusal");
        assert_eq!(error.kind(), ErrorKind::StoreForeign, "{error}");
        assert!(error.message().contains("is not a jobtrack store"), "{error}");
        for part in parts {
            assert!(error.message().contains(part), "{error}: lacks {part}");
        }
    };
    fs::write(at("file"), "text").expect("a file");
    refused(&at("file"), &["file\"", "needs a folder"]);
    refused(&at("file").join("below"), &["needs a folder"]);
    assert_eq!(fs::read(at("file")).expect("the file"), b"text");

    fs::create_dir_all(at("instead").join(data_file)).expect("a folder");
    refused(&at("instead"), &[data_file, "is not a file"]);

    // Another program's folder, and another kind of store.
    for name in ["PG_VERSION", "jobs.other"] {
        let folder = at(&format!("with {name}"));
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join(name), "15").expect("a file");
        let lacks = format!("no {data_file}");
        refused(&folder, &[name, &lacks]);
        assert_eq!(fs::read_dir(&folder).expect("the folder").count(), 1, "nothing was added");
    }

    // Another program's file of the same name.
    let folder = at("another's");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join(data_file), "something else entirely").expect("a file");
    refused(&folder, &[data_file]);
    let content = fs::read(folder.join(data_file)).expect("the file");
    assert_eq!(content, b"something else entirely", "it was left as it was");
}

/// What a crash leaves of a file that was being made goes, whether or not there is a store.
pub fn temporaries(open: &Open<'_>, data_file: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let half = folder.path().join(format!("{data_file}.new"));
    for commits in 0..3 {
        fs::write(&half, "jobtrack sto").expect("half a file");
        assert_eq!(fill(open, folder.path()), commits, "nothing is lost by it");
        assert!(!half.exists(), "it is still there");
    }
}

/// To somebody who may not write the store is read-only, and says so; nothing of it changes.
pub fn read_only(open: &Open<'_>) {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("data");
    fill(open, &folder);
    let modes = |folder_mode, file_mode| {
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        set_modes(&folder, folder_mode, file_mode);
    };
    for (folder_mode, file_mode) in [(0o555, 0o444), (0o777, 0o444)] {
        modes(folder_mode, file_mode);
        let said = match as_somebody_else(&folder) {
            Ok(said) => said,
            Err(why) => {
                modes(0o755, 0o644);
                return eprintln!("SKIPPED: nobody else can be asked here: {why}");
            }
        };
        modes(0o755, 0o644);
        assert!(said.contains("\nrefused store_read_only: cannot open "), "{said}");
    }
    assert_eq!(fill(open, &folder), 1, "nothing is lost by it");
}

/// Tries to open the store, and says what came of it.
pub fn somebody_else(open: &Open<'_>) {
    let Some(folder) = env::var_os(FOLDER) else { return };
    match open(Path::new(&folder)) {
        Ok(_) => println!("\nopened"),
        Err(error) => println!("\nrefused {}: {}", error.kind(), error.message()),
    }
}

/// Runs the test program as somebody whom the permissions bind, which root is not.
fn as_somebody_else(folder: &Path) -> std::result::Result<String, String> {
    const NOBODY: u32 = 65_534;
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--exact", "somebody_else", "--ignored", "--nocapture"]).env(FOLDER, folder);
    command.current_dir("/");
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn set_modes(folder: &Path, folder_mode: u32, file_mode: u32) {
    // Opened first, since what may not be entered cannot be listed.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a mode");
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            set_modes(&path, folder_mode, file_mode);
        } else {
            fs::set_permissions(path, fs::Permissions::from_mode(file_mode)).expect("a mode");
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(folder_mode)).expect("a mode");
}

/// Adds a commit, and tells how many there were.
fn fill(open: &Open<'_>, folder: &Path) -> u64 {
    let store = open(folder).expect("the store");
    let before = store.load(&mut |_, _, _| Ok(())).expect("the loading");
    let change = batch([], [write(Space::Job, b"a", Some(b"1"))]);
    store.commit(&change, Durability::Synced).expect("the commit");
    before
}
