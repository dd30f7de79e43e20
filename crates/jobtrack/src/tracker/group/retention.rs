//! How long jobs stay, as it is settled within a commit.

use std::time::Duration;

use super::{Group, Touched, Version};
use crate::error::Result;
use crate::job::{Job, JobId};
use crate::lifecycle;
use crate::store::{Space, Stay, Write, encode_stay, stay_key};

impl Group<'_> {
    /// How long a new job of this kind stays, as far as that is known before its end.
    pub(super) fn retention_of(&self, kind: &str) -> Duration {
        let ruled = lifecycle::retention_of_kind(&self.options.retention_rules, kind);
        ruled.unwrap_or(self.options.retention)
    }

    /// Settles how long a job stays that ends with this change.
    pub(super) fn settle_stay(&self, before: Option<&Version>, job: &mut Job) {
        let was_live = before
            .and_then(|version| self.known(version))
            .is_some_and(|before| !before.state().is_terminal());
        if was_live && job.state().is_terminal() {
            lifecycle::settle_stay(job, &self.options.retention_rules);
        }
    }

    /// What the store has of how a job was told to stay, before this group; `earlier` is the job as
    /// it was found.
    pub(super) fn stay_before(&self, id: JobId, earlier: Option<&Job>) -> Option<Box<Stay>> {
        if !self.keeps_records {
            return None;
        }
        match self.plan.touched.get(&id) {
            Some(touched) => touched.stay.clone(),
            None => earlier.and_then(Stay::of).map(Box::new),
        }
    }
}

impl Touched {
    /// The write of the record of how the job was told to stay, where that changes.
    pub(super) fn write_of_stay(&self, now: Option<&Job>) -> Result<Option<Write>> {
        let now = now.and_then(Stay::of);
        if now.as_ref() == self.stay.as_deref() {
            return Ok(None);
        }
        let value = now.as_ref().map(encode_stay).transpose()?;
        Ok(Some(Write { space: Space::Meta, key: stay_key(self.key), value }))
    }
}
