//! The inputs that are kept, at every door: where fuzzing begins, and what it found.

// The helpers of tests are a part of them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use jobtrack_doors::DOORS;

fn kept(folder: &str, door: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(folder).join(door);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn all_that_was_kept_is_taken_as_it_must_be() {
    let mut failed = Vec::new();
    for (door, takes) in DOORS {
        let seeds = kept("seeds", door);
        assert!(!seeds.is_empty(), "fuzz/seeds/{door} is empty");
        for path in seeds.into_iter().chain(kept("found", door)) {
            let bytes = fs::read(&path).unwrap();
            if catch_unwind(|| takes(&bytes)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// Every door has a fuzz target of its name, and every target and folder has a door.
#[test]
fn doors_targets_and_folders_have_the_same_names() {
    let names: Vec<_> = DOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert!(names.is_sorted());
    for folder in ["fuzz_targets", "seeds"] {
        let found = kept(folder, "").into_iter();
        let found: Vec<_> =
            found.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(found, names, "in fuzz/{folder}");
    }
    let found = kept("found", "").into_iter();
    for name in found.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()) {
        assert!(names.contains(&name), "fuzz/found/{name} belongs to no door");
    }
}
