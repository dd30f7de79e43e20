//! The face that NetApp ONTAP's clients know: `/api/cluster/jobs`.

mod bulk;
mod change;
mod render;
mod tunnel;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use jobtrack::{ErrorKind, JobId, Names};

#[cfg(test)]
pub(crate) use self::bulk::PARAMETERS as BULK_PARAMETERS;
use self::render::{Links, Shown, Style};
use self::tunnel::Tunnel;
use crate::base::Base;
use crate::body;
use crate::errors::{Face, Fault};
use crate::layout::Layout;
use crate::listing::{self, Listing};
use crate::params::{self, Params};
use crate::respond::{Answer, at, blocking, options, reading};
use crate::{App, Shared};

/// Where the collection stands.
pub(crate) const JOBS: &str = "/api/cluster/jobs";

const HAL: &str = "application/hal+json";
const PLAIN: &str = "application/json";
const METHODS: &str = "GET, HEAD, OPTIONS, PATCH";

pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route(JOBS, at(Face::Ontap, shared, collection))
        .route(&format!("{JOBS}/{{uuid}}"), at(Face::Ontap, shared, instance))
}

async fn collection(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            list(app, &parts).await
        }
        Method::PATCH => {
            let content = body::read(content, &parts.headers, app.options.body_bytes).await?;
            bulk::patch(app, &parts, &content).await
        }
        Method::OPTIONS => Ok(options(HAL, METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), METHODS)),
    }
}

async fn instance(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            get(app, &parts).await
        }
        Method::PATCH => {
            let content = body::read(content, &parts.headers, app.options.body_bytes).await?;
            change::patch(app, &parts, &content).await
        }
        Method::OPTIONS => Ok(options(HAL, METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), METHODS)),
    }
}

async fn list(app: Arc<App>, parts: &Parts) -> Answer {
    let path = Base::of(parts).path(JOBS);
    let mut listing = Listing::parse(&parts.uri, path, Names::Ontap, &app.options)?;
    let style = Style { links: Links::of(parts), layout: listing.layout };
    listing.query.filter = Tunnel::of(&parts.headers)?.narrow(listing.query.filter)?;
    let _while_asked = listing.end_with_request();
    let shown = listing.fields.as_ref().map_or_else(Shown::key, Shown::of);
    // Most pages are there sooner than another thread would be.
    if listing.return_records
        && let Some(page) = app.tracker.query_at_once(&listing.query).map_err(listing::fault)?
    {
        return Ok(render::page(&page, &listing, shown, &style));
    }
    reading(app, move |app| {
        if listing.return_records {
            let page = app.tracker.query(&listing.query).map_err(listing::fault)?;
            Ok(render::page(&page, &listing, shown, &style))
        } else {
            let count = app.tracker.count(&listing.query).map_err(listing::fault)?;
            Ok(render::count(&count, &listing, &style))
        }
    })
    .await
}

async fn get(app: Arc<App>, parts: &Parts) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&["fields", "ignore_unknown_fields", "return_timeout", Layout::PARAMETER])?;
    let fields = listing::selection(&params, Names::Ontap)?;
    let style = Style::of(parts, &params)?;
    let tunnel = Tunnel::of(&parts.headers)?;
    // One job is found at once; the parameter is only checked.
    listing::budget(&params, &app.options)?;
    let id = id(&parts.uri)?;
    let found = blocking(move || Ok(app.tracker.get(id)?)).await?;
    tunnel.check(&found)?;
    let shown = fields.as_ref().map_or_else(Shown::all, Shown::of);
    Ok(render::job(&found, shown, &style))
}

/// The id in the path. What is no uuid is no job's either, so both are answered alike.
fn id(uri: &Uri) -> Result<JobId, Fault> {
    let not_found = || Fault::engine(ErrorKind::NotFound, "no job has this uuid");
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let text = params::decode(last).map_err(|_| not_found())?;
    text.parse().map_err(|_| not_found())
}
