//! Pages that leave out many records first.
//!
//! What is left out need not be put in order: it is enough to know which rows it is. So the rows
//! that match are parted again and again by places close to the page, taken from a sample, and what
//! lies before or after is dropped, until few are left. That reads each row a few times, by its
//! codes alone, where sorting would compare texts.

use std::sync::Arc;

use super::explain::Trace;
use super::meter::Meter;
use super::order::OrderKey;
use super::place::{KeyValue, Mark, Position, SegmentKey};
use super::walk::best;
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
    pub(super) rows: Vec<RowId>,
}

impl<'a> Deep<'a> {
    pub(super) fn new(keys: &'a [OrderKey]) -> Self {
        Deep { keys, lists: Vec::new(), jobs: Vec::new() }
    }

    pub(super) fn add(&mut self, index: usize, part: &'a Part, rows: Vec<RowId>) {
        let keys = super::walk::keys_of(self.keys, &part.segment);
        self.lists.push(List { index, part, keys, rows });
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
        self.lists.iter().map(|list| list.rows.len()).sum::<usize>() + self.jobs.len()
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

/// The rank of the page's end among all that were there before some were dropped.
fn left_out_end(left_out: usize, wanted: usize, total: usize, left: usize) -> usize {
    total - left + left_out + wanted
}
