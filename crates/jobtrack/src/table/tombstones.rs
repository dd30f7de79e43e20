//! What stays of a job for a while after it is gone.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use crate::job::{JobId, Revision};
use crate::store::Tombstone;
use crate::timestamp::Timestamp;

/// The tombstones that are kept: by uuid, by the time up to which they are, and by the commit that
/// wrote them.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    by_id: HashMap<JobId, (u64, Tombstone)>,
    by_time: BTreeSet<(Timestamp, JobId)>,
    by_revision: BTreeSet<(Revision, JobId)>,
    /// The latest revision among those that are not kept any more: what went after it is known in
    /// full.
    forgotten: Revision,
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

    /// Key and revision of the tombstone's record, whether its time is up or not.
    pub(crate) fn record(&self, id: JobId) -> Option<(u64, Revision)> {
        self.by_id.get(&id).map(|(key, tombstone)| (*key, tombstone.revision))
    }

    pub(crate) fn put(&mut self, key: u64, tombstone: Tombstone) {
        let (id, until, revision) = (tombstone.gone.uuid, tombstone.until, tombstone.revision);
        self.remove(id);
        self.by_id.insert(id, (key, tombstone));
        self.by_time.insert((until, id));
        self.by_revision.insert((revision, id));
    }

    pub(crate) fn remove(&mut self, id: JobId) {
        if let Some((_, before)) = self.by_id.remove(&id) {
            self.by_time.remove(&(before.until, id));
            self.by_revision.remove(&(before.revision, id));
            self.forget(before.revision);
        }
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
        self.by_revision
            .range((Bound::Excluded(place), Bound::Unbounded))
            .filter_map(|(_, id)| self.by_id.get(id).map(|(_, tombstone)| tombstone))
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
