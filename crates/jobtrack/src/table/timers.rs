//! When something becomes of a job by itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::job::{Job, JobId};
use crate::lifecycle::lapses_at;
use crate::timestamp::Timestamp;

/// Jobs with a lease or a deadline, in the order in which these run out.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Timestamp, JobId)>,
    /// The jobs that are held for a term, and the token of each.
    held: BTreeMap<JobId, u64>,
}

impl Timers {
    /// Takes note of how a job stood before a change, and how it stands after it.
    pub(super) fn changed(&mut self, before: Option<&Job>, after: Option<&Job>) {
        let token = |job: &Job| {
            let lease = job.lease.as_ref().filter(|lease| lease.term.is_some());
            lease.map(|lease| (job.uuid, lease.token))
        };
        let (lost, gained) = (before.and_then(token), after.and_then(token));
        if lost != gained {
            lost.map(|(id, _)| self.held.remove(&id));
            self.held.extend(gained);
        }
        let timer = |job: &Job| lapses_at(job).map(|at| (at, job.uuid));
        let (before, after) = (before.and_then(timer), after.and_then(timer));
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&before);
        }
        self.due.extend(after);
    }

    /// The jobs that are held for a term, and the token of each.
    pub(crate) fn held(&self) -> Vec<(JobId, u64)> {
        self.held.iter().map(|(id, token)| (*id, *token)).collect()
    }

    /// The jobs whose lease or deadline has run out by now, the longest due first.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = JobId> {
        self.due.iter().take_while(move |(at, _)| *at <= now).map(|(_, id)| *id)
    }
}
