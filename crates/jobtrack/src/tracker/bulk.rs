//! One action on every job that a filter matches, in bounded steps, itself a job with progress.
//!
//! [`Tracker::bulk`] makes the job; each [`Bulk::step`] changes so many of those that match, in order
//! of uuid, in a commit that tells the job's progress along with it; the last one ends it. Whoever
//! has the [`Bulk`] steps it, on a thread of its own choice: the engine starts none.
//! `docs/design/0012-bulk-as-a-job.md` says why it is so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::{Applied, Tracker};
use crate::command::{Command, Extension, Failure, Hold, NewJob, Relabel, Report, Success, Update};
use crate::error::{Error, ErrorKind, Result};
use crate::field::Field;
use crate::job::{Action, Actor, BULK_KIND, Cause, Job, JobId, Progress, Tenant};
use crate::query::{Budget, Comparison, Direction, Expr, Order, Query};
use crate::store::Durability;

/// Jobs in one step.
const STEP: usize = 256;
/// How often a job that changes meanwhile is looked at again.
const TRIES: usize = 8;
/// After so long a step takes what it has found.
const LOOKED_FOR: Duration = Duration::from_millis(250);

/// What is to be done to every job that matches.
#[derive(Debug, Clone, PartialEq)]
pub enum BulkAction {
    /// Ask for its end.
    Cancel,
    /// Forget it.
    Delete,
    /// Let it stay longer after its end.
    Extend(Extension),
    /// Give it other labels.
    Relabel(Relabel),
}

impl BulkAction {
    /// The name of the action.
    pub fn name(&self) -> &'static str {
        match self {
            BulkAction::Cancel => "cancel",
            BulkAction::Delete => "delete",
            BulkAction::Extend(_) => "extend",
            BulkAction::Relabel(_) => "relabel",
        }
    }

    fn update(&self) -> Update {
        match self {
            BulkAction::Cancel => Update::Request(Action::Cancel),
            BulkAction::Delete => Update::Delete,
            BulkAction::Extend(extension) => Update::Extend(*extension),
            BulkAction::Relabel(relabel) => Update::Relabel(relabel.clone()),
        }
    }
}

/// What is asked of many jobs at once, by whom and why.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkRequest {
    /// Which jobs.
    pub filter: Expr,
    /// What is to be done to each.
    pub action: BulkAction,
    /// What the job that tells of it is called; by the action's name if empty.
    pub description: String,
    /// Who asks.
    pub actor: Actor,
    /// Why; empty if nobody said.
    pub reason: String,
}

impl BulkRequest {
    /// This action on the jobs that match.
    pub fn new(filter: Expr, action: BulkAction) -> Self {
        let (description, actor, reason) = Default::default();
        BulkRequest { filter, action, description, actor, reason }
    }

    fn command(&self, job: JobId) -> Command {
        let command = Command::update(job, self.action.update());
        command.by(self.actor.clone()).because(self.reason.clone())
    }
}

/// Where a bulk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BulkStep {
    /// Jobs that were changed.
    pub changed: u64,
    /// Jobs that were as was asked already.
    pub unchanged: u64,
    /// Jobs that refused.
    pub refused: u64,
    /// Jobs that were gone, or did not match any more, when their turn came.
    pub passed: u64,
    /// Jobs that matched when it began.
    pub total: u64,
    /// Whether it has ended, and its job with it.
    pub has_ended: bool,
}

impl BulkStep {
    /// Jobs whose turn has come.
    pub fn done(&self) -> u64 {
        self.changed + self.unchanged + self.refused + self.passed
    }
}

/// A bulk under way. Dropped before its end it goes no further, and its job is lost when its lease
/// runs out, as it is when the process ends.
#[derive(Debug)]
pub struct Bulk {
    tracker: Tracker,
    /// Whose jobs it is confined to.
    tenant: Option<Tenant>,
    request: BulkRequest,
    job: JobId,
    token: u64,
    /// What is still to be looked for.
    query: Query,
    step: BulkStep,
    /// How many refused for each reason, and what the first of them said.
    refusals: BTreeMap<&'static str, (u64, Error)>,
}

impl Tracker {
    /// Begins to do something to every job that matches: makes a job of kind [`BULK_KIND`] that tells
    /// how far it is, and can be canceled. [`Bulk::step`] does it, so many jobs at a time.
    ///
    /// It goes over the jobs that are there now, once: by uuid, up to the last one that matches now.
    /// Each is changed only if it still matches when its turn comes. Every step is a commit; there is
    /// none for the whole. The job's last message says what was changed, what refused, and why; its
    /// code is the number of those that refused.
    ///
    /// ```
    /// use jobtrack::{BulkAction, BulkRequest, Expr, MemoryStore, Names, NewJob, Options, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// for volume in ["vol1", "vol2"] {
    ///     tracker.create(NewJob::described(volume))?;
    /// }
    /// let queued = Expr::parse("state", "queued", Names::Native)?;
    /// let job = tracker.bulk(BulkRequest::new(queued, BulkAction::Cancel))?.run()?;
    /// assert_eq!(job.message, "cancel: 2 of 2 jobs changed");
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`count`](Tracker::count), [`create`](Tracker::create), and for what the action could not be
    /// on any job.
    pub fn bulk(&self, request: BulkRequest) -> Result<Bulk> {
        self.bulk_for(None, request)
    }

    /// The same for a tenant, to whose jobs the filter is confined already.
    pub(super) fn bulk_for(&self, tenant: Option<&Tenant>, request: BulkRequest) -> Result<Bulk> {
        let limits = &self.0.options.limits;
        request.command(JobId::from_uuid(uuid::Uuid::nil())).check(limits)?;
        let (total, last) = self.extent(&request.filter)?;
        let name = request.action.name();
        let description = match &*request.description {
            "" => format!("Bulk {name}"),
            given => given.to_owned(),
        };
        let progress = Progress { done: 0, total: Some(total), unit: "jobs".into() };
        let id = JobId::from_uuid(self.0.options.clock.new_id());
        let new = NewJob {
            uuid: Some(id),
            kind: BULK_KIND.to_owned(),
            progress: Some(progress),
            allows: crate::job::Allows { pause: false, cancel: true },
            scope: tenant.map(|tenant| tenant.scope_of_new(None)).transpose()?,
            ..NewJob::described(description)
        };
        let (actor, reason) = (request.actor.clone(), request.reason.clone());
        let create = Command::create(new).by(actor.clone()).because(reason);
        let claim = Command::claim_job(id, Hold::leased(BULK_KIND)).by(actor);
        let own = [create, claim].map(|command| command.of_tenant(tenant));
        let mut outcomes = self.run_all(own).into_iter();
        if let Some(created) = outcomes.next() {
            created?;
        }
        let token = match outcomes.next().transpose()? {
            Some(claimed) => claimed.job.lease.as_ref().map_or(0, |lease| lease.token),
            None => 0,
        };
        let until = match last {
            Some(last) => Expr::compare(Field::Uuid, Comparison::AtMost, last)?,
            None => Expr::nothing(),
        };
        let budget = Budget { soft: LOOKED_FOR, hard: Duration::MAX, ..Budget::default() };
        let query = Query {
            max_records: Some(STEP),
            budget,
            ..Query::matching(request.filter.clone().and(until))
        };
        let step = BulkStep { total, ..BulkStep::default() };
        let refusals = BTreeMap::new();
        let (tracker, tenant) = (self.clone(), tenant.cloned());
        Ok(Bulk { tracker, tenant, request, job: id, token, query, step, refusals })
    }

    /// How many jobs match, and which of them is the last by uuid.
    fn extent(&self, filter: &Expr) -> Result<(u64, Option<JobId>)> {
        let budget = Budget { soft: Duration::MAX, hard: Duration::MAX, ..Budget::default() };
        let query = Query {
            order: Order::by(Field::Uuid, Direction::Descending)?,
            budget: budget.clone(),
            max_records: Some(1),
            ..Query::matching(filter.clone())
        };
        let snapshot = self.0.snapshot()?;
        let last = self.0.run(&snapshot, |run| run.page(&query))?.jobs.pop();
        let query = Query { budget, ..Query::matching(filter.clone()) };
        let count = self.0.run(&snapshot, |run| run.count(&query))?.count;
        Ok((count, last.map(|job| job.uuid)))
    }
}

impl Bulk {
    /// The job that tells of it.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// Where it stands.
    pub fn progress(&self) -> BulkStep {
        self.step
    }

    /// Goes on until it has ended, and returns its job.
    ///
    /// # Errors
    ///
    /// As [`step`](Bulk::step).
    pub fn run(mut self) -> Result<std::sync::Arc<Job>> {
        while !self.step()?.has_ended {}
        Ok(self.tracker.get(self.job)?.job)
    }

    /// Does the next jobs, 256 at most, and says where it stands. The last step ends the job.
    ///
    /// # Errors
    ///
    /// `JobEnded`, `LeaseLost`, `Gone` and the like if its job was ended, taken or deleted by
    /// somebody else: then it goes no further. What the store says: the step may be tried again.
    pub fn step(&mut self) -> Result<BulkStep> {
        if self.step.has_ended {
            return Ok(self.step);
        }
        let own = self.tracker.get(self.job)?;
        self.check_held(&own)?;
        if own.requested.as_ref().is_some_and(|request| request.action == Action::Cancel) {
            return self.end(true);
        }
        let page = self.tracker.query(&self.query)?;
        let jobs: Vec<_> = page.jobs.iter().filter(|job| job.uuid != self.job).collect();
        let told = self.report(self.step.done() + jobs.len() as u64);
        let commands = jobs.iter().map(|job| self.command(job));
        let mut outcomes = self.tracker.run_all(commands.chain([told]).collect::<Vec<_>>());
        let told = outcomes.pop();
        let before = (self.step, self.refusals.clone());
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            if let Err(error) = self.settle(job, outcome) {
                // The same jobs have their turn again.
                (self.step, self.refusals) = before;
                return Err(error);
            }
        }
        told.transpose()?;
        if page.next.is_none() {
            return self.end(false);
        }
        self.query.after = page.next;
        Ok(self.step)
    }

    /// Refuses to go on with a job that has ended, or that another holds.
    fn check_held(&self, own: &Job) -> Result<()> {
        if own.lease.as_ref().is_some_and(|lease| lease.token == self.token) {
            return Ok(());
        }
        let (kind, why) = match own.state().is_terminal() {
            true => (ErrorKind::JobEnded, "it has ended"),
            false => (ErrorKind::LeaseLost, "it is held by another, or by nobody"),
        };
        let message = format!("the bulk goes no further: its job was taken from it, {why}");
        Err(Error::new(kind, message).with_job(self.job))
    }

    /// The command for a job as it was found: one that has changed since may not match any more.
    fn command(&self, job: &Job) -> Command {
        let command = self.request.command(job.uuid).of_tenant(self.tenant.as_ref());
        command.expecting(job.revision).durability(Durability::Deferred)
    }

    /// Counts what became of a job, looked at again if it has changed meanwhile.
    fn settle(&mut self, job: &Job, mut outcome: Result<Applied>) -> Result<()> {
        let mut revision = job.revision;
        for _ in 0..TRIES {
            match &outcome {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                _ => break,
            }
            outcome = match self.tracker.get_for(self.tenant.as_ref(), job.uuid) {
                Ok(found) if !self.request.filter.matches(&found) => {
                    self.step.passed += 1;
                    return Ok(());
                }
                Ok(found) => {
                    revision = found.job.revision;
                    self.tracker.run(self.command(&found))
                }
                Err(error) => Err(error),
            };
        }
        match outcome {
            Ok(applied)
                if applied.job.revision == revision
                    && self.request.action != BulkAction::Delete =>
            {
                self.step.unchanged += 1;
            }
            Ok(_) => self.step.changed += 1,
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::Gone => self.step.passed += 1,
                kind if is_of_store(kind) => return Err(error),
                kind => {
                    self.step.refused += 1;
                    let refused = self.refusals.entry(kind.as_str()).or_insert((0, error));
                    refused.0 += 1;
                }
            },
        }
        Ok(())
    }

    /// Tells the job how far it is, which renews its lease; in the commit of the step itself.
    fn report(&self, done: u64) -> Command {
        let total = self.step.total.max(done);
        let progress = Progress { done, total: Some(total), unit: "jobs".into() };
        Command::report(self.job, Report::from(progress)).holding(self.token)
    }

    fn end(&mut self, is_canceled: bool) -> Result<BulkStep> {
        let message = Some(self.summary(is_canceled));
        let command = if is_canceled {
            let cause = Some(Cause::Canceled);
            Command::fail(self.job, Failure { message, cause, ..Failure::default() })
        } else {
            let code = i64::try_from(self.step.refused).unwrap_or(i64::MAX);
            Command::succeed(self.job, Success { message, code })
        };
        self.tracker.run(command.holding(self.token))?;
        self.step.has_ended = true;
        Ok(self.step)
    }

    /// What was done, and what was not and why, as far as a message has room for it.
    fn summary(&self, is_canceled: bool) -> String {
        let BulkStep { changed, unchanged, refused, passed, total, .. } = self.step;
        let name = self.request.action.name();
        let total = total.max(self.step.done());
        let mut text = format!("{name}: {changed} of {total} jobs changed");
        let mut parts = Vec::new();
        if is_canceled {
            parts.push(format!("canceled after {}", self.step.done()));
        }
        if unchanged > 0 {
            parts.push(format!("{unchanged} were so already"));
        }
        if passed > 0 {
            parts.push(format!("{passed} did not match any more"));
        }
        if refused > 0 {
            parts.push(format!("{refused} refused"));
        }
        for (kind, (count, first)) in &self.refusals {
            let mut part = format!("{count} {kind}: {}", first.message());
            if let Some(job) = first.job() {
                let _ = write!(part, " (first of job {job})"); // A String takes everything.
            }
            parts.push(part);
        }
        for part in parts {
            if text.len() + part.len() + 2 <= self.tracker.0.options.limits.message {
                text.push_str("; ");
                text.push_str(&part);
            }
        }
        text
    }
}

/// Whether the store or the tracker refuses, so that no other job would fare better.
fn is_of_store(kind: ErrorKind) -> bool {
    use ErrorKind::{
        Closed, OutcomeUnknown, StoreCannot, StoreDamaged, StoreFailed, StoreFull, StoreTooNew,
        Unsettled,
    };
    matches!(
        kind,
        Closed
            | OutcomeUnknown
            | StoreCannot
            | StoreDamaged
            | StoreFailed
            | StoreFull
            | StoreTooNew
            | Unsettled
    )
}
