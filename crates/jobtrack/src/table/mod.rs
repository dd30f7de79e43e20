//! All jobs in memory.
//!
//! The [`Table`] is what every answer comes from. The tracker alone changes it, one commit at a
//! time; a reader takes a [`Snapshot`], which costs a few reference counts, and is not disturbed by
//! what comes after.
//!
//! The latest versions of jobs stand as rows in the **head**. A full head is *sealed* into
//! **segments**, one of jobs that have ended and one of those that have not; small segments are
//! merged into larger ones. A job that changes again leaves a dead row in its segment and stands in
//! the head once more. `docs/design/0008-segments.md` says why it is so and what was measured.
//!
//! Sealing and merging change nothing that can be seen. They are done in steps ([`Work`]) by
//! whoever has time: see [`Table::next_seal`] and [`Table::next_merge`].

mod arguments;
mod bytes;
mod claims;
mod code_set;
mod codes;
mod column;
mod counts;
mod families;
mod hash;
mod head;
mod image;
mod keys;
mod matches;
mod numbers;
mod part;
mod pieces;
mod places;
mod records;
mod rows;
mod segment;
mod sides;
mod snapshot;
mod texts;
mod timers;
mod tombstones;
mod uuids;
mod work;

#[cfg(test)]
mod figures_test;
#[cfg(test)]
mod table_test;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

pub(crate) use arguments::Which;
pub(crate) use bytes::{Damaged, Reader, Writer};
pub(crate) use code_set::CodeSet;
pub(crate) use codes::{Code, Codes, RowId, SEGMENT_ROWS};
pub(crate) use column::{Column, Place, RowList, Run, Values};
pub use counts::Counts;
pub(crate) use counts::Tally;
pub(crate) use hash::FastMap;
pub(crate) use keys::Key as IdempotencyKey;
pub(crate) use matches::{Matched, Matches, Wildcard};
pub(crate) use numbers::{Key, key_of};
pub(crate) use part::Part;
pub(crate) use rows::{Piece, Row, Rows, job_bytes};
pub(crate) use segment::Segment;
pub(crate) use sides::Sides;
pub(crate) use snapshot::Snapshot;
pub(crate) use texts::TextTest;
pub(crate) use tombstones::Tombstones;
pub(crate) use uuids::PlaceId;
pub(crate) use work::Work;

use self::head::Head;
use self::places::{At, Moved, Places};
use self::records::Records;
use self::rows::InRows;
use self::uuids::Uuids;
use crate::field::Field;
use crate::job::{Job, JobId, Revision, State};
use crate::timestamp::Timestamp;

/// How large heads and segments become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// A head with so many rows is full.
    pub(crate) head_rows: usize,
    /// So many segments of about one size are merged into one of the next.
    pub(crate) fan: usize,
    /// No segment has more rows.
    pub(crate) segment_rows: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Shape { head_rows: 512, fan: 8, segment_rows: SEGMENT_ROWS }
    }
}

/// With more kinds than these a filter is not asked of each.
const KINDS_COUNTED: usize = 4_096;

/// The most kinds whose counts are given at once.
const KINDS_AT_ONCE: usize = 1_024;

/// All jobs at the current revision.
#[derive(Debug)]
pub(crate) struct Table {
    shape: Shape,
    /// The last one takes what changes; those before are full and wait to be sealed.
    heads: Vec<Head>,
    parts: Arc<Vec<Part>>,
    records: Arc<Records>,
    matches: Arc<Matches>,
    /// Whether merging has fallen behind.
    merges_behind: bool,
    /// Bytes of all but the heads, when it last changed by more than a few.
    settled_bytes: usize,
    uuids: Uuids,
    /// Where each place is by now, by its number.
    places: Places,
    len: usize,
    tally: Tally,
    /// Scratch for texts.
    text: String,
    /// What is due but not swept, counted up to where it was last asked for.
    due: Mutex<Due>,
    /// No row expires before this: so that mostly nobody has to ask every head and segment.
    next_expiry: Timestamp,
    pub(crate) tombstones: Tombstones,
    pub(crate) sides: Sides,
    pub(crate) revision: Revision,
}

/// A job that has expired and waits to be swept, where it stands.
#[derive(Debug)]
pub(crate) enum DueJob<'a> {
    /// In the head of this place.
    Head(PlaceId, &'a Row),
    /// In a segment.
    Part(&'a Part, RowId),
}

impl DueJob<'_> {
    /// The job's id.
    pub(crate) fn id(&self) -> JobId {
        match self {
            DueJob::Head(_, row) => row.job.uuid,
            DueJob::Part(part, row) => part.segment.uuid(*row),
        }
    }

    /// When it expired.
    pub(crate) fn expire_time(&self) -> Option<Timestamp> {
        match self {
            DueJob::Head(_, row) => row.job.expire_time(),
            DueJob::Part(part, row) => part.segment.expire_time(*row),
        }
    }
}

/// Jobs that have expired by some horizon and still wait to be swept, by kind and state. Counting
/// goes on from there, so that many due jobs are walked once and not with every answer.
#[derive(Debug)]
struct Due {
    until: Timestamp,
    tally: Tally,
}

impl Default for Table {
    fn default() -> Self {
        Table::shaped(Shape::default())
    }
}

impl Table {
    /// An empty table whose heads and segments become so large; of at least one row each.
    pub(crate) fn shaped(shape: Shape) -> Table {
        let mut places = Places::default();
        let first = places.add(Moved::Head(0));
        Table {
            shape,
            heads: vec![Head::new(first)],
            parts: Arc::default(),
            records: Arc::default(),
            matches: Arc::default(),
            merges_behind: false,
            settled_bytes: 0,
            uuids: Uuids::default(),
            places,
            len: 0,
            tally: Tally::default(),
            text: String::new(),
            due: Mutex::new(Due { until: Timestamp::MIN, tally: Tally::default() }),
            next_expiry: Timestamp::MAX,
            tombstones: Tombstones::default(),
            sides: Sides::default(),
            revision: Revision::default(),
        }
    }

    /// Jobs in it, expired ones that still wait to be swept included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the job has a row, expired or not.
    pub(crate) fn contains(&self, id: JobId) -> bool {
        self.find(id).is_some()
    }

    /// The job's row, expired or not.
    pub(crate) fn row(&self, id: JobId) -> Option<Row> {
        Some(match self.find(id)?.1 {
            At::Head(head, place) => self.heads.get(head)?.rows.at(place)?.clone(),
            At::Part(part, row) => self.part_row(self.parts.get(part)?, row),
        })
    }

    /// The row of a segment, with its job.
    pub(crate) fn part_row(&self, part: &Part, row: RowId) -> Row {
        let job = self.records.job(part.id, row, || part.segment.job(row));
        part.segment.row(row, job)
    }

    /// Puts the job in, in place of what stood there.
    pub(crate) fn put(&mut self, row: Row) {
        match self.find(row.job.uuid) {
            Some((_, At::Head(at, place))) if self.heads.get(at).is_some_and(Head::is_open) => {
                self.replace_in_head(at, place, row);
            }
            Some((place, at)) => {
                let before = self.take_from(at, row.job.uuid);
                self.put_in_place(row, before.as_deref(), Some(place));
            }
            None => self.put_new(row),
        }
    }

    /// Puts the job in place of what stands in this head. A job that changes again soon, as most do
    /// that are new, so takes no more room, and of what it was in between no segment is made.
    fn replace_in_head(&mut self, at: usize, place: InRows, row: Row) {
        let job = Arc::clone(&row.job);
        let Some(before) = self.heads.get_mut(at).and_then(|head| head.replace(place, row)) else {
            return;
        };
        let before = before.job;
        self.sides.changed(Some(&before), Some(&job));
        self.tally_out(&before.kind, before.state(), before.expire_time());
        self.tally_in(&job);
    }

    /// Puts in a job that is not there, which spares looking for it.
    pub(crate) fn put_new(&mut self, row: Row) {
        self.put_in_place(row, None, None);
    }

    fn put_in_place(&mut self, row: Row, before: Option<&Job>, place: Option<PlaceId>) {
        let id = row.job.uuid;
        let active = self.active();
        self.sides.changed(before, Some(&row.job));
        self.tally_in(&row.job);
        match place {
            Some(place) if place != active => {
                self.uuids.replace(id, place, active);
                self.places.unname(place);
                self.places.name(active, 1);
            }
            Some(_) => {}
            None => {
                self.uuids.insert(id, active);
                self.places.name(active, 1);
                self.len += 1;
            }
        }
        if let Some(head) = self.heads.last_mut() {
            head.put(row);
        }
        if self.heads.last().is_some_and(|head| head.rows.len() >= self.shape.head_rows) {
            self.turn_head();
        }
    }

    /// Takes the job out, and says whether it was there.
    pub(crate) fn remove(&mut self, id: JobId) -> bool {
        let (before, Some(place)) = self.take(id) else { return false };
        self.sides.changed(before.as_deref(), None);
        self.uuids.remove(id, place);
        self.places.unname(place);
        self.len -= 1;
        true
    }

    /// Takes out the job that stood in this head when the commit that takes it out began. An entry of
    /// the uuid table that is in a head names just that.
    pub(crate) fn remove_from_head(&mut self, id: JobId, head: PlaceId) {
        let at = match self.places.get(head) {
            Moved::Head(at) => at,
            // It has been sealed meanwhile.
            _ => {
                self.remove(id);
                return;
            }
        };
        let place = self.heads.get(at).and_then(|head| head.rows.find(id));
        let before = place.and_then(|place| self.take_from(At::Head(at, place), id));
        let Some(before) = before else { return };
        self.sides.changed(Some(&before), None);
        self.uuids.remove(id, head);
        self.places.unname(head);
        self.len -= 1;
    }

    /// Takes out the job that stood in this row of this segment when the commit that takes it out
    /// began, which spares looking for it.
    pub(crate) fn remove_row(&mut self, id: JobId, part: PlaceId, row: RowId) {
        let at = match self.places.get(part) {
            Moved::Part(at) => at,
            // It has been merged meanwhile.
            _ => {
                self.remove(id);
                return;
            }
        };
        let leads_here = |place| self.leads_to(place, part, id);
        let is_there = self.parts.get(at).is_some_and(|part| part.is_alive(row));
        let Some(place) = self.uuids.find(id, leads_here).filter(|_| is_there) else { return };
        let before = self.take_from(At::Part(at, row), id);
        self.sides.changed(before.as_deref(), None);
        self.uuids.remove(id, place);
        self.places.unname(place);
        self.len -= 1;
    }

    /// Puts in a segment of jobs none of which may be there yet; returns the first that is, and
    /// then nothing has changed. `beside` are those of its jobs that [concern](Sides::concern) what is
    /// kept beside the rows; which parents have unsettled children is not asked.
    pub(crate) fn add_segment(
        &mut self,
        segment: Segment,
        beside: &[Arc<Job>],
    ) -> Result<(), JobId> {
        let rows = || (0..segment.len()).filter_map(|row| RowId::try_from(row).ok());
        if let Some(row) = rows().find(|row| self.find(segment.uuid(*row)).is_some()) {
            return Err(segment.uuid(row));
        }
        let place = self.places.add(Moved::Gone);
        self.places.name(place, segment.len());
        for row in rows() {
            self.uuids.insert(segment.uuid(row), place);
            let (kind, state) = (segment.kind_in(row, &mut self.text), segment.state(row));
            self.tally.add(kind, state);
            if segment.expire_time(row).is_some_and(|time| time <= self.due.get_mut().until) {
                self.due.get_mut().tally.add(kind, state);
            }
        }
        beside.iter().for_each(|job| self.sides.changed(None, Some(job)));
        self.len += segment.len();
        let mut part = Part::of(segment);
        part.id = place;
        self.next_expiry =
            part.next_expiry().map_or(self.next_expiry, |it| it.min(self.next_expiry));
        Arc::make_mut(&mut self.parts).push(part);
        self.renumber();
        Ok(())
    }

    /// What a reader may hold on to.
    pub(crate) fn snapshot(&self, horizon: Timestamp) -> Snapshot {
        Snapshot {
            heads: self.heads.iter().map(|head| Arc::clone(&head.rows)).collect(),
            parts: Arc::clone(&self.parts),
            records: Arc::clone(&self.records),
            matches: Arc::clone(&self.matches),
            revision: self.revision,
            horizon,
        }
    }

    /// Jobs that are expired at the horizon and still wait to be swept, the longest due first.
    pub(crate) fn due(&self, horizon: Timestamp) -> impl Iterator<Item = DueJob<'_>> {
        // The first of every place, and after each the next of the same place.
        let mut places: Vec<_> =
            self.expiring_by_place(None, horizon).map(Iterator::peekable).collect();
        let key = |due: &DueJob<'_>, index| Reverse((due.expire_time(), due.id(), index));
        let mut first = BinaryHeap::new();
        for (index, place) in places.iter_mut().enumerate() {
            first.extend(place.peek().map(|due| key(due, index)));
        }
        std::iter::from_fn(move || {
            let mut soonest = first.peek_mut()?;
            let Reverse((.., index)) = *soonest;
            let place = places.get_mut(index)?;
            let due = place.next();
            // Mostly the next one is of the same place, and stays first.
            match place.peek().map(|due| key(due, index)) {
                Some(next) => *soonest = next,
                None => _ = PeekMut::pop(soonest),
            }
            due
        })
    }

    /// Whether a row of a segment concerns nothing that is kept beside the rows.
    pub(crate) fn is_plain(&self, part: &Part, row: RowId) -> bool {
        let is_set = |field: &Field| part.segment.is_set(field, row);
        !Sides::concern(is_set)
            && !is_set(&Field::Claims)
            && !self.sides.families.is_parent(part.segment.uuid(row))
    }

    /// Whether jobs are due at this horizon.
    pub(crate) fn has_due(&self, horizon: Timestamp) -> bool {
        horizon >= self.next_expiry && self.expiries().any(|next| next <= horizon)
    }

    /// Finds out when the next row expires, after some have gone.
    pub(crate) fn find_next_expiry(&mut self) {
        self.next_expiry = self.expiries().min().unwrap_or(Timestamp::MAX);
    }

    /// When the next row expires in each head and each segment.
    fn expiries(&self) -> impl Iterator<Item = Timestamp> {
        let heads = self.heads.iter().filter_map(|head| head.expiries.first());
        let heads = heads.map(|(expire_time, _)| *expire_time);
        heads.chain(self.parts.iter().filter_map(Part::next_expiry))
    }

    /// Whether a job expires after one horizon and not after the other, so that an answer at the
    /// later one hides what an answer at the earlier one showed.
    pub(crate) fn expires_between(&self, after: Timestamp, until: Timestamp) -> bool {
        after < until
            && until >= self.next_expiry
            && self.expiring_by_place(Some(after), until).any(|mut place| place.next().is_some())
    }

    /// The counts at the current revision: the kept ones less what is due but not swept.
    pub(crate) fn counts(&self, horizon: Timestamp) -> Counts {
        let due = self.due_until(horizon);
        self.tally.less(&due.tally).into_counts(self.revision, horizon)
    }

    /// The same, if it takes microseconds: None where there are many kinds, or jobs that have come
    /// due since they were counted last.
    pub(crate) fn counts_at_once(&self, horizon: Timestamp) -> Option<Counts> {
        let until = self.due.try_lock()?.until;
        let (from, until) = (until.min(horizon), until.max(horizon));
        let is_brief = self.tally.kinds() <= KINDS_AT_ONCE && !self.expires_between(from, until);
        is_brief.then(|| self.counts(horizon))
    }

    /// How many jobs are of a kind and state that pass; None where there are so many kinds that
    /// another way of counting is better.
    pub(crate) fn count_where(
        &self,
        horizon: Timestamp,
        passes: &dyn Fn(&str, State) -> bool,
    ) -> Option<u64> {
        if self.tally.kinds() > KINDS_COUNTED {
            return None;
        }
        let due = self.due_until(horizon);
        Some(self.tally.sum(passes) - due.tally.sum(passes))
    }

    /// What is due by this horizon.
    fn due_until(&self, horizon: Timestamp) -> MutexGuard<'_, Due> {
        let mut due = self.due.lock();
        // An answer's horizon can lie a little before that of the one before.
        let (from, until) = (due.until.min(horizon), due.until.max(horizon));
        let is_later = horizon > due.until;
        if from < until {
            self.each_expiring(from, until, &mut |kind, state| {
                if is_later {
                    due.tally.add(kind, state);
                } else {
                    due.tally.take(kind, state);
                }
            });
        }
        due.until = horizon;
        due
    }

    /// Bytes that the jobs take, and their tombstones: of segments exactly, of the rows in the head
    /// and of tombstones by estimate.
    pub(crate) fn bytes(&self) -> usize {
        let heads: usize = self.heads.iter().map(Head::bytes).sum();
        self.settled_bytes + heads + self.places.bytes() + self.tombstones.bytes()
    }

    fn active(&self) -> PlaceId {
        self.heads.last().map_or(0, |head| head.id)
    }

    /// Begins a new head.
    fn turn_head(&mut self) {
        let id = self.places.add(Moved::Head(self.heads.len()));
        self.heads.push(Head::new(id));
    }

    /// Lets go of a head that waits to be sealed, if nothing is left in it that could be.
    fn drop_if_empty(&mut self, at: usize) {
        let is_last = at + 1 >= self.heads.len();
        if is_last || self.heads.get(at).is_none_or(|head| head.rows.len() > 0 || !head.is_open()) {
            return;
        }
        let id = self.heads.remove(at).id;
        self.places.set(id, Moved::Gone);
        for (head, at) in self.heads.iter().zip(0..).skip(at) {
            self.places.set(head.id, Moved::Head(at));
        }
    }

    /// Notes where heads and segments stand now.
    fn renumber(&mut self) {
        let heads = self.heads.iter().enumerate().map(|(at, head)| (head.id, Moved::Head(at)));
        let parts = self.parts.iter().enumerate().map(|(at, part)| (part.id, Moved::Part(at)));
        for (id, moved) in heads.chain(parts).collect::<Vec<_>>() {
            self.places.set(id, moved);
        }
        let parts: usize = self.parts.iter().map(Part::bytes).sum();
        self.settled_bytes = parts + self.uuids.bytes();
    }

    /// Where the job's living row is, and what the uuid table says of it.
    fn find(&self, id: JobId) -> Option<(PlaceId, At)> {
        let mut at = None;
        let place = self.uuids.find(id, |place| {
            at = self.resolve(place, id);
            at.is_some()
        })?;
        at.map(|at| (place, at))
    }

    /// Whether an entry of the uuid table that names this place can be that of a living row of this
    /// segment. Entries of one hash that lead to one segment are as good as one another.
    fn leads_to(&self, place: PlaceId, part: PlaceId, id: JobId) -> bool {
        let mut place = place;
        loop {
            match self.places.get(place) {
                Moved::Part(_) => return place == part,
                Moved::To(next) => place = next,
                Moved::ToEither(..) => return self.resolve(place, id).is_some(),
                Moved::Gone | Moved::Head(_) => return false,
            }
        }
    }

    fn resolve(&self, place: PlaceId, id: JobId) -> Option<At> {
        let mut place = place;
        loop {
            match self.places.get(place) {
                Moved::Gone => return None,
                Moved::Head(at) => {
                    return self.heads.get(at)?.rows.find(id).map(|place| At::Head(at, place));
                }
                Moved::Part(at) => {
                    return self.parts.get(at)?.find(id).map(|row| At::Part(at, row));
                }
                Moved::To(next) => place = next,
                Moved::ToEither(one, other) => {
                    // Only a sealed head parts in two, so this goes one deep.
                    if let Some(at) = self.resolve(one, id) {
                        return Some(at);
                    }
                    place = other;
                }
            }
        }
    }

    /// Takes the job's row out of where it stands, and returns what the uuid table says of it; and the
    /// job, if it stood in a head or concerns what is kept beside the rows.
    fn take(&mut self, id: JobId) -> (Option<Arc<Job>>, Option<PlaceId>) {
        let Some((place, at)) = self.find(id) else { return (None, None) };
        (self.take_from(at, id), Some(place))
    }

    fn take_from(&mut self, at: At, id: JobId) -> Option<Arc<Job>> {
        match at {
            At::Head(at, place) => {
                let row = self.heads.get_mut(at)?.remove(place)?;
                self.drop_if_empty(at);
                self.tally_out(&row.job.kind, row.job.state(), row.job.expire_time());
                Some(row.job)
            }
            At::Part(at, row) => {
                let part = Arc::make_mut(&mut self.parts).get_mut(at)?;
                // Making a job anew takes longer than all the rest, and few concern anything.
                let concerns = Sides::concern(|field| part.segment.is_set(field, row))
                    || self.sides.families.is_parent(id);
                let before =
                    concerns.then(|| self.records.job(part.id, row, || part.segment.job(row)));
                let (state, expire_time) = (part.segment.state(row), part.segment.expire_time(row));
                let mut text = std::mem::take(&mut self.text);
                let kind = part.segment.kind_in(row, &mut text);
                part.kill(row);
                self.tally_out(kind, state, expire_time);
                self.text = text;
                before
            }
        }
    }

    fn tally_in(&mut self, job: &Job) {
        self.tally.add(&job.kind, job.state());
        self.next_expiry =
            job.expire_time().map_or(self.next_expiry, |it| it.min(self.next_expiry));
        let due = self.due.get_mut();
        if job.is_expired(due.until) {
            due.tally.add(&job.kind, job.state());
        }
    }

    fn tally_out(&mut self, kind: &str, state: State, expire_time: Option<Timestamp>) {
        self.tally.take(kind, state);
        let due = self.due.get_mut();
        if expire_time.is_some_and(|time| time <= due.until) {
            due.tally.take(kind, state);
        }
    }

    /// What expires after one time and not after the other, soonest first in each place.
    fn expiring_by_place(
        &self,
        after: Option<Timestamp>,
        until: Timestamp,
    ) -> impl Iterator<Item = Box<dyn Iterator<Item = DueJob<'_>> + '_>> + '_ {
        let heads = self.heads.iter().filter(|head| !head.expiries.is_empty());
        let heads = heads.map(move |head| {
            let ids = head.expiring(after, until);
            Box::new(ids.filter_map(|(_, id)| Some(DueJob::Head(head.id, head.rows.get(id)?))))
                as Box<dyn Iterator<Item = _>>
        });
        let may_expire = move |part: &&Part| part.next_expiry().is_some_and(|next| next <= until);
        let parts = self.parts.iter().filter(may_expire).map(move |part| {
            let rows = part.expiring(after, until);
            Box::new(rows.map(move |(_, row)| DueJob::Part(part, row)))
                as Box<dyn Iterator<Item = _>>
        });
        heads.chain(parts)
    }

    /// Tells kind and state of what expires after one time and not after the other.
    fn each_expiring(&self, after: Timestamp, until: Timestamp, tell: &mut dyn FnMut(&str, State)) {
        for head in &self.heads {
            for (_, id) in head.expiring(Some(after), until) {
                if let Some(row) = head.rows.get(id) {
                    tell(&row.job.kind, row.job.state());
                }
            }
        }
        for part in self.parts.iter() {
            for (_, row) in part.expiring(Some(after), until) {
                tell(&part.segment.kind(row), part.segment.state(row));
            }
        }
    }
}
