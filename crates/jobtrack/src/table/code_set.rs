//! Sets of codes of one column: what a test becomes in a segment.

use std::ops::Range;
use std::sync::OnceLock;

use super::codes::{Code, Codes, RowId};

/// So many ranges are gone through one by one; of more there is a bit for each code.
const FEW: usize = 4;

/// Some codes of a column, 0 (unset) among them or not.
#[derive(Debug, Clone, Default)]
pub(crate) struct CodeSet {
    /// In ascending order, none empty, none touching the next.
    ranges: Vec<Range<u32>>,
    /// A bit for each code, where there are many ranges.
    bits: Option<Box<[u64]>>,
    /// How many rows of the column have one of them, once that was counted.
    rows: OnceLock<usize>,
}

impl CodeSet {
    /// The codes of a range, which may be empty.
    pub(crate) fn of(range: Range<u32>) -> CodeSet {
        CodeSet {
            ranges: if range.is_empty() { Vec::new() } else { vec![range] },
            bits: None,
            rows: OnceLock::new(),
        }
    }

    /// The codes of these ranges, in any order.
    pub(crate) fn union(mut ranges: Vec<Range<u32>>) -> CodeSet {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<u32>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        CodeSet { ranges: joined, bits: None, rows: OnceLock::new() }.with_bits()
    }

    /// The codes that are in both.
    pub(crate) fn intersection(&self, other: &CodeSet) -> CodeSet {
        let mut both = Vec::new();
        let (mut own, mut others) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(a), Some(b)) = (own.peek(), others.peek()) {
            let common = a.start.max(b.start)..a.end.min(b.end);
            if !common.is_empty() {
                both.push(common);
            }
            if a.end < b.end {
                own.next();
            } else {
                others.next();
            }
        }
        CodeSet { ranges: both, bits: None, rows: OnceLock::new() }.with_bits()
    }

    /// The codes from 1 up to and without `end` that are not in it.
    pub(crate) fn opposite(&self, end: u32) -> CodeSet {
        let mut from = 1;
        let mut left = Vec::new();
        for range in &self.ranges {
            if from < range.start.min(end) {
                left.push(from..range.start.min(end));
            }
            from = from.max(range.end);
        }
        if from < end {
            left.push(from..end);
        }
        CodeSet { ranges: left, bits: None, rows: OnceLock::new() }.with_bits()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether it has every code of this range.
    pub(crate) fn covers(&self, range: &Range<u32>) -> bool {
        range.is_empty()
            || self.ranges.iter().any(|own| own.start <= range.start && range.end <= own.end)
    }

    pub(crate) fn ranges(&self) -> &[Range<u32>] {
        &self.ranges
    }

    /// How many rows of its column have one of them, which is counted once.
    pub(crate) fn rows(&self, count: impl FnOnce() -> usize) -> usize {
        *self.rows.get_or_init(count)
    }

    /// The same if that was counted before.
    pub(crate) fn counted(&self) -> Option<usize> {
        self.rows.get().copied()
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let bits = self.bits.as_ref().map_or(0, |bits| bits.len() * 8);
        self.ranges.capacity() * size_of::<Range<u32>>() + bits
    }

    /// How many codes it has.
    pub(crate) fn len(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    pub(crate) fn contains(&self, code: Code) -> bool {
        match &self.bits {
            None => self.ranges.iter().any(|range| range.contains(&code.into())),
            Some(bits) => {
                let word = bits.get(usize::from(code) / 64).copied().unwrap_or(0);
                word >> (code % 64) & 1 == 1
            }
        }
    }

    /// Tells every row below `rows` that has one of these codes, in order of row.
    pub(crate) fn each_row(&self, codes: &Codes, rows: usize, tell: &mut dyn FnMut(RowId)) {
        let all = || (0..rows).filter_map(|row| RowId::try_from(row).ok());
        match codes {
            Codes::Same(code) if self.contains(*code) => all().for_each(tell),
            Codes::Same(_) => {}
            Codes::Bytes(codes) => {
                // A byte has few values, so each is decided once.
                let mut takes = [false; 256];
                takes.iter_mut().zip(0..).for_each(|(takes, code)| *takes = self.contains(code));
                let taken = |code: &u8| takes.get(usize::from(*code)).copied().unwrap_or(false);
                let rows = codes.iter().zip(all()).filter(|(code, _)| taken(code));
                rows.for_each(|(_, row)| tell(row));
            }
            Codes::Words(codes) => match (self.ranges.as_slice(), &self.bits) {
                ([range], None) => {
                    let (start, length) = (range.start, range.end - range.start);
                    let is_in = |code: &Code| u32::from(*code).wrapping_sub(start) < length;
                    let rows = codes.iter().zip(all()).filter(|(code, _)| is_in(code));
                    rows.for_each(|(_, row)| tell(row));
                }
                _ => {
                    let rows = codes.iter().zip(all()).filter(|(code, _)| self.contains(**code));
                    rows.for_each(|(_, row)| tell(row));
                }
            },
            Codes::Sparse { rows: set, codes } if !self.contains(0) => {
                let rows = set.iter().zip(codes).filter(|(_, code)| self.contains(**code));
                rows.for_each(|(row, _)| tell(*row));
            }
            Codes::Ascending | Codes::Sparse { .. } => {
                all().filter(|row| self.contains(codes.get(*row))).for_each(tell);
            }
        }
    }

    /// A bit for each of so many rows: whether it has one of these codes.
    pub(crate) fn marked(&self, codes: &Codes, rows: usize) -> Vec<u64> {
        let mut words = vec![0; rows.div_ceil(64)];
        let set_all = |words: &mut [u64], rows: Range<usize>| {
            rows.for_each(|row| set(words, row));
        };
        match codes {
            Codes::Same(code) if self.contains(*code) => set_all(&mut words, 0..rows),
            Codes::Same(_) => {}
            Codes::Ascending => {
                for range in &self.ranges {
                    let (start, end) = (range.start.max(1) as usize, range.end.max(1) as usize);
                    set_all(&mut words, start - 1..(end - 1).min(rows));
                }
            }
            Codes::Bytes(codes) => {
                let mut takes = [false; 256];
                takes.iter_mut().zip(0..).for_each(|(takes, code)| *takes = self.contains(code));
                mark(&mut words, codes, |code| {
                    takes.get(usize::from(code)).copied().unwrap_or(false)
                });
            }
            Codes::Words(codes) => match (self.ranges.as_slice(), &self.bits) {
                ([range], None) => {
                    let (start, length) = (range.start, range.end - range.start);
                    mark(&mut words, codes, |code| u32::from(code).wrapping_sub(start) < length);
                }
                _ => mark(&mut words, codes, |code| self.contains(code)),
            },
            Codes::Sparse { rows: set_rows, codes } => {
                let takes_unset = self.contains(0);
                if takes_unset {
                    set_all(&mut words, 0..rows);
                }
                for (row, code) in set_rows.iter().zip(codes) {
                    let row = usize::from(*row);
                    match self.contains(*code) {
                        true => set(&mut words, row),
                        false if takes_unset => clear(&mut words, row),
                        false => {}
                    }
                }
            }
        }
        words
    }

    fn with_bits(mut self) -> CodeSet {
        if self.ranges.len() > FEW {
            let end = self.ranges.last().map_or(0, |range| range.end as usize);
            let mut bits = vec![0_u64; end.div_ceil(64)];
            for code in self.ranges.iter().flat_map(Clone::clone) {
                if let Some(word) = bits.get_mut(code as usize / 64) {
                    *word |= 1 << (code % 64);
                }
            }
            self.bits = Some(bits.into());
        }
        self
    }
}

/// A bit for each code, in turn: whether it is taken.
fn mark<C: Copy>(words: &mut [u64], codes: &[C], takes: impl Fn(C) -> bool) {
    for (word, codes) in words.iter_mut().zip(codes.chunks(64)) {
        *word = codes.iter().rev().fold(0, |word, code| word << 1 | u64::from(takes(*code)));
    }
}

fn set(words: &mut [u64], row: usize) {
    if let Some(word) = words.get_mut(row / 64) {
        *word |= 1 << (row % 64);
    }
}

fn clear(words: &mut [u64], row: usize) {
    if let Some(word) = words.get_mut(row / 64) {
        *word &= !(1 << (row % 64));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn set_of(codes: &BTreeSet<u32>) -> CodeSet {
        CodeSet::union(codes.iter().map(|code| *code..code + 1).collect())
    }

    fn codes_of(set: &CodeSet) -> BTreeSet<u32> {
        (0..=200_u16).filter(|code| set.contains(*code)).map(u32::from).collect()
    }

    proptest! {
        #[test]
        fn sets_of_codes_are_sets(
            one in btree_set(0..60_u32, 0..40),
            other in btree_set(0..60_u32, 0..40),
            end in 1..80_u32,
            rows in vec(0..60_u16, 1..200),
            base in prop_oneof![Just(0_u16), Just(300)],
        ) {
            let (a, b) = (set_of(&one), set_of(&other));
            prop_assert_eq!(codes_of(&a), one.clone());
            prop_assert_eq!(a.len(), one.len());
            let both: BTreeSet<u32> = one.intersection(&other).copied().collect();
            prop_assert_eq!(codes_of(&a.intersection(&b)), both);
            let either = [a.ranges(), b.ranges()].concat();
            prop_assert_eq!(codes_of(&CodeSet::union(either)), one.union(&other).copied().collect());
            let left: BTreeSet<u32> = (1..end).filter(|code| !one.contains(code)).collect();
            prop_assert_eq!(codes_of(&a.opposite(end)), left);

            let shifted = CodeSet::union(one.iter().map(|c| (*c + u32::from(base))..(*c + u32::from(base) + 1)).collect());
            let codes: Vec<Code> = rows.iter().map(|code| code + base).collect();
            let packed = Codes::build(&codes);
            let mut got = Vec::new();
            shifted.each_row(&packed, codes.len(), &mut |row| got.push(row));
            let expected: Vec<RowId> = codes.iter().zip(0..)
                .filter(|(code, _)| shifted.contains(**code)).map(|(_, row)| row).collect();
            prop_assert_eq!(&got, &expected);
            // The same by a bit for each row, also of rows that ascend by the column.
            let set = |words: Vec<u64>| -> Vec<RowId> {
                let is_set = |row: &RowId| words[usize::from(*row) / 64] >> (row % 64) & 1 == 1;
                (0..).take(words.len() * 64).filter(is_set).collect()
            };
            prop_assert_eq!(set(shifted.marked(&packed, codes.len())), expected);
            let ascending = (0..).take(codes.len()).filter(|row| a.contains(row + 1));
            prop_assert_eq!(
                set(a.marked(&Codes::Ascending, codes.len())),
                ascending.collect::<Vec<RowId>>()
            );
        }
    }
}
