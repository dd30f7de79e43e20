//! What makes room within a commit: what is due goes first, and then, for those who ask for it, the
//! jobs that have been finished for the longest time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{FULL, Group, Place, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::field::Field;
use crate::job::{Job, JobId, Tenant};
use crate::limits::COMMIT_COMMANDS;
use crate::query::{Budget, Direction, Expr, Order, PageToken, Query, Run};
use crate::store::encode_job;
use crate::table::DueJob;
use crate::tracker::archiving::Removals;

/// How many jobs are looked for at a time that may be evicted.
const CANDIDATES: usize = 64;

/// What is known of the room that is left.
#[derive(Default)]
pub(super) struct Room<'a> {
    /// Jobs that are due and were not swept yet; None before they were looked for.
    due: Option<Box<dyn Iterator<Item = DueJob<'a>> + 'a>>,
    /// Jobs that may be evicted, the one first that ended first.
    candidates: VecDeque<JobId>,
    /// Where to look for more of them; None if it was not looked for any.
    next: Option<Next>,
    /// Bytes of all records of jobs, as far as they are counted.
    bytes: u64,
}

enum Next {
    After(Box<PageToken>),
    Nowhere,
}

impl<'a> Room<'a> {
    pub(super) fn with_bytes(bytes: u64) -> Self {
        Room { bytes, ..Room::default() }
    }
}

impl<'a> Group<'a> {
    /// Takes out up to `budget` jobs whose time is up, the longest due first.
    pub(super) fn sweep_due(&mut self, budget: usize) {
        let is_time = matches!(self.removals, Removals::All);
        if is_time && self.table.has_due(self.now.engine) {
            self.plan.touched.reserve(budget.min(COMMIT_COMMANDS));
        }
        for _ in 0..budget * usize::from(is_time) {
            if !self.sweep_one() {
                return;
            }
        }
    }

    fn sweep_one(&mut self) -> bool {
        if matches!(self.removals, Removals::None(_)) {
            return false;
        }
        let table = self.table;
        let Some(due) = self.next_due() else { return false };
        self.plan.swept_until = self.plan.swept_until.max(due.expire_time());
        self.plan.swept += 1;
        match due {
            // Nobody wants to know more of it than what its tombstone says.
            DueJob::Part(part, row) if !self.needs_jobs() && table.is_plain(part, row) => {
                self.bury_row(part, row);
            }
            DueJob::Head(head, row) => {
                self.bury(&row.job, Place::of(row.clone()), false);
                if let Some(touched) = self.plan.touched.get_mut(&row.job.uuid) {
                    touched.row = Some((head, None));
                }
            }
            DueJob::Part(part, row) => {
                let row = table.part_row(part, row);
                let job = Arc::clone(&row.job);
                self.bury(&job, Place::of(row), false);
            }
        }
        true
    }

    /// Whether the jobs that go are needed whole: for the archive, or for the size of their records.
    fn needs_jobs(&self) -> bool {
        self.options.archive.is_some() || self.options.limits.bytes != usize::MAX
    }

    fn next_due(&mut self) -> Option<DueJob<'a>> {
        let (table, horizon) = (self.table, self.now.engine);
        // Mostly nothing is due, and that is quickly found out.
        let due = self.room.due.get_or_insert_with(|| {
            let has_due = table.has_due(horizon);
            Box::new(has_due.then(|| table.due(horizon)).into_iter().flatten())
        });
        let touched = &self.plan.touched;
        due.find(|due| {
            let id = due.id();
            // A parent stays until its children have followed its end.
            !table.sides.families.is_unsettled(id) && !touched.contains_key(&id)
        })
    }

    /// Evicts up to `budget` jobs where there are more than may be, for those who ask for it.
    pub(super) fn shrink(&mut self, budget: usize) {
        for _ in 0..budget {
            let limits = &self.options.limits;
            let is_over = self.jobs() > limits.jobs || over(self.room.bytes, limits.bytes);
            if !is_over || !self.evict_one() {
                return;
            }
        }
    }

    /// Jobs that are there by now, expired ones that still wait to be swept included.
    fn jobs(&self) -> usize {
        (self.table.len() + self.created).saturating_sub(self.removed)
    }

    /// Makes room for a new job, or refuses it.
    pub(super) fn make_room(&mut self, tenant: Option<&Tenant>, new: &Job) -> Result<()> {
        let limits = &self.options.limits;
        let (most_jobs, most_bytes) = (limits.jobs, limits.bytes);
        let needs = self.record_bytes(new);
        // Whatever goes, this one would not fit.
        let is_hopeless = most_jobs == 0 || over(needs, most_bytes);
        loop {
            let has_too_many = self.jobs() >= most_jobs;
            if !has_too_many && !over(self.room.bytes.saturating_add(needs), most_bytes) {
                return Ok(());
            }
            if !is_hopeless && (self.sweep_one() || self.evict_one()) {
                continue;
            }
            if tenant.is_some() {
                // How many there are is known to those who see them all.
                return Err(Error::new(ErrorKind::LimitExceeded, FULL));
            }
            let (field, there) = if has_too_many {
                let message = format!("{} jobs are there, at most {most_jobs} may be", self.jobs());
                ("limits.jobs", message)
            } else {
                let bytes = self.room.bytes;
                let message = format!(
                    "the records of all jobs take {bytes} bytes, that of this one {needs}; at most \
                     {most_bytes} may be"
                );
                ("limits.bytes", message)
            };
            let message = match (&self.removals, self.options.evict) {
                _ if is_hopeless => there,
                (Removals::None(error), _) => format!("{there}, and {}", error.message()),
                (_, false) => there,
                (_, true) => {
                    format!("{there}, and none is finished, held by nobody and free to go")
                }
            };
            return Err(Error::new(ErrorKind::LimitExceeded, message).with_field(field));
        }
    }

    /// Takes note of a job that goes, for the archive.
    pub(super) fn leaves(&mut self, job: Option<Arc<Job>>) {
        if self.options.archive.is_some() {
            self.plan.leaving.extend(job);
        }
    }

    /// Takes note of what a record takes after a change, and what it took before.
    pub(super) fn count_bytes(&mut self, before: Option<&Version>, after: Option<&Job>) {
        let before = before.and_then(|version| self.known(version));
        let before = before.map_or(0, |job| self.record_bytes(job));
        let after = after.map_or(0, |job| self.record_bytes(job));
        self.room.bytes = self.room.bytes.saturating_sub(before).saturating_add(after);
    }

    /// Bytes of all records of jobs, once this group is committed; of no meaning without a limit.
    pub(in crate::tracker) fn bytes(&self) -> u64 {
        self.room.bytes
    }

    /// What a job's record takes; not asked, and so 0, where there is no limit.
    fn record_bytes(&self, job: &Job) -> u64 {
        if self.options.limits.bytes == usize::MAX {
            return 0;
        }
        encode_job(job).map_or(0, |bytes| bytes.len() as u64)
    }

    /// Evicts the job that ended first of those that expire some day: so none that lives, none that is
    /// held, and none that a parent keeps which lives or is held. Those above it in its family go
    /// before it, since no child goes before its parent.
    fn evict_one(&mut self) -> bool {
        let may_go = !matches!(self.removals, Removals::None(_));
        if !self.options.evict || !may_go || self.plan.evicted >= COMMIT_COMMANDS {
            return false;
        }
        while let Some(candidate) = self.next_candidate() {
            let id = self.eldest(candidate);
            let Ok((job, place)) = self.find(id) else { continue };
            if job.expire_time().is_none() || self.is_unsettled(id) {
                continue;
            }
            if id != candidate {
                self.room.candidates.push_front(candidate);
            }
            self.plan.evicted += 1;
            self.bury(&job, place, true);
            return true;
        }
        false
    }

    fn next_candidate(&mut self) -> Option<JobId> {
        if self.room.candidates.is_empty() {
            self.look_for_candidates();
        }
        self.room.candidates.pop_front()
    }

    fn look_for_candidates(&mut self) {
        let after = match self.room.next.take() {
            None => None,
            Some(Next::After(token)) => Some(*token),
            Some(Next::Nowhere) => {
                self.room.next = Some(Next::Nowhere);
                return;
            }
        };
        let clock = self.clock;
        let snapshot = self.table.snapshot(self.now.engine);
        let run = Run { snapshot: &snapshot, monotonic: &|| clock.monotonic() };
        let order = Order::by(Field::EndTime, Direction::Ascending).unwrap_or_default();
        let page = run.page(&Query {
            order,
            after,
            max_records: Some(CANDIDATES),
            budget: Budget { soft: Duration::MAX, hard: Duration::MAX, ..Budget::default() },
            ..Query::matching(Expr::is_set(Field::ExpireTime))
        });
        // A query without a budget and with a token of its own is not refused; if it were, nothing
        // would be evicted, and the creation refused.
        let Ok(page) = page else { return };
        self.room.candidates.extend(page.jobs.iter().map(|job| job.uuid));
        self.room.next = Some(match page.next {
            Some(token) => Next::After(Box::new(token)),
            None => Next::Nowhere,
        });
    }

    /// The first of those above a job in its family who are still there, or the job itself.
    fn eldest(&self, id: JobId) -> JobId {
        let mut eldest = id;
        while let Ok((job, ..)) = self.find(eldest)
            && let Some(parent) = job.parent
            && self.find(parent).is_ok()
        {
            eldest = parent;
        }
        eldest
    }
}

fn over(bytes: u64, limit: usize) -> bool {
    usize::try_from(bytes).is_ok_and(|bytes| bytes > limit)
}
