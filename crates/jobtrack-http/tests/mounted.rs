//! The router within others: under a path, beside other routes, and as what is left of the root.

// Tests may unwrap.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../examples/mounted.rs"]
mod example;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::get;
use jobtrack::{MemoryStore, NewJob, Tracker};
use jobtrack_http::Options;
use serde_json::Value;
use tower::ServiceExt;

fn tracker() -> Arc<Tracker> {
    Arc::new(Tracker::open(MemoryStore::new(), jobtrack::Options::default()).unwrap())
}

async fn call(router: &Router, method: &str, target: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.into()).unwrap())
}

async fn json(router: &Router, target: &str) -> Value {
    let (status, _, body) = call(router, "GET", target).await;
    assert_eq!(status, 200, "{target}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn the_example_s_jobs_are_found_where_it_says() {
    let router = example::server(tracker());
    assert_eq!(call(&router, "GET", "/").await.2, "0 reports begun\n");
    let (status, headers, _) = call(&router, "POST", "/reports").await;
    assert_eq!(status, 202);
    let job = headers["location"].to_str().unwrap();
    assert_eq!(json(&router, job).await["state"], "running");
    let ended = json(&router, &format!("{job}/wait?timeout=20")).await;
    assert_eq!((&ended["state"], &ended["message"]), (&"success".into(), &"all there".into()));
    assert_eq!(call(&router, "GET", "/").await.2, "1 reports begun\n");
    // What is not there is refused by the one in whose place it would be.
    assert_eq!(call(&router, "GET", "/v1/jobs").await.0, 404);
    let (status, headers, body) = call(&router, "GET", "/tracking/v1/none").await;
    assert_eq!(
        (status.as_u16(), &headers["content-type"]),
        (404, &"application/problem+json".parse().unwrap())
    );
    assert!(body.contains("no_such_path"), "{body}");
}

#[tokio::test]
async fn links_of_a_nested_router_begin_where_it_stands() {
    let tracker = tracker();
    for _ in 0..3 {
        tracker.create(NewJob::default()).unwrap();
    }
    let own = jobtrack_http::router(tracker, Options::default());
    let inner = Router::new().nest("/jobs", own.clone());
    let twice = Router::new().route("/", get(async || "mine")).nest("/a", inner);
    let once = Router::new().nest("/tracking", own.clone());
    let rest = Router::new().route("/mine", get(async || "mine")).fallback_service(own.clone());
    for (router, base) in [(&twice, "/a/jobs"), (&once, "/tracking"), (&rest, ""), (&own, "")] {
        for jobs in ["/v1/jobs", "/api/cluster/jobs"] {
            let jobs = format!("{base}{jobs}");
            // Every link leads to the next page, up to the last.
            let (mut next, mut seen) = (format!("{jobs}?max_records=1"), 0);
            loop {
                let page = json(router, &next).await;
                seen += page["num_records"].as_u64().unwrap();
                if let Some(this) = page.pointer("/records/0/_links/self/href") {
                    json(router, this.as_str().unwrap()).await;
                }
                match page.get("next").or(page.pointer("/_links/next/href")) {
                    Some(link) => next = link.as_str().unwrap().to_owned(),
                    None => break,
                }
                assert!(next.starts_with(&jobs), "{next}");
            }
            assert_eq!(seen, 3, "{jobs}");
        }
        let (status, headers, _) = call(router, "POST", &format!("{base}/v1/jobs")).await;
        assert_eq!(status, 201);
        let job = headers["location"].to_str().unwrap();
        assert_eq!(json(router, job).await["state"], "queued");
        assert_eq!(call(router, "DELETE", job).await.0, 409);
        // So that each of the routers finds three.
        let cancel = Request::builder().method("POST").uri(format!("{job}/request"));
        let cancel = cancel.body(Body::from(r#"{"action": "cancel"}"#)).unwrap();
        assert_eq!(router.clone().oneshot(cancel).await.unwrap().status(), 200);
        assert_eq!(call(router, "DELETE", job).await.0, 200);
        // Browsers are led to the page, wherever they begin.
        let (status, headers, _) = call(router, "GET", &format!("{base}/ui")).await;
        let page = format!("{base}/ui/");
        assert_eq!((status.as_u16(), headers["location"].to_str().unwrap()), (303, &*page));
        assert_eq!(call(router, "GET", &page).await.0, 200);
        let root = if base.is_empty() { "/" } else { base };
        let index = json(router, root).await;
        let document = json(router, index["openapi"].as_str().unwrap()).await;
        assert_eq!(document["servers"][0]["url"], root);
        assert_eq!(json(router, index["counts"].as_str().unwrap()).await["total"], 3);
    }
}
