//! Runs of neighbouring texts that are stored alike.

use std::cmp::Ordering;
use std::ops::Range;

use super::super::bytes::{Damaged, Reader, Writer, check};
use super::shape::Shapes;

/// Most texts in a run that is not of one shape.
pub(super) const LONGEST_RUN: usize = 64;
/// Most texts in a mixed run, which is read from its first text on.
pub(super) const LONGEST_MIXED: usize = 32;
/// Fewer neighbours stored alike than this are not worth a run of their own.
pub(super) const SHORTEST_RUN: usize = 8;
/// The longest text without a shape that stands in a mixed run, in bytes.
pub(super) const LONGEST_IN_MIXED: usize = 1_024;

/// Instead of a shape: a text without one, or a run of such.
pub(super) const PLAIN: u16 = u16::MAX;
/// Instead of a shape: a run of several shapes, or of some and none.
const MIXED: u16 = u16::MAX - 1;
/// Most shapes.
pub(super) const MOST_SHAPES: usize = MIXED as usize;

/// The bytes of all texts, run after run.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The first text of each run.
    first: Box<[u16]>,
    /// The shape of each run, or what else it is.
    kind: Box<[u16]>,
    /// Where its bytes begin.
    at: Box<[usize]>,
    bytes: Box<[u8]>,
}

/// Writes runs one after the other.
#[derive(Debug, Default)]
pub(super) struct RunsBuilder {
    first: Vec<u16>,
    kind: Vec<u16>,
    at: Vec<usize>,
    bytes: Vec<u8>,
}

/// Neighbouring texts that are stored alike.
#[derive(Debug)]
pub(super) struct Run<'a> {
    kind: u16,
    pub(super) texts: Range<usize>,
    bytes: &'a [u8],
}

/// One text as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// Its shape and its digits.
    Shaped(u16, &'a [u8]),
    /// What its run has in common, and the rest.
    Plain(&'a [u8], &'a [u8]),
}

impl RunsBuilder {
    /// Adds a run of texts of one shape, of which the digits are given.
    pub(super) fn shaped<'a>(
        &mut self,
        first: usize,
        shape: u16,
        digits: impl Iterator<Item = &'a [u8]>,
    ) {
        self.begin(first, shape);
        digits.for_each(|digits| self.bytes.extend_from_slice(digits));
    }

    /// Adds a run of texts without a shape; so many of them as fit into one, which is returned.
    ///
    /// It is the length of what they have in common (four bytes), the place of each rest behind
    /// this (two bytes each), the common beginning, and the rests.
    pub(super) fn plain(&mut self, first: usize, texts: &[&str]) -> usize {
        let mut total = 0;
        let fitting = texts.iter().take(LONGEST_RUN).take_while(|text| {
            let start = total;
            total += text.len();
            u16::try_from(start).is_ok()
        });
        let count = fitting.count();
        let texts = texts.get(..count).unwrap_or(texts);
        let (Some(least), Some(greatest)) = (texts.first(), texts.last()) else { return 0 };
        // Texts are sorted, so what the first and the last have in common, all have.
        let pairs = least.bytes().zip(greatest.bytes());
        let common = if count < 2 { 0 } else { pairs.take_while(|(a, b)| a == b).count() };

        self.begin(first, PLAIN);
        self.bytes.extend(u32::try_from(common).unwrap_or(0).to_le_bytes());
        let mut at = 0_usize;
        for text in texts {
            self.bytes.extend(u16::try_from(at).unwrap_or(u16::MAX).to_le_bytes());
            at += text.len() - common;
        }
        let (beginning, _) = least.as_bytes().split_at_checked(common).unwrap_or((&[], &[]));
        self.bytes.extend_from_slice(beginning);
        for text in texts {
            self.bytes.extend_from_slice(text.as_bytes().get(common..).unwrap_or(&[]));
        }
        count
    }

    /// Adds a run of any texts: the shape of each (two bytes), then the digits of each, or if it
    /// has no shape its length (two bytes) and its bytes.
    pub(super) fn mixed(&mut self, first: usize, entries: &[Entry<'_>]) {
        self.begin(first, MIXED);
        for entry in entries {
            let Entry::Shaped(kind, _) = entry else {
                self.bytes.extend(PLAIN.to_le_bytes());
                continue;
            };
            self.bytes.extend(kind.to_le_bytes());
        }
        for entry in entries {
            match entry {
                Entry::Shaped(_, digits) => self.bytes.extend_from_slice(digits),
                Entry::Plain(_, text) => {
                    self.bytes.extend(u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
                    self.bytes.extend_from_slice(text);
                }
            }
        }
    }

    pub(super) fn finish(self) -> Runs {
        Runs {
            first: self.first.into(),
            kind: self.kind.into(),
            at: self.at.into(),
            bytes: self.bytes.into(),
        }
    }

    fn begin(&mut self, first: usize, kind: u16) {
        self.first.push(u16::try_from(first).unwrap_or(u16::MAX));
        self.kind.push(kind);
        self.at.push(self.bytes.len());
    }
}

impl Runs {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.list(&self.first);
        writer.numbers(&self.kind);
        let at: Vec<u64> = self.at.iter().map(|at| *at as u64).collect();
        writer.numbers(&at);
        writer.list(&self.bytes);
    }

    /// The runs of so many texts and shapes.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        texts: usize,
        shapes: usize,
    ) -> Result<Runs, Damaged> {
        let first: Box<[u16]> = reader.list()?;
        let kind: Box<[u16]> = reader.numbers(first.len())?;
        let at: Box<[u64]> = reader.numbers(first.len())?;
        let at: Result<Box<[usize]>, _> = at.iter().map(|at| usize::try_from(*at)).collect();
        let (at, bytes) = (at.map_err(|_| Damaged)?, reader.list()?);
        check(first.first().is_none_or(|first| *first == 0) && first.is_empty() == (texts == 0))?;
        check(first.is_sorted_by(|first, next| first < next))?;
        check(first.last().is_none_or(|first| usize::from(*first) < texts))?;
        check(kind.iter().all(|kind| *kind >= MIXED || usize::from(*kind) < shapes))?;
        check(at.is_sorted() && at.last().is_none_or(|at| *at <= bytes.len()))?;
        Ok(Runs { first, kind, at, bytes })
    }

    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let directory = size_of_val(&*self.first) + size_of_val(&*self.kind);
        directory + size_of_val(&*self.at) + self.bytes.len()
    }

    /// The run of this text.
    pub(super) fn holding(&self, index: usize) -> usize {
        self.first.partition_point(|first| usize::from(*first) <= index).saturating_sub(1)
    }

    /// The run of this number, where there are so many texts in all.
    pub(super) fn run(&self, n: usize, texts: usize) -> Run<'_> {
        let first = |n: usize| self.first.get(n).map_or(texts, |first| usize::from(*first));
        let at = |n: usize| self.at.get(n).copied().unwrap_or(self.bytes.len());
        Run {
            kind: self.kind.get(n).copied().unwrap_or(PLAIN),
            texts: first(n)..first(n + 1),
            bytes: self.bytes.get(at(n)..at(n + 1)).unwrap_or(&[]),
        }
    }
}

impl<'a> Run<'a> {
    /// The shape and the digits of all texts, if they are of one shape.
    pub(super) fn shaped(&self) -> Option<(u16, &'a [u8])> {
        (self.kind < MIXED).then_some((self.kind, self.bytes))
    }

    /// The texts, if they are not of one shape and not all without.
    pub(super) fn mixed<'s>(&self, shapes: &'s Shapes) -> Option<Mixed<'a, 's>> {
        if self.kind != MIXED {
            return None;
        }
        let (kinds, left) = self.bytes.split_at_checked(self.texts.len() * 2).unwrap_or((&[], &[]));
        Some(Mixed { kinds, left, shapes })
    }

    /// All texts of the run.
    pub(super) fn entries<'s>(
        self,
        shapes: &'s Shapes,
    ) -> impl Iterator<Item = Entry<'a>> + use<'a, 's> {
        let mixed = self.mixed(shapes);
        let alike = if mixed.is_some() { 0 } else { self.texts.len() };
        let alike = (0..alike).map(move |offset| self.entry(shapes, offset));
        mixed.into_iter().flatten().chain(alike)
    }

    /// The text so far into the run.
    pub(super) fn entry(&self, shapes: &Shapes, offset: usize) -> Entry<'a> {
        if let Some(mut entries) = self.mixed(shapes) {
            return entries.nth(offset).unwrap_or(Entry::Plain(&[], &[]));
        }
        if let Some((shape, digits)) = self.shaped() {
            let width = shapes.width(shape);
            let digits = digits.get(offset * width..).and_then(|digits| digits.get(..width));
            return Entry::Shaped(shape, digits.unwrap_or(&[]));
        }
        let plain = self.plain_parts();
        Entry::Plain(plain.common, plain.rests.get(plain.rest(offset)).unwrap_or(&[]))
    }

    /// What is stored of texts without a shape.
    pub(super) fn plain(&self) -> Option<Plain<'a>> {
        (self.kind == PLAIN).then(|| self.plain_parts())
    }

    fn plain_parts(&self) -> Plain<'a> {
        let split = |bytes: &'a [u8], at| bytes.split_at_checked(at).unwrap_or((&[], &[]));
        let (common, rest) = self.bytes.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let (starts, rest) = split(rest, self.texts.len() * 2);
        let (common, rests) = split(rest, u32::from_le_bytes(*common) as usize);
        Plain { starts, common, rests }
    }
}

/// What is stored of a run of texts without a shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain<'a> {
    starts: &'a [u8],
    /// What all of them begin with.
    pub(super) common: &'a [u8],
    /// The rest of each, one behind the other.
    pub(super) rests: &'a [u8],
}

impl Plain<'_> {
    /// Where among the rests that of this text is.
    pub(super) fn rest(&self, offset: usize) -> Range<usize> {
        let start = |n: usize| {
            let start = self.starts.get(n * 2..).and_then(<[u8]>::first_chunk);
            start.map_or(self.rests.len(), |start| usize::from(u16::from_le_bytes(*start)))
        };
        start(offset)..start(offset + 1)
    }
}

/// The texts of a mixed run.
#[derive(Debug)]
pub(super) struct Mixed<'a, 's> {
    kinds: &'a [u8],
    left: &'a [u8],
    shapes: &'s Shapes,
}

impl<'a> Iterator for Mixed<'a, '_> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (kind, kinds) = self.kinds.split_first_chunk()?;
        self.kinds = kinds;
        let kind = u16::from_le_bytes(*kind);
        let len = if kind == PLAIN {
            let (len, left) = self.left.split_first_chunk()?;
            self.left = left;
            usize::from(u16::from_le_bytes(*len))
        } else {
            self.shapes.width(kind)
        };
        let (these, left) = self.left.split_at_checked(len)?;
        self.left = left;
        Some(if kind == PLAIN { Entry::Plain(&[], these) } else { Entry::Shaped(kind, these) })
    }
}

impl Entry<'_> {
    /// Adds the text.
    pub(super) fn write(&self, shapes: &Shapes, into: &mut Vec<u8>) {
        match self {
            Entry::Shaped(shape, digits) => shapes.put(*shape, digits, into),
            Entry::Plain(common, rest) => {
                into.extend_from_slice(common);
                into.extend_from_slice(rest);
            }
        }
    }

    pub(super) fn compare(&self, shapes: &Shapes, text: &[u8]) -> Ordering {
        match self {
            Entry::Shaped(shape, digits) => shapes.compare(*shape, digits, text),
            Entry::Plain(common, rest) => {
                let (these, others) = text.split_at_checked(common.len()).unwrap_or((text, &[]));
                common.cmp(&these).then_with(|| (*rest).cmp(others))
            }
        }
    }

    /// Compares as much of the text as the other one is long.
    pub(super) fn compare_beginning(&self, shapes: &Shapes, other: &[u8]) -> Ordering {
        let mut text = Vec::new();
        self.write(shapes, &mut text);
        text.truncate(other.len());
        (*text).cmp(other)
    }
}
