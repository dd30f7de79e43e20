//! The bytes of a record and of a seal, and the checksum over both.

use jobtrack::store::{Record, Space};
use uuid::Uuid;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The key of the seal. No record has it, since each begins with the letter of its space.
pub(crate) const SEAL_KEY: &[u8] = b"s";

/// What a seal begins with, wherever an engine puts it.
pub(crate) const SEAL_MAGIC: &[u8; 8] = b"jobseal1";

/// How long a seal is.
pub(crate) const SEAL_BYTES: usize = 64;

/// What every commit writes beside its records: that it was, and what the store holds since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The store that wrote it.
    pub store: Uuid,
    /// The number of the commit.
    pub commit: u64,
    /// The last commit that was known to be synced when this one was written.
    pub synced: u64,
    /// How many records there are.
    pub records: u64,
    /// The sum of their checksums, modulo 2^64.
    pub sum: u64,
}

impl Seal {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEAL_BYTES);
        bytes.extend(SEAL_MAGIC);
        bytes.extend(self.store.as_bytes());
        for number in [self.commit, self.synced, self.records, self.sum] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(xxh3_64(&bytes).to_be_bytes());
        bytes
    }

    /// The seal that these bytes begin with, if they do.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Seal> {
        let (body, check) = bytes.get(..SEAL_BYTES)?.split_last_chunk()?;
        if u64::from_be_bytes(*check) != xxh3_64(body) {
            return None;
        }
        let (store, numbers) = body.strip_prefix(SEAL_MAGIC)?.split_first_chunk()?;
        let mut numbers = numbers.chunks_exact(8).map_while(|chunk| chunk.try_into().ok());
        let mut number = || numbers.next().map(u64::from_be_bytes);
        Some(Seal {
            store: Uuid::from_bytes(*store),
            commit: number()?,
            synced: number()?,
            records: number()?,
            sum: number()?,
        })
    }
}

/// The key under which the engine has a record: the letter of its space, then its own.
pub(crate) fn record_key(space: Space, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + key.len());
    bytes.push(letter(space));
    bytes.extend(key);
    bytes
}

/// The record of an engine's key.
pub(crate) fn split_key(key: &[u8]) -> Option<(Space, &[u8])> {
    let (first, key) = key.split_first()?;
    let space = Space::ALL.iter().find(|space| letter(**space) == *first)?;
    Some((*space, key))
}

fn letter(space: Space) -> u8 {
    match space {
        Space::Job => b'j',
        Space::Key => b'k',
        Space::Tombstone => b't',
        Space::Log => b'l',
        Space::Blob => b'b',
        Space::Meta => b'm',
    }
}

/// A record as the engine has it: revision, value, checksum. And the checksum.
pub(crate) fn encode(key: &[u8], revision: u64, value: &[u8]) -> (Vec<u8>, u64) {
    let mut bytes = Vec::with_capacity(value.len() + 16);
    bytes.extend(revision.to_be_bytes());
    bytes.extend(value);
    let check = check(key, &bytes);
    bytes.extend(check.to_be_bytes());
    (bytes, check)
}

/// The record and its checksum; None if they do not match.
pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Option<(Record, u64)> {
    let (body, found) = bytes.split_last_chunk()?;
    let found = u64::from_be_bytes(*found);
    let (revision, value) = body.split_first_chunk()?;
    let record = Record { revision: u64::from_be_bytes(*revision), value: value.to_vec() };
    (found == check(key, body)).then_some((record, found))
}

/// One function is both the checksum of a record and what the seal adds up, so that a seal costs
/// nothing to keep up: what a record adds is stored at its end.
fn check(key: &[u8], body: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    // The length first, so that no byte can pass from the key to the revision unnoticed.
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(body);
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal { store: Uuid::from_u128(7), commit: 9, synced: 8, records: 2, sum: 3 };

    #[test]
    fn a_seal_comes_back_and_none_that_is_changed() {
        let bytes = SEAL.to_bytes();
        assert_eq!(bytes.len(), SEAL_BYTES);
        assert_eq!(Seal::from_bytes(&bytes), Some(SEAL));
        assert_eq!(Seal::from_bytes(&[&bytes[..], b"more"].concat()), Some(SEAL));
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(Seal::from_bytes(&bytes), None, "byte {at}");
            assert_eq!(Seal::from_bytes(&bytes[..at]), None);
        }
    }

    #[test]
    fn a_record_comes_back_and_none_that_is_changed() {
        let key = record_key(Space::Blob, b"key");
        let (bytes, check) = encode(&key, 5, b"value");
        let record = Record { revision: 5, value: b"value".to_vec() };
        assert_eq!(decode(&key, &bytes), Some((record, check)));
        assert_eq!(split_key(&key), Some((Space::Blob, &b"key"[..])));
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            assert_eq!(decode(&key, &bytes), None, "byte {at}");
            assert_eq!(decode(&key, &bytes[..at]), None, "cut to {at}");
        }
        assert_eq!(decode(&record_key(Space::Job, b"key"), &bytes), None, "of another space");
        assert_eq!(decode(b"ke", &bytes), None, "under another key");
    }

    #[test]
    fn every_space_has_a_letter_of_its_own() {
        for &space in Space::ALL {
            let key = record_key(space, b"");
            assert_eq!(split_key(&key), Some((space, &b""[..])));
            assert_ne!(key, SEAL_KEY);
        }
        assert_eq!(split_key(SEAL_KEY), None);
    }
}
