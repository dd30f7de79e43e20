//! What a server tells of itself before its store is open, while it serves, and when it cannot.

// Tests may unwrap, and the lints see no test in a module that tests share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use common::{BEGINNING, tracker};
use jobtrack::{Archive, Error, ErrorKind, Job, MemoryStore, NewJob, Success, Tracker};
use jobtrack_http::{Monitor, Options, router};
use jobtrack_testkit::{Fault, FaultyStore, ManualClock};
use tower::ServiceExt;

async fn ask(router: &Router, method: &str, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(router: &Router, path: &str) -> (u16, String) {
    let (status, _, body) = ask(router, "GET", path).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn until_the_store_is_open_all_else_is_told_to_come_again() {
    let monitor = Monitor::new();
    let front = monitor.front(true);
    let served = front.router();
    assert_eq!(get(&served, "/livez").await.0, 200);
    let not_ready = (503, "not ready: the store is being opened\n".to_owned());
    assert_eq!(get(&served, "/readyz").await, not_ready);
    for (path, media_type, kind) in [
        ("/v1/jobs", "application/problem+json", "\"not_open\""),
        ("/api/cluster/jobs", "application/hal+json", "\"458773\""),
        ("/nowhere", "application/problem+json", "\"not_open\""),
    ] {
        let (status, headers, body) = ask(&served, "GET", path).await;
        assert_eq!(status, 503, "{path}");
        assert_eq!(headers["retry-after"], "5", "{path}");
        assert_eq!(headers["content-type"], media_type, "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert!(body.contains(kind), "{path}: {body}");
    }
    // Metrics are there already, but for those of the tracker.
    let (status, metrics) = get(&served, "/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("jobtrack_ready 0\n") && !metrics.contains("jobtrack_jobs{"));

    let (tracker, _clock) = tracker(MemoryStore::new());
    front.open(monitor.observe(router(Arc::clone(&tracker), Options::default())));
    monitor.opened(&tracker);
    assert_eq!(get(&served, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(&served, "/v1/jobs").await.0, 200);
    assert_eq!(get(&served, "/nowhere").await.0, 404);
    let (_, metrics) = get(&served, "/metrics").await;
    assert!(metrics.contains("jobtrack_ready 1\n") && metrics.contains("jobtrack_jobs{"));

    monitor.draining();
    let stopping = (503, "not ready: the server is about to stop\n".to_owned());
    assert_eq!(get(&served, "/readyz").await, stopping);
    assert_eq!(get(&served, "/v1/jobs").await.0, 200);
}

#[tokio::test]
async fn a_store_whose_state_is_not_known_is_not_ready() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let (tracker, _clock) = tracker(Arc::clone(&store));
    let monitor = Monitor::new();
    let front = monitor.front(true);
    front.open(monitor.observe(router(Arc::clone(&tracker), Options::default())));
    monitor.opened(&tracker);
    let served = front.router();
    // One that is refused and changed nothing leaves all as it was.
    store.fail_commit(1, Fault::Failed(ErrorKind::StoreFull));
    tracker.create(NewJob::default()).unwrap_err();
    assert_eq!(get(&served, "/readyz").await.0, 200);
    store.fail_commit(1, Fault::Unknown { was_written: false });
    let error = tracker.create(NewJob::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    let (status, why) = get(&served, "/readyz").await;
    assert_eq!(status, 503);
    let expected = "not ready: no change is taken until the store is opened again: ";
    assert!(why.starts_with(expected), "{why}");
    // It lives, and reads go on.
    assert_eq!(get(&served, "/livez").await.0, 200);
    assert_eq!(get(&served, "/v1/jobs").await.0, 200);
    let (_, metrics) = get(&served, "/metrics").await;
    for line in ["jobtrack_poisoned 1\n", "jobtrack_store_errors_total 2\n", "jobtrack_ready 0\n"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let health: serde_json::Value =
        serde_json::from_str(&get(&served, "/healthz").await.1).unwrap();
    assert_eq!(health["ready"], false);
    assert!(health["store"]["trouble"].as_str().unwrap().contains("store"), "{health}");
}

#[tokio::test]
async fn what_is_told_in_detail_is_not_told_under_the_name_of_another_site() {
    let served = Monitor::new().front(true).known_as(Some(vec!["jobs.example".into()])).router();
    let ask = async |path: &str, host: &str| {
        let request = Request::get(path).header("host", host).body(Body::empty()).unwrap();
        served.clone().oneshot(request).await.unwrap().status()
    };
    for path in ["/healthz", "/metrics"] {
        assert_eq!(ask(path, "evil.example").await, 421, "{path}");
        for host in ["jobs.example", "localhost:8080", "[::1]"] {
            assert_eq!(ask(path, host).await, 200, "{path} at {host}");
        }
    }
    // A supervisor may know it by any name.
    assert_eq!(ask("/livez", "evil.example").await, 200);
}

/// Takes no job.
struct Full;

impl Archive for Full {
    fn take(&self, _: &[Arc<Job>]) -> jobtrack::Result<()> {
        Err(Error::new(ErrorKind::StoreFull, "the archive is full"))
    }
}

#[tokio::test]
async fn an_archive_that_takes_nothing_is_told_of() {
    let clock = ManualClock::new(BEGINNING.parse().unwrap());
    let (archive, clock_of) = (Some(Arc::new(Full) as _), Arc::new(clock.clone()));
    let options = jobtrack::Options { archive, clock: clock_of, ..jobtrack::Options::default() };
    let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
    let monitor = Monitor::new();
    let served = monitor.front(true).router();
    monitor.opened(&tracker);
    let job = tracker.create(NewJob::default()).unwrap().uuid;
    clock.advance(Duration::from_secs(7));
    let (_, metrics) = get(&served, "/metrics").await;
    for line in ["jobtrack_archive_failing 0\n", "jobtrack_oldest_queued_seconds 7.0\n"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }

    tracker.start(job).unwrap();
    tracker.succeed(job, Success::default()).unwrap();
    clock.advance(tracker.options().retention * 2);
    let _refused = tracker.maintain(100);
    let (_, metrics) = get(&served, "/metrics").await;
    for line in [
        "jobtrack_archive_failing 1\n",
        "jobtrack_archive_waiting_jobs 1\n",
        "jobtrack_archived_jobs_total 0\n",
        "jobtrack_oldest_queued_seconds 0.0\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let health: serde_json::Value =
        serde_json::from_str(&get(&served, "/healthz").await.1).unwrap();
    assert!(health["archive"]["trouble"].as_str().unwrap().contains("is full"), "{health}");
}

#[tokio::test]
async fn probes_ask_by_get_or_head_alone() {
    let served = Monitor::new().front(true).router();
    for path in ["/livez", "/readyz", "/version", "/healthz", "/metrics"] {
        let (_, headers, body) = ask(&served, "HEAD", path).await;
        assert!(body.is_empty() && headers["x-content-type-options"] == "nosniff", "{path}");
        let (status, headers, body) = ask(&served, "POST", path).await;
        assert_eq!((status.as_u16(), &headers["allow"]), (405, &"GET, HEAD".parse().unwrap()));
        assert!(body.contains("method_not_allowed"), "{path}: {body}");
    }
    let served = Monitor::new().front(false).router();
    for path in ["/healthz", "/metrics"] {
        assert_eq!(get(&served, path).await.0, 503, "{path} is not for everybody");
    }
}
