//! What parameters and bodies look like. Nothing is ever made of these types: they are described, and
//! tests hold them to what is read and written (`openapi_test`). The engine's own types know nothing
//! of documents.
//!
//! A member that may be left out of an answer is not `required`; one that may be `null` in a request
//! is an `Option`. No answer has a `null`.

#![allow(dead_code, reason = "these types are described, and never made")]

use std::collections::BTreeMap;

use utoipa::{IntoParams, ToSchema};

/// A job's identity, with hyphens.
#[derive(ToSchema)]
#[schema(value_type = String, format = "uuid", as = Uuid)]
pub(crate) struct Uuid(String);

/// Which commit: the store's epoch, and the number of the commit within it.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[0-9]+-[0-9]+$", example = "3-1024")]
pub(crate) struct Revision(String);

/// An instant, in UTC where it is shown.
#[derive(ToSchema)]
#[schema(value_type = String, format = "date-time", example = "2026-03-01T10:00:00Z")]
pub(crate) struct Time(String);

/// The state of a job. The last two are final.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum State {
    Queued,
    Running,
    Paused,
    Success,
    Failure,
}

/// What kind of failure ended a job.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Cause {
    Error,
    Canceled,
    Lost,
    TimedOut,
}

/// What an operator can ask.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Action {
    Pause,
    Resume,
    Cancel,
}

/// Whether a live job stays just so long as it was told, or at least so long.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Told {
    Exactly,
    AtLeast,
}

/// A job, with a member for each field that is set.
#[derive(ToSchema)]
pub(crate) struct Job {
    pub(crate) uuid: Uuid,
    pub(crate) state: State,
    /// What an operator asked and the worker has not answered yet.
    #[schema(required = false)]
    pub(crate) requested: Requested,
    #[schema(required = false)]
    pub(crate) cause: Cause,
    /// What it is.
    #[schema(required = false)]
    pub(crate) description: String,
    /// Where it stands.
    #[schema(required = false)]
    pub(crate) message: String,
    /// Zero until a failure; a success may have a warning's.
    pub(crate) code: i64,
    #[schema(required = false)]
    pub(crate) error: JobError,
    pub(crate) create_time: Time,
    #[schema(required = false)]
    pub(crate) start_time: Time,
    #[schema(required = false)]
    pub(crate) end_time: Time,
    pub(crate) update_time: Time,
    /// How long it stays after its end, in seconds.
    pub(crate) retention: f64,
    #[schema(required = false)]
    pub(crate) retained_from: Time,
    /// From when on it is in no answer.
    #[schema(required = false)]
    pub(crate) expire_time: Time,
    /// Who keeps it beyond that.
    #[schema(required = false)]
    pub(crate) held: Held,
    /// How it was told how long to stay, while it lives.
    #[schema(required = false)]
    pub(crate) retention_told: Told,
    /// Past which running fails.
    #[schema(required = false)]
    pub(crate) deadline: Time,
    #[schema(required = false)]
    pub(crate) kind: String,
    #[schema(required = false)]
    pub(crate) node: String,
    #[schema(required = false)]
    pub(crate) scope: Scope,
    #[schema(required = false)]
    pub(crate) labels: BTreeMap<String, String>,
    #[schema(required = false)]
    pub(crate) progress: Progress,
    #[schema(required = false)]
    pub(crate) parent: Uuid,
    pub(crate) allows: Allows,
    /// Whether its worker answers requests itself.
    pub(crate) cooperative: bool,
    #[schema(required = false)]
    pub(crate) lease: Lease,
    /// How often it has been claimed.
    #[schema(required = false)]
    pub(crate) claims: u64,
    /// How often its worker was lost.
    #[schema(required = false)]
    pub(crate) losses: u64,
    #[schema(required = false)]
    pub(crate) payload_bytes: u64,
    #[schema(required = false)]
    pub(crate) result_bytes: u64,
    #[schema(required = false)]
    pub(crate) idempotency_key: String,
    pub(crate) revision: Revision,
}

/// By whom a job is held, since when and why.
#[derive(ToSchema)]
pub(crate) struct Held {
    #[schema(required = false)]
    by: String,
    time: Time,
    #[schema(required = false)]
    reason: String,
}

/// What an operator asked.
#[derive(ToSchema)]
pub(crate) struct Requested {
    action: Action,
    /// Who asked, if that is known.
    #[schema(required = false)]
    by: String,
    time: Time,
    #[schema(required = false)]
    reason: String,
}

/// Whose a job is.
#[derive(ToSchema)]
pub(crate) struct Scope {
    #[schema(required = false)]
    name: String,
    #[schema(required = false)]
    id: String,
}

/// How far a job is.
#[derive(ToSchema)]
pub(crate) struct Progress {
    done: u64,
    #[schema(required = false)]
    total: u64,
    /// Of what: bytes, files, percent.
    #[schema(required = false)]
    unit: String,
}

/// What operators may ask of it; all of it unless told otherwise.
#[derive(ToSchema)]
pub(crate) struct Allows {
    #[schema(required = false)]
    pause: bool,
    #[schema(required = false)]
    cancel: bool,
}

/// Who holds a job, and until when.
#[derive(ToSchema)]
pub(crate) struct Lease {
    holder: String,
    /// What its worker has to show; every later claim has a greater one.
    token: u64,
    #[schema(required = false)]
    since: Time,
    /// How long it lasts unless it is renewed, in seconds.
    #[schema(required = false)]
    term: f64,
    until: Time,
}

/// The error of a failure.
#[derive(ToSchema)]
pub(crate) struct JobError {
    /// The job's code, as text.
    #[schema(pattern = "^-?[0-9]+$")]
    code: String,
    message: String,
    #[schema(required = false)]
    target: String,
    #[schema(required = false)]
    arguments: Vec<Argument>,
}

/// A named argument of an error.
#[derive(ToSchema)]
pub(crate) struct Argument {
    #[schema(required = false)]
    code: String,
    #[schema(required = false)]
    message: String,
}

/// A job, or what `fields` asks for of it. Made of `Job`, whose members it has, all but the uuid
/// optional.
#[derive(ToSchema)]
pub(crate) struct Record {}

/// A page, or an explanation. Made in `complete`.
#[derive(ToSchema)]
pub(crate) struct Listing {}

/// A page of jobs, or their number.
#[derive(ToSchema)]
pub(crate) struct Page {
    /// Absent with `return_records=false`.
    #[schema(required = false)]
    records: Vec<Record>,
    /// How many records there are on the page; with `return_records=false`, how many match.
    num_records: u64,
    revision: Revision,
    /// The time by which jobs have expired.
    horizon: Time,
    /// The path of the next page, if there is one.
    #[schema(required = false)]
    next: String,
}

/// What a query takes.
#[derive(ToSchema)]
pub(crate) struct Explanation {
    plan: String,
    filter: String,
    order: String,
    steps: Vec<Step>,
    records: u64,
}

/// What was done in some of the places where jobs stand.
#[derive(ToSchema)]
pub(crate) struct Step {
    what: String,
    places: u64,
    expected: u64,
    read: u64,
    found: u64,
}

/// How many jobs there are.
#[derive(ToSchema)]
pub(crate) struct Counts {
    total: u64,
    /// For each state its number.
    states: BTreeMap<String, u64>,
    /// For each kind its states that are not zero; the kind without a name is that of the jobs
    /// without one.
    kinds: BTreeMap<String, BTreeMap<String, u64>>,
    revision: Revision,
    horizon: Time,
}

/// A job and all below it.
#[derive(ToSchema)]
pub(crate) struct Tree {
    records: Vec<TreeRecord>,
    num_records: u64,
    /// Whether some were left out.
    is_cut: bool,
    revision: Revision,
    horizon: Time,
}

/// A job of a tree: the members of a record beside these.
#[derive(ToSchema)]
pub(crate) struct TreeRecord {
    /// How far below the first it stands.
    depth: u64,
    /// How many children it has in each state, unless it has none.
    #[schema(required = false)]
    children: BTreeMap<String, u64>,
}

/// What to do to every job that a filter matches.
#[derive(ToSchema)]
pub(crate) struct Bulk {
    pub(crate) action: BulkAction,
    /// As in the URL of a list.
    #[schema(min_length = 1)]
    pub(crate) filter: String,
    /// Of extend, and needed there: how long they are to stay, in seconds.
    pub(crate) retention: Option<f64>,
    /// Of relabel, and needed there; null takes a label out.
    pub(crate) labels: Option<BTreeMap<String, Option<String>>>,
    #[schema(required = false)]
    pub(crate) reason: String,
    /// Of the job that does it.
    #[schema(required = false)]
    pub(crate) description: String,
    #[schema(required = false)]
    pub(crate) dry_run: bool,
}

/// What is done to them.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum BulkAction {
    Cancel,
    Delete,
    Extend,
    Relabel,
}

/// How many jobs match.
#[derive(ToSchema)]
pub(crate) struct DryRun {
    num_records: u64,
    revision: Revision,
    horizon: Time,
}

/// What happened to a job.
#[derive(ToSchema)]
pub(crate) struct Log {
    entries: Vec<LogEntry>,
    /// How many are not kept any more.
    dropped: u64,
}

/// One thing that happened to a job.
#[derive(ToSchema)]
pub(crate) struct LogEntry {
    revision: Revision,
    /// Its place within that commit.
    ordinal: u64,
    time: Time,
    kind: LogKind,
    #[schema(required = false)]
    from: State,
    #[schema(required = false)]
    to: State,
    #[schema(required = false)]
    actor: String,
    #[schema(required = false)]
    reason: String,
    #[schema(required = false)]
    severity: Severity,
    #[schema(required = false)]
    message: String,
}

/// What it was.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum LogKind {
    Created,
    Imported,
    Started,
    Message,
    Paused,
    Resumed,
    Succeeded,
    Failed,
    PauseRequested,
    ResumeRequested,
    CancelRequested,
    Extended,
    Relabeled,
    Held,
    Unheld,
    Claimed,
    Released,
    KeyFreed,
    Lost,
    TimedOut,
}

/// How much a message matters.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Severity {
    Info,
    Warning,
    Error,
}

/// How many jobs began and ended in each stretch of time.
#[derive(ToSchema)]
pub(crate) struct Activity {
    from: Time,
    to: Time,
    /// How long a stretch is, in seconds.
    step: u64,
    created: Vec<u64>,
    succeeded: Vec<u64>,
    failed: Vec<u64>,
    revision: Revision,
    horizon: Time,
}

/// As whom the server takes who asks.
#[derive(ToSchema)]
pub(crate) struct Whoami {
    /// Null where the server has no users.
    #[schema(required = true)]
    user: Option<String>,
    role: Role,
    /// The scope whose jobs alone they see; null where they see all.
    #[schema(required = true)]
    scope: Option<Scope>,
}

/// What a user may do; each may do what those before it may.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Role {
    Read,
    Control,
    Admin,
}

/// How far a job is, and how long it may still take.
#[derive(ToSchema)]
pub(crate) struct ProgressAnswer {
    uuid: Uuid,
    state: State,
    #[schema(required = false)]
    progress: Progress,
    #[schema(required = false)]
    estimate: Estimate,
}

/// How long a job may still take, and what that rests on.
#[derive(ToSchema)]
pub(crate) struct Estimate {
    /// Seconds, if it goes on as it has.
    remaining: f64,
    /// Seconds since its start.
    elapsed: f64,
    done: u64,
    total: u64,
}

/// What became of an import.
#[derive(ToSchema)]
pub(crate) struct Imported {
    /// Lines that are jobs now.
    imported: u64,
    /// Lines whose time was up already.
    expired: u64,
    /// The first hundred bad lines.
    bad: Vec<BadLine>,
    bad_count: u64,
    /// The bad line at which it stopped.
    #[schema(required = false)]
    stopped_at: u64,
}

/// A line that is no job.
#[derive(ToSchema)]
pub(crate) struct BadLine {
    line: u64,
    error: String,
}

/// Where things are.
#[derive(ToSchema)]
pub(crate) struct Index {
    name: String,
    version: String,
    openapi: String,
    jobs: String,
    claim: String,
    bulk: String,
    counts: String,
    activity: String,
    whoami: String,
    watch: String,
    import: String,
    export: String,
    backup: String,
    engine: String,
    page: String,
    ontap: String,
}

/// How the tracker stands, and what it was told.
#[derive(ToSchema)]
pub(crate) struct Engine {
    revision: Revision,
    /// The time by which leases, deadlines and expiry go.
    time: Time,
    /// What the jobs take in memory.
    memory_bytes: u64,
    format: Format,
    opened: Opened,
    options: EngineOptions,
}

/// The format level of the store, and the newest that this release knows.
#[derive(ToSchema)]
pub(crate) struct Format {
    store: u64,
    newest: u64,
}

/// What opening the store found.
#[derive(ToSchema)]
pub(crate) struct Opened {
    epoch: u64,
    was_clean: bool,
    jobs: u64,
    /// Whether they come from the image that the last tracker left when it closed.
    from_image: bool,
    expired: u64,
    lost: u64,
    /// Seconds since it was last open.
    downtime: f64,
    /// Seconds by which the clock was set back meanwhile.
    set_back: f64,
}

/// What the tracker was told; spans are in seconds.
#[derive(ToSchema)]
pub(crate) struct EngineOptions {
    retention: f64,
    tombstones_keep: f64,
    tombstones_at_most: u64,
    history_age: f64,
    history_changes: u64,
    history_bytes: u64,
    lease_term: f64,
    /// The most of everything, in bytes or numbers.
    limits: BTreeMap<String, u64>,
}

/// Up to which revision every change survives.
#[derive(ToSchema)]
pub(crate) struct Synced {
    revision: Revision,
}

/// What upkeep did.
#[derive(ToSchema)]
pub(crate) struct Maintained {
    expired: u64,
    /// Jobs that made room for others.
    evicted: u64,
    tombstones: u64,
    /// Jobs whose lease or deadline had run out.
    lapsed: u64,
    /// Children that followed a change of their parent.
    followed: u64,
    /// Whether more is due.
    more: bool,
}

/// An error (RFC 9457).
#[derive(ToSchema)]
pub(crate) struct Problem {
    status: u16,
    title: String,
    /// For people.
    detail: String,
    /// For programs.
    kind: String,
    /// The parameter, header or member at fault.
    #[schema(required = false)]
    field: String,
    /// The byte at fault within it.
    #[schema(required = false)]
    position: u64,
}

/// What a new job is told. Everything may be left out.
#[derive(ToSchema)]
pub(crate) struct NewJob {
    /// One is made unless given.
    pub(crate) uuid: Option<Uuid>,
    /// What it is.
    #[schema(required = false)]
    pub(crate) description: String,
    /// Where it stands.
    #[schema(required = false)]
    pub(crate) message: String,
    /// What sort of operation it is.
    #[schema(required = false)]
    pub(crate) kind: String,
    /// Where it runs.
    #[schema(required = false)]
    pub(crate) node: String,
    pub(crate) scope: Option<NewScope>,
    /// The application's own.
    #[schema(required = false)]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) progress: Option<NewProgress>,
    #[schema(required = false)]
    pub(crate) allows: NewAllows,
    /// Whether its worker answers requests itself.
    #[schema(required = false)]
    pub(crate) cooperative: bool,
    /// A name for this very creation: the same key with the same content makes one job.
    #[schema(min_length = 1)]
    pub(crate) idempotency_key: Option<String>,
    /// The job that it is a part of, which must be there and not have ended.
    pub(crate) parent: Option<Uuid>,
    /// Past which running fails.
    pub(crate) deadline: Option<Time>,
    /// How long it stays after its end, in seconds.
    #[schema(minimum = 0)]
    pub(crate) retention: Option<f64>,
}

/// Whose a job is.
#[derive(ToSchema)]
pub(crate) struct NewScope {
    #[schema(required = false)]
    name: String,
    #[schema(required = false)]
    id: String,
}

/// How far a job is.
#[derive(ToSchema)]
pub(crate) struct NewProgress {
    done: u64,
    total: Option<u64>,
    /// Of what: bytes, files, percent.
    #[schema(required = false)]
    unit: String,
}

/// What operators may ask of it; all of it unless told otherwise.
#[derive(ToSchema)]
pub(crate) struct NewAllows {
    #[schema(required = false)]
    pause: bool,
    #[schema(required = false)]
    cancel: bool,
}

/// Where a job stands; not nothing.
#[derive(ToSchema)]
pub(crate) struct Report {
    pub(crate) message: Option<String>,
    /// How much the message matters; info unless given.
    pub(crate) severity: Option<Severity>,
    pub(crate) progress: Option<NewProgress>,
}

/// Why it is asked for.
#[derive(ToSchema)]
pub(crate) struct Why {
    #[schema(required = false)]
    reason: String,
}

/// What an operator asks, and why.
#[derive(ToSchema)]
pub(crate) struct Asked {
    action: Action,
    #[schema(required = false)]
    reason: String,
}

/// How long a job is to stay after its end, at least.
#[derive(ToSchema)]
pub(crate) struct Extension {
    /// In seconds.
    #[schema(minimum = 0)]
    retention: f64,
}

/// Who wants to hold a job.
#[derive(ToSchema)]
pub(crate) struct Holder {
    #[schema(min_length = 1)]
    holder: String,
    /// For how many seconds, unless it is renewed.
    #[schema(minimum = 0.001)]
    term: Option<f64>,
}

/// For how long a job is needed.
#[derive(ToSchema)]
pub(crate) struct Renewal {
    /// In seconds; as long as before unless given.
    #[schema(minimum = 0.001)]
    term: Option<f64>,
}

/// How a job ended: well or badly. Made in `complete`.
#[derive(ToSchema)]
pub(crate) struct Finish {}

/// It ended well.
#[derive(ToSchema)]
pub(crate) struct Succeeded {
    state: EndedWell,
    /// A warning's.
    code: Option<i64>,
    message: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum EndedWell {
    Success,
}

/// It ended badly.
#[derive(ToSchema)]
pub(crate) struct Failed {
    state: EndedBadly,
    /// Not 0.
    code: Option<i64>,
    message: Option<String>,
    cause: Option<Cause>,
    error: Option<FailureError>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum EndedBadly {
    Failure,
}

/// What else is known of a failure. Code and message must be those of the failure, where both are
/// given.
#[derive(ToSchema)]
pub(crate) struct FailureError {
    pub(crate) code: Option<ErrorCode>,
    pub(crate) message: Option<String>,
    /// The parameter or object at fault.
    #[schema(required = false)]
    pub(crate) target: String,
    /// Arguments of the message.
    #[schema(required = false)]
    pub(crate) arguments: Vec<Argument>,
}

/// An integer other than 0, or a text that holds one. Made in `complete`.
#[derive(ToSchema)]
pub(crate) struct ErrorCode {}

/// An empty object.
#[derive(ToSchema)]
pub(crate) struct Nothing {}

/// How much upkeep is wanted.
#[derive(ToSchema)]
pub(crate) struct Upkeep {
    /// For how many jobs at most; 1000 unless given.
    #[schema(minimum = 1, maximum = 100_000)]
    budget: Option<u64>,
}

/// What a change must survive.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Durability {
    Synced,
    Deferred,
}

/// Of a change of a job.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangeParams {
    /// `synced`, unless given: it is on disk when it is answered. `deferred`: a crash may take it.
    #[param(inline)]
    durability: Option<Durability>,
    /// The token of the lease under which the job is held.
    token: Option<u64>,
}

/// Of a change that the holder of a job makes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HeldParams {
    /// `synced`: it is on disk when it is answered. `deferred`: a crash may take it.
    #[param(inline)]
    durability: Option<Durability>,
    /// The token of the lease under which the job is held.
    #[param(example = 1)]
    token: u64,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Reason {
    /// Why it is asked for.
    #[param(min_length = 1)]
    reason: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Token {
    /// The token of the lease under which the job is held.
    token: Option<u64>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Force {
    /// Ends the job whoever holds it.
    force: Option<bool>,
}

/// Of a creation.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CreationParams {
    /// `synced`, unless given: it is on disk when it is answered. `deferred`: a crash may take it.
    #[param(inline)]
    durability: Option<Durability>,
    /// Why it is asked for.
    #[param(min_length = 1)]
    reason: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfMatch {
    /// The job's `ETag`, or several: it is changed only if it still stands there. `*` is any.
    #[param(rename = "If-Match", example = "*")]
    if_match: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfNoneMatch {
    /// The job's `ETag` as it is known: if it still has that, the answer is 304.
    #[param(rename = "If-None-Match", example = "\"3-1024\"")]
    if_none_match: Option<String>,
}

/// What is shown, and how.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FieldsParams {
    /// Which fields are shown, as `state,message`; `*` is all.
    #[param(example = "state,message", min_length = 1)]
    fields: Option<String>,
    /// Whether names that are no field are left out, and not refused.
    ignore_unknown_fields: Option<bool>,
    /// Whether the JSON is laid out for people.
    pretty: Option<bool>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Pretty {
    /// Whether the JSON is laid out for people.
    pretty: Option<bool>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitParams {
    /// For how many seconds; 30 unless given.
    #[param(maximum = 120, example = 0)]
    timeout: Option<u64>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActivityParams {
    /// Over how many seconds; an hour unless given.
    #[param(minimum = 1, maximum = 31_622_400)]
    span: Option<u64>,
    /// In how many stretches; 60 unless given, and no more than seconds.
    #[param(minimum = 1, maximum = 240)]
    buckets: Option<u64>,
    /// What to search for, in the fields that `query_fields` names.
    #[param(example = "vol1", min_length = 1)]
    query: Option<String>,
    /// Where to search: names of text fields.
    #[param(example = "description,message", min_length = 1)]
    query_fields: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TreeParams {
    /// The most jobs to show; 1000 unless given.
    #[param(minimum = 1, maximum = 10_000)]
    max_records: Option<u64>,
}

/// Of a listing, beside its filters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Names of fields, each with `asc` or `desc` if need be, as `start_time desc,uuid`.
    #[param(example = "create_time desc", min_length = 1)]
    order_by: Option<String>,
    /// The most records on the page; there are never more than 10000.
    #[param(minimum = 1)]
    max_records: Option<u64>,
    /// How many of the first are left out.
    offset: Option<u64>,
    /// With `false` only their number is answered.
    return_records: Option<bool>,
    /// After how many seconds to answer with what there is by then.
    #[param(maximum = 120)]
    return_timeout: Option<u64>,
    /// What to search for, in the fields that `query_fields` names.
    #[param(example = "vol1", min_length = 1)]
    query: Option<String>,
    /// Where to search: names of text fields.
    #[param(example = "description,message", min_length = 1)]
    query_fields: Option<String>,
    /// Where to go on; only the `next` of an answer has it.
    #[param(rename = "start.token", min_length = 1)]
    token: Option<String>,
    /// Whether not the jobs are answered, but what the query takes.
    explain: Option<bool>,
}

/// Of a claim, beside its filters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClaimParams {
    /// Which of those that match comes first; the oldest unless given.
    #[param(example = "create_time desc", min_length = 1)]
    order_by: Option<String>,
    /// What to search for, in the fields that `query_fields` names.
    #[param(example = "vol1", min_length = 1)]
    query: Option<String>,
    /// Where to search: names of text fields.
    #[param(example = "description,message", min_length = 1)]
    query_fields: Option<String>,
    /// Why it is asked for.
    #[param(min_length = 1)]
    reason: Option<String>,
}

/// Of a watch, beside its filters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WatchParams {
    /// A position: the `id` of an event, or the `revision` of a listing.
    #[param(example = "3-1024", min_length = 1)]
    after: Option<String>,
    /// Which fields of a job are shown.
    #[param(example = "state,message", min_length = 1)]
    fields: Option<String>,
    /// Whether names that are no field are left out, and not refused.
    ignore_unknown_fields: Option<bool>,
    /// What to search for, in the fields that `query_fields` names.
    #[param(example = "vol1", min_length = 1)]
    query: Option<String>,
    /// Where to search: names of text fields.
    #[param(example = "description,message", min_length = 1)]
    query_fields: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct LastEventId {
    /// As `after`, over which it goes.
    #[param(rename = "Last-Event-ID")]
    last_event_id: Option<String>,
}

/// Of an import.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportParams {
    /// The retention of lines without one: a number and s, m, h or d.
    #[param(example = "30d", min_length = 1)]
    retain: Option<String>,
    /// Whether to go on after a bad line, or to stop there.
    #[param(inline)]
    on_bad: Option<OnBad>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum OnBad {
    Skip,
    Fail,
}
