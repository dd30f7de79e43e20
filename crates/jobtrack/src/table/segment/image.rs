//! A segment in an image.

use std::sync::Arc;

use super::super::arguments::Arguments;
use super::super::bytes::{Damaged, Reader, Writer, check};
use super::super::codes::{Codes, SEGMENT_ROWS};
use super::super::column::Column;
use super::jobs::Common;
use super::{PACKED_BLOCK, Packed, Segment, parting};
use crate::field::Field;
use crate::job::{State, Text};

/// A column of its own follows, instead of the number of one before that it is the same as.
const OWN: u8 = u8::MAX;

impl Segment {
    pub(in super::super) fn write(&self, writer: &mut Writer) {
        writer.count(self.len());
        let states = self.states.iter().map(|state| place_of(*state));
        writer.numbers(&states.collect::<Vec<u8>>());
        for (at, column) in self.columns.iter().enumerate() {
            let is_same = |before: &Arc<Column>| Arc::ptr_eq(before, column);
            let same = self.columns.iter().take(at).position(is_same);
            writer.number(same.and_then(|same| u8::try_from(same).ok()).unwrap_or(OWN));
            if same.is_none() {
                column.write(writer);
            }
        }
        writer.count(self.labels.len());
        for (name, column) in &self.labels {
            writer.text(name);
            column.write(writer);
        }
        writer.count(self.label_sets.len());
        self.label_sets.iter().for_each(|set| writer.list(set));
        self.label_set.write(writer);
        self.arguments.write(writer);
        self.keys.write(writer);
        self.stored.write(writer);
    }

    /// Whatever is read, nothing that is asked of it panics.
    pub(in super::super) fn read(reader: &mut Reader<'_>) -> Result<Segment, Damaged> {
        let rows = reader.count()?;
        check((1..=SEGMENT_ROWS).contains(&rows))?;
        let states = reader.numbers::<u8>(rows)?;
        let states = states.iter().map(|place| State::ALL.get(usize::from(*place)).copied());
        let states: Box<[State]> = states.collect::<Option<_>>().ok_or(Damaged)?;
        let mut columns: Vec<Arc<Column>> = Vec::with_capacity(Field::FIXED.len());
        for field in Field::FIXED {
            let column = match reader.number()? {
                OWN => Arc::new(Column::read(reader, rows, parting(field, &states))?),
                same => Arc::clone(columns.get(usize::from(same)).ok_or(Damaged)?),
            };
            check(*field != Field::Uuid || matches!(column.codes(), Codes::Ascending))?;
            columns.push(column);
        }
        let columns: Box<[Arc<Column>]> = columns.into();
        let names = 0..reader.count()?;
        let label = |_| Ok((Text::from(reader.text()?), Column::read(reader, rows, None)?));
        let labels: Box<[(Text, Column)]> = names.map(label).collect::<Result<_, Damaged>>()?;
        let sets = 0..reader.count()?;
        let label_sets: Box<[Box<[u32]>]> =
            sets.map(|_| reader.list()).collect::<Result<_, Damaged>>()?;
        let are_there = |set: &[u32]| set.iter().all(|index| (*index as usize) < labels.len());
        check(label_sets.iter().all(|set| are_there(set)))?;
        let last_set = label_sets.len().checked_sub(1).ok_or(Damaged)?;
        let label_set = Codes::read(reader, rows, last_set)?;
        Ok(Segment {
            common: Common::of(&columns),
            columns,
            labels,
            label_set,
            label_sets,
            arguments: Arguments::read(reader, rows)?,
            keys: Packed::read(reader, rows)?,
            stored: Packed::read(reader, rows)?,
            states,
        })
    }
}

impl Packed {
    fn write(&self, writer: &mut Writer) {
        match self {
            Packed::Same(number) => {
                writer.number(0_u8);
                writer.number(*number);
            }
            Packed::Blocks(bases, offsets) => {
                writer.number(1_u8);
                writer.numbers(bases);
                writer.numbers(offsets);
            }
            Packed::Near(least, near) => {
                writer.number(2_u8);
                writer.number(*least);
                writer.numbers(near);
            }
            Packed::Far(numbers) => {
                writer.number(3_u8);
                writer.numbers(numbers);
            }
        }
    }

    fn read(reader: &mut Reader<'_>, rows: usize) -> Result<Packed, Damaged> {
        let fits = |least: u64, far: u64| check(least.checked_add(far).is_some());
        Ok(match reader.number::<u8>()? {
            0 => Packed::Same(reader.number()?),
            1 => {
                let bases: Box<[u64]> = reader.numbers(rows.div_ceil(PACKED_BLOCK))?;
                let offsets: Box<[u16]> = reader.numbers(rows)?;
                let most = offsets.iter().copied().max().unwrap_or(0);
                fits(bases.iter().copied().max().unwrap_or(0), most.into())?;
                Packed::Blocks(bases, offsets)
            }
            2 => {
                let (least, near): (u64, Box<[u32]>) = (reader.number()?, reader.numbers(rows)?);
                fits(least, near.iter().copied().max().unwrap_or(0).into())?;
                Packed::Near(least, near)
            }
            3 => Packed::Far(reader.numbers(rows)?),
            _ => return Err(Damaged),
        })
    }
}

fn place_of(state: State) -> u8 {
    let place = State::ALL.iter().position(|other| *other == state);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}
