//! One byte for the store, and damages to its files, six bytes each: the store is refused by name,
//! or is what it was. It is never silently less, and not at a second opening either.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jobtrack::store::{Durability, Record, Space};
use jobtrack::{ErrorKind, Result};
use jobtrack_testkit::conformance::{batch, write};

use crate::stores::open;

const COMMITS: u8 = 12;
const STORES: u8 = 3;

type Content = (u64, Vec<(Space, Vec<u8>, Record)>);

struct Whole {
    files: BTreeMap<PathBuf, Option<Vec<u8>>>,
    content: Content,
}

/// Damages the files and opens the store.
///
/// # Panics
///
/// Where damage is read as if nothing were amiss.
pub fn store_files(data: &[u8]) {
    let Some((&kind, damages)) = data.split_first() else { return };
    let kind = kind % STORES;
    let whole = whole(kind);
    let mut files = whole.files.clone();
    let mut bytes: Vec<_> = files.values_mut().filter_map(Option::as_mut).collect();
    for damage in damages.chunks_exact(6) {
        if let [which, what, low, middle, high, value] = *damage {
            let count = bytes.len();
            let bytes = &mut *bytes[usize::from(which) % count];
            let at = u32::from_le_bytes([low, middle, high, 0]) as usize % (bytes.len() + 1);
            match what % 4 {
                0 => bytes.truncate(at),
                1 => bytes.iter_mut().skip(at & !511).take(512).for_each(|byte| *byte = 0),
                _ => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= value.max(1)),
            }
        }
    }
    let folder = new_folder();
    let path = folder.path().join("data");
    put(&path, &files);
    let outcome = content(kind, &path);
    match &outcome {
        Ok(found) => {
            let differs = || format!("commit {} of {COMMITS}", found.0);
            assert!(*found == whole.content, "{} was read as if nothing were amiss", differs());
        }
        Err(error) => {
            let kinds = [ErrorKind::StoreDamaged, ErrorKind::StoreForeign, ErrorKind::StoreTooNew];
            assert!(kinds.contains(&error.kind()), "{error:?}");
            assert!(error.message().contains(&*path.to_string_lossy()), "{error:?} names no file");
        }
    }
    // What was refused must not be accepted a moment later with something missing.
    match content(kind, &path) {
        Ok(second) => assert!(second == whole.content, "at a second opening"),
        Err(error) => assert!(outcome.is_err(), "taken once, and then {error:?}"),
    }
}

fn whole(kind: u8) -> &'static Whole {
    static WHOLE: [OnceLock<Whole>; STORES as usize] = [const { OnceLock::new() }; STORES as usize];
    WHOLE[usize::from(kind)].get_or_init(|| {
        let folder = new_folder();
        let path = folder.path().join("data");
        // In two openings, since some engines tidy up at the next one only; and a third that only
        // closes, so that whatever is missing afterwards is missed.
        for commits in [0..COMMITS / 2, COMMITS / 2..COMMITS, 0..0] {
            let store = open(kind, &path).expect("a sound store");
            for n in commits {
                let writes = Space::ALL.iter().map(|&space| write(space, &[n], Some(&[n; 80])));
                store.commit(&batch([], writes), Durability::Synced).expect("the commit");
            }
        }
        let files = take(&path);
        let content = content(kind, &path).expect("a sound store");
        assert_eq!(content.0, u64::from(COMMITS));
        Whole { files, content }
    })
}

fn content(kind: u8, path: &Path) -> Result<Content> {
    let store = open(kind, path)?;
    let mut records = Vec::new();
    let last = store.load(&mut |space, key, record| {
        records.push((space, key.to_vec(), record));
        Ok(())
    })?;
    for n in 0..COMMITS {
        for space in [Space::Log, Space::Blob] {
            let record = store.read(space, &[n])?;
            records.extend(record.map(|record| (space, vec![n], record)));
        }
    }
    Ok((last, records))
}

/// Files in memory, where the system has a place for them.
fn new_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

fn take(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut left = vec![PathBuf::new()];
    while let Some(under) = left.pop() {
        for entry in fs::read_dir(folder.join(&under)).expect("the folder") {
            let path = under.join(entry.expect("the entry").file_name());
            if folder.join(&path).is_dir() {
                left.push(path.clone());
                files.insert(path, None);
            } else if path != Path::new("LOCK") {
                let bytes = fs::read(folder.join(&path)).expect("the file");
                files.insert(path, Some(bytes));
            }
        }
    }
    files
}

fn put(folder: &Path, files: &BTreeMap<PathBuf, Option<Vec<u8>>>) {
    fs::create_dir(folder).expect("the folder");
    for (path, bytes) in files {
        match bytes {
            None => fs::create_dir(folder.join(path)).expect("the folder"),
            Some(bytes) => fs::write(folder.join(path), bytes).expect("the file"),
        }
    }
}
