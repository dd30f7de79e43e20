//! The latest versions of jobs, as rows.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::rows::{InRows, Row, Rows};
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
    /// Whether its rows are on their way into a segment: then none is replaced here any more.
    is_sealed: AtomicBool,
}

impl Head {
    /// An empty one.
    pub(crate) fn new(id: PlaceId) -> Head {
        Head {
            id,
            rows: Arc::default(),
            expiries: BTreeSet::new(),
            is_sealed: AtomicBool::new(false),
        }
    }

    /// The rows as they are now, of which a segment is to be made.
    pub(crate) fn begin_seal(&self) -> Arc<Rows> {
        // Whoever changes the table has it alone, so no order with anything else is needed.
        self.is_sealed.store(true, Ordering::Relaxed);
        Arc::clone(&self.rows)
    }

    /// Whether rows may still be replaced in it.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_sealed.load(Ordering::Relaxed)
    }

    /// Puts a job in that is not in it.
    pub(crate) fn put(&mut self, row: Row) {
        if let Some(expire_time) = row.job.expire_time() {
            self.expiries.insert((expire_time, row.job.uuid));
        }
        Arc::make_mut(&mut self.rows).put(row);
    }

    /// Puts a job in place of the one of its uuid, which is here.
    pub(crate) fn replace(&mut self, place: InRows, row: Row) -> Option<Row> {
        let (id, after) = (row.job.uuid, row.job.expire_time());
        let before = Arc::make_mut(&mut self.rows).replace(place, row)?;
        let expiry = before.job.expire_time();
        if expiry != after {
            expiry.map(|time| self.expiries.remove(&(time, id)));
            self.expiries.extend(after.map(|time| (time, id)));
        }
        Some(before)
    }

    /// Takes out the job that is here.
    pub(crate) fn remove(&mut self, place: InRows) -> Option<Row> {
        let row = Arc::make_mut(&mut self.rows).remove(place)?;
        if let Some(expire_time) = row.job.expire_time() {
            self.expiries.remove(&(expire_time, row.job.uuid));
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
        self.rows.len() * ROW_BYTES + self.rows.job_bytes()
    }
}
