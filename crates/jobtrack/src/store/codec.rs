//! The one module that turns jobs into bytes and back.
//!
//! A record is a version byte, then the encoded struct of that version. The encoding is bincode 2's
//! `standard()`: variable-length integers, little endian, lengths first. bincode itself is
//! unmaintained (its 3.0.0 refuses to compile, on purpose), so `wincode` writes and reads it; a test
//! proves byte for byte that both agree. A struct here is never changed once it was released: a new
//! field is a new version, with a struct of its own.

use std::collections::BTreeMap;
use std::num::NonZeroI64;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use wincode::config::{Configuration, deserialize_exact, serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::Key;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{
    Action, Actor, Allows, Argument, Cause, Gone, Held, Job, JobError, JobId, JobParts, Labels,
    Lease, Phase, Progress, Request, Revision, Scope, State, Told,
};
use crate::timestamp::Timestamp;

/// The version of every record that this build writes.
const VERSION: u8 = 1;

/// The newest format level that this build knows, and that of a store which it makes.
///
/// A level is what a build must know to open a store: which versions of each record may be in it. A
/// store keeps its level until it is raised on purpose (`Tracker::finalize`), so that the release
/// before can still open it. So what is encoded must be chosen by the store's level, and not by the
/// build: a new version of a record comes with a new level, and `encode` is given that of the store.
/// With level 1 there is one version of each record, and nothing to choose.
pub(crate) const FORMAT: u32 = 1;

/// The key of the engine's own record, in the space `meta` as those below.
pub(crate) const HEAD_KEY: &[u8] = b"head";

/// The key of the record that tells where each epoch begins. The first commit of an epoch writes
/// it, and no other does.
pub(crate) const EPOCHS_KEY: &[u8] = b"epochs";

/// The key of the record of what is forgotten.
pub(crate) const FORGOTTEN_KEY: &[u8] = b"forgotten";

/// What the key of the record of a job's claims begins with; the key of the job's record follows.
const CLAIMS_PREFIX: &[u8] = b"claims/";

/// The same of the record of how it was told to stay.
const STAY_PREFIX: &[u8] = b"stay/";

/// The engine's own record: what must be known before anything else is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The format level.
    pub(crate) format: u32,
    /// The current epoch.
    pub(crate) epoch: u64,
    /// The latest horizon at which an answer may have been given.
    pub(crate) horizon: Timestamp,
    /// Whether the store was closed cleanly after its last commit.
    pub(crate) is_clean: bool,
}

/// What stays of a job for a while after it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tombstone {
    /// Shared with what is told to those who watch.
    pub(crate) gone: Arc<Gone>,
    /// Up to when, in engine time, the tombstone stays.
    pub(crate) until: Timestamp,
    /// The commit that wrote it.
    pub(crate) revision: Revision,
}

/// The latest revision among the tombstones that are not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forgotten {
    pub(crate) epoch: u64,
    /// None stands for the commit that writes this: in it a job went without a tombstone.
    pub(crate) number: Option<u64>,
}

/// What is known of a job's claims beside its record, of a job that was ever claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) job: JobId,
    pub(crate) claims: u32,
    pub(crate) losses: u32,
    /// Of the latest lease; whether the job has one stands in its record.
    pub(crate) since: Option<Timestamp>,
    /// Of the latest lease.
    pub(crate) term: Option<Duration>,
}

impl Claims {
    pub(crate) fn of(job: &Job) -> Option<Claims> {
        let lease = job.lease.as_deref();
        (job.claims > 0).then(|| Claims {
            job: job.uuid,
            claims: job.claims,
            losses: job.losses,
            since: lease.and_then(|lease| lease.since),
            term: lease.and_then(|lease| lease.term),
        })
    }
}

/// How a job was told to stay, of one that lives and was, or that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) job: JobId,
    pub(crate) told: Option<Told>,
    pub(crate) held: Option<Held>,
}

impl Stay {
    pub(crate) fn of(job: &Job) -> Option<Stay> {
        let (told, held) = (job.retention.told, job.held.as_deref().cloned());
        (told.is_some() || held.is_some()).then_some(Stay { job: job.uuid, told, held })
    }
}

pub(crate) fn encode_job(job: &Job) -> Result<Vec<u8>> {
    let (target, arguments) = match &job.phase {
        Phase::Failure { detail, .. } => (&*detail.target, detail.arguments.as_slice()),
        _ => ("", &[][..]),
    };
    encode(&JobV1 {
        epoch: job.revision.epoch,
        uuid: *job.uuid.as_bytes(),
        state: state_number(job.state()),
        requested: job.requested.as_ref().map(|request| RequestV1 {
            action: match request.action {
                Action::Pause => 0,
                Action::Resume => 1,
                Action::Cancel => 2,
            },
            by: request.by.name(),
            time: request.time.as_micros(),
            reason: &request.reason,
        }),
        cause: job.cause().map(|cause| match cause {
            Cause::Error => 0,
            Cause::Canceled => 1,
            Cause::Lost => 2,
            Cause::TimedOut => 3,
        }),
        description: &job.description,
        message: &job.message,
        code: job.code(),
        error_target: target,
        error_arguments: arguments.iter().map(|a| (&*a.code, &*a.message)).collect(),
        create_time: job.create_time.as_micros(),
        start_time: job.start_time().map(Timestamp::as_micros),
        end_time: job.end_time().map(Timestamp::as_micros),
        update_time: job.update_time.as_micros(),
        // At most a hundred years, so never the fallback.
        retention: u64::try_from(job.retention.span.as_micros()).unwrap_or(u64::MAX),
        retained_from: job.retention.from.map(Timestamp::as_micros),
        expire_time: job.expire_time().map(Timestamp::as_micros),
        deadline: job.deadline.map(Timestamp::as_micros),
        kind: &job.kind,
        node: &job.node,
        scope: job.scope.as_ref().map(|scope| (&*scope.name, &*scope.id)),
        labels: job.labels.iter().collect(),
        progress: job.progress.as_ref().map(|progress| ProgressV1 {
            done: progress.done,
            total: progress.total,
            unit: &progress.unit,
        }),
        parent: job.parent.map(|parent| *parent.as_bytes()),
        allows_pause: job.allows.pause,
        allows_cancel: job.allows.cancel,
        cooperative: job.cooperative,
        // Since when and for how long stands in the record of the job's claims.
        lease: job.lease.as_ref().map(|lease| LeaseV1 {
            holder: &lease.holder,
            token: lease.token,
            until: lease.until.as_micros(),
        }),
        payload_bytes: job.payload_bytes,
        result_bytes: job.result_bytes,
        idempotency_key: job.idempotency_key.as_deref(),
    })
}

/// The job of a record that the commit of this number wrote.
pub(crate) fn decode_job(bytes: &[u8], number: u64) -> Result<Job> {
    let record: JobV1<'_> = decode(bytes, "a job")?;
    let state = state_of(record.state)?;
    let error = match (state, NonZeroI64::new(record.code)) {
        (State::Failure, Some(code)) => Some(JobError {
            code,
            message: record.message.into(),
            target: record.error_target.into(),
            arguments: record
                .error_arguments
                .iter()
                .map(|(code, message)| Argument {
                    code: (*code).into(),
                    message: (*message).into(),
                })
                .collect(),
        }),
        _ => None,
    };
    let parts = JobParts {
        uuid: id_of(record.uuid),
        state,
        requested: record.requested.as_ref().map(request_of).transpose()?,
        cause: record.cause.map(cause_of).transpose()?,
        // No invariant is about this and the texts below that are left out here; they are put in as
        // they are to stay.
        description: String::new(),
        message: if state == State::Failure { record.message.into() } else { String::new() },
        code: record.code,
        error,
        create_time: time_of(record.create_time)?,
        start_time: record.start_time.map(time_of).transpose()?,
        end_time: record.end_time.map(time_of).transpose()?,
        update_time: time_of(record.update_time)?,
        retention: Duration::from_micros(record.retention),
        // This, and whether the job is held, stands in a record of its own.
        retention_told: None,
        held: None,
        retained_from: record.retained_from.map(time_of).transpose()?,
        expire_time: record.expire_time.map(time_of).transpose()?,
        deadline: record.deadline.map(time_of).transpose()?,
        kind: String::new(),
        node: String::new(),
        scope: record.scope.map(|(name, id)| Scope { name: name.into(), id: id.into() }),
        labels: BTreeMap::new(),
        progress: record.progress.map(|progress| Progress {
            done: progress.done,
            total: progress.total,
            unit: progress.unit.into(),
        }),
        parent: record.parent.map(id_of),
        allows: Allows { pause: record.allows_pause, cancel: record.allows_cancel },
        cooperative: record.cooperative,
        lease: match record.lease {
            None => None,
            Some(lease) => Some(Lease {
                holder: lease.holder.into(),
                token: lease.token,
                since: None,
                term: None,
                until: time_of(lease.until)?,
            }),
        },
        claims: 0,
        losses: 0,
        payload_bytes: record.payload_bytes,
        result_bytes: record.result_bytes,
        idempotency_key: record.idempotency_key.map(Into::into),
        revision: Revision { epoch: record.epoch, number },
    };
    let mut job = Job::of_parts(&parts)
        .map_err(|error| damaged(&format!("the job breaks an invariant: {error}")))?;
    job.description = record.description.into();
    job.message = record.message.into();
    job.kind = record.kind.into();
    job.node = record.node.into();
    job.labels = labels_of(&record.labels);
    Ok(job)
}

/// The labels of a record: in order of name as they were written, unless another wrote them.
fn labels_of(labels: &[(&str, &str)]) -> Labels {
    if labels.is_sorted_by(|(left, _), (right, _)| left < right) {
        return Labels::from_sorted(
            labels.iter().map(|(name, value)| ((*name).into(), (*value).into())),
        );
    }
    let owned = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Labels::from(owned.collect::<BTreeMap<_, _>>())
}

/// The key of the record of a job's claims; the job's own is this number.
pub(crate) fn claims_key(job: u64) -> Key {
    Key::joined(CLAIMS_PREFIX, &job.to_be_bytes())
}

/// The number of the job whose claims' record has this key; None if it is another kind of key.
pub(crate) fn claims_of_key(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(CLAIMS_PREFIX)?;
    number.try_into().ok().map(u64::from_be_bytes)
}

pub(crate) fn encode_claims(claims: &Claims) -> Result<Vec<u8>> {
    encode(&ClaimsV1 {
        uuid: *claims.job.as_bytes(),
        claims: claims.claims,
        losses: claims.losses,
        since: claims.since.map(Timestamp::as_micros),
        // At most a week, so never the fallback.
        term: claims.term.map(|term| u64::try_from(term.as_micros()).unwrap_or(u64::MAX)),
    })
}

pub(crate) fn decode_claims(bytes: &[u8]) -> Result<Claims> {
    let record: ClaimsV1 = decode(bytes, "the claims of a job")?;
    Ok(Claims {
        job: id_of(record.uuid),
        claims: record.claims,
        losses: record.losses,
        since: record.since.map(time_of).transpose()?,
        term: record.term.map(Duration::from_micros),
    })
}

/// The key of the record of how a job was told to stay; the job's own is this number.
pub(crate) fn stay_key(job: u64) -> Key {
    Key::joined(STAY_PREFIX, &job.to_be_bytes())
}

/// The number of the job whose record of its stay has this key; None if it is another kind of key.
pub(crate) fn stay_of_key(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(STAY_PREFIX)?;
    number.try_into().ok().map(u64::from_be_bytes)
}

pub(crate) fn encode_stay(stay: &Stay) -> Result<Vec<u8>> {
    encode(&StayV1 {
        uuid: *stay.job.as_bytes(),
        told: match stay.told {
            None => 0,
            Some(Told::Exactly) => 1,
            Some(Told::AtLeast) => 2,
        },
        held: stay.held.as_ref().map(|held| HeldV1 {
            by: held.by.name().to_owned(),
            time: held.time.as_micros(),
            reason: held.reason.clone(),
        }),
    })
}

pub(crate) fn decode_stay(bytes: &[u8]) -> Result<Stay> {
    let record: StayV1 = decode(bytes, "the stay of a job")?;
    let held = record.held.map(|held| {
        let (by, time) = (Actor::named(held.by), time_of(held.time)?);
        Ok(Held { by, time, reason: held.reason })
    });
    Ok(Stay {
        job: id_of(record.uuid),
        told: match record.told {
            0 => None,
            1 => Some(Told::Exactly),
            2 => Some(Told::AtLeast),
            other => return Err(damaged(&format!("{other} is no way to tell a retention"))),
        },
        held: held.transpose()?,
    })
}

pub(crate) fn encode_tombstone(tombstone: &Tombstone) -> Result<Vec<u8>> {
    let gone = &tombstone.gone;
    encode(&TombstoneV1 {
        epoch: tombstone.revision.epoch,
        uuid: *gone.uuid.as_bytes(),
        scope: gone.scope.as_ref().map(|scope| (&*scope.name, &*scope.id)),
        state: state_number(gone.state),
        code: gone.code,
        end_time: gone.end_time.as_micros(),
        gone_time: gone.gone_time.as_micros(),
        was_deleted: gone.was_deleted,
        until: tombstone.until.as_micros(),
    })
}

/// The tombstone of a record that the commit of this number wrote.
pub(crate) fn decode_tombstone(bytes: &[u8], number: u64) -> Result<Tombstone> {
    let record: TombstoneV1<'_> = decode(bytes, "a tombstone")?;
    Ok(Tombstone {
        gone: Arc::new(Gone {
            uuid: id_of(record.uuid),
            scope: record.scope.map(|(name, id)| Scope { name: name.into(), id: id.into() }),
            state: state_of(record.state)?,
            code: record.code,
            end_time: time_of(record.end_time)?,
            gone_time: time_of(record.gone_time)?,
            was_deleted: record.was_deleted,
        }),
        until: time_of(record.until)?,
        revision: Revision { epoch: record.epoch, number },
    })
}

/// The record that the first commit of an epoch writes, with the first revisions of those before.
pub(crate) fn encode_epochs(epoch: u64, earlier: &[Revision]) -> Result<Vec<u8>> {
    let earlier = earlier.iter().map(|first| (first.epoch, first.number)).collect();
    encode(&EpochsV1 { epoch, earlier })
}

/// The first revision of each epoch, from a record that the commit of this number wrote.
pub(crate) fn decode_epochs(bytes: &[u8], number: u64) -> Result<Vec<Revision>> {
    let record: EpochsV1 = decode(bytes, "the record of the epochs")?;
    let mut firsts: Vec<_> =
        record.earlier.into_iter().map(|(epoch, number)| Revision { epoch, number }).collect();
    firsts.push(Revision { epoch: record.epoch, number });
    if !firsts.is_sorted_by(|a, b| a.epoch < b.epoch && a.number < b.number) {
        return Err(damaged("the epochs do not follow one another"));
    }
    Ok(firsts)
}

pub(crate) fn encode_forgotten(forgotten: Forgotten) -> Result<Vec<u8>> {
    encode(&ForgottenV1 { epoch: forgotten.epoch, number: forgotten.number })
}

/// The revision in a record that the commit of this number wrote.
pub(crate) fn decode_forgotten(bytes: &[u8], number: u64) -> Result<Revision> {
    let record: ForgottenV1 = decode(bytes, "the record of what is forgotten")?;
    Ok(Revision { epoch: record.epoch, number: record.number.unwrap_or(number) })
}

/// Refuses the format level of a store that a newer jobtrack has raised, or that never was.
pub(crate) fn check_format(format: u32, newest: u32) -> Result<()> {
    match format {
        0 => Err(damaged("the store has format level 0, which never was")),
        _ if format <= newest => Ok(()),
        _ => Err(Error::new(
            ErrorKind::StoreTooNew,
            format!(
                "the store has format level {format}, to which a newer jobtrack has raised it; \
                 this one knows levels up to {newest}"
            ),
        )),
    }
}

pub(crate) fn encode_head(head: &Head) -> Result<Vec<u8>> {
    encode(&HeadV1 {
        format: head.format,
        epoch: head.epoch,
        horizon: head.horizon.as_micros(),
        is_clean: head.is_clean,
    })
}

pub(crate) fn decode_head(bytes: &[u8]) -> Result<Head> {
    let record: HeadV1 = decode(bytes, "the head")?;
    Ok(Head {
        format: record.format,
        epoch: record.epoch,
        horizon: time_of(record.horizon)?,
        is_clean: record.is_clean,
    })
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::BorrowDecode))]
struct JobV1<'a> {
    epoch: u64,
    uuid: [u8; 16],
    state: u8,
    requested: Option<RequestV1<'a>>,
    cause: Option<u8>,
    description: &'a str,
    message: &'a str,
    code: i64,
    error_target: &'a str,
    error_arguments: Vec<(&'a str, &'a str)>,
    create_time: i64,
    start_time: Option<i64>,
    end_time: Option<i64>,
    update_time: i64,
    retention: u64,
    retained_from: Option<i64>,
    expire_time: Option<i64>,
    deadline: Option<i64>,
    kind: &'a str,
    node: &'a str,
    scope: Option<(&'a str, &'a str)>,
    labels: Vec<(&'a str, &'a str)>,
    progress: Option<ProgressV1<'a>>,
    parent: Option<[u8; 16]>,
    allows_pause: bool,
    allows_cancel: bool,
    cooperative: bool,
    lease: Option<LeaseV1<'a>>,
    payload_bytes: Option<u64>,
    result_bytes: Option<u64>,
    idempotency_key: Option<&'a str>,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::BorrowDecode))]
struct RequestV1<'a> {
    action: u8,
    by: &'a str,
    time: i64,
    reason: &'a str,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::BorrowDecode))]
struct ProgressV1<'a> {
    done: u64,
    total: Option<u64>,
    unit: &'a str,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::BorrowDecode))]
struct LeaseV1<'a> {
    holder: &'a str,
    token: u64,
    until: i64,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::Decode))]
struct ClaimsV1 {
    uuid: [u8; 16],
    claims: u32,
    losses: u32,
    since: Option<i64>,
    term: Option<u64>,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::Decode))]
struct StayV1 {
    uuid: [u8; 16],
    told: u8,
    held: Option<HeldV1>,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::Decode))]
struct HeldV1 {
    by: String,
    time: i64,
    reason: String,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::BorrowDecode))]
struct TombstoneV1<'a> {
    epoch: u64,
    uuid: [u8; 16],
    scope: Option<(&'a str, &'a str)>,
    state: u8,
    code: i64,
    end_time: i64,
    gone_time: i64,
    was_deleted: bool,
    until: i64,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::Decode))]
struct HeadV1 {
    format: u32,
    epoch: u64,
    horizon: i64,
    is_clean: bool,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::Decode))]
struct EpochsV1 {
    epoch: u64,
    earlier: Vec<(u64, u64)>,
}

#[derive(SchemaWrite, SchemaRead)]
#[cfg_attr(test, derive(Debug, Clone, PartialEq, bincode::Encode, bincode::Decode))]
struct ForgottenV1 {
    epoch: u64,
    number: Option<u64>,
}

/// What stands in for bincode 2's `standard()`.
macro_rules! config {
    () => {
        Configuration::default().with_varint_encoding()
    };
}

macro_rules! record {
    ($($type:ident $(<$life:lifetime>)?),+) => { $(
        impl<'a> Encoded<'a> for $type $(<$life>)? {
            fn to_bytes(&self) -> Option<Vec<u8>> {
                serialize(&(VERSION, self), config!()).ok()
            }

            fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
                deserialize_exact(bytes, config!()).ok()
            }
        }
    )+ };
}

/// A struct that is written as it is, behind the version; it is read without that, and borrows its
/// texts. The two functions hide the type of the configuration, which spells out seven parameters.
trait Encoded<'a>: Sized {
    fn to_bytes(&self) -> Option<Vec<u8>>;
    fn from_bytes(bytes: &'a [u8]) -> Option<Self>;
}

record!(JobV1<'a>, ClaimsV1, StayV1, TombstoneV1<'a>, HeadV1, EpochsV1, ForgottenV1);

mod log;

pub(crate) use log::{decode_log, encode_log};

fn encode<'a, T: Encoded<'a>>(record: &T) -> Result<Vec<u8>> {
    record.to_bytes().ok_or_else(|| {
        Error::new(ErrorKind::LimitExceeded, "the record is too large to be written")
    })
}

fn decode<'a, T: Encoded<'a>>(bytes: &'a [u8], what: &str) -> Result<T> {
    match bytes.split_first() {
        Some((&VERSION, body)) => {
            T::from_bytes(body).ok_or_else(|| damaged(&format!("{what} cannot be decoded")))
        }
        Some((&version, _)) if version > VERSION => Err(Error::new(
            ErrorKind::StoreTooNew,
            format!(
                "{what} was written in record version {version}, this build reads up to {VERSION}"
            ),
        )),
        _ => Err(damaged(&format!("{what} has no version that ever was"))),
    }
}

fn state_number(state: State) -> u8 {
    match state {
        State::Queued => 0,
        State::Running => 1,
        State::Paused => 2,
        State::Success => 3,
        State::Failure => 4,
    }
}

fn state_of(number: u8) -> Result<State> {
    match number {
        0 => Ok(State::Queued),
        1 => Ok(State::Running),
        2 => Ok(State::Paused),
        3 => Ok(State::Success),
        4 => Ok(State::Failure),
        _ => Err(damaged(&format!("{number} is no state"))),
    }
}

fn cause_of(number: u8) -> Result<Cause> {
    match number {
        0 => Ok(Cause::Error),
        1 => Ok(Cause::Canceled),
        2 => Ok(Cause::Lost),
        3 => Ok(Cause::TimedOut),
        _ => Err(damaged(&format!("{number} is no cause"))),
    }
}

fn request_of(record: &RequestV1<'_>) -> Result<Request> {
    let action = match record.action {
        0 => Action::Pause,
        1 => Action::Resume,
        2 => Action::Cancel,
        other => return Err(damaged(&format!("{other} is no action"))),
    };
    Ok(Request {
        action,
        by: Actor::named(record.by),
        time: time_of(record.time)?,
        reason: record.reason.into(),
    })
}

fn id_of(bytes: [u8; 16]) -> JobId {
    JobId::from_uuid(Uuid::from_bytes(bytes))
}

fn time_of(micros: i64) -> Result<Timestamp> {
    Timestamp::from_micros(micros)
        .ok_or_else(|| damaged(&format!("{micros} µs lies outside the years 1 to 9999")))
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::StoreDamaged, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that records can borrow: leaked, for as long as the tests run.
    fn text() -> impl Strategy<Value = &'static str> {
        let text = proptest::string::string_regex("[a-zé\u{1F600}]{0,40}").unwrap();
        text.prop_map(|text| &*text.leak())
    }

    fn job_record() -> impl Strategy<Value = JobV1<'static>> {
        let numbers = (any::<u64>(), any::<[u8; 16]>(), 0..=4u8, any::<i64>());
        let times = (any::<i64>(), any::<Option<i64>>(), any::<Option<i64>>(), any::<i64>());
        let texts = (text(), text(), text(), text(), proptest::option::of(text()));
        let pairs = proptest::collection::vec((text(), text()), 0..5);
        let optional = (
            proptest::option::of((any::<u8>(), text(), any::<i64>(), text())),
            proptest::option::of((any::<u64>(), any::<Option<u64>>(), text())),
            proptest::option::of((text(), any::<u64>(), any::<i64>())),
            any::<Option<[u8; 16]>>(),
        );
        (numbers, times, texts, pairs, optional, any::<[bool; 3]>()).prop_map(
            |(numbers, times, texts, pairs, optional, flags)| JobV1 {
                epoch: numbers.0,
                uuid: numbers.1,
                state: numbers.2,
                requested: optional.0.map(|(action, by, time, reason)| RequestV1 {
                    action,
                    by,
                    time,
                    reason,
                }),
                cause: None,
                description: texts.0,
                message: texts.1,
                code: numbers.3,
                error_target: texts.2,
                error_arguments: pairs.clone(),
                create_time: times.0,
                start_time: times.1,
                end_time: times.2,
                update_time: times.3,
                retention: numbers.0,
                retained_from: times.1,
                expire_time: times.2,
                deadline: times.1,
                kind: texts.2,
                node: texts.3,
                scope: Some((texts.3, "")),
                labels: pairs,
                progress: optional.1.map(|(done, total, unit)| ProgressV1 { done, total, unit }),
                parent: optional.3,
                allows_pause: flags[0],
                allows_cancel: flags[1],
                cooperative: flags[2],
                lease: optional.2.map(|(holder, token, until)| LeaseV1 { holder, token, until }),
                payload_bytes: Some(numbers.0),
                result_bytes: None,
                idempotency_key: texts.4,
            },
        )
    }

    proptest! {
        /// The promise of this module's head: wincode writes and reads what bincode 2 does.
        #[test]
        fn wincode_and_bincode_agree_byte_for_byte(record in job_record()) {
            let standard = bincode::config::standard();
            let bytes = record.to_bytes().unwrap();
            prop_assert_eq!(bytes[0], VERSION);
            let ours = &bytes[1..];
            prop_assert_eq!(ours, &bincode::encode_to_vec(&record, standard).unwrap());
            let (theirs, read): (JobV1<'_>, usize) =
                bincode::borrow_decode_from_slice(ours, standard).unwrap();
            prop_assert_eq!(read, ours.len());
            prop_assert_eq!(&theirs, &record);
            prop_assert_eq!(JobV1::from_bytes(ours).unwrap(), record);
        }

        #[test]
        fn no_bytes_panic_and_no_cut_record_decodes(record in job_record(), junk: Vec<u8>) {
            let _ = decode_job(&junk, 1);
            let _ = decode_claims(&junk);
            let _ = decode_stay(&junk);
            let _ = decode_tombstone(&junk, 1);
            let _ = decode_epochs(&junk, 1);
            let _ = decode_forgotten(&junk, 1);
            let _ = decode_head(&junk);
            let bytes = encode(&record).unwrap();
            for cut in 0..bytes.len() {
                prop_assert!(decode_job(&bytes[..cut], 1).is_err());
            }
        }
    }

    #[test]
    fn a_job_of_every_field_survives() {
        let text = r#"{"uuid": "1cd8a442-86d1-11e0-ae1c-123478563412", "state": "failure",
            "cause": "timed_out", "description": "d", "message": "m", "code": -7,
            "error": {"code": "-7", "message": "m", "target": "t",
                "arguments": [{"code": "a", "message": "b"}]},
            "create_time": "2026-03-01T10:00:00Z", "start_time": "2026-03-01T10:00:01.5Z",
            "end_time": "2026-03-01T10:00:02Z", "update_time": "2026-03-01T10:00:03Z",
            "retention": 30.25, "retained_from": "2026-03-01T10:00:02Z",
            "expire_time": "2026-03-01T10:00:32.25Z", "deadline": "2026-03-01T10:00:02Z",
            "kind": "k", "node": "n", "scope": {"name": "s", "id": "i"},
            "labels": {"a": "b", "c": ""}, "progress": {"done": 1, "total": 2, "unit": "files"},
            "parent": "00000000-0000-0000-0000-000000000001",
            "allows": {"pause": false, "cancel": true}, "cooperative": true,
            "lease": {"holder": "w", "token": 9, "until": "2026-03-01T10:00:02Z"},
            "payload_bytes": 5, "result_bytes": 6, "idempotency_key": "key",
            "revision": "3-77"}"#;
        let job: Job = serde_json::from_str(text).unwrap();
        assert_eq!(decode_job(&encode_job(&job).unwrap(), 77).unwrap(), job);

        let text = r#"{"uuid": "1cd8a442-86d1-11e0-ae1c-123478563412", "state": "running",
            "requested": {"action": "cancel", "by": "alice", "time": "2026-03-01T10:00:02Z"},
            "create_time": "2026-03-01T10:00:00Z", "start_time": "2026-03-01T10:00:00Z",
            "update_time": "2026-03-01T10:00:03Z", "revision": "1-1"}"#;
        let job: Job = serde_json::from_str(text).unwrap();
        assert_eq!(decode_job(&encode_job(&job).unwrap(), 1).unwrap(), job);
    }

    #[test]
    fn the_claims_of_a_job_survive() {
        let claims = Claims {
            job: id_of([7; 16]),
            claims: 300,
            losses: 2,
            since: Some(Timestamp::MIN),
            term: Some(Duration::from_micros(1_500_000)),
        };
        assert_eq!(decode_claims(&encode_claims(&claims).unwrap()).unwrap(), claims);
        assert_eq!(claims_of_key(&claims_key(7)), Some(7));
        assert_eq!(claims_of_key(HEAD_KEY), None);
    }

    #[test]
    fn the_stay_of_a_job_survives() {
        let held = Held {
            by: Actor::named("ana"),
            time: Timestamp::MIN,
            reason: "ticket 4711".to_owned(),
        };
        for (told, held) in [
            (Some(Told::Exactly), None),
            (Some(Told::AtLeast), Some(held.clone())),
            (None, Some(held)),
        ] {
            let stay = Stay { job: id_of([7; 16]), told, held };
            assert_eq!(decode_stay(&encode_stay(&stay).unwrap()).unwrap(), stay);
        }
        assert_eq!(stay_of_key(&stay_key(7)), Some(7));
        assert_eq!(stay_of_key(&claims_key(7)), None);
    }

    #[test]
    fn what_a_watch_rests_on_survives() {
        let gone = Gone {
            uuid: id_of([7; 16]),
            scope: Some(Scope { name: "s".into(), id: "i".into() }),
            state: State::Failure,
            code: -7,
            end_time: Timestamp::MIN,
            gone_time: Timestamp::MAX,
            was_deleted: true,
        };
        let revision = Revision { epoch: 3, number: 77 };
        let tombstone = Tombstone { gone: Arc::new(gone), until: Timestamp::MAX, revision };
        let bytes = encode_tombstone(&tombstone).unwrap();
        assert_eq!(decode_tombstone(&bytes, 77).unwrap(), tombstone);

        let firsts =
            [Revision { epoch: 1, number: 1 }, Revision { epoch: 2, number: 60 }, revision];
        let bytes = encode_epochs(3, &firsts[..2]).unwrap();
        assert_eq!(decode_epochs(&bytes, 77).unwrap(), firsts);
        assert_eq!(decode_epochs(&bytes, 60).unwrap_err().kind(), ErrorKind::StoreDamaged);

        for (number, expected) in [(Some(5), 5), (None, 77)] {
            let bytes = encode_forgotten(Forgotten { epoch: 3, number }).unwrap();
            assert_eq!(decode_forgotten(&bytes, 77).unwrap().number, expected);
        }
    }

    #[test]
    fn a_newer_record_is_refused_by_name_and_junk_as_damage() {
        let kind = |bytes: &[u8]| decode_head(bytes).unwrap_err().kind();
        assert_eq!(kind(&[VERSION + 1, 0]), ErrorKind::StoreTooNew);
        assert_eq!(kind(&[0, 0]), ErrorKind::StoreDamaged);
        assert_eq!(kind(&[]), ErrorKind::StoreDamaged);
        let head = Head { format: 1, epoch: 2, horizon: Timestamp::MIN, is_clean: true };
        let mut bytes = encode_head(&head).unwrap();
        assert_eq!(decode_head(&bytes).unwrap(), head);
        bytes.push(0);
        assert_eq!(kind(&bytes), ErrorKind::StoreDamaged, "a byte too many");
    }
}
