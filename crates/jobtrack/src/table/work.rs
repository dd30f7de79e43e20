//! Sealing heads and merging segments: work that nobody sees, done in steps beside the table.

use std::sync::Arc;

use super::column::count;
use super::part::{Alive, Part};
use super::rows::{Row, Rows};
use super::segment::{Merge, Segment};
use super::uuids::PlaceId;
use super::{Moved, RowId, Shape, Table};
use crate::job::JobId;

/// How many sizes of segments there are: merging leads from each to the next, the last ones stay.
const SIZES: usize = 3;

/// How far work may fall behind before whoever changes the table has to do it: heads that wait, and
/// segments of one size as a multiple of what is merged.
const HEADS_BEHIND: usize = 4;
const SIZES_BEHIND: usize = 2;

/// Merges of moved places until their traces are shortened.
const SHORTEN_EVERY: usize = 64;

/// A head that is being sealed, or segments that are being merged. It holds what it reads, so the
/// table may change meanwhile.
#[derive(Debug)]
pub(crate) struct Work(Kind);

#[derive(Debug)]
enum Kind {
    Seal {
        head: PlaceId,
        rows: Arc<Rows>,
        built: Option<Vec<Segment>>,
    },
    Merge {
        parts: Vec<(PlaceId, Arc<Segment>, Arc<Alive>)>,
        merge: Merge,
        is_done: bool,
    },
    /// Every row of these is dead.
    Drop(Vec<PlaceId>),
}

impl Work {
    /// Does a bounded part of it, some milliseconds at most, and says whether it is done.
    pub(crate) fn step(&mut self) -> bool {
        match &mut self.0 {
            Kind::Seal { rows, built, .. } => {
                if built.is_none() {
                    *built = Some(seal(rows));
                }
                true
            }
            Kind::Merge { merge, is_done, .. } => {
                *is_done = *is_done || merge.step();
                *is_done
            }
            Kind::Drop(_) => true,
        }
    }
}

/// Segments of the rows that have ended and of those that have not.
fn seal(rows: &Rows) -> Vec<Segment> {
    let (ended, live): (Vec<Row>, Vec<Row>) =
        rows.after(None).cloned().partition(|row| row.job.state().is_terminal());
    let segments = [ended, live].into_iter().filter(|rows| !rows.is_empty());
    segments.map(|rows| Segment::build(&rows)).collect()
}

impl Table {
    /// What is to be done next to keep answers fast, if anything is: to be carried out in
    /// [steps](Work::step) beside the table and then [published](Table::publish). One at a time.
    pub(crate) fn next_work(&self) -> Option<Work> {
        let dead: Vec<PlaceId> =
            self.parts.iter().filter(|part| part.living() == 0).map(|part| part.id).collect();
        if !dead.is_empty() {
            return Some(Work(Kind::Drop(dead)));
        }
        // The last head still takes what changes.
        if let [head, _, ..] = self.heads.as_slice() {
            let rows = Arc::clone(&head.rows);
            return Some(Work(Kind::Seal { head: head.id, rows, built: None }));
        }
        self.next_merge()
    }

    /// Whether work is so far behind that changes must wait for it.
    pub(crate) fn is_behind(&self) -> bool {
        self.heads.len() > HEADS_BEHIND
            || [true, false].iter().any(|ended| {
                (0..SIZES - 1)
                    .any(|size| self.of_size(*ended, size).count() >= self.shape.fan * SIZES_BEHIND)
            })
    }

    /// Lets a head be sealed before it is full, if that is worth it: for whoever has time anyway.
    pub(crate) fn rest(&mut self) {
        if self.heads.last().is_some_and(|head| head.rows.len() * 8 >= self.shape.head_rows) {
            self.turn_head();
        }
    }

    /// The segments of jobs that have ended, or of those that have not, of one size.
    fn of_size(&self, ended: bool, size: usize) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| has_ended(part) == ended && self.size_of(part) == size)
    }

    fn next_merge(&self) -> Option<Work> {
        for ended in [true, false] {
            for size in 0..SIZES - 1 {
                if self.of_size(ended, size).count() >= self.shape.fan {
                    return self.merge_of(self.of_size(ended, size));
                }
            }
        }
        // Segments with more dead rows than living ones give their space back, two at a time.
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
        let sources = taken.iter().map(of).collect();
        let living = |part: &&Part| (Arc::clone(&part.segment), part.living_from(0).collect());
        let merge = Merge::new(taken.iter().map(living).collect());
        Some(Work(Kind::Merge { parts: sources, merge, is_done: false }))
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
    pub(crate) fn publish(&mut self, work: Work) {
        match work.0 {
            Kind::Drop(places) => {
                let is_dead = |part: &Part| places.contains(&part.id) && part.living() == 0;
                let gone: Vec<PlaceId> =
                    self.parts.iter().filter(|part| is_dead(part)).map(|part| part.id).collect();
                self.retire(&gone, Moved::Gone);
            }
            Kind::Seal { head, rows, built } => {
                let segments = built.unwrap_or_else(|| seal(&rows));
                let Some(at) = self.heads.iter().position(|own| own.id == head) else { return };
                let now = self.heads.remove(at).rows;
                let lives = |id| now.get(id).is_some();
                let new: Vec<PlaceId> =
                    segments.into_iter().map(|segment| self.add_part(segment, &lives)).collect();
                self.set_place(
                    head,
                    match new.as_slice() {
                        [one, other] => Moved::ToEither(*one, *other),
                        [one] => Moved::To(*one),
                        _ => Moved::Gone,
                    },
                );
                self.renumber();
            }
            Kind::Merge { parts, merge, .. } => {
                let segment = merge.finish();
                let mut died: Vec<JobId> = Vec::new();
                for (id, old, before) in &parts {
                    if let Some(now) = self.parts.iter().find(|part| part.id == *id) {
                        died.extend(now.alive().died_since(before).map(|row| old.uuid(row)));
                    }
                }
                died.sort_unstable();
                let lives = |id| died.binary_search(&id).is_err();
                let new = self.add_part(segment, &lives);
                let old: Vec<PlaceId> = parts.iter().map(|(id, ..)| *id).collect();
                self.retire(&old, Moved::To(new));
            }
        }
        if self.places.len().is_multiple_of(SHORTEN_EVERY) {
            self.shorten();
        }
    }

    /// Adds a segment of rows that are in the table already; of these some may have died.
    fn add_part(&mut self, segment: Segment, lives: &dyn Fn(JobId) -> bool) -> PlaceId {
        let id = self.new_place(Moved::Gone);
        let mut part = Part::new(id, Arc::new(segment));
        let rows = (0..part.segment.len()).filter_map(|row| RowId::try_from(row).ok());
        let dead: Vec<RowId> = rows.filter(|row| !lives(part.segment.uuid(*row))).collect();
        dead.into_iter().for_each(|row| part.kill(row));
        Arc::make_mut(&mut self.parts).push(part);
        id
    }

    fn retire(&mut self, old: &[PlaceId], moved: Moved) {
        Arc::make_mut(&mut self.parts).retain(|part| !old.contains(&part.id));
        old.iter().for_each(|id| self.set_place(*id, moved));
        self.renumber();
    }

    /// Lets every place that has moved more than once name the last place at once.
    fn shorten(&mut self) {
        // Later places have greater numbers, and those they moved to are short already.
        for id in (1..self.places.len()).rev() {
            let Ok(id) = PlaceId::try_from(id) else { return };
            let last = |place| match self.place(place) {
                Moved::To(next) => next,
                _ => place,
            };
            let shorter = match self.place(id) {
                Moved::To(next) => match self.place(next) {
                    moved @ (Moved::To(_) | Moved::ToEither(..) | Moved::Gone) => moved,
                    _ => Moved::To(next),
                },
                Moved::ToEither(one, other) => Moved::ToEither(last(one), last(other)),
                moved => moved,
            };
            self.set_place(id, shorter);
        }
    }
}

/// Whether the jobs of a segment have ended: all of one segment have, or none.
fn has_ended(part: &Part) -> bool {
    part.segment.states().first().is_some_and(|state| state.is_terminal())
}
