//! Which job a repeated creation finds.

use std::collections::HashMap;

use crate::job::{Job, JobId, Scope};
use crate::timestamp::Timestamp;

/// An idempotency key, which is one within a scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    scope: Option<Scope>,
    key: String,
}

impl Key {
    /// The key of this job, if it has one.
    pub(crate) fn of(job: &Job) -> Option<Key> {
        Key::new(job.scope.as_ref(), job.idempotency_key.as_deref())
    }

    /// A key in this scope; without a name and an id that is none.
    pub(crate) fn new(scope: Option<&Scope>, key: Option<&str>) -> Option<Key> {
        key.map(|key| {
            let scope = scope.filter(|scope| **scope != Scope::default()).cloned();
            Key { scope, key: key.to_owned() }
        })
    }
}

/// The job of every key, expired ones that still wait to be swept included.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<Key, Keyed>);

#[derive(Debug)]
struct Keyed {
    job: JobId,
    /// The end of time of a job that has no end yet.
    expire_time: Timestamp,
}

impl Keys {
    /// Takes note of how a job stood before a change, and how it stands after it.
    pub(super) fn changed(&mut self, before: Option<&Job>, after: Option<&Job>) {
        let has_key = |job: &Option<&Job>| job.is_some_and(|job| job.idempotency_key.is_some());
        if !has_key(&before) && !has_key(&after) {
            return;
        }
        if let Some(job) = before
            && let Some(key) = Key::of(job)
            && self.get(&key) == Some(job.uuid)
        {
            self.0.remove(&key);
        }
        if let Some(job) = after
            && let Some(key) = Key::of(job)
        {
            let expire_time = job.expire_time().unwrap_or(Timestamp::MAX);
            // At opening both may be there: who has the key now, and who had it and has expired.
            if self.0.get(&key).is_none_or(|other| other.expire_time <= expire_time) {
                self.0.insert(key, Keyed { job: job.uuid, expire_time });
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<JobId> {
        self.0.get(key).map(|keyed| keyed.job)
    }
}
