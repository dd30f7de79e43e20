//! Who may write as a job's worker, and what becomes of a job whose worker or time is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Asked, Moment, cancel, end, go_on, halt, whole_micros};
use crate::command::{Report, Update};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Action, Actor, BULK_KIND, Cause, Job, Lease, Phase, State, Text};
use crate::limits::Limits;
use crate::timestamp::Timestamp;

/// How long leases last, and what becomes of jobs whose worker was lost.
///
/// ```
/// use std::time::Duration;
/// use jobtrack::{LeaseOptions, Lost};
///
/// let options = LeaseOptions {
///     by_kind: [("backup".to_owned(), Lost::QueueAgain { at_most: 3 })].into(),
///     ..LeaseOptions::default()
/// };
/// assert_eq!(options.term, Duration::from_secs(60));
/// assert_eq!(options.lost("backup"), Lost::QueueAgain { at_most: 3 });
/// assert_eq!(options.lost("restore"), Lost::Fail);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseOptions {
    /// How long a lease lasts that was claimed without a term: 60 seconds.
    pub term: Duration,
    /// What becomes of a job whose worker was lost: it fails.
    pub lost: Lost,
    /// The same for kinds of jobs that differ from that.
    pub by_kind: BTreeMap<String, Lost>,
    /// The name under which this process claims jobs for itself ([`Hold::in_process`]). Whoever
    /// opens the store under the same name later is a later incarnation, and what an earlier one
    /// held is lost at once.
    ///
    /// [`Hold::in_process`]: crate::Hold::in_process
    pub owner: Option<String>,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        LeaseOptions {
            term: Duration::from_secs(60),
            lost: Lost::Fail,
            by_kind: BTreeMap::new(),
            owner: None,
        }
    }
}

impl LeaseOptions {
    /// What becomes of a lost job of this kind. One of kind [`BULK_KIND`] fails: nobody knows any
    /// more what it was to do.
    pub fn lost(&self, kind: &str) -> Lost {
        if kind == BULK_KIND {
            return Lost::Fail;
        }
        self.by_kind.get(kind).copied().unwrap_or(self.lost)
    }
}

/// What becomes of a job whose worker was lost. One that was to be canceled is canceled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It fails with cause lost.
    Fail,
    /// It is queued again, until its workers were lost more than so many times; then it fails.
    QueueAgain {
        /// How often it is queued again at most.
        at_most: u32,
    },
    /// It stays as it is, held by nobody: running, until somebody claims it or ends it.
    Leave,
}

/// Checks that a live job's worker may make this update: who holds a job shows its token.
///
/// # Errors
///
/// `Leased` where the token is not shown; `LeaseLost` where it is not that of the present lease.
pub(super) fn check_holder(job: &Job, update: &Update, asked: Asked<'_>) -> Result<()> {
    let needs_lease = matches!(update, Update::Renew(_) | Update::Release);
    match (&job.lease, asked.token) {
        (Some(lease), Some(token)) if token == lease.token => Ok(()),
        (Some(lease), Some(token)) => Err(lost(
            job,
            format!("token {token} is not valid any more: the job is held by {}", held(lease)),
        )),
        (None, Some(token)) if update.is_of_worker() => Err(lost(
            job,
            format!(
                "token {token} is not valid any more: the job is {} and held by nobody",
                job.state()
            ),
        )),
        (None, None) if needs_lease => Err(lost(job, "the job is held by nobody".to_owned())),
        (Some(lease), None) if update.is_of_worker() && !asked.forced => Err(Error::new(
            ErrorKind::Leased,
            format!("the job is held by {}; show the token of that lease", held(lease)),
        )
        .with_job(job.uuid)),
        _ => Ok(()),
    }
}

/// Whether a live job takes a report from whoever shows this token, or none.
pub(crate) fn takes_reports(job: &Job, token: Option<u64>) -> bool {
    let nobody = Actor::default();
    let asked = Asked { token, ..Asked::of(&nobody, "") };
    let report = Update::Report(Report::default());
    !job.state().is_terminal() && check_holder(job, &report, asked).is_ok()
}

fn lost(job: &Job, message: String) -> Error {
    Error::new(ErrorKind::LeaseLost, message).with_job(job.uuid)
}

/// Who holds it, since when and until when.
fn held(lease: &Lease) -> String {
    let mut text = lease.holder.to_string();
    if let Some(since) = lease.since {
        text.push_str(&format!(" since {since}"));
    }
    if lease.term.is_some() {
        text.push_str(&format!(" until {}", lease.until));
    }
    text
}

/// Who wants to hold a job, and for how long; without a term for as long as its process lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder<'a> {
    pub(crate) name: &'a str,
    pub(crate) term: Option<Duration>,
}

/// Gives the job to a worker: one that is queued begins, any other stays as it is.
pub(super) fn take(job: &mut Job, holder: Holder<'_>, stamp: Timestamp, now: Moment) {
    if job.state() == State::Queued {
        super::begin(job, stamp);
    }
    job.claims = job.claims.saturating_add(1);
    let term = holder.term.map(whole_micros);
    job.lease = Some(Box::new(Lease {
        holder: holder.name.into(),
        token: job.claims.into(),
        since: Some(stamp),
        term,
        until: until(term, now),
    }));
}

/// Gives a lease its full term again, of another length if one is given; says whether that changes
/// anything.
pub(super) fn renew(job: &mut Job, term: Option<Duration>, now: Moment) -> Result<bool> {
    let Some(lease) = &mut job.lease else { return Ok(false) };
    match (&mut lease.term, term) {
        (None, None) => return Ok(false),
        (None, Some(_)) => {
            return Err(Error::new(
                ErrorKind::InvalidValue,
                "an owner in the tracker's own process holds the job without a term",
            )
            .with_field("term")
            .with_job(job.uuid));
        }
        (Some(_), None) => {}
        (Some(old), Some(new)) => *old = whole_micros(new),
    }
    lease.until = until(lease.term, now);
    Ok(true)
}

/// Gives the job back: it is queued again, or canceled if that was asked for.
pub(super) fn let_go(job: &mut Job, message_bytes: usize, stamp: Timestamp, now: Moment) {
    job.lease = None;
    match job.requested.take() {
        Some(request) if request.action == Action::Cancel => {
            let (by, reason) = (&request.by, &*request.reason);
            cancel(job, Asked { message_bytes, ..Asked::of(by, reason) }, stamp, now);
        }
        _ => job.phase = Phase::Queued { start_time: job.start_time() },
    }
}

fn until(term: Option<Duration>, now: Moment) -> Timestamp {
    term.map_or(Timestamp::MAX, |term| now.engine.saturating_add(term))
}

/// When something becomes of the job by itself: its lease runs out, or it runs past its deadline.
pub(crate) fn lapses_at(job: &Job) -> Option<Timestamp> {
    let deadline = job.deadline.filter(|_| job.state() == State::Running);
    let lease = job.lease.as_ref().map(|lease| lease.until);
    let lease = lease.filter(|until| !job.state().is_terminal() && *until < Timestamp::MAX);
    match (deadline, lease) {
        (Some(deadline), Some(lease)) => Some(deadline.min(lease)),
        (deadline, lease) => deadline.or(lease),
    }
}

/// The job after the moment at which it [lapsed](lapses_at).
pub(crate) fn lapse(job: &Job, options: &LeaseOptions, limits: &Limits, now: Moment) -> Job {
    let stamp = now.wall.max(job.update_time);
    let mut next = Job { update_time: stamp, ..job.clone() };
    let is_held_until = job.lease.as_ref().map_or(Timestamp::MAX, |lease| lease.until);
    if job.state() == State::Running && job.deadline.is_some_and(|at| at <= is_held_until) {
        give_up(&mut next, Cause::TimedOut, None, stamp, now);
        return next;
    }
    let Some(lease) = next.lease.take() else { return next };
    next.losses = next.losses.saturating_add(1);
    let fitting = |text: String| (text.len() <= limits.message).then_some(text);
    let wants = job.requested.as_ref().map(|request| request.action);
    match options.lost(&job.kind) {
        _ if wants == Some(Action::Cancel) => let_go(&mut next, limits.message, stamp, now),
        Lost::QueueAgain { at_most } if next.losses <= at_most => {
            let text = format!("Queued again: its worker {} was lost", lease.holder);
            next.message = fitting(text).unwrap_or_default().into();
            let_go(&mut next, limits.message, stamp, now);
        }
        Lost::Fail | Lost::QueueAgain { .. } => {
            let text = format!("{}: {}", Cause::Lost.default_message(), lease.holder);
            give_up(&mut next, Cause::Lost, fitting(text), stamp, now);
        }
        // Nobody answers what was asked of it any more, so it takes effect now.
        Lost::Leave if job.cooperative => {}
        Lost::Leave => match wants {
            Some(Action::Pause) => halt(&mut next),
            Some(Action::Resume) => go_on(&mut next),
            _ => {}
        },
    }
    // A job that is left running may be past its deadline as well.
    match lapses_at(&next) {
        Some(at) if at <= now.engine => lapse(&next, options, limits, now),
        _ => next,
    }
}

/// Ends the job as a failure that no worker told.
fn give_up(job: &mut Job, cause: Cause, message: Option<String>, stamp: Timestamp, now: Moment) {
    job.message = message.map_or_else(|| cause.default_message().into(), Text::from);
    let (code, detail) = (cause.default_code(), Box::default());
    job.phase = Phase::Failure { ended: end(job, stamp, now), cause, code, detail };
}
