//! Jobs that were made of rows lately, so that who asks again need not wait for it again: clients ask
//! for the same pages and the same jobs over and over while they wait.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::codes::RowId;
use super::uuids::PlaceId;
use crate::job::Job;

/// How many are kept at most: some three megabytes of jobs.
const KEPT: usize = 4_096;

/// Jobs that were made of rows lately. Rows never change, so what is kept never becomes wrong.
///
/// A job is kept when it is asked for a second time. Those that are asked for once, here and there among
/// millions, would only take the place of others; and each would drop one that has long left the
/// processor's caches, which costs about as much again as making it.
pub(crate) struct Records(Box<[Mutex<Slot>]>);

/// Where one job is kept.
#[derive(Default)]
struct Slot {
    /// The row that was asked for last and not kept.
    asked: (PlaceId, RowId),
    kept: Option<Record>,
}

/// A row, and the job that was made of it.
struct Record {
    part: PlaceId,
    row: RowId,
    job: Arc<Job>,
}

impl Default for Records {
    fn default() -> Self {
        Records((0..KEPT).map(|_| Mutex::default()).collect())
    }
}

impl Records {
    /// The job of this row of this segment, made anew if it is not kept.
    pub(crate) fn job(&self, part: PlaceId, row: RowId, make: impl FnOnce() -> Job) -> Arc<Job> {
        let Some(slot) = self.0.get(slot(part, row)) else { return Arc::new(make()) };
        {
            let mut slot = slot.lock();
            match &slot.kept {
                Some(record) if (record.part, record.row) == (part, row) => {
                    return Arc::clone(&record.job);
                }
                _ if slot.asked != (part, row) => {
                    slot.asked = (part, row);
                    drop(slot);
                    return Arc::new(make());
                }
                _ => {}
            }
        }
        let job = Arc::new(make());
        let record = Record { part, row, job: Arc::clone(&job) };
        // What it takes the place of is dropped after the lock.
        let _before = slot.lock().kept.replace(record);
        job
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("slots", &self.0.len()).finish_non_exhaustive()
    }
}

/// Each row has one slot, spread by multiplication.
fn slot(part: PlaceId, row: RowId) -> usize {
    let number = (u64::from(part) << 16 | u64::from(row)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The upper bits are the mixed ones.
    usize::try_from(number >> 32).unwrap_or(0) % KEPT
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::random_jobs::job;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// Rows of many segments, some of which share slots.
        #[test]
        fn a_row_has_its_own_job(model in job(), asked in proptest::collection::vec((1..40_u32, any::<u16>()), 1..20_000)) {
            let records = Records::default();
            let of = |part: u32, row: u16| {
                let message = format!("{part} {row}");
                Job { message: message.into(), ..model.clone() }
            };
            for (part, row) in asked {
                let row = row % 512;
                // The first time it is made, the second time kept, the third time shared.
                for _ in 0..2 {
                    let found = records.job(part, row, || of(part, row));
                    prop_assert_eq!(&*found, &of(part, row));
                }
                let found = records.job(part, row, || of(0, 0));
                prop_assert_eq!(&*found, &of(part, row));
                let again = records.job(part, row, || of(0, 0));
                prop_assert!(Arc::ptr_eq(&again, &found));
            }
        }
    }
}
