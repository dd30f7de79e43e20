//! As many requests as may be are in progress: one more is told to come again.

// Tests may unwrap, and the lints see no test in a module that tests share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use bytes::Bytes;
use common::tracker;
use jobtrack::store::{Batch, CommitError, Record, Space, Visit};
use jobtrack::{Command, Durability, MemoryStore, NewJob, Store, Success};
use jobtrack_http::{Options, router};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tower::ServiceExt;

/// A store whose commits wait until each is let go, once there is a gate.
#[derive(Default)]
struct Gated {
    store: MemoryStore,
    gate: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

impl Gated {
    /// From now on each commit says that it has come, and waits.
    fn close(&self) -> (Receiver<()>, Sender<()>) {
        let ((come, comes), (go, goes)) = (channel(), channel());
        *self.gate.lock() = Some((come, goes));
        (comes, go)
    }
}

impl Store for Gated {
    fn load(&self, visit: &mut Visit<'_>) -> jobtrack::Result<u64> {
        self.store.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> jobtrack::Result<Option<Record>> {
        self.store.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        if let Some((come, goes)) = &*self.gate.lock() {
            let _ = come.send(());
            let _ = goes.recv();
        }
        self.store.commit(batch, durability)
    }
}

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
    let store = Arc::new(Gated::default());
    let (tracker, _clock) = tracker(Arc::clone(&store));
    let router = router(tracker, Options { in_flight: 1, ..Options::default() });
    assert_eq!(get(&router, "/api/cluster/jobs").await.status(), 200);

    let (comes, go) = store.close();
    let create = Request::post("/v1/jobs").body(Body::from("{}")).unwrap();
    let slow = tokio::spawn(router.clone().oneshot(create));
    tokio::task::spawn_blocking(move || comes.recv().unwrap()).await.unwrap();

    let refused = get(&router, "/api/cluster/jobs").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    let error = json(refused).await;
    assert_eq!(error["error"]["code"], "262160");

    let refused = get(&router, "/v1/jobs").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(json(refused).await["kind"], "too_many_requests");

    drop(go);
    assert_eq!(slow.await.unwrap().unwrap().status(), 201);
    assert_eq!(json(get(&router, "/api/cluster/jobs").await).await["num_records"], 1);
}

#[tokio::test]
async fn one_more_waits_for_a_place_before_it_is_refused() {
    let store = Arc::new(Gated::default());
    let (tracker, _clock) = tracker(Arc::clone(&store));
    let options = Options { in_flight: 1, patience: Duration::from_secs(60), ..Options::default() };
    let router = router(tracker, options);
    let (comes, go) = store.close();
    let create = Request::post("/v1/jobs").body(Body::from("{}")).unwrap();
    let slow = tokio::spawn(router.clone().oneshot(create));
    tokio::task::spawn_blocking(move || comes.recv().unwrap()).await.unwrap();
    let waits = tokio::spawn(async move { get(&router, "/v1/jobs").await.status() });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waits.is_finished());
    drop(go);
    assert_eq!(slow.await.unwrap().unwrap().status(), 201);
    assert_eq!(waits.await.unwrap(), 200);
}

/// A request whose body is on its way until the sender is dropped.
fn unfinished(router: &Router, target: &str) -> (mpsc::Sender<std::io::Result<Bytes>>, Answered) {
    let (sender, receiver) = mpsc::channel(1);
    let body = Body::from_stream(ReceiverStream::new(receiver));
    let request = Request::post(target).body(body).unwrap();
    (sender, tokio::spawn(router.clone().oneshot(request)))
}

type Answered = tokio::task::JoinHandle<Result<Response<Body>, std::convert::Infallible>>;

#[tokio::test]
async fn a_body_on_its_way_takes_no_place_but_room() {
    let (tracker, _clock) = tracker(MemoryStore::new());
    let options = Options { in_flight: 1, bodies_bytes: 10, ..Options::default() };
    let router = router(tracker, options);
    let (sender, slow) = unfinished(&router, "/v1/jobs");
    sender.send(Ok(Bytes::from_static(b"{       "))).await.unwrap();
    // The channel holds one piece, so when there is room again the first has been taken.
    let room = sender.reserve().await.unwrap();
    assert_eq!(get(&router, "/v1/jobs").await.status(), 200);
    let create = |body: &'static str| {
        let request = Request::post("/v1/jobs").body(Body::from(body)).unwrap();
        router.clone().oneshot(request)
    };
    assert_eq!(create("{}").await.unwrap().status(), 201);
    let refused = create("{ }").await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    room.send(Ok(Bytes::from_static(b"}")));
    drop(sender);
    assert_eq!(slow.await.unwrap().unwrap().status(), 201);
    assert_eq!(create("{ }").await.unwrap().status(), 201);
}

#[tokio::test(start_paused = true)]
async fn a_body_has_its_time() {
    let (tracker, _clock) = tracker(MemoryStore::new());
    let body_time = Duration::from_secs(60);
    let router = router(tracker, Options { body_time, ..Options::default() });
    let (sender, slow) = unfinished(&router, "/v1/jobs");
    let drips = tokio::spawn(async move {
        // A byte now and then buys no more of it.
        while sender.send(Ok(Bytes::from_static(b" "))).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let refused = slow.await.unwrap().unwrap();
    assert_eq!(refused.status(), 408);
    assert_eq!(json(refused).await["kind"], "body_too_slow");
    drips.await.unwrap();
}

#[tokio::test]
async fn transfers_have_places_of_their_own() {
    let (tracker, _clock) = tracker(MemoryStore::new());
    let router = router(tracker, Options { transfers: 1, ..Options::default() });
    let (sender, slow) = unfinished(&router, "/v1/import");
    sender.send(Ok(Bytes::from_static(b"{"))).await.unwrap();
    let room = sender.reserve().await.unwrap();
    for target in ["/v1/export", "/v1/backup"] {
        let refused = get(&router, target).await;
        assert_eq!(refused.status(), 503, "{target}");
        assert_eq!(json(refused).await["kind"], "too_many_requests");
    }
    assert_eq!(get(&router, "/v1/jobs").await.status(), 200);
    drop(room);
    drop(sender);
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    assert_eq!(get(&router, "/v1/export").await.status(), 200);
}

#[tokio::test]
async fn what_may_read_much_leaves_places_to_the_rest() {
    let store = Arc::new(Gated::default());
    let (tracker, clock) = tracker(Arc::clone(&store));
    let job = tracker.create(NewJob::described("Brief")).unwrap().uuid;
    tracker.start(job).unwrap();
    tracker.succeed(job, Success::default()).unwrap();
    let patience = Duration::from_secs(60);
    let options = Options { in_flight: 4, readers: 1, patience, ..Options::default() };
    let router = router(Arc::clone(&tracker), options);

    // A reader who is not to see what has expired waits for the store to have noted that.
    clock.advance(tracker.options().retention * 2);
    let (comes, go) = store.close();
    let ask = || {
        let router = router.clone();
        tokio::spawn(async move { get(&router, "/v1/jobs").await })
    };
    let reads = ask();
    tokio::task::spawn_blocking(move || comes.recv().unwrap()).await.unwrap();
    let waits = ask();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!reads.is_finished() && !waits.is_finished());

    // They fill half of the places.
    let refused = get(&router, "/v1/jobs").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(json(refused).await["kind"], "too_many_requests");
    assert_eq!(get(&router, "/v1/whoami").await.status(), 200);

    drop(go);
    for answer in [reads, waits] {
        assert_eq!(answer.await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn large_answers_wait_until_those_before_them_are_read() {
    let (tracker, _clock) = tracker(MemoryStore::new());
    let new = |n| Command::create(NewJob::described(format!("Volume move {n}")));
    assert!(tracker.run_all((0..200).map(new)).iter().all(Result::is_ok));
    let patience = Duration::from_millis(50);
    let router = router(tracker, Options { answers_bytes: 1, patience, ..Options::default() });
    let unread = get(&router, "/v1/jobs").await;
    assert_eq!(unread.status(), 200);
    for large in ["/v1/jobs", "/api/cluster/jobs"] {
        let refused = get(&router, large).await;
        assert!([429, 503].contains(&refused.status().as_u16()), "{large}");
        assert_eq!(refused.headers()["retry-after"], "1");
    }
    assert_eq!(get(&router, "/v1/jobs?max_records=5").await.status(), 200);
    assert_eq!(json(unread).await["num_records"], 200);
    assert_eq!(get(&router, "/v1/jobs").await.status(), 200);
}
