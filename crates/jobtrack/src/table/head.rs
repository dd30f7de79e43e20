//! The latest versions of jobs, as rows.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::rows::{Row, Rows, job_bytes};
use super::uuids::PlaceId;
use crate::job::JobId;
use crate::timestamp::Timestamp;

/// What a row in the head takes beside its job, by estimate.
const ROW_BYTES: usize = size_of::<(JobId, Row)>() + 2 * size_of::<(Timestamp, JobId)>();

/// Some hundred jobs that have changed lately.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) id: PlaceId,
    pub(crate) rows: Arc<Rows>,
    pub(crate) expiries: BTreeSet<(Timestamp, JobId)>,
    job_bytes: usize,
}

impl Head {
    /// An empty one.
    pub(crate) fn new(id: PlaceId) -> Head {
        Head { id, rows: Arc::default(), expiries: BTreeSet::new(), job_bytes: 0 }
    }

    /// Puts a job in that is not in it.
    pub(crate) fn put(&mut self, row: Row) {
        if let Some(expire_time) = row.job.expire_time() {
            self.expiries.insert((expire_time, row.job.uuid));
        }
        self.job_bytes += job_bytes(&row.job);
        Arc::make_mut(&mut self.rows).put(row);
    }

    /// Takes a job out.
    pub(crate) fn remove(&mut self, id: JobId) -> Option<Row> {
        let row = Arc::make_mut(&mut self.rows).remove(id)?;
        self.job_bytes -= job_bytes(&row.job);
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

    /// Bytes that it takes: of its jobs exactly, of what is around them by estimate.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.len() * ROW_BYTES + self.job_bytes
    }
}
