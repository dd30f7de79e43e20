//! What happened to a job.

use std::sync::Arc;

use axum::http::request::Parts;

use super::openapi::shapes;
use super::{JSON, id};
use crate::App;
use crate::layout::Layout;
use crate::params::Params;
use crate::respond::{Answer, blocking, json};

/// What happened to a job, oldest first.
///
/// Its transitions and its latest messages, as many as the server keeps of a job.
#[utoipa::path(get, path = "/v1/jobs/{uuid}/log", operation_id = "get_log", tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000c-0000-4000-8000-000000000000"),
        shapes::Pretty),
    responses((status = 200, description = "Its log", body = shapes::Log),
        (status = 404), (status = 410)))]
pub(super) async fn log(app: Arc<App>, parts: Parts) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&[Layout::PARAMETER])?;
    let layout = Layout::of(&params)?;
    let id = id(&parts.uri)?;
    let log = blocking(move || Ok(app.tracker.log(id)?)).await?;
    Ok(json(JSON, layout.render(&log)))
}
