//! fjall's tables and the lists of them, checked before fjall opens them.
//!
//! Each keyspace has a folder with a file `current`, which names the newest list, `v` and a number,
//! and holds its checksum: number u64 · XXH3 u128 · 0, little endian. The list holds the checksum of
//! every table in the folder `tables`. fjall 3.1 writes both and reads neither. Damage can make it
//! panic with a lock in its hand, and then again when the lock is let go, or ask for more memory than
//! there is: both end the process. And a keyspace without the file `current` it removes. So none of
//! these may get that far.
//!
//! The list is an archive of [`sfa`]. Its section `tables` is
//!
//! ```text
//! number of levels u8, for each: number of runs u8, for each: number of tables u32, for each:
//!   id u64 · 0 · XXH3 u128 · sequence number u64
//! ```

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use jobtrack::Result;
use jobtrack_checked::Place;
use xxhash_rust::xxh3::Xxh3;

/// Refuses a list or a table that does not match its checksum, or is missing.
pub(crate) fn inspect(place: &Place) -> Result<()> {
    let keyspaces = place.path.join("keyspaces");
    let refused = |error| place.refusal("read", &keyspaces, error);
    for entry in fs::read_dir(&keyspaces).map_err(refused)? {
        let folder = entry.map_err(refused)?.path();
        if folder.is_dir() {
            inspect_keyspace(place, &folder)?;
        }
    }
    Ok(())
}

fn inspect_keyspace(place: &Place, folder: &Path) -> Result<()> {
    let current = folder.join("current");
    let bytes = fs::read(&current).map_err(|error| place.refusal("read", &current, error))?;
    let damaged = |path: &Path, why| place.damaged(format!("{} {why}", path.display()));
    let parsed = bytes.split_first_chunk().and_then(|(number, rest)| {
        let (check, kind) = rest.split_first_chunk()?;
        (kind == [0]).then_some((u64::from_le_bytes(*number), u128::from_le_bytes(*check)))
    });
    let Some((number, check)) = parsed else {
        return Err(damaged(&current, "is not as fjall writes it"));
    };
    let list = folder.join(format!("v{number}"));
    let found = digest(&list).map_err(|error| place.refusal("read", &list, error))?;
    if found != check {
        return Err(damaged(&list, "does not match its checksum, which is in the file current"));
    }
    let tables = tables(&list).map_err(|error| place.refusal("read", &list, error))?;
    for (id, check) in tables {
        let table = folder.join("tables").join(id.to_string());
        let found = digest(&table).map_err(|error| place.refusal("read", &table, error))?;
        if found != check {
            return Err(damaged(&table, "does not match its checksum, which is in the list"));
        }
    }
    Ok(())
}

/// The tables that a list names, and their checksums.
fn tables(list: &Path) -> io::Result<Vec<(u64, u128)>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it has no list of tables");
    let archive = sfa::Reader::new(list).map_err(|error| match error {
        sfa::Error::Io(error) => error,
        _ => invalid(),
    })?;
    let mut bytes = Vec::new();
    let section = archive.toc().section(b"tables").ok_or_else(invalid)?;
    section.reader(list)?.read_to_end(&mut bytes)?;
    parse_tables(&bytes).ok_or_else(invalid)
}

fn parse_tables(mut bytes: &[u8]) -> Option<Vec<(u64, u128)>> {
    let mut tables = Vec::new();
    let [levels] = take(&mut bytes)?;
    for _ in 0..levels {
        let [runs] = take(&mut bytes)?;
        for _ in 0..runs {
            for _ in 0..u32::from_le_bytes(take(&mut bytes)?) {
                let id = u64::from_le_bytes(take(&mut bytes)?);
                let [0] = take(&mut bytes)? else { return None };
                let check = u128::from_le_bytes(take(&mut bytes)?);
                let _sequence: [u8; 8] = take(&mut bytes)?;
                tables.push((id, check));
            }
        }
    }
    bytes.is_empty().then_some(tables)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

fn digest(path: &Path) -> io::Result<u128> {
    let mut file = File::open(path)?;
    let mut hasher = Xxh3::new();
    let mut block = vec![0; 64 << 10];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hasher.digest128()),
            length => hasher.update(block.get(..length).unwrap_or_default()),
        }
    }
}
