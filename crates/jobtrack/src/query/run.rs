//! The executor: pages and counts out of the segments' columns.
//!
//! A page visits the segments best first, by the value that comes first in each, and stops at the
//! first that cannot beat the worst row it keeps. A count asks each segment for its own. The few
//! jobs of the head are tested one by one.

use std::cell::Cell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use super::bits::in_order;
use super::deep::{DEEP, Deep};
use super::explain::{HEAD, NO_MATCH, TOO_LATE, Trace};
use super::meter::{Meter, Stop};
use super::order::OrderKey;
use super::place::{KeyValue, Mark, Position, SegmentKey, deciding};
use super::resolve::Filter;
use super::scan::check;
use super::token::query_hash;
use super::walk::{Found, Search, View, Way, keys_of};
use super::{Count, Direction, Explanation, Order, Page, PageToken, Query};
use crate::error::Result;
use crate::field::ValueRef;
use crate::job::{Job, JobId};
use crate::table::{Part, Piece, Row, RowId, Rows, Segment, Snapshot};

/// What visiting a segment costs, in rows read: so that a query of many segments and few rows looks
/// at the clock as well.
const VISIT: u64 = 16;

/// So many rows are sorted whenever some have come; of more, only when as many again have.
const SORTED_AT_ONCE: usize = 4_096;

/// So many jobs of a head are gathered, or as many as twice what is needed, before the best of them
/// say which of the others need not be looked at any further.
const GATHERED: usize = 64;

/// The executor.
pub(crate) struct Run<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// Monotonic time, asked now and then to keep to the budget.
    pub(crate) monotonic: &'a dyn Fn() -> Duration,
}

impl Run<'_> {
    /// The page that the query asks for.
    pub(crate) fn page(&self, query: &Query) -> Result<Page> {
        self.traced_page(query, &mut Trace::off())
    }

    /// How many jobs match, less those left out.
    pub(crate) fn count(&self, query: &Query) -> Result<Count> {
        self.traced_count(query, &mut Trace::off())
    }

    /// What the page takes.
    pub(crate) fn explain_page(&self, query: &Query) -> Result<Explanation> {
        let mut trace = Trace::on();
        let page = self.traced_page(query, &mut trace)?;
        Ok(trace.explanation(query, page.jobs.len() as u64))
    }

    /// What the count takes.
    pub(crate) fn explain_count(&self, query: &Query) -> Result<Explanation> {
        let mut trace = Trace::on();
        let count = self.traced_count(query, &mut trace)?;
        Ok(trace.explanation(query, count.count))
    }

    fn traced_page(&self, query: &Query, trace: &mut Trace) -> Result<Page> {
        check(query, &query.order)?;
        let meter = Meter::new(&query.budget, self.monotonic);
        let left_out = query.left_out();
        let most = left_out + query.page_records();
        let keys = deciding(&query.order);
        let mut best = Best::new(keys, most + 1);
        let (unread, left_out, most) = if left_out < DEEP {
            (self.fill(query, &mut best, &meter, trace)?, left_out, most)
        } else {
            let left_out = self.fill_deep(query, &mut best, &meter, trace)?;
            (None, left_out, left_out + query.page_records())
        };
        best.sort();
        let hash = || query_hash(&query.filter, &query.order);
        let mut text = String::new();
        let next = match unread {
            Some(unread) => Some(PageToken::before(unread, hash(), &query.order)),
            None if best.rows.len() > most => {
                best.rows.truncate(most);
                let last = best.rows.last().and_then(|row| row.job(self.snapshot, &mut text));
                last.map(|job| PageToken::after(&job, hash(), &query.order))
            }
            None => None,
        };
        let rows = best.rows.iter().skip(left_out);
        let jobs = rows.filter_map(|row| row.job(self.snapshot, &mut text)).collect();
        let Snapshot { revision, horizon, .. } = *self.snapshot;
        Ok(Page { jobs, next, revision, horizon })
    }

    /// Finds the best rows. If the budget ended it early, which only an order by uuid can bear, all
    /// rows before the returned uuid are those that were found.
    fn fill(
        &self,
        query: &Query,
        best: &mut Best<'_>,
        meter: &Meter<'_>,
        trace: &mut Trace,
    ) -> Result<Option<JobId>> {
        let keys = best.keys;
        let filter = Filter::new(&query.filter, &self.snapshot.matches);
        let after = query.after.as_ref().map(|token| Position::of_token(token, keys));
        let by_uuid = keys.is_empty();
        let left_out = query.left_out();
        let mut sources = self.sources(keys, after.as_ref());
        let begin = sources.peek().map(|Reverse(source)| source.uuid);
        let distrust = Cell::new(1.0);
        while let Some(Reverse(source)) = sources.pop() {
            match best.worst().map(|worst| source.compare(worst, keys)) {
                Some((Ordering::Greater, _)) => {
                    trace.skip(TOO_LATE, sources.len() + 1);
                    break;
                }
                Some((_, false)) => {
                    trace.skip(TOO_LATE, 1);
                    continue;
                }
                _ => {}
            }
            let next_source = sources.peek().map(|Reverse(source)| source.uuid);
            // Where reading stopped within this source, if it did.
            let mut unread = None;
            match source.at {
                Place::Head(rows) => {
                    self.fill_from_head(query, rows, best, after.as_ref(), meter, trace);
                }
                Place::Part(index, part) => {
                    let found = {
                        let seen = |rows: &[RowId]| {
                            let is_final = |row: &&RowId| {
                                next_source.is_none_or(|next| part.segment.uuid(**row) < next)
                            };
                            best.final_before(source.uuid) + rows.iter().filter(is_final).count()
                                > left_out
                        };
                        meter.read(VISIT);
                        let search = Search {
                            view: View::new(part, self.snapshot.horizon),
                            keys: keys_of(keys, &part.segment),
                            resolved: filter.resolve(part),
                            after: None,
                            before: None,
                            need: best.need,
                            meter,
                            is_enough: &seen,
                            distrust: &distrust,
                        };
                        let search = search.between(after.as_ref(), best.worst());
                        search.traced(query, trace)
                    };
                    if let Some(row) = found.stopped_at.and_then(|row| RowId::try_from(row).ok()) {
                        unread = Some(part.segment.uuid(row));
                    } else if meter.stopped().is_some() {
                        unread = Some(source.uuid);
                    }
                    best.add(index, part, &found.rows);
                }
            }
            if meter.stopped().is_none() && !(by_uuid && meter.is_past_soft()) {
                continue;
            }
            match meter.stopped() {
                Some(Stop::Canceled) => return Err(meter.refusal("listed")),
                Some(_) if !by_uuid => return Err(meter.refusal("sorted")),
                _ => {}
            }
            let Some(unread) = unread.into_iter().chain(next_source).min() else { continue };
            best.sort();
            let found = best.final_before(unread);
            if meter.stopped().is_some() {
                // A token names a job, not how many were still to be left out after it.
                if found < left_out {
                    return Err(meter.refusal("passed over"));
                }
                if Some(unread) == begin {
                    return Err(meter.refusal("listed"));
                }
            } else if found <= left_out || found == best.need {
                continue;
            }
            if found == best.need {
                // The page is full all the same.
                return Ok(None);
            }
            best.rows.truncate(found);
            return Ok(Some(unread));
        }
        if !by_uuid {
            let mut heads: Vec<_> = self.snapshot.heads.iter().collect();
            if keys.first().is_some_and(|key| key.direction == Direction::Descending) {
                heads.reverse();
            }
            for rows in heads {
                self.fill_from_head(query, rows, best, after.as_ref(), meter, trace);
            }
            if meter.stopped().is_some() {
                return Err(meter.refusal("sorted"));
            }
        }
        Ok(None)
    }

    /// Finds the best rows less most of those that are left out, and returns how many of these are
    /// still among them.
    fn fill_deep(
        &self,
        query: &Query,
        best: &mut Best<'_>,
        meter: &Meter<'_>,
        trace: &mut Trace,
    ) -> Result<usize> {
        let filter = Filter::new(&query.filter, &self.snapshot.matches);
        let mut deep = Deep::new(best.keys);
        for (index, part) in self.snapshot.parts.iter().enumerate() {
            meter.read(VISIT);
            let hides_some = View::new(part, self.snapshot.horizon).hides_some();
            if !hides_some && filter.resolve(part).is_all() {
                deep.add_all(index, part);
            } else {
                deep.add(index, part, self.rows_of(part, &filter, None, query, meter, trace));
            }
        }
        for rows in &self.snapshot.heads {
            for row in rows.after(None) {
                let job = &row.job;
                if !job.is_expired(self.snapshot.horizon) && query.filter.matches(job) {
                    deep.add_job(Arc::clone(job));
                }
            }
            meter.read(rows.len() as u64);
        }
        let wanted = query.page_records() + 1;
        let left_out = deep.narrow(query.left_out(), wanted, meter, trace);
        if meter.stopped().is_some() {
            return Err(meter.refusal("passed over"));
        }
        let need = left_out + wanted;
        let (lists, jobs) = deep.into_lists(need);
        best.need = need;
        for list in &lists {
            best.add(list.index, list.part, &list.rows);
        }
        jobs.iter().for_each(|job| best.push(job));
        Ok(left_out)
    }

    /// Where rows can come from, the one with the best first. Heads have no order but by uuid: in
    /// any other they are read after the segments, when few of their rows can still be among the
    /// best.
    fn sources<'s>(
        &'s self,
        keys: &[OrderKey],
        after: Option<&Position>,
    ) -> BinaryHeap<Reverse<Source<'s>>> {
        let first_key = keys.first();
        let mut sources = Vec::with_capacity(self.snapshot.parts.len() + 1);
        let key_after = after.and_then(|position| position.keys.first());
        let after = after.filter(|_| keys.is_empty()).map(|position| position.uuid);
        if keys.is_empty() {
            for rows in &self.snapshot.heads {
                if let Some(row) = rows.after(after).next() {
                    let (keys, uuid) = ([None, None], row.job.uuid);
                    sources.push(Reverse(Source { keys, uuid, at: Place::Head(rows) }));
                }
            }
        }
        for (index, part) in self.snapshot.parts.iter().enumerate() {
            let segment = &part.segment;
            let first = after.map_or(0, |after| {
                let row = segment.rows_before(after);
                let at = RowId::try_from(row).ok().filter(|at| usize::from(*at) < segment.len());
                row + u32::from(at.is_some_and(|at| segment.uuid(at) == after))
            });
            let Ok(first) = RowId::try_from(first) else { continue };
            if usize::from(first) >= segment.len() {
                continue;
            }
            let mut bounds = [None, None];
            if let Some(key) = first_key {
                let Some(first) = first_after(segment, key, key_after) else { continue };
                bounds[0] = Some((first, key.direction));
            }
            if let Some(key) = keys.get(1) {
                let first = KeyValue::first_of(segment.column(&key.field), key.direction);
                bounds[1] = Some((first, key.direction));
            }
            let (keys, uuid) = (bounds, segment.uuid(first));
            sources.push(Reverse(Source { keys, uuid, at: Place::Part(index, part) }));
        }
        BinaryHeap::from(sources)
    }

    fn fill_from_head(
        &self,
        query: &Query,
        rows: &Rows,
        best: &mut Best<'_>,
        after: Option<&Position>,
        meter: &Meter<'_>,
        trace: &mut Trace,
    ) {
        if rows.len() == 0 {
            return;
        }
        let (mut read, mut found) = (0_u64, 0_u64);
        let keys = best.keys;
        let mut visit = |row: &Row, best: &mut Best<'_>| {
            let job = &row.job;
            read += 1;
            if job.is_expired(self.snapshot.horizon)
                || best.worst().is_some_and(|worst| worst.order_of(job, keys).is_ge())
                || !query.filter.matches(job)
                || after.is_some_and(|after| after.order_of(job, keys).is_le())
            {
                return;
            }
            found += 1;
            best.push(job);
        };
        match keys.first() {
            None => {
                let from = after.map(|position| position.uuid);
                rows.after(from).for_each(|row| visit(row, best));
            }
            // Uuids mostly rise with time, and so the best rows of a falling order come last.
            Some(key) if key.direction == Direction::Descending => {
                for piece in rows.pieces().rev() {
                    if !comes_late(piece, key, best) && !comes_early(piece, key, after) {
                        piece.rows().rev().for_each(|row| visit(row, best));
                    }
                }
            }
            Some(key) => {
                for piece in rows.pieces() {
                    if !comes_late(piece, key, best) && !comes_early(piece, key, after) {
                        piece.rows().for_each(|row| visit(row, best));
                    }
                }
            }
        }
        best.bound();
        meter.read(read);
        trace.note(|| HEAD.to_owned(), 1, rows.len() as u64, read, found);
    }

    fn traced_count(&self, query: &Query, trace: &mut Trace) -> Result<Count> {
        let by_uuid = Order::default();
        check(query, &by_uuid)?;
        let Snapshot { revision, horizon, .. } = *self.snapshot;
        let meter = Meter::new(&query.budget, self.monotonic);
        let left_out = query.left_out();
        if let Some(most) = query.max_records {
            let (count, next) = self.count_part(query, left_out, most, &meter, trace)?;
            return Ok(Count { count, next, revision, horizon });
        }
        let filter = Filter::new(&query.filter, &self.snapshot.matches);
        let after = query.after.as_ref().map(PageToken::uuid);
        let mut total = 0;
        for part in self.snapshot.parts.iter() {
            meter.read(VISIT);
            total += match after {
                None => self.count_of(part, &filter, query, &meter, trace),
                Some(after) => {
                    let rows = self.rows_of(part, &filter, Some(after), query, &meter, trace);
                    rows.len()
                }
            };
            if meter.stopped().is_some() {
                return Err(meter.refusal("counted"));
            }
        }
        for rows in &self.snapshot.heads {
            total += self.matches_in(rows, after, query, &meter, trace).len();
        }
        if meter.stopped().is_some() {
            return Err(meter.refusal("counted"));
        }
        Ok(Count { count: total.saturating_sub(left_out) as u64, next: None, revision, horizon })
    }

    /// Counts up to so many after those left out, and says where counting goes on, which is a place
    /// in the order by uuid.
    fn count_part(
        &self,
        query: &Query,
        left_out: usize,
        most: usize,
        meter: &Meter<'_>,
        trace: &mut Trace,
    ) -> Result<(u64, Option<PageToken>)> {
        let filter = Filter::new(&query.filter, &self.snapshot.matches);
        let by_uuid = Order::default();
        let after = query.after.as_ref().map(PageToken::uuid);
        let position = after.map(Position::of_uuid);
        let mut sources = self.sources(&[], position.as_ref());
        let begin = sources.peek().map(|Reverse(source)| source.uuid);
        let wanted = left_out.saturating_add(most);
        let mut lists: Vec<Matches<'_>> = Vec::new();
        let mut total = 0_usize;
        let mut unread = None;
        while let Some(Reverse(source)) = sources.pop() {
            // All that can still come lies after this.
            if total > wanted && count_before(&lists, source.uuid) > wanted {
                trace.skip(TOO_LATE, sources.len() + 1);
                break;
            }
            meter.read(VISIT);
            let matches = match source.at {
                Place::Head(rows) => {
                    Matches::Head(self.matches_in(rows, after, query, meter, trace))
                }
                Place::Part(_, part) => {
                    Matches::Part(part, self.rows_of(part, &filter, after, query, meter, trace))
                }
            };
            let next_source = sources.peek().map(|Reverse(source)| source.uuid);
            if meter.stopped().is_some() {
                // What was found in this source may be less than there is.
                unread = Some(source.uuid);
                break;
            }
            total += matches.len();
            lists.push(matches);
            if let Some(next) = next_source
                && meter.is_past_soft()
                && count_before(&lists, next) > left_out
            {
                unread = Some(next);
                break;
            }
        }
        let found = unread.map_or(total, |unread| count_before(&lists, unread));
        if found > wanted {
            let last = uuid_of(&lists, wanted);
            let hash = query_hash(&query.filter, &by_uuid);
            let next = last.map(|last| PageToken::at(last, hash, &by_uuid));
            return Ok((most as u64, next));
        }
        let Some(unread) = unread else {
            return Ok((found.saturating_sub(left_out) as u64, None));
        };
        if meter.stopped() == Some(Stop::Canceled) {
            return Err(meter.refusal("counted"));
        }
        if found < left_out {
            return Err(meter.refusal("passed over"));
        }
        if Some(unread) == begin {
            return Err(meter.refusal("counted"));
        }
        let hash = query_hash(&query.filter, &by_uuid);
        Ok(((found - left_out) as u64, Some(PageToken::before(unread, hash, &by_uuid))))
    }

    fn search<'s, 'm>(
        &self,
        part: &'s Part,
        filter: &'s Filter<'_>,
        meter: &'m Meter<'m>,
        distrust: &'m Cell<f64>,
    ) -> Search<'s, 'm> {
        let mut resolved = filter.resolve(part);
        resolved.settle(meter);
        Search {
            view: View::new(part, self.snapshot.horizon),
            keys: Vec::new(),
            resolved,
            after: None,
            before: None,
            need: usize::MAX,
            meter,
            is_enough: &|_| false,
            distrust,
        }
    }

    fn count_of(
        &self,
        part: &Part,
        filter: &Filter<'_>,
        query: &Query,
        meter: &Meter<'_>,
        trace: &mut Trace,
    ) -> usize {
        let distrust = Cell::new(1.0);
        let search = self.search(part, filter, meter, &distrust);
        if search.resolved.is_none() {
            trace.skip(NO_MATCH, 1);
            return 0;
        }
        let before = meter.rows();
        let count = search.count(self.snapshot.horizon);
        trace.note(
            || search.count_name(query),
            1,
            search.base_reads() as u64,
            meter.rows() - before,
            count as u64,
        );
        count
    }

    /// The rows of a segment that match and come after this uuid, in order.
    fn rows_of(
        &self,
        part: &Part,
        filter: &Filter<'_>,
        after: Option<JobId>,
        query: &Query,
        meter: &Meter<'_>,
        trace: &mut Trace,
    ) -> Vec<RowId> {
        let distrust = Cell::new(1.0);
        let search = self.search(part, filter, meter, &distrust);
        if search.resolved.is_none() {
            trace.skip(NO_MATCH, 1);
            return Vec::new();
        }
        let after = after.map(Position::of_uuid);
        let first = after.map_or(0, |after| Mark::new(&after, &part.segment, &[]).row_after());
        let (before, mut rows) = (meter.rows(), Vec::new());
        search.matches(&mut |row| {
            if u32::from(row) >= first {
                rows.push(row);
            }
        });
        let rows = in_order(rows, part.segment.len());
        let read = meter.rows() - before;
        trace.note(|| search.count_name(query), 1, read, read, rows.len() as u64);
        rows
    }

    fn matches_in(
        &self,
        rows: &Rows,
        after: Option<JobId>,
        query: &Query,
        meter: &Meter<'_>,
        trace: &mut Trace,
    ) -> Vec<JobId> {
        if rows.len() == 0 {
            return Vec::new();
        }
        let is_match =
            |job: &Job| !job.is_expired(self.snapshot.horizon) && query.filter.matches(job);
        let jobs = rows.after(after).map(|row| &row.job);
        let found: Vec<JobId> = jobs.filter(|job| is_match(job)).map(|job| job.uuid).collect();
        let (read, found_here) = (rows.len() as u64, found.len() as u64);
        meter.read(read);
        trace.note(|| HEAD.to_owned(), 1, read, read, found_here);
        found
    }
}

/// A value before which no row comes in this segment that comes after the token, by the first key;
/// None if no row does.
fn first_after(segment: &Segment, key: &OrderKey, after: Option<&KeyValue>) -> Option<KeyValue> {
    let column = segment.column(&key.field);
    let first = KeyValue::first_of(column, key.direction);
    let Some(after) = after else { return Some(first) };
    if first.order(after, key.direction).is_ge() {
        return Some(first);
    }
    let last = KeyValue::last_of(column, key.direction);
    if last.order(after, key.direction).is_ge() {
        return Some(after.clone());
    }
    // All that is set comes before the token, and what is unset after it.
    let has_unset = column.is_none_or(|column| column.set() < segment.len());
    has_unset.then_some(KeyValue::Unset)
}

/// The matching jobs of one place, in order of uuid.
enum Matches<'a> {
    Head(Vec<JobId>),
    Part(&'a Part, Vec<RowId>),
}

impl Matches<'_> {
    fn len(&self) -> usize {
        match self {
            Matches::Head(ids) => ids.len(),
            Matches::Part(_, rows) => rows.len(),
        }
    }

    /// How many of them come before this uuid.
    fn before(&self, uuid: JobId) -> usize {
        match self {
            Matches::Head(ids) => ids.partition_point(|id| *id < uuid),
            Matches::Part(part, rows) => {
                let row = part.segment.rows_before(uuid);
                rows.partition_point(|own| u32::from(*own) < row)
            }
        }
    }
}

fn count_before(lists: &[Matches<'_>], uuid: JobId) -> usize {
    lists.iter().map(|matches| matches.before(uuid)).sum()
}

/// The uuid of the `number`th of all matches, from 1: found by halving the range of uuids.
fn uuid_of(lists: &[Matches<'_>], number: usize) -> Option<JobId> {
    let id = |number: u128| JobId::from_uuid(uuid::Uuid::from_u128(number));
    let (mut low, mut high) = (0_u128, u128::MAX);
    // The greatest uuid before which there are fewer.
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if count_before(lists, id(middle)) < number {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    (number > 0).then(|| id(low))
}

/// Whether none of these rows can be among the best, by what comes first in them.
fn comes_late(piece: Piece<'_>, key: &OrderKey, best: &Best<'_>) -> bool {
    let Some(worst) = best.worst().and_then(|worst| worst.keys.first()) else { return false };
    let Some(bounds) = piece.bounds(&key.field) else { return false };
    let first = bounds.ends.map(|(least, most)| match key.direction {
        Direction::Ascending => ValueRef::Time(least),
        Direction::Descending => ValueRef::Time(most),
    });
    KeyValue::of(first).order(worst, key.direction).is_gt()
}

/// Whether all of these rows come before the token, by what comes last in them.
fn comes_early(piece: Piece<'_>, key: &OrderKey, after: Option<&Position>) -> bool {
    let Some(after) = after.and_then(|after| after.keys.first()) else { return false };
    let Some(bounds) = piece.bounds(&key.field) else { return false };
    // What is unset comes last in every order.
    let last = bounds.ends.filter(|_| !bounds.has_unset).map(|(least, most)| match key.direction {
        Direction::Ascending => ValueRef::Time(most),
        Direction::Descending => ValueRef::Time(least),
    });
    last.is_some_and(|last| KeyValue::of(Some(last)).order(after, key.direction).is_lt())
}

/// Where rows come from, and what comes first there.
struct Source<'a> {
    /// Of the first two keys of the order, if it has any, the values before which nothing comes.
    keys: [Option<(KeyValue, Direction)>; 2],
    /// The least uuid there (after the token's, in order of uuid).
    uuid: JobId,
    at: Place<'a>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Head(&'a Rows),
    Part(usize, &'a Part),
}

impl Source<'_> {
    /// How its first key compares with that of a place, and whether anything in it can come before
    /// that place.
    fn compare(&self, place: &Position, keys: &[OrderKey]) -> (Ordering, bool) {
        let mut first = None;
        for (own, value) in self.keys.iter().flatten().zip(place.keys.iter()) {
            let (own, direction) = own;
            let order = own.order(value, *direction);
            let first = *first.get_or_insert(order);
            if order.is_ne() {
                return (first, order.is_lt());
            }
        }
        let by_uuid = self.uuid.cmp(&place.uuid);
        // What is not known of further keys may be better.
        let is_better = keys.len() > self.keys.len() || by_uuid.is_lt();
        (first.unwrap_or(by_uuid), is_better)
    }
}

impl Ord for Source<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        for (own, other) in self.keys.iter().flatten().zip(other.keys.iter().flatten()) {
            let order = own.0.order(&other.0, own.1);
            if order.is_ne() {
                return order;
            }
        }
        self.uuid.cmp(&other.uuid)
    }
}

impl PartialOrd for Source<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Source<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Source<'_> {}

/// The best rows found so far.
struct Best<'a> {
    keys: &'a [OrderKey],
    /// How many are kept.
    need: usize,
    rows: Vec<Kept>,
    /// How many of the first of them are in order.
    sorted: usize,
}

/// A row that is kept.
struct Kept {
    position: Position,
    at: KeptAt,
}

enum KeptAt {
    Head(Arc<Job>),
    Part(usize, RowId),
}

impl Kept {
    /// The job; there is one, since rows are kept of parts of this snapshot alone.
    fn job(&self, snapshot: &Snapshot, text: &mut String) -> Option<Arc<Job>> {
        match &self.at {
            KeptAt::Head(job) => Some(Arc::clone(job)),
            KeptAt::Part(part, row) => snapshot.job(*part, *row, text),
        }
    }
}

impl<'a> Best<'a> {
    fn new(keys: &'a [OrderKey], need: usize) -> Self {
        Best { keys, need, rows: Vec::new(), sorted: 0 }
    }

    /// The worst row that is kept, once there are as many as needed: only better ones are of use.
    fn worst(&self) -> Option<&Position> {
        (self.sorted == self.need).then(|| self.rows.get(self.need - 1).map(|row| &row.position))?
    }

    /// Adds rows of a segment, which are in order.
    fn add(&mut self, index: usize, part: &Part, rows: &[RowId]) {
        let keys = keys_of(self.keys, &part.segment);
        // Many rows in a row have the same value, and share it.
        let mut last: Vec<Option<(u16, KeyValue)>> = vec![None; keys.len()];
        for row in rows {
            let value = |(key, last): (&SegmentKey<'_>, &mut Option<(u16, KeyValue)>)| {
                let code = key.code(*row);
                match last {
                    Some((before, value)) if *before == code => value.clone(),
                    _ => {
                        let value = key
                            .column
                            .map_or(KeyValue::Unset, |column| KeyValue::of_code(column, code));
                        *last = Some((code, value.clone()));
                        value
                    }
                }
            };
            let values = keys.iter().zip(&mut last).map(value).collect();
            let position = Position { keys: values, uuid: part.segment.uuid(*row) };
            self.rows.push(Kept { position, at: KeptAt::Part(index, *row) });
        }
        if self.sorted == 0 && self.rows.len() == rows.len() {
            self.sorted = rows.len().min(self.need);
        }
        self.bound();
    }

    fn push(&mut self, job: &Arc<Job>) {
        let position = Position::of_job(job, self.keys);
        self.rows.push(Kept { position, at: KeptAt::Head(Arc::clone(job)) });
        if self.rows.len() >= self.need.saturating_mul(2).max(GATHERED) {
            self.sort();
        }
    }

    /// Drops what is beyond the best, if that is worth it by now.
    fn bound(&mut self) {
        let is_few = self.need <= SORTED_AT_ONCE || self.rows.len() / 2 >= self.need;
        if self.rows.len() >= self.need && is_few {
            self.sort();
        }
    }

    /// Puts the rows in order and drops those beyond the best.
    fn sort(&mut self) {
        if self.sorted < self.rows.len() {
            let keys = self.keys;
            // What came from one segment is in order already, which this kind of sort makes use of.
            self.rows.sort_by(|a, b| a.position.order(&b.position, keys));
            self.rows.truncate(self.need);
            self.sorted = self.rows.len();
        }
    }

    /// How many rows come before this uuid, in order of uuid.
    fn final_before(&self, uuid: JobId) -> usize {
        self.rows.iter().filter(|row| row.position.uuid < uuid).count()
    }
}

impl<'a> Search<'a, '_> {
    fn between(mut self, after: Option<&Position>, before: Option<&Position>) -> Self {
        let mark = |position: &Position| Mark::new(position, self.view.segment, &self.keys);
        let (after, before) = (after.map(mark), before.map(mark));
        self.after = after;
        self.before = before;
        self
    }

    fn traced(self, query: &Query, trace: &mut Trace) -> Found {
        if !trace.is_on() {
            return self.run();
        }
        let names = self.names(query);
        let found = self.run();
        let name = match found.way {
            Way::Skip => {
                trace.skip(NO_MATCH, 1);
                return found;
            }
            Way::Walk => names.walk,
            Way::Set => names.set,
            Way::Both => format!("{}, given up for {}", names.walk, names.set),
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // An estimate.
        let expected = found.expected.ceil() as u64;
        trace.note(|| name, 1, expected, found.read, found.rows.len() as u64);
        found
    }
}
