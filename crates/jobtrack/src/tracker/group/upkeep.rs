//! What a commit does that nobody asked for: lost workers, deadlines, and children that follow.

use super::{Group, Place};
use crate::job::Job;
use crate::lifecycle;
use crate::store::Durability;

impl Group<'_> {
    /// Lets up to `budget` children follow their parents' changes.
    pub(super) fn follow(&mut self, budget: usize) {
        let table = self.table;
        let mut left = budget;
        for (parent, after) in table.sides.families.unsettled() {
            let job = self.version(parent).and_then(|version| self.job_of(&version));
            let mut up_to = None;
            for child in table.sides.families.children(parent, after) {
                if left == 0 {
                    self.plan.looked_at.extend(up_to.map(|child| (parent, Some(child))));
                    return;
                }
                left -= 1;
                up_to = Some(child);
                let Ok((child, place)) = self.find(child) else { continue };
                let bytes = self.options.limits.message;
                if let Some(next) = lifecycle::follow(&child, job.as_deref(), bytes, self.now) {
                    self.plan.followed += 1;
                    // As with what lapses.
                    self.durability = Durability::Synced;
                    let made = self.make(place, next);
                    self.note_follow(&made, &child);
                }
            }
            self.plan.looked_at.push((parent, None));
        }
    }

    /// Does to a job whose lease or deadline has run out what its kind's policy says.
    pub(super) fn lapse(&mut self, job: &Job, place: Place) {
        let (leases, limits) = (&self.options.leases, &self.options.limits);
        let next = lifecycle::lapse(job, leases, limits, self.now);
        self.plan.lapsed += 1;
        // Nobody asked for it, so nobody said that a crash may undo it.
        self.durability = Durability::Synced;
        let made = self.make(place, next);
        self.note_lapse(&made, job);
    }
}
