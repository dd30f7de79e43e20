//! Parents and children, as they stand within a commit.

use super::super::archiving::Removals;
use super::{Group, Place, Touched, not_found};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Job, JobId, State, Tenant};
use crate::lifecycle::{self, Children};
use crate::limits::{COMMIT_COMMANDS, FAMILY_CHILDREN, FAMILY_DEPTH};
use crate::store::Durability;

impl Group<'_> {
    /// Checks that a new job can have this parent.
    pub(super) fn check_family(
        &self,
        tenant: Option<&Tenant>,
        parent: Option<JobId>,
        check: impl FnOnce(&Job) -> Result<()>,
    ) -> Result<()> {
        let Some(parent) = parent else { return Ok(()) };
        if self.is_anothers(tenant, parent) {
            return Err(not_found(parent).with_field("parent"));
        }
        let (job, ..) = self.find(parent).map_err(|error| error.with_field("parent"))?;
        check(&job)?;
        let too_many = |message: String| {
            Err(Error::new(ErrorKind::LimitExceeded, message).with_field("parent").with_job(parent))
        };
        if self.children(parent).total() >= FAMILY_CHILDREN {
            let message = format!("job {parent} has {FAMILY_CHILDREN} children, which is the most");
            return too_many(message);
        }
        let mut above = job.parent;
        // The parent and the new job are two generations.
        for _ in 2..FAMILY_DEPTH {
            let Some(id) = above else { return Ok(()) };
            above = self.find(id).ok().and_then(|(job, ..)| job.parent);
        }
        match above {
            None => Ok(()),
            Some(_) => too_many(format!("a family has at most {FAMILY_DEPTH} generations")),
        }
    }

    /// How many children the job has by now.
    pub(super) fn children(&self, id: JobId) -> Children {
        let known = self.plan.children.get(&id).copied();
        known.unwrap_or_else(|| self.table.sides.families.counts(id))
    }

    /// Takes note of a child that has come, has gone, or is in another state.
    pub(super) fn count_child(
        &mut self,
        parent: Option<JobId>,
        before: Option<State>,
        after: Option<State>,
    ) {
        if let Some(parent) = parent {
            let mut children = self.children(parent);
            children.count(before, after);
            self.plan.children.insert(parent, children);
        }
    }

    /// Takes out the children of a job that is gone, if nobody sees any of them any more either: they
    /// may have ended within this very commit. An error if nothing but the archive keeps them.
    pub(super) fn bury_expired_children(&mut self, parent: JobId) -> Result<()> {
        let has_none = self.children(parent).total() == 0;
        if has_none || self.find(parent).is_ok() {
            return Ok(());
        }
        let table = self.table;
        for id in table.sides.families.children(parent, None).take(COMMIT_COMMANDS) {
            let Some(job) = self.version(id).and_then(|version| self.job_of(&version)) else {
                continue;
            };
            if !job.is_expired(self.now.engine) || self.is_unsettled(id) {
                return Ok(());
            }
            if matches!(self.removals, Removals::None(_)) {
                continue;
            }
            let of_group = self.plan.touched.get(&id).map(Touched::place);
            let Some(place) = of_group.or_else(|| table.row(id).map(Place::of)) else { continue };
            // That it is gone for good is a part of the answer.
            self.durability = Durability::Synced;
            self.plan.swept_until = self.plan.swept_until.max(job.expire_time());
            self.plan.swept += 1;
            self.bury(&job, place, false);
        }
        match &self.removals {
            Removals::None(error) => Err(error.clone()),
            Removals::All | Removals::Asked => Ok(()),
        }
    }

    /// Whether the job's children have not followed yet what became of it.
    pub(super) fn is_unsettled(&self, id: JobId) -> bool {
        if self.children(id).total() == 0 {
            return false;
        }
        let families = &self.table.sides.families;
        let now = self.version(id).and_then(|version| self.job_of(&version));
        let before = self.table.row(id).map(|row| row.job);
        let may_be = families.is_unsettled(id)
            || lifecycle::concerns_children(before.as_deref(), now.as_deref());
        // Those that the group itself has added stand in no table yet.
        let added = self.plan.made.iter().filter(|job| job.parent == Some(id)).map(|job| job.uuid);
        let mut children = families.children(id, None).chain(added);
        may_be
            && children.any(|child| {
                let Ok((child, ..)) = self.find(child) else { return false };
                lifecycle::follow(&child, now.as_deref(), 0, self.now).is_some()
            })
    }
}
