//! Random jobs for property tests: few distinct values, so that equal and unset ones are common.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::job::{
    Action, Actor, Allows, Argument, Cause, Held, Job, JobError, JobId, JobParts, Lease, Progress,
    Request, Revision, Scope, State, Told,
};
use crate::table::{Row, Snapshot, Table};
use crate::timestamp::Timestamp;

/// Texts short enough to collide, with every mark of the language in them.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[abB]{0,3}",
        1 => "[ab*|!<>=.\"{}é]{0,5}",
        1 => Just("null".to_owned()),
    ]
}

/// Times that differ by microseconds as well as by seconds.
pub(crate) fn time() -> impl Strategy<Value = Timestamp> {
    const BASE: i64 = 1_772_000_000_000_000;
    (0..4_i64, prop_oneof![Just(0), Just(1), Just(500_000), Just(999_999_i64)]).prop_map(
        |(second, micros)| Timestamp::from_micros(BASE + second * 1_000_000 + micros).unwrap(),
    )
}

pub(crate) fn id() -> impl Strategy<Value = JobId> {
    any::<u128>().prop_map(|id| JobId::from_uuid(uuid::Uuid::from_u128(id)))
}

fn times() -> impl Strategy<Value = [Timestamp; 4]> {
    [time(), time(), time(), time()].prop_map(|mut times| {
        times.sort_unstable();
        times
    })
}

fn argument() -> impl Strategy<Value = Argument> {
    (text(), text()).prop_map(|(code, message)| Argument { code, message })
}

/// A job with any state and any field set or unset.
pub(crate) fn job() -> impl Strategy<Value = Job> {
    let state = prop::sample::select(State::ALL);
    let texts = [text(), text(), text(), text(), text(), text(), text()];
    let first = (id(), state, prop::sample::select(Cause::ALL), times(), texts, -2..3_i64);
    let second = (
        vec(argument(), 0..3),
        option::of(time()),
        option::of((0..3_u64, option::of(0..3_u64))),
        option::of(id()),
        any::<[bool; 4]>(),
        (option::of(0..3_u64), option::of(time()), option::of("[xy]{1,2}")),
        prop_oneof![Just(300_000_000), Just(500_000), 0..3_u64],
        (0..3_u64, 0..12_u64),
        btree_map(prop_oneof![4 => "[xy]", 1 => "[a-z]{2}"], text(), 0..2),
    );
    (first, second).prop_map(|(first, second)| {
        let (uuid, state, cause, [create, start, end, update], texts, code) = first;
        let [description, message, kind, node, scope_name, scope_id, target] = texts;
        let (arguments, deadline, progress, parent, flags, some, span, revision, labels) = second;
        let (number, later, key) = some;
        let is_failure = state == State::Failure;
        let code = match state {
            State::Failure if code == 0 => 1,
            State::Failure | State::Success => code,
            _ => 0,
        };
        let message = if is_failure && message.is_empty() { "m".to_owned() } else { message };
        let is_started = match state {
            State::Running | State::Paused => true,
            _ => flags[0],
        };
        let error = std::num::NonZeroI64::new(code)
            .filter(|_| is_failure && flags[1])
            .map(|code| JobError { code, message: message.clone(), target, arguments });
        Job::try_from(JobParts {
            uuid,
            state,
            requested: later.filter(|_| !state.is_terminal()).map(|time| Request {
                action: if flags[0] { Action::Pause } else { Action::Cancel },
                by: Actor::named(node.clone()),
                time,
                reason: kind.clone().into(),
            }),
            cause: is_failure.then_some(cause),
            held: flags[3].then(|| Held {
                by: Actor::named(scope_name.clone()),
                time: update,
                reason: description.clone(),
            }),
            description,
            message,
            code,
            error,
            create_time: create,
            start_time: is_started.then_some(start),
            end_time: state.is_terminal().then_some(end),
            update_time: update,
            retention: Duration::from_micros(span),
            retention_told: (flags[2] && !state.is_terminal()).then_some(Told::Exactly),
            retained_from: later.filter(|_| state.is_terminal()),
            expire_time: later.filter(|_| state.is_terminal() && !flags[3]),
            deadline,
            kind,
            node,
            scope: Some(Scope { name: scope_name.into(), id: scope_id.into() }),
            labels: labels.into_iter().collect::<BTreeMap<_, _>>(),
            progress: progress.map(|(done, total)| Progress {
                done,
                total,
                unit: crate::job::Text::new(),
            }),
            parent,
            allows: Allows { pause: flags[2], cancel: true },
            cooperative: flags[3],
            lease: number.map(|token| Lease {
                holder: "h".into(),
                token,
                since: None,
                term: None,
                until: update,
            }),
            claims: 0,
            losses: 0,
            payload_bytes: number,
            result_bytes: None,
            idempotency_key: key,
            revision: Revision { epoch: revision.0, number: revision.1 },
        })
        .unwrap()
    })
}

/// A queued job, whose description is this number.
pub(super) fn plain(number: u128) -> Job {
    let text = r#"{"uuid": "00000000-0000-0000-0000-000000000000", "state": "queued",
        "create_time": "2026-03-01T10:00:00Z", "update_time": "2026-03-01T10:00:00Z"}"#;
    let job: Job = serde_json::from_str(text).unwrap();
    let uuid = JobId::from_uuid(uuid::Uuid::from_u128(number));
    Job { uuid, description: number.to_string().into(), ..job }
}

/// A snapshot of these jobs.
pub(crate) fn snapshot(jobs: impl IntoIterator<Item = Job>) -> Snapshot {
    let mut table = Table::default();
    for job in jobs {
        table.put(Row { job: Arc::new(job), key: 0, stored: 0 });
    }
    table.snapshot(Timestamp::MIN)
}
