//! What is too long, too many, too deep.
//!
//! Over a limit a command is refused with the limit in the message; nothing is ever cut. The
//! defaults are documented here, [`Limits`] changes those that may be changed.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Most terms (single tests) in one filter.
pub const FILTER_TERMS: usize = 1_024;
/// Deepest nesting of "and" and "or" in one filter.
pub const FILTER_DEPTH: usize = 16;
/// Longest text of one filter value, in bytes.
pub const FILTER_BYTES: usize = 64 * 1_024;
/// Most keys in one order.
pub const ORDER_KEYS: usize = 8;
/// Most names in one field selection.
pub const SELECTED_FIELDS: usize = 256;
/// Deepest nesting of braces in one field selection.
pub const SELECTION_DEPTH: usize = 8;
/// Most records in one page.
pub const PAGE_RECORDS: usize = 10_000;
/// Most records that a query may leave out before its first one.
pub const OFFSET_RECORDS: usize = 1_000_000;
/// Most commands that one commit takes; the rest go into the next one.
pub const COMMIT_COMMANDS: usize = 1_024;
/// Most commands that may be submitted and wait for somebody to drive.
pub const QUEUED_COMMANDS: usize = 65_536;
/// Most threads that a store is opened with.
pub const OPENING_THREADS: usize = 256;
/// Most children of one job.
pub const FAMILY_CHILDREN: u32 = 10_000;
/// Most generations of a family.
pub const FAMILY_DEPTH: usize = 16;
/// The longest term of a lease: a week. Who works for longer renews it.
pub const LEASE_SECONDS: u64 = 7 * 86_400;
/// Most entries that the log of a job may be told to keep.
pub const LOG_ENTRIES: usize = 10_000;
/// Most bytes that the log of a job may be told to keep.
pub const LOG_BYTES: usize = 1_024 * 1_024;
/// The longest retention: a hundred years.
pub const RETENTION_SECONDS: u64 = 100 * 366 * 86_400;

/// The limits on what a job may hold, all in bytes or counts.
///
/// ```
/// use jobtrack::Limits;
///
/// let limits = Limits { description: 200, ..Limits::default() };
/// assert_eq!(limits.message, 4096);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// `description`: 1,024 bytes.
    pub description: usize,
    /// `message`, also of an error: 4,096 bytes.
    pub message: usize,
    /// `kind`, `node`, `scope.name`, `scope.id`, `progress.unit`, an actor, a lease holder: 256 bytes.
    pub name: usize,
    /// Why something was asked for: 1,024 bytes.
    pub reason: usize,
    /// Labels on one job: 32.
    pub labels: usize,
    /// A label's name: 128 bytes.
    pub label_name: usize,
    /// A label's value: 512 bytes.
    pub label_value: usize,
    /// Arguments of one error: 16.
    pub error_arguments: usize,
    /// `error.target`, and code and message of an error's argument: 1,024 bytes each.
    pub error_text: usize,
    /// Jobs in the tracker, ended and held ones included: no limit but the machine's, unless set. A
    /// new job beyond it is refused, or makes others go ([`Options::evict`](crate::Options::evict)).
    pub jobs: usize,
    /// Bytes of the records of all jobs, as they stand in the store: no limit but the machine's,
    /// unless set. Exact, and the same after a restart. As with `jobs`, new jobs are what it bears
    /// upon: those that are there may still change, end and grow.
    pub bytes: usize,
    /// Bytes of memory that the jobs may take, as [`Tracker::memory`](crate::Tracker::memory) counts
    /// them: no limit but the machine's, unless set. The last eighth is kept for jobs that are there
    /// already: new ones are refused before. What rows that have changed still hold may pass it for a
    /// moment.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            description: 1_024,
            message: 4_096,
            name: 256,
            reason: 1_024,
            labels: 32,
            label_name: 128,
            label_value: 512,
            error_arguments: 16,
            error_text: 1_024,
            jobs: usize::MAX,
            bytes: usize::MAX,
            memory: usize::MAX,
        }
    }
}

impl Limits {
    /// Checks that the limits themselves are within what the engine can hold to: no text longer
    /// than a filter on it may be ([`FILTER_BYTES`]), so that every value can be asked for and
    /// stands in a page token; and no more than 1,024 labels or arguments.
    pub(crate) fn check(&self) -> Result<()> {
        let texts = [
            ("limits.description", self.description),
            ("limits.message", self.message),
            ("limits.name", self.name),
            ("limits.reason", self.reason),
            ("limits.label_name", self.label_name),
            ("limits.label_value", self.label_value),
            ("limits.error_text", self.error_text),
        ];
        let counts =
            [("limits.labels", self.labels), ("limits.error_arguments", self.error_arguments)];
        for (most, limits) in [(FILTER_BYTES, &texts[..]), (1_024, &counts[..])] {
            if let Some((name, given)) = limits.iter().find(|(_, given)| *given > most) {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("{given} is more than the engine holds to, at most {most} may be"),
                )
                .with_field(*name));
            }
        }
        Ok(())
    }
}

/// Checks a text that may span lines (a description, a message): within its limit, without NUL.
pub(crate) fn check_text(field: &str, text: &str, limit: usize) -> Result<()> {
    check_length(field, text, limit)?;
    if !any_byte(text, |byte| byte == 0) {
        return Ok(());
    }
    match text.bytes().position(|byte| byte == 0) {
        None => Ok(()),
        Some(at) => Err(Error::new(ErrorKind::InvalidValue, "the text holds a NUL character")
            .with_field(field)
            .with_position(at)),
    }
}

/// Checks a short name (a kind, a node, a label's name): within its limit, without control characters.
pub(crate) fn check_name(field: &str, text: &str, limit: usize) -> Result<()> {
    check_length(field, text, limit)?;
    // Nearly all names are ASCII that can be printed; only of others the characters are told apart.
    if !any_byte(text, |byte| !matches!(byte, b' '..=b'~')) {
        return Ok(());
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        None => Ok(()),
        Some((at, c)) => Err(Error::new(
            ErrorKind::InvalidValue,
            format!("the name holds the control character {c:?}"),
        )
        .with_field(field)
        .with_position(at)),
    }
}

/// Whether there is such a byte in the text. All bytes are looked at, which lets the compiler look at
/// many at once, and is faster than to stop at the first.
fn any_byte(text: &str, is_such: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(false, |found, byte| found | is_such(byte))
}

/// Checks a number of things against its limit.
pub(crate) fn check_count(field: &str, count: usize, limit: usize) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    Err(Error::new(ErrorKind::LimitExceeded, format!("{count} are given, at most {limit} may be"))
        .with_field(field))
}

/// Checks the length of a text against its limit.
pub(crate) fn check_length(field: &str, text: &str, limit: usize) -> Result<()> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::LimitExceeded,
        format!("the text is {} bytes long, at most {limit} may be", text.len()),
    )
    .with_field(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_at_its_limit_passes_and_one_byte_more_does_not() {
        assert!(check_text("message", &"x".repeat(10), 10).is_ok());
        let error = check_text("message", &"x".repeat(11), 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert_eq!(error.to_string(), "message: the text is 11 bytes long, at most 10 may be");
    }

    #[test]
    fn control_characters_are_refused_in_names_and_nul_everywhere() {
        assert!(check_text("message", "two\nlines", 10).is_ok());
        assert_eq!(check_text("message", "a\0b", 10).unwrap_err().position(), Some(1));
        assert_eq!(check_name("kind", "two\nlines", 10).unwrap_err().position(), Some(3));
        assert_eq!(check_name("kind", "\u{e9}\u{85}", 10).unwrap_err().position(), Some(2));
        assert_eq!(check_name("kind", "\u{7f}", 10).unwrap_err().position(), Some(0));
        assert!(check_name("kind", "caf\u{e9} ~", 10).is_ok());
    }
}
