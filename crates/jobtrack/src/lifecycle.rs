//! (job, update, now) → the changed job, or a refusal.
//!
//! Pure: no I/O, no clock, no lock. [`TABLE`] shows every pair of update and state on one screen,
//! legal and refused; the functions below it carry out what it allows. What workers hold, and what
//! becomes of a job whose worker or time is lost, is in [`lease`]; what parents and children are to each
//! other, in [`family`]; how long a job stays after its end, in [`retention`].

mod family;
mod lease;
mod retention;

use std::collections::BTreeMap;
use std::num::NonZeroI64;
use std::time::Duration;

use crate::command::{Failure, NewJob, Renewal, Report, Success, Update};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{
    Action, Actor, Cause, Ended, ErrorDetail, Job, JobId, JobParts, Labels, Lease, Phase, Request,
    Retention, Revision, State, Text, Told,
};
use crate::limits::RETENTION_SECONDS;
use crate::timestamp::Timestamp;

pub use family::{Children, FamilyOptions, RollUp};
pub(crate) use family::{check_parent, check_roll_up, concerns_children, follow, keep};
pub(crate) use lease::{Holder, lapse, lapses_at, takes_reports};
pub use lease::{LeaseOptions, Lost};
pub use retention::{Ending, RetentionRule};
pub(crate) use retention::{retention_of_kind, settle_stay};

/// Now, in both times: stamps are taken from the wall, expiry runs on engine time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    pub(crate) engine: Timestamp,
}

/// Who asks, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) by: &'a Actor,
    pub(crate) reason: &'a str,
    /// The longest message a job may have.
    pub(crate) message_bytes: usize,
    /// The token of the lease that who asks believes to hold.
    pub(crate) token: Option<u64>,
    /// Whether the job is to be taken from whoever holds it.
    pub(crate) forced: bool,
    /// Who is to hold the job, of a claim.
    pub(crate) holder: Option<Holder<'a>>,
}

impl<'a> Asked<'a> {
    /// Asked by this actor for this reason, who holds nothing.
    pub(crate) fn of(by: &'a Actor, reason: &'a str) -> Self {
        Asked { by, reason, message_bytes: 0, token: None, forced: false, holder: None }
    }
}

/// What an update does to a job.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // The large one is what mostly comes, and is moved once.
pub(crate) enum Outcome {
    /// The job is another now.
    Changed(Job),
    /// What was asked is so already.
    Unchanged,
    /// The job is to be forgotten.
    Forgotten,
}

/// One step that the table allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Tell,
    Halt,
    GoOn,
    EndWell,
    EndBadly,
    /// Pass the request on to a worker that answers for itself; carry it out at once for another.
    Ask(Action),
    /// Take back the opposite request if it is pending; there is nothing else to ask for.
    TakeBack(Action, ErrorKind),
    CancelNow,
    Stretch,
    /// Let its stay not end.
    HoldBack,
    /// Let its stay go on to its end.
    LetExpire,
    /// Give the job other labels.
    Mark,
    Forget,
    /// Give the job to the worker that claims it.
    Take,
    Renew,
    /// Give the job back.
    LetGo,
    FreeKey,
}

use Step::{
    Ask, Begin, CancelNow, EndBadly, EndWell, Forget, FreeKey, GoOn, Halt, HoldBack, LetExpire,
    LetGo, Mark, Renew, Stretch, Take, TakeBack, Tell,
};

type Rule = Result<Step, ErrorKind>;

const ENDED: Rule = Err(ErrorKind::JobEnded);
const LIVE: Rule = Err(ErrorKind::StillLive);
const NOT_QUEUED: Rule = Err(ErrorKind::NotQueued);
const NOT_RUNNING: Rule = Err(ErrorKind::NotRunning);
const NOT_PAUSED: Rule = Err(ErrorKind::NotPaused);
const NOT_HELD: Rule = Err(ErrorKind::LeaseLost);
const NO_PAUSE: Rule = Ok(TakeBack(Action::Pause, ErrorKind::NotPaused));
const NO_RESUME: Rule = Ok(TakeBack(Action::Resume, ErrorKind::NotRunning));
const ASK_PAUSE: Rule = Ok(Ask(Action::Pause));
const ASK_RESUME: Rule = Ok(Ask(Action::Resume));
const ASK_CANCEL: Rule = Ok(Ask(Action::Cancel));

/// What each update does in each state. Where a worker holds the job, [`lease::check_holder`] comes
/// before.
///
/// A worker tells the truth about its work, so it may end a job that an operator has paused behind
/// its back; only an operator's wishes depend on what the job allows.
#[rustfmt::skip]
const TABLE: [(&str, [Rule; 5]); 18] = [
    // update            queued         running       paused        success      failure
    ("start",          [ Ok(Begin),     NOT_QUEUED,   NOT_QUEUED,   ENDED,       ENDED      ]),
    ("report",         [ Ok(Tell),      Ok(Tell),     Ok(Tell),     ENDED,       ENDED      ]),
    ("pause",          [ NOT_RUNNING,   Ok(Halt),     NOT_RUNNING,  ENDED,       ENDED      ]),
    ("resume",         [ NOT_PAUSED,    NOT_PAUSED,   Ok(GoOn),     ENDED,       ENDED      ]),
    ("succeed",        [ NOT_RUNNING,   Ok(EndWell),  Ok(EndWell),  ENDED,       ENDED      ]),
    ("fail",           [ Ok(EndBadly),  Ok(EndBadly), Ok(EndBadly), ENDED,       ENDED      ]),
    ("request pause",  [ NOT_RUNNING,   ASK_PAUSE,    NO_RESUME,    ENDED,       ENDED      ]),
    ("request resume", [ NOT_PAUSED,    NO_PAUSE,     ASK_RESUME,   ENDED,       ENDED      ]),
    ("request cancel", [ Ok(CancelNow), ASK_CANCEL,   ASK_CANCEL,   ENDED,       ENDED      ]),
    ("extend",         [ Ok(Stretch),   Ok(Stretch),  Ok(Stretch),  Ok(Stretch), Ok(Stretch) ]),
    ("delete",         [ LIVE,          LIVE,         LIVE,         Ok(Forget),  Ok(Forget) ]),
    ("claim",          [ Ok(Take),      Ok(Take),     Ok(Take),     ENDED,       ENDED      ]),
    ("renew",          [ NOT_HELD,      Ok(Renew),    Ok(Renew),    ENDED,       ENDED      ]),
    ("release",        [ NOT_HELD,      Ok(LetGo),    Ok(LetGo),    ENDED,       ENDED      ]),
    ("free key",       [ Ok(FreeKey),   Ok(FreeKey),  Ok(FreeKey),  Ok(FreeKey), Ok(FreeKey) ]),
    ("relabel",        [ Ok(Mark),      Ok(Mark),     Ok(Mark),     Ok(Mark),    Ok(Mark)   ]),
    ("hold",           [ Ok(HoldBack),  Ok(HoldBack), Ok(HoldBack), Ok(HoldBack), Ok(HoldBack) ]),
    ("unhold",         [ Ok(LetExpire), Ok(LetExpire), Ok(LetExpire), Ok(LetExpire), Ok(LetExpire) ]),
];

fn rule(update: &Update, state: State) -> Rule {
    let row = match update {
        Update::Start => 0,
        Update::Report(_) => 1,
        Update::Pause => 2,
        Update::Resume => 3,
        Update::Succeed(_) => 4,
        Update::Fail(_) => 5,
        Update::Request(Action::Pause) => 6,
        Update::Request(Action::Resume) => 7,
        Update::Request(Action::Cancel) => 8,
        Update::Extend(_) => 9,
        Update::Delete => 10,
        Update::Claim(_) => 11,
        Update::Renew(_) => 12,
        Update::Release => 13,
        Update::FreeKey => 14,
        Update::Relabel(_) => 15,
        Update::Hold => 16,
        Update::Unhold => 17,
    };
    let column = match state {
        State::Queued => 0,
        State::Running => 1,
        State::Paused => 2,
        State::Success => 3,
        State::Failure => 4,
    };
    #[allow(clippy::indexing_slicing)] // Eighteen rows and five columns, as numbered just above.
    TABLE[row].1[column]
}

/// Decides one update of one job.
///
/// # Errors
///
/// `Leased`, `LeaseLost`; what the table refuses; `CannotPause`, `CannotCancel` for what the job does not allow;
/// `CancelPending`; `Contradiction` and `InvalidValue` for a failure whose parts disagree.
pub(crate) fn decide(job: &Job, update: &Update, asked: Asked<'_>, now: Moment) -> Result<Outcome> {
    let state = job.state();
    if !state.is_terminal() {
        lease::check_holder(job, update, asked)?;
    }
    let step = rule(update, state).map_err(|kind| refusal(kind, job, update))?;
    // Stamps follow the wall, but never against the order of the job's own times.
    let stamp = now.wall.max(job.update_time);
    let mut next = Job { update_time: stamp, ..job.clone() };
    match step {
        Begin => begin(&mut next, stamp),
        Tell => tell(&mut next, update),
        Halt => halt(&mut next),
        GoOn => go_on(&mut next),
        EndWell => end_well(&mut next, update, stamp, now),
        EndBadly => end_badly(&mut next, update, asked.message_bytes, stamp, now)?,
        CancelNow => {
            check_allowed(job, Action::Cancel)?;
            cancel(&mut next, asked, stamp, now);
        }
        TakeBack(pending, otherwise) => {
            if job.requested.as_ref().is_none_or(|request| request.action != pending) {
                return Err(refusal(otherwise, job, update));
            }
            next.requested = None;
        }
        Ask(action) => {
            check_allowed(job, action)?;
            match ask(job, action, asked, stamp)? {
                Answer::Pending => return Ok(Outcome::Unchanged),
                Answer::Kept(request) => next.requested = Some(Box::new(request)),
                Answer::AtOnce => match action {
                    Action::Pause => halt(&mut next),
                    Action::Resume => go_on(&mut next),
                    Action::Cancel => cancel(&mut next, asked, stamp, now),
                },
            }
        }
        Stretch if !stretch(&mut next, update) => return Ok(Outcome::Unchanged),
        Stretch => {}
        Mark if !mark(&mut next, update) => return Ok(Outcome::Unchanged),
        Mark => {}
        HoldBack if !retention::hold(&mut next, asked, stamp, now) => {
            return Ok(Outcome::Unchanged);
        }
        HoldBack => {}
        LetExpire if !retention::unhold(&mut next, stamp, now) => return Ok(Outcome::Unchanged),
        LetExpire => {}
        Forget if job.held.is_some() => return Err(held(job)),
        Forget => return Ok(Outcome::Forgotten),
        Take => {
            let Some(holder) = asked.holder else { return Ok(Outcome::Unchanged) };
            lease::take(&mut next, holder, stamp, now);
        }
        Renew => {
            let Update::Renew(Renewal { term }) = update else { return Ok(Outcome::Unchanged) };
            if !lease::renew(&mut next, *term, now)? {
                return Ok(Outcome::Unchanged);
            }
        }
        FreeKey if next.idempotency_key.take().is_none() => return Ok(Outcome::Unchanged),
        FreeKey => {}
        LetGo => lease::let_go(&mut next, asked.message_bytes, stamp, now),
    }
    // Whoever is heard of is alive.
    if asked.token.is_some() && step != Renew {
        lease::renew(&mut next, None, now)?;
    }
    Ok(Outcome::Changed(next))
}

/// The job that a creation makes.
pub(crate) fn create(new: &NewJob, uuid: JobId, retention: Duration, now: Moment) -> Job {
    Job {
        uuid,
        phase: Phase::Queued { start_time: None },
        requested: None,
        description: (&new.description).into(),
        message: (&new.message).into(),
        create_time: now.wall,
        update_time: now.wall,
        retention: Retention {
            span: whole_micros(new.retention.unwrap_or(retention)),
            from: None,
            told: new.retention.map(|_| Told::Exactly),
        },
        held: None,
        deadline: new.deadline,
        kind: (&new.kind).into(),
        node: (&new.node).into(),
        scope: new.scope.clone().filter(|scope| *scope != Default::default()),
        labels: new.labels.clone().into(),
        progress: new.progress.clone(),
        parent: new.parent,
        allows: new.allows,
        cooperative: new.cooperative,
        lease: None,
        claims: 0,
        losses: 0,
        payload_bytes: None,
        result_bytes: None,
        idempotency_key: new.idempotency_key.as_ref().map(Text::from),
        revision: Revision::default(),
    }
}

/// In what a job differs from the one that this creation would make, of what a job keeps for its
/// life. What may have changed since (message, progress, retention, labels) is no part of it.
pub(crate) fn differs_in(job: &Job, new: &NewJob) -> Option<&'static str> {
    let NewJob {
        uuid,
        description,
        message: _,
        kind,
        node,
        scope: _, // The key is one within it.
        labels: _,
        progress: _,
        allows,
        cooperative,
        idempotency_key: _,
        parent,
        deadline,
        retention: _,
    } = new;
    let differs = [
        ("uuid", uuid.is_some_and(|uuid| uuid != job.uuid)),
        ("description", *description != job.description),
        ("kind", *kind != job.kind),
        ("node", *node != job.node),
        ("allows", *allows != job.allows),
        ("cooperative", *cooperative != job.cooperative),
        ("parent", *parent != job.parent),
        ("deadline", *deadline != job.deadline),
    ];
    differs.iter().find(|(_, differs)| *differs).map(|(field, _)| *field)
}

/// The job that an import makes: as it stood elsewhere, every time kept. One that has ended without
/// a time to expire is retained from now on.
///
/// # Errors
///
/// `Gone` when its time is up; `InvalidValue` when it lies in the future or brings what an import
/// cannot; `Contradiction` when it breaks an invariant.
pub(crate) fn import(parts: &JobParts, leases: &LeaseOptions, now: Moment) -> Result<Job> {
    check_importable(parts)?;
    check_past(parts, now)?;
    let stays = if parts.state.is_terminal() { Some(stay(parts, now)?) } else { None };
    let mut job = Job::of_parts(parts)?;
    job.revision = Revision::default();
    if let Some(lease) = &mut job.lease {
        // Whoever held the job elsewhere has as long as ever to be heard of.
        let term = lease.term.unwrap_or(leases.term);
        (lease.term, lease.until) = (Some(term), now.engine.saturating_add(term));
    }
    if let (
        Some((span, from, expire_time)),
        Phase::Success { ended, .. } | Phase::Failure { ended, .. },
    ) = (stays, &mut job.phase)
    {
        (job.retention.span, job.retention.from) = (span, from);
        ended.expire_time = expire_time;
    }
    Ok(job)
}

fn begin(job: &mut Job, stamp: Timestamp) {
    let start_time = job.start_time().unwrap_or(stamp);
    job.phase = Phase::Running { start_time };
}

fn tell(job: &mut Job, update: &Update) {
    let Update::Report(Report { message, progress, severity: _ }) = update else { return };
    if let Some(message) = message {
        job.message = message.into();
    }
    if progress.is_some() {
        job.progress.clone_from(progress);
    }
}

fn halt(job: &mut Job) {
    if let Phase::Running { start_time } = job.phase {
        job.phase = Phase::Paused { start_time };
    }
    answer(job, Action::Pause);
}

fn go_on(job: &mut Job) {
    if let Phase::Paused { start_time } = job.phase {
        job.phase = Phase::Running { start_time };
    }
    answer(job, Action::Resume);
}

/// Clears the request that the job has just met.
fn answer(job: &mut Job, met: Action) {
    if job.requested.as_ref().is_some_and(|request| request.action == met) {
        job.requested = None;
    }
}

fn end_well(job: &mut Job, update: &Update, stamp: Timestamp, now: Moment) {
    let Update::Succeed(Success { message, code }) = update else { return };
    if let Some(message) = message {
        job.message = message.into();
    }
    if job.message.is_empty() {
        job.message = DEFAULT_SUCCESS.into();
    }
    job.phase = Phase::Success { ended: end(job, stamp, now), code: *code };
}

/// The message of a success whose worker never gave any, as ONTAP has it.
const DEFAULT_SUCCESS: &str = "success";

fn end_badly(
    job: &mut Job,
    update: &Update,
    message_bytes: usize,
    stamp: Timestamp,
    now: Moment,
) -> Result<()> {
    let Update::Fail(Failure { code, message, cause, error }) = update else { return Ok(()) };
    let error = error.clone().unwrap_or_default();
    let canceling = job.requested.take().filter(|request| request.action == Action::Cancel);
    let cause = match (cause, &canceling) {
        (Some(cause), _) => *cause,
        (None, Some(_)) => Cause::Canceled,
        (None, None) => Cause::Error,
    };
    let code = match agreed("error.code", *code, error.code)? {
        None => cause.default_code(),
        Some(code) => NonZeroI64::new(code).ok_or_else(|| {
            Error::new(ErrorKind::InvalidValue, "a failure has a code other than 0")
                .with_field("code")
        })?,
    };
    let given = |message: &Option<String>| message.clone().filter(|message| !message.is_empty());
    job.message = match agreed("error.message", given(message), given(&error.message))? {
        Some(message) => message.into(),
        None => match (canceling.as_deref(), cause) {
            (Some(Request { by, reason, .. }), Cause::Canceled) => {
                canceled_message(Asked { message_bytes, ..Asked::of(by, reason) }).into()
            }
            _ => cause.default_message().into(),
        },
    };
    let detail = ErrorDetail { target: error.target.into(), arguments: error.arguments };
    let detail = Box::new(detail);
    job.phase = Phase::Failure { ended: end(job, stamp, now), cause, code, detail };
    Ok(())
}

/// What two places say, where neither contradicts the other.
fn agreed<T: PartialEq>(field: &str, outer: Option<T>, inner: Option<T>) -> Result<Option<T>> {
    match (&outer, &inner) {
        (Some(a), Some(b)) if a != b => Err(Error::new(
            ErrorKind::Contradiction,
            "the error says something else than the failure that carries it",
        )
        .with_field(field)),
        _ => Ok(outer.or(inner)),
    }
}

fn cancel(job: &mut Job, asked: Asked<'_>, stamp: Timestamp, now: Moment) {
    let cause = Cause::Canceled;
    job.message = canceled_message(asked).into();
    job.phase = Phase::Failure {
        ended: end(job, stamp, now),
        cause,
        code: cause.default_code(),
        detail: Box::default(),
    };
}

/// Says by whom and why, where the message has room for it.
fn canceled_message(asked: Asked<'_>) -> String {
    let plain = Cause::Canceled.default_message();
    let mut message = plain.to_owned();
    if !asked.by.name().is_empty() {
        message.push_str(" by ");
        message.push_str(asked.by.name());
    }
    if !asked.reason.is_empty() {
        message.push_str(": ");
        message.push_str(asked.reason);
    }
    if message.len() <= asked.message_bytes { message } else { plain.to_owned() }
}

/// The times of a job that ends now. Its retention counts in engine time, which is the wall's
/// unless that has stepped since the store was opened.
fn end(job: &mut Job, stamp: Timestamp, now: Moment) -> Ended {
    job.requested = None;
    job.lease = None;
    let from = retention::of_stay(stamp, now);
    job.retention.from = Some(from);
    Ended {
        start_time: job.start_time(),
        end_time: stamp,
        expire_time: Some(from.saturating_add(job.retention.span)),
    }
}

/// Two readings that differ by less than this come from clocks that agree: the rest is the time
/// between the readings. (Where a clock is slewed, the monotonic one is slewed along with it.)
fn is_same_clock(a: Timestamp, b: Timestamp) -> bool {
    const APART: Duration = Duration::from_millis(10);
    a.saturating_since(b).max(b.saturating_since(a)) < APART
}

/// Lets the job stay longer after its end, and says whether it did not already.
fn stretch(job: &mut Job, update: &Update) -> bool {
    let Update::Extend(extension) = update else { return false };
    let span = whole_micros(extension.retention);
    let retention = &mut job.retention;
    if span <= retention.span {
        return false;
    }
    retention.span = span;
    let from = retention.from;
    if from.is_none() {
        retention.told = retention.told.or(Some(Told::AtLeast));
    }
    if let Phase::Success { ended, .. } | Phase::Failure { ended, .. } = &mut job.phase
        && let (Some(expire_time), Some(from)) = (&mut ended.expire_time, from)
    {
        *expire_time = from.saturating_add(span);
    }
    true
}

/// Sets and takes out labels, and says whether that changes anything.
fn mark(job: &mut Job, update: &Update) -> bool {
    let Update::Relabel(relabel) = update else { return false };
    let mut labels = BTreeMap::from(&job.labels);
    for (name, value) in &relabel.labels {
        match value {
            Some(value) => labels.insert(name.clone(), value.clone()),
            None => labels.remove(name),
        };
    }
    let labels = Labels::from(labels);
    let has_changed = labels != job.labels;
    job.labels = labels;
    has_changed
}

/// A span as the store keeps it.
fn whole_micros(span: Duration) -> Duration {
    Duration::new(span.as_secs(), span.subsec_micros() * 1_000)
}

enum Answer {
    /// The same is pending already; the first request stands.
    Pending,
    /// The worker is to answer it.
    Kept(Request),
    /// It takes effect at once.
    AtOnce,
}

fn ask(job: &Job, action: Action, asked: Asked<'_>, stamp: Timestamp) -> Result<Answer> {
    let answers_for_itself = job.cooperative || job.lease.is_some();
    if !answers_for_itself {
        return Ok(Answer::AtOnce);
    }
    match &job.requested {
        Some(request) if request.action == action => Ok(Answer::Pending),
        Some(request) if request.action == Action::Cancel => Err(Error::new(
            ErrorKind::CancelPending,
            format!("cancel was requested at {}; only the job's end undoes that", request.time),
        )
        .with_job(job.uuid)),
        _ => Ok(Answer::Kept(Request {
            action,
            by: asked.by.clone(),
            time: stamp,
            reason: asked.reason.into(),
        })),
    }
}

fn check_allowed(job: &Job, action: Action) -> Result<()> {
    let (is_allowed, kind) = match action {
        Action::Pause => (job.allows.pause, ErrorKind::CannotPause),
        Action::Resume => (true, ErrorKind::NotPaused),
        Action::Cancel => (job.allows.cancel, ErrorKind::CannotCancel),
    };
    if is_allowed {
        return Ok(());
    }
    Err(Error::new(kind, format!("the job does not allow {action}")).with_job(job.uuid))
}

fn refusal(kind: ErrorKind, job: &Job, update: &Update) -> Error {
    let needs = match kind {
        ErrorKind::NotQueued => "only a queued job can begin",
        ErrorKind::NotRunning => "the job must be running",
        ErrorKind::NotPaused => "the job must be paused",
        ErrorKind::StillLive => "cancel it first, or wait for its end",
        ErrorKind::LeaseLost => "it is held by nobody",
        _ => "an end is final",
    };
    Error::new(kind, format!("cannot {} a job in state {}: {needs}", update.name(), job.state()))
        .with_job(job.uuid)
}

/// Says who holds the job, and why.
fn held(job: &Job) -> Error {
    let mut message = "cannot delete a job that is held".to_owned();
    if let Some(held) = &job.held {
        if !held.by.name().is_empty() {
            message.push_str(&format!(" by {}", held.by.name()));
        }
        message.push_str(&format!(" since {}", held.time));
        if !held.reason.is_empty() {
            message.push_str(&format!(" ({})", held.reason));
        }
    }
    message.push_str(": let it go first");
    Error::new(ErrorKind::Held, message).with_job(job.uuid)
}

/// Refuses what stands outside the record (a payload) or what nothing in this build would act upon.
fn check_importable(parts: &JobParts) -> Result<()> {
    let brought = [
        ("payload_bytes", parts.payload_bytes.is_some()),
        ("result_bytes", parts.result_bytes.is_some()),
    ];
    if let Some((field, _)) = brought.iter().find(|(_, is_set)| *is_set) {
        return Err(Error::new(ErrorKind::InvalidValue, "an import cannot bring it; leave it out")
            .with_field(*field));
    }
    if let Some(lease) = &parts.lease {
        check_lease(parts, lease)?;
    }
    // A request waits only where the lifecycle would have let it wait.
    let Some(request) = &parts.requested else { return Ok(()) };
    let fits = match request.action {
        Action::Pause => parts.state == State::Running,
        Action::Resume => parts.state == State::Paused,
        Action::Cancel => matches!(parts.state, State::Running | State::Paused),
    };
    if fits && (parts.cooperative || parts.lease.is_some()) {
        return Ok(());
    }
    let kind = if parts.cooperative { "cooperative" } else { "neither cooperative nor held" };
    Err(Error::new(
        ErrorKind::Contradiction,
        format!("{} cannot wait for a {} job that is {kind}", request.action, parts.state),
    )
    .with_field("requested"))
}

fn check_lease(parts: &JobParts, lease: &Lease) -> Result<()> {
    let contradiction =
        |field, message| Err(Error::new(ErrorKind::Contradiction, message).with_field(field));
    if !matches!(parts.state, State::Running | State::Paused) {
        return contradiction("lease", format!("a {} job is held by nobody", parts.state));
    }
    if lease.token > u64::from(parts.claims) {
        let message = format!("{} was never given: claims is {}", lease.token, parts.claims);
        return contradiction("lease.token", message);
    }
    Ok(())
}

fn check_past(parts: &JobParts, now: Moment) -> Result<()> {
    let latest = now.wall.max(now.engine);
    let times = [
        ("create_time", Some(parts.create_time)),
        ("start_time", parts.start_time),
        ("end_time", parts.end_time),
        ("update_time", Some(parts.update_time)),
        ("retained_from", parts.retained_from),
        ("requested.time", parts.requested.as_ref().map(|request| request.time)),
        ("held.time", parts.held.as_ref().map(|held| held.time)),
    ];
    for (field, time) in times {
        if let Some(time) = time
            && time > latest
        {
            return Err(Error::new(
                ErrorKind::InvalidValue,
                format!("{time} lies in the future; it is {latest}"),
            )
            .with_field(field));
        }
    }
    Ok(())
}

/// How long an imported job stays that has ended, from when on that counts, and when it expires.
fn stay(parts: &JobParts, now: Moment) -> Result<(Duration, Option<Timestamp>, Option<Timestamp>)> {
    let (span, from, expire_time) = match (parts.expire_time, parts.retained_from) {
        // It stays until it is let go.
        (None, from) if parts.held.is_some() => (parts.retention, from.unwrap_or(now.engine), None),
        (None, from) => {
            let from = from.unwrap_or(now.engine);
            (parts.retention, from, Some(from.saturating_add(parts.retention)))
        }
        (Some(expire_time), Some(from)) => {
            let sum = from.saturating_add(parts.retention);
            if sum != expire_time {
                return Err(Error::new(
                    ErrorKind::Contradiction,
                    format!("{expire_time} is not retained_from and retention, which make {sum}"),
                )
                .with_field("expire_time"));
            }
            (parts.retention, from, Some(expire_time))
        }
        (Some(expire_time), None) => {
            let end_time = parts.end_time.unwrap_or(parts.update_time);
            let span = expire_time.saturating_since(end_time);
            // Otherwise what is exported could not be imported again.
            if span > Duration::from_secs(RETENTION_SECONDS) {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!(
                        "{expire_time} is more than {RETENTION_SECONDS} s after the end; set \
                         retained_from and retention to say what is meant"
                    ),
                )
                .with_field("expire_time"));
            }
            (span, end_time.min(expire_time), Some(expire_time))
        }
    };
    match expire_time {
        Some(expire_time) if expire_time <= now.engine => {
            Err(Error::new(ErrorKind::Gone, format!("the job expired at {expire_time}"))
                .with_job(parts.uuid))
        }
        _ => Ok((span, Some(from), expire_time)),
    }
}

#[cfg(test)]
#[path = "lifecycle_test.rs"]
mod tests;
