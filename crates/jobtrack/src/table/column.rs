//! One field of all rows of a segment: sorted distinct values, a code for each row, and the rows in
//! order of value.
//!
//! Every question is asked of the values first, which are fewer than the rows: a test becomes a set
//! of codes, and rows are compared by code alone.

// Rows and codes below are those that `build` and `merge` gave out for this column; both check
// that no more rows come than fit.
#![allow(clippy::indexing_slicing)]

mod image;

use std::borrow::Cow;
use std::ops::Range;

use super::codes::{Code, Codes, RowId, is_sparse};
use super::hash::{FastMap, FastState};
use super::numbers::{Key, Numbers, key_of, value_of};
use super::texts::{Texts, beginning};
use crate::field::{FieldType, ValueRef};
use crate::job::{State, Text};

/// One field of all rows of a segment.
#[derive(Debug, PartialEq)]
pub(crate) struct Column {
    values: Values,
    codes: Codes,
    order: Option<Order>,
    /// The texts of all codes as jobs have them, where many rows share few short ones: making a job
    /// then copies one, and puts none together.
    whole: Box<[Text]>,
    rows: u32,
    set: u32,
}

/// Most texts that are kept whole, and most bytes of them.
const MOST_WHOLE: usize = 256;
const MOST_WHOLE_BYTES: usize = 16 << 10;
/// One text in so many rows, at most, is kept whole.
const ROWS_OF_WHOLE: usize = 8;

/// The distinct values in ascending order.
#[derive(Debug)]
pub(crate) enum Values {
    /// No row is set.
    None,
    Texts(Texts),
    Numbers(Numbers),
}

/// Whether they are known to be the same. Texts are not compared: no two fields have the same ones.
impl PartialEq for Values {
    fn eq(&self, other: &Values) -> bool {
        match (self, other) {
            (Values::None, Values::None) => true,
            (Values::Numbers(own), Values::Numbers(other)) => own == other,
            _ => false,
        }
    }
}

/// The rows that are set, in order of (run, code, row).
#[derive(Debug, PartialEq)]
struct Order {
    rows: Box<[RowId]>,
    runs: Box<[Run]>,
    /// Where the rows of each code begin, where that is few in comparison. Only of a single run.
    starts: Option<Box<[u16]>>,
}

/// Rows of one column whose order is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The state that all of them have, if the column's order is parted by state.
    pub(crate) state: Option<State>,
    start: u32,
    end: u32,
}

/// Some rows of a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowList<'a> {
    /// From one row up to and without another.
    Range(u32, u32),
    /// These, in this order.
    Listed(&'a [RowId]),
}

impl RowList<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            RowList::Range(start, end) => (end - start) as usize,
            RowList::Listed(rows) => rows.len(),
        }
    }

    /// Those of them that lie in this range, where they are in order of row.
    pub(crate) fn within(self, rows: Range<u32>) -> Self {
        match self {
            RowList::Range(start, end) => {
                let start = start.max(rows.start);
                RowList::Range(start, end.min(rows.end).max(start))
            }
            RowList::Listed(list) => {
                let start = list.partition_point(|row| u32::from(*row) < rows.start);
                let end = list.partition_point(|row| u32::from(*row) < rows.end);
                RowList::Listed(&list[start..end.max(start)])
            }
        }
    }

    /// The row at this place, which is below `len`.
    #[allow(clippy::cast_possible_truncation)] // Rows of a segment fit 16 bits.
    pub(crate) fn get(&self, index: usize) -> RowId {
        match self {
            RowList::Range(start, _) => (*start as usize + index) as RowId,
            RowList::Listed(rows) => rows[index],
        }
    }

    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = RowId> {
        (0..self.len()).map(move |index| self.get(index))
    }
}

/// The codes of a column that is merged: in a plain list, since each row of it is asked for.
enum Source<'a> {
    Same(Code),
    Each(Cow<'a, [Code]>),
}

impl Source<'_> {
    #[inline]
    fn get(&self, row: RowId) -> Code {
        match self {
            Source::Same(code) => *code,
            Source::Each(codes) => codes[usize::from(row)],
        }
    }
}

/// Where a value lies among the codes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The least code whose value is not less than it: one more than the last if all are less.
    pub(crate) code: u32,
    /// Whether that is the value itself.
    pub(crate) is_there: bool,
}

impl Column {
    /// The column of rows none of which is set.
    pub(crate) fn unset(rows: usize) -> Column {
        Column::made(Values::None, Codes::Same(0), None, rows, 0)
    }

    /// The column of so many rows that all have this value, or none.
    pub(crate) fn same(rows: usize, value: Option<ValueRef<'_>>) -> Column {
        let Some(value) = value else { return Column::unset(rows) };
        let values = match (value, key_of(&value)) {
            (_, Some(key)) => Values::Numbers(Numbers::build(&[key])),
            (ValueRef::Text(text), None) => Values::Texts(Texts::build([text].into_iter())),
            _ => return Column::unset(rows),
        };
        Column::made(values, Codes::Same(1), None, rows, rows)
    }

    /// The column of so many rows, of which these have these values.
    pub(crate) fn build(
        field_type: FieldType,
        rows: usize,
        set: &[(RowId, ValueRef<'_>)],
    ) -> Column {
        if matches!(field_type, FieldType::Text | FieldType::Word(_)) {
            let text = |(row, value): &(RowId, _)| match *value {
                ValueRef::Text(text) => Some((*row, text)),
                _ => None,
            };
            return Column::build_texts(rows, &set.iter().filter_map(text).collect::<Vec<_>>());
        }
        let number = |(row, value): &(RowId, _)| Some((*row, key_of(value)?));
        let (rows_set, keys): (Vec<_>, Vec<_>) = set.iter().filter_map(number).unzip();
        Column::build_numbers(rows, &rows_set, &keys, None)
    }

    /// The same of texts.
    pub(crate) fn build_texts(rows: usize, set: &[(RowId, &str)]) -> Column {
        if set.is_empty() {
            return Column::unset(rows);
        }
        let texts = set.iter().map(|(_, text)| *text);
        if is_sparse(set.len(), rows) {
            let set_rows = set.iter().map(|(row, _)| *row).collect();
            return Column::build_sparse(rows, set_rows, |codes| {
                Values::Texts(build_texts(texts.zip(0..count(set.len())), codes))
            });
        }
        let mut codes = vec![0; rows];
        let places = set.iter().map(|(row, _)| u32::from(*row));
        let values = build_texts(texts.zip(places), &mut codes);
        Column::of(Values::Texts(values), &codes, None)
    }

    /// The same of numbers, given as their keys; `states` parts the order.
    pub(crate) fn build_numbers(
        rows: usize,
        set: &[RowId],
        keys: &[Key],
        states: Option<&[State]>,
    ) -> Column {
        if set.is_empty() {
            return Column::unset(rows);
        }
        let keys = keys.iter().copied();
        if states.is_none() && is_sparse(set.len(), rows) {
            return Column::build_sparse(rows, set.into(), |codes| {
                Values::Numbers(build_numbers(keys.zip(0..), codes))
            });
        }
        let mut codes = vec![0; rows];
        let values = build_numbers(keys.zip(set.iter().map(|row| (*row).into())), &mut codes);
        Column::of(Values::Numbers(values), &codes, states)
    }

    /// The same for few set rows, at a cost that the others have no part in: a segment may have a
    /// label for each of its rows.
    fn build_sparse(
        rows: usize,
        set: Box<[RowId]>,
        values: impl FnOnce(&mut [Code]) -> Values,
    ) -> Column {
        let mut codes = vec![0; set.len()];
        let values = values(&mut codes);
        let mut order = Order::build(&codes, values.len(), None);
        order.rows.iter_mut().for_each(|place| *place = set[usize::from(*place)]);
        let count = set.len();
        let codes = Codes::Sparse { rows: set, codes: codes.into() };
        Column::made(values, codes, Some(order), rows, count)
    }

    /// The column of numbers that ascend strictly with the rows.
    pub(crate) fn ascending(keys: &[Key]) -> Column {
        let values = Values::Numbers(Numbers::build(keys));
        Column::made(values, Codes::Ascending, None, keys.len(), keys.len())
    }

    /// Joins columns of one field: row by row the part and its row that the new row comes from.
    /// `whole` says of each part whether every row of it does.
    pub(crate) fn merge(
        parts: &[Option<&Column>],
        from: &[(u8, RowId)],
        whole: &[bool],
        states: Option<&[State]>,
    ) -> Column {
        let rows = from.len();
        if parts.iter().flatten().all(|part| part.set == 0) {
            return Column::unset(rows);
        }
        let sources: Vec<Source<'_>> =
            parts.iter().map(|part| part.map_or(Source::Same(0), Column::source)).collect();
        let used = used_codes(parts, &sources, from, whole);
        let (values, maps) = merge_values(parts, &used);
        // The commonest case of all: a field that has one value everywhere.
        if let Some(code) = same_code(parts, &maps) {
            let set = if code == 0 { 0 } else { rows };
            let values = if code == 0 { Values::None } else { values };
            return Column::made(values, Codes::Same(code), None, rows, set);
        }
        let codes = from.iter().map(|(part, row)| {
            let part = usize::from(*part);
            maps[part][usize::from(sources[part].get(*row))]
        });
        Column::of(values, &codes.collect::<Vec<_>>(), states)
    }

    /// The codes, to be asked for row by row.
    fn source(&self) -> Source<'_> {
        match &self.codes {
            Codes::Same(code) => Source::Same(*code),
            Codes::Words(codes) => Source::Each(Cow::Borrowed(codes)),
            Codes::Bytes(codes) => {
                Source::Each(codes.iter().map(|code| Code::from(*code)).collect())
            }
            Codes::Ascending => Source::Each((0..self.rows).map(|row| narrow(row + 1)).collect()),
            Codes::Sparse { rows, codes } => {
                let mut each = vec![0; self.rows as usize];
                rows.iter().zip(codes).for_each(|(row, code)| each[usize::from(*row)] = *code);
                Source::Each(each.into())
            }
        }
    }

    fn of(values: Values, codes: &[Code], states: Option<&[State]>) -> Column {
        let set = codes.iter().filter(|code| **code != 0).count();
        let packed = Codes::build(codes);
        if set == 0 {
            return Column::unset(codes.len());
        }
        let order = match packed {
            Codes::Same(_) | Codes::Ascending => None,
            _ => Some(Order::build(codes, values.len(), states)),
        };
        Column::made(values, packed, order, codes.len(), set)
    }

    fn made(values: Values, codes: Codes, order: Option<Order>, rows: usize, set: usize) -> Column {
        let whole = values.whole(set);
        Column { values, codes, order, whole, rows: count(rows), set: count(set) }
    }

    /// How many rows are set.
    pub(crate) fn set(&self) -> usize {
        self.set as usize
    }

    /// The values.
    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// The codes of the rows.
    pub(crate) fn codes(&self) -> &Codes {
        &self.codes
    }

    /// The code of this row.
    pub(crate) fn code(&self, row: RowId) -> Code {
        self.codes.get(row)
    }

    /// The value of this code; None for 0. A text is put into `text` and borrowed from there.
    pub(crate) fn value<'t>(
        &self,
        field_type: FieldType,
        code: Code,
        text: &'t mut String,
    ) -> Option<ValueRef<'t>> {
        let index = usize::from(code.checked_sub(1)?);
        match &self.values {
            Values::None => None,
            Values::Numbers(numbers) => Some(value_of(field_type, numbers.get(index))),
            Values::Texts(texts) => {
                texts.get(index, text);
                Some(ValueRef::Text(text))
            }
        }
    }

    /// The key of this row's number, if it has one.
    pub(crate) fn number(&self, row: RowId) -> Option<Key> {
        let index = usize::from(self.code(row).checked_sub(1)?);
        match &self.values {
            Values::Numbers(numbers) => Some(numbers.get(index)),
            _ => None,
        }
    }

    /// The key of this code's number; None for 0, and if it is no number.
    pub(crate) fn key(&self, code: Code) -> Option<Key> {
        match &self.values {
            Values::Numbers(numbers) => Some(numbers.get(usize::from(code.checked_sub(1)?))),
            _ => None,
        }
    }

    /// The text of this code as a job has it, put together in `text` if need be; empty for 0.
    pub(crate) fn job_text(&self, code: Code, text: &mut String) -> Text {
        let Some(index) = code.checked_sub(1).map(usize::from) else { return Text::new() };
        if let Some(whole) = self.whole.get(index) {
            return whole.clone();
        }
        let Values::Texts(texts) = &self.values else { return Text::new() };
        texts.get(index, text);
        Text::from(text.as_str())
    }

    /// This row's text, if it has one, put into `text`.
    pub(crate) fn text<'t>(&self, row: RowId, text: &'t mut String) -> Option<&'t str> {
        let index = usize::from(self.code(row).checked_sub(1)?);
        let Values::Texts(texts) = &self.values else { return None };
        texts.get(index, text);
        Some(text)
    }

    /// Where this value lies among the codes.
    pub(crate) fn place(&self, value: &ValueRef<'_>) -> Place {
        let (less, is_there) = match (&self.values, value) {
            (_, ValueRef::Text(text)) if !self.whole.is_empty() => {
                let less = self.whole.partition_point(|own| own.bytes() < text.as_bytes());
                (less, self.whole.get(less).is_some_and(|own| own == text))
            }
            (Values::Texts(texts), ValueRef::Text(text)) => {
                let less = texts.lower_bound(text);
                (less, less < texts.len() && texts.compare(less, text).is_eq())
            }
            (Values::Numbers(numbers), value) => match key_of(value) {
                Some(key) => {
                    let less = numbers.lower_bound(key);
                    (less, less < numbers.len() && numbers.get(less) == key)
                }
                None => (0, false),
            },
            _ => (0, false),
        };
        Place { code: count(less) + 1, is_there }
    }

    /// One more than the greatest code.
    pub(crate) fn end_code(&self) -> u32 {
        count(self.values.len()) + 1
    }

    /// The runs in which the set rows are sorted: one, or one for each state that occurs.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let whole = Run { state: None, start: 0, end: self.set };
        let own = self.order.as_ref().map_or(&[][..], |order| &order.runs);
        let whole = (own.is_empty() && self.set > 0).then_some(whole);
        own.iter().copied().chain(whole)
    }

    /// The rows of a run whose codes lie in this range, in order of (code, row).
    pub(crate) fn rows_of(&self, run: Run, codes: Range<u32>) -> RowList<'_> {
        if codes.start >= codes.end {
            return RowList::Range(0, 0);
        }
        let Some(order) = &self.order else {
            return match self.codes {
                Codes::Ascending => {
                    let end = codes.end.min(self.rows + 1);
                    let start = codes.start.max(1).min(end);
                    RowList::Range(start - 1, end.max(1) - 1)
                }
                Codes::Same(code) if codes.contains(&code.into()) && code != 0 => {
                    RowList::Range(0, self.rows)
                }
                _ => RowList::Range(0, 0),
            };
        };
        let at = |code: u32| match &order.starts {
            _ if code <= 1 => run.start as usize,
            Some(starts) => starts.get(code as usize - 1).map_or(run.end as usize, |s| (*s).into()),
            None => {
                let rows = &order.rows[run.start as usize..run.end as usize];
                let less = |row: &RowId| u32::from(self.codes.get(*row)) < code;
                run.start as usize + rows.partition_point(less)
            }
        };
        RowList::Listed(&order.rows[at(codes.start)..at(codes.end)])
    }

    /// How many rows have a code in this range.
    pub(crate) fn count_of(&self, codes: &Range<u32>) -> usize {
        if codes.start <= 1 && codes.end >= self.end_code() {
            return self.set();
        }
        self.runs().map(|run| self.rows_of(run, codes.clone()).len()).sum()
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let order = self.order.as_ref().map_or(0, |order| {
            let starts = order.starts.as_ref().map_or(0, |starts| starts.len() * 2);
            order.rows.len() * 2 + order.runs.len() * size_of::<Run>() + starts
        });
        let whole =
            size_of_val(&*self.whole) + self.whole.iter().map(Text::heap_bytes).sum::<usize>();
        self.values.bytes() + self.codes.bytes() + order + whole
    }
}

impl Values {
    /// All texts, if so many rows share so few that they are worth keeping whole.
    fn whole(&self, set: usize) -> Box<[Text]> {
        let Values::Texts(texts) = self else { return Box::default() };
        if texts.len() > MOST_WHOLE || texts.len() * ROWS_OF_WHOLE > set {
            return Box::default();
        }
        let (mut text, mut bytes) = (String::new(), 0);
        let each = (0..texts.len()).map(|index| {
            texts.get(index, &mut text);
            bytes += text.len();
            (bytes <= MOST_WHOLE_BYTES).then(|| Text::from(text.as_str()))
        });
        each.collect::<Option<Box<[Text]>>>().unwrap_or_default()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Values::None => 0,
            Values::Texts(texts) => texts.len(),
            Values::Numbers(numbers) => numbers.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Values::None => 0,
            Values::Texts(texts) => texts.bytes(),
            Values::Numbers(numbers) => numbers.bytes(),
        }
    }
}

impl Order {
    /// Sorts by counting, which keeps rows of one code in their order.
    fn build(codes: &[Code], values: usize, states: Option<&[State]>) -> Order {
        let mut ends = vec![0_u32; values + 2];
        codes.iter().for_each(|code| ends[usize::from(*code) + 1] += 1);
        let unset = ends[1];
        ends[1] = 0;
        for code in 2..ends.len() {
            ends[code] += ends[code - 1];
        }
        let set = codes.len() - unset as usize;
        // `ends[code]` is where the next row of that code goes; at first, where they begin.
        let starts = &mut ends;
        let begins: Vec<u32> = starts[1..=values].to_vec();
        let mut rows = vec![0; set];
        for (code, row) in codes.iter().zip(0..) {
            if *code != 0 {
                let at = &mut starts[usize::from(*code)];
                rows[*at as usize] = row;
                *at += 1;
            }
        }
        match states {
            Some(states) => Order::parted(&rows, states),
            None => {
                let run = Run { state: None, start: 0, end: count(set) };
                let pays = values * 4 <= set;
                let starts = pays.then(|| begins.into_iter().map(narrow).collect());
                Order { rows: rows.into(), runs: [run].into(), starts }
            }
        }
    }

    /// The rows parted by state, in each part as they were.
    fn parted(sorted: &[RowId], states: &[State]) -> Order {
        let place_of = |row: RowId| {
            let state = states[usize::from(row)];
            State::ALL.iter().position(|other| *other == state).unwrap_or(0)
        };
        let mut counts = [0; State::ALL.len()];
        sorted.iter().for_each(|row| counts[place_of(*row)] += 1);
        // Where the next row of each state goes.
        let mut next = [0; State::ALL.len()];
        let (mut runs, mut start) = (Vec::new(), 0);
        for (at, state) in State::ALL.iter().enumerate().filter(|(at, _)| counts[*at] > 0) {
            next[at] = start;
            let end = start + counts[at];
            runs.push(Run { state: Some(*state), start: count(start), end: count(end) });
            start = end;
        }
        let mut rows = vec![0; sorted.len()];
        for row in sorted {
            let next = &mut next[place_of(*row)];
            rows[*next] = *row;
            *next += 1;
        }
        Order { rows: rows.into(), runs: runs.into(), starts: None }
    }
}

/// The distinct texts, whose codes are put into `codes`, at the place that stands with each.
fn build_texts<'a>(
    set: impl ExactSizeIterator<Item = (&'a str, u32)> + Clone,
    codes: &mut [Code],
) -> Texts {
    // Most texts repeat, so they are told apart first and only then sorted.
    let mut numbers: FastMap<&str, u32> =
        FastMap::with_capacity_and_hasher(set.len() / 4, FastState::default());
    let mut distinct: Vec<(u64, &str, u32)> = Vec::new();
    let mut last: Option<(&str, u32)> = None;
    let mut found = Vec::with_capacity(set.len());
    for (text, _) in set.clone() {
        let number = match last {
            Some((before, number)) if before == text => number,
            _ => *numbers.entry(text).or_insert_with(|| {
                distinct.push((beginning(text), text, count(distinct.len())));
                count(distinct.len()) - 1
            }),
        };
        last = Some((text, number));
        found.push(number);
    }
    distinct.sort_unstable();
    let mut code_of = vec![0; distinct.len()];
    for ((.., number), code) in distinct.iter().zip(1..) {
        code_of[*number as usize] = code;
    }
    for ((_, place), number) in set.zip(found) {
        codes[place as usize] = code_of[number as usize];
    }
    Texts::build(distinct.iter().map(|(_, text, _)| *text))
}

/// The distinct numbers, whose codes are put into `codes`, at the place that stands with each.
fn build_numbers(keys: impl Iterator<Item = (Key, u32)> + Clone, codes: &mut [Code]) -> Numbers {
    let mut distinct: Vec<Key> = Vec::new();
    each_in_order(keys, 16, &mut |key, place| {
        if distinct.last() != Some(&key) {
            distinct.push(key);
        }
        if let Some(code) = codes.get_mut(place as usize) {
            *code = narrow(count(distinct.len()));
        }
    });
    Numbers::build(&distinct)
}

/// Tells numbers in ascending order, each with what belongs to it, which takes so many bits. Where both
/// fit into one word together, and they nearly always do, that is what is sorted.
#[allow(clippy::cast_possible_truncation)] // Each form is chosen because it holds them.
fn each_in_order(
    numbers: impl Iterator<Item = (Key, u32)> + Clone,
    bits: u32,
    tell: &mut dyn FnMut(Key, u32),
) {
    let bounds = |(least, most): (Key, Key), (key, _)| (least.min(key), most.max(key));
    let (least, most) = numbers.clone().fold((Key::MAX, Key::MIN), bounds);
    let mask = (1 << bits) - 1;
    if most.saturating_sub(least) < 1 << (64 - bits) {
        let word = |(key, with): (Key, u32)| (((key - least) as u64) << bits) | u64::from(with);
        let mut words: Vec<u64> = numbers.map(word).collect();
        // Of parts that are merged each is sorted, and times of rows mostly ascend with their uuids: this
        // kind of sort makes use of that.
        words.sort();
        words.into_iter().for_each(|word| {
            tell(least + u128::from(word >> bits), (word & mask) as u32);
        });
    } else {
        let mut numbers: Vec<(Key, u32)> = numbers.collect();
        numbers.sort();
        numbers.into_iter().for_each(|(key, with)| tell(key, with));
    }
}

/// Of each part and code whether a row that stays has it.
fn used_codes(
    parts: &[Option<&Column>],
    sources: &[Source<'_>],
    from: &[(u8, RowId)],
    whole: &[bool],
) -> Vec<Vec<bool>> {
    // Of a part that stays whole every value is used, since some row has it.
    let begun = parts.iter().zip(whole).map(|(part, whole)| {
        let mut used = vec![*whole; part.map_or(1, |column| column.values.len() + 1)];
        used[0] = true;
        used
    });
    let mut used: Vec<Vec<bool>> = begun.collect();
    if whole.iter().all(|whole| *whole) {
        return used;
    }
    for (part, row) in from {
        let index = usize::from(*part);
        used[index][usize::from(sources[index].get(*row))] = true;
    }
    used
}

/// The used values of all parts, and of each part and code the new code.
fn merge_values(parts: &[Option<&Column>], used: &[Vec<bool>]) -> (Values, Vec<Vec<Code>>) {
    let mut maps: Vec<Vec<Code>> = used.iter().map(|codes| vec![0; codes.len()]).collect();
    let texts: Vec<(usize, &Texts)> = parts
        .iter()
        .enumerate()
        .filter_map(|(index, part)| match part.map(|column| &column.values) {
            Some(Values::Texts(texts)) => Some((index, texts)),
            _ => None,
        })
        .collect();
    if !texts.is_empty() {
        let only: Vec<&Texts> = texts.iter().map(|(_, texts)| *texts).collect();
        let (merged, places) = Texts::merge(&only, &|part, index| used[texts[part].0][index + 1]);
        for ((part, _), places) in texts.iter().zip(places) {
            for (index, place) in places.into_iter().enumerate() {
                if used[*part][index + 1] {
                    maps[*part][index + 1] = place + 1;
                }
            }
        }
        return (Values::Texts(merged), maps);
    }
    // Behind each number stand its part and its code. The fewer bits they take, the more are left for
    // the number: with eight parts, those of a year of microseconds.
    let bits = 16 + usize::BITS - parts.len().saturating_sub(1).leading_zeros();
    let most = used.iter().map(Vec::len).sum();
    let mut all: Vec<(Key, u32)> = Vec::with_capacity(most);
    for ((column, used), part) in parts.iter().zip(used).zip(0..) {
        let Some(Values::Numbers(numbers)) = column.map(|column| &column.values) else { continue };
        let used = (0..numbers.len()).filter(|index| used[index + 1]);
        all.extend(used.map(|index| (numbers.get(index), part << 16 | count(index + 1))));
    }
    let mut distinct: Vec<Key> = Vec::new();
    each_in_order(all.iter().copied(), bits, &mut |key, from| {
        if distinct.last() != Some(&key) {
            distinct.push(key);
        }
        let (part, code) = ((from >> 16) as usize, (from & 0xffff) as usize);
        maps[part][code] = narrow(count(distinct.len()));
    });
    (Values::Numbers(Numbers::build(&distinct)), maps)
}

/// The one new code that all rows have, if that can be told from the parts.
fn same_code(parts: &[Option<&Column>], maps: &[Vec<Code>]) -> Option<Code> {
    let mut same = None;
    for (part, map) in parts.iter().zip(maps) {
        let code = match part {
            None => 0,
            Some(Column { codes: Codes::Same(code), .. }) => map[usize::from(*code)],
            Some(_) => return None,
        };
        if same.is_some_and(|same| same != code) {
            return None;
        }
        same = Some(code);
    }
    same
}

/// A number of rows, codes or values, which are at most 65,536 in a segment.
pub(crate) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A row or a code: a segment has at most 65,535 of each.
fn narrow(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
