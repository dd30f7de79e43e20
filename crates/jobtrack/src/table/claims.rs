//! What opening learns of jobs once all of them are in the table: how often each was claimed, how
//! it was told to stay, and which have a lease. The store keeps that beside them, and tells it last.

use std::sync::Arc;

use super::{Row, Table};
use crate::field::Field;
use crate::job::{Job, JobId, Retention};
use crate::store::Stay;

impl Table {
    /// Sets how often jobs were claimed, and lost: `of` knows that by the key of a job's record and
    /// its uuid. For opening alone, while no snapshot is held.
    pub(crate) fn set_claims(&mut self, of: &dyn Fn(u64, JobId) -> Option<(u32, u32)>) {
        for part in Arc::make_mut(&mut self.parts) {
            part.set_claims(of);
        }
        let rows = self.heads.iter().flat_map(|head| head.rows.after(None));
        let claimed = rows.filter_map(|row| {
            let (claims, losses) = of(row.key, row.job.uuid)?;
            let job = Arc::new(Job { claims, losses, ..Job::clone(&row.job) });
            Some(Row { job, ..row.clone() })
        });
        for row in claimed.collect::<Vec<_>>() {
            self.put(row);
        }
        self.renumber();
    }

    /// Sets how jobs were told to stay; as [`set_claims`](Table::set_claims).
    pub(crate) fn set_stays<'s>(&mut self, of: &dyn Fn(u64, JobId) -> Option<&'s Stay>) {
        for part in Arc::make_mut(&mut self.parts) {
            part.set_stays(of);
        }
        let rows = self.heads.iter().flat_map(|head| head.rows.after(None));
        let told = rows.filter_map(|row| {
            let stay = of(row.key, row.job.uuid)?;
            let retention = Retention { told: stay.told, ..row.job.retention };
            let held = stay.held.clone().map(Box::new);
            let job = Arc::new(Job { retention, held, ..Job::clone(&row.job) });
            Some(Row { job, ..row.clone() })
        });
        for row in told.collect::<Vec<_>>() {
            self.put(row);
        }
        self.renumber();
    }

    /// The jobs that have a lease.
    pub(crate) fn leased(&self) -> Vec<JobId> {
        let rows = self.heads.iter().flat_map(|head| head.rows.after(None));
        let leased = rows.filter(|row| row.job.lease.is_some()).map(|row| row.job.uuid);
        let of_parts = self.parts.iter().flat_map(|part| {
            let has_any = part.segment.has_any(&Field::LeaseToken);
            let rows = has_any.then(|| part.living_from(0)).into_iter().flatten();
            rows.filter(|row| part.segment.is_set(&Field::LeaseToken, *row))
                .map(|row| part.segment.uuid(row))
        });
        leased.chain(of_parts).collect()
    }
}
