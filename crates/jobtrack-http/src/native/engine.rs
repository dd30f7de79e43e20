//! The tracker itself: what it is told and how it is, and the little that can be done to it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use jobtrack::{FormatLevel, Limits, Maintained, OpenReport, Revision, Timestamp, Tracker};
use serde::{Deserialize, Serialize};

use super::JSON;
use super::openapi::shapes;
use crate::App;
use crate::body;
use crate::errors::{Fault, to_json};
use crate::params::{Params, invalid};
use crate::respond::{Answer, blocking, json};

/// Jobs that one request for upkeep may take unless told otherwise, and at most.
const BUDGET: u64 = 1_000;
const LARGEST_BUDGET: u64 = 100_000;

/// How the tracker stands, and what it was told.
#[utoipa::path(get, path = "/v1/engine", operation_id = "engine", tag = "server",
    responses((status = 200, description = "The tracker", body = shapes::Engine)))]
pub(super) async fn engine(app: Arc<App>, parts: Parts) -> Answer {
    Params::parse(parts.uri.query())?.only(&[])?;
    Ok(json(JSON, to_json(&Engine::of(app.tracker.whole()?))))
}

/// Make every change so far survive power loss, deferred ones included.
#[utoipa::path(post, path = "/v1/sync", operation_id = "sync", tag = "server",
    request_body(content = Option<shapes::Nothing>, example = json!({})),
    responses((status = 200, description = "Up to which revision that holds at least",
        body = shapes::Synced), (status = 507)))]
pub(super) async fn sync(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    expect_nothing(&parts, &content)?;
    let synced = blocking(move || {
        let tracker = app.tracker.whole()?;
        let revision = tracker.revision();
        tracker.sync()?;
        Ok(Synced { revision })
    });
    Ok(json(JSON, to_json(&synced.await?)))
}

/// Do some of the upkeep that is due.
///
/// Takes out jobs whose time is up, and sees to those whose lease or deadline has run out. Every
/// commit does some of it, and the server does the rest by itself, so nobody has to ask for it.
#[utoipa::path(post, path = "/v1/maintain", operation_id = "maintain", tag = "server",
    request_body(content = Option<shapes::Upkeep>, example = json!({"budget": 100})),
    responses((status = 200, description = "What was done", body = shapes::Maintained),
        (status = 507)))]
pub(super) async fn maintain(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    Params::parse(parts.uri.query())?.only(&[])?;
    let budget = body::parse::<Upkeep>(&content)?.budget.unwrap_or(BUDGET);
    if !(1..=LARGEST_BUDGET).contains(&budget) {
        let right = format!("a number of jobs from 1 to {LARGEST_BUDGET}");
        return Err(invalid("budget", &budget.to_string(), &right));
    }
    let budget = usize::try_from(budget).unwrap_or(usize::MAX);
    let maintained = blocking(move || Ok(app.tracker.whole()?.maintain(budget)?)).await?;
    Ok(json(JSON, to_json(&Done::from(maintained))))
}

/// Raise the store to the newest format level that this release knows.
///
/// There is no way back: releases that do not know the level do not open the store any more.
#[utoipa::path(post, path = "/v1/finalize", operation_id = "finalize", tag = "server",
    request_body(content = Option<shapes::Nothing>, example = json!({})),
    responses((status = 200, description = "The level that the store has now",
        body = shapes::Format), (status = 507)))]
pub(super) async fn finalize(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    expect_nothing(&parts, &content)?;
    let format = blocking(move || {
        let tracker = app.tracker.whole()?;
        tracker.finalize()?;
        Ok(Format::from(tracker.format()))
    });
    Ok(json(JSON, to_json(&format.await?)))
}

fn expect_nothing(parts: &Parts, content: &[u8]) -> Result<(), Fault> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    Params::parse(parts.uri.query())?.only(&[])?;
    let Nothing {} = body::parse(content)?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upkeep {
    budget: Option<u64>,
}

#[derive(Serialize)]
struct Engine<'a> {
    revision: Revision,
    /// Engine time.
    time: Timestamp,
    memory_bytes: usize,
    format: Format,
    opened: Opened,
    options: Shown<'a>,
}

#[derive(Serialize)]
struct Format {
    store: u32,
    newest: u32,
}

#[derive(Serialize)]
struct Opened {
    epoch: u64,
    was_clean: bool,
    jobs: usize,
    from_image: bool,
    expired: usize,
    lost: usize,
    downtime: f64,
    set_back: f64,
}

/// The options, spans in seconds.
#[derive(Serialize)]
struct Shown<'a> {
    retention: f64,
    tombstones_keep: f64,
    tombstones_at_most: usize,
    history_age: f64,
    history_changes: usize,
    history_bytes: usize,
    lease_term: f64,
    limits: &'a Limits,
}

#[derive(Serialize)]
struct Synced {
    revision: Revision,
}

#[derive(Serialize)]
struct Done {
    expired: usize,
    evicted: usize,
    tombstones: usize,
    lapsed: usize,
    followed: usize,
    more: bool,
}

impl<'a> Engine<'a> {
    fn of(tracker: &'a Tracker) -> Engine<'a> {
        let options = tracker.options();
        let seconds = |span: Duration| span.as_secs_f64();
        Engine {
            revision: tracker.revision(),
            time: tracker.now(),
            memory_bytes: tracker.memory(),
            format: tracker.format().into(),
            opened: tracker.opened().into(),
            options: Shown {
                retention: seconds(options.retention),
                tombstones_keep: seconds(options.tombstones.keep),
                tombstones_at_most: options.tombstones.at_most,
                history_age: seconds(options.history.age),
                history_changes: options.history.changes,
                history_bytes: options.history.bytes,
                lease_term: seconds(options.leases.term),
                limits: &options.limits,
            },
        }
    }
}

impl From<FormatLevel> for Format {
    fn from(level: FormatLevel) -> Self {
        Format { store: level.store, newest: level.newest }
    }
}

impl From<&OpenReport> for Opened {
    fn from(report: &OpenReport) -> Self {
        Opened {
            epoch: report.epoch,
            was_clean: report.was_clean,
            jobs: report.jobs,
            from_image: report.from_image,
            expired: report.expired,
            lost: report.lost,
            downtime: report.downtime.as_secs_f64(),
            set_back: report.set_back.as_secs_f64(),
        }
    }
}

impl From<Maintained> for Done {
    fn from(maintained: Maintained) -> Self {
        let Maintained { expired, evicted, tombstones, lapsed, followed, more } = maintained;
        Done { expired, evicted, tombstones, lapsed, followed, more }
    }
}
