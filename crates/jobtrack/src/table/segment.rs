//! A block of jobs that never changes: rows in order of uuid, a column for each field.
//!
//! A job that changes or goes leaves its row behind; whoever holds the segment keeps which rows
//! are alive. Rows are sorted by uuid, so that the number of a row breaks ties as orders do, and a
//! uuid is found by halving.

// Rows are below `len`, columns are one for each fixed field: `build` and `merge` see to both.
#![allow(clippy::indexing_slicing)]

mod image;
mod jobs;

use std::sync::Arc;

use self::jobs::Common;
use super::arguments::Arguments;
use super::codes::{Codes, RowId, is_sparse};
use super::column::{Column, count};
use super::hash::FastMap;
use super::numbers::{Key, key_of, time_of, value_of};
use super::rows::Row;
use crate::field::{Field, FieldType, ValueRef};
use crate::job::{Gone, Job, JobId, Revision, Scope, State, Text};
use crate::store::Stay;
use crate::timestamp::Timestamp;

/// A block of jobs that never changes.
#[derive(Debug)]
pub(crate) struct Segment {
    states: Box<[State]>,
    /// Of each fixed field, in the order of [`Field::FIXED`]. Fields that have the same values in all
    /// rows share one column.
    columns: Box<[Arc<Column>]>,
    common: Common,
    /// Of each label that a row has, in order of name.
    labels: Box<[(Text, Column)]>,
    /// Which labels each row has: an index into `label_sets`.
    label_set: Codes,
    /// Sets of labels, as indices into `labels` in ascending order; the first is the empty one.
    label_sets: Box<[Box<[u32]>]>,
    /// The arguments of the errors that have any.
    arguments: Arguments,
    /// Under which key each row's record stands, and which commit wrote it.
    keys: Packed,
    stored: Packed,
}

/// A number for each row, in as few bytes as its range needs.
#[derive(Debug)]
enum Packed {
    Same(u64),
    /// Blocks of [`PACKED_BLOCK`] numbers, each with its least one, and the distances from that.
    Blocks(Box<[u64]>, Box<[u16]>),
    Near(u64, Box<[u32]>),
    Far(Box<[u64]>),
}

/// How many numbers share a base.
const PACKED_BLOCK: usize = 64;

impl Segment {
    /// The segment of these jobs, at least one and at most
    /// [`SEGMENT_ROWS`](super::codes::SEGMENT_ROWS), sorted by uuid, each once.
    pub(crate) fn build(rows: &[Row]) -> Segment {
        Building::new(rows).finish(rows)
    }

    /// How many rows there are, dead ones included.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// The row of this uuid.
    pub(crate) fn find(&self, id: JobId) -> Option<RowId> {
        let row = RowId::try_from(self.rows_before(id)).ok()?;
        (usize::from(row) < self.len() && self.uuid(row) == id).then_some(row)
    }

    /// How many rows come before this uuid.
    pub(crate) fn rows_before(&self, id: JobId) -> u32 {
        self.fixed(&Field::Uuid).place(&ValueRef::Uuid(id)).code - 1
    }

    /// The uuid of this row.
    pub(crate) fn uuid(&self, row: RowId) -> JobId {
        let key = self.fixed(&Field::Uuid).number(row).unwrap_or_default();
        JobId::from_uuid(uuid::Uuid::from_u128(key))
    }

    /// The state of this row.
    pub(crate) fn state(&self, row: RowId) -> State {
        self.states[usize::from(row)]
    }

    /// The states of all rows.
    pub(crate) fn states(&self) -> &[State] {
        &self.states
    }

    /// The column of this field; None for a label that no row has. A list has no values here: see
    /// [`arguments`](Segment::arguments).
    pub(crate) fn column(&self, field: &Field) -> Option<&Column> {
        if let Some(index) = field.index() {
            return Some(&self.columns[index]);
        }
        let Field::Label(name) = field else { return None };
        let at = self.labels.binary_search_by(|(own, _)| own.as_str().cmp(name)).ok()?;
        Some(&self.labels[at].1)
    }

    /// The arguments of the rows' errors.
    pub(crate) fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// From when on this row's job is in no answer.
    pub(crate) fn expire_time(&self, row: RowId) -> Option<Timestamp> {
        self.time(&Field::ExpireTime, row)
    }

    /// Whether this row has a value of this field.
    pub(crate) fn is_set(&self, field: &Field, row: RowId) -> bool {
        self.has_any(field) && self.column(field).is_some_and(|column| column.code(row) > 0)
    }

    /// Whether any row has a value of this field.
    pub(crate) fn has_any(&self, field: &Field) -> bool {
        self.column(field).is_some_and(|column| column.set() > 0)
    }

    /// This row's revision and uuid.
    pub(crate) fn revision(&self, row: RowId) -> Revision {
        let key = self.fixed(&Field::Revision).number(row).unwrap_or(0);
        match value_of(FieldType::Revision, key) {
            ValueRef::Revision(revision) => revision,
            _ => Revision::default(),
        }
    }

    /// This row's kind.
    pub(crate) fn kind(&self, row: RowId) -> Text {
        let column = self.fixed(&Field::Kind);
        column.job_text(column.code(row), &mut String::new())
    }

    /// This row's kind, put into `text`.
    pub(crate) fn kind_in<'t>(&self, row: RowId, text: &'t mut String) -> &'t str {
        self.fixed(&Field::Kind).text(row, text).unwrap_or_default()
    }

    /// Under which key the row's record stands, and which commit wrote it.
    pub(crate) fn record(&self, row: RowId) -> (u64, u64) {
        (self.keys.get(row), self.stored.get(row))
    }

    /// What is left of the row's job when its time is up: [`Gone::expired`] without the job.
    pub(crate) fn gone(&self, row: RowId) -> Gone {
        let end_time = self.time(&Field::EndTime, row).unwrap_or(Timestamp::MIN);
        let code =
            self.fixed(&Field::Code).number(row).map(|key| value_of(FieldType::Integer, key));
        let code = match code {
            Some(ValueRef::Integer(code)) => i64::try_from(code).unwrap_or(0),
            _ => 0,
        };
        Gone {
            uuid: self.uuid(row),
            scope: self.scope(row),
            state: self.state(row),
            code,
            end_time,
            gone_time: self.expire_time(row).unwrap_or(end_time),
            was_deleted: false,
        }
    }

    fn scope(&self, row: RowId) -> Option<Scope> {
        let mut shared = String::new();
        let mut text = |field: &Field| -> Text {
            self.fixed(field).text(row, &mut shared).map(Text::from).unwrap_or_default()
        };
        let scope = Scope { name: text(&Field::ScopeName), id: text(&Field::ScopeId) };
        (scope != Scope::default()).then_some(scope)
    }

    /// The row as it was put in, with its job as [`job`](Segment::job) has made it.
    pub(crate) fn row(&self, row: RowId, job: Arc<Job>) -> Row {
        Row { job, key: self.keys.get(row), stored: self.stored.get(row) }
    }

    /// Sets how often its jobs were claimed, and lost: `of` knows that by the key of a row's record and
    /// its uuid. For opening alone, which learns this last.
    pub(super) fn set_claims(&mut self, of: &dyn Fn(u64, JobId) -> Option<(u32, u32)>) {
        let rows = (0..self.len()).filter_map(|row| RowId::try_from(row).ok());
        let counts: Vec<(RowId, u32, u32)> = rows
            .filter_map(|row| {
                let (claims, losses) = of(self.keys.get(row), self.uuid(row))?;
                Some((row, claims, losses))
            })
            .collect();
        if counts.is_empty() {
            return;
        }
        let value =
            |row: RowId, count: u32| (count > 0).then(|| (row, ValueRef::Integer(count.into())));
        let claims = counts.iter().filter_map(|(row, claims, _)| value(*row, *claims)).collect();
        let losses = counts.iter().filter_map(|(row, _, losses)| value(*row, *losses)).collect();
        let lists: [(Field, Vec<_>); 2] = [(Field::Claims, claims), (Field::Losses, losses)];
        lists.into_iter().for_each(|(field, set)| self.set_column(&field, &set));
    }

    /// Sets how its jobs were told to stay, as [`set_claims`](Segment::set_claims) does.
    pub(super) fn set_stays<'s>(&mut self, of: &dyn Fn(u64, JobId) -> Option<&'s Stay>) {
        let rows = (0..self.len()).filter_map(|row| RowId::try_from(row).ok());
        let stays: Vec<(RowId, &Stay)> =
            rows.filter_map(|row| Some((row, of(self.keys.get(row), self.uuid(row))?))).collect();
        if stays.is_empty() {
            return;
        }
        let values = |of: fn(&Stay) -> Option<ValueRef<'_>>| -> Vec<_> {
            stays.iter().filter_map(|(row, stay)| Some((*row, of(stay)?))).collect()
        };
        fn text(text: &str) -> Option<ValueRef<'_>> {
            (!text.is_empty()).then_some(ValueRef::Text(text))
        }
        let lists = [
            (Field::RetentionTold, values(|it| it.told.map(|told| ValueRef::Text(told.as_str())))),
            (Field::HeldBy, values(|it| text(it.held.as_ref()?.by.name()))),
            (Field::HeldTime, values(|it| Some(ValueRef::Time(it.held.as_ref()?.time)))),
            (Field::HeldReason, values(|it| text(&it.held.as_ref()?.reason))),
        ];
        lists.iter().for_each(|(field, set)| self.set_column(field, set));
    }

    fn set_column(&mut self, field: &Field, set: &[(RowId, ValueRef<'_>)]) {
        if let Some(index) = field.index() {
            let column = Column::build(field.field_type(), self.len(), set);
            self.columns[index] = Arc::new(column);
        }
        self.common = Common::of(&self.columns);
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let is_first = |at: usize, column: &Arc<Column>| {
            self.columns.iter().take(at).all(|before| !Arc::ptr_eq(before, column))
        };
        let own = self.columns.iter().enumerate().filter(|(at, column)| is_first(*at, column));
        let columns: usize = own.map(|(_, column)| column.bytes()).sum();
        let label = |(name, column): &(Text, Column)| {
            name.heap_bytes() + size_of::<(Text, Column)>() + column.bytes()
        };
        let set_bytes = |set: &[u32]| size_of::<Box<[u32]>>() + set.len() * 4;
        size_of::<Segment>()
            + self.len() * size_of::<State>()
            + self.columns.len() * (size_of::<Arc<Column>>() + size_of::<Column>())
            + columns
            + self.common.bytes()
            + self.labels.iter().map(label).sum::<usize>()
            + self.label_set.bytes()
            + self.label_sets.iter().map(|set| set_bytes(set)).sum::<usize>()
            + self.arguments.bytes()
            + self.keys.bytes()
            + self.stored.bytes()
    }

    fn fixed(&self, field: &Field) -> &Column {
        // Only fields with a fixed name are asked for here, and these have an index.
        &self.columns[field.index().unwrap_or(0)]
    }

    fn time(&self, field: &Field, row: RowId) -> Option<Timestamp> {
        self.fixed(field).number(row).map(time_of)
    }
}

/// The jobs of so many rows stay in the nearest memory while they are gone through.
const ROWS_AT_HAND: usize = 64;

/// A segment in the making, a column at a time, so that the work can be spread. Each call is given the
/// same rows.
#[derive(Debug)]
pub(crate) struct Building {
    states: Box<[State]>,
    /// Of each fixed field whether all rows have the same value, or none. Most fields are so, which is
    /// found in one pass over the jobs, and only the others are gone through once more each.
    is_same: Vec<bool>,
    /// Of each fixed field that holds numbers, and different ones, what they are.
    numbers: Vec<Gathered>,
    /// Of each pair of [`ALIKE`] whether all rows have the same values of both.
    is_alike: [bool; ALIKE.len()],
    columns: Vec<Arc<Column>>,
}

impl Building {
    /// Begins the segment of these jobs, as [`Segment::build`] wants them.
    pub(crate) fn new(rows: &[Row]) -> Building {
        let states = rows.iter().map(|row| row.job.state()).collect();
        // Each uuid is there once, so that they ascend and are never the same.
        let mut is_same: Vec<bool> = Field::FIXED.iter().map(|it| *it != Field::Uuid).collect();
        let mut is_alike = [true; ALIKE.len()];
        let mut numbers: Vec<Gathered> = Vec::new();
        numbers.resize_with(Field::FIXED.len(), Gathered::default);
        let first = rows.first();
        // Some rows at a time: all fields of a job are looked at while it is at hand.
        for (some, end) in rows.chunks(ROWS_AT_HAND).zip((ROWS_AT_HAND..).step_by(ROWS_AT_HAND)) {
            for ((field, other), is_alike) in ALIKE.iter().zip(&mut is_alike).filter(|it| *it.1) {
                *is_alike = some.iter().all(|row| field.value(&row.job) == other.value(&row.job));
            }
            let fields = Field::FIXED.iter().zip(&mut is_same).zip(&mut numbers);
            for ((field, is_same), numbers) in fields {
                if *is_same {
                    let value = first.map(|row| field.value(&row.job));
                    *is_same = some.iter().all(|row| Some(field.value(&row.job)) == value);
                }
                let is_shared = pair_of(field).is_some_and(|pair| is_alike[pair]);
                if !*is_same && !is_shared && is_number(field) {
                    numbers.gather(field, rows, end.min(rows.len()));
                }
            }
        }
        Building {
            states,
            is_same,
            numbers,
            is_alike,
            columns: Vec::with_capacity(Field::FIXED.len()),
        }
    }

    /// Builds one more column, and says whether all are built.
    pub(crate) fn step(&mut self, rows: &[Row]) -> bool {
        let at = self.columns.len();
        if let Some(field) = Field::FIXED.get(at) {
            let shared = shared(field, &self.columns, |pair, _| self.is_alike[pair]);
            let numbers = std::mem::take(&mut self.numbers[at]);
            let build = || match self.is_same[at] {
                true => Column::same(rows.len(), rows.first().and_then(|it| field.value(&it.job))),
                false if *field == Field::Uuid => Column::ascending(&numbers.keys),
                false if is_number(field) => {
                    let parting = parting(field, &self.states);
                    Column::build_numbers(rows.len(), &numbers.rows, &numbers.keys, parting)
                }
                false => build_texts(field, rows),
            };
            let column = shared.unwrap_or_else(|| Arc::new(build()));
            self.columns.push(column);
        }
        self.columns.len() == Field::FIXED.len()
    }

    /// The segment, once all columns are built.
    pub(crate) fn finish(mut self, rows: &[Row]) -> Segment {
        while !self.step(rows) {}
        let columns: Box<[Arc<Column>]> = self.columns.into();
        let (labels, label_set, label_sets) = build_labels(rows);
        Segment {
            states: self.states,
            common: Common::of(&columns),
            columns,
            labels,
            label_set,
            label_sets,
            arguments: Arguments::build(rows),
            keys: Packed::build(rows.iter().map(|row| row.key).collect()),
            stored: Packed::build(rows.iter().map(|row| row.stored).collect()),
        }
    }
}

/// The numbers of one field, and which rows have them.
#[derive(Debug, Default)]
struct Gathered {
    /// How many rows were looked at.
    seen: usize,
    rows: Vec<RowId>,
    keys: Vec<Key>,
}

impl Gathered {
    /// Adds what the rows before this one have that were not looked at before.
    fn gather(&mut self, field: &Field, rows: &[Row], end: usize) {
        if self.seen == 0 {
            self.rows.reserve(rows.len());
            self.keys.reserve(rows.len());
        }
        for row in &rows[self.seen..end] {
            let key = field.value(&row.job).and_then(|value| key_of(&value));
            if let (Some(key), Ok(id)) = (key, RowId::try_from(self.seen)) {
                self.rows.push(id);
                self.keys.push(key);
            }
            self.seen += 1;
        }
    }
}

fn is_number(field: &Field) -> bool {
    !matches!(field.field_type(), FieldType::Text | FieldType::Word(_))
}

/// Several segments that become one, a column at a time, so that the work can be spread.
#[derive(Debug)]
pub(crate) struct Merge {
    parts: Vec<Arc<Segment>>,
    /// Of each part whether all rows of it live.
    whole: Vec<bool>,
    /// Row by row of the new segment the part and its row that it comes from, in order of uuid.
    from: Vec<(u8, RowId)>,
    uuids: Vec<Key>,
    states: Box<[State]>,
    columns: Vec<Arc<Column>>,
}

impl Merge {
    /// Of the rows of each segment that live: at least one in all, at most
    /// [`SEGMENT_ROWS`](super::codes::SEGMENT_ROWS), each uuid once; at most 255 segments.
    pub(crate) fn new(parts: Vec<(Arc<Segment>, Vec<RowId>)>) -> Merge {
        let mut sorted = Vec::with_capacity(parts.iter().map(|(_, rows)| rows.len()).sum());
        for ((segment, rows), part) in parts.iter().zip(0_u8..) {
            let of = |row: &RowId| (segment.uuid(*row).as_uuid().as_u128(), part, *row);
            sorted.extend(rows.iter().map(of));
        }
        // Each part is sorted already, which this kind of sort makes use of.
        sorted.sort();
        let uuids = sorted.iter().map(|(uuid, ..)| *uuid).collect();
        let from: Vec<(u8, RowId)> = sorted.into_iter().map(|(_, part, row)| (part, row)).collect();
        let states = from.iter().map(|(part, row)| parts[usize::from(*part)].0.state(*row));
        let states = states.collect();
        let whole = parts.iter().map(|(segment, rows)| rows.len() == segment.len()).collect();
        let parts = parts.into_iter().map(|(segment, _)| segment).collect();
        Merge { parts, whole, from, uuids, states, columns: Vec::with_capacity(Field::FIXED.len()) }
    }

    /// Merges one more column, and says whether all are merged.
    pub(crate) fn step(&mut self) -> bool {
        if let Some(field) = Field::FIXED.get(self.columns.len()) {
            let is_alike = |_, other: &Field| {
                let (at, other) = (field.index().unwrap_or(0), other.index().unwrap_or(0));
                self.parts.iter().all(|part| Arc::ptr_eq(&part.columns[at], &part.columns[other]))
            };
            let shared = shared(field, &self.columns, is_alike);
            let merge = || Arc::new(self.merge_column(field));
            let column = shared.unwrap_or_else(merge);
            self.columns.push(column);
        }
        self.columns.len() == Field::FIXED.len()
    }

    /// The segment, once all columns are merged.
    pub(crate) fn finish(mut self) -> Segment {
        while !self.step() {}
        let (labels, label_set, label_sets) = self.merge_labels();
        let arguments: Vec<_> = self.parts.iter().map(|part| &part.arguments).collect();
        let arguments = Arguments::merge(&arguments, &self.from);
        let columns = share(std::mem::take(&mut self.columns).into());
        let packed = |of: fn(&Segment) -> &Packed| {
            let numbers = self.from.iter().map(|(part, row)| of(self.part(*part)).get(*row));
            Packed::build(numbers.collect())
        };
        Segment {
            common: Common::of(&columns),
            columns,
            labels,
            label_set,
            label_sets,
            arguments,
            keys: packed(|segment| &segment.keys),
            stored: packed(|segment| &segment.stored),
            states: self.states,
        }
    }

    fn merge_column(&self, field: &Field) -> Column {
        if *field == Field::Uuid {
            return Column::ascending(&self.uuids);
        }
        let columns: Vec<_> = self.parts.iter().map(|part| part.column(field)).collect();
        Column::merge(&columns, &self.from, &self.whole, parting(field, &self.states))
    }

    fn part(&self, part: u8) -> &Segment {
        &self.parts[usize::from(part)]
    }

    fn merge_labels(&self) -> LabelColumns {
        let mut names: Vec<&str> = self
            .parts
            .iter()
            .flat_map(|part| part.labels.iter().map(|(name, _)| name.as_str()))
            .collect();
        names.sort_unstable();
        names.dedup();
        // The new row of each part's rows.
        let mut new_rows: Vec<Vec<Option<RowId>>> =
            self.parts.iter().map(|part| vec![None; part.len()]).collect();
        for ((part, old), row) in self.from.iter().zip(0..) {
            new_rows[usize::from(*part)][usize::from(*old)] = Some(row);
        }
        let mut labels: Vec<(Text, Column)> = Vec::new();
        // The new index of each part's labels; a label that no row has any more is dropped.
        let mut indices: Vec<Vec<u32>> =
            self.parts.iter().map(|part| vec![u32::MAX; part.labels.len()]).collect();
        for name in names {
            let field = Field::Label(name.into());
            let columns: Vec<_> = self.parts.iter().map(|part| part.column(&field)).collect();
            let column = self.merge_label(&columns, &new_rows);
            if column.set() == 0 {
                continue;
            }
            for (part, indices) in self.parts.iter().zip(&mut indices) {
                if let Ok(at) = part.labels.binary_search_by(|(own, _)| own.as_str().cmp(name)) {
                    indices[at] = count(labels.len());
                }
            }
            labels.push((name.into(), column));
        }
        let mut sets = LabelSets::default();
        // Rows that lie together mostly have the same labels.
        let mut known: Vec<Vec<Option<u16>>> =
            self.parts.iter().map(|part| vec![None; part.label_sets.len()]).collect();
        let codes: Vec<u16> = self
            .from
            .iter()
            .map(|(part, row)| {
                let segment = self.part(*part);
                let old = usize::from(segment.label_set.get(*row));
                let known = &mut known[usize::from(*part)][old];
                *known.get_or_insert_with(|| {
                    let indices = &indices[usize::from(*part)];
                    let set = segment.label_sets[old].iter().map(|index| indices[*index as usize]);
                    sets.number(&set.collect::<Vec<_>>())
                })
            })
            .collect();
        (labels.into(), Codes::build(&codes), sets.list.into())
    }

    /// The column of one label. Where few rows have it no others are looked at, since there may be
    /// as many labels as rows.
    fn merge_label(&self, columns: &[Option<&Column>], new_rows: &[Vec<Option<RowId>>]) -> Column {
        let set: usize = columns.iter().flatten().map(|column| column.set()).sum();
        let are_listed = columns
            .iter()
            .flatten()
            .all(|column| matches!(column.codes(), Codes::Sparse { .. }) || column.set() == 0);
        if !are_listed || !is_sparse(set, self.from.len()) {
            return Column::merge(columns, &self.from, &self.whole, None);
        }
        let mut texts: Vec<(RowId, String)> = Vec::with_capacity(set);
        let mut text = String::new();
        for (column, new_rows) in columns.iter().zip(new_rows) {
            let Some(column) = column else { continue };
            let Codes::Sparse { rows, .. } = column.codes() else { continue };
            for old in rows {
                if let Some(row) = new_rows[usize::from(*old)]
                    && let Some(text) = column.text(*old, &mut text)
                {
                    texts.push((row, text.to_owned()));
                }
            }
        }
        texts.sort_unstable_by_key(|(row, _)| *row);
        let set: Vec<(RowId, &str)> = texts.iter().map(|(row, text)| (*row, &**text)).collect();
        Column::build_texts(self.from.len(), &set)
    }
}

impl Packed {
    fn build(numbers: Box<[u64]>) -> Packed {
        let least = numbers.iter().copied().min().unwrap_or(0);
        let greatest = numbers.iter().copied().max().unwrap_or(0);
        if least == greatest {
            return Packed::Same(least);
        }
        // Neighbours were mostly made, and stored, one after the other.
        let least_of = |block: &[u64]| block.iter().copied().min().unwrap_or(0);
        let bases: Box<[u64]> = numbers.chunks(PACKED_BLOCK).map(least_of).collect();
        let offsets = numbers
            .chunks(PACKED_BLOCK)
            .zip(&bases)
            .flat_map(|(block, base)| block.iter().map(move |number| u16::try_from(number - base)));
        if let Ok(offsets) = offsets.collect() {
            return Packed::Blocks(bases, offsets);
        }
        let near: Result<Box<[u32]>, _> =
            numbers.iter().map(|number| u32::try_from(number - least)).collect();
        near.map_or(Packed::Far(numbers), |near| Packed::Near(least, near))
    }

    fn get(&self, row: RowId) -> u64 {
        match self {
            Packed::Same(number) => *number,
            Packed::Blocks(bases, offsets) => {
                let row = usize::from(row);
                bases[row / PACKED_BLOCK] + u64::from(offsets[row])
            }
            Packed::Near(least, near) => least + u64::from(near[usize::from(row)]),
            Packed::Far(numbers) => numbers[usize::from(row)],
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Packed::Same(_) => 0,
            Packed::Blocks(bases, offsets) => bases.len() * 8 + offsets.len() * 2,
            Packed::Near(_, near) => near.len() * 4,
            Packed::Far(numbers) => numbers.len() * 8,
        }
    }
}

/// Fields that mostly have the values of another one: a job that has ended was changed last when it
/// ended, is kept from then on, and has done all there was to do. The other one has its column first.
const ALIKE: [(Field, Field); 3] = [
    (Field::UpdateTime, Field::EndTime),
    (Field::RetainedFrom, Field::EndTime),
    (Field::ProgressTotal, Field::ProgressDone),
];

/// The number of the pair of [`ALIKE`] in which the field is the first one.
fn pair_of(field: &Field) -> Option<usize> {
    ALIKE.iter().position(|(own, _)| own == field)
}

/// The column of the other field of a pair of [`ALIKE`], if this one is alike; `is_alike` is asked with
/// the pair's number and the other field.
fn shared(
    field: &Field,
    columns: &[Arc<Column>],
    is_alike: impl FnOnce(usize, &Field) -> bool,
) -> Option<Arc<Column>> {
    let pair = pair_of(field)?;
    let other = &ALIKE[pair].1;
    columns.get(other.index()?).filter(|_| is_alike(pair, other)).cloned()
}

/// Shares the columns that have come to be alike.
fn share(mut columns: Box<[Arc<Column>]>) -> Box<[Arc<Column>]> {
    for (field, other) in ALIKE {
        if let (Some(at), Some(other)) = (field.index(), other.index())
            && columns[at] == columns[other]
        {
            columns[at] = Arc::clone(&columns[other]);
        }
    }
    columns
}

/// By what the order of a field's column is parted. The times that are asked for together with a
/// state: then both together cost no more than the time alone.
fn parting<'a>(field: &Field, states: &'a [State]) -> Option<&'a [State]> {
    let is_parted = matches!(
        field,
        Field::CreateTime
            | Field::StartTime
            | Field::EndTime
            | Field::UpdateTime
            // So that it can share the column of the end.
            | Field::RetainedFrom
    );
    is_parted.then_some(states)
}

/// The column of a fixed field that holds texts.
fn build_texts(field: &Field, rows: &[Row]) -> Column {
    let mut set: Vec<(RowId, &str)> = Vec::with_capacity(rows.len());
    set.extend(rows.iter().zip(0..).filter_map(|(row, id)| match field.value(&row.job) {
        Some(ValueRef::Text(text)) => Some((id, text)),
        _ => None,
    }));
    Column::build_texts(rows.len(), &set)
}

type LabelColumns = (Box<[(Text, Column)]>, Codes, Box<[Box<[u32]>]>);

/// So many names of labels are compared with before one is looked up: most jobs have the same few.
const NAMES_COMPARED: usize = 6;

fn build_labels(rows: &[Row]) -> LabelColumns {
    let mut names: Vec<&str> = Vec::new();
    let mut number_of: FastMap<&str, u32> = FastMap::default();
    let mut values: Vec<Vec<(RowId, &str)>> = Vec::new();
    // The numbers of each row's labels, row after row.
    let mut numbers: Vec<u32> = Vec::with_capacity(rows.len());
    for (row, id) in rows.iter().zip(0..) {
        for (name, value) in row.job.labels.iter() {
            let near = names.iter().take(NAMES_COMPARED).position(|known| *known == name);
            let number = near.map(count).unwrap_or_else(|| {
                *number_of.entry(name).or_insert_with(|| {
                    names.push(name);
                    values.push(Vec::new());
                    count(names.len()) - 1
                })
            });
            values[number as usize].push((id, value));
            numbers.push(number);
        }
    }
    // As they came, the names have numbers; in their order, places.
    let mut in_order: Vec<usize> = (0..names.len()).collect();
    in_order.sort_unstable_by_key(|number| names[*number]);
    let mut place_of = vec![0; names.len()];
    in_order.iter().zip(0..).for_each(|(number, place)| place_of[*number] = place);
    let mut places = numbers.iter().map(|number| place_of[*number as usize]);
    let mut sets = LabelSets::default();
    let mut set: Vec<u32> = Vec::new();
    let set_of = |row: &Row| {
        // The names of a job's labels ascend, so their places do.
        set.clear();
        set.extend(places.by_ref().take(row.job.labels.iter().count()));
        sets.number(&set)
    };
    let codes: Vec<u16> = rows.iter().map(set_of).collect();
    let column = |number: &usize| {
        let column = Column::build_texts(rows.len(), &values[*number]);
        (names[*number].into(), column)
    };
    (in_order.iter().map(column).collect(), Codes::build(&codes), sets.list.into())
}

/// Sets of labels, numbered as they come; the empty one is number 0.
#[derive(Debug)]
struct LabelSets {
    list: Vec<Box<[u32]>>,
    numbers: FastMap<Box<[u32]>, u16>,
}

impl Default for LabelSets {
    fn default() -> Self {
        let none: Box<[u32]> = Box::default();
        LabelSets { list: vec![none.clone()], numbers: FastMap::from_iter([(none, 0)]) }
    }
}

impl LabelSets {
    /// The number of this set. There are at most as many as rows, and the empty one.
    fn number(&mut self, set: &[u32]) -> u16 {
        // Most jobs have none, or one of the first few sets.
        let near = self.list.iter().take(NAMES_COMPARED).position(|known| **known == *set);
        let known = near.and_then(|number| u16::try_from(number).ok());
        if let Some(number) = known.or_else(|| self.numbers.get(set).copied()) {
            return number;
        }
        let number = u16::try_from(self.list.len()).unwrap_or(u16::MAX);
        self.list.push(set.into());
        self.numbers.insert(set.into(), number);
        number
    }
}
