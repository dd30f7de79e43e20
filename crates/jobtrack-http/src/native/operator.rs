//! What those do who want jobs done: make them, ask something of them, keep or delete them.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use jobtrack::{Action, Command, Extension, NewJob};
use serde::Deserialize;

use super::change::{Manner, Reason, change, run, with_reason};
use super::openapi::shapes;
use super::{JOBS, render};
use crate::App;
use crate::base::Base;
use crate::body;
use crate::layout::Layout;
use crate::respond::Answer;

/// Make a queued job.
///
/// No member is needed. With an `idempotency_key`, whoever asks again with the same content gets
/// the job that is there, with status 200, and none is made.
#[utoipa::path(post, path = "/v1/jobs", operation_id = "create_job", tag = "jobs",
    params(shapes::CreationParams),
    request_body(content = Option<shapes::NewJob>, example = json!({"description": "Nightly backup",
        "kind": "backup", "labels": {"tier": "gold"}, "progress": {"done": 0, "total": 40},
        "idempotency_key": "nightly-2026-03-01", "retention": 3600})),
    responses((status = 201, description = "The new job", body = shapes::Job,
            headers(("Location" = String, description = "The path of the job"))),
        (status = 200, description = "The job that this key has made before", body = shapes::Job,
            headers(("Location" = String, description = "The path of the job"))),
        (status = 404, description = "`not_found`: there is no such parent"),
        (status = 409), (status = 410, description = "`gone`: the parent is gone"),
        (status = 507)))]
pub(super) async fn create(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    let manner = Manner::of_creation(&parts)?;
    let job: NewJob = body::parse(&content)?;
    let applied = run(app, &parts, manner.apply(Command::create(job))).await?;
    let mut response = render::job(&applied.job, None, Layout::Compact);
    *response.status_mut() = if applied.is_repeat { StatusCode::OK } else { StatusCode::CREATED };
    let path = Base::of(&parts).path(&format!("{JOBS}/{}", applied.job.uuid));
    if let Ok(location) = HeaderValue::try_from(path) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Delete a job that has ended.
///
/// One that has not is 409: request its cancellation first. For a while it is remembered that there
/// was such a job, and it is answered with 410.
#[utoipa::path(delete, path = "/v1/jobs/{uuid}", operation_id = "delete_job", tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000b-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::Reason, shapes::IfMatch),
    responses((status = 200, description = "The job as it last stood", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn delete(app: Arc<App>, parts: Parts) -> Answer {
    change(app, &parts, Reason::InUrl, |id, _| Ok(Command::delete(id))).await
}

/// Ask that the job pause, resume or be canceled.
///
/// On a job that answers for itself, or is held, it waits until the worker answers it; on any other
/// it takes effect at once.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/request", operation_id = "request_of_job",
    tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000c-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::IfMatch),
    request_body(content = shapes::Asked,
        example = json!({"action": "cancel", "reason": "maintenance"})),
    responses((status = 200, description = "The job, with what became of it", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn request(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InBody, |id, _| {
        let asked: Asked = body::parse(&content)?;
        Ok(Command::request(id, asked.action).because(asked.reason))
    })
    .await
}

/// Keep the job for longer after its end; never for less.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/extend", operation_id = "extend_retention",
    tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000a-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::Reason, shapes::IfMatch),
    request_body(content = shapes::Extension, example = json!({"retention": 86_400})),
    responses((status = 200, description = "The job with its retention", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn extend(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InUrl, |id, _| {
        Ok(Command::extend(id, body::parse::<Extension>(&content)?.retention))
    })
    .await
}

/// Keep the job until the hold is let go, whatever its retention says.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/hold", operation_id = "hold_job", tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000a-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::IfMatch),
    request_body(content = Option<shapes::Why>, example = json!({"reason": "audit of March"})),
    responses((status = 200, description = "The job, held", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn hold(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InBody, |id, _| with_reason(Command::hold(id), &content)).await
}

/// Let go of a hold.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/unhold", operation_id = "unhold_job", tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000a-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::IfMatch),
    request_body(content = Option<shapes::Why>, example = json!({})),
    responses((status = 200, description = "The job, held no more", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn unhold(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InBody, |id, _| with_reason(Command::unhold(id), &content)).await
}

/// Let go of the job's idempotency key, so that the key makes a new job.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/free-key", operation_id = "free_key", tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000c-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::IfMatch),
    request_body(content = Option<shapes::Why>, example = json!({})),
    responses((status = 200, description = "The job without a key", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn free_key(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InBody, |id, _| with_reason(Command::free_key(id), &content)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    action: Action,
    #[serde(default)]
    reason: String,
}
