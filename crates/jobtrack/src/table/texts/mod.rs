//! The sorted distinct texts of one column of one segment.
//!
//! Texts are stored by their [shape] where they have one in common with others, so that only
//! their digits are left, at four bits each. They stand in runs: of one shape, where neighbours
//! share it; plain, with the beginning that all in the run have stored once; and mixed. A
//! [signature] says in which groups of neighbours a needle can be, and within them a text of a shape
//! is tested on its digits as they are stored.

mod build;
#[cfg(test)]
mod figures_test;
mod matching;
#[cfg(test)]
mod model_test;
mod run;
mod shape;
mod signature;

use std::cmp::Ordering;
use std::ops::Range;

pub(crate) use build::beginning;
pub(crate) use matching::TextTest;
use run::{Entry, Run, Runs};
use shape::Shapes;
use signature::Signature;

use super::bytes::{Damaged, Reader, Writer, check};

/// Sorted distinct texts of one column of one segment: at most 65,535, none empty, immutable.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    len: usize,
    shapes: Shapes,
    runs: Runs,
    signature: Signature,
}

impl Texts {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the heap that it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.shapes.bytes() + self.runs.bytes() + self.signature.bytes()
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.count(self.len);
        self.shapes.write(writer);
        self.runs.write(writer);
        self.signature.write(writer);
    }

    /// What makes no sense in it gives texts that make none, and nothing worse.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Texts, Damaged> {
        let len = reader.count()?;
        check(len <= usize::from(u16::MAX))?;
        let shapes = Shapes::read(reader)?;
        let runs = Runs::read(reader, len, shapes.len())?;
        let signature = Signature::read(reader)?;
        Ok(Texts { len, shapes, runs, signature })
    }

    /// Puts the text of this index (below [`len`](Texts::len)) in place of what `into` held.
    pub(crate) fn get(&self, index: usize, into: &mut String) {
        let run = self.run(self.runs.holding(index));
        self.put(&run.entry(&self.shapes, index - run.texts.start), into);
    }

    /// Compares the text of this index with another, byte by byte.
    pub(crate) fn compare(&self, index: usize, text: &str) -> Ordering {
        let run = self.run(self.runs.holding(index));
        run.entry(&self.shapes, index - run.texts.start).compare(&self.shapes, text.as_bytes())
    }

    /// The first index whose text is not less, byte by byte; [`len`](Texts::len) if there is none.
    pub(crate) fn lower_bound(&self, text: &str) -> usize {
        self.partition_point(&|entry| entry.compare(&self.shapes, text.as_bytes()).is_lt())
    }

    /// The texts that begin with this.
    fn beginning_with(&self, prefix: &str) -> Range<usize> {
        if prefix.is_empty() {
            return 0..self.len;
        }
        let prefix = prefix.as_bytes();
        let compare = |entry: &Entry<'_>| entry.compare_beginning(&self.shapes, prefix);
        let start = self.partition_point(&|entry| compare(entry).is_lt());
        start..self.partition_point(&|entry| compare(entry).is_le())
    }

    /// The first index for which it is false; it is true for all before that and for none after.
    fn partition_point(&self, is_before: &dyn Fn(&Entry<'_>) -> bool) -> usize {
        let is_run_before = |n| is_before(&self.run(n).entry(&self.shapes, 0));
        // The run after the last whose first text is before; what is searched for is in that one,
        // or is the first of the next.
        let next = partition_point(0..self.runs.len(), &is_run_before);
        let Some(last) = next.checked_sub(1) else { return 0 };
        let run = self.run(last);
        let within = match run.mixed(&self.shapes) {
            Some(entries) => entries.take_while(is_before).count(),
            None => {
                let is_before = |offset| is_before(&run.entry(&self.shapes, offset));
                partition_point(0..run.texts.len(), &is_before)
            }
        };
        run.texts.start + within
    }

    /// All texts as they are stored.
    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.runs.len()).flat_map(|n| self.run(n).entries(&self.shapes))
    }

    fn run(&self, n: usize) -> Run<'_> {
        self.runs.run(n, self.len)
    }

    fn put(&self, entry: &Entry<'_>, into: &mut String) {
        let mut bytes = std::mem::take(into).into_bytes();
        bytes.clear();
        entry.write(&self.shapes, &mut bytes);
        // What was put in were whole texts, so that they are UTF-8 again.
        *into = String::from_utf8(bytes).unwrap_or_default();
    }
}

fn partition_point(within: Range<usize>, is_before: &dyn Fn(usize) -> bool) -> usize {
    let Range { mut start, mut end } = within;
    while start < end {
        let middle = start.midpoint(end);
        if is_before(middle) {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    start
}
