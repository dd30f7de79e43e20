//! Everything a caller may ask to change, with who asks and why.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::job::{
    Action, Actor, Allows, Argument, Cause, JobId, JobParts, Progress, Revision, Scope, Severity,
    Tenant,
};
use crate::limits::{Limits, check_count, check_name, check_text};
use crate::query::{Expr, Order};
use crate::store::Durability;
use crate::timestamp::Timestamp;

/// One change that a caller asks for.
///
/// ```
/// use jobtrack::{Action, Actor, Command, Durability, JobId};
///
/// let id: JobId = "1cd8a442-86d1-11e0-ae1c-123478563412".parse()?;
/// let command = Command::request(id, Action::Cancel)
///     .by(Actor::named("alice"))
///     .because("maintenance")
///     .durability(Durability::Deferred);
/// assert_eq!(command.actor.name(), "alice");
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Command {
    /// What is to change.
    pub change: Change,
    /// Who asks.
    pub actor: Actor,
    /// Why; empty if nobody said.
    pub reason: String,
    /// What the change must survive before it is acknowledged.
    pub durability: Durability,
    /// The revision at which the job must stand; otherwise the command is refused as a conflict.
    pub expected: Option<Revision>,
    /// The fencing token of the lease under which the job is held, which its worker must show.
    pub token: Option<u64>,
    /// Whether the job is to be ended over the head of whoever holds it.
    pub forced: bool,
    /// Whose jobs alone it may see and change; set where a tenant asks.
    pub(crate) tenant: Option<Tenant>,
}

/// What is to change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Make a job known, queued.
    Create(Box<NewJob>),
    /// Make a job known as it stood elsewhere.
    Import(Box<JobParts>),
    /// Change a job that is known.
    Update(JobId, Update),
    /// Give a worker the best of the queued jobs that match.
    Claim(Box<Claim>),
}

/// What is to change in a job that is known. The lifecycle has one row for each.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Its worker begins: queued → running.
    Start,
    /// Its worker tells where it stands.
    Report(Report),
    /// Its worker has stopped for a while: running → paused.
    Pause,
    /// Its worker goes on: paused → running.
    Resume,
    /// Its worker is done: → success.
    Succeed(Success),
    /// Its worker gives up: → failure.
    Fail(Failure),
    /// An operator asks for something.
    Request(Action),
    /// Somebody wants it to stay longer after its end.
    Extend(Extension),
    /// Somebody gives it other labels.
    Relabel(Relabel),
    /// Forget it; only a tombstone stays.
    Delete,
    /// A worker wants to hold it: queued → running, and no other may write as its worker.
    Claim(Hold),
    /// Its holder needs it for longer.
    Renew(Renewal),
    /// Its holder gives it back: → queued.
    Release,
    /// Somebody wants its idempotency key for another job.
    FreeKey,
    /// Somebody wants it to stay until it is let go: the command says who, and why.
    Hold,
    /// It may expire as any other.
    Unhold,
}

impl Command {
    fn new(change: Change) -> Self {
        Command {
            change,
            actor: Actor::default(),
            reason: String::new(),
            durability: Durability::Synced,
            expected: None,
            token: None,
            forced: false,
            tenant: None,
        }
    }

    /// Make a job known.
    pub fn create(job: NewJob) -> Self {
        Command::new(Change::Create(Box::new(job)))
    }

    /// Make a job known as it stood elsewhere, with every time it brings. Its revision is not kept.
    pub fn import(job: JobParts) -> Self {
        Command::new(Change::Import(Box::new(job)))
    }

    /// Change a job that is known.
    pub fn update(job: JobId, update: Update) -> Self {
        Command::new(Change::Update(job, update))
    }

    /// Its worker begins.
    pub fn start(job: JobId) -> Self {
        Command::update(job, Update::Start)
    }

    /// Its worker tells where it stands.
    pub fn report(job: JobId, report: impl Into<Report>) -> Self {
        Command::update(job, Update::Report(report.into()))
    }

    /// Its worker has stopped for a while.
    pub fn pause(job: JobId) -> Self {
        Command::update(job, Update::Pause)
    }

    /// Its worker goes on.
    pub fn resume(job: JobId) -> Self {
        Command::update(job, Update::Resume)
    }

    /// Its worker is done.
    pub fn succeed(job: JobId, success: Success) -> Self {
        Command::update(job, Update::Succeed(success))
    }

    /// Its worker gives up.
    pub fn fail(job: JobId, failure: Failure) -> Self {
        Command::update(job, Update::Fail(failure))
    }

    /// An operator asks for something.
    pub fn request(job: JobId, action: Action) -> Self {
        Command::update(job, Update::Request(action))
    }

    /// Somebody wants it to stay at least so long after its end. A retention is never shortened.
    pub fn extend(job: JobId, retention: Duration) -> Self {
        Command::update(job, Update::Extend(Extension { retention }))
    }

    /// Give a job other labels: set these, take out those without a value, leave the rest.
    pub fn relabel(job: JobId, relabel: impl Into<Relabel>) -> Self {
        Command::update(job, Update::Relabel(relabel.into()))
    }

    /// Forget a job that has ended.
    pub fn delete(job: JobId) -> Self {
        Command::update(job, Update::Delete)
    }

    /// Give a worker the best of the queued jobs that match.
    pub fn claim(claim: Claim) -> Self {
        Command::new(Change::Claim(Box::new(claim)))
    }

    /// Give a worker this job, which nobody holds.
    pub fn claim_job(job: JobId, hold: Hold) -> Self {
        Command::update(job, Update::Claim(hold))
    }

    /// Its holder needs the job for another term, of another length if one is given. Deferred unless
    /// told otherwise: whoever opens the store gives every lease a full term anyway.
    pub fn renew(job: JobId, token: u64, term: Option<Duration>) -> Self {
        Command::update(job, Update::Renew(Renewal { term }))
            .holding(token)
            .durability(Durability::Deferred)
    }

    /// Its holder gives the job back, to be claimed by another.
    pub fn release(job: JobId, token: u64) -> Self {
        Command::update(job, Update::Release).holding(token)
    }

    /// Let go of its idempotency key, so that the key makes a new job.
    pub fn free_key(job: JobId) -> Self {
        Command::update(job, Update::FreeKey)
    }

    /// Somebody wants it to stay after its end until it is let go, whatever its retention. Say
    /// [who](Command::by), and [why](Command::because): that stays with the job.
    pub fn hold(job: JobId) -> Self {
        Command::update(job, Update::Hold)
    }

    /// It may expire as any other, with what was left of its stay when it was held.
    pub fn unhold(job: JobId) -> Self {
        Command::update(job, Update::Unhold)
    }

    /// Shows the token of the lease under which the job is held, and gives it a full term again.
    #[must_use]
    pub fn holding(mut self, token: u64) -> Self {
        self.token = Some(token);
        self
    }

    /// Ends the job whoever holds it, as an operator does who knows better.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.forced = true;
        self
    }

    /// The same as of this tenant, who has no other's jobs changed.
    pub(crate) fn of_tenant(mut self, tenant: Option<&Tenant>) -> Self {
        self.tenant = tenant.cloned();
        self
    }

    /// Says who asks.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Says why.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Says what the change must survive before it is acknowledged: synced unless told otherwise.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Refuses the command as a conflict unless the job stands at this revision.
    #[must_use]
    pub fn expecting(mut self, revision: Revision) -> Self {
        self.expected = Some(revision);
        self
    }

    /// Checks every text, count and size against the limits.
    pub(crate) fn check(&self, limits: &Limits) -> Result<()> {
        check_name("actor", self.actor.name(), limits.name)?;
        check_text("reason", &self.reason, limits.reason)?;
        if self.forced
            && !matches!(self.change, Change::Update(_, Update::Succeed(_) | Update::Fail(_)))
        {
            return Err(crate::Error::new(
                crate::ErrorKind::InvalidValue,
                "only a job's end can be forced: succeed or fail",
            )
            .with_field("force"));
        }
        if let (Some(revision), Change::Create(_) | Change::Import(_) | Change::Claim(_)) =
            (self.expected, &self.change)
        {
            return Err(crate::Error::new(
                crate::ErrorKind::InvalidValue,
                format!("a job that is yet to be made cannot stand at revision {revision}"),
            )
            .with_field("expected"));
        }
        match &self.change {
            Change::Create(job) => job.check(limits),
            Change::Import(parts) => check_parts(parts, limits),
            Change::Update(_, update) => update.check(limits),
            Change::Claim(claim) => {
                claim.filter.check()?;
                claim.hold.check(limits)
            }
        }
    }
}

/// What a new job is told at its creation. Everything may be left out.
///
/// ```
/// use jobtrack::NewJob;
///
/// let job = NewJob { kind: "backup".to_owned(), ..NewJob::described("Backup of vol1") };
/// assert_eq!(job.description, "Backup of vol1");
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewJob {
    /// Its identity, if the caller brings one.
    pub uuid: Option<JobId>,
    /// What it is.
    pub description: String,
    /// Where it stands.
    pub message: String,
    /// What sort of operation it is.
    pub kind: String,
    /// Where it runs.
    pub node: String,
    /// Whose it is.
    pub scope: Option<Scope>,
    /// Names and values of the application's own.
    pub labels: BTreeMap<String, String>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// What operators may ask of it.
    pub allows: Allows,
    /// Whether its worker answers requests itself.
    pub cooperative: bool,
    /// A name for this very creation, of the caller's choice: within a scope, whoever creates a job
    /// with the same key and the same content gets the first one again, for as long as that is
    /// there. Content is what a job keeps for its life: not its message, progress, retention and
    /// labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The job that it is a part of, which must be there and have not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
    /// The time, in engine time, past which running fails with cause timed out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// How long it stays after its end, in seconds; the engine's own retention unless set.
    #[serde(with = "crate::job::optional_seconds", skip_serializing_if = "Option::is_none")]
    pub retention: Option<Duration>,
}

impl NewJob {
    /// A new job of this description.
    pub fn described(description: impl Into<String>) -> Self {
        NewJob { description: description.into(), ..NewJob::default() }
    }

    fn check(&self, limits: &Limits) -> Result<()> {
        check_text("description", &self.description, limits.description)?;
        check_text("message", &self.message, limits.message)?;
        check_place(&self.kind, &self.node, self.scope.as_ref(), limits)?;
        check_labels(&self.labels, limits)?;
        check_progress(self.progress.as_ref(), limits)?;
        check_key(self.idempotency_key.as_deref(), limits)?;
        check_retention(self.retention)
    }
}

/// Where a job stands, as its worker tells it. What is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Report {
    /// The new message.
    pub message: Option<String>,
    /// How much the message matters, in the job's log; for the record unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// How far it is.
    pub progress: Option<Progress>,
}

impl From<&str> for Report {
    fn from(message: &str) -> Self {
        Report { message: Some(message.to_owned()), ..Report::default() }
    }
}

impl From<String> for Report {
    fn from(message: String) -> Self {
        Report { message: Some(message), ..Report::default() }
    }
}

impl From<Progress> for Report {
    fn from(progress: Progress) -> Self {
        Report { progress: Some(progress), ..Report::default() }
    }
}

/// How a job ended well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Success {
    /// The last message. Without one the job keeps the message it has, or says "success" if it has
    /// none.
    pub message: Option<String>,
    /// A warning's code; zero if there is nothing to warn of.
    pub code: i64,
}

impl Success {
    /// A success with this last message.
    pub fn with_message(message: impl Into<String>) -> Self {
        Success { message: Some(message.into()), code: 0 }
    }
}

/// How a job ended badly. Code and message come from here, else from the error, else from the cause.
///
/// ```
/// use jobtrack::Failure;
///
/// let failure = Failure::new(917_658, "The volume is in use");
/// assert_eq!(failure.code, Some(917_658));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// The code, not zero.
    pub code: Option<i64>,
    /// The message.
    pub message: Option<String>,
    /// What kind of failure it is: an error, or canceled if that was requested, unless set.
    pub cause: Option<Cause>,
    /// What else is known. Where it says code or message, it must not contradict those above.
    pub error: Option<FailureError>,
}

impl Failure {
    /// A failure with this code and message.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Failure { code: Some(code), message: Some(message.into()), ..Failure::default() }
    }
}

/// The error of a failure as a worker tells it; what it leaves out comes from the failure itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FailureError {
    /// The code; in JSON an integer, or a string that holds one.
    #[serde(with = "optional_code")]
    pub code: Option<i64>,
    /// The message.
    pub message: Option<String>,
    /// The parameter or object at fault.
    pub target: String,
    /// Arguments of the message.
    pub arguments: Vec<Argument>,
}

/// How long a job is to stay after its end, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// How long, in seconds.
    #[serde(with = "crate::job::seconds")]
    pub retention: Duration,
}

/// Other labels for a job: those with a value are set, those without are taken out.
///
/// ```
/// use jobtrack::Relabel;
///
/// let relabel = Relabel::from([("tier", Some("gold")), ("draft", None)]);
/// assert_eq!(relabel.labels.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relabel {
    /// The labels by name.
    pub labels: BTreeMap<String, Option<String>>,
}

impl<const N: usize> From<[(&str, Option<&str>); N]> for Relabel {
    fn from(labels: [(&str, Option<&str>); N]) -> Self {
        let owned = |(name, value): (&str, Option<&str>)| (name.to_owned(), value.map(Into::into));
        Relabel { labels: labels.into_iter().map(owned).collect() }
    }
}

impl Relabel {
    fn check(&self, limits: &Limits) -> Result<()> {
        if self.labels.is_empty() {
            let message = "no label is named; give at least one, with null to take it out";
            return Err(
                crate::Error::new(crate::ErrorKind::MissingValue, message).with_field("labels")
            );
        }
        let value = |value: &Option<String>| value.clone().unwrap_or_default();
        let all = self.labels.iter().map(|(name, given)| (name.clone(), value(given))).collect();
        check_labels(&all, limits)
    }
}

/// Which job a worker wants, and how it wants to hold it.
///
/// ```
/// use jobtrack::{Claim, Expr, Hold, Names};
///
/// let backups = Expr::parse("kind", "backup", Names::Native)?;
/// let claim = Claim::matching(backups, Hold::leased("worker-1"));
/// assert!(claim.order.keys().is_empty()); // by uuid: the oldest first
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Which of the queued jobs.
    pub filter: Expr,
    /// Which of them first.
    pub order: Order,
    /// How it is held.
    pub hold: Hold,
}

impl Claim {
    /// A claim of the first queued job that matches, in order of uuid.
    pub fn matching(filter: Expr, hold: Hold) -> Self {
        Claim { filter, order: Order::default(), hold }
    }
}

/// Who wants to hold a job, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The worker's name. What counts is the token that a claim gives: two workers of one name are
    /// two workers.
    pub holder: String,
    /// For how long.
    pub term: Term,
}

/// How long a worker holds a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Term {
    /// As long as the tracker's options say, unless it is renewed.
    #[default]
    Standard,
    /// So long, unless it is renewed.
    For(Duration),
    /// As long as the process lives that has the store open.
    Process,
}

impl Hold {
    /// A worker who is lost when it is not heard of for a term.
    pub fn leased(holder: impl Into<String>) -> Self {
        Hold { holder: holder.into(), term: Term::Standard }
    }

    /// An owner in the tracker's own process, under the name in
    /// [`LeaseOptions::owner`](crate::LeaseOptions::owner): lost when a later incarnation opens the
    /// store.
    pub fn in_process() -> Self {
        Hold { holder: String::new(), term: Term::Process }
    }

    /// The same, for this long.
    #[must_use]
    pub fn lasting(self, term: Duration) -> Self {
        Hold { term: Term::For(term), ..self }
    }

    fn check(&self, limits: &Limits) -> Result<()> {
        check_name("holder", &self.holder, limits.name)?;
        if self.term != Term::Process && self.holder.is_empty() {
            let message = "a job is held by somebody; give a name";
            return Err(
                crate::Error::new(crate::ErrorKind::MissingValue, message).with_field("holder")
            );
        }
        match self.term {
            Term::For(term) => check_term(term),
            Term::Standard | Term::Process => Ok(()),
        }
    }
}

/// For how long a holder needs its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Renewal {
    /// How long the lease lasts from now on, in seconds; as long as before unless given.
    #[serde(with = "crate::job::optional_seconds", skip_serializing_if = "Option::is_none")]
    pub term: Option<Duration>,
}

impl Update {
    /// Whether only the worker makes it, who shows its token if it holds the job.
    pub(crate) fn is_of_worker(&self) -> bool {
        !matches!(
            self,
            Update::Request(_)
                | Update::Extend(_)
                | Update::Relabel(_)
                | Update::Delete
                | Update::FreeKey
                | Update::Hold
                | Update::Unhold
        )
    }

    /// The name of the change, as messages call it.
    pub fn name(&self) -> &'static str {
        match self {
            Update::Start => "start",
            Update::Report(_) => "report",
            Update::Pause => "pause",
            Update::Resume => "resume",
            Update::Succeed(_) => "succeed",
            Update::Fail(_) => "fail",
            Update::Request(Action::Pause) => "request pause",
            Update::Request(Action::Resume) => "request resume",
            Update::Request(Action::Cancel) => "request cancel",
            Update::Extend(_) => "extend",
            Update::Relabel(_) => "relabel",
            Update::Delete => "delete",
            Update::Claim(_) => "claim",
            Update::Renew(_) => "renew",
            Update::Release => "release",
            Update::FreeKey => "free key",
            Update::Hold => "hold",
            Update::Unhold => "unhold",
        }
    }

    fn check(&self, limits: &Limits) -> Result<()> {
        match self {
            Update::Report(report) => {
                check_text("message", report.message.as_deref().unwrap_or(""), limits.message)?;
                if let (Some(severity), None) = (report.severity, &report.message) {
                    let message = format!("{severity} is how much a message matters; give one");
                    return Err(crate::Error::new(crate::ErrorKind::MissingValue, message)
                        .with_field("message"));
                }
                check_progress(report.progress.as_ref(), limits)
            }
            Update::Succeed(success) => {
                check_text("message", success.message.as_deref().unwrap_or(""), limits.message)
            }
            Update::Fail(failure) => {
                check_text("message", failure.message.as_deref().unwrap_or(""), limits.message)?;
                let Some(error) = &failure.error else { return Ok(()) };
                let message = error.message.as_deref().unwrap_or("");
                check_text("error.message", message, limits.message)?;
                check_error(&error.target, &error.arguments, limits)
            }
            Update::Extend(extension) => check_retention(Some(extension.retention)),
            Update::Relabel(relabel) => relabel.check(limits),
            Update::Start
            | Update::Pause
            | Update::Resume
            | Update::Request(_)
            | Update::Release
            | Update::FreeKey
            | Update::Hold
            | Update::Unhold
            | Update::Delete => Ok(()),
            Update::Claim(hold) => hold.check(limits),
            Update::Renew(renewal) => renewal.term.map_or(Ok(()), check_term),
        }
    }
}

fn check_parts(parts: &JobParts, limits: &Limits) -> Result<()> {
    check_text("description", &parts.description, limits.description)?;
    check_text("message", &parts.message, limits.message)?;
    check_place(&parts.kind, &parts.node, parts.scope.as_ref(), limits)?;
    check_labels(&parts.labels, limits)?;
    check_progress(parts.progress.as_ref(), limits)?;
    check_retention(Some(parts.retention))?;
    check_key(parts.idempotency_key.as_deref(), limits)?;
    if let Some(lease) = &parts.lease {
        check_name("lease.holder", &lease.holder, limits.name)?;
        lease.term.map_or(Ok(()), check_term)?;
    }
    if let Some(held) = &parts.held {
        check_name("held.by", held.by.name(), limits.name)?;
        check_text("held.reason", &held.reason, limits.reason)?;
    }
    if let Some(request) = &parts.requested {
        check_name("requested.by", request.by.name(), limits.name)?;
        check_text("requested.reason", &request.reason, limits.reason)?;
    }
    match &parts.error {
        None => Ok(()),
        Some(error) => check_error(&error.target, &error.arguments, limits),
    }
}

fn check_place(kind: &str, node: &str, scope: Option<&Scope>, limits: &Limits) -> Result<()> {
    check_name("kind", kind, limits.name)?;
    check_name("node", node, limits.name)?;
    let Some(scope) = scope else { return Ok(()) };
    check_name("scope.name", &scope.name, limits.name)?;
    check_name("scope.id", &scope.id, limits.name)
}

fn check_labels(labels: &BTreeMap<String, String>, limits: &Limits) -> Result<()> {
    check_count("labels", labels.len(), limits.labels)?;
    for (name, value) in labels {
        if name.is_empty() {
            return Err(crate::Error::new(
                crate::ErrorKind::InvalidValue,
                "a label must have a name",
            )
            .with_field("labels"));
        }
        check_name("labels", name, limits.label_name)?;
        check_name("labels", value, limits.label_value)?;
    }
    Ok(())
}

pub(crate) fn check_progress(progress: Option<&Progress>, limits: &Limits) -> Result<()> {
    match progress {
        None => Ok(()),
        Some(progress) => check_name("progress.unit", &progress.unit, limits.name),
    }
}

fn check_error(target: &str, arguments: &[Argument], limits: &Limits) -> Result<()> {
    check_text("error.target", target, limits.error_text)?;
    check_count("error.arguments", arguments.len(), limits.error_arguments)?;
    for argument in arguments {
        check_text("error.arguments.code", &argument.code, limits.error_text)?;
        check_text("error.arguments.message", &argument.message, limits.error_text)?;
    }
    Ok(())
}

fn check_key(key: Option<&str>, limits: &Limits) -> Result<()> {
    if key == Some("") {
        let message = "an empty key is none; leave it out";
        return Err(crate::Error::new(crate::ErrorKind::InvalidValue, message)
            .with_field("idempotency_key"));
    }
    check_name("idempotency_key", key.unwrap_or(""), limits.name)
}

pub(crate) fn check_term(term: Duration) -> Result<()> {
    let longest = crate::limits::LEASE_SECONDS;
    if term >= Duration::from_millis(1) && term <= Duration::from_secs(longest) {
        return Ok(());
    }
    Err(crate::Error::new(
        crate::ErrorKind::InvalidValue,
        format!("{} s is no term of a lease; give 0.001 to {longest} s", term.as_secs_f64()),
    )
    .with_field("term"))
}

pub(crate) fn check_retention(retention: Option<Duration>) -> Result<()> {
    let longest = Duration::from_secs(crate::limits::RETENTION_SECONDS);
    match retention {
        Some(span) if span > longest => Err(crate::Error::new(
            crate::ErrorKind::LimitExceeded,
            format!("{} s are given, at most {} s may be", span.as_secs(), longest.as_secs()),
        )
        .with_field("retention")),
        _ => Ok(()),
    }
}

mod optional_code {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Code {
        Number(i64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(
        code: &Option<i64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        code.map(|code| code.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<i64>, D::Error> {
        match Option::<Code>::deserialize(deserializer)? {
            None => Ok(None),
            Some(Code::Number(code)) => Ok(Some(code)),
            Some(Code::Text(text)) => text
                .parse()
                .map(Some)
                .map_err(|_| serde::de::Error::custom("error.code must be an integer")),
        }
    }
}
