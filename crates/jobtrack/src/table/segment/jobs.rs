//! Jobs out of the rows of a segment.
//!
//! A row stands in forty columns, each somewhere else in memory. So what all rows have in common is
//! known beforehand, and of the rest first all codes are fetched and then all numbers, with nothing
//! between that depends on them: the processor waits for many of them at once.

// Rows are below `len`, columns are one for each fixed field.
#![allow(clippy::indexing_slicing)]

use std::num::NonZeroI64;
use std::sync::Arc;
use std::time::Duration;

use super::super::codes::{Code, Codes, RowId};
use super::super::column::Column;
use super::super::numbers::{Key, time_of, value_of};
use super::Segment;
use crate::field::{Field, ValueRef};
use crate::job::{
    Action, Actor, Allows, Cause, Ended, ErrorDetail, Held, Job, JobId, Labels, Lease, Phase,
    Progress, Request, Retention, Revision, Scope, State, Text,
};
use crate::timestamp::Timestamp;

const FIELDS: usize = Field::FIXED.len();

/// What is known of all rows of a segment before one is looked at.
#[derive(Debug)]
pub(super) struct Common {
    /// The codes and numbers that all rows have in common.
    values: Fetched,
    /// The columns in which rows differ: those of every job, of unfinished jobs, and of failures.
    every: Box<[u8]>,
    unfinished: Box<[u8]>,
    failed: Box<[u8]>,
}

/// The codes of one row, and the keys of its numbers.
#[derive(Debug, Clone)]
struct Fetched {
    codes: [Code; FIELDS],
    keys: [Key; FIELDS],
}

impl Common {
    pub(super) fn of(columns: &[Arc<Column>]) -> Common {
        let mut values = Fetched { codes: [0; FIELDS], keys: [0; FIELDS] };
        let (mut every, mut unfinished, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for ((index, field), column) in (0..).zip(Field::FIXED).zip(columns) {
            if let Codes::Same(code) = column.codes() {
                values.codes[usize::from(index)] = *code;
                values.keys[usize::from(index)] = column.key(*code).unwrap_or(0);
                continue;
            }
            match field {
                // These are told by others: the state, the code, the message.
                Field::State | Field::ErrorCode | Field::ErrorMessage => {}
                Field::RequestedAction
                | Field::RequestedBy
                | Field::RequestedTime
                | Field::RequestedReason => unfinished.push(index),
                Field::Cause | Field::ErrorTarget => failed.push(index),
                _ => every.push(index),
            }
        }
        let (every, unfinished, failed) = (every.into(), unfinished.into(), failed.into());
        Common { values, every, unfinished, failed }
    }

    pub(super) fn bytes(&self) -> usize {
        self.every.len() + self.unfinished.len() + self.failed.len()
    }

    fn fetch(&self, columns: &[Arc<Column>], row: RowId, state: State) -> Fetched {
        let mut found = self.values.clone();
        let some: &[u8] = match state {
            State::Failure => &self.failed,
            State::Success => &[],
            State::Queued | State::Running | State::Paused => &self.unfinished,
        };
        for index in self.every.iter().chain(some) {
            let index = usize::from(*index);
            found.codes[index] = columns[index].code(row);
        }
        for index in self.every.iter().chain(some) {
            let index = usize::from(*index);
            found.keys[index] = columns[index].key(found.codes[index]).unwrap_or(0);
        }
        found
    }
}

impl Segment {
    /// The job of this row.
    pub(crate) fn job(&self, row: RowId) -> Job {
        self.job_by(row, &mut String::new())
    }

    /// The job of this row; its texts are put together in `text` first, which costs least if that
    /// is the same for many jobs.
    pub(crate) fn job_by(&self, row: RowId, text: &mut String) -> Job {
        let state = self.state(row);
        let found = self.common.fetch(&self.columns, row, state);
        Found { segment: self, row, state, found }.job(text)
    }
}

/// A row with what was fetched of it.
struct Found<'a> {
    segment: &'a Segment,
    row: RowId,
    state: State,
    found: Fetched,
}

impl Found<'_> {
    fn job(&self, text: &mut String) -> Job {
        Job {
            uuid: self.uuid(&Field::Uuid).unwrap_or(JobId::from_uuid(uuid::Uuid::nil())),
            phase: self.phase(text),
            requested: self.request(text).map(Box::new),
            description: self.text(&Field::Description, text),
            message: self.text(&Field::Message, text),
            create_time: self.set_time(&Field::CreateTime),
            update_time: self.set_time(&Field::UpdateTime),
            retention: Retention {
                span: self.span(&Field::Retention).unwrap_or_default(),
                from: self.time(&Field::RetainedFrom),
                told: match self.is_set(&Field::RetentionTold) {
                    true => self.text(&Field::RetentionTold, text).parse().ok(),
                    false => None,
                },
            },
            held: self.held(text).map(Box::new),
            deadline: self.time(&Field::Deadline),
            kind: self.text(&Field::Kind, text),
            node: self.text(&Field::Node, text),
            scope: self.scope(text),
            labels: self.labels(text),
            progress: self.progress(text),
            parent: self.uuid(&Field::Parent),
            allows: Allows {
                pause: self.flag(&Field::AllowsPause),
                cancel: self.flag(&Field::AllowsCancel),
            },
            cooperative: self.flag(&Field::Cooperative),
            lease: self.lease(text).map(Box::new),
            claims: self.count(&Field::Claims),
            losses: self.count(&Field::Losses),
            payload_bytes: self.unsigned(&Field::PayloadBytes),
            result_bytes: self.unsigned(&Field::ResultBytes),
            idempotency_key: self
                .is_set(&Field::IdempotencyKey)
                .then(|| self.text(&Field::IdempotencyKey, text)),
            revision: match self.value(&Field::Revision) {
                Some(ValueRef::Revision(revision)) => revision,
                _ => Revision::default(),
            },
        }
    }

    fn code(&self, field: &Field) -> Code {
        // Only fields with a fixed name are asked for here, and these have an index.
        self.found.codes[field.index().unwrap_or(0)]
    }

    fn is_set(&self, field: &Field) -> bool {
        self.code(field) != 0
    }

    fn key(&self, field: &Field) -> Option<Key> {
        self.is_set(field).then(|| self.found.keys[field.index().unwrap_or(0)])
    }

    fn text(&self, field: &Field, text: &mut String) -> Text {
        let code = self.code(field);
        if code == 0 { Text::new() } else { self.segment.fixed(field).job_text(code, text) }
    }

    fn value(&self, field: &Field) -> Option<ValueRef<'static>> {
        self.key(field).map(|key| value_of(field.field_type(), key))
    }

    fn time(&self, field: &Field) -> Option<Timestamp> {
        self.key(field).map(time_of)
    }

    /// A time that every job has.
    fn set_time(&self, field: &Field) -> Timestamp {
        self.time(field).unwrap_or(Timestamp::MIN)
    }

    fn flag(&self, field: &Field) -> bool {
        self.key(field).is_some_and(|key| key != 0)
    }

    fn uuid(&self, field: &Field) -> Option<JobId> {
        self.key(field).map(|key| JobId::from_uuid(uuid::Uuid::from_u128(key)))
    }

    fn unsigned(&self, field: &Field) -> Option<u64> {
        match self.value(field)? {
            ValueRef::Integer(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    fn span(&self, field: &Field) -> Option<Duration> {
        match self.value(field)? {
            ValueRef::Span(span) => Some(span),
            _ => None,
        }
    }

    /// A count that is not set where it is zero.
    fn count(&self, field: &Field) -> u32 {
        self.unsigned(field).and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
    }

    /// A job's final code.
    fn final_code(&self) -> i64 {
        match self.value(&Field::Code) {
            Some(ValueRef::Integer(code)) => i64::try_from(code).unwrap_or(0),
            _ => 0,
        }
    }

    fn phase(&self, text: &mut String) -> Phase {
        let start_time = self.time(&Field::StartTime);
        // A running job has a start; no column that was built from jobs says otherwise.
        let started = start_time.unwrap_or(Timestamp::MIN);
        let ended = || Ended {
            start_time,
            end_time: self.set_time(&Field::EndTime),
            expire_time: self.time(&Field::ExpireTime),
        };
        match self.state {
            State::Queued => Phase::Queued { start_time },
            State::Running => Phase::Running { start_time: started },
            State::Paused => Phase::Paused { start_time: started },
            State::Success => Phase::Success { ended: ended(), code: self.final_code() },
            State::Failure => Phase::Failure {
                ended: ended(),
                cause: self.text(&Field::Cause, text).parse().unwrap_or(Cause::Error),
                code: NonZeroI64::new(self.final_code()).unwrap_or(NonZeroI64::MIN),
                detail: Box::new(ErrorDetail {
                    target: self.text(&Field::ErrorTarget, text),
                    arguments: self.segment.arguments.of(self.row),
                }),
            },
        }
    }

    fn request(&self, text: &mut String) -> Option<Request> {
        if self.state.is_terminal() || !self.is_set(&Field::RequestedAction) {
            return None;
        }
        let action: Action = self.text(&Field::RequestedAction, text).parse().ok()?;
        Some(Request {
            action,
            by: Actor::named(self.text(&Field::RequestedBy, text)),
            time: self.set_time(&Field::RequestedTime),
            reason: self.text(&Field::RequestedReason, text),
        })
    }

    fn scope(&self, text: &mut String) -> Option<Scope> {
        (self.is_set(&Field::ScopeName) || self.is_set(&Field::ScopeId)).then(|| Scope {
            name: self.text(&Field::ScopeName, text),
            id: self.text(&Field::ScopeId, text),
        })
    }

    fn labels(&self, text: &mut String) -> Labels {
        let Segment { labels, label_sets, label_set, .. } = self.segment;
        let set = &label_sets[usize::from(label_set.get(self.row))];
        // Of a set's labels each has a value.
        let pairs = set.iter().map(|index| {
            let (name, column) = &labels[*index as usize];
            (name.clone(), column.job_text(column.code(self.row), text))
        });
        Labels::from_sorted(pairs)
    }

    fn progress(&self, text: &mut String) -> Option<Progress> {
        Some(Progress {
            done: self.unsigned(&Field::ProgressDone)?,
            total: self.unsigned(&Field::ProgressTotal),
            unit: self.text(&Field::ProgressUnit, text),
        })
    }

    fn held(&self, text: &mut String) -> Option<Held> {
        Some(Held {
            time: self.time(&Field::HeldTime)?,
            by: Actor::named(self.text(&Field::HeldBy, text)),
            reason: self.text(&Field::HeldReason, text).into(),
        })
    }

    fn lease(&self, text: &mut String) -> Option<Lease> {
        if !self.is_set(&Field::LeaseHolder) {
            return None;
        }
        Some(Lease {
            holder: self.text(&Field::LeaseHolder, text),
            token: self.unsigned(&Field::LeaseToken)?,
            since: self.time(&Field::LeaseSince),
            term: self.span(&Field::LeaseTerm),
            until: self.set_time(&Field::LeaseUntil),
        })
    }
}
