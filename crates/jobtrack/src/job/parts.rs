//! A job laid flat, and the way back that checks every invariant.

use std::collections::BTreeMap;
use std::num::NonZeroI64;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Allows, Cause, Ended, ErrorDetail, Held, Job, JobError, JobId, Labels, Lease, Phase, Progress,
    Request, Retention, Revision, Scope, State, Text, Told,
};
use crate::error::{Error, ErrorKind, Result};
use crate::timestamp::Timestamp;

/// A job laid flat: one member per field, in the order and under the names of the native REST face.
///
/// This is what a job looks like in JSON, on a line of an export, and (through the codec) in a
/// store. Unset fields are left out. `Job::try_from` is the way back: it accepts only what the
/// lifecycle could have made.
///
/// ```
/// use jobtrack::{Job, JobParts};
///
/// let text = r#"{"uuid": "1cd8a442-86d1-11e0-ae1c-123478563412", "state": "success",
///     "create_time": "2026-03-01T10:00:00Z", "update_time": "2026-03-01T10:00:05Z"}"#;
/// # fn read(text: &str) -> Result<JobParts, serde_json::Error> { serde_json::from_str(text) }
/// let parts: JobParts = read(text).unwrap();
/// let error = Job::try_from(parts).unwrap_err();
/// assert_eq!(error.field(), Some("end_time")); // a success without an end
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobParts {
    /// Identity.
    pub uuid: JobId,
    /// State.
    pub state: State,
    /// What an operator asked and the worker has not answered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Request>,
    /// What kind of failure it is; of a failure only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What the job is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where it stands now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Zero until a failure; a success may carry a warning's code.
    #[serde(default)]
    pub code: i64,
    /// The error of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// When it was made known.
    pub create_time: Timestamp,
    /// The first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// The end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// The last change.
    pub update_time: Timestamp,
    /// How long it stays after its end, in seconds.
    #[serde(default = "default_retention", with = "seconds")]
    pub retention: Duration,
    /// How the retention was told, of a job that lives; unset where the engine's rules decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_told: Option<Told>,
    /// From when on the retention counts; of a job that has ended only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_from: Option<Timestamp>,
    /// From when on it is in no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<Timestamp>,
    /// Who wants it to stay until it is let go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// The time past which running fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What sort of operation it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Names and values of the application's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The job it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
    /// What operators may ask of it.
    #[serde(default)]
    pub allows: Allows,
    /// Whether its worker answers requests itself.
    #[serde(default)]
    pub cooperative: bool,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// How often it has been claimed: the latest fencing token.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub claims: u32,
    /// How often its worker was lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub losses: u32,
    /// Bytes of its payload in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_bytes: Option<u64>,
    /// Bytes of its result in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    /// The key under which a repeated creation finds it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The commit that last changed it.
    #[serde(default)]
    pub revision: Revision,
}

/// The retention of a job that was told none: 300 seconds.
pub(crate) const DEFAULT_RETENTION: Duration = Duration::from_secs(300);

fn default_retention() -> Duration {
    DEFAULT_RETENTION
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl From<&Job> for JobParts {
    fn from(job: &Job) -> Self {
        JobParts {
            uuid: job.uuid,
            state: job.state(),
            requested: job.requested.as_deref().cloned(),
            cause: job.cause(),
            description: job.description.to_string(),
            message: job.message.to_string(),
            code: job.code(),
            error: job.error(),
            create_time: job.create_time,
            start_time: job.start_time(),
            end_time: job.end_time(),
            update_time: job.update_time,
            retention: job.retention.span,
            retention_told: job.retention.told,
            retained_from: job.retention.from,
            expire_time: job.expire_time(),
            held: job.held.as_deref().cloned(),
            deadline: job.deadline,
            kind: job.kind.to_string(),
            node: job.node.to_string(),
            scope: job.scope.clone(),
            labels: (&job.labels).into(),
            progress: job.progress.clone(),
            parent: job.parent,
            allows: job.allows,
            cooperative: job.cooperative,
            lease: job.lease.as_deref().cloned(),
            claims: job.claims,
            losses: job.losses,
            payload_bytes: job.payload_bytes,
            result_bytes: job.result_bytes,
            idempotency_key: job.idempotency_key.as_ref().map(String::from),
            revision: job.revision,
        }
    }
}

impl TryFrom<JobParts> for Job {
    type Error = Error;

    /// # Errors
    ///
    /// `Contradiction`, naming the field, where the parts break an invariant: create ≤ start ≤ end
    /// ≤ update; a start for every running, an end for every ended job and for no other; a cause, a
    /// code other than 0 and a message for every failure, and the same in its error; no expiry for a
    /// job that is held.
    fn try_from(parts: JobParts) -> Result<Job> {
        Job::of_parts(&parts)
    }
}

impl Job {
    /// The job of these parts. Its texts are copied once, wherever they come from.
    pub(crate) fn of_parts(parts: &JobParts) -> Result<Job> {
        check_times(parts)?;
        let phase = phase(parts)?;
        let scope = parts.scope.as_ref().filter(|scope| **scope != Scope::default());
        let labels = parts.labels.iter().map(|(name, value)| (name.into(), value.into()));
        Ok(Job {
            uuid: parts.uuid,
            phase,
            requested: parts.requested.clone().map(Box::new),
            description: (&parts.description).into(),
            message: (&parts.message).into(),
            create_time: parts.create_time,
            update_time: parts.update_time,
            retention: Retention {
                span: parts.retention,
                from: parts.retained_from,
                told: parts.retention_told,
            },
            held: parts.held.clone().map(Box::new),
            deadline: parts.deadline,
            kind: (&parts.kind).into(),
            node: (&parts.node).into(),
            scope: scope.cloned(),
            labels: Labels::from_sorted(labels),
            progress: parts.progress.clone(),
            parent: parts.parent,
            allows: parts.allows,
            cooperative: parts.cooperative,
            lease: parts.lease.clone().map(Box::new),
            claims: parts.claims,
            losses: parts.losses,
            payload_bytes: parts.payload_bytes,
            result_bytes: parts.result_bytes,
            idempotency_key: parts.idempotency_key.as_ref().map(Text::from),
            revision: parts.revision,
        })
    }
}

fn check_times(parts: &JobParts) -> Result<()> {
    let mut earliest = ("create_time", parts.create_time);
    let later = [
        ("start_time", parts.start_time),
        ("end_time", parts.end_time),
        ("update_time", Some(parts.update_time)),
    ];
    for (name, time) in later {
        let Some(time) = time else { continue };
        if time < earliest.1 {
            return Err(contradiction(
                name,
                format!("{time} lies before the {} {}", earliest.0, earliest.1),
            ));
        }
        earliest = (name, time);
    }
    Ok(())
}

fn phase(parts: &JobParts) -> Result<Phase> {
    let state = parts.state;
    if !state.is_terminal() {
        let ended = [
            ("end_time", parts.end_time.is_some()),
            ("expire_time", parts.expire_time.is_some()),
            ("retained_from", parts.retained_from.is_some()),
        ];
        if let Some((name, _)) = ended.iter().find(|(_, is_set)| *is_set) {
            return Err(contradiction(name, format!("a {state} job has none")));
        }
        if parts.code != 0 {
            return Err(contradiction("code", format!("a {state} job has code 0")));
        }
    }
    if state != State::Failure {
        let failed = [("cause", parts.cause.is_some()), ("error", parts.error.is_some())];
        if let Some((name, _)) = failed.iter().find(|(_, is_set)| *is_set) {
            return Err(contradiction(name, format!("a {state} job has none")));
        }
    }
    let start_time = || {
        parts
            .start_time
            .ok_or_else(|| contradiction("start_time", format!("a {state} job has one")))
    };
    Ok(match state {
        State::Queued => Phase::Queued { start_time: parts.start_time },
        State::Running => Phase::Running { start_time: start_time()? },
        State::Paused => Phase::Paused { start_time: start_time()? },
        State::Success => Phase::Success { ended: ended(parts)?, code: parts.code },
        State::Failure => failure(parts)?,
    })
}

fn ended(parts: &JobParts) -> Result<Ended> {
    let state = parts.state;
    if parts.retention_told.is_some() {
        return Err(contradiction("retention_told", format!("a {state} job has none")));
    }
    if let (Some(_), Some(expire_time)) = (&parts.held, parts.expire_time) {
        let message = format!("a job that is held does not expire at {expire_time}");
        return Err(contradiction("expire_time", message));
    }
    if let Some(request) = &parts.requested {
        return Err(contradiction(
            "requested",
            format!("{} cannot be asked of a {state} job", request.action),
        ));
    }
    let Some(end_time) = parts.end_time else {
        return Err(contradiction("end_time", format!("a {state} job has one")));
    };
    Ok(Ended { start_time: parts.start_time, end_time, expire_time: parts.expire_time })
}

fn failure(parts: &JobParts) -> Result<Phase> {
    let Some(cause) = parts.cause else {
        return Err(contradiction("cause", "a failure has one".to_owned()));
    };
    let Some(code) = NonZeroI64::new(parts.code) else {
        return Err(contradiction("code", "a failure has a code other than 0".to_owned()));
    };
    if parts.message.is_empty() {
        return Err(contradiction("message", "a failure has one".to_owned()));
    }
    let detail = match &parts.error {
        None => ErrorDetail::default(),
        Some(error) if error.code != code => {
            return Err(contradiction(
                "error.code",
                format!("{} is not the job's code {code}", error.code),
            ));
        }
        Some(error) if error.message != parts.message => {
            return Err(contradiction("error.message", "it is not the job's message".to_owned()));
        }
        Some(error) => {
            ErrorDetail { target: (&error.target).into(), arguments: error.arguments.clone() }
        }
    };
    Ok(Phase::Failure { ended: ended(parts)?, cause, code, detail: Box::new(detail) })
}

fn contradiction(field: &str, message: String) -> Error {
    Error::new(ErrorKind::Contradiction, message).with_field(field)
}

/// A duration as seconds in JSON: an integer where it is whole, else with up to six digits.
pub(crate) mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};
    use crate::limits::RETENTION_SECONDS;

    pub(crate) fn serialize<S: Serializer>(
        span: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if span.subsec_micros() == 0 {
            serializer.serialize_u64(span.as_secs())
        } else {
            serializer.serialize_f64(span.as_secs_f64())
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        from_seconds(seconds).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{seconds:?} is no retention; write seconds from 0 to {RETENTION_SECONDS}"
            ))
        })
    }

    /// The duration of so many seconds, to the nearest microsecond.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Bounded just before.
    #[allow(clippy::cast_precision_loss)] // A bound of 3.2e9 is exact in an f64.
    pub(crate) fn from_seconds(seconds: f64) -> Option<Duration> {
        let in_range = seconds >= 0.0 && seconds <= RETENTION_SECONDS as f64;
        in_range.then(|| Duration::from_micros((seconds * 1e6).round() as u64))
    }
}

/// The same where there may be none.
pub(crate) mod optional_seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer, seconds};

    #[derive(Deserialize)]
    struct Seconds(#[serde(with = "seconds")] Duration);

    pub(crate) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match span {
            None => serializer.serialize_none(),
            Some(span) => seconds::serialize(span, serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Seconds>::deserialize(deserializer)?.map(|seconds| seconds.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000).unwrap()
    }

    fn parts(state: State) -> JobParts {
        let text = format!(
            r#"{{"uuid": "1cd8a442-86d1-11e0-ae1c-123478563412", "state": "{state}",
                "create_time": "1970-01-01T00:00:01Z", "update_time": "1970-01-01T00:00:09Z"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn failed() -> JobParts {
        JobParts {
            start_time: Some(at(2)),
            end_time: Some(at(9)),
            cause: Some(Cause::Error),
            code: 7,
            message: "broken".to_owned(),
            ..parts(State::Failure)
        }
    }

    #[track_caller]
    fn refused(parts: JobParts, field: &str) {
        let error = Job::try_from(parts).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Contradiction);
        assert_eq!(error.field(), Some(field), "{error}");
    }

    #[test]
    fn each_invariant_is_checked_by_name() {
        refused(JobParts { start_time: Some(at(0)), ..parts(State::Running) }, "start_time");
        refused(JobParts { end_time: Some(at(1)), ..failed() }, "end_time");
        refused(JobParts { update_time: at(8), ..failed() }, "update_time");
        refused(parts(State::Running), "start_time");
        refused(parts(State::Paused), "start_time");
        refused(parts(State::Success), "end_time");
        refused(JobParts { end_time: Some(at(3)), ..parts(State::Queued) }, "end_time");
        refused(JobParts { expire_time: Some(at(3)), ..parts(State::Queued) }, "expire_time");
        refused(JobParts { retained_from: Some(at(3)), ..parts(State::Queued) }, "retained_from");
        refused(JobParts { code: 1, ..parts(State::Queued) }, "code");
        refused(JobParts { cause: Some(Cause::Lost), ..parts(State::Queued) }, "cause");
        refused(JobParts { cause: None, ..failed() }, "cause");
        refused(JobParts { code: 0, ..failed() }, "code");
        refused(JobParts { message: String::new(), ..failed() }, "message");
    }

    #[test]
    fn an_error_must_say_what_the_job_says() {
        let error = JobError {
            code: NonZeroI64::new(7).unwrap(),
            message: "broken".to_owned(),
            target: "disk".to_owned(),
            arguments: vec![],
        };
        let job = Job::try_from(JobParts { error: Some(error.clone()), ..failed() }).unwrap();
        assert_eq!(job.error(), Some(error.clone()));
        let other_code = JobError { code: NonZeroI64::MIN, ..error.clone() };
        refused(JobParts { error: Some(other_code), ..failed() }, "error.code");
        let other_message = JobError { message: "fine".to_owned(), ..error };
        refused(JobParts { error: Some(other_message), ..failed() }, "error.message");
    }

    #[test]
    fn a_job_survives_json() {
        let job = Job::try_from(failed()).unwrap();
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
        assert!(!text.contains("null"), "{text}");
    }

    #[test]
    fn retention_is_exact_to_the_microsecond() {
        assert_eq!(seconds::from_seconds(0.1), Some(Duration::from_micros(100_000)));
        assert_eq!(seconds::from_seconds(-1.0), None);
        assert_eq!(seconds::from_seconds(f64::NAN), None);
        assert_eq!(seconds::from_seconds(1e300), None);
        for micros in [1, 999_999, 1_000_001, 300_000_001] {
            let span = Duration::from_micros(micros);
            assert_eq!(seconds::from_seconds(span.as_secs_f64()), Some(span));
        }
    }
}
