//! The native face as an `OpenAPI` document.
//!
//! Handlers say what they take and answer, [`shapes`] how that looks, and [`complete`] adds what
//! holds of all of them.

mod complete;
#[cfg(test)]
mod document_test;
pub(super) mod shapes;

use std::sync::Arc;

use axum::http::request::Parts;
use jobtrack::Limits;
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::JSON;
use super::{activity, bulk, engine, log, operator, read, transfer, wait, watch, whoami, worker};
use crate::App;
use crate::base::Base;
use crate::errors::to_json;
use crate::params::Params;
use crate::respond::{Answer, json as answer};

/// What is said by the handlers.
#[derive(OpenApi)]
#[openapi(
    info(title = "jobtrack", description = include_str!("about.md")),
    tags(
        (name = "jobs", description = "To make, find, watch and keep jobs"),
        (name = "worker", description = "To claim jobs, drive them and end them"),
        (name = "transfer", description = "To bring jobs in and out"),
        (name = "server", description = "The server itself")
    ),
    paths(
        super::index, get, read::list, operator::create, read::get, operator::delete, read::tree,
        wait::wait, read::progress, worker::progress, worker::start, worker::report,
        worker::pause, worker::resume, worker::finish, worker::claim_job, worker::renew,
        worker::release, operator::request, operator::extend, operator::free_key, operator::hold,
        operator::unhold, log::log, activity::activity, worker::claim, bulk::bulk,
        read::counts, whoami::whoami, watch::watch, transfer::import, transfer::export,
        transfer::backup,
        engine::engine, engine::sync, engine::maintain, engine::finalize
    ),
    components(schemas(
        shapes::Problem, shapes::Page, shapes::Explanation, shapes::Succeeded, shapes::Failed
    ))
)]
struct Said;

/// The document of a router with a tracker behind it that has these limits.
pub(crate) fn document(limits: &Limits) -> Value {
    let mut said = serde_json::to_value(Said::openapi()).unwrap_or_default();
    complete::complete(&mut said, limits);
    said
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "openapi", tag = "server",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = Object)))]
pub(super) async fn get(app: Arc<App>, parts: Parts) -> Answer {
    Params::parse(parts.uri.query())?.only(&[])?;
    let document = app.document.get_or_init(|| document(&app.tracker.options().limits));
    let root = Base::of(&parts).path("");
    if root.is_empty() {
        return Ok(answer(JSON, to_json(document)));
    }
    let mut document = document.clone();
    if let Some(servers) = document.get_mut("servers") {
        *servers = json!([{ "url": root }]);
    }
    Ok(answer(JSON, to_json(&document)))
}
