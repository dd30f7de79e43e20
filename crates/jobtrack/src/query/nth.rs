//! The value at some distance into an order, found among the distinct values of all segments.
//!
//! Each segment knows how many rows come before each of its values. So a value is proposed, what
//! comes before it is added up over all segments, and one side of it is dropped; the value proposed
//! is the one in the middle of what is left, so that about as many steps are needed as there are
//! digits in the number of values. No row is looked at.

use std::ops::Range;
use std::sync::Arc;

use super::order::{Direction, OrderKey};
use super::place::{KeyValue, SegmentKey, place_of};
use crate::job::Job;
use crate::table::{Code, Codes, RowId};

/// Some rows by one key: how many come before each value.
#[derive(Debug)]
pub(super) enum Axis<'a> {
    /// All rows of a segment.
    All(SegmentKey<'a>, usize),
    /// Some rows of a segment: of each place among its values how many come before it.
    Counted(SegmentKey<'a>, Vec<u32>),
    /// Some rows of a segment in their order, which is the key's: each has a value of its own.
    Rows(SegmentKey<'a>, &'a [RowId]),
    /// The values of some jobs, in order, less those that are unset.
    Jobs(Vec<KeyValue>, Direction),
}

impl<'a> Axis<'a> {
    /// Of these rows, in ascending order, of the segment whose key this is.
    pub(super) fn of_rows(key: SegmentKey<'a>, rows: &'a [RowId]) -> Axis<'a> {
        let all = values(&key);
        let Some(column) = key.column else {
            return Axis::Counted(key, vec![0, count(rows.len())]);
        };
        if matches!(column.codes(), Codes::Ascending) && key.direction == Direction::Ascending {
            return Axis::Rows(key, rows);
        }
        let mut of_code = vec![0_u32; all + 1];
        column.codes().of_each(rows, |_, code| {
            if let Some(count) = of_code.get_mut(usize::from(code)) {
                *count += 1;
            }
        });
        let (mut before, mut sum) = (Vec::with_capacity(all + 2), 0);
        let mut add = |count: u32| {
            before.push(sum);
            sum += count;
        };
        let (unset, set) = of_code.split_first().map_or((0, &[][..]), |(unset, set)| (*unset, set));
        match key.direction {
            Direction::Ascending => set.iter().for_each(|count| add(*count)),
            Direction::Descending => set.iter().rev().for_each(|count| add(*count)),
        }
        // What is unset comes last, and the end after it.
        add(unset);
        add(0);
        Axis::Counted(key, before)
    }

    pub(super) fn of_jobs(key: Option<&OrderKey>, jobs: &[Arc<Job>]) -> Axis<'a> {
        let value = |job: &Arc<Job>| match key {
            Some(key) => KeyValue::of(key.field.value(job)),
            None => KeyValue::of(Some(crate::field::ValueRef::Uuid(job.uuid))),
        };
        let direction = key.map_or(Direction::Ascending, |key| key.direction);
        let mut set: Vec<KeyValue> =
            jobs.iter().map(value).filter(|value| *value != KeyValue::Unset).collect();
        set.sort_by(|a, b| a.order(b, direction));
        Axis::Jobs(set, direction)
    }

    fn direction(&self) -> Direction {
        match self {
            Axis::All(key, _) | Axis::Counted(key, _) | Axis::Rows(key, _) => key.direction,
            Axis::Jobs(_, direction) => *direction,
        }
    }

    /// How many places it has: its values in order, each once; of jobs as often as it occurs.
    fn places(&self) -> usize {
        match self {
            Axis::All(key, _) | Axis::Counted(key, _) => values(key),
            Axis::Rows(_, rows) => rows.len(),
            Axis::Jobs(set, _) => set.len(),
        }
    }

    fn value(&self, place: usize) -> KeyValue {
        match self {
            Axis::All(key, _) | Axis::Counted(key, _) => {
                let plain = match key.direction {
                    Direction::Ascending => place + 1,
                    Direction::Descending => values(key) - place,
                };
                let code = Code::try_from(plain).unwrap_or(Code::MAX);
                key.column.map_or(KeyValue::Unset, |column| KeyValue::of_code(column, code))
            }
            Axis::Rows(key, rows) => {
                let row = rows.get(place).zip(key.column);
                row.map_or(KeyValue::Unset, |(row, column)| KeyValue::of_code(column, row + 1))
            }
            Axis::Jobs(set, _) => set.get(place).cloned().unwrap_or(KeyValue::Unset),
        }
    }

    /// The places of this value: empty where it would be, if it is not there.
    pub(super) fn places_of(&self, value: &KeyValue) -> Range<usize> {
        match self {
            Axis::Jobs(set, direction) => {
                let start = set.partition_point(|own| own.order(value, *direction).is_lt());
                let end = set.partition_point(|own| own.order(value, *direction).is_le());
                start..end
            }
            Axis::Rows(key, rows) => {
                if *value == KeyValue::Unset {
                    return rows.len()..rows.len() + 1;
                }
                let place = place_of(key.column, value);
                let start = rows.partition_point(|row| u32::from(*row) + 1 < place.code);
                let is_there = place.is_there
                    && rows.get(start).is_some_and(|row| u32::from(*row) + 1 == place.code);
                start..start + usize::from(is_there)
            }
            Axis::All(key, _) | Axis::Counted(key, _) => {
                let all = values(key);
                if *value == KeyValue::Unset {
                    return all..all + 1;
                }
                let place = place_of(key.column, value);
                let (code, len) = (place.code as usize, usize::from(place.is_there));
                let start = match key.direction {
                    Direction::Ascending => code - 1,
                    Direction::Descending => (all + 1).saturating_sub(code + len),
                };
                start..start + len
            }
        }
    }

    /// What rows have that stand at these places.
    pub(super) fn kept(&self, places: &Range<usize>) -> Kept {
        let (Axis::All(key, _) | Axis::Counted(key, _)) = self else {
            return Kept::Places(places.clone());
        };
        let all = values(key);
        let (start, end) = (places.start.min(all), places.end.min(all));
        let codes = match key.direction {
            Direction::Ascending => start + 1..end + 1,
            Direction::Descending => all + 1 - end..all + 1 - start,
        };
        Kept::Codes(count(codes.start)..count(codes.end), places.end > all)
    }

    /// How many rows come before this place.
    pub(super) fn before(&self, place: usize) -> usize {
        match self {
            Axis::Counted(_, before) => {
                before.get(place).or(before.last()).map_or(0, |count| *count as usize)
            }
            Axis::All(key, rows) => {
                let all = values(key);
                if place > all {
                    return *rows;
                }
                let codes = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                let range = match key.direction {
                    Direction::Ascending => 1..codes(place + 1),
                    Direction::Descending => codes(all - place + 1)..codes(all + 1),
                };
                key.column.map_or(0, |column| column.count_of(&range))
            }
            Axis::Rows(_, rows) => place.min(rows.len()),
            Axis::Jobs(..) => place,
        }
    }
}

/// What those rows have in common that stand at some places of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// These codes, or (if true) none.
    Codes(Range<u32>, bool),
    /// Their places among the rows.
    Places(Range<usize>),
}

/// The value of the row before which so many others come, by this key alone.
pub(super) fn nth(axes: &[Axis<'_>], number: usize) -> KeyValue {
    let direction = axes.first().map_or(Direction::Ascending, Axis::direction);
    let mut left: Vec<Range<usize>> = axes.iter().map(|axis| 0..axis.places()).collect();
    let mut middles: Vec<(KeyValue, usize)> = Vec::with_capacity(axes.len());
    loop {
        middles.clear();
        for (axis, left) in axes.iter().zip(&left) {
            if !left.is_empty() {
                middles.push((axis.value(left.start + left.len() / 2), left.len()));
            }
        }
        middles.sort_by(|(a, _), (b, _)| a.order(b, direction));
        let half = middles.iter().map(|(_, weight)| weight).sum::<usize>() / 2;
        let mut passed = 0;
        let middle = middles.iter().find(|(_, weight)| {
            passed += weight;
            passed > half
        });
        // All that is set comes before.
        let Some((middle, _)) = middle else { return KeyValue::Unset };
        let places: Vec<Range<usize>> = axes.iter().map(|axis| axis.places_of(middle)).collect();
        let before = |of: fn(&Range<usize>) -> usize| -> usize {
            axes.iter().zip(&places).map(|(axis, places)| axis.before(of(places))).sum()
        };
        if number < before(|places| places.start) {
            let ends = left.iter_mut().zip(&places);
            ends.for_each(|(left, places)| left.end = left.end.min(places.start));
        } else if number < before(|places| places.end) {
            return middle.clone();
        } else {
            let starts = left.iter_mut().zip(&places);
            starts.for_each(|(left, places)| left.start = left.start.max(places.end));
        }
    }
}

/// How many values the key's column has.
fn values(key: &SegmentKey<'_>) -> usize {
    key.column.map_or(0, |column| column.values().len())
}

/// Rows of a segment fit 16 bits.
fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::field::Field;
    use crate::query::random_jobs;
    use crate::query::walk::keys_of;
    use crate::table::{Row, Segment};

    fn segment(jobs: &[Job]) -> Segment {
        let mut rows: Vec<Row> =
            jobs.iter().map(|job| Row { job: Arc::new(job.clone()), key: 0, stored: 0 }).collect();
        rows.sort_by_key(|row| row.job.uuid);
        rows.dedup_by_key(|row| row.job.uuid);
        Segment::build(&rows)
    }

    proptest! {
        /// Segments of which all rows or some are meant, and jobs beside them.
        #[test]
        fn the_value_is_the_one_that_sorting_finds(
            parts in vec((vec(random_jobs::job(), 1..20), any::<bool>(), 1..4_usize), 1..5),
            heads in vec(random_jobs::job(), 0..6),
            field in proptest::sample::select(vec![
                Field::Message, Field::Code, Field::EndTime, Field::Kind, Field::Uuid,
                Field::Label("x".into()),
            ]),
            direction in prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)],
            number in 0..70_usize,
        ) {
            let key = OrderKey { field, direction };
            let segments: Vec<Segment> = parts.iter().map(|(jobs, ..)| segment(jobs)).collect();
            let heads: Vec<Arc<Job>> = heads.into_iter().map(Arc::new).collect();
            let rows_of = |(segment, (_, is_all, step)): (&Segment, &(_, bool, usize))| {
                let step = if *is_all { 1 } else { *step };
                (0..u16::try_from(segment.len()).unwrap()).step_by(step).collect()
            };
            let rows: Vec<Vec<RowId>> = segments.iter().zip(&parts).map(rows_of).collect();
            let (mut axes, mut sorted) = (Vec::new(), Vec::new());
            let mut add = |job: &Job| sorted.push(KeyValue::of(key.field.value(job)));
            for ((segment, (_, is_all, _)), rows) in segments.iter().zip(&parts).zip(&rows) {
                let own = keys_of(std::slice::from_ref(&key), segment)[0];
                rows.iter().for_each(|row| add(&segment.job(*row)));
                axes.push(if *is_all {
                    Axis::All(own, segment.len())
                } else {
                    Axis::of_rows(own, rows)
                });
            }
            heads.iter().for_each(|job| add(job));
            axes.push(Axis::of_jobs(Some(&key), &heads));
            sorted.sort_by(|a, b| a.order(b, direction));
            let expected = sorted.get(number).cloned().unwrap_or(KeyValue::Unset);
            let found = nth(&axes, number);
            prop_assert_eq!(&found, &expected);
            let before: usize =
                axes.iter().map(|axis| axis.before(axis.places_of(&found).start)).sum();
            let less = |value: &&KeyValue| value.order(&found, direction).is_lt();
            prop_assert_eq!(before, sorted.iter().filter(less).count());
        }
    }
}
