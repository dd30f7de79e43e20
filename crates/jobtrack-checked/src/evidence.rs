//! What the files themselves tell of the commits that the store once held.
//!
//! An engine that finds damage where it expects the end of its journal drops what comes after it,
//! on disk too, and then knows nothing of it any more. So the files are searched before it may touch
//! them. The search knows nothing of any engine's format: it looks for seals, byte for byte. Nobody
//! can fake one in the payload of a job: that takes the store's id, which is shown nowhere.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memchr::memmem;
use uuid::Uuid;

use crate::record::{SEAL_BYTES, SEAL_MAGIC, Seal};

/// How much of a file is searched at a time.
const BLOCK: usize = 256 << 10;

/// The seal that proves most, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The commit that had been synced when the seal was written.
    pub(crate) synced: u64,
    /// The file.
    pub(crate) file: PathBuf,
    /// Where in it the seal begins.
    pub(crate) offset: u64,
}

impl Evidence {
    /// Searches every file under the folder for seals of this store.
    pub(crate) fn search(folder: &Path, store: Uuid) -> io::Result<Option<Evidence>> {
        let mut best: Option<Evidence> = None;
        for entry in fs::read_dir(folder)? {
            let file = entry?.path();
            let found = if file.is_dir() {
                Self::search(&file, store)?
            } else {
                let mut strongest: Option<(u64, u64)> = None;
                seals(File::open(&file)?, store, |offset, seal| {
                    if strongest.is_none_or(|(_, synced)| seal.synced > synced) {
                        strongest = Some((offset, seal.synced));
                    }
                })?;
                strongest.map(|(offset, synced)| Evidence { synced, file, offset })
            };
            if let Some(found) = found
                && best.as_ref().is_none_or(|best| found.synced > best.synced)
            {
                best = Some(found);
            }
        }
        Ok(best)
    }
}

/// Hands every seal of this store, and the offset at which it begins, to `visit`, in their order.
///
/// # Errors
///
/// Those of the reader.
pub fn seals(mut from: impl Read, store: Uuid, mut visit: impl FnMut(u64, Seal)) -> io::Result<()> {
    let finder = memmem::Finder::new(SEAL_MAGIC);
    let zeros = vec![0; BLOCK];
    let mut block = vec![0; BLOCK];
    // What was read and not searched to its end, since a seal may go on in what is read next.
    let mut held: Vec<u8> = Vec::new();
    let mut start = 0;
    loop {
        let length = from.read(&mut block)?;
        let read = block.get(..length).unwrap_or_default();
        // A journal made in advance is mostly zeros, which compare faster than they search.
        if length > 0 && held.is_empty() && zeros.get(..length) == Some(read) {
            start += length as u64;
            continue;
        }
        held.extend(read);
        for at in finder.find_iter(&held) {
            if let Some(seal) = held.get(at..).and_then(Seal::from_bytes)
                && seal.store == store
            {
                visit(start + at as u64, seal);
            }
        }
        if length == 0 {
            return Ok(());
        }
        // A seal that is whole was seen; one that is cut by the end begins in these last bytes. It
        // is not seen twice, since they are too few for a whole one.
        let searched = held.len().saturating_sub(SEAL_BYTES - 1);
        held.drain(..searched);
        start += searched as u64;
        if held.iter().all(|byte| *byte == 0) {
            start += held.len() as u64;
            held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives so much at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(out.len());
            (&mut self.0).take(length as u64).read(out)
        }
    }

    #[test]
    fn seals_are_found_wherever_they_stand_and_however_they_are_read() {
        let store = Uuid::from_u128(1);
        let seal = |commit| Seal { store, commit, synced: commit - 1, records: 0, sum: 0 };
        let foreign = Seal { store: Uuid::from_u128(2), ..seal(9) };
        let mut bytes = b"jobseal1jobs".to_vec();
        let mut expected = Vec::new();
        for (commit, gap) in [(1, 0), (2, 1), (3, 63), (4, 64), (5, 1000), (6, 3)] {
            bytes.extend(vec![0; gap]);
            expected.push((bytes.len() as u64, seal(commit)));
            bytes.extend(seal(commit).to_bytes());
            bytes.extend(foreign.to_bytes());
            bytes.extend(&seal(7).to_bytes()[..40]);
        }
        for at_a_time in [1, 7, 63, 64, 65, 100, 100_000] {
            let mut found = Vec::new();
            seals(Drip(&bytes, at_a_time), store, |offset, seal| found.push((offset, seal)))
                .unwrap();
            assert_eq!(found, expected, "{at_a_time} bytes at a time");
        }
    }

    #[test]
    fn the_strongest_seal_of_a_folder_wins() {
        let folder = tempfile::tempdir().unwrap();
        let store = Uuid::from_u128(1);
        assert_eq!(Evidence::search(folder.path(), store).unwrap(), None);
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for (name, synced) in [("x", 3), ("a/y", 7), ("a/b/z", 5)] {
            let seal = Seal { store, commit: 9, synced, records: 0, sum: 0 };
            fs::write(folder.path().join(name), [&[1; 10], &seal.to_bytes()[..]].concat()).unwrap();
        }
        let best = Evidence::search(folder.path(), store).unwrap().unwrap();
        assert_eq!((best.synced, best.offset), (7, 10));
        assert_eq!(best.file, folder.path().join("a/y"));
    }
}
