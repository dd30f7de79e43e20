//! How a command ends: every exit status in one table, and the failures that lead to them.

use std::process::ExitCode;

use jobtrack::ErrorKind;

use crate::render::text::escaped;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    Usage,
    BadLines,
    JobFailed,
    TimedOut,
    NoJob,
    Refused,
    Unreachable,
    NotTracked,
    CannotRun,
    NoCommand,
    /// The status of the command that `exec` ran.
    Command(u8),
}

/// Status and meaning. `exec` passes on what its command says, so its own troubles have the numbers
/// that people know from `env` and `timeout`.
const TABLE: &[(Exit, u8, &str)] = &[
    (Exit::Done, 0, "done; the job waited for has succeeded"),
    (Exit::Failed, 1, "not done, for a reason that has no number of its own below"),
    (Exit::Usage, 2, "the command line is wrong, or a value, filter or order on it"),
    (Exit::BadLines, 3, "imported, but for bad lines"),
    (Exit::JobFailed, 4, "wait: the job has failed"),
    (Exit::TimedOut, 5, "wait: the time is up, and the job has not ended"),
    (Exit::NoJob, 6, "there is no such job, or no longer; nothing to claim"),
    (
        Exit::Refused,
        7,
        "the job is in a state that does not allow it, or held by another; or the uuid or key is taken",
    ),
    (Exit::Unreachable, 8, "the server cannot be reached"),
    (Exit::NotTracked, 125, "exec: the job could not be made, so the command was not run"),
    (Exit::CannotRun, 126, "exec: the command cannot be run"),
    (Exit::NoCommand, 127, "exec: there is no such command"),
];

/// What stands at the end of `--help`.
pub(crate) fn help() -> String {
    let mut text = "Exit status:\n".to_owned();
    for (_, status, meaning) in TABLE {
        text.push_str(&format!("  {status:>3}  {meaning}\n"));
    }
    text + "  exec passes on the status of its command; 128 + N if signal N killed it"
}

impl Exit {
    /// The exit status.
    pub(crate) fn status(self) -> u8 {
        match self {
            Exit::Command(status) => status,
            // The tests prove that the table is whole.
            exit => TABLE.iter().find(|row| row.0 == exit).map_or(1, |row| row.1),
        }
    }

    /// How a command ends that is refused for this kind of reason.
    pub(crate) fn of_kind(kind: &str) -> Exit {
        let is_in = |kinds: &[ErrorKind]| kinds.iter().any(|known| known.as_str() == kind);
        if is_in(WRITTEN_WRONG) || WRITTEN_WRONG_IN_HTTP.contains(&kind) {
            Exit::Usage
        } else if is_in(NOT_THERE) {
            Exit::NoJob
        } else if is_in(NOT_NOW) || kind == "revision_changed" {
            Exit::Refused
        } else {
            Exit::Failed
        }
    }
}

const WRITTEN_WRONG: &[ErrorKind] = &[
    ErrorKind::InvalidValue,
    ErrorKind::MissingValue,
    ErrorKind::InvalidSyntax,
    ErrorKind::UnbalancedBraces,
    ErrorKind::UnknownField,
    ErrorKind::UnknownParameter,
    ErrorKind::Duplicate,
    ErrorKind::NotSortable,
    ErrorKind::InvalidToken,
    ErrorKind::LimitExceeded,
    ErrorKind::Contradiction,
];
const WRITTEN_WRONG_IN_HTTP: &[&str] = &["uri_too_long", "body_too_large", "missing_parameter"];
const NOT_THERE: &[ErrorKind] = &[ErrorKind::NotFound, ErrorKind::Gone, ErrorKind::NothingToClaim];
const NOT_NOW: &[ErrorKind] = &[
    ErrorKind::AlreadyExists,
    ErrorKind::KeyTaken,
    ErrorKind::Conflict,
    ErrorKind::JobEnded,
    ErrorKind::NotQueued,
    ErrorKind::NotRunning,
    ErrorKind::NotPaused,
    ErrorKind::StillLive,
    ErrorKind::Held,
    ErrorKind::CannotPause,
    ErrorKind::CannotCancel,
    ErrorKind::CancelPending,
    ErrorKind::NotRolledUp,
    ErrorKind::Leased,
    ErrorKind::LeaseLost,
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.status())
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) exit: Exit,
    /// One line for people; empty if there is nothing to say.
    pub(crate) message: String,
    /// The parameter at fault, and the byte of its value.
    pub(crate) fault: Option<(String, usize)>,
    /// The text at fault, and the mark that stands below it.
    pub(crate) shown: Option<(String, String)>,
}

impl Failed {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failed { exit, message: message.into(), fault: None, shown: None }
    }

    /// Not done, for a reason that has no status of its own.
    pub(crate) fn because(message: impl Into<String>) -> Self {
        Failed::new(Exit::Failed, message)
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failed::new(Exit::Usage, message)
    }

    /// Whoever read our output has gone, which is theirs to decide.
    pub(crate) fn no_reader() -> Self {
        Failed::new(Exit::Done, "")
    }

    /// Says it on standard error.
    pub(crate) fn tell(&self) {
        if self.message.is_empty() {
            return;
        }
        // It may quote what a stranger wrote.
        eprintln!("jobtrack: {}", escaped(&self.message));
        if let Some((text, mark)) = &self.shown
            && std::io::IsTerminal::is_terminal(&std::io::stderr())
        {
            eprintln!("  {text}\n  {mark}");
        }
    }
}

impl<E: std::fmt::Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed::new(Exit::Failed, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_told_once() {
        let mut statuses: Vec<_> = TABLE.iter().map(|row| row.1).collect();
        statuses.dedup();
        assert_eq!(statuses.len(), TABLE.len());
        assert!(statuses.is_sorted());
        for (exit, status, _) in TABLE {
            assert_eq!(exit.status(), *status);
        }
        assert_eq!(Exit::Command(42).status(), 42);
    }

    #[test]
    fn kinds_lead_to_what_a_script_wants_to_know() {
        assert_eq!(Exit::of_kind("invalid_syntax"), Exit::Usage);
        assert_eq!(Exit::of_kind("gone"), Exit::NoJob);
        assert_eq!(Exit::of_kind("job_ended"), Exit::Refused);
        assert_eq!(Exit::of_kind("store_full"), Exit::Failed);
        assert_eq!(Exit::of_kind("of a later release"), Exit::Failed);
    }
}
