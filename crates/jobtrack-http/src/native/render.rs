//! Jobs as the native face shows them: one member per field, unset ones left out.

use std::collections::HashSet;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use jobtrack::{Count, Field, Job, Names, Page, Revision, Selection, Timestamp};
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

/// One job, tagged with its revision.
pub(super) fn job(job: &Job, fields: Option<&Selection>, layout: Layout) -> Response {
    let pruned = Pruned::of(fields);
    let mut response = json(JSON, layout.render(&Record { job, pruned: pruned.as_ref() }));
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", job.revision)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
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
