//! All jobs in memory.
//!
//! The [`Table`] is what every answer comes from. The tracker alone changes it, one commit at a
//! time; a reader takes a [`Snapshot`], which costs one reference count, and is not disturbed by
//! what comes after.
//!
//! This is the plain form: rows in order of uuid, and no index but by expiry. Everything that can
//! be asked of it is asked through this interface, so that a faster one can take its place while
//! this one stays as its judge.

mod counts;
mod rows;
mod tombstones;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

pub use counts::Counts;
pub(crate) use counts::Tally;
pub(crate) use rows::{Row, Rows};
pub(crate) use tombstones::Tombstones;

use crate::job::{Job, JobId, Revision};
use crate::timestamp::Timestamp;

/// All jobs at the current revision.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Arc<Rows>,
    expiries: BTreeSet<(Timestamp, JobId)>,
    tally: Tally,
    /// What is due but not swept, counted up to where it was last asked for.
    due: Mutex<Due>,
    pub(crate) tombstones: Tombstones,
    pub(crate) revision: Revision,
}

/// Jobs that have expired by some horizon and still wait to be swept, by kind and state. Counting
/// goes on from there, so that many due jobs are walked once and not with every answer.
#[derive(Debug)]
struct Due {
    until: Timestamp,
    tally: Tally,
}

impl Default for Due {
    fn default() -> Self {
        Due { until: Timestamp::MIN, tally: Tally::default() }
    }
}

/// All jobs as they stood at one revision, less those expired at one horizon.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    rows: Arc<Rows>,
    pub(crate) revision: Revision,
    pub(crate) horizon: Timestamp,
}

impl Table {
    /// Jobs in it, expired ones that still wait to be swept included.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The job's row, expired or not.
    pub(crate) fn row(&self, id: JobId) -> Option<&Row> {
        self.rows.get(id)
    }

    /// Puts the job in, in place of what stood there.
    pub(crate) fn put(&mut self, row: Row) {
        self.tally.add(&row.job);
        if let Some(expire_time) = row.job.expire_time() {
            self.expiries.insert((expire_time, row.job.uuid));
        }
        let due = self.due.get_mut();
        if row.job.is_expired(due.until) {
            due.tally.add(&row.job);
        }
        let before = Arc::make_mut(&mut self.rows).put(row);
        if let Some(before) = before {
            self.untally(&before.job);
            let now = self.row(before.job.uuid).and_then(|row| row.job.expire_time());
            if let Some(expire_time) = before.job.expire_time()
                && now != Some(expire_time)
            {
                self.expiries.remove(&(expire_time, before.job.uuid));
            }
        }
    }

    /// Takes the job out.
    pub(crate) fn remove(&mut self, id: JobId) -> Option<Row> {
        let row = Arc::make_mut(&mut self.rows).remove(id)?;
        self.untally(&row.job);
        if let Some(expire_time) = row.job.expire_time() {
            self.expiries.remove(&(expire_time, id));
        }
        Some(row)
    }

    /// What a reader may hold on to.
    pub(crate) fn snapshot(&self, horizon: Timestamp) -> Snapshot {
        Snapshot { rows: Arc::clone(&self.rows), revision: self.revision, horizon }
    }

    /// Jobs that are expired at the horizon and still wait to be swept, the longest due first.
    pub(crate) fn due(&self, horizon: Timestamp) -> impl Iterator<Item = &Row> {
        self.expiries
            .iter()
            .take_while(move |(expire_time, _)| *expire_time <= horizon)
            .filter_map(|(_, id)| self.row(*id))
    }

    /// Whether a job expires after one horizon and not after the other, so that an answer at the
    /// later one hides what an answer at the earlier one showed.
    pub(crate) fn expires_between(&self, after: Timestamp, until: Timestamp) -> bool {
        self.expiring(after, until).next().is_some()
    }

    /// The counts at the current revision: the kept ones less what is due but not swept.
    pub(crate) fn counts(&self, horizon: Timestamp) -> Counts {
        let mut due = self.due.lock();
        // An answer's horizon can lie a little before that of the one before.
        let (from, until) = (due.until.min(horizon), due.until.max(horizon));
        let is_later = horizon > due.until;
        for row in self.expiring(from, until).filter_map(|(_, id)| self.row(*id)) {
            if is_later {
                due.tally.add(&row.job);
            } else {
                due.tally.take(&row.job);
            }
        }
        due.until = horizon;
        self.tally.less(&due.tally).into_counts(self.revision, horizon)
    }

    fn untally(&mut self, job: &Job) {
        self.tally.take(job);
        let due = self.due.get_mut();
        if job.is_expired(due.until) {
            due.tally.take(job);
        }
    }

    /// The jobs that expire after one time and not after the other.
    fn expiring(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &(Timestamp, JobId)> {
        let top = JobId::from_uuid(uuid::Uuid::max());
        // `BTreeSet::range` panics on an inverted range, and on one that excludes both its ends.
        let until = until.max(after);
        self.expiries.range((Bound::Excluded((after, top)), Bound::Included((until, top))))
    }
}

impl Snapshot {
    /// The jobs after this one in order of uuid, or all of them; expired ones left out.
    pub(crate) fn jobs_after(&self, after: Option<JobId>) -> impl Iterator<Item = &Arc<Job>> {
        self.rows.after(after).map(|row| &row.job).filter(|job| !job.is_expired(self.horizon))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::job::{JobParts, State};

    fn job(id: u8, state: State, expire: u8, kind: u8) -> Job {
        let at = |second: i64| Timestamp::from_micros(second).unwrap();
        let ended = state.is_terminal();
        let text = r#"{"uuid": "00000000-0000-0000-0000-000000000000", "state": "queued",
            "create_time": "1970-01-01T00:00:00Z", "update_time": "1970-01-01T00:00:00Z"}"#;
        let parts: JobParts = serde_json::from_str(text).unwrap();
        Job::try_from(JobParts {
            uuid: JobId::from_uuid(uuid::Uuid::from_u128(u128::from(id))),
            state,
            start_time: (state != State::Queued).then(|| at(0)),
            end_time: ended.then(|| at(0)),
            expire_time: ended.then(|| at(i64::from(expire))),
            cause: (state == State::Failure).then_some(crate::job::Cause::Error),
            code: i64::from(state == State::Failure),
            message: "m".to_owned(),
            kind: format!("k{kind}"),
            ..parts
        })
        .unwrap()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(u8, u8, u8, u8),
        Remove(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (any::<u8>(), 0..5u8, any::<u8>(), 0..3u8)
                .prop_map(|(id, state, expire, kind)| Step::Put(id, state, expire, kind)),
            1 => any::<u8>().prop_map(Step::Remove),
        ];
        proptest::collection::vec(step, 0..600)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The table against a plain map: rows, counts, due jobs, and a snapshot held meanwhile.
        #[test]
        fn the_table_agrees_with_a_map(steps in steps(), horizon in any::<u8>()) {
            let horizon = Timestamp::from_micros(i64::from(horizon)).unwrap();
            let mut table = Table::default();
            let mut model = BTreeMap::new();
            let half = steps.len() / 2;
            let mut held = None;
            for (n, step) in steps.into_iter().enumerate() {
                // Counting is taken up where it was left, so it is asked at horizons that wander.
                let wandering = Timestamp::from_micros(i64::try_from(n * 37 % 256).unwrap()).unwrap();
                let living = model.values().filter(|job: &&Arc<Job>| !job.is_expired(wandering));
                prop_assert_eq!(table.counts(wandering).total(), living.count() as u64);
                if n == half {
                    held = Some((table.snapshot(horizon), model.clone()));
                }
                match step {
                    Step::Put(id, state, expire, kind) => {
                        let job = Arc::new(job(id, State::ALL[usize::from(state)], expire, kind));
                        model.insert(job.uuid, Arc::clone(&job));
                        table.put(Row { job, key: 0, stored: 0 });
                    }
                    Step::Remove(id) => {
                        let id = JobId::from_uuid(uuid::Uuid::from_u128(u128::from(id)));
                        prop_assert_eq!(
                            table.remove(id).map(|row| row.job),
                            model.remove(&id)
                        );
                    }
                }
            }
            let visible = |model: &BTreeMap<JobId, Arc<Job>>| {
                let jobs = model.values().filter(|job| !job.is_expired(horizon));
                jobs.cloned().collect::<Vec<_>>()
            };
            let seen = |snapshot: &Snapshot| {
                snapshot.jobs_after(None).cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(table.len(), model.len());
            prop_assert_eq!(seen(&table.snapshot(horizon)), visible(&model));
            if let Some((snapshot, model)) = held {
                prop_assert_eq!(seen(&snapshot), visible(&model));
            }

            let counts = table.counts(horizon);
            for state in State::ALL {
                let of_state = visible(&model).iter().filter(|job| job.state() == *state).count();
                prop_assert_eq!(counts.of_state(*state), of_state as u64);
            }
            let of_kind = visible(&model).iter().filter(|job| job.kind == "k1").count();
            let counted: u64 = State::ALL.iter().map(|state| counts.of("k1", *state)).sum();
            prop_assert_eq!(counted, of_kind as u64);

            let mut due: Vec<_> = model.values().filter(|job| job.is_expired(horizon)).collect();
            due.sort_by_key(|job| (job.expire_time(), job.uuid));
            prop_assert_eq!(table.due(horizon).map(|row| &row.job).collect::<Vec<_>>(), due);
        }
    }

    #[test]
    fn a_page_starts_after_any_id_whether_it_is_there_or_not() {
        let mut table = Table::default();
        for id in (0..=250).step_by(2) {
            table.put(Row { job: Arc::new(job(id, State::Queued, 0, 0)), key: 0, stored: 0 });
        }
        let snapshot = table.snapshot(Timestamp::MIN);
        for after in 0..=250_u8 {
            let id = JobId::from_uuid(uuid::Uuid::from_u128(u128::from(after)));
            let first = snapshot.jobs_after(Some(id)).next().map(|job| job.uuid);
            let expected = (after < 250)
                .then(|| JobId::from_uuid(uuid::Uuid::from_u128(u128::from(after / 2 * 2 + 2))));
            assert_eq!(first, expected, "after {after}");
        }
    }
}
