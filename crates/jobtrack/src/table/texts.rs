//! Sorted distinct texts: the values of a text column.
#![allow(clippy::indexing_slicing)]
use std::cmp::Ordering;
use std::ops::Range;

#[derive(Debug)]
pub(crate) struct Texts(Box<[Box<str>]>);
pub(crate) struct TextTest<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) literals: Vec<&'a str>,
    pub(crate) is_open: bool,
    pub(crate) passes: &'a dyn Fn(&str) -> bool,
}
impl Texts {
    pub(crate) fn build<'a>(sorted: impl ExactSizeIterator<Item = &'a str>) -> Texts {
        Texts(sorted.map(Into::into).collect())
    }
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
    pub(crate) fn get(&self, index: usize, into: &mut String) {
        into.clear();
        into.push_str(&self.0[index]);
    }
    pub(crate) fn compare(&self, index: usize, text: &str) -> Ordering {
        (*self.0[index]).cmp(text)
    }
    pub(crate) fn lower_bound(&self, text: &str) -> usize {
        self.0.partition_point(|own| **own < *text)
    }
    pub(crate) fn matching(&self, test: &TextTest<'_>, hit: &mut dyn FnMut(Range<usize>)) {
        let mut open: Option<Range<usize>> = None;
        for (n, text) in self.0.iter().enumerate() {
            if !(test.passes)(text) {
                continue;
            }
            match &mut open {
                Some(range) if range.end == n => range.end = n + 1,
                _ => {
                    if let Some(range) = open.replace(n..n + 1) {
                        hit(range);
                    }
                }
            }
        }
        if let Some(range) = open {
            hit(range);
        }
    }
    pub(crate) fn merge(
        parts: &[&Texts],
        used: &dyn Fn(usize, usize) -> bool,
    ) -> (Texts, Vec<Vec<u16>>) {
        let mut all: Vec<(&str, usize, usize)> = Vec::new();
        for (p, part) in parts.iter().enumerate() {
            for (n, text) in part.0.iter().enumerate() {
                if used(p, n) {
                    all.push((text, p, n));
                }
            }
        }
        all.sort();
        let mut maps: Vec<Vec<u16>> = parts.iter().map(|part| vec![u16::MAX; part.len()]).collect();
        let mut merged: Vec<Box<str>> = Vec::new();
        for (text, p, n) in all {
            if merged.last().is_none_or(|last| **last != *text) {
                merged.push(text.into());
            }
            maps[p][n] = u16::try_from(merged.len() - 1).unwrap_or(u16::MAX);
        }
        (Texts(merged.into()), maps)
    }
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|text| text.len() + 16).sum()
    }
}
