//! What those who watch are told, and what it is kept in.
//!
//! The history ([`History`]) holds the latest transitions of all jobs, once for everybody who
//! watches; a [`Watch`](crate::Watch) is a filter and a place in it. Which revisions of which epoch
//! are a part of what the store holds is known by its [`Epochs`]. `docs/design/0006-watch.md` says
//! why it is done this way.

mod epochs;
mod history;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use epochs::Epochs;
pub(crate) use history::{After, Before, Commit, History, Next, Transition};

use crate::error::{Error, ErrorKind, Result, quoted};
use crate::job::{Gone, Job, JobId, Revision};

/// How much of the past is kept in memory, so that a watch can be told every transition in it.
///
/// What is over one of the bounds goes, whole commits at a time, the oldest first; it is looked at
/// with each commit. A watch that stands further back is told each job that has changed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Transitions: 100,000.
    pub changes: usize,
    /// Bytes, most of them of jobs as they stood in between: 16 MiB.
    pub bytes: usize,
    /// How old, in engine time: ten minutes.
    pub age: Duration,
    /// Jobs that a watch holds at once while it catches up from further back: 1,024. Fewer take
    /// less memory, and reading the table more often.
    pub catch_up: usize,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        HistoryOptions {
            changes: 100_000,
            bytes: 16 * 1024 * 1024,
            age: Duration::from_secs(10 * 60),
            catch_up: 1_024,
        }
    }
}

/// One thing that a watch is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The commit in which it happened; of a gap, the revision at which, or later, to list.
    pub revision: Revision,
    /// Where a watch goes on that takes up after this event.
    pub position: Position,
}

/// What happened to a job, seen through the filter of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// It matches, and did not before. After a pause beyond the history: it has changed and
    /// matches now, whether it did before or not.
    In(Arc<Job>),
    /// It has changed, and matches as it did before.
    Changed(Arc<Job>),
    /// It does not match any more. After a pause beyond the history: it has changed and does not
    /// match now, whether it did before or not.
    Out(Arc<Job>),
    /// It is no more. After a pause beyond the history, this is told of every job that went and
    /// whose scope and uuid do not say that the filter never let it pass.
    Gone(Gone),
    /// What happened up to here is not known any more: list again, at the event's revision or
    /// later. The watch goes on from that revision.
    Gap,
}

impl EventKind {
    /// Its name: `in`, `changed`, `out`, `gone` or `gap`.
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::In(_) => "in",
            EventKind::Changed(_) => "changed",
            EventKind::Out(_) => "out",
            EventKind::Gone(_) => "gone",
            EventKind::Gap => "gap",
        }
    }

    /// The job after the transition, unless it is gone.
    pub fn job(&self) -> Option<&Arc<Job>> {
        match self {
            EventKind::In(job) | EventKind::Changed(job) | EventKind::Out(job) => Some(job),
            EventKind::Gone(_) | EventKind::Gap => None,
        }
    }

    /// Which job it is about; of a gap, none.
    pub fn uuid(&self) -> Option<JobId> {
        match self {
            EventKind::Gone(gone) => Some(gone.uuid),
            kind => kind.job().map(|job| job.uuid),
        }
    }
}

/// How far a watch has been told: where another one goes on.
///
/// Mostly a revision up to which everything was told. Between two events of one commit, or while a
/// watch catches up from beyond the history, a part of what came after was told as well. Then both
/// are in it: the next watch tells that part again, and if it rested on a commit that a crash took,
/// says so with a gap.
///
/// Who lists beside a watch, at its beginning or after a gap, may have seen commits that the watch has
/// not come to. Should a crash take those, only a position that tells of them is answered with a gap:
/// that of the watch, two dots, and the revision of the listing.
///
/// ```
/// use jobtrack::{Position, Revision};
///
/// let whole = Position::from(Revision { epoch: 1, number: 54 });
/// assert_eq!(whole.to_string(), "1-54");
/// let partly: Position = "1-54..1-55".parse()?;
/// assert_eq!(partly.revision(), whole.revision());
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Everything up to here was told.
    pub(crate) whole: Revision,
    /// Nothing after this was told. Never before `whole`.
    pub(crate) seen: Revision,
}

impl Position {
    /// The revision up to which everything was told.
    pub fn revision(self) -> Revision {
        self.whole
    }

    /// The position once something of this revision was told too.
    pub(crate) fn with(self, seen: Revision) -> Position {
        Position { seen: self.seen.max(seen), ..self }
    }
}

impl From<Revision> for Position {
    /// The position of who knows everything at this revision, from a listing for instance.
    fn from(revision: Revision) -> Self {
        Position { whole: revision, seen: revision }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.whole.fmt(f)?;
        if self.seen == self.whole { Ok(()) } else { write!(f, "..{}", self.seen) }
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let position = match text.split_once("..") {
            None => text.parse::<Revision>().map(Position::from),
            Some((whole, seen)) => whole.parse().and_then(|whole| {
                let seen: Revision = seen.parse()?;
                Ok(Position { whole, seen })
            }),
        };
        position.ok().filter(|position| position.whole <= position.seen).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidValue,
                format!(
                    "{} is no position; write it as 3-1024, or as an event had it",
                    quoted(text)
                ),
            )
        })
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_as_text_and_what_is_none_is_refused() {
        for text in ["1-54", "1-54..1-55", "1-54..2-1"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        assert_eq!("1-54..1-54".parse::<Position>().unwrap().to_string(), "1-54");
        for bad in ["", "1", "1-54..", "..1-54", "1-55..1-54", "1-1..1-2..1-3", "1-1.1-2"] {
            let error = bad.parse::<Position>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidValue, "{bad}");
        }
    }
}
