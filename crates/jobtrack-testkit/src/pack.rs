//! A folder in one file, without what is empty in it.
//!
//! Stores make files in advance, which are mostly zeros. Numbers are big endian:
//!
//! ```text
//! for each file, in the order of paths: length of the path u16 · path · length of the file u64 ·
//!   number of pieces u32 · for each piece: offset u64 · length u32 · bytes
//! ```

// Test code that is not compiled as a test: to fail is how it speaks.
#![allow(clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// Zeros of this length are left out.
const PIECE: usize = 64;

/// Packs every file of a folder but the lock, whose text is of the process that wrote it.
pub(crate) fn pack(folder: &Path) -> Vec<u8> {
    let mut files = BTreeMap::new();
    collect(folder, "", &mut files);
    let mut packed = Vec::new();
    for (path, bytes) in files {
        packed.extend(u16::try_from(path.len()).expect("a short path").to_be_bytes());
        packed.extend(path.as_bytes());
        packed.extend((bytes.len() as u64).to_be_bytes());
        let pieces = pieces(&bytes);
        packed.extend(u32::try_from(pieces.len()).expect("a small file").to_be_bytes());
        for (offset, piece) in pieces {
            packed.extend((offset as u64).to_be_bytes());
            packed.extend(u32::try_from(piece.len()).expect("a small file").to_be_bytes());
            packed.extend(piece);
        }
    }
    packed
}

/// Makes the folder of a pack.
pub(crate) fn unpack(mut packed: &[u8], folder: &Path) {
    while !packed.is_empty() {
        let length = usize::from(u16::from_be_bytes(take(&mut packed)));
        let path = packed.split_off(..length).expect("a path");
        let path = folder.join(std::str::from_utf8(path).expect("a path in UTF-8"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let mut file = File::create(path).expect("a file");
        file.set_len(u64::from_be_bytes(take(&mut packed))).expect("its length");
        for _ in 0..u32::from_be_bytes(take(&mut packed)) {
            file.seek(SeekFrom::Start(u64::from_be_bytes(take(&mut packed)))).expect("an offset");
            let length = usize::try_from(u32::from_be_bytes(take(&mut packed))).expect("a length");
            file.write_all(packed.split_off(..length).expect("a piece")).expect("its bytes");
        }
    }
}

fn take<const N: usize>(packed: &mut &[u8]) -> [u8; N] {
    *packed.split_off(..N).and_then(|bytes| bytes.first_chunk()).expect("a whole pack")
}

fn collect(folder: &Path, under: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("the folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let name = if under.is_empty() { name } else { format!("{under}/{name}") };
        if entry.path().is_dir() {
            collect(&entry.path(), &name, files);
        } else if name != "LOCK" {
            files.insert(name, fs::read(entry.path()).expect("the file"));
        }
    }
}

/// What is not empty, and where.
fn pieces(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let empty = [0; PIECE];
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    for (n, piece) in bytes.chunks(PIECE).enumerate() {
        if empty.get(..piece.len()) == Some(piece) {
            continue;
        }
        let from = n * PIECE;
        match pieces.last_mut() {
            Some((_, end)) if *end == from => *end += piece.len(),
            _ => pieces.push((from, from + piece.len())),
        }
    }
    let slice = |(from, end)| bytes.get(from..end).map(|piece| (from, piece));
    pieces.into_iter().filter_map(slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_comes_back_as_it_was() {
        let parent = tempfile::tempdir().unwrap();
        let (from, to) = (parent.path().join("from"), parent.path().join("to"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        let mut sparse = vec![0; 100_001];
        sparse[70_000] = 7;
        sparse[100_000] = 9;
        for (name, bytes) in
            [("x", &b""[..]), ("a/y", b"text"), ("a/b/z", &sparse), ("zeros", &[0; 999])]
        {
            fs::write(from.join(name), bytes).unwrap();
        }
        let packed = pack(&from);
        assert!(packed.len() < 1_000, "{}", packed.len());
        unpack(&packed, &to);
        assert_eq!(pack(&to), packed);
        assert_eq!(fs::read(to.join("a/b/z")).unwrap(), sparse);
    }
}
