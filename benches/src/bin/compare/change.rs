//! A change of a job, as each side makes it.
//!
//! Both check what a change may not break: that only a queued job is started, only an unfinished one
//! ends. The tracker does more besides: it keeps each change for those who watch, and leaves a tombstone
//! of what expires.

use std::time::Duration;

use jobtrack::{
    Cause, Command, Durability, Extension, Failure, FailureError, JobId, JobParts, NewJob, Success,
    Timestamp, Tracker, Update,
};
use rusqlite::{Statement, params};

use crate::sqlite::{Inserter, Sqlite, json, micros, place, set};

/// A change of one job.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// This queued job is made.
    Create(Box<JobParts>),
    Start(JobId),
    Pause(JobId),
    /// It says where it stands.
    Report(JobId, String),
    Succeed(JobId, String),
    /// It ends as this failure did.
    Fail(JobId, Box<JobParts>),
    /// It stays so long after its end.
    Extend(JobId, Duration),
}

impl Change {
    /// What a tracker is told.
    pub(crate) fn command(&self) -> Command {
        let command = match self {
            Change::Create(job) => Command::create(NewJob {
                uuid: Some(job.uuid),
                message: job.message.clone(),
                kind: job.kind.clone(),
                node: job.node.clone(),
                scope: job.scope.clone(),
                labels: job.labels.clone(),
                progress: job.progress.clone(),
                allows: job.allows,
                cooperative: job.cooperative,
                retention: Some(job.retention),
                ..NewJob::described(&job.description)
            }),
            Change::Start(id) => Command::start(*id),
            Change::Pause(id) => Command::pause(*id),
            Change::Report(id, message) => Command::report(*id, message.as_str()),
            Change::Succeed(id, message) => {
                Command::succeed(*id, Success::with_message(message.as_str()))
            }
            Change::Fail(id, job) => Command::fail(*id, failure(job)),
            Change::Extend(id, span) => {
                Command::update(*id, Update::Extend(Extension { retention: *span }))
            }
        };
        command.durability(Durability::Deferred)
    }
}

fn failure(job: &JobParts) -> Failure {
    let error = job.error.as_ref().map(|error| FailureError {
        target: error.target.clone(),
        arguments: error.arguments.clone(),
        ..FailureError::default()
    });
    Failure { cause: job.cause, error, ..Failure::new(job.code, job.message.as_str()) }
}

/// Makes the changes in one commit.
///
/// # Panics
///
/// If one is refused: then the two sides do not hold the same.
pub(crate) fn commit(tracker: &Tracker, mut commands: Vec<Command>) {
    // The way of a caller that has a single command.
    match commands.pop() {
        Some(command) if commands.is_empty() => {
            tracker.run(command).expect("the change is legal");
        }
        last => {
            for applied in tracker.run_all(commands.into_iter().chain(last)) {
                applied.expect("the change is legal");
            }
        }
    }
}

/// The changes as SQLite makes them, prepared.
pub(crate) struct Changer<'a> {
    sqlite: &'a Sqlite,
    create: Inserter<'a>,
    start: Statement<'a>,
    pause: Statement<'a>,
    report: Statement<'a>,
    succeed: Statement<'a>,
    fail: Statement<'a>,
    extend: Statement<'a>,
    expire: Statement<'a>,
}

impl<'a> Changer<'a> {
    pub(crate) fn of(sqlite: &'a Sqlite) -> Self {
        let prepare = |text: &str| sqlite.0.prepare(text).expect("the statement is right");
        let update = |set: &str, states: &str| {
            prepare(&format!(
                "UPDATE job SET {set}, update_time = ?2, revision = revision + 1 \
                 WHERE uuid = ?1 AND state IN ({states})"
            ))
        };
        let end = "end_time = ?2, message = ?3, retained_from = ?2, \
                   expire_time = ?2 + retention, requested_action = NULL, requested_by = NULL, \
                   requested_time = NULL, requested_reason = NULL";
        Changer {
            sqlite,
            create: sqlite.inserter(),
            start: update("state = 3, start_time = coalesce(start_time, ?2)", "2"),
            pause: update("state = 1", "3"),
            report: update("message = ?3", "1, 2, 3"),
            succeed: update(&format!("state = 4, {end}"), "1, 3"),
            fail: update(
                &format!(
                    "state = 0, {end}, cause = ?4, code = ?5, error_target = ?6, \
                     error_arguments = ?7"
                ),
                "1, 2, 3",
            ),
            extend: prepare(
                "UPDATE job SET retention = ?3, expire_time = retained_from + ?3, \
                 update_time = ?2, revision = revision + 1 WHERE uuid = ?1 AND retention < ?3",
            ),
            expire: prepare(
                "DELETE FROM job WHERE id IN \
                 (SELECT id FROM job WHERE expire_time <= ?1 LIMIT ?2)",
            ),
        }
    }

    /// Makes the changes, at this time, in one transaction; and takes out what has expired by then,
    /// if told so, in the same one.
    pub(crate) fn commit(&mut self, changes: &[Change], now: Timestamp, due: Option<Timestamp>) {
        // A single statement is a transaction of its own, which is faster than BEGIN and COMMIT.
        let is_single = changes.len() == 1 && due.is_none();
        if !is_single {
            self.sqlite.begin();
        }
        for change in changes {
            self.apply(change, now);
        }
        if let Some(due) = due {
            self.expire(due, i64::MAX);
        }
        if !is_single {
            self.sqlite.commit();
        }
    }

    /// Takes out so many of the jobs that have expired by then, and returns how many there were.
    pub(crate) fn expire(&mut self, due: Timestamp, at_most: i64) -> usize {
        self.expire.execute([due.as_micros(), at_most]).expect("memory can be had")
    }

    fn apply(&mut self, change: &Change, now: Timestamp) {
        let now = now.as_micros();
        let changed = match change {
            Change::Create(job) => {
                self.create.insert(job);
                Ok(1)
            }
            Change::Start(id) => self.start.execute(params![id.as_bytes(), now]),
            Change::Pause(id) => self.pause.execute(params![id.as_bytes(), now]),
            Change::Report(id, message) => {
                self.report.execute(params![id.as_bytes(), now, set(message)])
            }
            Change::Succeed(id, message) => {
                self.succeed.execute(params![id.as_bytes(), now, set(message)])
            }
            Change::Fail(id, job) => {
                let error = job.error.as_ref();
                let arguments = error.filter(|error| !error.arguments.is_empty());
                self.fail.execute(params![
                    id.as_bytes(),
                    now,
                    set(&job.message),
                    job.cause.map(|cause| place(Cause::ALL, &cause)),
                    job.code,
                    error.and_then(|error| set(&error.target)),
                    arguments.map(|error| json(&error.arguments)),
                ])
            }
            Change::Extend(id, span) => {
                self.extend.execute(params![id.as_bytes(), now, micros(*span)])
            }
        };
        assert_eq!(changed.expect("memory can be had"), 1, "the change is legal: {change:?}");
    }
}
