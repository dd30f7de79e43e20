//! jobtrack's own face: `/v1`.
//!
//! Each path has one handler, whose `match` on the method is the list of what the path serves.

mod activity;
mod change;
mod log;
mod read;
mod render;
mod transfer;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, Uri};
use jobtrack::JobId;

use crate::App;
use crate::body;
use crate::errors::{Face, Fault, HttpKind};
use crate::ontap;
use crate::page;
use crate::params::{self, Params};
use crate::respond::{Answer, at, json, options};

/// Where the collection stands.
pub(crate) const JOBS: &str = "/v1/jobs";

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

const READ_METHODS: &str = "GET, HEAD, OPTIONS";
const COLLECTION_METHODS: &str = "GET, HEAD, OPTIONS, POST";
const INSTANCE_METHODS: &str = "DELETE, GET, HEAD, OPTIONS";
const POST_METHODS: &str = "OPTIONS, POST";

pub(crate) fn routes(app: &Arc<App>) -> Router {
    Router::new()
        .route("/", at(Face::Native, app, index))
        .route(JOBS, at(Face::Native, app, collection))
        .route(&format!("{JOBS}/{{uuid}}"), at(Face::Native, app, instance))
        .route(&format!("{JOBS}/{{uuid}}/log"), at(Face::Native, app, log::log))
        .route(&format!("{JOBS}/{{uuid}}/{{change}}"), at(Face::Native, app, verb))
        .route("/v1/claim", at(Face::Native, app, claim))
        .route("/v1/counts", at(Face::Native, app, counts))
        .route("/v1/activity", at(Face::Native, app, activity))
        .route("/v1/watch", at(Face::Native, app, watch))
        .route("/v1/import", at(Face::Native, app, import))
        .route("/v1/export", at(Face::Native, app, export))
        .route("/v1/backup", at(Face::Native, app, backup))
}

async fn index(_app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD if page::is_for_a_browser(&parts.headers) => Ok(page::there()),
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            Params::parse(parts.uri.query())?.only(&[])?;
            let index = serde_json::json!({
                "name": "jobtrack",
                "version": env!("CARGO_PKG_VERSION"),
                "jobs": JOBS,
                "claim": "/v1/claim",
                "counts": "/v1/counts",
                "activity": "/v1/activity",
                "watch": "/v1/watch",
                "import": "/v1/import",
                "export": "/v1/export",
                "backup": "/v1/backup",
                "page": page::ROOT,
                "ontap": ontap::JOBS,
            });
            Ok(json(JSON, crate::errors::to_json(&index)))
        }
        Method::OPTIONS => Ok(options(JSON, READ_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), READ_METHODS)),
    }
}

async fn collection(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            read::list(app, &parts.uri).await
        }
        Method::POST => {
            let content = body::read(content, &parts.headers, app.options.body_bytes).await?;
            change::create(app, &parts, &content).await
        }
        Method::OPTIONS => Ok(options(JSON, COLLECTION_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), COLLECTION_METHODS)),
    }
}

async fn instance(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            read::get(app, &parts.uri).await
        }
        Method::DELETE => {
            body::expect_none(content).await?;
            change::delete(app, &parts).await
        }
        Method::OPTIONS => Ok(options(JSON, INSTANCE_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), INSTANCE_METHODS)),
    }
}

async fn verb(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    let name = parts.uri.path().rsplit('/').next().unwrap_or_default();
    if name == "tree" {
        return match parts.method {
            Method::GET | Method::HEAD => {
                body::expect_none(content).await?;
                read::tree(app, &parts.uri).await
            }
            Method::OPTIONS => Ok(options(JSON, READ_METHODS)),
            method => Err(Fault::method_not_allowed(method.as_str(), READ_METHODS)),
        };
    }
    if name == "progress" {
        return match parts.method {
            Method::GET | Method::HEAD => {
                body::expect_none(content).await?;
                read::progress(app, &parts.uri).await
            }
            Method::POST => {
                let content = body::read(content, &parts.headers, app.options.body_bytes).await?;
                change::progress(app, &parts, &content).await
            }
            Method::OPTIONS => Ok(options(JSON, COLLECTION_METHODS)),
            method => Err(Fault::method_not_allowed(method.as_str(), COLLECTION_METHODS)),
        };
    }
    let Some(verb) = change::Verb::named(name) else {
        let message = format!(
            "{} is no change of a job; there are {}",
            jobtrack::quoted(name),
            change::Verb::NAMES
        );
        return Err(Fault::new(HttpKind::NoSuchPath, message));
    };
    match parts.method {
        Method::POST => {
            let content = body::read(content, &parts.headers, app.options.body_bytes).await?;
            change::update(app, &parts, verb, &content).await
        }
        Method::OPTIONS => Ok(options(JSON, POST_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), POST_METHODS)),
    }
}

async fn claim(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::POST => {
            let content = body::read(content, &parts.headers, app.options.body_bytes).await?;
            change::claim(app, &parts, &content).await
        }
        Method::OPTIONS => Ok(options(JSON, POST_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), POST_METHODS)),
    }
}

async fn counts(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            Params::parse(parts.uri.query())?.only(&[])?;
            read::counts(app).await
        }
        Method::OPTIONS => Ok(options(JSON, READ_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), READ_METHODS)),
    }
}

async fn activity(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            activity::activity(app, &parts.uri).await
        }
        Method::OPTIONS => Ok(options(JSON, READ_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), READ_METHODS)),
    }
}

async fn watch(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            watch::watch(app, &parts).await
        }
        Method::OPTIONS => Ok(options(JSON, READ_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), READ_METHODS)),
    }
}

async fn import(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::POST => transfer::import(app, &parts, content).await,
        Method::OPTIONS => Ok(options(JSON, POST_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), POST_METHODS)),
    }
}

async fn export(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            transfer::export(app, &parts.uri)
        }
        Method::OPTIONS => Ok(options(JSON, READ_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), READ_METHODS)),
    }
}

async fn backup(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            Params::parse(parts.uri.query())?.only(&[])?;
            transfer::backup(app)
        }
        Method::OPTIONS => Ok(options(JSON, READ_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), READ_METHODS)),
    }
}

/// The id in the path, after the collection.
fn id(uri: &Uri) -> Result<JobId, Fault> {
    let rest = uri.path().strip_prefix(JOBS).unwrap_or_default().trim_start_matches('/');
    let raw = rest.split('/').next().unwrap_or_default();
    let text = params::decode(raw).map_err(|fault| fault.on("uuid"))?;
    Ok(text.parse()?)
}
