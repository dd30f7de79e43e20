//! The one catalogue of a job's fields: their names, types and values.
//!
//! The query language, the orders and the faces all take fields from here, so a field has one
//! meaning everywhere. A field may bear two names: its own, and the one that NetApp ONTAP's clients
//! know it by.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, quoted};
use crate::job::{Action, Cause, Job, JobId, Revision, State, Told};
use crate::timestamp::Timestamp;

/// Which names a text uses for fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Names {
    /// jobtrack's own names, for every field.
    Native,
    /// The names that ONTAP's clients know, for the fields that ONTAP has.
    Ontap,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Text, compared byte by byte.
    Text,
    /// One of a few words, compared by the alphabet.
    Word(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// An instant.
    Time,
    /// A length of time, written in seconds.
    Span,
    /// A UUID.
    Uuid,
    /// `true` or `false`.
    Bool,
    /// An epoch and a number.
    Revision,
}

/// A field's value in one job, borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// Of a text or word field.
    Text(&'a str),
    /// Of an integer field.
    Integer(i128),
    /// Of a time field.
    Time(Timestamp),
    /// Of a span field.
    Span(Duration),
    /// Of a UUID field.
    Uuid(JobId),
    /// Of a Boolean field.
    Bool(bool),
    /// Of a revision field.
    Revision(Revision),
}

impl ValueRef<'_> {
    /// The order of two values of one field. Values of different types have none that means
    /// anything; it is total all the same, so that no sort can panic.
    pub fn order(&self, other: &ValueRef<'_>) -> Ordering {
        match (self, other) {
            (ValueRef::Text(a), ValueRef::Text(b)) => a.cmp(b),
            (ValueRef::Integer(a), ValueRef::Integer(b)) => a.cmp(b),
            (ValueRef::Time(a), ValueRef::Time(b)) => a.cmp(b),
            (ValueRef::Span(a), ValueRef::Span(b)) => a.cmp(b),
            (ValueRef::Uuid(a), ValueRef::Uuid(b)) => a.cmp(b),
            (ValueRef::Bool(a), ValueRef::Bool(b)) => a.cmp(b),
            (ValueRef::Revision(a), ValueRef::Revision(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            ValueRef::Text(_) => 0,
            ValueRef::Integer(_) => 1,
            ValueRef::Time(_) => 2,
            ValueRef::Span(_) => 3,
            ValueRef::Uuid(_) => 4,
            ValueRef::Bool(_) => 5,
            ValueRef::Revision(_) => 6,
        }
    }
}

impl fmt::Display for ValueRef<'_> {
    /// The value as filters and wildcards see it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueRef::Text(text) => f.write_str(text),
            ValueRef::Integer(number) => number.fmt(f),
            ValueRef::Time(time) => time.fmt(f),
            ValueRef::Span(span) if span.subsec_micros() == 0 => span.as_secs().fmt(f),
            ValueRef::Span(span) => {
                let text = format!("{}.{:06}", span.as_secs(), span.subsec_micros());
                f.write_str(text.trim_end_matches('0'))
            }
            ValueRef::Uuid(uuid) => uuid.fmt(f),
            ValueRef::Bool(value) => value.fmt(f),
            ValueRef::Revision(revision) => revision.fmt(f),
        }
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident, $native:literal, $ontap:expr, $type:expr;)+) => {
        /// One field of a job.
        ///
        /// ```
        /// use jobtrack::{Field, Names};
        ///
        /// let field = Field::parse("svm.name", Names::Ontap)?;
        /// assert_eq!(field, Field::ScopeName);
        /// assert_eq!(field.name(Names::Native).as_deref(), Some("scope.name"));
        /// assert!(Field::parse("labels.tier", Names::Native).is_ok());
        /// # Ok::<(), jobtrack::Error>(())
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $($(#[$doc])* $variant,)+
            /// The label of this name.
            Label(Box<str>),
        }

        impl Field {
            /// Every field that has a fixed name, in the order in which they are shown.
            pub const FIXED: &[Field] = &[$(Field::$variant,)+];

            /// The field's place in [`FIXED`](Field::FIXED); None for a label.
            #[inline]
            pub(crate) fn index(&self) -> Option<usize> {
                /// The same names without what a label carries, so that they have numbers.
                enum Place { $($variant,)+ }
                match self {
                    $(Field::$variant => Some(Place::$variant as usize),)+
                    Field::Label(_) => None,
                }
            }

            fn fixed_names(&self) -> Option<(&'static str, Option<&'static str>)> {
                match self {
                    $(Field::$variant => Some(($native, $ontap)),)+
                    Field::Label(_) => None,
                }
            }

            /// What the field holds.
            pub fn field_type(&self) -> FieldType {
                match self {
                    $(Field::$variant => $type,)+
                    Field::Label(_) => FieldType::Text,
                }
            }
        }
    };
}

fields! {
    /// Identity.
    Uuid, "uuid", Some("uuid"), FieldType::Uuid;
    /// State.
    State, "state", Some("state"), FieldType::Word(State::WORDS);
    /// What an operator asked.
    RequestedAction, "requested.action", None, FieldType::Word(Action::WORDS);
    /// Who asked.
    RequestedBy, "requested.by", None, FieldType::Text;
    /// When it was asked.
    RequestedTime, "requested.time", None, FieldType::Time;
    /// Why it was asked.
    RequestedReason, "requested.reason", None, FieldType::Text;
    /// What kind of failure it is.
    Cause, "cause", None, FieldType::Word(Cause::WORDS);
    /// What the job is.
    Description, "description", Some("description"), FieldType::Text;
    /// Where it stands.
    Message, "message", Some("message"), FieldType::Text;
    /// The final code.
    Code, "code", Some("code"), FieldType::Integer;
    /// The error's code.
    ErrorCode, "error.code", Some("error.code"), FieldType::Integer;
    /// The error's message.
    ErrorMessage, "error.message", Some("error.message"), FieldType::Text;
    /// What the error is about.
    ErrorTarget, "error.target", Some("error.target"), FieldType::Text;
    /// The codes of the error's arguments.
    ErrorArgumentsCode, "error.arguments.code", Some("error.arguments.code"), FieldType::Text;
    /// The messages of the error's arguments.
    ErrorArgumentsMessage, "error.arguments.message", Some("error.arguments.message"), FieldType::Text;
    /// When it was made known.
    CreateTime, "create_time", None, FieldType::Time;
    /// When it first ran.
    StartTime, "start_time", Some("start_time"), FieldType::Time;
    /// When it ended.
    EndTime, "end_time", Some("end_time"), FieldType::Time;
    /// When it last changed.
    UpdateTime, "update_time", None, FieldType::Time;
    /// How long it stays after its end.
    Retention, "retention", None, FieldType::Span;
    /// How the retention was told.
    RetentionTold, "retention_told", None, FieldType::Word(Told::WORDS);
    /// From when on the retention counts.
    RetainedFrom, "retained_from", None, FieldType::Time;
    /// From when on it is in no answer.
    ExpireTime, "expire_time", None, FieldType::Time;
    /// Who holds it back from expiring.
    HeldBy, "held.by", None, FieldType::Text;
    /// Since when it is held back from expiring.
    HeldTime, "held.time", None, FieldType::Time;
    /// Why it is held back from expiring.
    HeldReason, "held.reason", None, FieldType::Text;
    /// The time past which running fails.
    Deadline, "deadline", None, FieldType::Time;
    /// What sort of operation it is.
    Kind, "kind", None, FieldType::Text;
    /// Where it runs.
    Node, "node", Some("node.name"), FieldType::Text;
    /// Whose it is, by name.
    ScopeName, "scope.name", Some("svm.name"), FieldType::Text;
    /// Whose it is, by id.
    ScopeId, "scope.id", Some("svm.uuid"), FieldType::Text;
    /// What is done.
    ProgressDone, "progress.done", None, FieldType::Integer;
    /// Of how much.
    ProgressTotal, "progress.total", None, FieldType::Integer;
    /// Of what.
    ProgressUnit, "progress.unit", None, FieldType::Text;
    /// The job it is a part of.
    Parent, "parent", None, FieldType::Uuid;
    /// Whether it can be paused.
    AllowsPause, "allows.pause", None, FieldType::Bool;
    /// Whether it can be canceled.
    AllowsCancel, "allows.cancel", None, FieldType::Bool;
    /// Whether its worker answers requests.
    Cooperative, "cooperative", None, FieldType::Bool;
    /// Who holds it.
    LeaseHolder, "lease.holder", None, FieldType::Text;
    /// The fencing token.
    LeaseToken, "lease.token", None, FieldType::Integer;
    /// Since when it is held.
    LeaseSince, "lease.since", None, FieldType::Time;
    /// How long it is held unless that is renewed.
    LeaseTerm, "lease.term", None, FieldType::Span;
    /// Until when it is held.
    LeaseUntil, "lease.until", None, FieldType::Time;
    /// How often it has been claimed.
    Claims, "claims", None, FieldType::Integer;
    /// How often its worker was lost.
    Losses, "losses", None, FieldType::Integer;
    /// Bytes of its payload.
    PayloadBytes, "payload_bytes", None, FieldType::Integer;
    /// Bytes of its result.
    ResultBytes, "result_bytes", None, FieldType::Integer;
    /// The key under which a repeated creation finds it.
    IdempotencyKey, "idempotency_key", None, FieldType::Text;
    /// The commit that last changed it.
    Revision, "revision", None, FieldType::Revision;
}

/// What the name of every label's field begins with.
pub(crate) const LABEL_PREFIX: &str = "labels.";

impl Field {
    /// The field of this name.
    ///
    /// # Errors
    ///
    /// `UnknownField`.
    pub fn parse(name: &str, names: Names) -> Result<Field> {
        if names == Names::Native
            && let Some(label) = name.strip_prefix(LABEL_PREFIX)
            && !label.is_empty()
        {
            return Ok(Field::Label(label.into()));
        }
        Field::FIXED.iter().find(|field| field.fixed_name(names) == Some(name)).cloned().ok_or_else(
            || {
                Error::new(
                    ErrorKind::UnknownField,
                    format!("{} is no field of a job", quoted(name)),
                )
                .with_field(name)
            },
        )
    }

    /// The field's name, or None where the names have none for it.
    pub fn name(&self, names: Names) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Field::Label(label) if names == Names::Native => {
                Some(format!("{LABEL_PREFIX}{label}").into())
            }
            Field::Label(_) => None,
            field => field.fixed_name(names).map(Into::into),
        }
    }

    fn fixed_name(&self, names: Names) -> Option<&'static str> {
        let (native, ontap) = self.fixed_names()?;
        match names {
            Names::Native => Some(native),
            Names::Ontap => ontap,
        }
    }

    /// Whether a job may have several values for it. Such a field is filtered by any of them, and
    /// cannot be ordered by.
    pub fn is_list(&self) -> bool {
        matches!(self, Field::ErrorArgumentsCode | Field::ErrorArgumentsMessage)
    }

    /// Calls `test` with each value of the field in this job until one passes, and says whether one
    /// did. An unset field has no value.
    pub fn any<'a>(&self, job: &'a Job, test: &mut dyn FnMut(ValueRef<'a>) -> bool) -> bool {
        if !self.is_list() {
            return self.value(job).is_some_and(test);
        }
        let crate::job::Phase::Failure { detail, .. } = &job.phase else { return false };
        detail.arguments.iter().any(|argument| {
            let text = match self {
                Field::ErrorArgumentsCode => &argument.code,
                _ => &argument.message,
            };
            !text.is_empty() && test(ValueRef::Text(text))
        })
    }

    /// The field's value in this job: None if it is unset, or a list (see [`any`](Field::any)).
    pub fn value<'a>(&self, job: &'a Job) -> Option<ValueRef<'a>> {
        use ValueRef::{Bool, Integer, Span, Text, Time, Uuid};
        let text = |text: &'a str| (!text.is_empty()).then_some(Text(text));
        let failure = match &job.phase {
            crate::job::Phase::Failure { cause, code, detail, .. } => Some((*cause, *code, detail)),
            _ => None,
        };
        match self {
            Field::Uuid => Some(Uuid(job.uuid)),
            Field::State => Some(Text(job.state().as_str())),
            Field::RequestedAction => job.requested.as_ref().map(|r| Text(r.action.as_str())),
            Field::RequestedBy => job.requested.as_ref().and_then(|r| text(r.by.name())),
            Field::RequestedTime => job.requested.as_ref().map(|r| Time(r.time)),
            Field::RequestedReason => job.requested.as_ref().and_then(|r| text(&r.reason)),
            Field::Cause => failure.map(|(cause, ..)| Text(cause.as_str())),
            Field::Description => text(&job.description),
            Field::Message => text(&job.message),
            Field::Code => Some(Integer(job.code().into())),
            Field::ErrorCode => failure.map(|(_, code, _)| Integer(code.get().into())),
            Field::ErrorMessage => failure.and_then(|_| text(&job.message)),
            Field::ErrorTarget => failure.and_then(|(.., detail)| text(&detail.target)),
            Field::ErrorArgumentsCode | Field::ErrorArgumentsMessage => None,
            Field::CreateTime => Some(Time(job.create_time)),
            Field::StartTime => job.start_time().map(Time),
            Field::EndTime => job.end_time().map(Time),
            Field::UpdateTime => Some(Time(job.update_time)),
            Field::Retention => Some(Span(job.retention.span)),
            Field::RetentionTold => job.retention.told.map(|told| Text(told.as_str())),
            Field::RetainedFrom => job.retention.from.map(Time),
            Field::ExpireTime => job.expire_time().map(Time),
            Field::HeldBy => job.held.as_ref().and_then(|held| text(held.by.name())),
            Field::HeldTime => job.held.as_ref().map(|held| Time(held.time)),
            Field::HeldReason => job.held.as_ref().and_then(|held| text(&held.reason)),
            Field::Deadline => job.deadline.map(Time),
            Field::Kind => text(&job.kind),
            Field::Node => text(&job.node),
            Field::ScopeName => job.scope.as_ref().and_then(|scope| text(&scope.name)),
            Field::ScopeId => job.scope.as_ref().and_then(|scope| text(&scope.id)),
            Field::ProgressDone => job.progress.as_ref().map(|p| Integer(p.done.into())),
            Field::ProgressTotal => {
                job.progress.as_ref().and_then(|p| p.total).map(|total| Integer(total.into()))
            }
            Field::ProgressUnit => job.progress.as_ref().and_then(|p| text(&p.unit)),
            Field::Parent => job.parent.map(Uuid),
            Field::AllowsPause => Some(Bool(job.allows.pause)),
            Field::AllowsCancel => Some(Bool(job.allows.cancel)),
            Field::Cooperative => Some(Bool(job.cooperative)),
            Field::LeaseHolder => job.lease.as_ref().map(|lease| Text(&lease.holder)),
            Field::LeaseToken => job.lease.as_ref().map(|lease| Integer(lease.token.into())),
            Field::LeaseSince => job.lease.as_ref().and_then(|lease| lease.since).map(Time),
            Field::LeaseTerm => job.lease.as_ref().and_then(|lease| lease.term).map(Span),
            Field::Claims => (job.claims > 0).then(|| Integer(job.claims.into())),
            Field::Losses => (job.losses > 0).then(|| Integer(job.losses.into())),
            Field::LeaseUntil => job.lease.as_ref().map(|lease| Time(lease.until)),
            Field::PayloadBytes => job.payload_bytes.map(|bytes| Integer(bytes.into())),
            Field::ResultBytes => job.result_bytes.map(|bytes| Integer(bytes.into())),
            Field::IdempotencyKey => job.idempotency_key.as_deref().map(Text),
            Field::Revision => Some(ValueRef::Revision(job.revision)),
            Field::Label(name) => job.labels.get(name).map(Text),
        }
    }
}

impl fmt::Display for Field {
    /// The native name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name(Names::Native).unwrap_or_default())
    }
}
