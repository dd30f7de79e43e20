//! What can be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Uri;
use jobtrack::{Counts, Names, Revision, State, Timestamp};
use serde::Serialize;

use super::{JOBS, JSON, id, render};
use crate::App;
use crate::errors::to_json;
use crate::layout::Layout;
use crate::listing::{self, Listing};
use crate::params::Params;
use crate::respond::{Answer, blocking, json};

pub(super) async fn list(app: Arc<App>, uri: &Uri) -> Answer {
    let mut listing = Listing::parse(uri, JOBS, Names::Native, app.options.query_limit)?;
    listing.query.budget.rows = Some(app.options.query_rows);
    let _while_asked = listing.end_with_request();
    blocking(move || {
        if listing.explain {
            let query = &listing.query;
            let explained = match listing.return_records {
                true => app.tracker.explain(query),
                false => app.tracker.explain_count(query),
            };
            Ok(json(JSON, to_json(&explained.map_err(listing::fault)?)))
        } else if listing.return_records {
            let page = app.tracker.query(&listing.query).map_err(listing::fault)?;
            Ok(render::page(&page, &listing))
        } else {
            let count = app.tracker.count(&listing.query).map_err(listing::fault)?;
            Ok(render::count(&count, &listing))
        }
    })
    .await
}

pub(super) async fn get(app: Arc<App>, uri: &Uri) -> Answer {
    let params = Params::parse(uri.query())?;
    params.only(&["fields", "ignore_unknown_fields", Layout::PARAMETER])?;
    let layout = Layout::of(&params)?;
    let fields = listing::selection(&params, Names::Native)?;
    let id = id(uri)?;
    let found = blocking(move || Ok(app.tracker.get(id)?)).await?;
    Ok(render::found(&found, fields.as_ref(), layout))
}

pub(super) async fn progress(app: Arc<App>, uri: &Uri) -> Answer {
    let params = Params::parse(uri.query())?;
    params.only(&[Layout::PARAMETER])?;
    let layout = Layout::of(&params)?;
    let id = id(uri)?;
    blocking(move || {
        let found = app.tracker.get(id)?;
        Ok(render::progress(&found, app.tracker.now(), layout))
    })
    .await
}

/// How many jobs a tree shows unless told otherwise, and at most.
const TREE_RECORDS: u64 = 1_000;
const MOST_TREE_RECORDS: u64 = 10_000;

pub(super) async fn tree(app: Arc<App>, uri: &Uri) -> Answer {
    let params = Params::parse(uri.query())?;
    params.only(&["fields", "ignore_unknown_fields", "max_records", Layout::PARAMETER])?;
    let layout = Layout::of(&params)?;
    let fields = listing::selection(&params, Names::Native)?;
    let most = params.integer("max_records", 1, MOST_TREE_RECORDS)?.unwrap_or(TREE_RECORDS);
    let id = id(uri)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    blocking(move || Ok(render::tree(&app.tracker.tree(id, most)?, fields.as_ref(), layout))).await
}

pub(super) async fn counts(app: Arc<App>) -> Answer {
    let counts = blocking(move || Ok(app.tracker.counts()?)).await?;
    Ok(json(JSON, to_json(&CountsBody::of(&counts))))
}

#[derive(Serialize)]
struct CountsBody<'a> {
    total: u64,
    states: BTreeMap<&'static str, u64>,
    /// By kind, and then by state; the kind without a name is that of the jobs without a kind.
    kinds: BTreeMap<&'a str, BTreeMap<&'static str, u64>>,
    revision: Revision,
    horizon: Timestamp,
}

impl<'a> CountsBody<'a> {
    fn of(counts: &'a Counts) -> CountsBody<'a> {
        let of_kind = |kind| {
            let states = State::ALL.iter().map(|state| (state.as_str(), counts.of(kind, *state)));
            (kind, states.filter(|(_, count)| *count > 0).collect())
        };
        CountsBody {
            total: counts.total(),
            states: State::ALL.iter().map(|s| (s.as_str(), counts.of_state(*s))).collect(),
            kinds: counts.kinds().map(of_kind).collect(),
            revision: counts.revision,
            horizon: counts.horizon,
        }
    }
}
