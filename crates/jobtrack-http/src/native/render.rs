//! Jobs as the native face shows them: one member per field, unset ones left out.

use std::collections::{BTreeMap, HashMap, HashSet};

use axum::http::{HeaderValue, header};
use axum::response::Response;
use jobtrack::{
    Count, Estimate, Field, Found, Job, JobId, Names, Page, Progress, Revision, Selection, State,
    Text, Timestamp, Tree, TreeNode,
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::JSON;
use crate::errors::to_json;
use crate::layout::Layout;
use crate::listing::Listing;
use crate::rendered::{self, LABELS, Rendered, names};
use crate::respond::{json, with_next};

/// A page of the collection.
pub(super) fn page(page: &Page, listing: &Listing, rendered: &Rendered) -> Response {
    let pruned = Pruned::of(listing.fields.as_ref());
    if listing.layout == Layout::Compact {
        let next = listing.next_of_page(page);
        let body = compact(page, pruned.as_ref(), next.as_deref(), rendered);
        return with_next(json(JSON, body), next.as_deref());
    }
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

/// The same as an [`Envelope`] on one line, put together of records that are rendered already.
fn compact(
    page: &Page,
    pruned: Option<&Pruned<'_>>,
    next: Option<&str>,
    rendered: &Rendered,
) -> Vec<u8> {
    let records = rendered.of(&page.jobs);
    let bytes: usize = records.iter().map(|record| record.text().len() + 1).sum();
    let next_bytes = next.map_or(0, str::len);
    let mut body = Vec::with_capacity(bytes + next_bytes + AROUND_RECORDS);
    body.extend_from_slice(b"{\"records\":[");
    let mut members = pruned.map(Pruned::members);
    for (at, record) in records.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        match (pruned, &mut members) {
            (Some(pruned), Some(members)) => pruned.write(record, members, &mut body),
            _ => body.extend_from_slice(record.text()),
        }
    }
    let member = |body: &mut Vec<u8>, name: &str, value: Vec<u8>| {
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&value);
    };
    member(&mut body, "],\"num_records\":", to_json(&records.len()));
    member(&mut body, ",\"revision\":", to_json(&page.revision));
    member(&mut body, ",\"horizon\":", to_json(&page.horizon));
    if let Some(next) = next {
        member(&mut body, ",\"next\":", to_json(&next));
    }
    body.push(b'}');
    body
}

/// About how many bytes a page has beside its records and the link to the next.
const AROUND_RECORDS: usize = 128;

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

/// How much of a member is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Not,
    Whole,
    /// Some of what stands in it.
    Part,
}

/// How much of each member is shown, in the order of [`names`], and which labels are.
struct Members {
    shown: Vec<Shown>,
    labels: HashMap<Text, bool>,
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

    /// How much is shown of each member that a job may have.
    fn members(&self) -> Members {
        let of = |name: &String| {
            let inner = format!("{name}.");
            if self.names.contains(name) {
                Shown::Whole
            } else if self.names.iter().any(|shown| shown.starts_with(&inner)) {
                Shown::Part
            } else {
                Shown::Not
            }
        };
        Members { shown: names().iter().map(of).collect(), labels: HashMap::new() }
    }

    /// How much is shown of a job's labels. Jobs mostly have the same few names.
    fn labels(&self, job: &Job, known: &mut HashMap<Text, bool>) -> Shown {
        let mut is_shown = |name: &str| match known.get(name) {
            Some(is_shown) => *is_shown,
            None => {
                let is_shown = self.selection.shows(&Field::Label(name.into()));
                known.insert(name.into(), is_shown);
                is_shown
            }
        };
        let shown = job.labels.iter().filter(|(name, _)| is_shown(name)).count();
        match shown {
            0 => Shown::Not,
            some if some == job.labels.iter().count() => Shown::Whole,
            _ => Shown::Part,
        }
    }

    /// Writes what is shown of a record.
    fn write(&self, record: &rendered::Record, members: &mut Members, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut is_first = true;
        for (member, text) in record.members() {
            let shown = match member.name {
                None => Shown::Not,
                Some(LABELS) => self.labels(record.job(), &mut members.labels),
                Some(name) => members.shown.get(name).copied().unwrap_or(Shown::Not),
            };
            let part;
            let text = match shown {
                Shown::Not => continue,
                Shown::Whole => text,
                Shown::Part => match self.part(text) {
                    None => continue,
                    Some(left) => {
                        part = left;
                        part.as_slice()
                    }
                },
            };
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            out.extend_from_slice(text);
        }
        out.push(b'}');
    }

    /// What is left of a member of which not everything is shown, if anything is.
    fn part(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut members = serde_json::from_slice(&[b"{", text, b"}"].concat()).ok()?;
        self.keep(&mut members, "");
        let mut object = (!members.is_empty()).then(|| to_json(&members))?;
        object.pop();
        object.drain(..1);
        Some(object)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A job of which every field is set, and one of which none is.
    fn jobs() -> Vec<Arc<Job>> {
        let every = serde_json::json!({
            "uuid": "1cd8a442-86d1-11e0-ae1c-123478563412", "state": "running",
            "requested": {"action": "pause", "by": "ops", "time": "2026-03-01T10:00:02Z",
                "reason": "a \"reason\", {so}"},
            "description": "Backup of \\vol1\n, é", "message": "at 3 %",
            "create_time": "2026-03-01T10:00:00Z", "start_time": "2026-03-01T10:00:01.5Z",
            "update_time": "2026-03-01T10:00:02.000001Z", "retention": 0.1,
            "deadline": "2026-03-02T10:00:00Z", "kind": "backup", "node": "node1",
            "scope": {"name": "svm1", "id": "1"}, "labels": {"a.b": "x,}", "tier": "gold"},
            "progress": {"done": 3, "total": 100, "unit": "MB"},
            "parent": "1cd8a442-86d1-11e0-ae1c-123478563411",
            "allows": {"pause": true, "cancel": false}, "cooperative": true,
            "claims": 2, "losses": 1, "payload_bytes": 7, "result_bytes": 8,
            "idempotency_key": "k", "revision": "1-7"
        });
        let failed = serde_json::json!({
            "uuid": "1cd8a442-86d1-11e0-ae1c-123478563413", "state": "failure", "cause": "error",
            "message": "it broke", "code": 7, "create_time": "2026-03-01T10:00:00Z",
            "error": {"code": "7", "message": "it broke", "target": "disk",
                "arguments": [{"code": "c", "message": "m"}, {"message": "n"}]},
            "end_time": "2026-03-01T10:00:01Z", "update_time": "2026-03-01T10:00:01Z",
            "expire_time": "2026-03-01T10:05:01Z"
        });
        let bare = serde_json::json!({
            "uuid": "1cd8a442-86d1-11e0-ae1c-123478563414", "state": "queued",
            "create_time": "2026-03-01T10:00:00Z", "update_time": "2026-03-01T10:00:00Z"
        });
        [every, failed, bare].map(|job| Arc::new(serde_json::from_value(job).unwrap())).to_vec()
    }

    #[test]
    fn a_page_of_pieces_is_what_serde_makes_of_it_whatever_is_shown() {
        let jobs = jobs();
        let own = Field::FIXED.iter().filter_map(|field| field.name(Names::Native));
        let mut asked: Vec<String> = own.map(Into::into).collect();
        asked.extend(names().iter().cloned());
        let pairs: Vec<_> = asked.windows(2).map(|two| two.join(",")).collect();
        asked.extend(pairs);
        let others = ["*", "*,!message", "labels.tier", "labels,!labels.tier,state", "*,!labels"];
        asked.extend(others.map(str::to_owned));
        let rendered = Rendered::default();
        for text in &asked {
            let selection = Selection::parse(text, Names::Native, false).unwrap();
            let pruned = Pruned::of(Some(&selection));
            for next in [None, Some("/v1/jobs?start.token=a%22b")] {
                let page = Page {
                    jobs: jobs.clone(),
                    next: None,
                    revision: Revision { epoch: 3, number: 1024 },
                    horizon: Timestamp::MAX,
                };
                let record = |job| Record { job, pruned: pruned.as_ref() };
                let expected = Envelope {
                    records: Some(jobs.iter().map(|job| record(job)).collect()),
                    num_records: 3,
                    revision: page.revision,
                    horizon: page.horizon,
                    next: next.map(str::to_owned),
                };
                let body = compact(&page, pruned.as_ref(), next, &rendered);
                let body = String::from_utf8(body).unwrap();
                assert_eq!(body, serde_json::to_string(&expected).unwrap(), "{text}");
            }
        }
    }
}
