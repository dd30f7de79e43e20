//! As many requests as may be are in progress: one more is told to come again.

// Tests may unwrap, and the lints see no test in a module that tests share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use bytes::Bytes;
use common::tracker;
use jobtrack::MemoryStore;
use jobtrack_http::{Options, router};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tower::ServiceExt;

async fn get(router: &Router, target: &str) -> Response<Body> {
    let request = Request::get(target).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

async fn json(response: Response<Body>) -> Value {
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn a_request_too_many_is_refused_and_the_next_one_served() {
    let (tracker, _clock) = tracker(MemoryStore::new());
    let router = router(tracker, Options { in_flight: 1, ..Options::default() });
    assert_eq!(get(&router, "/api/cluster/jobs").await.status(), 200);

    // A body that is still on its way keeps its request in progress.
    let (sender, receiver) = mpsc::channel::<std::io::Result<Bytes>>(1);
    let body = Body::from_stream(ReceiverStream::new(receiver));
    let slow = Request::post("/v1/jobs").body(body).unwrap();
    let slow = tokio::spawn(router.clone().oneshot(slow));
    sender.send(Ok(Bytes::from_static(b"{"))).await.unwrap();
    // The channel holds one piece, so when there is room again the first has been taken.
    let room = sender.reserve().await.unwrap();

    let refused = get(&router, "/api/cluster/jobs").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    let error = json(refused).await;
    assert_eq!(error["error"]["code"], "262160");

    let refused = get(&router, "/v1/jobs").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(json(refused).await["kind"], "too_many_requests");

    room.send(Ok(Bytes::from_static(b"}")));
    drop(sender);
    assert_eq!(slow.await.unwrap().unwrap().status(), 201);
    assert_eq!(json(get(&router, "/api/cluster/jobs").await).await["num_records"], 1);
}
