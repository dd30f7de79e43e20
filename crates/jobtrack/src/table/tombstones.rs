//! What stays of a job for a while after it is gone.

use std::collections::{BTreeSet, HashMap};

use crate::job::JobId;
use crate::store::Tombstone;
use crate::timestamp::Timestamp;

/// The tombstones that are kept, by uuid and by the time up to which they are.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    by_id: HashMap<JobId, (u64, Tombstone)>,
    by_time: BTreeSet<(Timestamp, JobId)>,
}

impl Tombstones {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The tombstone of this job, unless its time is up.
    pub(crate) fn get(&self, id: JobId, horizon: Timestamp) -> Option<&Tombstone> {
        let (_, tombstone) = self.by_id.get(&id)?;
        (tombstone.until > horizon).then_some(tombstone)
    }

    /// The key of the tombstone's record, whether its time is up or not.
    pub(crate) fn key(&self, id: JobId) -> Option<u64> {
        self.by_id.get(&id).map(|(key, _)| *key)
    }

    pub(crate) fn put(&mut self, key: u64, tombstone: Tombstone) {
        let (id, until) = (tombstone.uuid, tombstone.until);
        if let Some((_, before)) = self.by_id.insert(id, (key, tombstone)) {
            self.by_time.remove(&(before.until, id));
        }
        self.by_time.insert((until, id));
    }

    pub(crate) fn remove(&mut self, id: JobId) {
        if let Some((_, before)) = self.by_id.remove(&id) {
            self.by_time.remove(&(before.until, id));
        }
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
            .filter_map(|(_, (_, id))| self.by_id.get(id).map(|(key, _)| (*key, *id)))
    }
}
