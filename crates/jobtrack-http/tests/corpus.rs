//! The cases in `testdata/http`, in process and over HTTP. Its README says what they are made of.

// Tests may unwrap, and the lints see no test in a module that tests share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use common::document::Document;
use common::{Answer, JOBS, exchange, request_bytes, uuid_of};
use jobtrack::{MemoryStore, Revision, Tracker};
use jobtrack_http::{Options, ServerOptions, router, serve};
use jobtrack_testkit::ManualClock;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tower::ServiceExt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    #[serde(default)]
    changes_nothing: bool,
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    number: Option<Numbers>,
    only_over_http: Option<String>,
    #[serde(flatten)]
    first: Step,
    #[serde(default)]
    then: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    One(u32),
    Several(Vec<u32>),
}

// Not `deny_unknown_fields`, which does not go with `flatten`: unknown members are caught below.
#[derive(Deserialize)]
struct Step {
    request: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    advance: Option<u64>,
    status: u16,
    jobs: Option<String>,
    pages: Option<Vec<String>>,
    members: Option<String>,
    #[serde(default)]
    record: BTreeMap<char, String>,
    text: Option<String>,
    json: Option<String>,
    part: Option<String>,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    empty: bool,
    error: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    answer: BTreeMap<String, String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

/// How requests reach the router.
enum Way {
    InProcess,
    OverHttp,
}

/// A router with the five jobs behind it.
struct Stage {
    runtime: Runtime,
    tracker: Arc<Tracker>,
    clock: ManualClock,
    router: Router,
    /// The revision at the beginning, and that of the five jobs.
    revision: Revision,
    imported: Revision,
    /// Where the server listens, if there is one.
    address: Option<std::net::SocketAddr>,
}

impl Stage {
    fn new(way: &Way) -> Stage {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (tracker, clock) = common::tracker(MemoryStore::new());
        let router = router(Arc::clone(&tracker), Options::default());
        let (revision, imported) = (tracker.revision(), tracker.revision());
        let mut stage =
            Stage { runtime, tracker, clock, router, revision, imported, address: None };
        let imported = stage.in_process("POST", "/v1/import", &BTreeMap::new(), JOBS.as_bytes());
        assert_eq!(imported.text(), r#"{"imported":5,"expired":0,"bad":[],"bad_count":0}"#);
        stage.revision = stage.tracker.revision();
        stage.imported = stage.tracker.get(uuid_of('A').parse().unwrap()).unwrap().job.revision;
        if matches!(way, Way::OverHttp) {
            stage.listen();
        }
        stage
    }

    /// The JSON with what stands in braces filled in.
    fn parsed(&self, json: &str) -> Value {
        let filled = self.filled(json);
        serde_json::from_str(&filled).unwrap_or_else(|error| panic!("{error}: {filled}"))
    }

    /// The text with the uuids, revisions and repetitions in it.
    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for letter in 'A'..='F' {
            text = text.replace(&format!("{{{letter}}}"), &uuid_of(letter));
        }
        let after = Revision { number: self.revision.number + 1, ..self.revision };
        for (name, revision) in [("{R}", self.revision), ("{R+1}", after), ("{I}", self.imported)] {
            text = text.replace(name, &revision.to_string());
        }
        while let Some((before, rest)) = text.split_once("{repeat ") {
            let (repeat, after) = rest.split_once('}').unwrap();
            let (times, what) = repeat.split_once(' ').unwrap();
            text = format!("{before}{}{after}", what.repeat(times.parse().unwrap()));
        }
        text
    }

    /// What the document does not say of an answer of the native face.
    fn undescribed(&self, method: &str, target: &str, answer: &Answer) -> Vec<String> {
        static DOCUMENT: OnceLock<Document> = OnceLock::new();
        // What HTTP itself refuses has no media type, and the other face no document.
        let is_ours = target.starts_with("/v1") || target == "/";
        if !is_ours || !answer.headers.contains_key("cache-control") {
            return Vec::new();
        }
        let document = DOCUMENT.get_or_init(|| {
            let document = self.in_process("GET", "/v1/openapi.json", &BTreeMap::new(), b"");
            Document(document.json())
        });
        document.faults(method, target, answer)
    }

    fn listen(&mut self) {
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        self.address = Some(listener.local_addr().unwrap());
        let served =
            serve(listener, self.router.clone(), ServerOptions::default(), std::future::pending());
        self.runtime.spawn(served);
    }

    fn send(
        &self,
        method: &str,
        target: &str,
        headers: &BTreeMap<String, String>,
        body: &[u8],
    ) -> Answer {
        match self.address {
            None => self.in_process(method, target, headers, body),
            Some(address) => exchange(address, &request_bytes(method, target, headers, body)),
        }
    }

    fn in_process(
        &self,
        method: &str,
        target: &str,
        headers: &BTreeMap<String, String>,
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body.to_vec())).unwrap();
        let response = self.runtime.block_on(self.router.clone().oneshot(request)).unwrap();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()));
        Answer {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: self.runtime.block_on(to_bytes(response.into_body(), usize::MAX)).unwrap().into(),
        }
    }
}

impl Step {
    /// Sends the request and says everything that is not as it should be.
    fn run(&self, stage: &Stage) -> Vec<String> {
        assert!(
            self.unknown
                .keys()
                .all(|name| ["name", "number", "then", "only_over_http"].contains(&&**name))
        );
        if let Some(seconds) = self.advance {
            stage.clock.advance(Duration::from_secs(seconds));
        }
        let request = stage.filled(&self.request);
        let (method, target) = request.split_once(' ').unwrap();
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), stage.filled(value)));
        let headers: BTreeMap<_, _> = headers.collect();
        let answer = stage.send(method, target, &headers, stage.filled(&self.body).as_bytes());
        let mut faults = stage.undescribed(method, target, &answer);
        if answer.status != self.status {
            faults.push(format!("status {} instead of {}", answer.status, self.status));
        }
        for (name, value) in &self.answer {
            if answer.headers.get(name) != Some(&stage.filled(value)) {
                faults.push(format!("{name}: {:?}", answer.headers.get(name)));
            }
        }
        if self.empty {
            if !answer.body.is_empty() {
                faults.push(format!("a body of {} bytes", answer.body.len()));
            }
            return faults;
        }
        if let Some(text) = &self.text
            && !answer.text().starts_with(&stage.filled(text))
        {
            faults.push("another text".to_owned());
        }
        if answer.body.is_empty() {
            faults.push("no body".to_owned());
        } else {
            let link = next(&answer.json()).map(|next| format!("<{next}>; rel=\"next\""));
            if answer.headers.get("link") != link.as_ref() {
                faults.push(format!("link: {:?}", answer.headers.get("link")));
            }
            self.check_body(stage, &answer.json(), &mut faults);
            self.check_pages(stage, &answer, &headers, &mut faults);
        }
        if !faults.is_empty() {
            faults.push(format!("{request} gave {}", answer.text()));
        }
        faults
    }

    fn check_body(&self, stage: &Stage, body: &Value, faults: &mut Vec<String>) {
        let mut check = |is_so: bool, what: &str| {
            if !is_so {
                faults.push(what.to_owned());
            }
        };
        check(!has_null(body), "a null");
        if let Some(jobs) = &self.jobs {
            check(letters(body) == *jobs, &format!("jobs {:?}", letters(body)));
        }
        if let Some(json) = &self.json {
            check(*body == stage.parsed(json), "another body");
        }
        if let Some(part) = &self.part {
            check(contains(body, &stage.parsed(part)), &format!("not part of the body: {part}"));
        }
        for name in &self.absent {
            check(body.get(name).is_none(), &format!("{name} is there"));
        }
        if let Some(members) = &self.members {
            for record in records(body) {
                let names: Vec<_> =
                    record.as_object().unwrap().keys().map(String::as_str).collect();
                check(names.join(" ") == *members, &format!("members {names:?}"));
            }
        }
        for (letter, json) in &self.record {
            let id = uuid_of(*letter);
            let found = records(body).find(|record| record["uuid"] == id.as_str());
            check(found == Some(&stage.parsed(json)), &format!("record {letter}"));
        }
        if let Some(error) = &self.error {
            let found = body.get("error").unwrap_or(body);
            for (name, expected) in error {
                let is_so = match (found.get(name), expected) {
                    (Some(Value::String(found)), Value::String(part))
                        if name == "message" || name == "detail" =>
                    {
                        found.contains(&stage.filled(part))
                    }
                    (found, expected) => found == Some(expected),
                };
                check(is_so, &format!("the error's {name}"));
            }
        }
    }

    /// Follows `next` as a client does.
    fn check_pages(
        &self,
        stage: &Stage,
        first: &Answer,
        headers: &BTreeMap<String, String>,
        faults: &mut Vec<String>,
    ) {
        let Some(pages) = &self.pages else {
            if next(&first.json()).is_some() {
                faults.push("a next page".to_owned());
            }
            return;
        };
        let mut answer = first.clone();
        for (index, expected) in pages.iter().enumerate() {
            let body = answer.json();
            if letters(&body) != *expected {
                faults.push(format!("page {index} holds {:?}", letters(&body)));
            }
            match (next(&body), index + 1 < pages.len()) {
                (Some(next), true) => {
                    if !next.starts_with('/') || !next.contains("max_records=") {
                        faults.push(format!("next is {next}"));
                    }
                    answer = stage.send("GET", &next, headers, b"");
                }
                (None, false) => {}
                (next, _) => {
                    faults.push(format!("after page {index} comes {next:?}"));
                    return;
                }
            }
        }
    }
}

fn next(body: &Value) -> Option<String> {
    let next = body.pointer("/_links/next/href").or(body.get("next"))?;
    Some(next.as_str().unwrap().to_owned())
}

fn records(body: &Value) -> impl Iterator<Item = &Value> {
    body.get("records").and_then(Value::as_array).into_iter().flatten()
}

fn letters(body: &Value) -> String {
    let letter = |record: &Value| {
        let id = record["uuid"].as_str().unwrap();
        ('A'..='F').find(|letter| uuid_of(*letter) == id).unwrap_or('?').to_string()
    };
    records(body).map(letter).collect::<Vec<_>>().join(" ")
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

/// Whether every member of `part` is in `whole`, as deep as it goes.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| whole.get(name).is_some_and(|whole| contains(whole, part))),
        (whole, part) => whole == part,
    }
}

fn run(suite: &str, way: &Way) {
    let suite: Suite = toml::from_str(suite).unwrap_or_else(|error| panic!("{error}"));
    let mut faults = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for case in &suite.case {
        assert!(names.insert(&case.name), "two cases are called {:?}", case.name);
        if matches!(way, Way::InProcess) && case.only_over_http.is_some() {
            continue;
        }
        let stage = Stage::new(way);
        for (number, step) in std::iter::once(&case.first).chain(&case.then).enumerate() {
            for fault in step.run(&stage) {
                faults.push(format!("{:?}, request {number}: {fault}", case.name));
            }
        }
        if suite.changes_nothing && stage.tracker.revision() != stage.revision {
            faults.push(format!("{:?} changed something", case.name));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

const ONTAP: &str = include_str!("../../../testdata/http/ontap.toml");
const NATIVE: &str = include_str!("../../../testdata/http/native.toml");
const BAD_INPUT: &str = include_str!("../../../testdata/http/bad_input.toml");

#[test]
fn every_request_of_the_specification_is_there() {
    let suite: Suite = toml::from_str(ONTAP).unwrap();
    let numbers = suite.case.iter().flat_map(|case| match &case.number {
        None => Vec::new(),
        Some(Numbers::One(number)) => vec![*number],
        Some(Numbers::Several(numbers)) => numbers.clone(),
    });
    let numbers: std::collections::BTreeSet<u32> = numbers.collect();
    // The head of the file says where the other two are.
    assert_eq!(numbers, (1..=63).collect());
}

#[test]
fn ontap_in_process() {
    run(ONTAP, &Way::InProcess);
}

#[test]
fn ontap_over_http() {
    run(ONTAP, &Way::OverHttp);
}

#[test]
fn native_in_process() {
    run(NATIVE, &Way::InProcess);
}

#[test]
fn native_over_http() {
    run(NATIVE, &Way::OverHttp);
}

#[test]
fn bad_input_in_process() {
    run(BAD_INPUT, &Way::InProcess);
}

#[test]
fn bad_input_over_http() {
    run(BAD_INPUT, &Way::OverHttp);
}
