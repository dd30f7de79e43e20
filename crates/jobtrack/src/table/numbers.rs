//! Sorted distinct numbers, packed: the values of a column whose field is not text.
//!
//! Every such value has a key, a whole number whose order is the values' order, so that times,
//! spans, ids and revisions are kept, searched and merged in one way.

// Indices below are positions among the numbers, all of them below `len`: callers hold codes that
// `Column` made from just these numbers.
#![allow(clippy::indexing_slicing)]

use std::time::Duration;

use uuid::Uuid;

use super::bytes::{Damaged, Reader, Writer, check};
use crate::field::{FieldType, ValueRef};
use crate::job::{JobId, Revision};
use crate::timestamp::Timestamp;

/// A number whose order is the order of the values.
pub(crate) type Key = u128;

/// The key of a value that is not text.
pub(crate) fn key_of(value: &ValueRef<'_>) -> Option<Key> {
    // The sign bit turned round puts negative numbers first.
    let signed = |number: i128| number.cast_unsigned() ^ (1 << 127);
    Some(match value {
        ValueRef::Text(_) => return None,
        ValueRef::Integer(number) => signed(*number),
        ValueRef::Time(time) => signed(time.as_micros().into()),
        ValueRef::Span(span) => span.as_nanos(),
        ValueRef::Uuid(uuid) => uuid.as_uuid().as_u128(),
        ValueRef::Bool(value) => u128::from(*value),
        ValueRef::Revision(at) => u128::from(at.epoch) << 64 | u128::from(at.number),
    })
}

/// The value that [`key_of`] made the key of.
#[allow(clippy::cast_possible_truncation)] // Each takes back what `key_of` widened.
pub(crate) fn value_of(field_type: FieldType, key: Key) -> ValueRef<'static> {
    let signed = (key ^ (1 << 127)).cast_signed();
    match field_type {
        FieldType::Text | FieldType::Word(_) => ValueRef::Text(""),
        FieldType::Integer => ValueRef::Integer(signed),
        FieldType::Time => ValueRef::Time(time_of(key)),
        FieldType::Span => ValueRef::Span(span_of(key)),
        FieldType::Uuid => ValueRef::Uuid(JobId::from_uuid(Uuid::from_u128(key))),
        FieldType::Bool => ValueRef::Bool(key != 0),
        FieldType::Revision => {
            ValueRef::Revision(Revision { epoch: (key >> 64) as u64, number: key as u64 })
        }
    }
}

/// The time of this key.
#[allow(clippy::cast_possible_truncation)] // It was an `i64`.
pub(crate) fn time_of(key: Key) -> Timestamp {
    let micros = (key ^ (1 << 127)).cast_signed() as i64;
    Timestamp::from_micros(micros).unwrap_or(Timestamp::MAX)
}

#[allow(clippy::cast_possible_truncation)] // A span has so many seconds and nanoseconds.
fn span_of(key: Key) -> Duration {
    const NANOS: u128 = 1_000_000_000;
    Duration::new((key / NANOS) as u64, (key % NANOS) as u32)
}

/// Numbers in ascending order, each once.
#[derive(Debug, PartialEq)]
pub(crate) struct Numbers {
    least: Key,
    packed: Packed,
}

/// How many numbers share a base.
const BLOCK: usize = 64;

/// The distances from the least number, in the narrowest of these forms that holds them.
#[derive(Debug, PartialEq)]
enum Packed {
    /// Blocks of [`BLOCK`] numbers, each a base and the distances from it.
    Words {
        bases: Box<[u64]>,
        offsets: Box<[u16]>,
    },
    Longs {
        bases: Box<[u64]>,
        offsets: Box<[u32]>,
    },
    Plain(Box<[u64]>),
    Wide(Wide),
}

/// Distances that need more than a word, such as those of uuids, and where to look for one: halving
/// all of them would look at as many places far from each other as there are bits in their number.
#[derive(Debug, PartialEq)]
struct Wide {
    numbers: Box<[u128]>,
    /// Where those begin whose upper bits, all but this many, are at least the index.
    starts: Box<[u16]>,
    lower_bits: u32,
}

/// So many numbers have one start, on average, at least.
const PER_START: usize = 4;

impl Numbers {
    /// Packs numbers that ascend strictly.
    #[allow(clippy::cast_possible_truncation)] // Each form is chosen because it holds them.
    pub(crate) fn build(sorted: &[Key]) -> Numbers {
        let least = sorted.first().copied().unwrap_or(0);
        let span = sorted.last().map_or(0, |last| last - least);
        let blocks = || sorted.chunks(BLOCK);
        let packed = if span > u128::from(u64::MAX) {
            Packed::Wide(Wide::build(sorted.iter().map(|key| key - least).collect()))
        } else {
            let widest = blocks().map(|block| block[block.len() - 1] - block[0]).max();
            let bases = blocks().map(|block| (block[0] - least) as u64).collect();
            let offsets = || blocks().flat_map(|block| block.iter().map(|key| key - block[0]));
            match widest.unwrap_or(0) {
                0..=0xffff => {
                    Packed::Words { bases, offsets: offsets().map(|far| far as u16).collect() }
                }
                0x1_0000..=0xffff_ffff => {
                    Packed::Longs { bases, offsets: offsets().map(|far| far as u32).collect() }
                }
                _ => Packed::Plain(sorted.iter().map(|key| (key - least) as u64).collect()),
            }
        };
        Numbers { least, packed }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match &self.packed {
            Packed::Words { offsets, .. } => offsets.len(),
            Packed::Longs { offsets, .. } => offsets.len(),
            Packed::Plain(numbers) => numbers.len(),
            Packed::Wide(wide) => wide.numbers.len(),
        }
    }

    /// The number of this index.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Key {
        self.least
            + match &self.packed {
                Packed::Words { bases, offsets } => {
                    u128::from(bases[index / BLOCK]) + u128::from(offsets[index])
                }
                Packed::Longs { bases, offsets } => {
                    u128::from(bases[index / BLOCK]) + u128::from(offsets[index])
                }
                Packed::Plain(numbers) => u128::from(numbers[index]),
                Packed::Wide(wide) => wide.numbers[index],
            }
    }

    /// How many of them are less than this.
    pub(crate) fn lower_bound(&self, key: Key) -> usize {
        let Some(far) = key.checked_sub(self.least) else { return 0 };
        let Ok(near) = u64::try_from(far) else {
            return match &self.packed {
                Packed::Wide(wide) => wide.lower_bound(far),
                _ => self.len(),
            };
        };
        match &self.packed {
            Packed::Words { bases, offsets } => {
                in_blocks(bases, offsets, near, |offset| u64::from(*offset))
            }
            Packed::Longs { bases, offsets } => {
                in_blocks(bases, offsets, near, |offset| u64::from(*offset))
            }
            Packed::Plain(numbers) => numbers.partition_point(|number| *number < near),
            Packed::Wide(wide) => wide.lower_bound(far),
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.number(self.least);
        writer.count(self.len());
        match &self.packed {
            Packed::Words { bases, offsets } => {
                writer.number(0_u8);
                writer.numbers(bases);
                writer.numbers(offsets);
            }
            Packed::Longs { bases, offsets } => {
                writer.number(1_u8);
                writer.numbers(bases);
                writer.numbers(offsets);
            }
            Packed::Plain(numbers) => {
                writer.number(2_u8);
                writer.numbers(numbers);
            }
            Packed::Wide(wide) => {
                writer.number(3_u8);
                writer.numbers(&wide.numbers);
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Numbers, Damaged> {
        fn most<T: Copy + Ord + Into<Key>>(numbers: &[T]) -> Key {
            numbers.iter().copied().max().map_or(0, Into::into)
        }
        let least: Key = reader.number()?;
        let count = reader.count()?;
        let blocks = count.div_ceil(BLOCK);
        let (packed, far) = match reader.number::<u8>()? {
            0 => {
                let bases = reader.numbers(blocks)?;
                let offsets: Box<[u16]> = reader.numbers(count)?;
                let far = most(&bases) + most(&offsets);
                (Packed::Words { bases, offsets }, far)
            }
            1 => {
                let bases = reader.numbers(blocks)?;
                let offsets: Box<[u32]> = reader.numbers(count)?;
                let far = most(&bases) + most(&offsets);
                (Packed::Longs { bases, offsets }, far)
            }
            2 => {
                let numbers: Box<[u64]> = reader.numbers(count)?;
                let far = most(&numbers);
                (Packed::Plain(numbers), far)
            }
            3 => {
                let numbers: Box<[u128]> = reader.numbers(count)?;
                check(numbers.is_sorted_by(|number, next| number < next))?;
                // The starts of other numbers would be more than there are of them.
                check(numbers.first() == Some(&0) && count <= usize::from(u16::MAX))?;
                let far = most(&numbers);
                (Packed::Wide(Wide::build(numbers)), far)
            }
            _ => return Err(Damaged),
        };
        // So that no sum overflows.
        check(least.checked_add(far).is_some())?;
        Ok(Numbers { least, packed })
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        match &self.packed {
            Packed::Words { bases, offsets } => bases.len() * 8 + offsets.len() * 2,
            Packed::Longs { bases, offsets } => bases.len() * 8 + offsets.len() * 4,
            Packed::Plain(numbers) => numbers.len() * 8,
            Packed::Wide(wide) => wide.numbers.len() * 16 + wide.starts.len() * 2,
        }
    }
}

impl Wide {
    /// Of numbers that ascend strictly from 0 on.
    fn build(numbers: Box<[u128]>) -> Wide {
        let last = numbers.last().copied().unwrap_or(0);
        let bits = u128::BITS - last.leading_zeros();
        let lower_bits = bits.saturating_sub((numbers.len() / PER_START).max(1).ilog2());
        let mut starts = Vec::new();
        for (number, at) in numbers.iter().zip(0..) {
            let upper = upper_bits(*number, lower_bits);
            while starts.len() <= upper {
                starts.push(at);
            }
        }
        Wide { numbers, starts: starts.into(), lower_bits }
    }

    /// How many of them are less than this.
    fn lower_bound(&self, far: u128) -> usize {
        let upper = upper_bits(far, self.lower_bits);
        let Some(start) = self.starts.get(upper) else { return self.numbers.len() };
        let end = self.starts.get(upper + 1).map_or(self.numbers.len(), |end| usize::from(*end));
        let start = usize::from(*start);
        start + self.numbers[start..end].partition_point(|number| *number < far)
    }
}

/// All bits but the lower ones, of which there may be 128.
fn upper_bits(number: u128, lower_bits: u32) -> usize {
    usize::try_from(number.checked_shr(lower_bits).unwrap_or(0)).unwrap_or(usize::MAX)
}

fn in_blocks<T>(bases: &[u64], offsets: &[T], near: u64, widen: impl Fn(&T) -> u64) -> usize {
    // The last block that begins at or below it; what lies below that block's first is less.
    let Some(block) = bases.partition_point(|base| *base <= near).checked_sub(1) else { return 0 };
    let start = block * BLOCK;
    let end = offsets.len().min(start + BLOCK);
    start + offsets[start..end].partition_point(|offset| widen(offset) < near - bases[block])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Distances of every width, so that every form is made.
    fn keys() -> impl Strategy<Value = Vec<Key>> {
        (any::<u128>(), 0..=127_u32, 0..400_usize).prop_flat_map(|(base, bits, count)| {
            proptest::collection::btree_set(0..1_u128 << bits, 0..=count)
                .prop_map(move |far| far.iter().filter_map(|far| base.checked_add(*far)).collect())
        })
    }

    proptest! {
        #[test]
        fn packed_numbers_are_the_numbers(keys in keys(), other in any::<u128>()) {
            let numbers = Numbers::build(&keys);
            prop_assert_eq!(numbers.len(), keys.len());
            let got: Vec<_> = (0..keys.len()).map(|index| numbers.get(index)).collect();
            prop_assert_eq!(&got, &keys);
            let near: BTreeSet<_> = keys.iter()
                .flat_map(|key| [key.saturating_sub(1), *key, key.saturating_add(1)])
                .chain([0, other, u128::MAX])
                .collect();
            for key in near {
                let expected = keys.partition_point(|number| *number < key);
                prop_assert_eq!(numbers.lower_bound(key), expected, "{}", key);
            }
        }

        #[test]
        fn keys_keep_the_order_of_values(a in any::<i128>(), b in any::<i128>(), n in any::<u64>()) {
            let key = |value| key_of(&value).unwrap();
            let integer = ValueRef::Integer;
            prop_assert_eq!(key(integer(a)).cmp(&key(integer(b))), a.cmp(&b));
            prop_assert_eq!(value_of(FieldType::Integer, key(integer(a))), integer(a));
            let revision = ValueRef::Revision(Revision { epoch: n, number: !n });
            prop_assert_eq!(value_of(FieldType::Revision, key(revision)), revision);
            let span = ValueRef::Span(Duration::new(n, 999_999_999));
            prop_assert_eq!(value_of(FieldType::Span, key(span)), span);
        }
    }

    #[test]
    fn times_at_both_ends_of_the_range_keep_their_order() {
        let key = |time| key_of(&ValueRef::Time(time)).unwrap();
        assert!(key(Timestamp::MIN) < key(Timestamp::MAX));
        for time in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(value_of(FieldType::Time, key(time)), ValueRef::Time(time));
        }
    }
}
