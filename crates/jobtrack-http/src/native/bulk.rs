//! One action on every job that a filter matches, as a job of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use jobtrack::{
    Budget, Bulk, BulkAction, BulkRequest, Cancel, ErrorKind, Expr, Extension, Query, Relabel,
    quoted,
};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::openapi::shapes;
use super::{JOBS, JSON, render};
use crate::App;
use crate::auth::actor;
use crate::base::Base;
use crate::body;
use crate::errors::{Fault, HttpKind, to_json};
use crate::layout::Layout;
use crate::listing;
use crate::params::Params;
use crate::respond::{Answer, blocking, json, reading};

/// Act on every job that a filter matches, as a job of its own.
///
/// The filter is written as in the URL of a list. Of extend `retention` is needed, of relabel
/// `labels`. With `dry_run` nothing is done, and the answer is how many jobs match.
#[utoipa::path(post, path = "/v1/bulk", operation_id = "bulk", tag = "jobs",
    request_body(content = shapes::Bulk, example = json!({"action": "cancel",
        "filter": "kind=backup&state=running", "reason": "maintenance", "dry_run": true})),
    responses((status = 200, description = "How many jobs match", body = shapes::DryRun),
        (status = 202, description = "The job that tells how far it is", body = shapes::Job,
            headers(("Location" = String, description = "The path of the job"))),
        (status = 507)))]
pub(super) async fn bulk(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    Params::parse(parts.uri.query())?.only(&[])?;
    let asked: Asked = body::parse(&content)?;
    let is_dry_run = asked.dry_run;
    let mut request = asked.request()?;
    if is_dry_run {
        let limit = app.options.query_limit;
        let (rows, cancel) = (Some(app.options.query_rows), Cancel::default());
        let _while_asked = listing::EndsQuery(cancel.clone());
        let budget = Budget { soft: limit, hard: limit, rows, cancel: Some(cancel) };
        let query = Query { budget, ..Query::matching(request.filter) };
        let count = move |app: &App| app.tracker.count(&query).map_err(listing::fault);
        let count = reading(app, count).await?;
        if count.next.is_some() {
            return Err(listing::not_counted_in(limit));
        }
        let body = serde_json::json!({
            "num_records": count.count,
            "revision": count.revision,
            "horizon": count.horizon,
        });
        return Ok(json(JSON, to_json(&body)));
    }
    request.actor = actor(&parts.extensions);
    let place = app.admission.bulk()?;
    let job = blocking(move || {
        let bulk = app.tracker.bulk(request)?;
        // As it begins, whatever becomes of it.
        let job = app.tracker.get(bulk.job());
        // Nobody waits for it: whoever wants to know asks for its job. From here, since the client
        // may be gone by now, and what has begun is to go on.
        drop(tokio::task::spawn_blocking(move || carry_out(bulk, place)));
        Ok(job?)
    })
    .await?;
    let mut response = render::found(&job, None, Layout::Compact);
    *response.status_mut() = StatusCode::ACCEPTED;
    if let Ok(location) =
        HeaderValue::try_from(Base::of(&parts).path(&format!("{JOBS}/{}", job.uuid)))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Goes on until it has ended, or cannot.
fn carry_out(mut bulk: Bulk, _place: OwnedSemaphorePermit) {
    loop {
        match bulk.step() {
            Ok(step) if step.has_ended => return,
            Ok(_) => {}
            Err(error) => {
                // Its job is lost when its lease runs out, unless somebody has ended it already.
                tracing::warn!("bulk {} goes no further: {error}", bulk.job());
                return;
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    action: String,
    filter: String,
    retention: Option<serde_json::Value>,
    labels: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    dry_run: bool,
}

impl Asked {
    fn request(self) -> Result<BulkRequest, Fault> {
        let others = [("retention", self.retention.is_some()), ("labels", self.labels.is_some())];
        let (action, own) = match &*self.action {
            "cancel" => (BulkAction::Cancel, None),
            "delete" => (BulkAction::Delete, None),
            "extend" => (BulkAction::Extend(retention(self.retention)?), Some("retention")),
            "relabel" => (BulkAction::Relabel(labels(self.labels)?), Some("labels")),
            other => {
                let message =
                    format!("{} is none of cancel, delete, extend, relabel", quoted(other));
                return Err(Fault::engine(ErrorKind::InvalidValue, message).on("action"));
            }
        };
        if let Some((name, _)) = others.iter().find(|(name, given)| *given && Some(*name) != own) {
            let message = format!("to {} takes no {name}; leave it out", self.action);
            return Err(Fault::engine(ErrorKind::Contradiction, message).on(name));
        }
        let filter = filter(&self.filter)?;
        let (reason, description) = (self.reason, self.description);
        Ok(BulkRequest { reason, description, ..BulkRequest::new(filter, action) })
    }
}

/// The filter as it stands in the URL of a list.
fn filter(text: &str) -> Result<Expr, Fault> {
    let params = Params::parse(Some(text))?;
    if params.iter().next().is_none() {
        let message = "at least one filter is required; uuid=* is all jobs";
        return Err(Fault::new(HttpKind::MissingParameter, message).on("filter"));
    }
    listing::filter_and_search(&params)
}

fn retention(given: Option<serde_json::Value>) -> Result<Extension, Fault> {
    let Some(given) = given else {
        let message = "say how long they are to stay, in seconds";
        return Err(Fault::engine(ErrorKind::MissingValue, message).on("retention"));
    };
    body::parse(serde_json::json!({ "retention": given }).to_string().as_bytes())
}

fn labels(given: Option<BTreeMap<String, Option<String>>>) -> Result<Relabel, Fault> {
    let Some(labels) = given else {
        let message = "say which labels: an object of texts, null to take one out";
        return Err(Fault::engine(ErrorKind::MissingValue, message).on("labels"));
    };
    Ok(Relabel { labels })
}
