//! Waiting for a job's end over HTTP: at once when it comes, and never for longer than is asked or
//! the server lasts.

// Tests may unwrap, they wait by the real clock, and the lints see no test in a module that tests
// share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use common::{exchange, request_bytes, tracker};
use jobtrack::{Action, JobId, MemoryStore, NewJob, Tracker};
use jobtrack_http::{Options, ServerOptions, router, serve};
use serde_json::Value;
use tokio::sync::oneshot;
use tower::ServiceExt;

/// Far less than what is waited for, and more than a busy machine takes.
const SOON: Duration = Duration::from_secs(20);

fn begun() -> (Arc<Tracker>, JobId) {
    let (tracker, _clock) = tracker(MemoryStore::new());
    let job = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.start(job).unwrap();
    (tracker, job)
}

async fn wait(router: Router, job: JobId, seconds: u64) -> (Response<()>, Value) {
    let target = format!("/v1/jobs/{job}/wait?timeout={seconds}");
    let request = Request::get(target).body(Body::empty()).unwrap();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (Response::from_parts(parts, ()), serde_json::from_slice(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_keeps_nobody_from_being_served() {
    let (tracker, job) = begun();
    let patience = Duration::ZERO;
    let options = Options { in_flight: 1, patience, ..Options::default() };
    let router = router(Arc::clone(&tracker), options);
    let waiting = [(); 3].map(|()| tokio::spawn(wait(router.clone(), job, 120)));
    while tracker.stats().watches < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let cancel = Request::post(format!("/v1/jobs/{job}/request"))
        .body(Body::from(r#"{"action": "cancel"}"#))
        .unwrap();
    assert_eq!(router.oneshot(cancel).await.unwrap().status(), 200);
    for waits in waiting {
        assert_eq!(waits.await.unwrap().1["state"], "failure");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_told_when_it_comes() {
    let (tracker, job) = begun();
    let router = router(Arc::clone(&tracker), Options::default());
    let began = Instant::now();
    let waiting = tokio::spawn(wait(router, job, 120));
    // What is not its end, and what becomes of others, does not end the wait.
    tracker.report(job, "3 of 12 files").unwrap();
    let other = tracker.create(NewJob::default()).unwrap().uuid;
    tracker.request(other, Action::Cancel).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    tracker.request(job, Action::Cancel).unwrap();
    let (response, body) = waiting.await.unwrap();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!((response.status().as_u16(), &body["state"]), (200, &"failure".into()));
    let tag = response.headers()["etag"].to_str().unwrap();
    assert_eq!(tag, format!("{:?}", body["revision"].as_str().unwrap()));
}

#[tokio::test]
async fn the_time_asked_for_is_not_passed() {
    let (tracker, job) = begun();
    let began = Instant::now();
    let (response, body) = wait(router(tracker, Options::default()), job, 1).await;
    assert_eq!((response.status().as_u16(), &body["state"]), (200, &"running".into()));
    assert!((Duration::from_secs(1)..SOON).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_goes_is_told_as_gone() {
    let (tracker, job) = begun();
    tracker.extend(job, Duration::from_secs(1)).unwrap();
    let router = router(Arc::clone(&tracker), Options::default());
    tracker.request(job, Action::Cancel).unwrap();
    tracker.delete(job).unwrap();
    let (response, body) = wait(router, job, 120).await;
    assert_eq!((response.status().as_u16(), &body["kind"]), (410, &"gone".into()));
}

#[tokio::test]
async fn who_finds_no_place_to_wait_is_told_to_come_again() {
    let (tracker, job) = begun();
    let (response, body) =
        wait(router(tracker, Options { watchers: 0, ..Options::default() }), job, 1).await;
    assert_eq!((response.status().as_u16(), &body["kind"]), (503, &"too_many_watchers".into()));
    assert_eq!(response.headers()["retry-after"], "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_answers_those_who_wait() {
    let (tracker, job) = begun();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = router(tracker, Options::default());
    let stopped = async {
        let _ = stopped.await;
    };
    let served = tokio::spawn(serve(listener, router, ServerOptions::default(), stopped));
    let target = format!("/v1/jobs/{job}/wait?timeout=120");
    let request = request_bytes("GET", &target, &BTreeMap::new(), b"");
    let waiting = tokio::task::spawn_blocking(move || exchange(address, &request));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    stop.send(()).unwrap();
    let answer = waiting.await.unwrap();
    served.await.unwrap();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!((answer.status, &answer.json()["state"]), (200, &"running".into()));
}
