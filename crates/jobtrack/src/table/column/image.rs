//! A column in an image: its values and codes. The order of its rows and the texts that are kept whole
//! follow from these, so they are made again, which takes no longer than checking them would.

use super::super::bytes::{Damaged, Reader, Writer, check};
use super::super::codes::{Code, Codes, RowId};
use super::super::numbers::Numbers;
use super::super::texts::Texts;
use super::{Column, Order, Values};
use crate::job::State;

impl Column {
    pub(in super::super) fn write(&self, writer: &mut Writer) {
        match &self.values {
            Values::None => writer.number(0_u8),
            Values::Texts(texts) => {
                writer.number(1_u8);
                texts.write(writer);
            }
            Values::Numbers(numbers) => {
                writer.number(2_u8);
                numbers.write(writer);
            }
        }
        self.codes.write(writer);
    }

    /// The column of so many rows; `states` parts its order.
    pub(in super::super) fn read(
        reader: &mut Reader<'_>,
        rows: usize,
        states: Option<&[State]>,
    ) -> Result<Column, Damaged> {
        let values = match reader.number::<u8>()? {
            0 => Values::None,
            1 => Values::Texts(Texts::read(reader)?),
            2 => Values::Numbers(Numbers::read(reader)?),
            _ => return Err(Damaged),
        };
        let last = values.len();
        let codes = Codes::read(reader, rows, last)?;
        let counted = |codes: &[Code]| codes.iter().filter(|code| **code != 0).count();
        let (set, order) = match &codes {
            Codes::Same(0) => (0, None),
            Codes::Same(_) | Codes::Ascending => (rows, None),
            Codes::Words(codes) => (counted(codes), Some(Order::build(codes, last, states))),
            Codes::Bytes(codes) => {
                let codes: Vec<Code> = codes.iter().map(|code| (*code).into()).collect();
                (counted(&codes), Some(Order::build(&codes, last, states)))
            }
            Codes::Sparse { rows: set, codes } => {
                check(counted(codes) == set.len())?;
                (set.len(), Some(Order::of_sparse(rows, set, codes, last, states)))
            }
        };
        check((set == 0) == matches!(values, Values::None))?;
        Ok(Column::made(values, codes, order, rows, set))
    }
}

impl Order {
    /// The order of these rows, out of so many.
    fn of_sparse(
        rows: usize,
        set: &[RowId],
        codes: &[Code],
        values: usize,
        states: Option<&[State]>,
    ) -> Order {
        if states.is_some() {
            let mut each = vec![0; rows];
            for (row, code) in set.iter().zip(codes) {
                // The rows are below `rows`.
                if let Some(place) = each.get_mut(usize::from(*row)) {
                    *place = *code;
                }
            }
            return Order::build(&each, values, states);
        }
        let mut order = Order::build(codes, values, None);
        for place in &mut order.rows {
            // The places are among those of the codes, which are as many as the rows.
            *place = set.get(usize::from(*place)).copied().unwrap_or(0);
        }
        order
    }
}
