//! Where each job is: a hash table from uuid to the number of a place.
//!
//! It holds no uuids, which the places themselves have, but 32 bits of each one's hash: eight bytes
//! an entry, and about eleven with the free slots. It is split into shards, so that none ever grows
//! for longer than some tens of microseconds.

// Slots are found modulo their number, shards by as many bits as there are.
#![allow(clippy::indexing_slicing)]

use std::hash::BuildHasher;

use super::hash::FastState;
use crate::job::JobId;

/// The number of a place; never 0.
pub(crate) type PlaceId = u32;

const SHARD_BITS: u32 = 10;

/// A hash table from uuid to place.
#[derive(Debug)]
pub(crate) struct Uuids {
    hasher: FastState,
    shards: Box<[Shard]>,
    /// Of all shards: they are asked for with each new job.
    slots: usize,
}

/// Linear probing; an entry stands at or behind the slot that its tag names.
#[derive(Debug, Clone, Default)]
struct Shard {
    /// Tag and place; 0 is free.
    slots: Box<[u64]>,
    used: usize,
}

impl Default for Uuids {
    fn default() -> Self {
        let shards = vec![Shard::default(); 1 << SHARD_BITS].into();
        Uuids { hasher: FastState::default(), shards, slots: 0 }
    }
}

impl Uuids {
    /// The place that holds this uuid: of those that may, the one that `is_it` agrees to.
    pub(crate) fn find(&self, id: JobId, is_it: impl FnMut(PlaceId) -> bool) -> Option<PlaceId> {
        let (shard, tag) = self.split(id);
        self.shards[shard].find(tag, is_it)
    }

    /// Notes where a uuid is that was not there before.
    pub(crate) fn insert(&mut self, id: JobId, place: PlaceId) {
        let (shard, tag) = self.split(id);
        let shard = &mut self.shards[shard];
        let before = shard.slots.len();
        shard.insert(tag, place);
        self.slots += shard.slots.len() - before;
    }

    /// Makes room for so many uuids more, that are spread over the shards as any are.
    pub(crate) fn reserve(&mut self, uuids: usize) {
        let each = uuids / self.shards.len();
        for shard in &mut self.shards {
            // A little more than on average, which most shards need not grow beyond.
            let slots = (shard.used + each + each / 16) * 5 / 4;
            if slots > shard.slots.len() && each > 0 {
                self.slots += slots - shard.slots.len();
                shard.resize(slots);
            }
        }
    }

    /// Notes that a uuid has moved.
    pub(crate) fn replace(&mut self, id: JobId, from: PlaceId, to: PlaceId) {
        let (shard, tag) = self.split(id);
        // Two uuids of one tag and one place are as good as one another here.
        if let Some(slot) = self.shards[shard].slot_of(tag, from) {
            self.shards[shard].slots[slot] = entry(tag, to);
        }
    }

    /// Forgets a uuid.
    pub(crate) fn remove(&mut self, id: JobId, place: PlaceId) {
        let (shard, tag) = self.split(id);
        let shard = &mut self.shards[shard];
        let before = shard.slots.len();
        shard.remove(tag, place);
        self.slots -= before - shard.slots.len();
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.slots * size_of::<u64>() + self.shards.len() * size_of::<Shard>()
    }

    #[allow(clippy::cast_possible_truncation)] // Some bits for the one, others for the other.
    fn split(&self, id: JobId) -> (usize, u32) {
        let hash = self.hasher.hash_one(id.as_bytes());
        ((hash >> (64 - SHARD_BITS)) as usize, hash as u32)
    }
}

fn entry(tag: u32, place: PlaceId) -> u64 {
    u64::from(tag) << 32 | u64::from(place)
}

#[allow(clippy::cast_possible_truncation)] // The halves of an entry.
fn parts(entry: u64) -> (u32, PlaceId) {
    ((entry >> 32) as u32, entry as PlaceId)
}

impl Shard {
    fn home(&self, tag: u32) -> usize {
        // A slot in proportion to the tag; less than their number since the tag is less than 2^32.
        usize::try_from((u64::from(tag) * self.slots.len() as u64) >> 32).unwrap_or(0)
    }

    fn next(&self, slot: usize) -> usize {
        if slot + 1 == self.slots.len() { 0 } else { slot + 1 }
    }

    fn find(&self, tag: u32, mut is_it: impl FnMut(PlaceId) -> bool) -> Option<PlaceId> {
        if self.slots.is_empty() {
            return None;
        }
        let mut slot = self.home(tag);
        // At least one slot is free.
        while self.slots[slot] != 0 {
            let (own, place) = parts(self.slots[slot]);
            if own == tag && is_it(place) {
                return Some(place);
            }
            slot = self.next(slot);
        }
        None
    }

    fn slot_of(&self, tag: u32, place: PlaceId) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut slot = self.home(tag);
        while self.slots[slot] != 0 {
            if self.slots[slot] == entry(tag, place) {
                return Some(slot);
            }
            slot = self.next(slot);
        }
        None
    }

    fn insert(&mut self, tag: u32, place: PlaceId) {
        // At most four fifths are used, so that a search stays short and finds a free slot.
        if (self.used + 1) * 5 > self.slots.len() * 4 {
            let larger = (self.slots.len() * 5 / 4).max(8);
            self.resize(larger);
        }
        let mut slot = self.home(tag);
        while self.slots[slot] != 0 {
            slot = self.next(slot);
        }
        self.slots[slot] = entry(tag, place);
        self.used += 1;
    }

    fn resize(&mut self, slots: usize) {
        let before = std::mem::replace(&mut self.slots, vec![0; slots].into());
        for entry in before.into_iter().filter(|entry| *entry != 0) {
            let mut slot = self.home(parts(entry).0);
            while self.slots[slot] != 0 {
                slot = self.next(slot);
            }
            self.slots[slot] = entry;
        }
    }

    fn remove(&mut self, tag: u32, place: PlaceId) {
        let Some(mut free) = self.slot_of(tag, place) else { return };
        self.used -= 1;
        // Entries behind it that were pushed off their own slots move up, so that no search ends
        // at the gap.
        let mut slot = self.next(free);
        while self.slots[slot] != 0 {
            let home = self.home(parts(self.slots[slot]).0);
            let stays =
                if free < slot { free < home && home <= slot } else { free < home || home <= slot };
            if !stays {
                self.slots[free] = self.slots[slot];
                free = slot;
            }
            slot = self.next(slot);
        }
        self.slots[free] = 0;
        if self.used * 4 < self.slots.len() && self.slots.len() > 64 {
            let smaller = self.slots.len() / 2;
            self.resize(smaller);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn id(n: u16) -> JobId {
        JobId::from_uuid(uuid::Uuid::from_u128(u128::from(n)))
    }

    proptest! {
        /// One shard with few tags, so that entries collide, wrap and share tags.
        #[test]
        fn a_shard_agrees_with_a_list(
            steps in proptest::collection::vec((any::<bool>(), 0..9_u32, 1..40_u32), 0..400),
        ) {
            let mut shard = Shard::default();
            let mut list: Vec<(u32, PlaceId)> = Vec::new();
            for (is_insert, tag, place) in steps {
                // Tags at the end of the range are at home in the last slot, and wrap.
                let tag = if tag < 6 { u32::MAX - tag } else { tag << 28 };
                let at = list.iter().position(|own| *own == (tag, place));
                if is_insert {
                    shard.insert(tag, place);
                    list.push((tag, place));
                } else {
                    shard.remove(tag, place);
                    at.map(|at| list.swap_remove(at));
                }
                prop_assert_eq!(shard.used, list.len());
                for own in &list {
                    prop_assert!(shard.find(own.0, |place| place == own.1).is_some());
                }
                let mut places = Vec::new();
                shard.find(tag, |place| { places.push(place); false });
                let mut expected: Vec<_> =
                    list.iter().filter(|own| own.0 == tag).map(|own| own.1).collect();
                places.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(places, expected);
            }
        }

        #[test]
        fn ids_are_found_where_they_were_put(
            steps in proptest::collection::vec((any::<u16>(), 0..4_u32), 0..2_000),
        ) {
            let mut uuids = Uuids::default();
            let mut model: HashMap<u16, PlaceId> = HashMap::new();
            for (n, place) in steps {
                let n = n % 700;
                match (model.get(&n).copied(), place) {
                    (Some(before), 0) => {
                        uuids.remove(id(n), before);
                        model.remove(&n);
                    }
                    (Some(before), place) => {
                        uuids.replace(id(n), before, place);
                        model.insert(n, place);
                    }
                    (None, 0) => {}
                    (None, place) => {
                        uuids.insert(id(n), place);
                        model.insert(n, place);
                    }
                }
            }
            for n in 0..700 {
                let expected = model.get(&n).copied();
                let found = uuids.find(id(n), |place| Some(place) == expected);
                prop_assert_eq!(found, expected);
            }
            let slots: usize = uuids.shards.iter().map(|shard| shard.slots.len()).sum();
            prop_assert_eq!(uuids.slots, slots);
        }
    }
}
