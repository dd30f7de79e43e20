//! Which groups of neighbouring texts can contain a needle.
//!
//! Texts stand in groups of neighbours. Every three bytes that follow each other in a text of a
//! group set the bit of that group in one row, which is chosen by their hash. Where all rows of a
//! needle's bytes have a group's bit, the needle may be in the group; elsewhere it is not.

use std::ops::Range;

use super::super::bytes::{Damaged, Reader, Writer, check};

/// Fewer texts than this are all tested sooner than a signature is read.
///
/// Random dictionaries that are held beside a list are smaller, and are to have one.
const FEWEST_TEXTS: usize = if cfg!(test) { 64 } else { 1_024 };
/// How many different threes a group is to have, about.
const THREES_IN_GROUP: usize = 1_024;
const LARGEST_GROUP: usize = 64;
/// Groups of so few long texts are searched sooner all together than every fourth by itself.
const SMALL_GROUP: usize = 8;
/// How many threes of a needle are looked up; those of a longer one are spread over it.
const MOST_THREES_READ: usize = 32;

/// One bit for each group of texts in each row.
#[derive(Debug, Default)]
pub(super) struct Signature {
    // Row after row, each of so many words.
    words: Box<[u64]>,
    rows: u32,
    row_words: usize,
    /// Texts in a group; 0 if there is no signature.
    group: usize,
}

/// The groups that can contain all needles asked for, by bits.
#[derive(Debug)]
pub(super) struct Candidates {
    words: Vec<u64>,
    group: usize,
}

impl Signature {
    /// The signature of these texts.
    pub(super) fn of(texts: &[&str]) -> Signature {
        if texts.len() < FEWEST_TEXTS {
            return Signature::default();
        }
        let new = new_threes(texts);
        let total: usize = new.iter().map(ExactSizeIterator::len).sum();
        let wanted = THREES_IN_GROUP * texts.len() / total.max(1);
        // A power of two, at most `wanted`.
        let group = (1 << wanted.max(1).ilog2()).min(LARGEST_GROUP);
        let rows = rows(texts, &new, group);
        let groups = texts.len().div_ceil(group);
        let row_words = groups.div_ceil(64);
        let mut words = vec![0_u64; rows as usize * row_words];
        // The bits of 64 groups are gathered in one word for each row, which stays in the nearest
        // cache, and then put where they belong.
        let mut gathered = vec![0_u64; rows as usize];
        let mut parts = texts.chunks(group).zip(new.chunks(group));
        for n in 0..row_words {
            for (bit, (texts, new)) in parts.by_ref().take(64).enumerate() {
                for_rows(texts, new, rows, |row| {
                    if let Some(word) = gathered.get_mut(row) {
                        *word |= 1 << bit;
                    }
                });
            }
            let places = words.iter_mut().skip(n).step_by(row_words);
            places.zip(&mut gathered).for_each(|(place, word)| *place = std::mem::take(word));
        }
        Signature { words: words.into(), rows, row_words, group }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.list(&self.words);
        writer.number(self.rows);
        writer.count(self.row_words);
        writer.count(self.group);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Signature, Damaged> {
        let words: Box<[u64]> = reader.list()?;
        let rows: u32 = reader.number()?;
        let (row_words, group) = (reader.count()?, reader.count()?);
        check((rows as usize).checked_mul(row_words) == Some(words.len()))?;
        check(group <= LARGEST_GROUP)?;
        Ok(Signature { words, rows, row_words, group })
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }

    /// The groups that can contain all of these; nothing if that does not say enough to be of use.
    pub(super) fn candidates(&self, literals: &[&str]) -> Option<Candidates> {
        let mut words: Option<Vec<u64>> = None;
        for literal in literals.iter().filter(|literal| literal.len() >= 3 && self.group > 0) {
            let threes = literal.len() - 2;
            for at in (0..threes).step_by(threes.div_ceil(MOST_THREES_READ)) {
                set_rows(literal.as_bytes(), at..at + 1, self.rows, &mut |row| {
                    let from = row * self.row_words;
                    let row = self.words.get(from..from + self.row_words).unwrap_or(&[]);
                    match &mut words {
                        None => words = Some(row.to_vec()),
                        Some(words) => words.iter_mut().zip(row).for_each(|(all, row)| *all &= row),
                    }
                });
            }
        }
        let words = words?;
        let groups = words.iter().map(|word| word.count_ones() as usize).sum::<usize>();
        let is_useful = self.group > SMALL_GROUP || groups * 4 <= words.len() * 64;
        is_useful.then_some(Candidates { words, group: self.group })
    }
}

impl Candidates {
    /// The texts within the range that stand in these groups, in ranges that do not touch.
    pub(super) fn ranges(&self, within: Range<usize>, visit: &mut dyn FnMut(Range<usize>)) {
        let mut open: Option<Range<usize>> = None;
        for (n, word) in self.words.iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                let from = (n * 64 + bit) * self.group;
                let range = from.max(within.start)..(from + self.group).min(within.end);
                if range.is_empty() {
                    continue;
                }
                match &mut open {
                    Some(open) if open.end == range.start => open.end = range.end,
                    _ => {
                        if let Some(open) = open.replace(range) {
                            visit(open);
                        }
                    }
                }
            }
        }
        if let Some(open) = open {
            visit(open);
        }
    }
}

/// How many rows leave about a third of the bits set in a group that has many threes.
fn rows(texts: &[&str], new: &[Range<usize>], group: usize) -> u32 {
    const SPACE: u32 = 1 << 16;
    const SAMPLES: usize = 16;
    let groups = texts.len().div_ceil(group);
    let step = groups.div_ceil(SAMPLES);
    let mut counts = Vec::with_capacity(SAMPLES);
    let mut seen = vec![0_u64; SPACE as usize / 64];
    for (texts, new) in texts.chunks(group).zip(new.chunks(group)).step_by(step) {
        for_rows(texts, new, SPACE, |row| {
            if let Some(word) = seen.get_mut(row / 64) {
                *word |= 1 << (row % 64);
            }
        });
        counts.push(seen.iter_mut().map(|word| std::mem::take(word).count_ones()).sum::<u32>());
    }
    counts.sort_unstable();
    let many = counts.get(counts.len() * 3 / 4).copied().unwrap_or(0);
    (many * 2).clamp(64, SPACE)
}

/// Of each text the places of its threes that the text before does not have as well.
fn new_threes(texts: &[&str]) -> Vec<Range<usize>> {
    let mut before: &[u8] = &[];
    let new = texts.iter().map(|text| {
        let text = text.as_bytes();
        let (words, _) = text.as_chunks::<8>();
        let (other_words, _) = before.as_chunks::<8>();
        let head = 8 * words.iter().zip(other_words).take_while(|(a, b)| a == b).count();
        let head = head + common(text.iter().skip(head).zip(before.iter().skip(head)));
        let tail = common(text.iter().rev().zip(before.iter().rev()));
        before = text;
        let until = (text.len() - tail).min(text.len().saturating_sub(2));
        head.saturating_sub(2).min(until)..until
    });
    new.collect()
}

fn common<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    pairs.take_while(|(left, right)| left == right).count()
}

/// Calls with the rows of the threes of a group of texts, of which the new ones are given.
#[inline]
fn for_rows(texts: &[&str], new: &[Range<usize>], rows: u32, mut set: impl FnMut(usize)) {
    // Of the first one all are new to the group.
    if let Some(text) = texts.first() {
        set_rows(text.as_bytes(), 0..text.len().saturating_sub(2), rows, &mut set);
    }
    for (text, new) in texts.iter().zip(new).skip(1) {
        set_rows(text.as_bytes(), new.clone(), rows, &mut set);
    }
}

/// Calls with the row of each of these threes.
#[inline]
fn set_rows(text: &[u8], threes: Range<usize>, rows: u32, set: &mut impl FnMut(usize)) {
    let bytes = text.get(threes.start..threes.end + 2).unwrap_or(&[]);
    for three in bytes.windows(3) {
        let [a, b, c] = three.try_into().unwrap_or([0, 0, 0]);
        let hash = u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9e37_79b1);
        set(((u64::from(hash) * u64::from(rows)) >> 32) as usize);
    }
}
