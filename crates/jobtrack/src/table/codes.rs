//! Which value each row of a column has, as 16-bit codes.

// Rows below are rows of the segment that the codes were built for; `Column` keeps that.
#![allow(clippy::indexing_slicing)]

use super::bytes::{Damaged, Reader, Writer, check};

/// The number of a row within its segment.
pub(crate) type RowId = u16;

/// Which value: 0 if unset, else one more than its index among the column's sorted values. So codes
/// compare as values do.
pub(crate) type Code = u16;

/// The most rows of a segment: every row and every code fits 16 bits.
pub(crate) const SEGMENT_ROWS: usize = 65_535;

/// Below one set row in so many only the set ones are listed.
const SPARSE: usize = 8;

/// The codes of all rows, in the smallest of these forms.
#[derive(Debug, PartialEq)]
pub(crate) enum Codes {
    /// All rows have this one.
    Same(Code),
    /// Every row has the next one, from 1 on: a column by which the rows are sorted.
    Ascending,
    /// One for each row.
    Bytes(Box<[u8]>),
    /// One for each row.
    Words(Box<[Code]>),
    /// Of the rows that are set, in order of row.
    Sparse { rows: Box<[RowId]>, codes: Box<[Code]> },
}

impl Codes {
    /// Packs the codes of all rows.
    #[allow(clippy::cast_possible_truncation)] // Guarded by the comparison with the greatest.
    pub(crate) fn build(codes: &[Code]) -> Codes {
        let first = codes.first().copied().unwrap_or(0);
        if codes.iter().all(|code| *code == first) {
            return Codes::Same(first);
        }
        let (mut set, mut greatest) = (0, 0);
        for code in codes {
            set += usize::from(*code != 0);
            greatest = greatest.max(*code);
        }
        if is_sparse(set, codes.len()) {
            let set = || codes.iter().zip(0..).filter(|(code, _)| **code != 0);
            return Codes::Sparse {
                rows: set().map(|(_, row)| row).collect(),
                codes: set().map(|(code, _)| *code).collect(),
            };
        }
        if greatest <= u8::MAX.into() {
            Codes::Bytes(codes.iter().map(|code| *code as u8).collect())
        } else {
            Codes::Words(codes.into())
        }
    }

    /// The code of this row.
    #[inline]
    pub(crate) fn get(&self, row: RowId) -> Code {
        match self {
            Codes::Same(code) => *code,
            Codes::Ascending => row + 1,
            Codes::Bytes(codes) => codes[usize::from(row)].into(),
            Codes::Words(codes) => codes[usize::from(row)],
            Codes::Sparse { rows, codes } => {
                rows.binary_search(&row).map_or(0, |index| codes[index])
            }
        }
    }

    /// Tells the code of each of these rows, which are in ascending order.
    pub(crate) fn of_each(&self, rows: &[RowId], mut tell: impl FnMut(RowId, Code)) {
        match self {
            Codes::Same(code) => rows.iter().for_each(|row| tell(*row, *code)),
            Codes::Ascending => rows.iter().for_each(|row| tell(*row, row + 1)),
            Codes::Bytes(codes) => {
                rows.iter().for_each(|row| tell(*row, codes[usize::from(*row)].into()));
            }
            Codes::Words(codes) => rows.iter().for_each(|row| tell(*row, codes[usize::from(*row)])),
            Codes::Sparse { rows: set, codes } => {
                let mut next = 0;
                for row in rows {
                    while set.get(next).is_some_and(|set| set < row) {
                        next += 1;
                    }
                    let is_set = set.get(next) == Some(row);
                    tell(*row, if is_set { codes[next] } else { 0 });
                }
            }
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Codes::Same(code) => {
                writer.number(0_u8);
                writer.number(*code);
            }
            Codes::Ascending => writer.number(1_u8),
            Codes::Bytes(codes) => {
                writer.number(2_u8);
                writer.numbers(codes);
            }
            Codes::Words(codes) => {
                writer.number(3_u8);
                writer.numbers(codes);
            }
            Codes::Sparse { rows, codes } => {
                writer.number(4_u8);
                writer.list(rows);
                writer.numbers(codes);
            }
        }
    }

    /// The codes of so many rows, of which none is above `last`.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        rows: usize,
        last: usize,
    ) -> Result<Codes, Damaged> {
        let codes = match reader.number::<u8>()? {
            0 => Codes::Same(reader.number()?),
            1 => Codes::Ascending,
            2 => Codes::Bytes(reader.numbers(rows)?),
            3 => Codes::Words(reader.numbers(rows)?),
            4 => {
                let set: Box<[RowId]> = reader.list()?;
                let codes = reader.numbers(set.len())?;
                check(set.is_sorted_by(|row, next| row < next))?;
                check(set.last().is_none_or(|row| usize::from(*row) < rows))?;
                Codes::Sparse { rows: set, codes }
            }
            _ => return Err(Damaged),
        };
        let greatest = match &codes {
            Codes::Same(code) => usize::from(*code),
            Codes::Ascending => rows,
            Codes::Bytes(codes) => codes.iter().copied().max().unwrap_or(0).into(),
            Codes::Words(codes) | Codes::Sparse { codes, .. } => {
                codes.iter().copied().max().unwrap_or(0).into()
            }
        };
        check(greatest <= last)?;
        Ok(codes)
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Codes::Same(_) | Codes::Ascending => 0,
            Codes::Bytes(codes) => codes.len(),
            Codes::Words(codes) => codes.len() * 2,
            Codes::Sparse { rows, .. } => rows.len() * 4,
        }
    }
}

/// Whether so few rows are set that only these are listed.
pub(crate) fn is_sparse(set: usize, rows: usize) -> bool {
    set * SPARSE <= rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_codes_are_the_codes(
            most in prop_oneof![Just(0_u16), 1..4_u16, 200..300_u16],
            share in 0..=100_u32,
            seed in proptest::collection::vec((any::<u16>(), 0..100_u32), 1..600),
        ) {
            let code = |(code, die): &(u16, u32)| if *die < share { code % (most + 1) } else { 0 };
            let plain: Vec<Code> = seed.iter().map(code).collect();
            let codes = Codes::build(&plain);
            let got: Vec<_> = (0..).take(plain.len()).map(|row| codes.get(row)).collect();
            prop_assert_eq!(&got, &plain);
            for step in [1, 3] {
                let rows: Vec<RowId> = (0..).take(plain.len()).step_by(step).collect();
                let mut told = Vec::new();
                codes.of_each(&rows, |row, code| told.push((row, code)));
                let each: Vec<_> = rows.iter().map(|row| (*row, plain[usize::from(*row)])).collect();
                prop_assert_eq!(told, each);
            }
        }
    }
}
