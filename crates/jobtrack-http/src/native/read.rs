//! What can be asked.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use jobtrack::{Counts, Names, Revision, State, Timestamp};
use serde::{Serialize, Serializer};

use super::openapi::shapes;
use super::{JOBS, JSON, id, render};
use crate::App;
use crate::base::Base;
use crate::errors::to_json;
use crate::layout::Layout;
use crate::listing::{self, Listing};
use crate::params::Params;
use crate::respond::{Answer, blocking, json, reading};
use crate::tags::Tags;

/// List jobs: a page of those that match, in the order asked for.
///
/// Every parameter with the name of a field is a filter; so is `labels.NAME`, for each label.
/// Filters are joined by "and". `docs/query-language.md` says what a value may be.
#[utoipa::path(get, path = "/v1/jobs", operation_id = "list_jobs", tag = "jobs",
    params(shapes::ListParams, shapes::FieldsParams),
    responses((status = 200, description = "A page, the number of jobs, or what the query takes",
        body = shapes::Listing,
        headers(("Link" = String, description = "The next page, if there is one")))))]
pub(super) async fn list(app: Arc<App>, parts: Parts) -> Answer {
    let path = Base::of(&parts).path(JOBS);
    let mut listing = Listing::parse(&parts.uri, path, Names::Native, &app.options)?;
    let _while_asked = listing.end_with_request();
    // Most pages are there sooner than another thread would be.
    if listing.return_records
        && !listing.explain
        && let Some(page) = app.tracker.query_at_once(&listing.query).map_err(listing::fault)?
    {
        return Ok(render::page(&page, &listing, &app.rendered));
    }
    reading(app, move |app| {
        if listing.explain {
            let query = &listing.query;
            let explained = match listing.return_records {
                true => app.tracker.explain(query),
                false => app.tracker.explain_count(query),
            };
            Ok(json(JSON, to_json(&explained.map_err(listing::fault)?)))
        } else if listing.return_records {
            let page = app.tracker.query(&listing.query).map_err(listing::fault)?;
            Ok(render::page(&page, &listing, &app.rendered))
        } else {
            let count = app.tracker.count(&listing.query).map_err(listing::fault)?;
            Ok(render::count(&count, &listing))
        }
    })
    .await
}

/// Read one job.
#[utoipa::path(get, path = "/v1/jobs/{uuid}", operation_id = "get_job", tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000c-0000-4000-8000-000000000000"),
        shapes::FieldsParams, shapes::IfNoneMatch),
    responses((status = 200, description = "The job", body = shapes::Record),
        (status = 304, description = "It has not changed since"),
        (status = 404), (status = 410)))]
pub(super) async fn get(app: Arc<App>, parts: Parts) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&["fields", "ignore_unknown_fields", Layout::PARAMETER])?;
    let layout = Layout::of(&params)?;
    let fields = listing::selection(&params, Names::Native)?;
    let id = id(&parts.uri)?;
    let found = blocking(move || Ok(app.tracker.get(id)?)).await?;
    let response = render::found(&found, fields.as_ref(), layout);
    match response.headers().get(header::ETAG) {
        Some(tag) if has(&parts.headers, tag) => Ok(not_modified(tag.clone())),
        _ => Ok(response),
    }
}

/// Whether `If-None-Match` names this tag, weak or strong: either will do to read.
fn has(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let Ok(tag) = tag.to_str() else { return false };
    let mut lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|it| it.to_str().ok());
    let opaque = tag.trim_matches('"');
    lines.any(|line| line.trim() == "*" || Tags::of(line).any(|other| other.opaque == opaque))
}

fn not_modified(tag: HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// How far a job is, and how long it may still take.
#[utoipa::path(get, path = "/v1/jobs/{uuid}/progress", operation_id = "get_progress",
    tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000c-0000-4000-8000-000000000000"),
        shapes::Pretty),
    responses((status = 200, description = "Its progress, and of a job at work an estimate",
            body = shapes::ProgressAnswer),
        (status = 404), (status = 410)))]
pub(super) async fn progress(app: Arc<App>, parts: Parts) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&[Layout::PARAMETER])?;
    let layout = Layout::of(&params)?;
    let id = id(&parts.uri)?;
    blocking(move || {
        let found = app.tracker.get(id)?;
        Ok(render::progress(&found, app.tracker.now(), layout))
    })
    .await
}

/// How many jobs a tree shows unless told otherwise, and at most.
const TREE_RECORDS: u64 = 1_000;
const MOST_TREE_RECORDS: u64 = 10_000;

/// A job and all below it.
///
/// Parents come before their children, and those nearest to the top if there are more than
/// `max_records`. All of it holds at one revision.
#[utoipa::path(get, path = "/v1/jobs/{uuid}/tree", operation_id = "get_tree", tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000d-0000-4000-8000-000000000000"),
        shapes::TreeParams, shapes::FieldsParams),
    responses((status = 200, description = "The family", body = shapes::Tree),
        (status = 404), (status = 410)))]
pub(super) async fn tree(app: Arc<App>, parts: Parts) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&["fields", "ignore_unknown_fields", "max_records", Layout::PARAMETER])?;
    let layout = Layout::of(&params)?;
    let fields = listing::selection(&params, Names::Native)?;
    let most = params.integer("max_records", 1, MOST_TREE_RECORDS)?.unwrap_or(TREE_RECORDS);
    let id = id(&parts.uri)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    reading(app, move |app| Ok(render::tree(&app.tracker.tree(id, most)?, fields.as_ref(), layout)))
        .await
}

/// How many jobs there are, by state and by kind.
#[utoipa::path(get, path = "/v1/counts", operation_id = "counts", tag = "jobs",
    responses((status = 200, description = "The counts", body = shapes::Counts)))]
pub(super) async fn counts(app: Arc<App>, parts: Parts) -> Answer {
    Params::parse(parts.uri.query())?.only(&[])?;
    let counts = match app.tracker.counts_at_once()? {
        Some(counts) => counts,
        None => reading(app, |app| Ok(app.tracker.counts()?)).await?,
    };
    Ok(json(JSON, to_json(&CountsBody::of(&counts))))
}

#[derive(Serialize)]
struct CountsBody<'a> {
    total: u64,
    states: ByState,
    /// By kind, and then by state; the kind without a name is that of the jobs without a kind.
    kinds: ByKind<'a>,
    revision: Revision,
    horizon: Timestamp,
}

impl<'a> CountsBody<'a> {
    fn of(counts: &'a Counts) -> CountsBody<'a> {
        CountsBody {
            total: counts.total(),
            states: State::ALL.iter().map(|s| (*s, counts.of_state(*s))).collect(),
            kinds: ByKind(counts),
            revision: counts.revision,
            horizon: counts.horizon,
        }
    }
}

/// Counts by state, in the order of the states' names.
#[derive(Default)]
struct ByState([Option<u64>; BY_NAME.len()]);

impl FromIterator<(State, u64)> for ByState {
    fn from_iter<I: IntoIterator<Item = (State, u64)>>(counts: I) -> Self {
        let mut by_state = ByState::default();
        for (state, count) in counts {
            let places = BY_NAME.iter().zip(&mut by_state.0);
            places.filter(|(name, _)| **name == state).for_each(|(_, at)| *at = Some(count));
        }
        by_state
    }
}

impl Serialize for ByState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = BY_NAME.iter().zip(self.0);
        serializer.collect_map(counts.filter_map(|(state, count)| Some((state, count?))))
    }
}

const BY_NAME: [State; 5] =
    [State::Failure, State::Paused, State::Queued, State::Running, State::Success];

/// Counts by kind, written as they are read: there may be thousands of kinds.
struct ByKind<'a>(&'a Counts);

impl Serialize for ByKind<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.by_kind().map(|(kind, states)| {
            (kind, states.filter(|(_, count)| *count > 0).collect::<ByState>())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_place_among_the_names() {
        let mut names = State::ALL.to_vec();
        names.sort_unstable_by_key(|state| state.as_str());
        assert_eq!(names, BY_NAME);
    }
}
