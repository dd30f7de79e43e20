//! The smaller parts of a job.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroI64;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Action, Job, JobId, State, Text, Told, optional_seconds};
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::timestamp::Timestamp;

/// Which commit: the store's epoch and the number of the commit within it, shown as `3-1024`.
///
/// Numbers rise strictly and never repeat within an epoch; a new epoch begins when a store is
/// opened that was not closed cleanly, since commits that were never synced may be gone then.
///
/// ```
/// use jobtrack::Revision;
///
/// let revision: Revision = "3-1024".parse()?;
/// assert!(revision < Revision { epoch: 4, number: 1 });
/// assert_eq!(revision.to_string(), "3-1024");
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision {
    /// The store's epoch.
    pub epoch: u64,
    /// The commit's number.
    pub number: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl FromStr for Revision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = |part: &str| {
            // `u64::from_str` takes a sign; a revision has none.
            if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None }
        };
        text.split_once('-')
            .and_then(|(epoch, number)| {
                Some(Revision { epoch: digits(epoch)?, number: digits(number)? })
            })
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidValue,
                    format!("{} is no revision; write it as 3-1024", quoted(text)),
                )
                .with_field("revision")
            })
    }
}

impl Serialize for Revision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Who asks for a change: a user, a worker, a controller. Empty means that nobody said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(Text);

impl Actor {
    /// The actor of this name.
    pub fn named(name: impl Into<Text>) -> Self {
        Actor(name.into())
    }

    /// The name; empty if nobody said.
    pub fn name(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_name(self) -> String {
        self.0.into()
    }
}

/// What an operator asked of a job that answers for itself: what, by whom, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What was asked.
    pub action: Action,
    /// By whom; empty if nobody said.
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub by: Actor,
    /// When.
    pub time: Timestamp,
    /// Why; empty if nobody said.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub reason: Text,
}

pub(super) fn is_nobody(actor: &Actor) -> bool {
    actor.name().is_empty()
}

/// Names and values of the application's own, each name once, in order of name.
///
/// A sorted list rather than a tree: a job has a few labels, and one node of a tree takes half a
/// kilobyte.
///
/// ```
/// use std::collections::BTreeMap;
/// use jobtrack::Labels;
///
/// let labels = Labels::from(BTreeMap::from([("tier".to_owned(), "gold".to_owned())]));
/// assert_eq!(labels.get("tier"), Some("gold"));
/// assert_eq!(labels.iter().collect::<Vec<_>>(), [("tier", "gold")]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels(Option<Arc<[(Text, Text)]>>);

impl Labels {
    /// The value of the label of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.list().binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        self.list().get(at).map(|(_, value)| value.as_str())
    }

    /// The labels of these names and values, which are sorted by name, each name once.
    pub(crate) fn from_sorted(labels: impl ExactSizeIterator<Item = (Text, Text)>) -> Self {
        Labels((labels.len() > 0).then(|| labels.collect()))
    }

    /// Every name with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list().iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn list(&self) -> &[(Text, Text)] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(labels: BTreeMap<String, String>) -> Self {
        Labels::from_sorted(labels.into_iter().map(|(name, value)| (name.into(), value.into())))
    }
}

impl From<&Labels> for BTreeMap<String, String> {
    fn from(labels: &Labels) -> Self {
        labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// How long a job stays after its end, and from when that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long it stays.
    pub span: Duration,
    /// The instant it counts from: the end, or the import of a job that had ended before. None
    /// while the job lives. It moves on by as long as the job was held.
    pub from: Option<Timestamp>,
    /// How it was told, while the job lives; None where the engine's rules decide.
    pub told: Option<Told>,
}

/// That a job is not to expire until somebody lets it go: by whom, since when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// By whom; empty if nobody said.
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub by: Actor,
    /// Since when; in engine time where that and the wall clock disagree.
    pub time: Timestamp,
    /// Why; empty if nobody said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Whose a job is. ONTAP's face calls it `svm`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// The name; empty if unset.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub name: Text,
    /// The id; empty if unset.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub id: Text,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// What is done.
    pub done: u64,
    /// Of how much, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Of what: bytes, files, percent; empty if unset.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub unit: Text,
}

/// What operators may ask of a job; all of it unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allows {
    /// Whether it can be paused.
    pub pause: bool,
    /// Whether it can be canceled.
    pub cancel: bool,
}

impl Default for Allows {
    fn default() -> Self {
        Allows { pause: true, cancel: true }
    }
}

/// Who holds a job, since when, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The holder's name.
    pub holder: Text,
    /// The fencing token: every later claim of the job has a greater one.
    pub token: u64,
    /// When it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How long it lasts unless it is renewed, in seconds. None of an owner in the tracker's own
    /// process, who loses the job when a later incarnation opens the store.
    #[serde(default, with = "optional_seconds", skip_serializing_if = "Option::is_none")]
    pub term: Option<Duration>,
    /// When it runs out, in engine time; the end of time for an owner in the tracker's own process.
    pub until: Timestamp,
}

/// A named argument of an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Argument {
    /// What it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// Its value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What is known of an error beside its code and message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorDetail {
    /// The parameter or object at fault; empty if unset.
    pub target: Text,
    /// Arguments of the message.
    pub arguments: Vec<Argument>,
}

/// The error of a failure.
///
/// In JSON its code is a string that holds an integer, as in every error of ONTAP; a plain integer
/// is read as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobError {
    /// The code, the same as the job's.
    #[serde(with = "code_as_text")]
    pub code: NonZeroI64,
    /// The message, the same as the job's.
    pub message: String,
    /// The parameter or object at fault; empty if unset.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Arguments of the message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
}

pub(crate) mod code_as_text {
    use super::{Deserialize, Deserializer, NonZeroI64, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Code {
        Number(i64),
        Text(String),
    }

    pub(crate) fn serialize<S: Serializer>(
        code: &NonZeroI64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(code)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<NonZeroI64, D::Error> {
        let code = match Code::deserialize(deserializer)? {
            Code::Number(code) => Some(code),
            Code::Text(text) => text.parse().ok(),
        };
        code.and_then(NonZeroI64::new)
            .ok_or_else(|| serde::de::Error::custom("error.code must be an integer other than 0"))
    }
}

/// A job that is no more: how it had ended, and when and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gone {
    /// Which job.
    pub uuid: JobId,
    /// Whose it was.
    pub scope: Option<Scope>,
    /// The state in which it had ended.
    pub state: State,
    /// The code with which it had ended.
    pub code: i64,
    /// When it had ended.
    pub end_time: Timestamp,
    /// When it expired or was deleted, in engine time.
    pub gone_time: Timestamp,
    /// Whether it was deleted; otherwise its time was up.
    pub was_deleted: bool,
}

impl Gone {
    pub(crate) fn deleted(job: &Job, now: Timestamp) -> Gone {
        Gone { gone_time: now, was_deleted: true, ..Gone::expired(job) }
    }

    /// What is left of a job whose time is up.
    pub(crate) fn expired(job: &Job) -> Gone {
        let end_time = job.end_time().unwrap_or(job.update_time);
        Gone {
            uuid: job.uuid,
            scope: job.scope.clone(),
            state: job.state(),
            code: job.code(),
            end_time,
            gone_time: job.expire_time().unwrap_or(end_time),
            was_deleted: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_sort_by_epoch_first_and_reject_signs() {
        let revision = |text: &str| text.parse::<Revision>();
        assert!(revision("1-99").unwrap() < revision("2-1").unwrap());
        for bad in ["", "1", "1-", "-1", "1--1", "+1-1", "1-2-3", "1-18446744073709551616"] {
            assert_eq!(revision(bad).unwrap_err().kind(), ErrorKind::InvalidValue, "{bad}");
        }
    }

    #[test]
    fn an_error_code_is_text_in_json_and_read_as_either() {
        let error: JobError = serde_json::from_str(r#"{"code": 7, "message": "m"}"#).unwrap();
        assert_eq!(serde_json::to_string(&error).unwrap(), r#"{"code":"7","message":"m"}"#);
        for bad in [r#"{"code": 0, "message": "m"}"#, r#"{"code": "x", "message": "m"}"#] {
            assert!(serde_json::from_str::<JobError>(bad).is_err());
        }
    }
}
