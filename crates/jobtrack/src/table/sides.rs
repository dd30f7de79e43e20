//! What the table keeps beside its rows, told of each change: by what jobs are found without a query.

use super::families::Families;
use super::keys::Keys;
use super::timers::Timers;
use crate::field::Field;
use crate::job::Job;

/// The structures beside the rows.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    pub(crate) timers: Timers,
    pub(crate) keys: Keys,
    pub(crate) families: Families,
}

impl Sides {
    /// Whether a job with these fields set is anything to what is kept here. Any other is only if it is
    /// itself a parent.
    pub(crate) fn concern(is_set: impl Fn(&Field) -> bool) -> bool {
        Sides::CONCERNED.iter().any(is_set)
    }

    /// The fields of which one is set in every job that is anything to what is kept here.
    pub(super) const CONCERNED: &[Field] =
        &[Field::LeaseToken, Field::Deadline, Field::IdempotencyKey, Field::Parent];

    /// Takes note of how a job stood before a change (None: it was not there), and how it stands
    /// after it.
    pub(super) fn changed(&mut self, before: Option<&Job>, after: Option<&Job>) {
        self.timers.changed(before, after);
        self.keys.changed(before, after);
        self.families.changed(before, after);
    }
}
