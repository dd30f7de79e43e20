//! What is kept of a job's past.

use serde::{Deserialize, Serialize};

use super::pieces::is_nobody;
use super::{Actor, LogKind, Revision, Severity, State};
use crate::timestamp::Timestamp;

/// The log of a job: what happened to it, oldest first, as far as that is kept.
///
/// ```
/// use jobtrack::{MemoryStore, NewJob, Options, Tracker};
///
/// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
/// let job = tracker.create(NewJob::described("Backup of vol1"))?.uuid;
/// tracker.start(job)?;
/// tracker.report(job, "7 of 40 files")?;
/// let log = tracker.log(job)?;
/// let kinds: Vec<&str> = log.entries.iter().map(|entry| entry.kind.as_str()).collect();
/// assert_eq!(kinds, ["created", "started", "message"]);
/// assert_eq!(log.dropped, 0);
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Log {
    /// The entries, in the order of what they tell.
    pub entries: Vec<LogEntry>,
    /// How many more there were at least, which are not kept any more.
    pub dropped: u64,
}

/// One change of a job, as its log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The commit that made it.
    pub revision: Revision,
    /// Which change of the job it was within that commit; the first is 0.
    pub ordinal: u32,
    /// When it was made.
    pub time: Timestamp,
    /// What happened.
    pub kind: LogKind,
    /// The state before; None of a job that became known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<State>,
    /// The state after, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<State>,
    /// Who asked; of a claim its holder, if nobody said who asked.
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub actor: Actor,
    /// Why; empty if nobody said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How much the message matters, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The job's message, where this change told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl LogEntry {
    /// What counts against the bytes that a job's log may take: those of its texts, and 32 more.
    pub(crate) fn bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, String::len);
        32 + self.actor.name().len() + self.reason.len() + message
    }
}
