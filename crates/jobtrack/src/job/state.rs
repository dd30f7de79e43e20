//! The words a job's state is told in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, quoted};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $field:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &[$name] = &[$($name::$variant,)+];
            /// The words of all values.
            pub const WORDS: &[&str] = &[$($word,)+];

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads the word in any letter case.
            fn from_str(text: &str) -> Result<Self> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.as_str().eq_ignore_ascii_case(text))
                    .ok_or_else(|| {
                        Error::new(
                            ErrorKind::InvalidValue,
                            format!("{} is none of {}", quoted(text), Self::WORDS.join(", ")),
                        )
                        .with_field($field)
                    })
            }
        }
    };
}

words! {
    /// The state of a job: ONTAP's five. The last two are terminal, and final.
    ///
    /// ```
    /// use jobtrack::State;
    ///
    /// assert_eq!("Running".parse::<State>()?, State::Running);
    /// assert!(State::Failure.is_terminal() && !State::Paused.is_terminal());
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    State, "state" {
        /// Accepted, not begun.
        Queued = "queued",
        /// At work.
        Running = "running",
        /// Stopped for a while.
        Paused = "paused",
        /// Ended well.
        Success = "success",
        /// Ended badly.
        Failure = "failure",
    }
}

words! {
    /// What kind of failure ended a job, so that a canceled one is never mistaken for a broken one.
    Cause, "cause" {
        /// The work itself failed.
        Error = "error",
        /// An operator asked for its end.
        Canceled = "canceled",
        /// Its worker went away.
        Lost = "lost",
        /// It ran past its deadline.
        TimedOut = "timed_out",
    }
}

words! {
    /// What an operator can ask of a job.
    Action, "action" {
        /// Stop for a while.
        Pause = "pause",
        /// Go on.
        Resume = "resume",
        /// Stop for good.
        Cancel = "cancel",
    }
}

words! {
    /// How much a message of a job matters.
    Severity, "severity" {
        /// For the record.
        Info = "info",
        /// Something is not as it should be, and the work goes on.
        Warning = "warning",
        /// Something went wrong.
        Error = "error",
    }
}

words! {
    /// What happened to a job, as its log calls it.
    LogKind, "kind" {
        /// It became known.
        Created = "created",
        /// It became known as it stood elsewhere.
        Imported = "imported",
        /// Its worker began.
        Started = "started",
        /// Its worker told where it stands.
        Message = "message",
        /// Its worker stopped for a while.
        Paused = "paused",
        /// Its worker went on.
        Resumed = "resumed",
        /// Its worker was done.
        Succeeded = "succeeded",
        /// Its worker gave up.
        Failed = "failed",
        /// An operator asked for a pause; whether it took effect at once, the states say.
        PauseRequested = "pause_requested",
        /// An operator asked for it to go on.
        ResumeRequested = "resume_requested",
        /// An operator asked for its end, or its parent's end did.
        CancelRequested = "cancel_requested",
        /// It is to stay longer after its end.
        Extended = "extended",
        /// It is to stay until the hold is let go.
        Held = "held",
        /// The hold was let go.
        Unheld = "unheld",
        /// It was given other labels.
        Relabeled = "relabeled",
        /// A worker took it.
        Claimed = "claimed",
        /// Its worker gave it back.
        Released = "released",
        /// Its idempotency key is for another job from then on.
        KeyFreed = "key_freed",
        /// Its worker was not heard of in time.
        Lost = "lost",
        /// It ran past its deadline.
        TimedOut = "timed_out",
    }
}

words! {
    /// How a live job was told for how long it is to stay after its end. Where it was not, the
    /// engine's [rules](crate::RetentionRule) decide at its end.
    Told, "word for a retention" {
        /// By its creator: so long, whatever the rules say.
        Exactly = "exactly",
        /// By somebody who extended it: so long, or longer if the rules say so.
        AtLeast = "at_least",
    }
}

impl State {
    /// Whether the job has ended.
    pub fn is_terminal(self) -> bool {
        matches!(self, State::Success | State::Failure)
    }
}

impl Cause {
    /// The code of a failure whose worker gave none: error 1, canceled 2, lost 3, timed out 4.
    pub fn default_code(self) -> std::num::NonZeroI64 {
        let code = match self {
            Cause::Error => 1,
            Cause::Canceled => 2,
            Cause::Lost => 3,
            Cause::TimedOut => 4,
        };
        // 1 to 4, so never the fallback.
        std::num::NonZeroI64::new(code).unwrap_or(std::num::NonZeroI64::MIN)
    }

    /// The message of a failure whose worker gave none.
    pub fn default_message(self) -> &'static str {
        match self {
            Cause::Error => "The job failed",
            Cause::Canceled => "The job was canceled",
            Cause::Lost => "The worker of the job was lost",
            Cause::TimedOut => "The job ran past its deadline",
        }
    }
}
