//! The best rows of one segment.
//!
//! Two ways lead to them. A **walk** goes along the order of the first key, group by group of equal
//! values, and tests each row until enough have passed; within a large group it goes along the
//! order of the next key. A **set** takes the rows of the test that fewest pass, asks the others of
//! them, and selects the best. Which is cheaper is told by the counts that a segment has of every
//! value; where those deceive, the walk is abandoned as soon as it has read more than the set costs.

use std::cell::Cell;
use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::Range;

use super::bits::Bits;
use super::meter::Meter;
use super::order::Direction;
use super::place::{Mark, MarkKey, SegmentKey};
use super::resolve::{Resolved, Tests, float};
use crate::field::{Field, ValueRef};
use crate::table::{Code, Column, Part, RowId, RowList, Run, Segment};
use crate::timestamp::Timestamp;

/// A group of equal values with fewer rows is gathered without thinking.
const SMALL_GROUP: usize = if cfg!(test) { 4 } else { 256 };

/// In the time in which a row is told and tested so many can be marked by one test.
const READ_IS_MARKS: usize = 8;

/// How much less a walk is trusted after one that was given up.
const DECEIVED: f64 = 8.0;

/// A segment as a query sees it: less its dead rows and those that have expired.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) part: &'a Part,
    pub(super) segment: &'a Segment,
    has_dead: bool,
    /// The expiries, if some rows have expired, and one more than the greatest code of these.
    expired: Option<(&'a Column, u32)>,
}

impl<'a> View<'a> {
    pub(super) fn new(part: &'a Part, horizon: Timestamp) -> View<'a> {
        let segment = &*part.segment;
        let is_due = part.next_expiry().is_some_and(|next| next <= horizon);
        let expired = segment.column(&Field::ExpireTime).filter(|_| is_due).map(|column| {
            let place = column.place(&ValueRef::Time(horizon));
            (column, place.code + u32::from(place.is_there))
        });
        View { part, segment, has_dead: part.dead() > 0, expired }
    }

    pub(super) fn rows(&self) -> usize {
        self.segment.len()
    }

    pub(super) fn hides_some(&self) -> bool {
        self.has_dead || self.expired.is_some()
    }

    pub(super) fn is_hidden(&self, row: RowId) -> bool {
        (self.has_dead && !self.part.is_alive(row)) || self.is_expired(row)
    }

    /// Whether the row has expired.
    fn is_expired(&self, row: RowId) -> bool {
        self.expired.is_some_and(|(column, end)| {
            let code = u32::from(column.code(row));
            code != 0 && code < end
        })
    }

    /// Takes the hidden rows out of these.
    fn hide(&self, bits: &mut Bits) {
        self.part.dead_rows().for_each(|row| bits.remove(row));
        if let Some((column, end)) = self.expired {
            let rows = column.runs().flat_map(|run| column.rows_of(run, 1..end).iter());
            rows.for_each(|row| bits.remove(row));
        }
    }

    /// How many rows are hidden, dead or expired.
    pub(super) fn hidden(&self, horizon: Timestamp) -> usize {
        let expired = self.expired.map_or(0, |_| self.part.expiring(None, horizon).count());
        self.part.dead() + expired
    }

    /// The hidden rows, each once.
    pub(super) fn each_hidden(&self, horizon: Timestamp, tell: &mut dyn FnMut(RowId)) {
        self.part.dead_rows().for_each(&mut *tell);
        if self.expired.is_some() {
            self.part.expiring(None, horizon).for_each(|(_, row)| tell(row));
        }
    }
}

/// What is looked for in one segment.
pub(super) struct Search<'a, 'm> {
    pub(super) view: View<'a>,
    pub(super) keys: Vec<SegmentKey<'a>>,
    pub(super) resolved: Resolved<'a>,
    /// Only rows after this place.
    pub(super) after: Option<Mark>,
    /// Only rows before this place.
    pub(super) before: Option<Mark>,
    /// How many at most.
    pub(super) need: usize,
    pub(super) meter: &'m Meter<'m>,
    /// Of a walk in order of uuid: whether what it has found may be the answer by now.
    pub(super) is_enough: &'m dyn Fn(&[RowId]) -> bool,
    /// How many times more rows than expected walks of this query have to be taken to read.
    pub(super) distrust: &'m Cell<f64>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// The best rows, in order.
    pub(super) rows: Vec<RowId>,
    pub(super) way: Way,
    /// How many rows were expected to be read, and how many were.
    pub(super) expected: f64,
    pub(super) read: u64,
    /// Where a walk in order of uuid was stopped: all rows before this one were looked at.
    pub(super) stopped_at: Option<u32>,
}

/// How it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// No row could pass.
    Skip,
    Walk,
    Set,
    /// A walk was abandoned for the set.
    Both,
}

/// Why a walk ends.
enum Halt {
    /// Enough was found.
    Full,
    /// More was read than it was worth.
    Limit,
    /// The budget is used up, or is enough used for a part.
    Stopped,
}

/// Whether rows are still to be compared with the places on either side.
#[derive(Clone, Copy)]
struct Edges {
    after: bool,
    before: bool,
}

impl<'a, 'm> Search<'a, 'm> {
    pub(super) fn run(mut self) -> Found {
        let mut found =
            Found { rows: Vec::new(), way: Way::Skip, expected: 0.0, read: 0, stopped_at: None };
        if self.resolved.is_none() {
            return found;
        }
        let is_walk_first = self.is_walk_first();
        if !is_walk_first && self.resolved.is_lazy() && !self.sets_lazily() {
            self.resolved.settle(self.meter);
            if self.resolved.is_none() {
                return found;
            }
        }
        let walk_reads = self.walk_reads() * self.distrust.get();
        let set_cost = self.set_cost();
        if is_walk_first || walk_reads <= set_cost {
            found.way = Way::Walk;
            found.expected = walk_reads;
            let limit = self.walk_limit(walk_reads, set_cost);
            let mut walk = Walk::new(&self, limit);
            let edges = Edges { after: self.after.is_some(), before: self.before.is_some() };
            let end = walk.walk(0, edges);
            found.read = walk.read;
            found.rows = walk.out;
            found.stopped_at = walk.next_row.filter(|_| matches!(end, Break(Halt::Stopped)));
            if !matches!(end, Break(Halt::Limit)) {
                return found;
            }
            found.way = Way::Both;
            // What deceives in one segment deceives in the next.
            self.distrust.set(self.distrust.get() * DECEIVED);
            if self.resolved.is_lazy() && !self.sets_lazily() {
                self.resolved.settle(self.meter);
            }
            if self.resolved.is_none() {
                found.rows.clear();
                return found;
            }
        } else {
            found.way = Way::Set;
            found.expected = float(self.base_reads());
        }
        found.read += self.base_reads() as u64;
        found.rows = self.set();
        found
    }

    /// Whether to walk before wildcards are resolved, since only few values will be asked.
    fn is_walk_first(&self) -> bool {
        if !self.resolved.is_lazy() {
            return false;
        }
        let walk_reads = self.walk_reads() * self.distrust.get();
        walk_reads <= float(self.resolved.lazy_cost()) && walk_reads <= float(self.base_reads())
    }

    /// Whether the set is so small that wildcards are asked of its rows' values alone.
    fn sets_lazily(&self) -> bool {
        self.base_reads() <= self.resolved.lazy_cost()
    }

    /// Up to how many reads a walk is better than the set.
    fn walk_limit(&self, walk_reads: f64, set_cost: f64) -> u64 {
        if self.resolved.is_all() {
            return u64::MAX;
        }
        let most = if self.resolved.is_lazy() {
            // What lazy tests cost more than resolved ones, they must not cost for long.
            set_cost.min((walk_reads * 4.0).max(float(self.resolved.lazy_cost())))
        } else {
            set_cost
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Some thousand rows.
        let most = most as u64;
        most + self.need.min(self.view.rows()) as u64
    }

    /// How many rows a walk is expected to read.
    fn walk_reads(&self) -> f64 {
        let edges = Edges { after: self.after.is_some(), before: self.before.is_some() };
        let rows = float(self.view.rows());
        let (walked, share) = match self.keys.first() {
            Some(key) => {
                let span = self.span(0, edges);
                let is_parted = key.column.is_some_and(is_parted) && !span.unset;
                let mut walked = if span.unset { self.view.rows() } else { 0 };
                for run in key.column.iter().flat_map(|column| column.runs()) {
                    if let Some(column) = key.column
                        && self.is_allowed(column, run)
                    {
                        walked += column.rows_of(run, span.codes.clone()).len();
                    }
                }
                (float(walked), self.share(Some(key), is_parted))
            }
            None => {
                let first = self.after.as_ref().map_or(0, Mark::row_after);
                let end = self.before.as_ref().map_or(self.view.rows(), |mark| mark.row as usize);
                (float(end.saturating_sub(first as usize)), self.share(None, false))
            }
        };
        let living = float(self.view.part.living()) / rows;
        walked.min(float(self.need.min(self.view.rows())) / (share * living).max(1e-9))
    }

    /// What share of the rows walked along a key passes.
    fn share(&self, key: Option<&SegmentKey<'a>>, knows_state: bool) -> f64 {
        let rows = float(self.view.rows());
        let mut share = self.resolved.estimate() / rows;
        if knows_state && let Some(states) = &self.resolved.states {
            share *= rows / float(states.count).max(1.0);
        }
        // Along its own column a test is kept to by where the walk begins and ends.
        if let Some(column) = key.and_then(|key| key.column)
            && let Some(test) = self.test_of(column)
        {
            share *= rows / float(test.count).max(1.0);
        }
        share.min(1.0)
    }

    /// What the set costs, in rows read by a walk.
    fn set_cost(&self) -> f64 {
        float(self.base_reads()) + self.resolved.estimate()
    }

    /// How many rows have to be gone through for the set.
    pub(super) fn base_reads(&self) -> usize {
        let rows = self.view.rows();
        let states = self.resolved.states.as_ref().map_or(rows, |states| states.count);
        let tests = self.resolved.tests.iter().map(|test| self.reads(test));
        tests.min().unwrap_or(rows).min(states)
    }

    fn reads(&self, test: &Tests<'_>) -> usize {
        match self.parted(test) {
            Some(lists) => lists.iter().map(RowList::len).sum(),
            None => test.reads(self.view.rows()),
        }
    }

    /// The rows of a range of times in the states asked for, if the order of the times is parted by
    /// state.
    fn parted<'t>(&self, test: &'t Tests<'a>) -> Option<Vec<RowList<'t>>> {
        let Tests::Codes(test) = test else { return None };
        let [range] = test.codes.ranges() else { return None };
        if range.start == 0 || self.resolved.states.is_none() || !is_parted(test.column) {
            return None;
        }
        let runs = test.column.runs().filter(|run| self.is_allowed(test.column, *run));
        Some(runs.map(|run| test.column.rows_of(run, range.clone())).collect())
    }

    /// The rows that pass, dead and expired ones left out, if so many are to be tested that it is
    /// quicker to answer the tests for all rows at once.
    fn marked(&self) -> Option<Bits> {
        let (tests, states) = (&self.resolved.tests, &self.resolved.states);
        let mut marks = usize::from(states.is_some());
        for test in tests {
            marks += test.marks()?;
        }
        let (rows, reads) = (self.view.rows(), self.base_reads());
        if marks == 0 || reads * READ_IS_MARKS < rows * marks {
            return None;
        }
        if !self.meter.read(reads as u64) {
            return Some(Bits::none(rows));
        }
        let of_states = states.iter().map(|states| states.marked(rows));
        let marked = of_states.chain(tests.iter().map(|test| test.marked(rows)));
        let mut bits = marked.reduce(|own, other| own.and(&other))?;
        self.view.hide(&mut bits);
        Some(bits)
    }

    /// The rows that pass, dead and expired ones left out, in no order.
    pub(super) fn matches(&self, tell: &mut dyn FnMut(RowId)) {
        if let Some(bits) = self.marked() {
            return bits.iter().for_each(tell);
        }
        let rows = self.view.rows();
        let resolved = &self.resolved;
        let least = resolved.tests.iter().min_by_key(|test| self.reads(test));
        let states = resolved.states.as_ref();
        // Where there is but one test, the rows that it tells are those that pass.
        let is_exact = resolved.tests.len() <= 1
            && least.is_none_or(|test| {
                test.is_exact() && (states.is_none() || self.parted(test).is_some())
            });
        let mut take = |row: RowId, knows_state: bool| {
            if self.meter.read(1)
                && (is_exact || resolved.passes(row, knows_state))
                && !(self.view.hides_some() && self.view.is_hidden(row))
            {
                tell(row);
            }
        };
        match (least, states) {
            (None, None) => Tests::All.each_candidate(rows, &mut |row| take(row, true)),
            (Some(test), Some(states)) if !is_exact && self.reads(test) > states.count => {
                each_of(states, &mut |row| take(row, true));
            }
            (None, Some(states)) => each_of(states, &mut |row| take(row, true)),
            (Some(test), _) => match self.parted(test) {
                Some(lists) => {
                    lists.into_iter().flat_map(RowList::iter).for_each(|row| take(row, true));
                }
                None => test.each_candidate(rows, &mut |row| take(row, false)),
            },
        }
    }

    /// How many rows pass.
    pub(super) fn count(&self, horizon: Timestamp) -> usize {
        let hidden = self.view.hidden(horizon);
        let resolved = &self.resolved;
        if resolved.is_all() {
            return self.view.rows() - hidden;
        }
        let exact = match (&resolved.states, resolved.tests.as_slice()) {
            (Some(states), []) => Some(states.count),
            (None, [Tests::Codes(test)]) => Some(test.exact_count(self.view.rows())),
            (Some(_), [test]) => self.parted(test).map(|l| l.iter().map(RowList::len).sum()),
            _ => None,
        };
        let reads = self.base_reads();
        match exact {
            Some(exact) if hidden <= reads => {
                let mut gone = 0;
                if hidden > 0 {
                    self.view.each_hidden(horizon, &mut |row| {
                        gone += usize::from(resolved.passes(row, false));
                    });
                    self.meter.read(hidden as u64);
                }
                exact - gone
            }
            _ => {
                if let Some(bits) = self.marked() {
                    return bits.len;
                }
                let mut count = 0;
                self.matches(&mut |_| count += 1);
                count
            }
        }
    }

    /// The best of the rows that pass.
    fn set(&self) -> Vec<RowId> {
        let mut rows = Vec::new();
        self.matches(&mut |row| {
            if self.is_between(row, 0) {
                rows.push(row);
            }
        });
        best(rows, &self.keys, self.need)
    }

    fn is_between(&self, row: RowId, from: usize) -> bool {
        let is_after = |mark: &Mark| mark.order_of(row, &self.keys, from).is_gt();
        let is_before = |mark: &Mark| mark.order_of(row, &self.keys, from).is_lt();
        self.after.as_ref().is_none_or(is_after) && self.before.as_ref().is_none_or(is_before)
    }

    /// Whether rows of this run can pass, as far as their state goes.
    fn is_allowed(&self, column: &Column, run: Run) -> bool {
        let Some(states) = self.resolved.states.as_ref().filter(|_| run.state.is_some()) else {
            return true;
        };
        let rows = column.rows_of(run, 1..column.end_code());
        rows.len() > 0 && states.passes(rows.get(0))
    }

    /// The test on this column, if it stands by itself.
    fn test_of(&self, column: &Column) -> Option<&super::resolve::CodeTest<'a>> {
        self.resolved.tests.iter().find_map(|test| match test {
            Tests::Codes(test) if std::ptr::eq(test.column, column) => Some(test),
            _ => None,
        })
    }

    /// Which codes of a key, and whether what is unset, can be among the rows looked for.
    fn span(&self, depth: usize, edges: Edges) -> Span {
        let mut span = Span { codes: 1..1, unset: true };
        let Some(key) = self.keys.get(depth) else { return span };
        if let Some(column) = key.column {
            span.codes.end = column.end_code();
            span.unset = column.set() < self.view.rows();
            if let Some(test) = self.test_of(column)
                && let ([first, ..], [.., last]) = (test.codes.ranges(), test.codes.ranges())
            {
                span.unset &= first.start == 0;
                span.codes = first.start.max(1)..last.end.max(1);
            }
        }
        let (start, end) = (span.codes.start, span.codes.end);
        let is_ascending = key.direction == Direction::Ascending;
        let after = self.after.as_ref().filter(|_| edges.after).and_then(|mark| mark.key(depth));
        match after {
            Some(MarkKey::Unset) => span.codes = 1..1,
            Some(MarkKey::At(place)) if is_ascending => span.codes.start = start.max(place.code),
            Some(MarkKey::At(place)) => {
                span.codes.end = end.min(place.code + u32::from(place.is_there));
            }
            None => {}
        }
        let before = self.before.as_ref().filter(|_| edges.before).and_then(|mark| mark.key(depth));
        if let Some(MarkKey::At(place)) = before {
            span.unset = false;
            if is_ascending {
                let end = span.codes.end;
                span.codes.end = end.min(place.code + u32::from(place.is_there));
            } else {
                span.codes.start = span.codes.start.max(place.code);
            }
        }
        span.codes.end = span.codes.end.max(span.codes.start);
        span
    }
}

struct Span {
    codes: Range<u32>,
    unset: bool,
}

fn is_parted(column: &Column) -> bool {
    column.runs().next().is_some_and(|run| run.state.is_some())
}

fn each_of(test: &super::resolve::CodeTest<'_>, tell: &mut dyn FnMut(RowId)) {
    for run in test.column.runs() {
        for range in test.codes.ranges() {
            test.column.rows_of(run, range.clone()).iter().for_each(&mut *tell);
        }
    }
}

/// The best `need` of these rows, in order.
pub(super) fn best(mut rows: Vec<RowId>, keys: &[SegmentKey<'_>], need: usize) -> Vec<RowId> {
    match keys {
        [] => select(&mut rows, need, |row| *row),
        [a] => select(&mut rows, need, |row| (a.rank(*row), *row)),
        keys => {
            // Eight keys of 16 bits are the most that an order has.
            let ranks = |row: RowId| {
                keys.iter().fold(0_u128, |ranks, key| ranks << 16 | u128::from(key.rank(row)))
            };
            let mut ranked: Vec<(u128, RowId)> =
                rows.iter().map(|row| (ranks(*row), *row)).collect();
            select(&mut ranked, need, |ranked| *ranked);
            rows.clear();
            rows.extend(ranked.into_iter().map(|(_, row)| row));
        }
    }
    rows
}

fn select<T: Copy, K: Ord>(rows: &mut Vec<T>, need: usize, key: impl Fn(&T) -> K) {
    if rows.len() > need {
        if let Some(last) = need.checked_sub(1) {
            rows.select_nth_unstable_by_key(last, &key);
        }
        rows.truncate(need);
    }
    rows.sort_unstable_by_key(key);
}

/// A walk under way.
struct Walk<'s, 'a, 'm> {
    search: &'s Search<'a, 'm>,
    /// Codes that rows must have in keys before, where a walk goes along a later one.
    fixed: Vec<(usize, Code)>,
    out: Vec<RowId>,
    read: u64,
    limit: u64,
    next_row: Option<u32>,
    hides: bool,
}

impl<'s, 'a, 'm> Walk<'s, 'a, 'm> {
    fn new(search: &'s Search<'a, 'm>, limit: u64) -> Self {
        let hides = search.view.hides_some();
        Walk { search, fixed: Vec::new(), out: Vec::new(), read: 0, limit, next_row: None, hides }
    }

    fn walk(&mut self, depth: usize, edges: Edges) -> ControlFlow<Halt> {
        let search = self.search;
        let Some(key) = search.keys.get(depth) else { return self.walk_rows(edges) };
        let span = search.span(depth, edges);
        if let Some(column) = key.column {
            let knows_state = is_parted(column);
            let mut groups = Groups::new(search, column, &span.codes, key.direction);
            while let Some((code, rows)) = groups.next() {
                match rows {
                    Group::List(rows) => self.group(depth, code, rows, edges, knows_state)?,
                    Group::Merged(rows) => {
                        self.group(depth, code, RowList::Listed(&rows), edges, knows_state)?;
                    }
                }
            }
        }
        if span.unset {
            let every = u32::try_from(search.view.rows()).unwrap_or(u32::MAX);
            self.fixed.push((depth, 0));
            let end = self.group(depth, 0, RowList::Range(0, every), edges, false);
            self.fixed.pop();
            end?;
        }
        Continue(())
    }

    /// Walks the rows in order of uuid.
    fn walk_rows(&mut self, edges: Edges) -> ControlFlow<Halt> {
        let search = self.search;
        let rows = u32::try_from(search.view.rows()).unwrap_or(u32::MAX);
        let first = search.after.as_ref().filter(|_| edges.after).map_or(0, Mark::row_after);
        let end = search.before.as_ref().filter(|_| edges.before).map_or(rows, |mark| mark.row);
        for id in search.view.part.living_from(first) {
            let row = u32::from(id);
            if row >= end {
                break;
            }
            self.next_row = Some(row);
            self.count()?;
            if search.meter.is_past_soft() && (search.is_enough)(&self.out) {
                return Break(Halt::Stopped);
            }
            self.take(id, false)?;
        }
        Continue(())
    }

    /// Takes the best rows among those with one value of a key; they come in order of row.
    fn group(
        &mut self,
        depth: usize,
        code: Code,
        rows: RowList<'_>,
        edges: Edges,
        knows_state: bool,
    ) -> ControlFlow<Halt> {
        let search = self.search;
        let is_at = |mark: &Option<Mark>| mark.as_ref().is_some_and(|mark| mark.is_at(depth, code));
        let edges = Edges {
            after: edges.after && is_at(&search.after),
            before: edges.before && is_at(&search.before),
        };
        if depth + 1 == search.keys.len() {
            // Only the uuid decides between them, and they come in its order.
            let first = search.after.as_ref().filter(|_| edges.after).map_or(0, Mark::row_after);
            let before = search.before.as_ref().filter(|_| edges.before);
            let end = before.map_or(u32::MAX, |mark| mark.row);
            for row in rows.within(first..end).iter() {
                self.count()?;
                self.take(row, knows_state)?;
            }
            return Continue(());
        }
        if self.goes_on(rows.len()) {
            let (before, limit) = (self.out.len(), self.limit);
            self.limit = limit.min(self.read + rows.len() as u64);
            self.fixed.push((depth, code));
            let end = self.walk(depth + 1, edges);
            self.fixed.pop();
            self.limit = limit;
            match end {
                Break(Halt::Limit) => self.out.truncate(before),
                end => return end,
            }
        }
        let mut gathered = Vec::new();
        for row in rows.iter() {
            self.count()?;
            if self.passes(row, knows_state) && self.is_between(row, edges, depth + 1) {
                gathered.push(row);
            }
        }
        let left = search.need - self.out.len();
        let keys = search.keys.get(depth + 1..).unwrap_or_default();
        self.out.extend(best(gathered, keys, left));
        if self.out.len() == search.need { Break(Halt::Full) } else { Continue(()) }
    }

    /// Whether to go along the next key through a group of so many rows, instead of gathering it.
    fn goes_on(&self, rows: usize) -> bool {
        let search = self.search;
        let left = float((search.need - self.out.len()).min(search.view.rows()));
        let share = search.share(None, false).max(1e-9);
        rows > SMALL_GROUP
            && float(search.view.rows()) * left / (float(rows) * share) < float(rows) / 2.0
    }

    fn is_between(&self, row: RowId, edges: Edges, from: usize) -> bool {
        let search = self.search;
        let after = search.after.as_ref().filter(|_| edges.after);
        let before = search.before.as_ref().filter(|_| edges.before);
        after.is_none_or(|mark| mark.order_of(row, &search.keys, from).is_gt())
            && before.is_none_or(|mark| mark.order_of(row, &search.keys, from).is_lt())
    }

    /// One more row is read.
    fn count(&mut self) -> ControlFlow<Halt> {
        if !self.search.meter.read(1) {
            return Break(Halt::Stopped);
        }
        if self.read >= self.limit {
            return Break(Halt::Limit);
        }
        self.read += 1;
        Continue(())
    }

    fn passes(&self, row: RowId, knows_state: bool) -> bool {
        let is_fixed = |(depth, code): &(usize, Code)| {
            self.search.keys.get(*depth).is_some_and(|key| key.code(row) == *code)
        };
        self.fixed.iter().all(is_fixed)
            && !(self.hides && self.search.view.is_hidden(row))
            && self.search.resolved.passes(row, knows_state)
    }

    fn take(&mut self, row: RowId, knows_state: bool) -> ControlFlow<Halt> {
        if self.passes(row, knows_state) {
            self.out.push(row);
            if self.out.len() == self.search.need {
                return Break(Halt::Full);
            }
        }
        Continue(())
    }
}

/// The set rows of a column in order of value, in groups of one value.
struct Groups<'a> {
    column: &'a Column,
    /// What is left of each run.
    lists: Vec<&'a [RowId]>,
    /// What is left of a column whose rows are not listed: all in order, or all of one value.
    plain: Option<RowList<'a>>,
    direction: Direction,
}

enum Group<'a> {
    List(RowList<'a>),
    Merged(Vec<RowId>),
}

impl<'a> Groups<'a> {
    fn new(
        search: &Search<'a, '_>,
        column: &'a Column,
        codes: &Range<u32>,
        direction: Direction,
    ) -> Groups<'a> {
        let mut groups = Groups { column, lists: Vec::new(), plain: None, direction };
        for run in column.runs().filter(|run| search.is_allowed(column, *run)) {
            match column.rows_of(run, codes.clone()) {
                RowList::Listed([]) => {}
                RowList::Listed(rows) => groups.lists.push(rows),
                rows => groups.plain = Some(rows).filter(|rows| rows.len() > 0),
            }
        }
        groups
    }

    fn next(&mut self) -> Option<(Code, Group<'a>)> {
        if let Some(RowList::Range(start, end)) = self.plain {
            return self.next_plain(start, end);
        }
        let is_ascending = self.direction == Direction::Ascending;
        let edge = |list: &&'a [RowId]| if is_ascending { list.first() } else { list.last() };
        let code_at = |list: &&'a [RowId]| edge(list).map(|row| self.column.code(*row));
        let codes = self.lists.iter().filter_map(code_at);
        let code = if is_ascending { codes.min() } else { codes.max() }?;
        let mut first: Option<&'a [RowId]> = None;
        let mut merged: Vec<RowId> = Vec::new();
        for list in &mut self.lists {
            let is_next = edge(&&**list).is_some_and(|row| self.column.code(*row) == code);
            if !is_next {
                continue;
            }
            let group = take_group(list, self.column, code, is_ascending);
            match first {
                None => first = Some(group),
                Some(own) => {
                    if merged.is_empty() {
                        merged.extend_from_slice(own);
                    }
                    merged.extend_from_slice(group);
                }
            }
        }
        if merged.is_empty() {
            return first.map(|rows| (code, Group::List(RowList::Listed(rows))));
        }
        merged.sort_unstable();
        Some((code, Group::Merged(merged)))
    }

    /// The next group where every row has the next value, or all have one.
    fn next_plain(&mut self, start: u32, end: u32) -> Option<(Code, Group<'a>)> {
        let is_ascending = self.direction == Direction::Ascending;
        let at = if is_ascending { start } else { end.checked_sub(1)? };
        let code = self.column.code(RowId::try_from(at).ok()?);
        let is_single = matches!(self.column.codes(), crate::table::Codes::Ascending);
        let (group, left) = match (is_single, is_ascending) {
            (false, _) => ((start, end), (end, end)),
            (true, true) => ((start, start + 1), (start + 1, end)),
            (true, false) => ((at, end), (start, at)),
        };
        self.plain = Some(RowList::Range(left.0, left.1)).filter(|_| left.0 < left.1);
        Some((code, Group::List(RowList::Range(group.0, group.1))))
    }
}

/// Takes the rows with this code off the list, from its near end.
fn take_group<'a>(
    list: &mut &'a [RowId],
    column: &Column,
    code: Code,
    is_ascending: bool,
) -> &'a [RowId] {
    let len = list.len();
    let is_in = |distance: usize| {
        let at = if is_ascending { distance } else { len - 1 - distance };
        list.get(at).is_some_and(|row| column.code(*row) == code)
    };
    // Most groups are of one row, so the end is felt for in growing steps.
    let mut known = 1;
    let mut step = 1;
    while known < len && is_in((known + step - 1).min(len - 1)) {
        known = (known + step).min(len);
        step *= 2;
    }
    let mut beyond = (known + step - 1).min(len);
    while known < beyond {
        let middle = known + (beyond - known) / 2;
        if is_in(middle) {
            known = middle + 1;
        } else {
            beyond = middle;
        }
    }
    let whole: &'a [RowId] = list;
    if is_ascending {
        let (group, rest) = whole.split_at(known);
        *list = rest;
        group
    } else {
        let (rest, group) = whole.split_at(len - known);
        *list = rest;
        group
    }
}

/// The columns of an order's keys in this segment.
pub(super) fn keys_of<'a>(keys: &[super::OrderKey], segment: &'a Segment) -> Vec<SegmentKey<'a>> {
    let key = |key: &super::OrderKey| SegmentKey {
        column: segment.column(&key.field),
        direction: key.direction,
    };
    keys.iter().map(key).collect()
}
