//! The arguments of the errors in a segment: lists, of which other columns know nothing.
//!
//! The same few thousand nodes and volumes are named over and over, so each text stands once, and a
//! question is asked of the texts instead of the rows.

// Rows, places and codes below were all given out here, for the same lists.
#![allow(clippy::indexing_slicing)]

use std::ops::Range;

use super::bytes::{Damaged, Reader, Writer, check};
use super::codes::RowId;
use super::hash::FastMap;
use super::rows::Row;
use crate::job::{Argument, Phase, Text};

/// The arguments of the rows whose error has any.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Each text once, in no order.
    texts: Box<[Text]>,
    /// In ascending order.
    rows: Box<[RowId]>,
    /// Where the arguments of each of the rows begin, and where the last of them ends.
    starts: Box<[u32]>,
    /// Of each argument its code and its message, as places among the texts.
    places: Box<[[u32; 2]]>,
}

/// Which text of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Code = 0,
    Message = 1,
}

impl Arguments {
    /// Of these rows, in their order.
    pub(super) fn build(rows: &[Row]) -> Arguments {
        let mut building = Building::default();
        for (row, id) in rows.iter().zip(0..) {
            if let Phase::Failure { detail, .. } = &row.job.phase {
                let texts =
                    |it: &Argument| [&it.code, &it.message].map(|it| Text::from(it.as_str()));
                building.add(id, detail.arguments.iter().map(texts));
            }
        }
        building.finish()
    }

    /// Joins those of several segments: row by row the part and its row that the new row comes from.
    pub(super) fn merge(parts: &[&Arguments], from: &[(u8, RowId)]) -> Arguments {
        let mut building = Building::default();
        if parts.iter().all(|part| part.rows.is_empty()) {
            return building.finish();
        }
        for ((part, old), row) in from.iter().zip(0..) {
            let part = parts[usize::from(*part)];
            let texts = |places: &[u32; 2]| places.map(|place| part.texts[place as usize].clone());
            building.add(row, part.places[part.places_of(*old)].iter().map(texts));
        }
        building.finish()
    }

    /// Those of this row.
    pub(super) fn of(&self, row: RowId) -> Vec<Argument> {
        let text = |place: u32| self.texts[place as usize].to_string();
        let argument =
            |[code, message]: &[u32; 2]| Argument { code: text(*code), message: text(*message) };
        self.places[self.places_of(row)].iter().map(argument).collect()
    }

    /// Tells every row one of whose arguments has such a text, and whether one of these passes. Each
    /// text is tested once at most.
    pub(crate) fn test(
        &self,
        which: Which,
        passes: &dyn Fn(&str) -> bool,
        tell: &mut dyn FnMut(RowId, bool),
    ) {
        let mut known: Vec<Option<bool>> = vec![None; self.texts.len()];
        for (row, bounds) in self.rows.iter().zip(self.starts.windows(2)) {
            let (mut has_any, mut one_passes) = (false, false);
            for places in &self.places[bounds[0] as usize..bounds[1] as usize] {
                let place = places[which as usize] as usize;
                let text = &self.texts[place];
                if !text.is_empty() {
                    has_any = true;
                    one_passes |= *known[place].get_or_insert_with(|| passes(text));
                }
            }
            if has_any {
                tell(*row, one_passes);
            }
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.count(self.texts.len());
        self.texts.iter().for_each(|text| writer.text(text));
        writer.list(&self.rows);
        writer.numbers(&self.starts);
        writer.list(self.places.as_flattened());
    }

    /// Those of so many rows.
    pub(super) fn read(reader: &mut Reader<'_>, rows: usize) -> Result<Arguments, Damaged> {
        let texts = (0..reader.count()?).map(|_| reader.text().map(Text::from));
        let texts: Box<[Text]> = texts.collect::<Result<_, Damaged>>()?;
        let set: Box<[RowId]> = reader.list()?;
        let starts: Box<[u32]> = reader.numbers(set.len() + 1)?;
        let places: Box<[u32]> = reader.list()?;
        check(places.iter().all(|place| (*place as usize) < texts.len()))?;
        let (pairs, rest) = places.as_chunks();
        check(rest.is_empty() && starts.is_sorted())?;
        check(starts.last().is_none_or(|end| *end as usize == pairs.len()))?;
        check(set.is_sorted_by(|row, next| row < next))?;
        check(set.last().is_none_or(|row| usize::from(*row) < rows))?;
        Ok(Arguments { texts, rows: set, starts, places: pairs.into() })
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.texts)
            + self.texts.iter().map(Text::heap_bytes).sum::<usize>()
            + size_of_val(&*self.rows)
            + size_of_val(&*self.starts)
            + size_of_val(&*self.places)
    }

    fn places_of(&self, row: RowId) -> Range<usize> {
        match self.rows.binary_search(&row) {
            Ok(at) => self.starts[at] as usize..self.starts[at + 1] as usize,
            Err(_) => 0..0,
        }
    }
}

/// Arguments as they are gathered.
#[derive(Default)]
struct Building {
    known: FastMap<Text, u32>,
    texts: Vec<Text>,
    rows: Vec<RowId>,
    starts: Vec<u32>,
    places: Vec<[u32; 2]>,
}

impl Building {
    fn add(&mut self, row: RowId, arguments: impl Iterator<Item = [Text; 2]>) {
        let start = self.places.len();
        for texts in arguments {
            let places = texts.map(|text| self.place(text));
            self.places.push(places);
        }
        if self.places.len() > start {
            self.rows.push(row);
            self.starts.push(narrow(start));
        }
    }

    fn place(&mut self, text: Text) -> u32 {
        if let Some(place) = self.known.get(&text) {
            return *place;
        }
        let place = narrow(self.texts.len());
        self.texts.push(text.clone());
        self.known.insert(text, place);
        place
    }

    fn finish(mut self) -> Arguments {
        self.starts.push(narrow(self.places.len()));
        Arguments {
            texts: self.texts.into(),
            rows: self.rows.into(),
            starts: self.starts.into(),
            places: self.places.into(),
        }
    }
}

/// A segment has 65,535 rows, each of no more than a few thousand arguments.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::query::random_jobs;

    /// The arguments of each job.
    fn plain(jobs: &[Row]) -> Vec<Vec<Argument>> {
        let of = |row: &Row| match &row.job.phase {
            Phase::Failure { detail, .. } => detail.arguments.clone(),
            _ => Vec::new(),
        };
        jobs.iter().map(of).collect()
    }

    fn check(arguments: &Arguments, plain: &[Vec<Argument>]) {
        for (list, row) in plain.iter().zip(0..) {
            assert_eq!(&arguments.of(row), list);
        }
        for which in [Which::Code, Which::Message] {
            let text = |it: &Argument| match which {
                Which::Code => it.code.clone(),
                Which::Message => it.message.clone(),
            };
            let passes = |text: &str| text.len() % 2 == 1;
            let mut told = Vec::new();
            arguments.test(which, &passes, &mut |row, passes| told.push((row, passes)));
            let texts = |list: &Vec<Argument>| {
                let texts: Vec<String> =
                    list.iter().map(text).filter(|it| !it.is_empty()).collect();
                (!texts.is_empty()).then(|| texts.iter().any(|text| passes(text)))
            };
            let expected =
                plain.iter().zip(0..).filter_map(|(list, row)| Some((row, texts(list)?)));
            assert_eq!(told, expected.collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn lists_are_what_they_were(parts in vec((vec(random_jobs::job(), 0..12), 1..4_usize), 1..4)) {
            let row = |job| Row { job: Arc::new(job), key: 0, stored: 0 };
            let rows = |(jobs, _): &(Vec<_>, _)| jobs.iter().cloned().map(row).collect();
            let rows: Vec<Vec<Row>> = parts.iter().map(rows).collect();
            let built: Vec<Arguments> = rows.iter().map(|rows| Arguments::build(rows)).collect();
            built.iter().zip(&rows).for_each(|(built, rows)| check(built, &plain(rows)));
            // Of each part some rows stay, the last ones first.
            let mut from: Vec<(u8, RowId)> = Vec::new();
            for ((part, rows), (_, step)) in (0..).zip(&rows).zip(&parts) {
                let ids = (0..RowId::try_from(rows.len()).unwrap()).step_by(*step);
                from.extend(ids.rev().map(|row| (part, row)));
            }
            let lists = |(part, row): &(u8, RowId)| {
                plain(&rows[usize::from(*part)])[usize::from(*row)].clone()
            };
            let expected: Vec<Vec<Argument>> = from.iter().map(lists).collect();
            let merged = Arguments::merge(&built.iter().collect::<Vec<_>>(), &from);
            check(&merged, &expected);
        }
    }
}
