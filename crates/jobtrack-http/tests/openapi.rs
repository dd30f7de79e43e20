//! The OpenAPI document says what is so: its examples are accepted, its members are those that are
//! read, and a job that has every field looks as it says.

// Tests may unwrap, and the lints see no test in a module that tests share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use common::document::Document;
use common::{Answer, JOBS, tracker};
use jobtrack::MemoryStore;
use jobtrack_http::{Options, router};
use serde_json::{Value, json};
use tower::ServiceExt;

/// The job that the document's examples hold; the others are those of [`JOBS`].
const HELD: &str = "00000010-0000-4000-8000-000000000000";

struct Stage {
    router: Router,
    document: Document,
}

impl Stage {
    /// A job in each state, and one that is held with token 1.
    async fn new() -> Stage {
        let (tracker, _clock) = tracker(MemoryStore::new());
        let router = router(Arc::clone(&tracker), Options::default());
        let mut stage = Stage { router, document: Document(Value::Null) };
        stage.document = Document(stage.call("GET", "/v1/openapi.json", b"").await.json());
        assert_eq!(stage.call("POST", "/v1/import", JOBS.as_bytes()).await.status, 200);
        let new = json!({ "uuid": HELD }).to_string();
        assert_eq!(stage.call("POST", "/v1/jobs", new.as_bytes()).await.status, 201);
        let claim = format!("/v1/jobs/{HELD}/claim");
        let held = stage.call("POST", &claim, br#"{"holder": "worker-1"}"#).await;
        assert_eq!(held.json()["lease"]["token"], 1);
        stage
    }

    async fn call(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        self.send(Request::builder().method(method).uri(target), body).await
    }

    async fn send(&self, request: axum::http::request::Builder, body: &[u8]) -> Answer {
        let request = request.body(Body::from(body.to_vec())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()));
        let (status, headers) = (response.status().as_u16(), headers.collect());
        let is_stream =
            response.headers().get("content-type").is_some_and(|it| it == "text/event-stream");
        let body = match is_stream {
            // It has no end.
            true => Vec::new(),
            false => to_bytes(response.into_body(), usize::MAX).await.unwrap().into(),
        };
        Answer { status, headers, body }
    }
}

/// Every operation with its method and path.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    operation["parameters"].as_array().into_iter().flatten()
}

/// The path with the examples for its templates, and the parameters that must be given.
fn target(path: &str, operation: &Value) -> String {
    let mut target = path.to_owned();
    let mut query = Vec::new();
    for parameter in parameters(operation).filter(|it| it["required"] == true) {
        let (name, example) = (parameter["name"].as_str().unwrap(), &parameter["example"]);
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        match parameter["in"].as_str().unwrap() {
            "path" => target = target.replace(&format!("{{{name}}}"), &example),
            "query" => query.push(format!("{name}={example}")),
            other => panic!("{path}: {name} in {other}"),
        }
    }
    if query.is_empty() { target } else { format!("{target}?{}", query.join("&")) }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The examples of a body.
fn examples(content: &Value) -> Vec<Vec<u8>> {
    let named = content["examples"].as_object().into_iter().flatten().map(|(_, it)| &it["value"]);
    let examples = content.get("example").into_iter().chain(named);
    examples.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned).into()).collect()
}

#[tokio::test]
async fn every_example_of_a_body_is_accepted() {
    let document = Stage::new().await.document;
    let mut accepted = 0;
    for (method, path, operation) in operations(&document.0) {
        let Some(body) = operation.get("requestBody") else { continue };
        for (media_type, content) in body["content"].as_object().unwrap() {
            let examples = examples(content);
            assert!(!examples.is_empty(), "{method} {path} has no example");
            for example in examples {
                if media_type == "application/json" {
                    let mut faults = Vec::new();
                    let example = serde_json::from_slice(&example).unwrap();
                    let schema = &content["schema"];
                    document.check(schema, &example, "example", &mut faults);
                    assert!(faults.is_empty(), "{path}: {faults:?}");
                }
                // Each has the jobs as they stand at the beginning.
                let (stage, target) = (Stage::new().await, target(path, operation));
                let answer = stage.call(&method.to_uppercase(), &target, &example).await;
                assert!((200..300).contains(&answer.status), "{path}: {}", answer.text());
                let faults = document.faults(method, &target, &answer);
                assert!(faults.is_empty(), "{method} {target}: {faults:?}");
                accepted += 1;
            }
        }
    }
    assert!(accepted > 15, "{accepted}");
}

#[tokio::test]
async fn every_example_of_a_parameter_is_accepted() {
    let document = Stage::new().await.document;
    let mut accepted = 0;
    for (method, path, operation) in operations(&document.0) {
        let body = operation.pointer("/requestBody/content").and_then(Value::as_object);
        let content = body.and_then(|content| content.values().next());
        let body = content.and_then(|content| examples(content).into_iter().next());
        for parameter in parameters(operation).filter(|it| it["required"] == false) {
            let Some(example) = parameter.get("example") else { continue };
            let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            let name = parameter["name"].as_str().unwrap();
            let mut target = target(path, operation);
            let mut request = Request::builder().method(&*method.to_uppercase());
            match parameter["in"].as_str().unwrap() {
                "header" => request = request.header(name, example),
                _ => {
                    let mark = if target.contains('?') { '&' } else { '?' };
                    target = format!("{target}{mark}{name}={}", encoded(&example));
                    // Half a search is none.
                    match name {
                        "query" => target.push_str("&query_fields=description"),
                        "query_fields" => target.push_str("&query=vol1"),
                        _ => {}
                    }
                }
            }
            let stage = Stage::new().await;
            let answer =
                stage.send(request.uri(&target), body.as_deref().unwrap_or_default()).await;
            // A filter may well match no job that is queued.
            let is_nothing = path == "/v1/claim" && answer.status == 404;
            let is_accepted = (200..300).contains(&answer.status) || is_nothing;
            assert!(is_accepted, "{method} {target}: {}", answer.text());
            let faults = document.faults(method, &target, &answer);
            assert!(faults.is_empty(), "{method} {target}: {faults:?}");
            accepted += 1;
        }
    }
    assert!(accepted > 100, "{accepted}");
}

#[tokio::test]
async fn the_members_of_a_body_are_those_that_are_read() {
    let stage = Stage::new().await;
    let document = &stage.document;
    let mut compared = 0;
    for (method, path, operation) in operations(&document.0) {
        let schema = operation.pointer("/requestBody/content/application~1json/schema");
        let Some(schema) = schema else { continue };
        compared +=
            compare(&stage, &method.to_uppercase(), &target(path, operation), schema, &[]).await;
    }
    assert!(compared > 20, "{compared}");
}

/// Compares the members of an object, and of all in it, with what a refusal of another one names.
async fn compare(
    stage: &Stage,
    method: &str,
    target: &str,
    schema: &Value,
    within: &[&str],
) -> usize {
    let mut objects = Vec::new();
    objects_of(&stage.document, schema, &mut objects);
    let described: BTreeSet<&str> = objects
        .iter()
        .flat_map(|object| object["properties"].as_object().into_iter().flatten())
        .map(|(name, _)| name.as_str())
        .collect();
    let state = json!("failure");
    let unknown =
        within.iter().rev().fold(json!({ "nonsense": 1 }), |body, name| json!({ *name: body }));
    let mut body = unknown;
    if target.ends_with("/finish") {
        body["state"] = state;
    }
    let answer = stage.call(method, target, body.to_string().as_bytes()).await;
    assert_eq!(answer.json()["kind"], "unknown_field", "{target} {within:?}: {}", answer.text());
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    let known: BTreeSet<&str> = detail.split('`').skip(1).step_by(2).collect();
    assert_eq!(known, described, "{target} {within:?}: {detail}");
    let mut compared = 1;
    for object in objects {
        for (name, member) in object["properties"].as_object().into_iter().flatten() {
            let mut inner = Vec::new();
            objects_of(&stage.document, member, &mut inner);
            // Those with free names have no members to compare.
            if inner.iter().any(|it| it.get("properties").is_some()) {
                let within: Vec<&str> = within.iter().copied().chain([name.as_str()]).collect();
                compared += Box::pin(compare(stage, method, target, member, &within)).await;
            }
        }
    }
    compared
}

/// The objects that a schema allows.
fn objects_of<'a>(document: &'a Document, schema: &'a Value, found: &mut Vec<&'a Value>) {
    let schema = document.resolved(schema);
    if schema["type"] == "object" {
        found.push(schema);
    }
    for schema in schema["oneOf"].as_array().into_iter().flatten() {
        objects_of(document, schema, found);
    }
}

/// A job with every field that one can have at a time.
const FULL: &str = r#"{"uuid": "00000012-0000-4000-8000-000000000000", "state": "failure",
  "cause": "lost", "description": "d", "message": "m", "code": 7, "error": {"code": "7",
  "message": "m", "target": "t", "arguments": [{"code": "c", "message": "m"}]},
  "create_time": "2026-03-01T10:00:00Z", "start_time": "2026-03-01T10:00:01Z",
  "end_time": "2026-03-01T10:00:02Z", "update_time": "2026-03-01T10:00:02Z", "retention": 8640.5,
  "retained_from": "2026-03-01T10:00:02Z", "deadline": "2026-03-02T10:00:00Z", "kind": "k",
  "node": "n", "scope": {"name": "s", "id": "i"}, "labels": {"tier": "gold"},
  "progress": {"done": 1, "total": 2, "unit": "u"}, "allows": {"pause": false, "cancel": true},
  "cooperative": true, "claims": 3, "losses": 1, "idempotency_key": "key"}"#;

#[tokio::test]
async fn a_job_with_all_its_fields_looks_as_described() {
    let stage = Stage::new().await;
    let full = FULL.replace('\n', "");
    let imported = stage.call("POST", "/v1/import?on_bad=fail", full.as_bytes()).await;
    assert_eq!(imported.json()["imported"], 1, "{}", imported.text());
    let asked = format!("/v1/jobs/{HELD}/request");
    stage.call("POST", &asked, br#"{"action": "cancel", "reason": "r"}"#).await;
    let held = stage.call("POST", &format!("/v1/jobs/{HELD}/hold"), br#"{"reason": "r"}"#).await;
    assert_eq!(held.status, 200, "{}", held.text());
    let told = "00000013-0000-4000-8000-000000000000";
    let new = json!({ "uuid": told, "retention": 60 }).to_string();
    assert_eq!(stage.call("POST", "/v1/jobs", new.as_bytes()).await.status, 201);
    let mut shown = BTreeSet::new();
    let ids =
        ["a", "b", "c", "d", "e"].map(|it| format!("0000000{it}-0000-4000-8000-000000000000"));
    let others = ["00000012-0000-4000-8000-000000000000", HELD, told].map(str::to_owned);
    for id in ids.into_iter().chain(others) {
        let target = format!("/v1/jobs/{id}");
        let answer = stage.call("GET", &target, b"").await;
        assert_eq!(stage.document.faults("GET", &target, &answer), Vec::<String>::new());
        let mut faults = Vec::new();
        let job = json!({ "$ref": "#/components/schemas/Job" });
        stage.document.check(&job, &answer.json(), "job", &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        shown.extend(answer.json().as_object().unwrap().keys().cloned());
    }
    let job = &stage.document.0["components"]["schemas"]["Job"]["properties"];
    let described: BTreeSet<String> = job.as_object().unwrap().keys().cloned().collect();
    let unseen: Vec<_> = described.difference(&shown).collect();
    // Nothing sets the first two yet; the last needs a parent, and is one of the families' tests.
    assert_eq!(unseen, ["parent", "payload_bytes", "result_bytes"]);
}

#[tokio::test]
async fn methods_that_are_not_there_are_refused_with_those_that_are() {
    let stage = Stage::new().await;
    for (path, operations) in stage.document.0["paths"].as_object().unwrap() {
        let target = path.replace("{uuid}", HELD);
        let mut methods: Vec<_> =
            operations.as_object().unwrap().keys().map(|it| it.to_uppercase()).collect();
        if methods.contains(&"GET".to_owned()) {
            methods.push("HEAD".to_owned());
        }
        methods.push("OPTIONS".to_owned());
        methods.sort_unstable();
        for method in ["PUT", "TRACE", "PATCH", "BREW"] {
            let answer = stage.call(method, &target, b"").await;
            assert_eq!(answer.status, 405, "{method} {target}");
            assert_eq!(answer.headers["allow"], methods.join(", "), "{method} {target}");
            assert_eq!(answer.headers["content-type"], "application/problem+json");
        }
        let answer = stage.call("OPTIONS", &target, b"").await;
        assert_eq!(answer.headers["allow"], methods.join(", "), "{target}");
    }
}
