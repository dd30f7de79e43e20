//! Every refusal jobtrack gives, and its wording.
//!
//! One opaque [`Error`] with a stable [`ErrorKind`]: the kind is what programs branch on (the faces
//! map it to an HTTP status, an ONTAP number, an exit status), the message is what people read. A
//! message names the field, the value and what would be right.

use std::fmt;
use std::sync::Arc;

use crate::job::JobId;

/// The result of everything in jobtrack that can be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal: what kind it is, what it says, and where in the input the fault lies.
///
/// ```
/// use jobtrack::{ErrorKind, JobId};
///
/// let error = "not-a-uuid".parse::<JobId>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidValue);
/// assert!(error.to_string().contains("\"not-a-uuid\""));
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

// Boxed, so that `Result<T>` on the hot paths stays one word wider than `T` at most.
#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    field: Option<String>,
    position: Option<usize>,
    job: Option<JobId>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a kind with a message for people. For backends and faces; the engine's own
    /// errors come ready made.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            field: None,
            position: None,
            job: None,
            source: None,
        }))
    }

    /// Names the field, parameter or record at fault.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Names the byte offset within the field's text at which the fault lies.
    #[must_use]
    pub fn with_position(mut self, position: usize) -> Self {
        self.0.position = Some(position);
        self
    }

    /// Names the job concerned.
    #[must_use]
    pub fn with_job(mut self, job: JobId) -> Self {
        self.0.job = Some(job);
        self
    }

    /// Keeps the error underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// The stable kind, which is what programs branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without its position.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The field, parameter or record at fault, if it is one.
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The byte offset of the fault within the field's text, if known.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// The job concerned, if it is one.
    pub fn job(&self) -> Option<JobId> {
        self.0.job
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.0.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(position) = self.0.position {
            write!(f, " (at byte {position})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.kind)?;
        if let Some(source) = &self.0.source {
            write!(f, " [{source}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

macro_rules! error_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What kind of refusal an [`Error`] is. The names are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[$doc])* $variant,)+ }

        impl ErrorKind {
            /// Every kind, in the order of this page; a face proves by it that its table is whole.
            pub const ALL: &[ErrorKind] = &[$(ErrorKind::$variant,)+];

            /// The stable name in snake case, as the native REST face shows it.
            ///
            /// ```
            /// assert_eq!(jobtrack::ErrorKind::NotFound.as_str(), "not_found");
            /// ```
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorKind::$variant => $name,)+ }
            }
        }
    };
}

error_kinds! {
    // What the caller wrote.
    /// A value that the field cannot hold: malformed, out of range, of the wrong type.
    InvalidValue = "invalid_value",
    /// An operator without a value, or a parameter without one.
    MissingValue = "missing_value",
    /// Text that does not follow the grammar: an open quote, a stray operator.
    InvalidSyntax = "invalid_syntax",
    /// Braces in a field selection that do not match.
    UnbalancedBraces = "unbalanced_braces",
    /// A name that is no field of a job.
    UnknownField = "unknown_field",
    /// A parameter that the call does not take.
    UnknownParameter = "unknown_parameter",
    /// A parameter or field that is given twice.
    Duplicate = "duplicate",
    /// A field that cannot be ordered by.
    NotSortable = "not_sortable",
    /// A page token that is damaged, forged or from another query.
    InvalidToken = "invalid_token",
    /// Something longer, larger, deeper or more numerous than the documented limit.
    LimitExceeded = "limit_exceeded",
    /// Two things that cannot both be so.
    Contradiction = "contradiction",

    // What is known of the job.
    /// No job has this uuid, nor had one lately.
    NotFound = "not_found",
    /// The job is gone: its time was up, or it was deleted. The message says which and when.
    Gone = "gone",
    /// The uuid is taken: by a job, or by the tombstone of one.
    AlreadyExists = "already_exists",
    /// The idempotency key belongs to a job of other content. The message names the job, and the
    /// field in which it differs.
    KeyTaken = "key_taken",
    /// The job is at another revision than the one expected, or another writer came first.
    Conflict = "conflict",

    // What the lifecycle refuses.
    /// The job has ended, and an end is final.
    JobEnded = "job_ended",
    /// The command needs a queued job.
    NotQueued = "not_queued",
    /// The command needs a running job.
    NotRunning = "not_running",
    /// The command needs a paused job.
    NotPaused = "not_paused",
    /// Only a job that has ended can be deleted; a live one is canceled first.
    StillLive = "still_live",
    /// The job is held: it stays until it is let go. The message says who holds it, and why.
    Held = "held",
    /// The job does not allow to be paused.
    CannotPause = "cannot_pause",
    /// The job does not allow to be canceled.
    CannotCancel = "cannot_cancel",
    /// Cancel has been requested, which nothing but the job's end undoes.
    CancelPending = "cancel_pending",

    /// The job's children stand against its success: some have not ended, or have failed.
    NotRolledUp = "not_rolled_up",

    // What leases refuse.
    /// No queued job matches the filter of a claim.
    NothingToClaim = "nothing_to_claim",
    /// The job is held by a worker: only who shows its token may change it as one. The message says
    /// who holds it, and since when.
    Leased = "leased",
    /// The token is not that of the job's present lease: the one it belonged to ran out, was given
    /// back or taken away. The message says who holds the job now, and since when.
    LeaseLost = "lease_lost",

    // What callers of one scope are refused.
    /// Whoever asks may not do this, whatever it is done to.
    NotPermitted = "not_permitted",

    // What a query may cost.
    /// The query could not be finished in the time it had.
    DeadlineExceeded = "deadline_exceeded",

    // What the store says.
    /// Another process holds the store; the message names it.
    StoreHeld = "store_held",
    /// The folder or file is not a jobtrack store.
    StoreForeign = "store_foreign",
    /// The store was written by a newer jobtrack.
    StoreTooNew = "store_too_new",
    /// The store cannot be written: read-only, or no permission.
    StoreReadOnly = "store_read_only",
    /// The store's medium is full. Nothing was written.
    StoreFull = "store_full",
    /// A record cannot be read back as it was written.
    StoreDamaged = "store_damaged",
    /// Reading or writing failed. Nothing was written.
    StoreFailed = "store_failed",
    /// This kind of store cannot do that. Nothing was changed.
    StoreCannot = "store_cannot",
    /// Whether the change was stored is not known; it is not visible. Open the store again to know.
    OutcomeUnknown = "outcome_unknown",
    /// An earlier outcome is unknown, or another tracker has opened the store: no change is taken
    /// until it is opened again.
    Unsettled = "unsettled",
    /// The tracker was closed: it takes no command and answers no question. Nothing was changed.
    Closed = "closed",
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value as an error message shows it: quoted, escaped, and cut after 64 characters so that a
/// megabyte of hostile input does not become a megabyte of log.
pub fn quoted(value: &str) -> String {
    const SHOWN: usize = 64;
    match value.char_indices().nth(SHOWN) {
        None => format!("{value:?}"),
        Some((end, _)) => {
            // `end` comes from `char_indices`, so it is a boundary within `value`.
            let shown = value.get(..end).unwrap_or_default();
            format!("{shown:?}… ({} bytes)", value.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_at_a_character() {
        let long = "é".repeat(100);
        let shown = quoted(&long);
        assert!(shown.starts_with("\"é"));
        assert!(shown.ends_with("(200 bytes)"));
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
    }

    #[test]
    fn kinds_have_distinct_names() {
        let mut names: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn the_message_says_field_and_position() {
        let error = Error::new(ErrorKind::InvalidValue, "\"x\" is no integer")
            .with_field("code")
            .with_position(3);
        assert_eq!(error.to_string(), "code: \"x\" is no integer (at byte 3)");
        assert_eq!(error.field(), Some("code"));
        assert_eq!(error.position(), Some(3));
    }
}
