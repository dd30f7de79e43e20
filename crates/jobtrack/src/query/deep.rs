//! Pages that leave out many records first.
//!
//! What is left out need not be put in order: it is enough to know which rows it is. So the values
//! between which the page lies are [found](super::nth) key by key, by counting, and rows before and
//! after are dropped. Where several values are left and many rows of them, these are parted again
//! and again by places close to the page, taken from a sample, until few are left. All that compares
//! codes, where sorting would compare texts.

use std::sync::Arc;

use super::bits::in_order;
use super::explain::Trace;
use super::meter::Meter;
use super::nth::{Axis, Kept, nth};
use super::order::{Direction, OrderKey};
use super::place::{KeyValue, Mark, Position, SegmentKey};
use super::walk::best;
use crate::field::{Field, ValueRef};
use crate::job::Job;
use crate::table::{Part, RowId};

/// From so many records left out on it pays.
pub(super) const DEEP: usize = if cfg!(test) { 10 } else { 4_096 };

/// So few rows are simply sorted.
const FEW: usize = if cfg!(test) { 16 } else { 4_096 };

/// How many rows are looked at to find places close to the page.
const SAMPLE: usize = if cfg!(test) { 24 } else { 512 };
/// How far from where the page should be the places are taken, in rows of the sample: far enough
/// that the page lies between them nearly always.
const MARGIN: usize = if cfg!(test) { 3 } else { 32 };

/// All rows that match, while those that cannot be on the page are being dropped.
pub(super) struct Deep<'a> {
    keys: &'a [OrderKey],
    lists: Vec<List<'a>>,
    jobs: Vec<Arc<Job>>,
}

/// The rows of one segment.
pub(super) struct List<'a> {
    pub(super) index: usize,
    pub(super) part: &'a Part,
    keys: Vec<SegmentKey<'a>>,
    /// In ascending order.
    pub(super) rows: Vec<RowId>,
    /// Whether all rows of the segment are meant, of which none is listed yet.
    is_all: bool,
}

impl<'a> Deep<'a> {
    pub(super) fn new(keys: &'a [OrderKey]) -> Self {
        Deep { keys, lists: Vec::new(), jobs: Vec::new() }
    }

    pub(super) fn add(&mut self, index: usize, part: &'a Part, rows: Vec<RowId>) {
        let keys = super::walk::keys_of(self.keys, &part.segment);
        self.lists.push(List { index, part, keys, rows, is_all: false });
    }

    /// Adds all rows of a segment, none of which is dead or expired.
    pub(super) fn add_all(&mut self, index: usize, part: &'a Part) {
        let keys = super::walk::keys_of(self.keys, &part.segment);
        self.lists.push(List { index, part, keys, rows: Vec::new(), is_all: true });
    }

    pub(super) fn add_job(&mut self, job: Arc<Job>) {
        self.jobs.push(job);
    }

    /// Drops rows until few more than those wanted are left, and returns how many of these are
    /// still to be left out.
    pub(super) fn narrow(
        &mut self,
        left_out: usize,
        wanted: usize,
        meter: &Meter<'_>,
        trace: &mut Trace,
    ) -> usize {
        if left_out >= self.len() {
            self.lists.clear();
            self.jobs.clear();
            return 0;
        }
        let left_out = self.narrow_by_value(left_out, wanted, meter, trace);
        self.lists.iter_mut().for_each(List::list_all);
        self.narrow_by_place(left_out, wanted, meter, trace)
    }

    /// Drops, key by key, rows whose value is not on the page.
    fn narrow_by_value(
        &mut self,
        left_out: usize,
        wanted: usize,
        meter: &Meter<'_>,
        trace: &mut Trace,
    ) -> usize {
        let mut left_out = left_out;
        // What is left in the end differs by uuid alone.
        for depth in 0..=self.keys.len() {
            let total = self.len();
            if total <= FEW + wanted.saturating_mul(2) || left_out >= total || !meter.look() {
                break;
            }
            let key = self.keys.get(depth);
            let lists = self.lists.iter();
            let mut axes: Vec<Axis<'_>> = lists.map(|list| list.axis(depth)).collect();
            axes.push(Axis::of_jobs(key, &self.jobs));
            let first = nth(&axes, left_out);
            let last = left_out + wanted - 1;
            let last = if last < total { nth(&axes, last) } else { KeyValue::Unset };
            let mut before = 0;
            let read: usize = self.lists.iter().map(|list| list.rows.len()).sum();
            let kept = self.lists.iter().zip(&axes).map(|(list, axis)| {
                let places = axis.places_of(&first).start..axis.places_of(&last).end;
                let (start, end) = (axis.before(places.start), axis.before(places.end));
                before += start;
                // Nothing need be done where all of them stay.
                (start > 0 || end < list.len()).then(|| axis.kept(&places))
            });
            let kept: Vec<Option<Kept>> = kept.collect();
            for (list, kept) in self.lists.iter_mut().zip(kept) {
                if let Some(kept) = kept {
                    list.keep(depth, kept);
                }
            }
            let direction = key.map_or(Direction::Ascending, |key| key.direction);
            self.jobs.retain(|job| {
                let value = match key {
                    Some(key) => KeyValue::of(key.field.value(job)),
                    None => KeyValue::of(Some(ValueRef::Uuid(job.uuid))),
                };
                let comes_before = value.order(&first, direction).is_lt();
                before += usize::from(comes_before);
                !comes_before && value.order(&last, direction).is_le()
            });
            left_out -= before;
            meter.read(read as u64);
            let left = self.len();
            let what = || "part by values close to the page".to_owned();
            trace.note(what, 1, total as u64, read as u64, left as u64);
            // By the next key only rows that are equal in this one can be told apart.
            if first != last {
                break;
            }
        }
        left_out
    }

    /// Drops rows by places out of a sample.
    fn narrow_by_place(
        &mut self,
        left_out: usize,
        wanted: usize,
        meter: &Meter<'_>,
        trace: &mut Trace,
    ) -> usize {
        let mut left_out = left_out;
        loop {
            let total = self.len();
            if total <= FEW + wanted.saturating_mul(2) || !meter.look() {
                return left_out;
            }
            let sample = self.sample(total);
            let at = |rank: usize| rank.min(total) * sample.len() / total;
            let low = at(left_out).checked_sub(MARGIN).and_then(|at| sample.get(at));
            if let Some(low) = low {
                left_out -= self.drop_before(low, left_out);
            }
            if let Some(high) =
                sample.get(at(left_out_end(left_out, wanted, total, self.len())) + MARGIN)
            {
                self.drop_from(high, left_out + wanted);
            }
            meter.read(total as u64);
            let left = self.len();
            let what = || "part by places close to the page".to_owned();
            trace.note(what, 1, total as u64, total as u64, left as u64);
            // A sample of equal shares brings it to less than half; what does not is not worth it.
            if left * 2 > total {
                return left_out;
            }
        }
    }

    /// What is left, each list in order and with no more rows than needed.
    pub(super) fn into_lists(self, need: usize) -> (Vec<List<'a>>, Vec<Arc<Job>>) {
        let sorted = |list: List<'a>| {
            let rows = best(list.rows, &list.keys, need);
            List { rows, ..list }
        };
        (self.lists.into_iter().map(sorted).collect(), self.jobs)
    }

    fn len(&self) -> usize {
        self.lists.iter().map(List::len).sum::<usize>() + self.jobs.len()
    }

    /// Places at equal distances through the lists, in order.
    fn sample(&self, total: usize) -> Vec<Position> {
        let step = total.div_ceil(SAMPLE).max(1);
        let mut places = Vec::new();
        let mut first = 0;
        for list in &self.lists {
            for row in list.rows.iter().skip(first).step_by(step) {
                let value = |key: &SegmentKey<'_>| {
                    key.column.map_or(KeyValue::Unset, |column| {
                        KeyValue::of_code(column, column.code(*row))
                    })
                };
                let keys = list.keys.iter().map(value).collect();
                places.push(Position { keys, uuid: list.part.segment.uuid(*row) });
            }
            // The distance goes on in the next list.
            first = (step - list.rows.len().saturating_sub(first) % step) % step;
        }
        places.extend(
            self.jobs.iter().skip(first).step_by(step).map(|job| Position::of_job(job, self.keys)),
        );
        places.sort_by(|a, b| a.order(b, self.keys));
        places
    }

    /// Drops what comes before a place, if it is no more than this, and says how much it was.
    fn drop_before(&mut self, place: &Position, most: usize) -> usize {
        let marks: Vec<Mark> = self.marks(place);
        let is_before =
            |list: &List<'_>, mark: &Mark, row: RowId| mark.order_of(row, &list.keys, 0).is_lt();
        let of_list = |(list, mark): (&List<'_>, &Mark)| {
            list.rows.iter().filter(|row| is_before(list, mark, **row)).count()
        };
        let keys = self.keys;
        let job_is_before = |job: &Arc<Job>| place.order_of(job, keys).is_lt();
        let before = self.lists.iter().zip(&marks).map(of_list).sum::<usize>()
            + self.jobs.iter().filter(|job| job_is_before(job)).count();
        if before > most {
            return 0;
        }
        for (list, mark) in self.lists.iter_mut().zip(&marks) {
            let keys = &list.keys;
            list.rows.retain(|row| !mark.order_of(*row, keys, 0).is_lt());
        }
        self.jobs.retain(|job| !job_is_before(job));
        before
    }

    /// Drops what comes at a place or after, if at least so many are left.
    fn drop_from(&mut self, place: &Position, least: usize) {
        let marks = self.marks(place);
        let keys = self.keys;
        let job_is_before = |job: &Arc<Job>| place.order_of(job, keys).is_lt();
        let of_list = |(list, mark): (&List<'_>, &Mark)| {
            let is_before = |row: &&RowId| mark.order_of(**row, &list.keys, 0).is_lt();
            list.rows.iter().filter(is_before).count()
        };
        let before = self.lists.iter().zip(&marks).map(of_list).sum::<usize>()
            + self.jobs.iter().filter(|job| job_is_before(job)).count();
        if before < least {
            return;
        }
        for (list, mark) in self.lists.iter_mut().zip(&marks) {
            let keys = &list.keys;
            list.rows.retain(|row| mark.order_of(*row, keys, 0).is_lt());
        }
        self.jobs.retain(job_is_before);
    }

    fn marks(&self, place: &Position) -> Vec<Mark> {
        let mark = |list: &List<'_>| Mark::new(place, &list.part.segment, &list.keys);
        self.lists.iter().map(mark).collect()
    }
}

impl<'a> List<'a> {
    fn len(&self) -> usize {
        if self.is_all { self.part.segment.len() } else { self.rows.len() }
    }

    /// The key of this depth; after all of them the uuid.
    fn key(&self, depth: usize) -> SegmentKey<'a> {
        let uuid = SegmentKey {
            column: self.part.segment.column(&Field::Uuid),
            direction: Direction::Ascending,
        };
        self.keys.get(depth).copied().unwrap_or(uuid)
    }

    fn axis(&self, depth: usize) -> Axis<'_> {
        if self.is_all {
            Axis::All(self.key(depth), self.len())
        } else {
            Axis::of_rows(self.key(depth), &self.rows)
        }
    }

    /// Keeps the rows that have this by the key of this depth.
    fn keep(&mut self, depth: usize, kept: Kept) {
        let (codes, takes_unset) = match kept {
            Kept::Codes(codes, takes_unset) => (codes, takes_unset),
            Kept::Places(places) => {
                self.rows.truncate(places.end);
                self.rows.drain(..places.start.min(self.rows.len()));
                return;
            }
        };
        let Some(column) = self.key(depth).column else {
            if !takes_unset {
                (self.rows, self.is_all) = (Vec::new(), false);
            }
            return;
        };
        // Rows that have a value are found by it.
        if self.is_all && !takes_unset {
            let rows = column.runs().flat_map(|run| column.rows_of(run, codes.clone()).iter());
            self.rows = in_order(rows.collect(), self.part.segment.len());
            self.is_all = false;
            return;
        }
        self.list_all();
        let mut stay = Vec::new();
        column.codes().of_each(&self.rows, |row, code| {
            if codes.contains(&code.into()) || takes_unset && code == 0 {
                stay.push(row);
            }
        });
        self.rows = stay;
    }

    /// Lists all rows, if all are meant.
    fn list_all(&mut self) {
        if std::mem::take(&mut self.is_all) {
            let rows = 0..self.part.segment.len();
            self.rows = rows.filter_map(|row| RowId::try_from(row).ok()).collect();
        }
    }
}

/// The rank of the page's end among all that were there before some were dropped.
fn left_out_end(left_out: usize, wanted: usize, total: usize, left: usize) -> usize {
    total - left + left_out + wanted
}
