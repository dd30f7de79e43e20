//! Jobs as the native face shows them: one member per field, unset ones left out.

use std::collections::{BTreeMap, HashSet};

use axum::http::{HeaderValue, header};
use axum::response::Response;
use jobtrack::{
    Count, Estimate, Field, Found, Job, JobId, Names, Page, Progress, Revision, Selection, State,
    Timestamp, Tree, TreeNode,
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::JSON;
use crate::errors::to_json;
use crate::layout::Layout;
use crate::listing::Listing;
use crate::respond::{json, with_next};

/// A page of the collection.
pub(super) fn page(page: &Page, listing: &Listing) -> Response {
    let pruned = Pruned::of(listing.fields.as_ref());
    let records = page.jobs.iter().map(|job| Record { job, pruned: pruned.as_ref() }).collect();
    Envelope {
        records: Some(records),
        num_records: page.jobs.len() as u64,
        revision: page.revision,
        horizon: page.horizon,
        next: listing.next_of_page(page),
    }
    .answer(listing.layout)
}

/// The collection's number of records.
pub(super) fn count(count: &Count, listing: &Listing) -> Response {
    Envelope {
        records: None,
        num_records: count.count,
        revision: count.revision,
        horizon: count.horizon,
        next: listing.next_of_count(count),
    }
    .answer(listing.layout)
}

/// One job as it was found, tagged with its revision and, where that does not tell, the number of
/// the report that its progress comes from.
pub(super) fn found(found: &Found, fields: Option<&Selection>, layout: Layout) -> Response {
    let mut response = job(&found.job, fields, layout);
    if let Some(number) = found.unflushed
        && let Ok(tag) = HeaderValue::try_from(format!("\"{}.{number}\"", found.job.revision))
    {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// How far a job is, and how long it may still take.
pub(super) fn progress(found: &Found, now: Timestamp, layout: Layout) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        uuid: JobId,
        state: State,
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<&'a Progress>,
        #[serde(skip_serializing_if = "Option::is_none")]
        estimate: Option<Shown>,
    }
    /// In seconds.
    #[derive(Serialize)]
    struct Shown {
        remaining: f64,
        elapsed: f64,
        done: u64,
        total: u64,
    }
    let estimate = Estimate::of(&found.job, now).map(|it| Shown {
        remaining: it.remaining.as_secs_f64(),
        elapsed: it.elapsed.as_secs_f64(),
        done: it.done,
        total: it.total,
    });
    let (uuid, state, progress) = (found.uuid, found.state(), found.progress.as_ref());
    json(JSON, layout.render(&Body { uuid, state, progress, estimate }))
}

/// One job, tagged with its revision.
pub(super) fn job(job: &Job, fields: Option<&Selection>, layout: Layout) -> Response {
    let pruned = Pruned::of(fields);
    let mut response = json(JSON, layout.render(&Record { job, pruned: pruned.as_ref() }));
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", job.revision)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A job and all below it.
pub(super) fn tree(tree: &Tree, fields: Option<&Selection>, layout: Layout) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        records: Vec<Node<'a>>,
        num_records: usize,
        is_cut: bool,
        revision: Revision,
        horizon: Timestamp,
    }
    #[derive(Serialize)]
    struct Node<'a> {
        #[serde(flatten)]
        job: Record<'a>,
        depth: usize,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        children: BTreeMap<&'static str, u32>,
    }
    let pruned = Pruned::of(fields);
    let node = |node: &'_ TreeNode| {
        let counts =
            State::ALL.iter().map(|state| (state.as_str(), node.children.of_state(*state)));
        counts.filter(|(_, count)| *count > 0).collect()
    };
    let records: Vec<_> = tree
        .nodes
        .iter()
        .map(|it| Node {
            job: Record { job: &it.job, pruned: pruned.as_ref() },
            depth: it.depth,
            children: node(it),
        })
        .collect();
    let (is_cut, revision, horizon) = (tree.is_cut, tree.revision, tree.horizon);
    let num_records = records.len();
    json(JSON, layout.render(&Body { records, num_records, is_cut, revision, horizon }))
}

/// One job as it stands in an event.
pub(super) fn record(job: &Job, fields: Option<&Selection>) -> Vec<u8> {
    to_json(&Record { job, pruned: Pruned::of(fields).as_ref() })
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<Record<'a>>>,
    num_records: u64,
    revision: Revision,
    horizon: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Envelope<'_> {
    fn answer(&self, layout: Layout) -> Response {
        with_next(json(JSON, layout.render(self)), self.next.as_deref())
    }
}

struct Record<'a> {
    job: &'a Job,
    /// What is shown; None shows everything.
    pruned: Option<&'a Pruned<'a>>,
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(pruned) = self.pruned else { return self.job.serialize(serializer) };
        match serde_json::to_value(self.job) {
            Ok(Value::Object(mut members)) => {
                pruned.keep(&mut members, "");
                members.serialize(serializer)
            }
            Ok(other) => other.serialize(serializer),
            Err(error) => Err(serde::ser::Error::custom(error)),
        }
    }
}

/// Which fields stay in a job's JSON.
struct Pruned<'a> {
    names: HashSet<String>,
    selection: &'a Selection,
}

impl<'a> Pruned<'a> {
    /// What this selection leaves, or None if that is everything.
    fn of(selection: Option<&'a Selection>) -> Option<Pruned<'a>> {
        let selection = selection.filter(|selection| **selection != Selection::all())?;
        let shown = Field::FIXED.iter().filter(|f| **f == Field::Uuid || selection.shows(f));
        let names = shown.filter_map(|field| field.name(Names::Native)).map(Into::into).collect();
        Some(Pruned { names, selection })
    }

    /// Takes out what is not shown, and every object that nothing is left of.
    fn keep(&self, members: &mut Map<String, Value>, path: &str) {
        members.retain(|name, value| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match value {
                _ if self.names.contains(&path) => true,
                Value::Object(labels) if path == "labels" => {
                    labels.retain(|name, _| {
                        self.selection.shows(&Field::Label(name.as_str().into()))
                    });
                    !labels.is_empty()
                }
                Value::Object(members) => {
                    self.keep(members, &path);
                    !members.is_empty()
                }
                Value::Array(elements) => {
                    elements.retain_mut(|element| match element {
                        Value::Object(members) => {
                            self.keep(members, &path);
                            !members.is_empty()
                        }
                        _ => false,
                    });
                    !elements.is_empty()
                }
                _ => false,
            }
        });
    }
}
