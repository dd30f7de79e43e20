//! Who is whose child: kept beside the rows, and right at every revision.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use crate::job::{Job, JobId};
use crate::lifecycle::{Children, concerns_children};

/// The children of every job that has some, and the parents whose change their children have not
/// followed yet.
#[derive(Debug, Default)]
pub(crate) struct Families {
    families: HashMap<JobId, Family>,
    /// The next child to look at.
    unsettled: BTreeMap<JobId, Option<JobId>>,
}

#[derive(Debug, Default)]
struct Family {
    members: BTreeSet<JobId>,
    counts: Children,
}

impl Families {
    /// Takes note of how a job stood before a change, and how it stands after it.
    pub(super) fn changed(&mut self, before: Option<&Job>, after: Option<&Job>) {
        let Some(job) = after.or(before) else { return };
        // A job's parent never changes, but another job may take the uuid of one that is gone.
        let parents = [before.and_then(|job| job.parent), after.and_then(|job| job.parent)];
        let (before_state, after_state) = (before.map(Job::state), after.map(Job::state));
        match parents {
            [None, None] => {}
            [old, new] if old == new => self.count(old, job.uuid, before_state, after_state),
            [old, new] => {
                self.count(old, job.uuid, before_state, None);
                self.count(new, job.uuid, None, after_state);
            }
        }
        if self.is_parent(job.uuid) && concerns_children(before, after) {
            self.unsettled.insert(job.uuid, None);
        }
    }

    fn count(
        &mut self,
        parent: Option<JobId>,
        child: JobId,
        before: Option<crate::job::State>,
        after: Option<crate::job::State>,
    ) {
        let Some(parent) = parent else { return };
        let family = self.families.entry(parent).or_default();
        family.counts.count(before, after);
        if after.is_some() {
            family.members.insert(child);
        } else {
            family.members.remove(&child);
            if family.members.is_empty() {
                self.families.remove(&parent);
                self.unsettled.remove(&parent);
            }
        }
    }

    /// How many children it has in each state.
    pub(crate) fn counts(&self, parent: JobId) -> Children {
        self.families.get(&parent).map(|family| family.counts).unwrap_or_default()
    }

    /// Its children, in order of uuid, after this one.
    pub(crate) fn children(
        &self,
        parent: JobId,
        after: Option<JobId>,
    ) -> impl Iterator<Item = JobId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let family = self.families.get(&parent);
        family.into_iter().flat_map(move |it| it.members.range((from, Bound::Unbounded))).copied()
    }

    /// Whether it has children.
    pub(crate) fn is_parent(&self, id: JobId) -> bool {
        !self.families.is_empty() && self.families.contains_key(&id)
    }

    /// All jobs that have children.
    pub(crate) fn parents(&self) -> impl Iterator<Item = JobId> {
        self.families.keys().copied()
    }

    /// Has the children of this job looked at.
    pub(crate) fn unsettle(&mut self, parent: JobId) {
        self.unsettled.insert(parent, None);
    }

    pub(crate) fn is_unsettled(&self, parent: JobId) -> bool {
        self.unsettled.contains_key(&parent)
    }

    /// Parents whose children have not followed yet, and the last child that was looked at.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = (JobId, Option<JobId>)> {
        self.unsettled.iter().map(|(parent, after)| (*parent, *after))
    }

    /// Notes how far the children of a parent were looked at; None is all of them.
    pub(crate) fn looked_at(&mut self, parent: JobId, up_to: Option<JobId>) {
        match up_to {
            None => drop(self.unsettled.remove(&parent)),
            Some(child) => {
                if let Some(after) = self.unsettled.get_mut(&parent) {
                    *after = Some(child);
                }
            }
        }
    }
}
