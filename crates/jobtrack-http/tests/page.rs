//! The page as it is served, and what the native face has for it. What the page does is tested in a
//! browser (`e2e/page`).

// Tests may unwrap, and the lints see no test in helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use jobtrack::{MemoryStore, Tracker};
use jobtrack_http::{Options, Users, UsersFile, router, with_users};
use serde_json::{Value, json};
use tower::ServiceExt;

struct Stage {
    tracker: Arc<Tracker>,
    router: Router,
}

impl Stage {
    /// With the five jobs that the cases of both faces have.
    async fn new() -> Stage {
        let (tracker, _) = common::tracker(MemoryStore::new());
        let router = router(Arc::clone(&tracker), Options::default());
        let stage = Stage { tracker, router };
        let request = Request::post("/v1/import").body(Body::from(common::JOBS)).unwrap();
        assert_eq!(stage.router.clone().oneshot(request).await.unwrap().status(), 200);
        stage
    }

    async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_vec() }
    }

    async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[]).await
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[tokio::test]
async fn the_files_are_served_with_their_types_and_a_policy() {
    let stage = Stage::new().await;
    for (path, media_type) in [
        ("/ui/", "text/html; charset=utf-8"),
        ("/ui/?filter=state%3Drunning&job=x", "text/html; charset=utf-8"),
        ("/ui/main.js", "text/javascript; charset=utf-8"),
        ("/ui/base.css", "text/css; charset=utf-8"),
        ("/ui/icon.svg", "image/svg+xml"),
    ] {
        let answer = stage.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let head = stage.send("HEAD", path, &[]).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), answer.body.len().to_string());
    }
    assert_eq!(stage.get("/ui/no-such.js").await.json()["kind"], "no_such_path");
    let refused = stage.send("POST", "/ui/", &[]).await;
    assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn what_a_browser_keeps_is_not_sent_again() {
    let stage = Stage::new().await;
    let first = stage.get("/ui/main.js").await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() == 34, "{tag}");
    assert_eq!(first.header("cache-control"), "no-cache");
    for kept in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = stage.send("GET", "/ui/main.js", &[("if-none-match", &kept)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{kept}");
        assert_eq!(again.header("etag"), tag);
    }
    let other = stage.send("GET", "/ui/main.js", &[("if-none-match", "\"other\"")]).await;
    assert_eq!(other.status, 200);
    // Answers about jobs are kept by nobody.
    assert_eq!(stage.get("/v1/jobs").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_browser_at_the_root_is_sent_to_the_page_and_a_program_is_not() {
    let stage = Stage::new().await;
    let accept = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let answer = stage.send("GET", "/", &accept).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/ui/"));
    assert_eq!(stage.get("/ui").await.header("location"), "/ui/");
    let index = stage.send("GET", "/", &[("accept", "*/*")]).await;
    assert_eq!((index.status, &index.json()["page"]), (200, &json!("/ui/")));
}

#[tokio::test]
async fn where_there_are_users_the_page_is_there_before_them_and_jobs_are_not() {
    let mut stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let mut file = UsersFile::open(&path).unwrap();
    file.add("alice", "correct horse").unwrap();
    file.save().unwrap();
    let users = Arc::new(Users::open(path).unwrap());
    stage.router = with_users(router(Arc::clone(&stage.tracker), Options::default()), users);
    for path in ["/ui", "/ui/", "/ui/main.js"] {
        assert!(stage.get(path).await.status < 400, "{path}");
        assert_eq!(stage.send("DELETE", path, &[]).await.status, 401, "{path}");
    }
    assert_eq!(stage.send("GET", "/", &[("accept", "text/html")]).await.status, 303);
    for path in ["/", "/v1/jobs", "/v1/activity", "/uix", "/ui../v1/jobs"] {
        assert_eq!(stage.get(path).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn activity_counts_what_began_and_ended_in_each_stretch() {
    let stage = Stage::new().await;
    let jobs = stage.get("/v1/jobs").await.json();
    // Every job's own times say where it must have been counted.
    let expected = |field: &str, state: Option<&str>, body: &Value| -> Vec<u64> {
        let times = jobs["records"].as_array().unwrap().iter();
        let times = times.filter(|job| state.is_none_or(|state| job["state"] == state));
        let times: Vec<_> = times.filter_map(|job| Some(micros(job[field].as_str()?))).collect();
        let from = micros(body["from"].as_str().unwrap());
        let step = body["step"].as_i64().unwrap() * 1_000_000;
        let buckets = i64::try_from(body["created"].as_array().unwrap().len()).unwrap();
        let within = |at: i64| {
            let of = |time: &&i64| (from + at * step..from + (at + 1) * step).contains(*time);
            times.iter().filter(of).count() as u64
        };
        (0..buckets).map(within).collect()
    };
    for query in ["", "?span=600&buckets=10", "?span=86400&buckets=7", "?span=100&buckets=240"] {
        let answer = stage.get(&format!("/v1/activity{query}")).await;
        if query == "?span=100&buckets=240" {
            assert_eq!((answer.status, &answer.json()["field"]), (400, &json!("span")));
            continue;
        }
        let body = answer.json();
        assert_eq!(json!(expected("create_time", None, &body)), body["created"], "{query}");
        assert_eq!(json!(expected("end_time", Some("success"), &body)), body["succeeded"]);
        assert_eq!(json!(expected("end_time", Some("failure"), &body)), body["failed"]);
        assert_eq!(body["revision"], jobs["revision"]);
    }
    let all = stage.get("/v1/activity?span=86400&buckets=7").await.json();
    assert!(all["created"].as_array().unwrap().iter().any(|count| *count != 0));
    let none = stage.get("/v1/activity?span=86400&buckets=7&description=nothing-of-that").await;
    assert_eq!(none.json()["created"], json!([0, 0, 0, 0, 0, 0, 0]));
    let refused = stage.get("/v1/activity?state=bogus").await;
    assert_eq!((refused.status, &refused.json()["field"]), (400, &json!("state")));
    assert_eq!(refused.json()["position"], 0);
}

#[tokio::test]
async fn a_watch_takes_a_search_as_a_list_does() {
    let stage = Stage::new().await;
    let answer = stage.send("HEAD", "/v1/watch?query=vol&query_fields=description", &[]).await;
    assert_eq!(answer.status, 200);
    let refused = stage.get("/v1/watch?query=vol").await;
    assert_eq!((refused.status, &refused.json()["kind"]), (400, &json!("half_a_search")));
}

fn micros(time: &str) -> i64 {
    time.parse::<jobtrack::Timestamp>().unwrap().as_micros()
}
