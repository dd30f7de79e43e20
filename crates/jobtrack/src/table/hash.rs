//! A fast hash for the engine's own maps.
//!
//! The standard library's takes longer for a uuid than all else that a map does with it. This one
//! folds sixteen bytes with one wide multiplication. It is no cryptographic hash; but its seed is
//! drawn anew in each process, so that nobody outside can choose uuids or texts that collide.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

/// A map with the fast hash.
pub(crate) type FastMap<K, V> = HashMap<K, V, FastState>;

/// Numbers whose bits are as good as random: the digits of pi.
const MULTIPLIER: u64 = 0x2437_0734_4a40_9382;
const OTHER: u64 = 0x2299_f31d_0082_efa9;

/// Makes hashers, all of one seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FastState(u64);

/// Hashes what it is given.
#[derive(Debug)]
pub(crate) struct FastHasher(u64);

impl Default for FastState {
    fn default() -> Self {
        static SEED: OnceLock<u64> = OnceLock::new();
        FastState(*SEED.get_or_init(|| RandomState::new().hash_one(MULTIPLIER)))
    }
}

impl BuildHasher for FastState {
    type Hasher = FastHasher;

    fn build_hasher(&self) -> FastHasher {
        FastHasher(self.0)
    }
}

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks();
        blocks.iter().for_each(|block| self.block(block));
        // What is short is told from what ends in zeros by its length.
        let mut last = [0; 16];
        last.iter_mut().zip(rest).for_each(|(last, rest)| *last = *rest);
        if !rest.is_empty() {
            self.block(&last);
        }
        self.write_u64(bytes.len() as u64);
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = fold(self.0 ^ number, MULTIPLIER);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

impl FastHasher {
    fn block(&mut self, block: &[u8; 16]) {
        let number = u128::from_le_bytes(*block);
        self.0 = fold(low(number) ^ self.0, low(number >> 64) ^ OTHER);
    }
}

/// The two halves of the product, each of which alone would lose some of the bits.
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    low(product) ^ low(product >> 64)
}

#[allow(clippy::cast_possible_truncation)] // The lower half is what is wanted.
fn low(number: u128) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Uuids of version 7 differ in few bits, and must be spread all the same: over the upper bits,
    /// which choose shards and groups of slots, as over the lower ones.
    #[test]
    fn ids_that_are_alike_are_spread() {
        let state = FastState::default();
        let hash = |n: u128| state.hash_one(n.to_be_bytes());
        let hashes: Vec<u64> = (0..65_536).map(|n| hash(((n % 256) << 80) | (n / 256))).collect();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
        for shift in [0, 28, 54] {
            let mut counts = [0_u32; 1_024];
            hashes.iter().for_each(|hash| counts[(hash >> shift & 1_023) as usize] += 1);
            // 64 on average, and hardly ever further off than by six times their root.
            assert!(counts.iter().all(|count| (16..=112).contains(count)), "{shift}: {counts:?}");
        }
    }

    #[test]
    fn texts_are_told_apart_by_every_byte_and_by_length() {
        let state = FastState::default();
        let text = "Move volume vol_0123 to aggr1";
        let texts = (0..text.len()).map(|at| &text[..at]);
        let changed = (0..text.len()).map(|at| {
            let mut other = text.as_bytes().to_vec();
            other[at] ^= 1;
            String::from_utf8(other).unwrap()
        });
        let all: HashSet<u64> = texts
            .map(str::to_owned)
            .chain(changed)
            .chain(["\0".to_owned(), "\0\0".to_owned()])
            .map(|text| state.hash_one(text))
            .collect();
        assert_eq!(all.len(), 2 * text.len() + 2);
    }
}
