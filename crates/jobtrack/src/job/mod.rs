//! A job and its parts.
//!
//! [`Job`] holds what is known of one job at one revision. Its [`Phase`] carries what only some
//! states have (a start, an end, a cause), so a success without an end or a failure without a code
//! cannot be written down. [`JobParts`] is the same job laid flat, as JSON and the store have it;
//! the way back from there checks every invariant.

mod log;
mod parts;
mod pieces;
mod state;
mod tenant;
mod text;

use std::fmt;
use std::num::NonZeroI64;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use log::{Log, LogEntry};
pub use parts::JobParts;
pub(crate) use parts::{DEFAULT_RETENTION, optional_seconds, seconds};
pub use pieces::{
    Actor, Allows, Argument, ErrorDetail, Gone, Held, JobError, Labels, Lease, Progress, Request,
    Retention, Revision, Scope,
};
pub use state::{Action, Cause, LogKind, Severity, State, Told};
pub use tenant::Tenant;
pub use text::Text;

use crate::error::{Error, ErrorKind, Result, quoted};
use crate::timestamp::Timestamp;

/// The kind of the jobs that [`Tracker::bulk`](crate::Tracker::bulk) makes.
pub const BULK_KIND: &str = "jobtrack.bulk";

/// A job's identity: a UUID, version 7 unless the caller brings one.
///
/// ```
/// use jobtrack::JobId;
///
/// let id: JobId = "1cd8a442-86d1-11e0-ae1c-123478563412".parse()?;
/// assert_eq!(id.to_string(), "1cd8a442-86d1-11e0-ae1c-123478563412");
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// The id made of this UUID.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        JobId(uuid)
    }

    /// The UUID itself.
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The sixteen bytes, in the order in which ids sort.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // Only the hyphenated form: braces and "urn:uuid:" would mean two spellings of one filter.
        match Uuid::try_parse(text) {
            Ok(uuid) if text.len() == 36 => Ok(JobId(uuid)),
            _ => Err(Error::new(
                ErrorKind::InvalidValue,
                format!(
                    "{} is no uuid; write it as 1cd8a442-86d1-11e0-ae1c-123478563412",
                    quoted(text)
                ),
            )
            .with_field("uuid")),
        }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.as_hyphenated(), f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One job as it stood at one revision.
///
/// Made by the engine; programs read it. An empty text means that the field is unset.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// Identity.
    pub uuid: JobId,
    /// State, and what only that state has.
    pub phase: Phase,
    /// What an operator asked and the worker has not answered yet. Boxed, since few of many jobs are
    /// asked for anything.
    pub requested: Option<Box<Request>>,
    /// What the job is; set at creation.
    pub description: Text,
    /// Where it stands now; replaced by each report.
    pub message: Text,
    /// When it was made known.
    pub create_time: Timestamp,
    /// When it last changed.
    pub update_time: Timestamp,
    /// How long it stays after its end.
    pub retention: Retention,
    /// Who wants it to stay until it is let go. Boxed, since few of many jobs are.
    pub held: Option<Box<Held>>,
    /// The time, in engine time, past which running fails with cause timed out.
    pub deadline: Option<Timestamp>,
    /// What sort of operation it is.
    pub kind: Text,
    /// Where it runs.
    pub node: Text,
    /// Whose it is.
    pub scope: Option<Scope>,
    /// Names and values of the application's own.
    pub labels: Labels,
    /// How far it is.
    pub progress: Option<Progress>,
    /// The job it is a part of.
    pub parent: Option<JobId>,
    /// What operators may ask of it.
    pub allows: Allows,
    /// Whether its worker answers requests itself; otherwise they take effect at once.
    pub cooperative: bool,
    /// Who holds it. Boxed, since few of many jobs are held at a time.
    pub lease: Option<Box<Lease>>,
    /// How often it has been claimed: the latest fencing token.
    pub claims: u32,
    /// How often its worker was lost.
    pub losses: u32,
    /// Bytes of its payload in the store.
    pub payload_bytes: Option<u64>,
    /// Bytes of its result in the store.
    pub result_bytes: Option<u64>,
    /// The key under which a repeated creation finds it again.
    pub idempotency_key: Option<Text>,
    /// The commit that last changed it.
    pub revision: Revision,
}

/// A job's state with what only that state has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Not begun, or put back after its worker was lost (then with its first start).
    Queued {
        /// The first start, if there was one.
        start_time: Option<Timestamp>,
    },
    /// At work.
    Running {
        /// The first start.
        start_time: Timestamp,
    },
    /// Stopped for a while.
    Paused {
        /// The first start.
        start_time: Timestamp,
    },
    /// Ended well.
    Success {
        /// When it ran and how long it stays.
        ended: Ended,
        /// Zero, or a warning's code.
        code: i64,
    },
    /// Ended badly; the job's message is the error's message.
    Failure {
        /// When it ran and how long it stays.
        ended: Ended,
        /// What kind of failure it is.
        cause: Cause,
        /// The error's code, never zero.
        code: NonZeroI64,
        /// What else is known of the error. Boxed, since few of many jobs fail.
        detail: Box<ErrorDetail>,
    },
}

/// The times of a job that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The first start; a job that was canceled while queued has none.
    pub start_time: Option<Timestamp>,
    /// The end.
    pub end_time: Timestamp,
    /// The moment, in engine time, from which on it is in no answer. None while the job is held, or
    /// a parent keeps it that lives or is held.
    pub expire_time: Option<Timestamp>,
}

impl Job {
    /// The state: one of ONTAP's five.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Queued { .. } => State::Queued,
            Phase::Running { .. } => State::Running,
            Phase::Paused { .. } => State::Paused,
            Phase::Success { .. } => State::Success,
            Phase::Failure { .. } => State::Failure,
        }
    }

    /// When it first ran.
    pub fn start_time(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Queued { start_time } => start_time,
            Phase::Running { start_time } | Phase::Paused { start_time } => Some(start_time),
            Phase::Success { ended, .. } | Phase::Failure { ended, .. } => ended.start_time,
        }
    }

    /// When it ended.
    pub fn end_time(&self) -> Option<Timestamp> {
        self.ended().map(|ended| ended.end_time)
    }

    /// From when on it is in no answer, in engine time.
    pub fn expire_time(&self) -> Option<Timestamp> {
        self.ended().and_then(|ended| ended.expire_time)
    }

    /// Start, end and expiry, of a job that has ended.
    pub fn ended(&self) -> Option<Ended> {
        match self.phase {
            Phase::Success { ended, .. } | Phase::Failure { ended, .. } => Some(ended),
            _ => None,
        }
    }

    /// The final code: zero until a failure, and for a success without a warning.
    pub fn code(&self) -> i64 {
        match self.phase {
            Phase::Success { code, .. } => code,
            Phase::Failure { code, .. } => code.get(),
            _ => 0,
        }
    }

    /// What kind of failure it is.
    pub fn cause(&self) -> Option<Cause> {
        match self.phase {
            Phase::Failure { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// The error of a failure.
    pub fn error(&self) -> Option<JobError> {
        match &self.phase {
            Phase::Failure { code, detail, .. } => Some(JobError {
                code: *code,
                message: self.message.to_string(),
                target: detail.target.to_string(),
                arguments: detail.arguments.clone(),
            }),
            _ => None,
        }
    }

    /// Whether it is in no answer any more at this horizon.
    pub fn is_expired(&self, horizon: Timestamp) -> bool {
        self.expire_time().is_some_and(|expire_time| expire_time <= horizon)
    }

    /// How long it stays after its end.
    pub fn retention(&self) -> Duration {
        self.retention.span
    }
}

impl Serialize for Job {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        JobParts::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Job {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Job::try_from(JobParts::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = "1cd8a442-86d1-11e0-ae1c-123478563412";
        assert_eq!(id.parse::<JobId>().unwrap(), id.to_uppercase().parse().unwrap());
        for other in
            ["", "1cd8a44286d111e0ae1c123478563412", "{1cd8a442-86d1-11e0-ae1c-123478563412}"]
        {
            let error = other.parse::<JobId>().unwrap_err();
            assert_eq!(error.field(), Some("uuid"), "{other}");
        }
    }
}
