//! What can still be read of a damaged store, from a copy of its files.
//!
//! Engines write when they open their files, and cut off what they cannot read. So they are given a
//! copy, and every record that they read out of it is proved by its own checksum.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jobtrack::store::{Folder, Loss, Remains};
use jobtrack::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::evidence::Evidence;
use crate::label::Label;
use crate::record::{SEAL_KEY, Seal, decode, split_key};
use crate::store::guarded;
use crate::{Engine, Place};

/// Reads what is left of the store in this folder. Nothing is written there, but a copy of the
/// engine's files in the folder `scratch`.
pub(crate) fn salvage<E: Engine>(path: &Path, scratch: &Path) -> Result<Remains> {
    let _still = Folder::hold_still(path)?;
    let files = path.join(E::NAME);
    if !files.is_dir() {
        let message =
            format!("{} has no folder {}, so it is no store of this kind", path.display(), E::NAME);
        return Err(Error::new(ErrorKind::StoreForeign, message));
    }
    let mut losses = Vec::new();
    let label_path = path.join(E::LABEL);
    let label = Label::read_at(&label_path, E::NAME).map_err(|error| {
        losses.push(loss(&label_path, error.message()));
    });
    let label = label.ok();
    let copied = scratch.join(E::NAME);
    copy(&files, &copied).map_err(|error| Folder::refusal("copy", &files, error))?;
    let store = label.map_or(Uuid::nil(), |label| label.store);
    let evidence = Evidence::search(&files, store)
        .map_err(|error| Folder::refusal("read", &files, error))?
        .map_or(0, |evidence| evidence.synced);
    let floor = label.and_then(|label| label.floor).unwrap_or(0).max(evidence);

    let place = Place { path: copied.clone(), store, is_new: false, floor: 0 };
    // What is told is told of the store, and not of its copy.
    let of_the_store =
        |text: &str| text.replace(&*copied.to_string_lossy(), &files.to_string_lossy());
    let mut mended = Vec::new();
    let engine = guarded(&place, || E::open_damaged(&place, &mut mended)).map_err(|error| {
        let message = format!("{}; nothing can be read", of_the_store(error.message()));
        Error::new(error.kind(), message)
    })?;
    for mut found in mended {
        found.file = files.join(found.file.strip_prefix(&copied).unwrap_or(&found.file));
        found.what = of_the_store(&found.what);
        losses.push(found);
    }

    // Forwards to the first place that cannot be read, and backwards to the last one.
    let mut pairs = BTreeMap::new();
    for is_backwards in [false, true] {
        let mut take = |key: &[u8], value: &[u8]| {
            pairs.insert(key.to_vec(), value.to_vec());
            Ok(())
        };
        match guarded(&place, || engine.scan(is_backwards, &mut take)) {
            Ok(()) => break,
            Err(error) if is_backwards => {
                losses.push(loss(&files, &of_the_store(error.message())));
            }
            Err(_) => {}
        }
    }
    // The engine's threads have come to their end before the copy may be removed.
    drop(engine);
    let mut remains = Remains { commit: 0, records: Vec::new(), losses };
    sort(pairs, &files, floor, &mut remains);
    Ok(remains)
}

/// Tells records that are proved from those that are not, and finds out what is missing.
fn sort(mut pairs: BTreeMap<Vec<u8>, Vec<u8>>, files: &Path, floor: u64, remains: &mut Remains) {
    let seal = pairs.remove(SEAL_KEY).and_then(|bytes| Seal::from_bytes(&bytes));
    let (mut unreadable, mut sum) = (0, 0u64);
    for (key, bytes) in pairs {
        let Some((space, own_key)) = split_key(&key) else { continue };
        match decode(&key, &bytes) {
            Some((record, check)) => {
                sum = sum.wrapping_add(check);
                remains.records.push((space, own_key.to_vec(), record));
            }
            None => {
                unreadable += 1;
                let record = Some((space, own_key.to_vec()));
                let what = "it does not match its checksum".to_owned();
                remains.losses.push(Loss { file: files.to_owned(), offset: None, record, what });
            }
        }
    }
    let Some(seal) = seal else {
        remains.losses.push(loss(files, "the seal, so how many records are missing is not known"));
        return;
    };
    remains.commit = seal.commit;
    let found = remains.records.len() as u64 + unreadable;
    if found != seal.records || unreadable == 0 && sum != seal.sum {
        let what = format!(
            "commit {} left {} records, of which {found} are there, perhaps as they were before",
            seal.commit, seal.records
        );
        remains.losses.push(loss(files, &what));
    }
    if seal.commit < floor {
        let what = format!("commits {} to {floor} are gone", seal.commit + 1);
        remains.losses.push(loss(files, &what));
    }
}

fn loss(file: &Path, what: &str) -> Loss {
    Loss { file: file.to_owned(), offset: None, record: None, what: what.to_owned() }
}

/// Copies a folder with all in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to: PathBuf = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            copy_file(File::open(entry.path())?, File::create(to)?)?;
        }
    }
    Ok(())
}

/// Copies a file and leaves out what is empty: a journal made in advance is little else.
fn copy_file(mut from: File, mut to: File) -> io::Result<()> {
    let zeros = vec![0; 64 << 10];
    let mut block = zeros.clone();
    let mut at = 0;
    loop {
        let length = from.read(&mut block)?;
        let read = block.get(..length).unwrap_or_default();
        if length == 0 {
            return to.set_len(at);
        }
        if zeros.get(..length) != Some(read) {
            to.seek(SeekFrom::Start(at))?;
            to.write_all(read)?;
        }
        at += length as u64;
    }
}
