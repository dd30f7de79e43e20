//! PATCH of many jobs: in steps, beside other writers, and when it cannot go on.

// Tests may unwrap, and the lints see no test in a module that tests share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use common::tracker;
use jobtrack::{
    Action, Command, ErrorKind, Expr, Field, JobId, MemoryStore, Names, NewJob, Query, State,
    Store, Success, Tracker,
};
use jobtrack_http::{Options, router};
use jobtrack_testkit::{Fault, FaultyStore};
use serde_json::Value;
use tower::ServiceExt;

fn id(number: usize) -> JobId {
    format!("00000000-0000-4000-8000-{number:012x}").parse().unwrap()
}

/// So many running jobs, and the router before them.
fn running(jobs: usize) -> (Arc<Tracker>, Router) {
    running_in(MemoryStore::new(), jobs)
}

fn running_in(store: impl Store + 'static, jobs: usize) -> (Arc<Tracker>, Router) {
    let (tracker, _clock) = tracker(store);
    let new = |number| NewJob { uuid: Some(id(number)), ..NewJob::default() };
    let made = tracker.run_all((0..jobs).map(|number| Command::create(new(number))));
    let started = tracker.run_all((0..jobs).map(|number| Command::start(id(number))));
    assert!(made.iter().chain(&started).all(Result::is_ok));
    let router = router(Arc::clone(&tracker), Options::default());
    (tracker, router)
}

async fn patch(router: &Router, target: &str) -> (u16, Value) {
    let request = Request::patch(target).body(Body::from("{}")).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn count(tracker: &Tracker, state: &str) -> u64 {
    let filter = Expr::parse("state", state, Names::Native).unwrap();
    tracker.count(&Query::matching(filter)).unwrap().count
}

#[tokio::test]
async fn without_time_each_answer_is_a_step_and_the_steps_are_all() {
    let (tracker, router) = running(1_000);
    for (action, from, to) in [("pause", "running", "paused"), ("cancel", "paused", "failure")] {
        let mut target = format!("/api/cluster/jobs?action={action}&state={from}&return_timeout=0");
        let (mut changed, mut steps) = (0, 0);
        loop {
            let (status, body) = patch(&router, &target).await;
            assert_eq!(status, 200, "{body}");
            let now = body["num_records"].as_u64().unwrap();
            changed += now;
            steps += 1;
            assert!((1..=256).contains(&now), "step {steps} changed {now}");
            assert_eq!(count(&tracker, to), changed);
            match body.pointer("/_links/next/href") {
                None => break,
                Some(next) => target = next.as_str().unwrap().to_owned(),
            }
        }
        assert_eq!((changed, count(&tracker, from)), (1_000, 0));
        assert!(steps >= 4);
    }
}

#[tokio::test]
async fn with_time_one_answer_is_all() {
    let (tracker, router) = running(1_000);
    let (status, body) = patch(&router, "/api/cluster/jobs?action=pause&state=running").await;
    assert_eq!((status, body["num_records"].as_u64()), (200, Some(1_000)));
    assert!(body.pointer("/_links/next").is_none());
    assert_eq!(count(&tracker, "paused"), 1_000);
}

#[tokio::test]
async fn the_first_refusal_ends_it_wherever_it_comes() {
    let (tracker, router) = running(600);
    // In the second step, with jobs before and behind it that would be changed.
    tracker.succeed(id(300), Success::default()).unwrap();
    let (status, body) = patch(&router, "/api/cluster/jobs?action=pause&uuid=*").await;
    assert_eq!((status, body["error"]["code"].as_str()), (409, Some("458762")));
    assert_eq!(body["error"]["arguments"][0]["message"], id(300).to_string());
    assert_eq!(body["num_records"], 300);
    assert_eq!((count(&tracker, "paused"), count(&tracker, "running")), (300, 299));

    // From there on, and past it.
    let rest = format!("/api/cluster/jobs?action=pause&uuid=%3E={}", id(300));
    let (status, body) = patch(&router, &format!("{rest}&continue_on_failure=true")).await;
    assert_eq!((status, body["num_records"].as_u64()), (200, Some(299)));
    assert_eq!(body["errors"].as_array().unwrap().len(), 1);
    assert_eq!(body["errors"][0]["uuid"], id(300).to_string());
    assert_eq!(count(&tracker, "paused"), 599);
}

/// Workers end and start jobs while all that run are to be canceled. Only a job that runs when its
/// turn comes is meant, so no refusal is told and no queued job is canceled.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_does_not_match_any_more_is_not_meant() {
    for continue_on_failure in [true, false] {
        let (tracker, router) = running(2_000);
        let worker = std::thread::spawn({
            let tracker = Arc::clone(&tracker);
            move || {
                let mut ended = 0;
                for number in (0..2_000).rev() {
                    ended += u64::from(tracker.succeed(id(number), Success::default()).is_ok());
                    tracker.create(NewJob::default()).unwrap();
                }
                ended
            }
        });
        let target = format!(
            "/api/cluster/jobs?action=cancel&state=running&continue_on_failure={continue_on_failure}"
        );
        let (status, body) = patch(&router, &target).await;
        assert_eq!(status, 200, "{body}");
        assert!(body.get("errors").is_none(), "{body}");
        let ended = worker.join().unwrap();
        let canceled = body["num_records"].as_u64().unwrap();
        assert_eq!(canceled, count(&tracker, "failure"));
        assert_eq!(canceled + ended, 2_000);
        assert_eq!(count(&tracker, "queued"), 2_000);
    }
}

#[tokio::test]
async fn what_is_already_so_counts_as_changed() {
    let (tracker, router) = running(1);
    let cooperative = NewJob { cooperative: true, uuid: Some(id(7)), ..NewJob::default() };
    tracker.create(cooperative).unwrap();
    tracker.start(id(7)).unwrap();
    tracker.request(id(7), Action::Pause).unwrap();
    let (status, body) = patch(&router, "/api/cluster/jobs?action=pause&state=running").await;
    assert_eq!((status, body["num_records"].as_u64()), (200, Some(2)));
    assert_eq!(tracker.get(id(7)).unwrap().state(), State::Running);
    let waits = Expr::is(Field::RequestedAction, Action::Pause).unwrap();
    assert_eq!(tracker.count(&Query::matching(waits)).unwrap().count, 1);
}

#[tokio::test]
async fn what_the_engine_cannot_do_for_any_job_is_no_job_s_refusal() {
    for target in [
        "/api/cluster/jobs?action=pause&state=running",
        "/api/cluster/jobs?action=pause&state=running&continue_on_failure=true",
    ] {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let (tracker, router) = running_in(Arc::clone(&store), 3);
        tracker.close().unwrap();
        let (status, body) = patch(&router, target).await;
        assert_eq!((status, body["error"]["code"].as_str()), (503, Some("458773")), "{body}");
        assert!(body.get("errors").is_none());
        // A closed tracker answers nothing; what is in its store does.
        let reopened = Tracker::open(store, tracker.options().clone()).unwrap();
        assert_eq!(count(&reopened, "running"), 3);
    }
}

#[tokio::test]
async fn a_store_that_fails_on_the_way_leaves_what_was_changed_and_says_so() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let (tracker, router) = running_in(Arc::clone(&store), 3);
    store.fail_commit(2, Fault::Failed(ErrorKind::StoreFull));
    let (status, body) = patch(&router, "/api/cluster/jobs?action=pause&state=running").await;
    assert_eq!((status, body["error"]["code"].as_str()), (500, Some("262145")), "{body}");
    assert_eq!(body["num_records"], 1);
    assert_eq!(body["error"]["arguments"][0]["message"], id(1).to_string());
    assert_eq!((count(&tracker, "paused"), count(&tracker, "running")), (1, 2));

    // In one commit, nothing was changed.
    store.fail_commit(1, Fault::Failed(ErrorKind::StoreFull));
    let rest = "/api/cluster/jobs?action=pause&state=running&continue_on_failure=true";
    let (status, body) = patch(&router, rest).await;
    assert_eq!((status, body["num_records"].as_u64()), (500, Some(0)), "{body}");
    assert_eq!(count(&tracker, "running"), 2);
    assert_eq!(patch(&router, rest).await.1["num_records"], 2);
}

/// Where the outcome is unknown, no number is told: it might be wrong.
#[tokio::test]
async fn what_cannot_be_made_durable_is_not_counted() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let (tracker, router) = running_in(Arc::clone(&store), 3);
    // After the three deferred commits, the one that makes them durable.
    store.fail_commit(4, Fault::Failed(ErrorKind::StoreFailed));
    let (status, body) = patch(&router, "/api/cluster/jobs?action=pause&state=running").await;
    assert_eq!((status, body["error"]["code"].as_str()), (500, Some("262145")), "{body}");
    assert!(body.get("num_records").is_none(), "{body}");
    assert_eq!(count(&tracker, "paused"), 3);
}

async fn post(router: &Router, body: &str) -> (u16, Option<String>, Value) {
    let request = Request::post("/v1/bulk").body(Body::from(body.to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let location = response.headers().get("location").map(|it| it.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, location, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_bulk_of_the_native_face_is_a_job_that_goes_on_by_itself() {
    let (tracker, router) = running(600);
    let body = r#"{"action": "cancel", "filter": "state=running&query=*&query_fields=uuid",
        "reason": "maintenance"}"#;
    let (status, _, counted) =
        post(&router, &body.replace("\"reason\"", "\"dry_run\": true, \"reason\"")).await;
    assert_eq!((status, &counted["num_records"]), (200, &Value::from(600)));
    assert_eq!(count(&tracker, "running"), 600, "nothing has changed");

    let (status, location, job) = post(&router, body).await;
    assert_eq!((status, &job["kind"]), (202, &Value::from("jobtrack.bulk")), "{job}");
    let id: JobId = job["uuid"].as_str().unwrap().parse().unwrap();
    assert_eq!(location, Some(format!("/v1/jobs/{id}")));
    let waiting = tokio::task::spawn_blocking({
        let tracker = Arc::clone(&tracker);
        move || tracker.wait(id, std::time::Duration::from_secs(60)).unwrap()
    });
    let ended = waiting.await.unwrap();
    assert_eq!(
        (ended.state(), &*ended.message),
        (State::Success, "cancel: 600 of 600 jobs changed")
    );
    assert_eq!(count(&tracker, "failure"), 600);
}

#[tokio::test]
async fn a_bulk_goes_on_though_its_client_has_gone() {
    let (tracker, router) = running(600);
    let body = r#"{"action": "cancel", "filter": "state=running"}"#;
    let request = Request::post("/v1/bulk").body(Body::from(body)).unwrap();
    {
        let mut answer = std::pin::pin!(router.oneshot(request));
        // It has begun, and is not waited for.
        tokio::select! {
            biased;
            _ = &mut answer => panic!("it is answered from another thread"),
            () = std::future::ready(()) => {}
        }
    }
    for _ in 0..1_000 {
        if count(&tracker, "success") > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(count(&tracker, "failure"), 600);
}

#[tokio::test]
async fn to_try_a_bulk_takes_no_more_than_a_list() {
    let (tracker, _) = running(1_000);
    let options = Options { query_rows: 1, ..Options::default() };
    let router = router(tracker, options);
    let body = r#"{"action": "cancel", "filter": "message=*x*", "dry_run": true}"#;
    let (status, _, refusal) = post(&router, body).await;
    assert_eq!((status, &refusal["kind"]), (503, &Value::from("deadline_exceeded")), "{refusal}");
}
