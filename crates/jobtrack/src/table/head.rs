//! The latest versions of jobs, as rows.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::rows::{Row, Rows};
use super::uuids::PlaceId;
use crate::job::{Job, JobId};
use crate::timestamp::Timestamp;

/// What a row in the head takes beside its job, and what a job's texts take, by estimate: exact
/// accounting would cost more than the few rows that a head has.
const ROW_BYTES: usize = 256;

/// Some hundred jobs that have changed lately.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) id: PlaceId,
    pub(crate) rows: Arc<Rows>,
    pub(crate) expiries: BTreeSet<(Timestamp, JobId)>,
}

impl Head {
    /// An empty one.
    pub(crate) fn new(id: PlaceId) -> Head {
        Head { id, rows: Arc::default(), expiries: BTreeSet::new() }
    }

    /// Puts a job in that is not in it.
    pub(crate) fn put(&mut self, row: Row) {
        if let Some(expire_time) = row.job.expire_time() {
            self.expiries.insert((expire_time, row.job.uuid));
        }
        Arc::make_mut(&mut self.rows).put(row);
    }

    /// Takes a job out.
    pub(crate) fn remove(&mut self, id: JobId) -> Option<Row> {
        let row = Arc::make_mut(&mut self.rows).remove(id)?;
        if let Some(expire_time) = row.job.expire_time() {
            self.expiries.remove(&(expire_time, id));
        }
        Some(row)
    }

    /// The jobs that expire after one time (or at any) and not after the other, soonest first.
    pub(crate) fn expiring(
        &self,
        after: Option<Timestamp>,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, JobId)> + '_ {
        let top = JobId::from_uuid(uuid::Uuid::max());
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded((after, top)));
        // `BTreeSet::range` panics on an inverted range, and on one that excludes both its ends.
        let until = after.map_or(until, |after| until.max(after));
        self.expiries.range((from, Bound::Included((until, top)))).copied()
    }

    /// Bytes that it takes, by estimate.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.len() * (size_of::<Job>() + ROW_BYTES)
    }
}
