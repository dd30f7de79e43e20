//! What the log says of requests.

// Tests may unwrap, and the lints see no test in a module that tests share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use common::tracker;
use jobtrack::MemoryStore;
use jobtrack_http::{Options, router};
use tower::ServiceExt;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_failure_is_logged_once_and_a_refusal_not_at_all() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (tracker, _clock) = tracker(MemoryStore::new());
    let router = router(Arc::clone(&tracker), Options::default());
    tracker.close().unwrap();
    for (target, status) in [("/v1/jobs", 503), ("/api/cluster/jobs", 503), ("/v1/nothing", 404)] {
        let request = Request::get(target).body(Body::empty()).unwrap();
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), status, "{target}");
    }
    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = written.lines().collect();
    assert_eq!(lines.len(), 2, "{written}");
    assert!(lines.iter().all(|line| line.contains("WARN") && line.contains("closed")), "{written}");
}
