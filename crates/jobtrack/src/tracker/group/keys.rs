//! Idempotency keys, as they stand within a commit.

use std::sync::Arc;

use super::{Decided, Group};
use crate::command::NewJob;
use crate::error::{Error, ErrorKind, quoted};
use crate::job::{Job, JobId};
use crate::lifecycle;
use crate::store::Durability;
use crate::table::IdempotencyKey as Key;

impl Group<'_> {
    /// The job that has this key, if one has that has not expired.
    pub(super) fn of_key(&self, key: &Key) -> Option<Arc<Job>> {
        let id = match self.plan.keys_taken.get(key) {
            Some(taken) => (*taken)?,
            None => self.table.sides.keys.get(key)?,
        };
        self.find(id).ok().map(|(job, ..)| job)
    }

    /// Answers a creation whose key has made a job before.
    pub(super) fn repeat(&self, first: &Arc<Job>, new: &NewJob, durability: Durability) -> Decided {
        match lifecycle::differs_in(first, new) {
            Some(field) => Decided::Refused(key_taken(first, field), self.rests_on(first.uuid)),
            None => Decided::Repeat(Box::new(self.unchanged(first, durability))),
        }
    }

    /// Takes note of which key a job had, and which it has now.
    pub(super) fn take_key(&mut self, had: Option<Key>, has: Option<Key>, id: JobId) {
        if had == has {
            return;
        }
        if let Some(had) = had {
            // Another may have taken it since this one expired.
            let taken = self.plan.keys_taken.entry(had).or_insert(None);
            *taken = taken.filter(|other| *other != id);
        }
        if let Some(has) = has {
            self.plan.keys_taken.insert(has, Some(id));
        }
    }
}

/// Says which job has the key, and in which field it is another than was asked for.
pub(super) fn key_taken(first: &Job, field: &str) -> Error {
    let key = first.idempotency_key.as_deref().unwrap_or_default();
    let message = format!("{} made the job {}, whose {field} differs", quoted(key), first.uuid);
    Error::new(ErrorKind::KeyTaken, message).with_field("idempotency_key").with_job(first.uuid)
}
