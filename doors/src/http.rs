//! A request: a line of method and target, header lines, an empty line, and the body. Whatever is
//! asked of either face, the answer is one that the face documents, in its form; what only asks, or
//! is refused, changes nothing; and who asks twice hears the same.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use jobtrack::Tracker;
use jobtrack_http::{Options, router};
use serde_json::Value;
use tower::ServiceExt;

/// What refused requests are answered with: the tables in `errors.rs` of the faces, less what only a
/// store or an overload brings about.
const REFUSED: &[u16] = &[400, 404, 405, 409, 410, 412, 413, 414, 415];

/// Answers the request and judges the answer.
///
/// # Panics
///
/// Where the answer is not a legal one.
pub fn http(data: &[u8]) {
    let Some(asked) = Asked::read(data) else { return };
    let tracker = Arc::new(crate::jobs::tracker());
    let router = router(Arc::clone(&tracker), Options::default());
    // It keeps its threads while they are wanted, and costs nothing to make.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let before = tracker.revision();
        let Some(first) = asked.answer(&router).await else { return };
        first.judge(&asked);
        let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&asked.method);
        if is_safe || (first.status >= 400 && !asked.does_many()) {
            assert_eq!(tracker.revision(), before, "{asked:?} changed something: {first:?}");
            check(&tracker);
            let second = asked.answer(&router).await.expect("it was a request before");
            assert_eq!(first, second, "{asked:?}");
        }
        check(&tracker);
    });
}

/// The tracker is as sound as before.
fn check(tracker: &Tracker) {
    let jobs = tracker.query(&jobtrack::Query::default()).expect("a page").jobs;
    assert_eq!(tracker.counts().expect("counts").total(), jobs.len() as u64);
}

#[derive(Debug)]
struct Asked {
    method: Method,
    target: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct Answered {
    status: u16,
    content_type: String,
    body: Vec<u8>,
}

impl Asked {
    /// None for what hyper would not let pass.
    fn read(data: &[u8]) -> Option<Asked> {
        let mut lines = data.split(|byte| *byte == b'\n');
        let first = std::str::from_utf8(lines.next()?).ok()?;
        let (method, target) = first.split_once(' ')?;
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        let mut headers = Vec::new();
        let mut length = first.len() + 1;
        for line in lines {
            length += line.len() + 1;
            if line.is_empty() {
                break;
            }
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            headers.push((name, value));
        }
        let body = data.get(length..).unwrap_or_default().to_vec();
        Some(Asked { method, target: target.to_owned(), headers, body })
    }

    /// Whether it may have done a part of what it asks when it is refused.
    fn does_many(&self) -> bool {
        let path = self.path();
        path == "/v1/import" || path == "/api/cluster/jobs"
    }

    fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }

    async fn answer(&self, router: &Router) -> Option<Answered> {
        let mut request = Request::builder().method(&self.method).uri(&self.target);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(self.body.clone())).ok()?;
        let response = router.clone().oneshot(request).await;
        let response = response.unwrap_or_else(|never| match never {});
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.map(|value| value.to_str().expect("text").to_owned());
        let content_type = content_type.unwrap_or_default();
        let status = response.status().as_u16();
        let body = if content_type.starts_with("text/event-stream") {
            // It has no end.
            Vec::new()
        } else {
            response.into_body().collect().await.expect("a whole body").to_bytes().to_vec()
        };
        Some(Answered { status, content_type, body })
    }
}

impl Answered {
    fn judge(&self, asked: &Asked) {
        let text = || String::from_utf8_lossy(&self.body);
        if asked.method == Method::HEAD {
            assert!(self.body.is_empty(), "{asked:?}: {}", text());
        }
        assert!(StatusCode::from_u16(self.status).is_ok());
        // An export is a value a line, every other answer is one.
        let values: Result<Vec<Value>, _> = match self.content_type.as_str() {
            json if json.ends_with("json") => {
                serde_json::Deserializer::from_slice(&self.body).into_iter().collect()
            }
            _ => Ok(Vec::new()),
        };
        let values = values.unwrap_or_else(|error| panic!("{asked:?}: {error} in {}", text()));
        let is_export = self.content_type.contains("ndjson");
        assert!(values.len() <= 1 || is_export, "{asked:?}: {}", text());
        let json = values.into_iter().next();
        match self.status {
            200..300 => {}
            // Where a budget of no time at all was asked for.
            500 | 503 => {
                let json = json.unwrap_or_default();
                let is_ontap = json["error"]["code"] == "262210";
                let is_time = is_ontap || json["kind"] == "deadline_exceeded";
                let is_asked = asked.target.contains("timeout") || asked.method == Method::HEAD;
                assert!(
                    is_asked && (is_time || asked.method == Method::HEAD),
                    "{asked:?}: {}",
                    text()
                );
            }
            status if REFUSED.contains(&status) => {
                if asked.method == Method::HEAD || asked.does_many() {
                    return;
                }
                let json = json.unwrap_or_else(|| panic!("{asked:?}: {} is no error", text()));
                if asked.path().starts_with("/api/") {
                    assert!(json["error"]["message"].is_string(), "{asked:?}: {json}");
                    let code = json["error"]["code"].as_str().map(str::parse::<u64>);
                    assert!(matches!(code, Some(Ok(_))), "{asked:?}: {json}");
                } else {
                    assert_eq!(json["status"], status, "{asked:?}: {json}");
                    assert!(json["kind"].is_string(), "{asked:?}: {json}");
                }
            }
            other => panic!("{asked:?} was answered {other}: {}", text()),
        }
    }
}
