//! jobtrack's own face: `/v1`.
//!
//! [`served()`] is the list of what there is. What each path takes and answers is said at its handlers,
//! in the words of `OpenAPI`, and served as a document.

mod activity;
mod bulk;
mod change;
mod engine;
mod log;
mod openapi;
mod operator;
mod read;
mod render;
mod served;
mod transfer;
mod wait;
mod watch;
mod whoami;
mod worker;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::request::Parts;
use jobtrack::JobId;

use self::served::Served;
use crate::base::Base;
use crate::errors::{Face, Fault, HttpKind, to_json};
use crate::ontap;
use crate::page;
use crate::params::{self, Params};
use crate::respond::{Answer, at, json};
use crate::{App, Shared};

/// Where the collection stands.
pub(crate) const JOBS: &str = "/v1/jobs";

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

/// Every path of this face, and what its methods do. The document has the same, as a test proves.
fn served() -> Vec<Served> {
    vec![
        Served::at("/").get(index),
        Served::at("/v1/openapi.json").get(openapi::get),
        Served::at(JOBS).get(read::list).post(operator::create),
        Served::at("/v1/jobs/{uuid}").get(read::get).delete(operator::delete),
        Served::at("/v1/jobs/{uuid}/tree").get(read::tree),
        Served::at("/v1/jobs/{uuid}/log").get(log::log),
        Served::at("/v1/jobs/{uuid}/wait").get(wait::wait),
        Served::at("/v1/jobs/{uuid}/progress").get(read::progress).post(worker::progress),
        Served::at("/v1/jobs/{uuid}/start").post(worker::start),
        Served::at("/v1/jobs/{uuid}/report").post(worker::report),
        Served::at("/v1/jobs/{uuid}/pause").post(worker::pause),
        Served::at("/v1/jobs/{uuid}/resume").post(worker::resume),
        Served::at("/v1/jobs/{uuid}/finish").post(worker::finish),
        Served::at("/v1/jobs/{uuid}/claim").post(worker::claim_job),
        Served::at("/v1/jobs/{uuid}/renew").post(worker::renew),
        Served::at("/v1/jobs/{uuid}/release").post(worker::release),
        Served::at("/v1/jobs/{uuid}/request").post(operator::request),
        Served::at("/v1/jobs/{uuid}/extend").post(operator::extend),
        Served::at("/v1/jobs/{uuid}/hold").post(operator::hold),
        Served::at("/v1/jobs/{uuid}/unhold").post(operator::unhold),
        Served::at("/v1/jobs/{uuid}/free-key").post(operator::free_key),
        Served::at("/v1/claim").post(worker::claim),
        Served::at("/v1/bulk").post(bulk::bulk),
        Served::at("/v1/counts").get(read::counts),
        Served::at("/v1/activity").get(activity::activity),
        Served::at("/v1/whoami").get(whoami::whoami),
        Served::at("/v1/watch").get(watch::watch),
        Served::at("/v1/import").post_stream(transfer::import),
        Served::at("/v1/export").get(transfer::export),
        Served::at("/v1/backup").get(transfer::backup),
        Served::at("/v1/engine").get(engine::engine),
        Served::at("/v1/sync").post(engine::sync),
        Served::at("/v1/maintain").post(engine::maintain),
        Served::at("/v1/finalize").post(engine::finalize),
    ]
}

pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    // Only what no other path matches comes here.
    let other = at(Face::Native, shared, no_such_change);
    let router = Router::new().route("/v1/jobs/{uuid}/{change}", other);
    served().into_iter().fold(router, |router, path| path.add_to(router, shared))
}

/// Where things are.
///
/// The name and version of the program, and the paths of what stands on its own.
#[utoipa::path(get, path = "/", operation_id = "index", tag = "server",
    responses((status = 200, description = "The paths", body = openapi::shapes::Index),
        (status = 303, description = "To the page, for a browser")))]
async fn index(_app: Arc<App>, parts: Parts) -> Answer {
    if page::is_for_a_browser(&parts.headers) {
        return Ok(page::there(&Base::of(&parts)));
    }
    Params::parse(parts.uri.query())?.only(&[])?;
    let base = Base::of(&parts);
    let path = |own: &str| base.path(own);
    let index = serde_json::json!({
        "name": "jobtrack",
        "version": env!("CARGO_PKG_VERSION"),
        "openapi": path("/v1/openapi.json"),
        "jobs": path(JOBS),
        "claim": path("/v1/claim"),
        "bulk": path("/v1/bulk"),
        "counts": path("/v1/counts"),
        "activity": path("/v1/activity"),
        "whoami": path("/v1/whoami"),
        "watch": path("/v1/watch"),
        "import": path("/v1/import"),
        "export": path("/v1/export"),
        "backup": path("/v1/backup"),
        "engine": path("/v1/engine"),
        "page": path(page::ROOT),
        "ontap": path(ontap::JOBS),
    });
    Ok(json(JSON, to_json(&index)))
}

/// Says what there is under a job.
async fn no_such_change(_app: Arc<App>, request: Request) -> Answer {
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    let served = served();
    let known = served.iter().filter_map(|served| served.path.strip_prefix("/v1/jobs/{uuid}/"));
    let message = format!(
        "{} is nothing that a job has; there are {}",
        jobtrack::quoted(name),
        known.collect::<Vec<_>>().join(", ")
    );
    Err(Fault::new(HttpKind::NoSuchPath, message))
}

/// The id in the path, after the collection.
fn id(uri: &Uri) -> Result<JobId, Fault> {
    let rest = uri.path().strip_prefix(JOBS).unwrap_or_default().trim_start_matches('/');
    let raw = rest.split('/').next().unwrap_or_default();
    let text = params::decode(raw).map_err(|fault| fault.on("uuid"))?;
    Ok(text.parse()?)
}
