//! Progress as it is reported, ahead of the store.
//!
//! A worker may report progress a thousand times a second. Each report replaces the one before and
//! is seen by `get` at once; the store is told of the latest once a second, or with the job's next
//! change. So filters, orders and watches know progress as it was a second ago at most, and a crash
//! may lose that second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Found, Inner, Tracker, find, sees};
use crate::command::{Command, Report, check_progress};
use crate::error::Result;
use crate::job::{Job, JobId, Progress, Tenant};
use crate::lifecycle;
use crate::store::Durability;
use crate::timestamp::Timestamp;

/// How long a report waits for the store at most, where anybody calls.
const FLUSH: Duration = Duration::from_secs(1);

/// The latest report of each job that the store has not been told of.
#[derive(Debug, Default)]
pub(super) struct Overlay(Mutex<Reports>);

#[derive(Debug, Default)]
struct Reports {
    latest: HashMap<JobId, Reported>,
    /// When the store was last told, in monotonic time.
    flushed: Duration,
}

#[derive(Debug, Clone)]
struct Reported {
    progress: Progress,
    token: Option<u64>,
    /// Counts the reports of this job since the store was told last. Another count would tell of
    /// other jobs' reports.
    number: u64,
}

/// How long a job may still take, and what that rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// How long it may still take, if it goes on as it has since its first start.
    pub remaining: Duration,
    /// How long it has taken so far, pauses included.
    pub elapsed: Duration,
    /// What is done in that time.
    pub done: u64,
    /// Of how much.
    pub total: u64,
}

impl Estimate {
    /// The estimate for a job that has begun and says how much there is to do.
    ///
    /// ```
    /// use std::time::Duration;
    /// use jobtrack::{Estimate, MemoryStore, NewJob, Options, Progress, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// let job = tracker.create(NewJob::default())?.uuid;
    /// let begun = tracker.start(job)?.update_time;
    /// let progress = Progress { done: 1, total: Some(4), unit: "files".into() };
    /// let found = tracker.progress(job, progress, None)?;
    /// let estimate = Estimate::of(&found.job, begun.saturating_add(Duration::from_secs(10)));
    /// assert_eq!(estimate.map(|it| it.remaining), Some(Duration::from_secs(30)));
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    pub fn of(job: &Job, now: Timestamp) -> Option<Estimate> {
        let progress = job.progress.as_ref()?;
        let (done, total) = (progress.done, progress.total?);
        if job.state().is_terminal() || done == 0 {
            return None;
        }
        let elapsed = now.saturating_since(job.start_time()?);
        let left = u128::from(total.saturating_sub(done));
        let remaining = elapsed.as_micros().saturating_mul(left) / u128::from(done);
        let remaining = Duration::from_micros(u64::try_from(remaining).unwrap_or(u64::MAX));
        Some(Estimate { remaining, elapsed, done, total })
    }
}

impl Tracker {
    /// A worker tells how far its job is, as often as it likes: that costs no commit. [`get`] sees it
    /// at once; queries and watches do within a second, when the store is told of the latest, as far
    /// as anybody calls this or [`maintain`] by then; or with the job's next change. A crash may lose
    /// what the store has not been told. A report with a message is an ordinary change.
    ///
    /// Who holds the job shows the token of its lease, which has a full term again once the store is
    /// told.
    ///
    /// [`get`]: Tracker::get
    /// [`maintain`]: Tracker::maintain
    ///
    /// # Errors
    ///
    /// As for [`report`](Tracker::report); `Leased`, `LeaseLost`.
    pub fn progress(&self, id: JobId, progress: Progress, token: Option<u64>) -> Result<Found> {
        self.progress_for(None, id, progress, token)
    }

    /// The same, of the jobs of one tenant.
    pub(super) fn progress_for(
        &self,
        tenant: Option<&Tenant>,
        id: JobId,
        progress: Progress,
        token: Option<u64>,
    ) -> Result<Found> {
        check_progress(Some(&progress), &self.0.options.limits)?;
        if let Some(found) = self.0.take_report(tenant, id, &progress, token) {
            if self.0.overlay.is_due(self.0.time.clock().monotonic()) {
                self.0.flush();
            }
            return Ok(found);
        }
        // It is refused, or something is due: an ordinary change says which.
        let report = Command::report(id, Report::from(progress)).durability(Durability::Deferred);
        let report = match token {
            Some(token) => report.holding(token),
            None => report,
        };
        self.run(Command { tenant: tenant.cloned(), ..report })?;
        self.get_for(tenant, id)
    }
}

impl Inner {
    /// Takes the report of a job that is there, and whose worker it comes from.
    fn take_report(
        &self,
        tenant: Option<&Tenant>,
        id: JobId,
        progress: &Progress,
        token: Option<u64>,
    ) -> Option<Found> {
        // While the table is held, no commit takes reports of this job over.
        let view = self.view.read();
        let now = self.time.now();
        if view.is_closed {
            return None;
        }
        let found = find(&view.table, id, now).filter(|found| sees(tenant, &found.job))?;
        let is_due = lifecycle::lapses_at(&found.job).is_some_and(|at| at <= now);
        if is_due || !lifecycle::takes_reports(&found.job, token) {
            return None;
        }
        let number = self.overlay.put(id, progress.clone(), token);
        Some(Found { job: with(&found.job, progress.clone()), unflushed: Some(number), ..found })
    }

    /// Tells the store of every report that it has not been told of.
    pub(super) fn flush(&self) {
        let commands: Vec<_> = self
            .overlay
            .all(self.time.clock().monotonic())
            .into_iter()
            .map(|(id, reported)| {
                // Empty: whatever changes a job takes its latest progress along.
                let report = Command::report(id, Report::default());
                let report = report.durability(Durability::Deferred);
                match reported.token {
                    Some(token) => report.holding(token),
                    None => report,
                }
            })
            .collect();
        // A job that has ended in the meantime, or has another holder, takes none any more; and
        // where the store fails, the next flush tries again.
        let _outcomes = self.run_all(commands);
    }

    pub(super) fn flush_if_due(&self) {
        if self.overlay.is_due(self.time.clock().monotonic()) {
            self.flush();
        }
    }
}

/// The job with this progress.
pub(super) fn with(job: &Arc<Job>, progress: Progress) -> Arc<Job> {
    Arc::new(Job { progress: Some(progress), ..Job::clone(job) })
}

impl Overlay {
    fn put(&self, id: JobId, progress: Progress, token: Option<u64>) -> u64 {
        let mut reports = self.0.lock();
        let number = reports.latest.get(&id).map_or(0, |reported| reported.number) + 1;
        reports.latest.insert(id, Reported { progress, token, number });
        number
    }

    /// The latest report of this job, and its number.
    pub(super) fn get(&self, id: JobId) -> Option<(Progress, u64)> {
        let reports = self.0.lock();
        reports.latest.get(&id).map(|reported| (reported.progress.clone(), reported.number))
    }

    /// The store knows the reports of this job up to this one.
    pub(super) fn stored(&self, id: JobId, up_to: u64) {
        let mut reports = self.0.lock();
        if reports.latest.get(&id).is_some_and(|reported| reported.number <= up_to) {
            reports.latest.remove(&id);
        }
    }

    /// The job has ended, or is gone.
    pub(super) fn forget(&self, id: JobId) {
        let mut reports = self.0.lock();
        // Mostly there is none, and each change that ends a job asks.
        if !reports.latest.is_empty() {
            reports.latest.remove(&id);
        }
    }

    fn is_due(&self, now: Duration) -> bool {
        let reports = self.0.lock();
        !reports.latest.is_empty() && now.saturating_sub(reports.flushed) >= FLUSH
    }

    fn all(&self, now: Duration) -> Vec<(JobId, Reported)> {
        let mut reports = self.0.lock();
        reports.flushed = now;
        reports.latest.iter().map(|(id, reported)| (*id, reported.clone())).collect()
    }
}
