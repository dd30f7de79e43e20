//! Sealing and merging: who does it, and when.
//!
//! A host that calls [`maintain`](super::Tracker::maintain) has it done beside its changes. Without, each commit does a bounded share of what has fallen behind.

use parking_lot::Mutex;

use super::Inner;
use crate::table::{Table, Work};

/// Once no more than one part in so many of the memory is left, every commit gives back a share of
/// what it can: well before new jobs are refused.
const TIGHT: usize = 4;

/// How many steps of merges each commit does then.
const TIGHT_STEPS: usize = 16;

/// How many rows of a column each commit builds, while heads wait to be sealed: some milliseconds of
/// few commits rather than a little of many.
const SEAL_CELLS: usize = 65_536;

/// What is under way among the heads and segments.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    sealing: Mutex<Option<Work>>,
    merging: Mutex<Option<Work>>,
}

impl Inner {
    /// A bounded share of what has fallen behind, for each commit.
    pub(super) fn tidy_a_share(&self) {
        let (seals, seals_far, merges, is_tight) = {
            let table = &self.view.read().table;
            let limit = self.options.limits.memory;
            let is_tight = table.bytes() > limit - limit / TIGHT;
            (table.seals_behind(), table.seals_far_behind(), table.merges_behind(), is_tight)
        };
        if seals_far {
            while self.view.read().table.seals_far_behind() && self.seal() {}
        } else if let Some(mut sealing) = self.upkeep.sealing.try_lock() {
            self.seal_a_share(&mut sealing, seals);
        }
        if merges && let Some(mut merging) = self.upkeep.merging.try_lock() {
            self.merge_a_step(&mut merging);
        }
        // Dead rows are what can be given back.
        if is_tight && let Some(mut merging) = self.upkeep.merging.try_lock() {
            (0..TIGHT_STEPS).all(|_| self.merge_a_step(&mut merging));
        }
    }

    /// Whether so much has fallen behind that commits must do a share of it.
    pub(super) fn is_untidy(&self) -> bool {
        let table = &self.view.read().table;
        table.seals_behind() || table.merges_behind()
    }

    /// Seals what waits, and carries out one merge. Returns whether more is to be done.
    pub(super) fn tidy(&self) -> bool {
        let mut sealed = false;
        while self.seal() {
            sealed = true;
        }
        let mut merging = self.upkeep.merging.lock();
        let mut merged = false;
        while self.merge_a_step(&mut merging) {
            merged = true;
            if merging.is_none() {
                break;
            }
        }
        drop(merging);
        if !sealed && !merged {
            // Nothing is urgent, so what changed last is made as quick to search as the rest.
            self.view.write().table.rest();
            return self.seal();
        }
        let table = &self.view.read().table;
        table.next_seal().is_some() || table.next_merge().is_some()
    }

    /// Seals the heads that wait, and says whether any did.
    fn seal(&self) -> bool {
        let mut sealing = self.upkeep.sealing.lock();
        let Some(work) = sealing.take().or_else(|| self.view.read().table.next_seal()) else {
            return false;
        };
        self.finish(work);
        true
    }

    /// Goes on with the sealing that is under way; begins one only if told so.
    fn seal_a_share(&self, sealing: &mut Option<Work>, begins: bool) {
        if sealing.is_none() && begins {
            *sealing = self.view.read().table.next_seal();
        }
        let Some(work) = sealing else { return };
        let steps = 1 + SEAL_CELLS / work.rows().max(1);
        if (0..steps).any(|_| work.step()) {
            sealing.take().into_iter().for_each(|work| self.finish(work));
        }
    }

    /// Does a part of a merge, and says whether there was one to do.
    fn merge_a_step(&self, merging: &mut Option<Work>) -> bool {
        if merging.is_none() {
            *merging = self.view.read().table.next_merge();
        }
        let Some(work) = merging else { return false };
        if work.step() {
            merging.take().into_iter().for_each(|work| self.finish(work));
        }
        true
    }

    fn finish(&self, mut work: Work) {
        while !work.step() {}
        // What is let go is large, and is freed only when the lock is.
        let retired = {
            let mut view = self.view.write();
            Table::publish(&mut view.table, work)
        };
        drop(retired);
    }
}
