//! A segment with what is known of its rows by now: which of them live, and which expire next.

// Rows are those of the segment.
#![allow(clippy::indexing_slicing)]

use std::sync::Arc;

use super::codes::RowId;
use super::column::{Column, RowList, count};
use super::segment::Segment;
use super::uuids::PlaceId;
use crate::field::{Field, ValueRef};
use crate::job::JobId;
use crate::store::Stay;
use crate::timestamp::Timestamp;

/// A segment and its living rows. A clone shares both; a change then copies what it changes.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) id: PlaceId,
    pub(crate) segment: Arc<Segment>,
    segment_bytes: usize,
    alive: Arc<Alive>,
}

/// Which rows live.
#[derive(Debug, Clone)]
pub(crate) struct Alive {
    /// A bit for each row, set if it is dead; empty as long as none is.
    dead: Vec<u64>,
    living: u32,
    /// How many rows, in order of expiry, are dead for certain.
    passed: u32,
    /// When the first of the living rows expires.
    next_expiry: Option<Timestamp>,
}

impl Part {
    /// The segment with all rows alive, not yet in any place.
    pub(crate) fn of(segment: Segment) -> Part {
        let segment = Arc::new(segment);
        let living = count(segment.len());
        let alive = Alive { dead: Vec::new(), living, passed: 0, next_expiry: None };
        let segment_bytes = segment.bytes();
        let mut part = Part { id: 0, segment, segment_bytes, alive: Arc::new(alive) };
        part.pass();
        part
    }

    /// The segment with these rows dead, by bits as [`Alive`] has them; None if that cannot be.
    pub(crate) fn with_dead(segment: Segment, dead: Vec<u64>) -> Option<Part> {
        let rows = segment.len();
        // No bit is set that belongs to no row.
        let are_rows = match dead.last() {
            None => true,
            Some(last) if dead.len() == rows.div_ceil(64) => {
                rows.is_multiple_of(64) || last >> (rows % 64) == 0
            }
            Some(_) => false,
        };
        let died: u32 = dead.iter().map(|word| word.count_ones()).sum();
        let mut part = are_rows.then(|| Part::of(segment))?;
        if died > 0 {
            let alive = Arc::make_mut(&mut part.alive);
            (alive.dead, alive.living) = (dead, alive.living - died);
            part.pass();
        }
        Some(part)
    }

    /// Which rows live, to be compared with later.
    pub(crate) fn alive(&self) -> &Arc<Alive> {
        &self.alive
    }

    /// How many rows live.
    pub(crate) fn living(&self) -> usize {
        self.alive.living as usize
    }

    /// How many rows are dead.
    pub(crate) fn dead(&self) -> usize {
        self.segment.len() - self.living()
    }

    /// Whether this row lives.
    pub(crate) fn is_alive(&self, row: RowId) -> bool {
        !self.alive.is_dead(row)
    }

    /// The dead rows, in order.
    pub(crate) fn dead_rows(&self) -> impl Iterator<Item = RowId> + '_ {
        self.alive.dead_rows()
    }

    /// The living rows from this one on, in order. Dead ones are passed over by the word.
    pub(crate) fn living_from(&self, row: u32) -> impl Iterator<Item = RowId> + '_ {
        let end = count(self.segment.len());
        let words = row / 64..end.div_ceil(64);
        words.flat_map(move |n| {
            let dead = self.alive.dead.get(n as usize).copied().unwrap_or(0);
            let from = if n == row / 64 { u64::MAX << (row % 64) } else { u64::MAX };
            rows_of(!dead & from, n * 64).take_while(move |row| u32::from(*row) < end)
        })
    }

    /// The living row of this uuid.
    pub(crate) fn find(&self, id: JobId) -> Option<RowId> {
        self.segment.find(id).filter(|row| self.is_alive(*row))
    }

    /// Sets how often jobs were [claimed](Segment::set_claims), while nobody else holds the segment.
    pub(super) fn set_claims(&mut self, of: &dyn Fn(u64, JobId) -> Option<(u32, u32)>) {
        if let Some(segment) = Arc::get_mut(&mut self.segment) {
            segment.set_claims(of);
            self.segment_bytes = segment.bytes();
        }
    }

    /// Sets how jobs were [told to stay](Segment::set_stays), while nobody else holds the segment.
    pub(super) fn set_stays<'s>(&mut self, of: &dyn Fn(u64, JobId) -> Option<&'s Stay>) {
        if let Some(segment) = Arc::get_mut(&mut self.segment) {
            segment.set_stays(of);
            self.segment_bytes = segment.bytes();
        }
    }

    /// Marks a living row as dead.
    pub(crate) fn kill(&mut self, row: RowId) {
        let alive = Arc::make_mut(&mut self.alive);
        if alive.dead.is_empty() {
            alive.dead = vec![0; self.segment.len().div_ceil(64)];
        }
        alive.dead[usize::from(row) / 64] |= 1 << (row % 64);
        alive.living -= 1;
        if self.alive.next_expiry.is_some()
            && self.segment.expire_time(row) == self.alive.next_expiry
        {
            self.pass();
        }
    }

    /// When the first of the living rows expires.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.alive.next_expiry
    }

    /// The living rows that expire after one time and not after the other, soonest first.
    pub(crate) fn expiring(
        &self,
        after: Option<Timestamp>,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, RowId)> + '_ {
        let has_any = self.alive.next_expiry.is_some_and(|next| next <= until);
        let rows = if has_any { self.by_expiry() } else { RowList::Range(0, 0) };
        let mut start = self.alive.passed as usize;
        if has_any
            && let Some(after) = after
            && let Some(column) = self.expiries()
        {
            // The rows of a single run lie in order of code, so those before are counted.
            start = start.max(column.count_of(&(1..code_after(column, after))));
        }
        let times = (start..rows.len()).map(move |at| rows.get(at));
        times
            .map_while(move |row| {
                let time = self.segment.expire_time(row)?;
                (time <= until).then_some((time, row))
            })
            .filter(|(_, row)| self.is_alive(*row))
    }

    fn expiries(&self) -> Option<&Column> {
        self.segment.column(&Field::ExpireTime)
    }

    /// The rows that expire, soonest first.
    fn by_expiry(&self) -> RowList<'_> {
        let Some(column) = self.expiries() else { return RowList::Range(0, 0) };
        let first = column.runs().next();
        first.map_or(RowList::Range(0, 0), |run| column.rows_of(run, 1..column.end_code()))
    }

    /// Goes past the dead rows at the head of the order of expiry.
    fn pass(&mut self) {
        let rows = self.by_expiry();
        let mut at = self.alive.passed as usize;
        while at < rows.len() && !self.is_alive(rows.get(at)) {
            at += 1;
        }
        let next = (at < rows.len()).then(|| rows.get(at));
        let next_expiry = next.and_then(|row| self.segment.expire_time(row));
        let alive = Arc::make_mut(&mut self.alive);
        alive.passed = count(at);
        alive.next_expiry = next_expiry;
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.segment_bytes + size_of::<Alive>() + self.alive.dead.len() * 8
    }
}

impl Alive {
    fn is_dead(&self, row: RowId) -> bool {
        self.dead.get(usize::from(row) / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// The bits of all rows, those that are dead set; none at all where none is.
    pub(super) fn dead_words(&self) -> &[u64] {
        &self.dead
    }

    fn dead_rows(&self) -> impl Iterator<Item = RowId> + '_ {
        let words = self.dead.iter().zip((0..).step_by(64));
        words.flat_map(|(word, first): (&u64, u32)| rows_of(*word, first))
    }

    /// The rows that died between an earlier time and this one.
    pub(crate) fn died_since<'a>(&'a self, before: &'a Alive) -> impl Iterator<Item = RowId> + 'a {
        self.dead_rows().filter(|row| !before.is_dead(*row))
    }
}

/// The rows whose bits are set, the first of which is this.
fn rows_of(mut bits: u64, first: u32) -> impl Iterator<Item = RowId> {
    std::iter::from_fn(move || {
        let bit = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        RowId::try_from(first + bit).ok()
    })
}

/// The code with which values after this one begin.
fn code_after(column: &Column, time: Timestamp) -> u32 {
    let place = column.place(&ValueRef::Time(time));
    place.code + u32::from(place.is_there)
}
