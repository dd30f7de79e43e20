//! jobtrack within another axum server, which has state and paths of its own.
//!
//!     cargo run -p jobtrack-http --example mounted
//!
//! Nightly reports are this server's own affair: `POST /reports` begins one in the background and
//! answers 202 with the path of a job. Whatever is to be known of jobs is at `/tracking`, where
//! jobtrack's own router stands; links in its answers begin there, too.

// Programs may print, and this one has a clock of its own only to have something to wait for.
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jobtrack::{Command, MemoryStore, NewJob, Success, Tracker};
use jobtrack_http::Options;

/// Where jobtrack stands.
const TRACKING: &str = "/tracking";
/// How long a report takes.
const WORK: Duration = Duration::from_millis(200);

/// What the handlers of this server share.
#[derive(Clone)]
struct Reports {
    tracker: Arc<Tracker>,
    begun: Arc<AtomicU64>,
}

/// This server's own paths, with jobtrack's beside them.
///
/// `nest` puts our router under a path. To have it at the root instead, where ONTAP's clients look
/// for `/api/cluster/jobs`, make it the fallback: `own.fallback_service(tracking)`.
pub(crate) fn server(tracker: Arc<Tracker>) -> Router {
    let tracking = jobtrack_http::router(Arc::clone(&tracker), Options::default());
    Router::new()
        .route("/", get(front))
        .route("/reports", post(begin))
        .with_state(Reports { tracker, begun: Arc::default() })
        .nest(TRACKING, tracking)
}

async fn front(State(reports): State<Reports>) -> String {
    format!("{} reports begun\n", reports.begun.load(Ordering::Relaxed))
}

async fn begin(State(reports): State<Reports>) -> Response {
    let number = reports.begun.fetch_add(1, Ordering::Relaxed) + 1;
    let job = NewJob { kind: "report".to_owned(), ..NewJob::described(format!("Report {number}")) };
    let tracker = Arc::clone(&reports.tracker);
    // The tracker blocks while it commits, so it has a thread that may.
    let begun = tokio::task::spawn_blocking(move || {
        let job = tracker.create(job)?;
        tracker.start(job.uuid)
    });
    match begun.await {
        Ok(Ok(job)) => {
            let path = format!("{TRACKING}/v1/jobs/{}", job.uuid);
            tokio::spawn(async move {
                tokio::time::sleep(WORK).await;
                let done = Command::succeed(job.uuid, Success::with_message("all there"));
                tokio::task::spawn_blocking(move || reports.tracker.run(done)).await
            });
            (StatusCode::ACCEPTED, [(header::LOCATION, path)]).into_response()
        }
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tracker = Arc::new(Tracker::open(MemoryStore::new(), jobtrack::Options::default())?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("curl -si -X POST http://{}/reports", listener.local_addr()?);
    println!("curl -s http://{}{TRACKING}/v1/jobs", listener.local_addr()?);
    // With our own limits against slow and hostile clients; `axum::serve` would do as well, but has none.
    let stop = std::future::pending();
    jobtrack_http::serve(listener, server(tracker), jobtrack_http::ServerOptions::default(), stop)
        .await;
    Ok(())
}
