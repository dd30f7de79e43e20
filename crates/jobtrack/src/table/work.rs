//! Sealing heads and merging segments: work that nobody sees, done in steps beside the table.

use std::sync::Arc;

use super::column::count;
use super::part::{Alive, Part};
use super::places::Moved;
use super::rows::{Row, Rows};
use super::segment::{Building, Merge, Segment};
use super::uuids::PlaceId;
use super::{Shape, Table};
use crate::job::JobId;

/// How many sizes of segments there are: merging leads from each to the next, the last ones stay.
const SIZES: usize = 3;

/// How far work may fall behind before whoever changes the table has to do it: heads that wait, and
/// segments of one size as a multiple of what is merged. Heads that wait together are sealed together,
/// which spares merging what would have come of each.
const HEADS_BEHIND: usize = 8;
const SIZES_BEHIND: usize = 2;

/// So many times as many heads may wait that have few rows left.
const SPARSE_HEADS: usize = 4;

/// With so many times as many heads waiting, sealing does not keep pace.
const HEADS_FAR_BEHIND: usize = 2;

/// Heads that are being sealed, or segments that are being merged. It holds what it reads, so the
/// table may change meanwhile.
#[derive(Debug)]
pub(crate) struct Work {
    from: From,
    /// The rows that have ended, and those that have not, each on their way to become a segment.
    seal: Option<Vec<(Vec<Row>, Building)>>,
    merge: Option<Merge>,
    /// What it has come to.
    made: Vec<Part>,
}

#[derive(Debug)]
enum From {
    Heads(Vec<(PlaceId, Arc<Rows>)>),
    /// With the rows that lived when the work began.
    Parts(Vec<(PlaceId, Arc<Segment>, Arc<Alive>)>),
    /// Every row of these is dead.
    Dead(Vec<PlaceId>),
}

/// What the table let go of: large, so it is freed outside of locks.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    _parts: Vec<Part>,
    _rows: Vec<Arc<Rows>>,
}

impl Work {
    /// How many rows it is about: the more, the longer does a step take.
    pub(crate) fn rows(&self) -> usize {
        match &self.from {
            From::Heads(heads) => heads.iter().map(|(_, rows)| rows.len()).sum(),
            From::Parts(parts) => parts.iter().map(|(_, segment, _)| segment.len()).sum(),
            From::Dead(_) => 0,
        }
    }

    /// Does a bounded part of it, some milliseconds at most, and says whether it is done.
    pub(crate) fn step(&mut self) -> bool {
        match (&self.from, &mut self.merge) {
            (From::Heads(heads), _) => {
                let Some(building) = &mut self.seal else {
                    self.seal = (self.made.is_empty()).then(|| begin_seal(heads));
                    return self.seal.is_none();
                };
                if building.iter_mut().any(|(rows, building)| !building.step(rows)) {
                    return false;
                }
                let built = self.seal.take().into_iter().flatten();
                let part =
                    |(rows, building): (Vec<Row>, Building)| Part::of(building.finish(&rows));
                self.made = built.map(part).collect();
            }
            (From::Parts(_), Some(merge)) => {
                if !merge.step() {
                    return false;
                }
                let segments = self.merge.take().map(Merge::finish);
                self.made = segments.into_iter().map(Part::of).collect();
            }
            _ => {}
        }
        true
    }
}

/// The rows that have ended, to become a segment, and those that have not, to become another.
fn begin_seal(heads: &[(PlaceId, Arc<Rows>)]) -> Vec<(Vec<Row>, Building)> {
    let all = heads.iter().flat_map(|(_, rows)| rows.after(None)).cloned();
    let count = heads.iter().map(|(_, rows)| rows.len()).sum();
    let (mut ended, mut live) = (Vec::with_capacity(count), Vec::new());
    all.for_each(|row: Row| {
        let ended = if row.job.state().is_terminal() { &mut ended } else { &mut live };
        ended.push(row);
    });
    let segments = [ended, live].into_iter().filter(|rows| !rows.is_empty());
    let begun = segments.map(|mut rows| {
        // Each head is sorted already, which this kind of sort makes use of.
        rows.sort_by_key(|row| row.job.uuid);
        let building = Building::new(&rows);
        (rows, building)
    });
    begun.collect()
}

impl Table {
    /// The sealing of the heads that wait, if any do: to be carried out in [steps](Work::step) beside
    /// the table and then [published](Table::publish). One sealing and one merge may be under way at a
    /// time.
    pub(crate) fn next_seal(&self) -> Option<Work> {
        // The last head still takes what changes.
        let (_, waiting) = self.heads.split_last()?;
        let mut rows = 0;
        let fitting = waiting.iter().take_while(|head| {
            rows += head.rows.len();
            rows <= self.shape.segment_rows
        });
        // One that is as large as a segment is sealed all the same.
        let count = fitting.count().max(1);
        let heads = waiting.iter().take(count).map(|head| (head.id, head.begin_seal()));
        let heads: Vec<_> = heads.collect();
        let from = From::Heads(heads);
        (!waiting.is_empty()).then_some(Work { from, seal: None, merge: None, made: Vec::new() })
    }

    /// The next merge, or other tidying among the segments, if any is due.
    pub(crate) fn next_merge(&self) -> Option<Work> {
        let dead: Vec<PlaceId> =
            self.parts.iter().filter(|part| part.living() == 0).map(|part| part.id).collect();
        if !dead.is_empty() {
            return Some(Work {
                from: From::Dead(dead),
                seal: None,
                merge: None,
                made: Vec::new(),
            });
        }
        for ended in [true, false] {
            for size in 0..SIZES - 1 {
                if self.of_size(ended, size).count() >= self.shape.fan {
                    return self.merge_of(self.of_size(ended, size));
                }
            }
        }
        // Segments with more dead rows than living ones give their space back, several at a time.
        for ended in [true, false] {
            let is_sparse = |part: &&Part| has_ended(part) == ended && part.dead() > part.living();
            let mut sparse: Vec<&Part> = self.parts.iter().filter(is_sparse).collect();
            sparse.sort_by_key(|part| part.living());
            let alone = sparse.len() == 1
                && sparse.iter().all(|part| part.living() * 4 > part.segment.len());
            if !sparse.is_empty() && !alone {
                return self.merge_of(sparse.into_iter().take(self.shape.fan));
            }
        }
        None
    }

    /// Lets a head be sealed before it is full, if that is worth it: for whoever has time anyway.
    pub(crate) fn rest(&mut self) {
        if self.heads.last().is_some_and(|head| head.rows.len() * 8 >= self.shape.head_rows) {
            self.turn_head();
        }
    }

    /// Whether so much waits in heads that each change must do a part of their sealing.
    pub(crate) fn seals_behind(&self) -> bool {
        self.heads_wait(1)
    }

    /// Whether so much waits in heads that changes must wait until all of them are sealed.
    pub(crate) fn seals_far_behind(&self) -> bool {
        self.heads_wait(HEADS_FAR_BEHIND)
    }

    /// Whether so many times as much waits as may. Rows are what makes them slow to search, and they
    /// grow fewer as jobs end; but each head is searched by itself, so not too many may have few.
    fn heads_wait(&self, times: usize) -> bool {
        let most = HEADS_BEHIND * times;
        let Some((_, waiting)) = self.heads.split_last() else { return false };
        waiting.len() > most * SPARSE_HEADS
            || waiting.len() >= most
                && waiting.iter().map(|head| head.rows.len()).sum::<usize>()
                    >= most * self.shape.head_rows
    }

    /// Whether so many segments wait that each change must do a part of a merge.
    pub(crate) fn merges_behind(&self) -> bool {
        self.merges_behind
    }

    fn count_merges_behind(&self) -> bool {
        [true, false].iter().any(|ended| {
            let behind = self.shape.fan * SIZES_BEHIND;
            (0..SIZES - 1).any(|size| self.of_size(*ended, size).count() >= behind)
        })
    }

    /// The segments of jobs that have ended, or of those that have not, of one size.
    fn of_size(&self, ended: bool, size: usize) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| has_ended(part) == ended && self.size_of(part) == size)
    }

    /// The merge of as many of these as one segment can hold; of a single one only if rows of it are
    /// dead.
    fn merge_of<'a>(&self, parts: impl Iterator<Item = &'a Part>) -> Option<Work> {
        let mut rows = 0;
        let mut taken: Vec<&Part> = Vec::new();
        for part in parts.take(usize::from(u8::MAX)) {
            if rows + part.living() > self.shape.segment_rows {
                break;
            }
            rows += part.living();
            taken.push(part);
        }
        if taken.is_empty() || (taken.len() == 1 && taken.iter().all(|part| part.dead() == 0)) {
            return None;
        }
        let of = |part: &&Part| (part.id, Arc::clone(&part.segment), Arc::clone(part.alive()));
        let from = From::Parts(taken.iter().map(of).collect());
        let living = |part: &&Part| (Arc::clone(&part.segment), part.living_from(0).collect());
        let merge = Some(Merge::new(taken.iter().map(living).collect()));
        Some(Work { from, seal: None, merge, made: Vec::new() })
    }

    /// Which of the sizes it has. Those above half of what a segment may have are of the last one,
    /// so that of any two of another size one can be made.
    fn size_of(&self, part: &Part) -> usize {
        let Shape { head_rows, fan, segment_rows } = self.shape;
        if part.living() * 2 > segment_rows {
            return SIZES - 1;
        }
        let filled = |size: &usize| part.living() <= head_rows * fan.pow(count(*size)) * fan / 2;
        (0..SIZES - 1).find(filled).unwrap_or(SIZES - 1)
    }

    /// Puts the outcome in place of what it was made from. Rows that died meanwhile are dead in it.
    pub(crate) fn publish(&mut self, mut work: Work) -> Retired {
        while !work.step() {}
        let mut retired = Retired::default();
        let Work { from, made, .. } = work;
        match from {
            From::Dead(places) => retired._parts = self.retire(&places, Moved::Gone),
            From::Heads(heads) => {
                let mut died: Vec<JobId> = Vec::new();
                for (head, rows) in &heads {
                    let Some(at) = self.heads.iter().position(|own| own.id == *head) else {
                        continue;
                    };
                    let now = self.heads.remove(at).rows;
                    if !Arc::ptr_eq(&now, rows) {
                        let before = rows.after(None).map(|row| row.job.uuid);
                        died.extend(before.filter(|id| now.get(*id).is_none()));
                    }
                    retired._rows.push(now);
                }
                let made: Vec<PlaceId> =
                    made.into_iter().map(|part| self.add_part(part, &died)).collect();
                let moved = match made.as_slice() {
                    [one, other] => Moved::ToEither(*one, *other),
                    [one] => Moved::To(*one),
                    _ => Moved::Gone,
                };
                heads.iter().for_each(|(head, _)| self.places.set(*head, moved));
                self.renumber();
            }
            From::Parts(parts) => {
                let mut died: Vec<JobId> = Vec::new();
                for (id, old, before) in &parts {
                    if let Some(now) = self.parts.iter().find(|part| part.id == *id) {
                        died.extend(now.alive().died_since(before).map(|row| old.uuid(row)));
                    }
                }
                let old: Vec<PlaceId> = parts.iter().map(|(id, ..)| *id).collect();
                let made = made.into_iter().map(|part| self.add_part(part, &died)).last();
                retired._parts = self.retire(&old, made.map_or(Moved::Gone, Moved::To));
            }
        }
        self.places.forget();
        self.find_next_expiry();
        self.merges_behind = self.count_merges_behind();
        retired
    }

    /// Adds a segment of rows that are in the table already, less those that have died.
    fn add_part(&mut self, mut part: Part, died: &[JobId]) -> PlaceId {
        part.id = self.places.add(Moved::Gone);
        for id in died {
            if let Some(row) = part.find(*id) {
                part.kill(row);
            }
        }
        let id = part.id;
        Arc::make_mut(&mut self.parts).push(part);
        id
    }

    fn retire(&mut self, old: &[PlaceId], moved: Moved) -> Vec<Part> {
        let parts = Arc::make_mut(&mut self.parts);
        let retired = parts.extract_if(.., |part| old.contains(&part.id)).collect();
        old.iter().for_each(|id| self.places.set(*id, moved));
        self.renumber();
        retired
    }
}

/// Whether the jobs of a segment have ended: all of one segment have, or none.
fn has_ended(part: &Part) -> bool {
    part.segment.states().first().is_some_and(|state| state.is_terminal())
}
