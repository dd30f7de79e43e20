//! What became of each place that the uuid table may name: heads are sealed, segments merged, and
//! entries of the uuid table follow only when their jobs change.

use super::codes::RowId;
use super::rows::InRows;
use super::uuids::PlaceId;

/// Where a place is by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// It is a head, at this index.
    Head(usize),
    /// It is a segment, at this index.
    Part(usize),
    /// All of its living rows went there.
    To(PlaceId),
    /// Each of its living rows went to one of these.
    ToEither(PlaceId, PlaceId),
    /// No row of it lives.
    Gone,
}

/// Where a living row is.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    Head(usize, InRows),
    Part(usize, RowId),
}

/// With so many places those that nothing names are forgotten, and again whenever there are twice as
/// many as were left.
const FORGET_FROM: usize = if cfg!(test) { 8 } else { 256 };

/// All places that there are, or that an entry of the uuid table still names.
#[derive(Debug)]
pub(super) struct Places {
    /// In order of number.
    list: Vec<Place>,
    last: PlaceId,
    forget_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    id: PlaceId,
    moved: Moved,
    /// How many entries of the uuid table name it.
    entries: u32,
}

impl Default for Places {
    fn default() -> Self {
        // Numbers begin with 1: an entry of the uuid table is never 0.
        Places { list: Vec::new(), last: 0, forget_at: FORGET_FROM }
    }
}

impl Places {
    /// A new place. Numbers are not used twice; that there are four thousand million is enough for
    /// years of a hundred thousand changes a second.
    pub(super) fn add(&mut self, moved: Moved) -> PlaceId {
        self.last = self.last.saturating_add(1);
        self.list.push(Place { id: self.last, moved, entries: 0 });
        self.last
    }

    /// Where the place is by now.
    pub(super) fn get(&self, id: PlaceId) -> Moved {
        let at = self.list.binary_search_by_key(&id, |place| place.id);
        at.ok().and_then(|at| self.list.get(at)).map_or(Moved::Gone, |place| place.moved)
    }

    /// Notes where the place is now.
    pub(super) fn set(&mut self, id: PlaceId, moved: Moved) {
        if let Some(place) = self.place(id) {
            place.moved = moved;
        }
    }

    /// So many entries of the uuid table name the place from now on.
    pub(super) fn name(&mut self, id: PlaceId, entries: usize) {
        if let Some(place) = self.place(id) {
            place.entries += u32::try_from(entries).unwrap_or(u32::MAX);
        }
    }

    /// One entry less names it.
    pub(super) fn unname(&mut self, id: PlaceId) {
        if let Some(place) = self.place(id) {
            place.entries = place.entries.saturating_sub(1);
        }
    }

    /// Lets every place that has moved more than once name the last place at once, and forgets those
    /// that no entry names, if it is time for that.
    pub(super) fn forget(&mut self) {
        if self.list.len() < self.forget_at {
            return;
        }
        let last = |id: PlaceId| {
            let mut id = id;
            while let Moved::To(next) = self.get(id) {
                id = next;
            }
            id
        };
        let shorter: Vec<Moved> = self
            .list
            .iter()
            .map(|place| match place.moved {
                Moved::To(next) => Moved::To(last(next)),
                Moved::ToEither(one, other) => Moved::ToEither(last(one), last(other)),
                moved => moved,
            })
            .collect();
        self.list.iter_mut().zip(shorter).for_each(|(place, moved)| place.moved = moved);
        // Nothing leads over another place any more, so only entries keep one that has moved.
        let stays = |place: &Place| {
            place.entries > 0 || matches!(place.moved, Moved::Head(_) | Moved::Part(_))
        };
        self.list.retain(stays);
        self.forget_at = (self.list.len() * 2).max(FORGET_FROM);
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<Place>()
    }

    fn place(&mut self, id: PlaceId) -> Option<&mut Place> {
        let at = self.list.binary_search_by_key(&id, |place| place.id).ok()?;
        self.list.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;

    use crate::job::{Job, JobId};
    use crate::query::random_jobs::job;
    use crate::table::{Row, Shape, Table};

    /// Changes for years must not leave a trace each.
    #[test]
    fn places_that_nothing_names_are_forgotten() {
        let mut table = Table::shaped(Shape { head_rows: 4, fan: 2, segment_rows: 64 });
        let model = job().new_tree(&mut TestRunner::deterministic()).unwrap().current();
        let put = |table: &mut Table, id: u128| {
            let uuid = JobId::from_uuid(uuid::Uuid::from_u128(id));
            let job = Arc::new(Job { uuid, ..model.clone() });
            table.put(Row { job, key: 0, stored: 0 });
        };
        // One job that never changes again, so that its place is named by an entry for ever.
        put(&mut table, 1_000);
        let mut most = 0;
        for n in 0..20_000 {
            put(&mut table, n % 100);
            while let Some(work) = table.next_seal().or_else(|| table.next_merge()) {
                table.publish(work);
            }
            most = most.max(table.places.list.len());
        }
        assert_eq!(table.len(), 101);
        assert!(most < 200, "{most}");
        assert!(table.places.last > 1_000, "{}", table.places.last);
    }
}
