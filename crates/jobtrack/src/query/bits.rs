//! Sets of rows of a segment, a bit for each.
//!
//! Where many rows pass, a test is answered for all of them at once, column by column: that takes a
//! fraction of what each row takes that is told, tested, and told on.

use crate::table::{CodeSet, Column, RowId};

/// A set of rows.
#[derive(Debug, Clone)]
pub(super) struct Bits {
    words: Box<[u64]>,
    pub(super) len: usize,
}

impl Bits {
    /// No row of so many.
    pub(super) fn none(rows: usize) -> Bits {
        Bits { words: vec![0; rows.div_ceil(64)].into(), len: 0 }
    }

    /// The rows that have one of these codes in a column.
    pub(super) fn marked(codes: &CodeSet, column: &Column, rows: usize) -> Bits {
        Bits { words: codes.marked(column.codes(), rows).into(), len: 0 }.counted()
    }

    pub(super) fn insert(&mut self, row: RowId) {
        let Some(word) = self.words.get_mut(usize::from(row) / 64) else { return };
        let bit = 1 << (row % 64);
        self.len += usize::from(*word & bit == 0);
        *word |= bit;
    }

    pub(super) fn contains(&self, row: RowId) -> bool {
        self.words.get(usize::from(row) / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = RowId> + '_ {
        self.words.iter().zip((0..).step_by(64)).flat_map(|(word, first): (&u64, u32)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.checked_sub(1)?;
                RowId::try_from(first + bit).ok()
            })
        })
    }

    /// The rows that both have.
    pub(super) fn and(mut self, other: &Bits) -> Bits {
        self.words.iter_mut().zip(&other.words).for_each(|(own, other)| *own &= other);
        self.counted()
    }

    /// The rows that either has.
    pub(super) fn or(mut self, other: &Bits) -> Bits {
        self.words.iter_mut().zip(&other.words).for_each(|(own, other)| *own |= other);
        self.counted()
    }

    pub(super) fn remove(&mut self, row: RowId) {
        let Some(word) = self.words.get_mut(usize::from(row) / 64) else { return };
        let bit = 1 << (row % 64);
        self.len -= usize::from(*word & bit != 0);
        *word &= !bit;
    }

    fn counted(mut self) -> Bits {
        self.len = self.words.iter().map(|word| word.count_ones() as usize).sum();
        self
    }

    pub(super) fn opposite(&self, rows: usize) -> Bits {
        let mut bits = Bits::none(rows);
        let all = (0..rows).filter_map(|row| RowId::try_from(row).ok());
        all.filter(|row| !self.contains(*row)).for_each(|row| bits.insert(row));
        bits
    }

    pub(super) fn without(&self, other: &Bits) -> Bits {
        let mut bits = Bits::none(self.words.len() * 64);
        self.iter().filter(|row| !other.contains(*row)).for_each(|row| bits.insert(row));
        bits
    }
}

/// Puts rows of a segment of so many in order; none is there twice.
pub(super) fn in_order(mut rows: Vec<RowId>, of: usize) -> Vec<RowId> {
    /// More than one in so many of all are put in order by a bit for each.
    const MANY: usize = 16;
    if rows.is_sorted() {
        return rows;
    }
    if rows.len() < of / MANY {
        rows.sort_unstable();
        return rows;
    }
    let mut bits = Bits::none(of);
    rows.iter().for_each(|row| bits.insert(*row));
    rows.clear();
    rows.extend(bits.iter());
    rows
}
