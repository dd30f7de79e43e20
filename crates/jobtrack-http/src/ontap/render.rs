//! Jobs as ONTAP's clients read them: no `null` anywhere, times in whole seconds.

use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use jobtrack::{Count, Field, Job, JobId, Page, Phase, Selection, Timestamp};
use serde::{Serialize, Serializer};

use super::{HAL, JOBS, PLAIN};
use crate::base::Base;
use crate::errors::Fault;
use crate::layout::Layout;
use crate::listing::Listing;
use crate::params::Params;
use crate::respond::{json, with_next};

/// Which links an answer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Links {
    /// All of them; those to one job begin with this path, that of the collection.
    All(String),
    NextOnly,
}

impl Links {
    /// `Accept: application/json` first in the list asks for records without links; everything else
    /// gets them.
    pub(super) fn of(parts: &Parts) -> Links {
        let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let first = accept.and_then(|accept| accept.split([',', ';']).next()).map(str::trim);
        match first {
            Some(first) if first.eq_ignore_ascii_case(PLAIN) => Links::NextOnly,
            _ => Links::All(Base::of(parts).path(JOBS)),
        }
    }
}

/// How an answer looks.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) links: Links,
    pub(super) layout: Layout,
}

impl Style {
    /// What headers and parameters ask for.
    pub(super) fn of(parts: &Parts, params: &Params) -> Result<Style, Fault> {
        Ok(Style { links: Links::of(parts), layout: Layout::of(params)? })
    }

    /// The answer with this body, and the link to the next page in its head.
    pub(super) fn answer(&self, body: &impl Serialize, next: Option<&str>) -> Response {
        let media_type = match self.links {
            Links::All(_) => HAL,
            Links::NextOnly => PLAIN,
        };
        with_next(json(media_type, self.layout.render(body)), next)
    }
}

/// Which members of a record are shown, beside the key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shown {
    description: bool,
    state: bool,
    message: bool,
    code: bool,
    start_time: bool,
    end_time: bool,
    error_code: bool,
    error_message: bool,
    error_target: bool,
    arguments_code: bool,
    arguments_message: bool,
    node: bool,
    svm_name: bool,
    svm_uuid: bool,
}

impl Shown {
    /// The key alone.
    pub(super) fn key() -> Shown {
        Shown::default()
    }

    /// Everything.
    pub(super) fn all() -> Shown {
        Shown::of(&Selection::all())
    }

    /// What was asked for.
    pub(super) fn of(selection: &Selection) -> Shown {
        let shows = |field: Field| selection.shows(&field);
        Shown {
            description: shows(Field::Description),
            state: shows(Field::State),
            message: shows(Field::Message),
            code: shows(Field::Code),
            start_time: shows(Field::StartTime),
            end_time: shows(Field::EndTime),
            error_code: shows(Field::ErrorCode),
            error_message: shows(Field::ErrorMessage),
            error_target: shows(Field::ErrorTarget),
            arguments_code: shows(Field::ErrorArgumentsCode),
            arguments_message: shows(Field::ErrorArgumentsMessage),
            node: shows(Field::Node),
            svm_name: shows(Field::ScopeName),
            svm_uuid: shows(Field::ScopeId),
        }
    }
}

/// A page of the collection.
pub(super) fn page(page: &Page, listing: &Listing, shown: Shown, style: &Style) -> Response {
    let records: Vec<_> =
        page.jobs.iter().map(|job| Record::of(job, shown, &style.links)).collect();
    let next = listing.next_of_page(page);
    let envelope = Envelope {
        num_records: records.len() as u64,
        records: Some(records),
        links: EnvelopeLinks::of(listing.self_link(), next.clone(), &style.links),
    };
    style.answer(&envelope, next.as_deref())
}

/// The collection's number of records.
pub(super) fn count(count: &Count, listing: &Listing, style: &Style) -> Response {
    let next = listing.next_of_count(count);
    let envelope = Envelope {
        records: None,
        num_records: count.count,
        links: EnvelopeLinks::of(listing.self_link(), next.clone(), &style.links),
    };
    style.answer(&envelope, next.as_deref())
}

/// One job.
pub(super) fn job(job: &Job, shown: Shown, style: &Style) -> Response {
    style.answer(&Record::of(job, shown, &style.links), None)
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<Record<'a>>>,
    num_records: u64,
    #[serde(rename = "_links", skip_serializing_if = "Option::is_none")]
    links: Option<EnvelopeLinks>,
}

#[derive(Serialize)]
pub(super) struct EnvelopeLinks {
    #[serde(rename = "self", skip_serializing_if = "Option::is_none")]
    this: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Link>,
}

impl EnvelopeLinks {
    pub(super) fn of(this: String, next: Option<String>, links: &Links) -> Option<EnvelopeLinks> {
        let this = matches!(links, Links::All(_)).then_some(Link { href: this });
        let next = next.map(|href| Link { href });
        // An empty object ends the client's paging as its absence does, but says nothing.
        (this.is_some() || next.is_some()).then_some(EnvelopeLinks { this, next })
    }
}

/// A record that shows its key alone.
#[derive(Serialize)]
pub(super) struct Key {
    uuid: JobId,
    #[serde(rename = "_links", skip_serializing_if = "Option::is_none")]
    links: Option<SelfLink>,
}

impl Key {
    pub(super) fn of(uuid: JobId, links: &Links) -> Key {
        Key { uuid, links: SelfLink::of(uuid, links) }
    }
}

#[derive(Serialize)]
struct Link {
    href: String,
}

#[derive(Serialize)]
struct Record<'a> {
    uuid: JobId,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<WholeSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<WholeSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Node<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    svm: Option<Svm<'a>>,
    #[serde(rename = "_links", skip_serializing_if = "Option::is_none")]
    links: Option<SelfLink>,
}

#[derive(Serialize)]
struct SelfLink {
    #[serde(rename = "self")]
    this: Link,
}

impl SelfLink {
    fn of(uuid: JobId, links: &Links) -> Option<SelfLink> {
        let Links::All(jobs) = links else { return None };
        Some(SelfLink { this: Link { href: format!("{jobs}/{uuid}") } })
    }
}

#[derive(Serialize)]
struct Node<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Svm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    /// Text, as in every error of ONTAP; the client refuses a number here.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<ErrorArgument<'a>>,
}

#[derive(Serialize)]
struct ErrorArgument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> Record<'a> {
    fn of(job: &'a Job, shown: Shown, links: &Links) -> Record<'a> {
        Record {
            uuid: job.uuid,
            description: text(shown.description, &job.description),
            state: shown.state.then(|| job.state().as_str()),
            message: text(shown.message, &job.message),
            code: shown.code.then(|| job.code()),
            start_time: job.start_time().filter(|_| shown.start_time).map(WholeSeconds),
            end_time: job.end_time().filter(|_| shown.end_time).map(WholeSeconds),
            error: ErrorObject::of(job, shown),
            node: text(shown.node, &job.node).map(|name| Node { name }),
            svm: Svm::of(job, shown),
            links: SelfLink::of(job.uuid, links),
        }
    }
}

impl<'a> Svm<'a> {
    fn of(job: &'a Job, shown: Shown) -> Option<Svm<'a>> {
        let scope = job.scope.as_ref()?;
        let name = text(shown.svm_name, &scope.name);
        let uuid = text(shown.svm_uuid, &scope.id);
        (name.is_some() || uuid.is_some()).then_some(Svm { name, uuid })
    }
}

impl<'a> ErrorObject<'a> {
    fn of(job: &'a Job, shown: Shown) -> Option<ErrorObject<'a>> {
        let Phase::Failure { code, detail, .. } = &job.phase else { return None };
        let arguments = detail.arguments.iter().filter_map(|argument| {
            let code = text(shown.arguments_code, &argument.code);
            let message = text(shown.arguments_message, &argument.message);
            (code.is_some() || message.is_some()).then_some(ErrorArgument { code, message })
        });
        let error = ErrorObject {
            code: shown.error_code.then(|| code.to_string()),
            message: text(shown.error_message, &job.message),
            target: text(shown.error_target, &detail.target),
            arguments: arguments.collect(),
        };
        let is_empty = error.code.is_none()
            && error.message.is_none()
            && error.target.is_none()
            && error.arguments.is_empty();
        (!is_empty).then_some(error)
    }
}

/// The text, if it is shown and set.
fn text(shown: bool, text: &str) -> Option<&str> {
    (shown && !text.is_empty()).then_some(text)
}

/// A time as ONTAP writes it: `2026-03-01T10:00:00+00:00`.
struct WholeSeconds(Timestamp);

impl Serialize for WholeSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.floor_to_second().to_string();
        let local = text.strip_suffix('Z').unwrap_or(&text);
        serializer.collect_str(&format_args!("{local}+00:00"))
    }
}
