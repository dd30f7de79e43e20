//! How long a job stays after its end: by rule, by its own word, and while it is held.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Asked, Moment, is_same_clock};
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::job::{Cause, Held, Job, Phase, State, Told};
use crate::timestamp::Timestamp;

/// How long jobs stay after their end: of one kind, or all; that ended in one way, or in any.
///
/// Of the rules that fit a job the most specific one wins: a kind says more than a way to end, a
/// cause more than a state, and of two that say the same the later one. A job's own retention wins
/// over all rules, and one that was extended while it lived stays at least so long. A job that no
/// rule fits stays as the engine's [`retention`](crate::Options::retention) said when it was made.
///
/// ```
/// use std::time::Duration;
/// use jobtrack::{
///     Ending, Failure, MemoryStore, NewJob, Options, RetentionRule, Success, Tracker,
/// };
///
/// let day = Duration::from_secs(86_400);
/// let retention_rules = vec![
///     RetentionRule::any(7 * day).ending(Ending::Failure),
///     RetentionRule::any(30 * day).of_kind("backup"),
/// ];
/// let options = Options { retention_rules, ..Options::default() };
/// let tracker = Tracker::open(MemoryStore::new(), options)?;
/// let ended = |kind: &str| -> jobtrack::Result<Duration> {
///     let job = tracker.create(NewJob { kind: kind.to_owned(), ..NewJob::default() })?;
///     Ok(tracker.fail(job.uuid, Failure::default())?.retention())
/// };
/// assert_eq!(ended("scrub")?, 7 * day);
/// assert_eq!(ended("backup")?, 30 * day);
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    /// The kind of the jobs; None is any.
    pub kind: Option<String>,
    /// How they ended; None is anyhow.
    pub ending: Option<Ending>,
    /// How long they stay.
    pub retention: Duration,
}

impl RetentionRule {
    /// All jobs stay so long.
    pub fn any(retention: Duration) -> Self {
        RetentionRule { kind: None, ending: None, retention }
    }

    /// Of this kind alone.
    #[must_use]
    pub fn of_kind(self, kind: impl Into<String>) -> Self {
        RetentionRule { kind: Some(kind.into()), ..self }
    }

    /// That ended so alone.
    #[must_use]
    pub fn ending(self, ending: Ending) -> Self {
        RetentionRule { ending: Some(ending), ..self }
    }

    /// How much it says.
    fn rank(&self) -> (bool, u8) {
        let ending = match self.ending {
            None => 0,
            Some(Ending::Success | Ending::Failure) => 1,
            Some(Ending::Cause(_)) => 2,
        };
        (self.kind.is_some(), ending)
    }

    fn fits(&self, kind: &str, end: Option<(State, Option<Cause>)>) -> bool {
        let ends_so = match (self.ending, end) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(Ending::Success), Some((state, _))) => state == State::Success,
            (Some(Ending::Failure), Some((state, _))) => state == State::Failure,
            (Some(Ending::Cause(wanted)), Some((_, cause))) => cause == Some(wanted),
        };
        ends_so && self.kind.as_deref().is_none_or(|wanted| wanted == kind)
    }
}

/// A way in which a job ends.
///
/// ```
/// use jobtrack::{Cause, Ending};
///
/// assert_eq!("failure".parse::<Ending>()?, Ending::Failure);
/// assert_eq!("timed_out".parse::<Ending>()?, Ending::Cause(Cause::TimedOut));
/// assert!("paused".parse::<Ending>().is_err());
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Success,
    /// Badly, whatever the cause.
    Failure,
    /// Badly, for this cause.
    Cause(Cause),
}

impl FromStr for Ending {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let of_cause = |cause: Cause| (cause.as_str() == text).then_some(Ending::Cause(cause));
        match text {
            "success" => Ok(Ending::Success),
            "failure" => Ok(Ending::Failure),
            _ => Cause::ALL.iter().copied().find_map(of_cause).ok_or_else(|| {
                let causes = Cause::WORDS.join(", ");
                let message =
                    format!("{} is no end; write success, failure, {causes}", quoted(text));
                Error::new(ErrorKind::InvalidValue, message)
            }),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Success => "success",
            Ending::Failure => "failure",
            Ending::Cause(cause) => cause.as_str(),
        })
    }
}

/// What the rules say of a new job, as far as that is known before its end.
pub(crate) fn retention_of_kind(rules: &[RetentionRule], kind: &str) -> Option<Duration> {
    of_rules(rules, kind, None)
}

fn of_rules(
    rules: &[RetentionRule],
    kind: &str,
    end: Option<(State, Option<Cause>)>,
) -> Option<Duration> {
    // The last of several that are greatest, as told.
    let best = rules.iter().filter(|rule| rule.fits(kind, end)).max_by_key(|rule| rule.rank());
    best.map(|rule| rule.retention)
}

/// Settles how long a job stays that has just ended.
pub(crate) fn settle_stay(job: &mut Job, rules: &[RetentionRule]) {
    let end = Some((job.state(), job.cause()));
    let ruled = of_rules(rules, &job.kind, end);
    let retention = &mut job.retention;
    retention.span = match (retention.told.take(), ruled) {
        (None, Some(ruled)) => ruled,
        (Some(Told::AtLeast), Some(ruled)) => ruled.max(retention.span),
        (Some(Told::Exactly), _) | (_, None) => retention.span,
    };
    expire(job);
}

/// Lets nobody's clock end the job's stay, until it is let go; says whether that is new.
pub(super) fn hold(job: &mut Job, asked: Asked<'_>, stamp: Timestamp, now: Moment) -> bool {
    if job.held.is_some() {
        return false;
    }
    // A child that stays for its parent's sake may have longer than its own retention.
    if let (Some(expire_time), Some(from)) = (job.expire_time(), job.retention.from) {
        job.retention.span = job.retention.span.max(expire_time.saturating_since(from));
    }
    let (by, reason) = (asked.by.clone(), asked.reason.to_owned());
    job.held = Some(Box::new(Held { by, time: of_stay(stamp, now), reason }));
    expire(job);
    true
}

/// Lets the job go on to expire, with what was left of its stay when it was held; says whether it
/// was held.
pub(super) fn unhold(job: &mut Job, stamp: Timestamp, now: Moment) -> bool {
    let has_ended = job.state().is_terminal();
    let held = job.held.take();
    // Nothing else keeps a job that has ended and no parent, so its hold was lost with a damaged
    // store.
    let is_stuck = has_ended && job.expire_time().is_none() && job.parent.is_none();
    if held.is_none() && !is_stuck {
        return false;
    }
    if let Some(from) = job.retention.from {
        // The time for which it was held counts for nothing.
        let since = held.map_or(from, |held| held.time.max(from));
        let lasted = of_stay(stamp, now).saturating_since(since);
        job.retention.from = Some(from.saturating_add(lasted));
    }
    expire(job);
    true
}

/// The time by which stays are counted: the wall's, unless that has stepped.
pub(super) fn of_stay(stamp: Timestamp, now: Moment) -> Timestamp {
    if is_same_clock(stamp, now.engine) { stamp } else { now.engine }
}

/// Sets when a job that has ended expires by its own retention.
fn expire(job: &mut Job) {
    let own = job.retention.from.map(|from| from.saturating_add(job.retention.span));
    let own = own.filter(|_| job.held.is_none());
    if let Phase::Success { ended, .. } | Phase::Failure { ended, .. } = &mut job.phase {
        ended.expire_time = own;
    }
}
