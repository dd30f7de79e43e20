//! The face that NetApp ONTAP's clients know: `/api/cluster/jobs`.

mod render;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::Response;
use jobtrack::{Action, Command, ErrorKind, JobId, Names};

use self::render::{Links, Shown};
use crate::App;
use crate::body;
use crate::errors::{Face, Fault, HttpKind};
use crate::listing::{self, Listing};
use crate::params::{self, Params};
use crate::respond::{Answer, at, blocking, json, options};

/// Where the collection stands.
pub(crate) const JOBS: &str = "/api/cluster/jobs";

const HAL: &str = "application/hal+json";
const PLAIN: &str = "application/json";
const COLLECTION_METHODS: &str = "GET, HEAD, OPTIONS";
const INSTANCE_METHODS: &str = "GET, HEAD, OPTIONS, PATCH";

pub(crate) fn routes(app: &Arc<App>) -> Router {
    Router::new()
        .route(JOBS, at(Face::Ontap, app, collection))
        .route(&format!("{JOBS}/{{uuid}}"), at(Face::Ontap, app, instance))
}

async fn collection(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            list(app, &parts.uri, links(&parts.headers)).await
        }
        Method::OPTIONS => Ok(options(HAL, COLLECTION_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), COLLECTION_METHODS)),
    }
}

async fn instance(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            get(app, &parts.uri, links(&parts.headers)).await
        }
        Method::PATCH => {
            let content = body::read(content, &parts.headers, app.options.body_bytes).await?;
            patch(app, &parts.uri, &content).await
        }
        Method::OPTIONS => Ok(options(HAL, INSTANCE_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), INSTANCE_METHODS)),
    }
}

async fn list(app: Arc<App>, uri: &Uri, links: Links) -> Answer {
    let listing = Listing::parse(uri, JOBS, Names::Ontap, app.options.query_limit)?;
    let body = blocking(move || {
        if listing.return_records {
            let page = app.tracker.query(&listing.query)?;
            let shown = listing.fields.as_ref().map_or_else(Shown::key, Shown::of);
            Ok(render::page(&page, &listing, shown, links))
        } else {
            let count = app.tracker.count(&listing.query)?;
            Ok(render::count(&count, &listing, links))
        }
    })
    .await?;
    Ok(typed(links, body))
}

async fn get(app: Arc<App>, uri: &Uri, links: Links) -> Answer {
    let params = Params::parse(uri.query())?;
    params.only(&["fields", "ignore_unknown_fields", "return_timeout"])?;
    let fields = listing::selection(&params, Names::Ontap)?;
    // One job is found at once; the parameter is only checked.
    listing::budget(&params, app.options.query_limit)?;
    let id = id(uri)?;
    let found = blocking(move || Ok(app.tracker.get(id)?)).await?;
    let shown = fields.as_ref().map_or_else(Shown::all, Shown::of);
    Ok(typed(links, render::job(&found.job, shown, links)))
}

async fn patch(app: Arc<App>, uri: &Uri, content: &[u8]) -> Answer {
    let params = Params::parse(uri.query())?;
    params.only(&["action"])?;
    expect_no_fields(content)?;
    let Some(action) = params.given("action")? else {
        let message = "the parameter is required: pause, resume or cancel";
        return Err(Fault::new(HttpKind::MissingParameter, message).on("action"));
    };
    let action: Action = action
        .parse()
        .map_err(|error: jobtrack::Error| Fault::from(error).on_value("action", action))?;
    let id = id(uri)?;
    blocking(move || Ok(app.tracker.run(Command::request(id, action))?)).await?;
    Ok(json(HAL, b"{}".to_vec()))
}

/// The id in the path. What is no uuid is no job's either, so both are answered alike.
fn id(uri: &Uri) -> Result<JobId, Fault> {
    let not_found = || Fault::engine(ErrorKind::NotFound, "no job has this uuid");
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let text = params::decode(last).map_err(|_| not_found())?;
    text.parse().map_err(|_| not_found())
}

/// The body of a PATCH says nothing: no field of a job can be changed here.
fn expect_no_fields(content: &[u8]) -> Result<(), Fault> {
    let members: serde_json::Map<String, serde_json::Value> =
        body::parse(content).map_err(|fault| fault.into_http(HttpKind::InvalidJson))?;
    match members.keys().next() {
        None => Ok(()),
        Some(name) => {
            let message =
                format!("Field {} cannot be set in this operation", jobtrack::quoted(name));
            Err(Fault::new(HttpKind::NotSettable, message).on(name))
        }
    }
}

/// `Accept: application/json` first in the list asks for records without links; everything else
/// gets them.
fn links(headers: &HeaderMap) -> Links {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let first = accept.and_then(|accept| accept.split([',', ';']).next()).map(str::trim);
    match first {
        Some(first) if first.eq_ignore_ascii_case(PLAIN) => Links::NextOnly,
        _ => Links::All,
    }
}

fn typed(links: Links, body: Vec<u8>) -> Response {
    match links {
        Links::All => json(HAL, body),
        Links::NextOnly => json(PLAIN, body),
    }
}
