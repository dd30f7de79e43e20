//! One byte of options, and the body of an import, a job a line: every line is accounted for, what is
//! imported is what is exported, and importing that elsewhere gives the same jobs again.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use jobtrack::{MemoryStore, Tracker};
use jobtrack_http::{ImportReport, Options, router};
use serde_json::Value;
use tower::ServiceExt;

/// Imports, exports, and imports that elsewhere.
///
/// # Panics
///
/// Where a line is lost, or a job is not the same.
pub fn import(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else { return };
    let target = match choice % 4 {
        0 => "/v1/import",
        1 => "/v1/import?on_bad=fail",
        2 => "/v1/import?retain=1s",
        _ => "/v1/import?retain=0s&on_bad=skip",
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let (router, tracker) = server();
        let (status, answer) = ask(&router, "POST", target, body).await;
        let report: ImportReport =
            serde_json::from_slice(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        assert_eq!(status, if report.stopped_at.is_some() { 400 } else { 200 });
        assert_eq!(report.bad.len() as u64, report.bad_count.min(100));
        assert!(report.bad.is_sorted_by(|a, b| a.line < b.line), "{report:?}");
        let decided = report.imported + report.expired + report.bad_count;
        let lines = body.split(|byte| *byte == b'\n');
        let filled = lines.filter(|line| !line.trim_ascii().is_empty()).count() as u64;
        if report.stopped_at.is_none() {
            assert_eq!(decided, filled, "{report:?}");
        } else {
            assert!(decided <= filled && report.bad_count == 1, "{report:?}");
        }

        let (status, exported) = ask(&router, "GET", "/v1/export", b"").await;
        assert_eq!(status, 200);
        let total = tracker.counts().expect("counts").total();
        // What is taken may be due at once.
        assert!(total <= report.imported);
        assert_eq!(exported.iter().filter(|byte| **byte == b'\n').count() as u64, total);

        let (elsewhere, _) = server();
        let (_, answer) = ask(&elsewhere, "POST", "/v1/import?on_bad=fail", &exported).await;
        let report: ImportReport = serde_json::from_slice(&answer).expect("a report");
        assert_eq!((report.imported, report.bad_count), (total, 0), "{report:?}");
        let (_, again) = ask(&elsewhere, "GET", "/v1/export", b"").await;
        assert_eq!(less_revisions(&again), less_revisions(&exported));
    });
}

fn server() -> (Router, Arc<Tracker>) {
    let tracker = Tracker::open(MemoryStore::new(), crate::jobs::options());
    let tracker = Arc::new(tracker.expect("a new store opens"));
    (router(Arc::clone(&tracker), Options::default()), tracker)
}

async fn ask(router: &Router, method: &str, target: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let request = Request::builder().method(method).uri(target);
    let request = request.body(Body::from(body.to_vec())).expect("a request");
    let response = router.clone().oneshot(request).await;
    let response = response.unwrap_or_else(|never| match never {});
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a whole body");
    (status, body.to_bytes().to_vec())
}

fn less_revisions(lines: &[u8]) -> Vec<Value> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let jobs = lines.map(|line| {
        let mut job: Value = serde_json::from_slice(line).expect("a job");
        job.as_object_mut().expect("an object").remove("revision");
        job
    });
    jobs.collect()
}
