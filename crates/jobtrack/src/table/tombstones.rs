//! What stays of a job for a while after it is gone.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::pieces::Pieces;
use super::uuids::{PlaceId, Uuids};
use crate::job::{Gone, JobId, Revision};
use crate::store::Tombstone;
use crate::timestamp::Timestamp;

/// The tombstones that are kept: by uuid, by the time up to which they are, and by the commit that
/// wrote them.
///
/// All of it grows by a piece at a time: a map that is moved as a whole when it is full would let a
/// change wait for a million of them.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    /// By the key of the record, which grows.
    by_key: ByKey,
    /// Numbers made of the keys.
    by_id: Uuids,
    by_time: Pieces<(Timestamp, u64)>,
    /// Of each commit the keys of the first and the last tombstone that it wrote. What a commit writes
    /// follows on one another, so one entry stands for thousands.
    by_revision: BTreeMap<Revision, (u64, u64)>,
    /// Bytes of all texts.
    text_bytes: usize,
    /// The latest revision among those that are not kept any more: what went after it is known in
    /// full.
    forgotten: Revision,
}

impl Tombstones {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The tombstone of this job, unless its time is up.
    pub(crate) fn get(&self, id: JobId, horizon: Timestamp) -> Option<&Tombstone> {
        let (_, tombstone) = self.find(id)?;
        (tombstone.until > horizon).then_some(tombstone)
    }

    /// Key and revision of the tombstone's record, whether its time is up or not.
    pub(crate) fn record(&self, id: JobId) -> Option<(u64, Revision)> {
        self.find(id).map(|(key, tombstone)| (key, tombstone.revision))
    }

    /// All of them, whether their time is up or not, with the keys of their records.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &Tombstone)> {
        self.by_key.iter()
    }

    pub(crate) fn put(&mut self, key: u64, tombstone: Tombstone) {
        let (id, until, revision) = (tombstone.gone.uuid, tombstone.until, tombstone.revision);
        self.remove(id);
        self.text_bytes += text_bytes(&tombstone);
        self.by_key.insert(key, tombstone);
        self.by_id.insert(id, number_of(key));
        self.by_time.insert((until, key));
        match self.by_revision.last_entry() {
            Some(mut last) if *last.key() == revision => widen(last.get_mut(), key),
            _ => widen(self.by_revision.entry(revision).or_insert((key, key)), key),
        }
    }

    pub(crate) fn remove(&mut self, id: JobId) {
        let Some((key, _)) = self.find(id) else { return };
        if let Some(before) = self.by_key.remove(key) {
            self.text_bytes -= text_bytes(&before);
            self.by_id.remove(id, number_of(key));
            self.by_time.remove((before.until, key));
            if self.of_revision(before.revision).next().is_none() {
                self.by_revision.remove(&before.revision);
            }
            self.forget(before.revision);
        }
    }

    /// Bytes on the heap, by estimate: nodes of trees are two thirds full.
    pub(crate) fn bytes(&self) -> usize {
        let in_trees = size_of::<(u64, Tombstone)>() + size_of::<(Timestamp, u64)>();
        let of_commits = self.by_revision.len() * size_of::<(Revision, (u64, u64))>() * 3 / 2;
        self.len() * (in_trees * 3 / 2 + size_of::<Gone>())
            + of_commits
            + self.text_bytes
            + self.by_id.bytes()
    }

    /// Notes that a job that went at this revision has no tombstone.
    pub(crate) fn forget(&mut self, revision: Revision) {
        self.forgotten = self.forgotten.max(revision);
    }

    pub(crate) fn forgotten(&self) -> Revision {
        self.forgotten
    }

    /// The tombstones behind this place in the order of revision and uuid.
    pub(crate) fn after(&self, place: (Revision, JobId)) -> impl Iterator<Item = &Tombstone> {
        self.by_revision.range(place.0..).flat_map(move |(revision, _)| {
            let behind = |it: &&Tombstone| (it.revision, it.gone.uuid) > place;
            let mut written: Vec<&Tombstone> = self.of_revision(*revision).filter(behind).collect();
            written.sort_unstable_by_key(|it| it.gone.uuid);
            written
        })
    }

    /// The tombstones that this commit wrote.
    fn of_revision(&self, revision: Revision) -> impl Iterator<Item = &Tombstone> {
        let range = self.by_revision.get(&revision).map(|(first, last)| *first..=*last);
        let between = range.into_iter().flat_map(|range| self.by_key.range(range));
        between.filter(move |it| it.revision == revision)
    }

    /// The tombstones that may go, the oldest first: those whose time is up at the horizon, and
    /// those above the number that may be kept.
    pub(crate) fn due(
        &self,
        horizon: Timestamp,
        at_most: usize,
    ) -> impl Iterator<Item = (u64, JobId)> {
        let surplus = self.len().saturating_sub(at_most);
        self.by_time
            .iter()
            .enumerate()
            .take_while(move |(n, (until, _))| *n < surplus || *until <= horizon)
            .filter_map(|(_, (_, key))| self.by_key.get(*key).map(|it| (*key, it.gone.uuid)))
    }

    fn find(&self, id: JobId) -> Option<(u64, &Tombstone)> {
        let mut found = None;
        self.by_id.find(id, |number| {
            let own = |key: u64| self.by_key.get(key).map(|tombstone| (key, tombstone));
            let mut numbered = self.keys_of(number).filter_map(own);
            found = numbered.find(|(_, tombstone)| tombstone.gone.uuid == id);
            found.is_some()
        });
        found
    }

    /// The keys that may be meant by this number: mostly one.
    fn keys_of(&self, number: PlaceId) -> impl Iterator<Item = u64> + use<> {
        let (first, last) = self.by_key.bounds();
        let ahead = (u64::from(number) + NUMBERS - u64::from(number_of(first))) % NUMBERS;
        let next = |key: &u64| key.checked_add(NUMBERS);
        std::iter::successors(first.checked_add(ahead), next).take_while(move |key| *key <= last)
    }
}

/// How many keys share a piece of [`ByKey`].
const PIECE: u64 = 64;

/// Tombstones by key. Keys follow on one another, so each has its slot in a piece of them.
#[derive(Debug, Default)]
struct ByKey {
    /// By the number of the piece. None is empty.
    pieces: BTreeMap<u64, Piece>,
    len: usize,
}

#[derive(Debug, Default)]
struct Piece {
    /// From the piece's first key on.
    slots: Vec<Option<Tombstone>>,
    used: usize,
}

impl ByKey {
    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, key: u64) -> Option<&Tombstone> {
        self.pieces.get(&(key / PIECE))?.slots.get(slot(key))?.as_ref()
    }

    /// Puts one under a key that none has.
    fn insert(&mut self, key: u64, tombstone: Tombstone) {
        let piece = self.pieces.entry(key / PIECE).or_default();
        if piece.slots.len() <= slot(key) {
            piece.slots.resize_with(slot(key) + 1, || None);
        }
        if let Some(slot) = piece.slots.get_mut(slot(key)) {
            let before = slot.replace(tombstone);
            piece.used += usize::from(before.is_none());
            self.len += usize::from(before.is_none());
        }
    }

    fn remove(&mut self, key: u64) -> Option<Tombstone> {
        let piece = self.pieces.get_mut(&(key / PIECE))?;
        let removed = piece.slots.get_mut(slot(key))?.take()?;
        piece.used -= 1;
        self.len -= 1;
        if piece.used == 0 {
            self.pieces.remove(&(key / PIECE));
        }
        Some(removed)
    }

    /// All of them with their keys, in order of key.
    fn iter(&self) -> impl Iterator<Item = (u64, &Tombstone)> {
        let each = self.pieces.iter().flat_map(|(n, piece)| (n * PIECE..).zip(&piece.slots));
        each.filter_map(|(key, slot)| Some((key, slot.as_ref()?)))
    }

    /// Those of these keys, in order of key.
    fn range(&self, keys: RangeInclusive<u64>) -> impl Iterator<Item = &Tombstone> {
        let pieces = self.pieces.range(keys.start() / PIECE..=keys.end() / PIECE);
        let each = pieces.flat_map(|(n, piece)| (n * PIECE..).zip(&piece.slots));
        each.filter(move |(key, _)| keys.contains(key)).filter_map(|(_, slot)| slot.as_ref())
    }

    /// All keys lie between these two.
    fn bounds(&self) -> (u64, u64) {
        let first = self.pieces.first_key_value().map_or(0, |(n, _)| n * PIECE);
        let last = self.pieces.last_key_value();
        let last = last.map_or(0, |(n, it)| n * PIECE + (it.slots.len() as u64).max(1) - 1);
        (first, last)
    }
}

fn slot(key: u64) -> usize {
    // Less than 64.
    usize::try_from(key % PIECE).unwrap_or(0)
}

/// Lets the range hold the key as well.
fn widen((first, last): &mut (u64, u64), key: u64) {
    (*first, *last) = (key.min(*first), key.max(*last));
}

fn text_bytes(tombstone: &Tombstone) -> usize {
    tombstone.gone.scope.as_ref().map_or(0, |scope| scope.name.len() + scope.id.len())
}

/// How many numbers there are: all that [`Uuids`] can note.
const NUMBERS: u64 = PlaceId::MAX as u64;

/// The number of a key, which is never 0.
fn number_of(key: u64) -> PlaceId {
    PlaceId::try_from(key % NUMBERS).unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::job::State;

    fn id(n: u8) -> JobId {
        JobId::from_uuid(uuid::Uuid::from_u128(n.into()))
    }

    fn tombstone(n: u8, until: i64, number: u64) -> Tombstone {
        let until = Timestamp::from_micros(until).unwrap();
        let gone = Gone {
            uuid: id(n),
            scope: None,
            state: State::Success,
            code: 0,
            end_time: until,
            gone_time: until,
            was_deleted: false,
        };
        Tombstone { gone: Arc::new(gone), until, revision: Revision { epoch: 1, number } }
    }

    proptest! {
        /// Keys so far apart that several have one number.
        #[test]
        fn tombstones_agree_with_a_map(
            steps in proptest::collection::vec((0..20_u8, 0..3_u64, any::<bool>()), 1..200),
        ) {
            let mut tombstones = Tombstones::default();
            let mut model: HashMap<u8, (u64, i64, u64)> = HashMap::new();
            let mut key = 1;
            for ((n, leap, is_put), until) in steps.into_iter().zip(0..) {
                key += 1 + leap * (NUMBERS - 1);
                if is_put {
                    // Some steps share a commit.
                    let number = u64::try_from(until / 7).unwrap();
                    tombstones.put(key, tombstone(n, until, number));
                    model.insert(n, (key, until, number));
                } else {
                    tombstones.remove(id(n));
                    model.remove(&n);
                }
            }
            prop_assert_eq!(tombstones.len(), model.len());
            for n in 0..20 {
                let expected = model.get(&n).map(|(key, ..)| *key);
                prop_assert_eq!(tombstones.record(id(n)).map(|(key, _)| key), expected);
            }
            let mut expected: Vec<_> =
                model.iter().map(|(n, (key, until, _))| (*until, *key, id(*n))).collect();
            expected.sort_unstable();
            let due = tombstones.due(Timestamp::MAX, 1_000);
            let expected = expected.into_iter().map(|(_, key, id)| (key, id));
            prop_assert_eq!(due.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            let mut told: Vec<_> = model
                .iter()
                .map(|(n, (.., number))| (Revision { epoch: 1, number: *number }, id(*n)))
                .collect();
            told.sort_unstable();
            prop_assert_eq!(tombstones.by_revision.len(),
                told.chunk_by(|left, right| left.0 == right.0).count());
            for place in told.iter().copied().chain([(Revision::default(), id(0))]) {
                let after = tombstones.after(place).map(|it| (it.revision, it.gone.uuid));
                let expected = told.iter().copied().filter(|it| *it > place);
                prop_assert_eq!(after.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            }
        }
    }
}
