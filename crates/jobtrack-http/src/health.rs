//! How the server is: whether it lives, takes requests, and what it tells of itself; and what is
//! noted of each request.
//!
//! A [`Monitor`] is there before the store is open and until the process ends, so that those who
//! watch a server hear from it all the while.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::any;
use jobtrack::{Clock, SystemClock, Tracker};
use parking_lot::RwLock;
use serde_json::json;
use tower::ServiceExt;
use tracing::{Instrument, Level};

use crate::errors::{Face, Fault, HttpKind, Refused, to_json};
use crate::guard;
use crate::metrics::{self, Metrics};
use crate::respond::{complete, face_of, json, no_such_path};
use crate::roles;

/// Watches over one server. A handle, cheap to clone.
///
/// ```
/// use jobtrack::{MemoryStore, Options, Tracker};
/// use jobtrack_http::{Monitor, router};
///
/// let monitor = Monitor::new();
/// let front = monitor.front(true); // serves /livez already, and refuses all else with 503
/// assert_eq!(monitor.ready(), Err("the store is being opened".to_owned()));
///
/// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
/// let routes = router(tracker.clone().into(), jobtrack_http::Options::default());
/// front.open(monitor.observe(routes));
/// monitor.opened(&tracker);
/// assert_eq!(monitor.ready(), Ok(()));
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Monitor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    phase: RwLock<Phase>,
    tracker: Arc<OnceLock<Tracker>>,
    metrics: Metrics,
    clock: SystemClock,
    request_log: Option<Level>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    Draining,
}

/// The routes that a listener serves from the first moment on, and those that come once the store is
/// open.
#[derive(Debug, Clone)]
pub struct Front {
    monitor: Monitor,
    later: Arc<OnceLock<Router>>,
    is_for_administration: bool,
    hosts: Option<Vec<String>>,
}

impl Default for Monitor {
    fn default() -> Self {
        Monitor::new()
    }
}

impl Monitor {
    /// The monitor of a server whose store is not open yet, and which logs no requests.
    pub fn new() -> Monitor {
        Monitor::logging(None)
    }

    /// The same, with a line in the log for every request, at this level.
    pub fn logging(request_log: Option<Level>) -> Monitor {
        let tracker = Arc::default();
        let metrics = Metrics::new(Arc::clone(&tracker));
        let (phase, clock) = (RwLock::new(Phase::Opening), SystemClock::new());
        Monitor(Arc::new(Inner { phase, tracker, metrics, clock, request_log }))
    }

    /// The store is open.
    pub fn opened(&self, tracker: &Tracker) {
        let _already = self.0.tracker.set(tracker.clone());
        let mut phase = self.0.phase.write();
        if *phase == Phase::Opening {
            *phase = Phase::Open;
        }
    }

    /// The server is about to stop: requests are still answered, but are better sent elsewhere.
    pub fn draining(&self) {
        *self.0.phase.write() = Phase::Draining;
    }

    /// Whether requests should be sent here, or why not.
    ///
    /// # Errors
    ///
    /// Why not: the store is being opened, the server is about to stop, or no change is taken any
    /// more until the store is opened again.
    pub fn ready(&self) -> Result<(), String> {
        match *self.0.phase.read() {
            Phase::Opening => return Err("the store is being opened".to_owned()),
            Phase::Draining => return Err("the server is about to stop".to_owned()),
            Phase::Open => {}
        }
        let trouble = self.0.tracker.get().and_then(Tracker::trouble);
        match trouble {
            None => Ok(()),
            Some(error) => {
                Err(format!("no change is taken until the store is opened again: {error}"))
            }
        }
    }

    /// Asks the tracker, if it is open, for what it would tell anybody. Returns once it has answered,
    /// so a tracker that hangs is noticed by whoever waits for this.
    pub fn probe(&self) {
        let _stats = self.0.tracker.get().map(Tracker::stats);
    }

    /// Where connections are counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The routes of a listener: those of this module, and what [`Front::open`] adds. Metrics and
    /// health in detail are served only on one for administration.
    pub fn front(&self, is_for_administration: bool) -> Front {
        let monitor = self.clone();
        Front { monitor, later: Arc::default(), is_for_administration, hosts: None }
    }

    /// The routes of metrics and of health in detail, for a listener whose [`Front`] has them not: to
    /// be put behind whatever guards the others.
    pub fn details(&self) -> Router {
        Router::new()
            .route("/healthz", any(healthz))
            .route("/metrics", any(metrics))
            .with_state(self.clone())
    }

    /// The router, with each request noted: in the metrics, in the log, and with an id that is the
    /// client's `X-Request-Id` or else made here, and that the answer bears. Put it around the
    /// routes last, so that refusals are noted, too.
    pub fn observe(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), observe))
    }
}

impl Front {
    /// The same, for a server without users: metrics and health are told to no browser that was led
    /// here under the name of another site, as with [`Options::hosts`](crate::Options::hosts).
    #[must_use]
    pub fn known_as(self, hosts: Option<Vec<String>>) -> Front {
        Front { hosts, ..self }
    }

    /// Serves these routes from now on as well.
    pub fn open(&self, routes: Router) {
        let _already = self.later.set(routes);
    }

    /// The router to serve.
    pub fn router(&self) -> Router {
        let mut router = Router::new()
            .route("/livez", any(livez))
            .route("/readyz", any(readyz))
            .route("/version", any(version))
            .with_state(self.monitor.clone());
        if self.is_for_administration {
            let hosts = Arc::new(self.hosts.clone());
            let guarded = middleware::from_fn_with_state(hosts, known);
            router = router.merge(self.monitor.details().layer(guarded));
        }
        // Answers of these routes are neither noted nor logged: probes come every few seconds.
        let routes = Arc::clone(&self.later);
        router.fallback(move |request| later(Arc::clone(&routes), request))
    }
}

/// All other routes, once they are there.
async fn later(routes: Arc<OnceLock<Router>>, request: Request) -> Response {
    match routes.get() {
        Some(router) => match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => {
            let fault = Fault::new(HttpKind::NotOpen, "the store is being opened; try again later");
            let mut response = fault.into_response(face_of(request.uri().path()));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            complete(&mut response);
            response
        }
    }
}

async fn livez(request: Request) -> Response {
    answer(&request, || text("the process answers\n"))
}

async fn readyz(State(monitor): State<Monitor>, request: Request) -> Response {
    let ready = monitor.ready();
    answer(&request, || match ready {
        Ok(()) => text("ready\n"),
        Err(why) => {
            let mut response = text(format!("not ready: {why}\n"));
            *response.status_mut() = axum::http::StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    })
}

async fn version(request: Request) -> Response {
    let version = json!({ "name": "jobtrack", "version": env!("CARGO_PKG_VERSION") });
    answer(&request, || json("application/json", to_json(&version)))
}

async fn metrics(State(monitor): State<Monitor>, request: Request) -> Response {
    monitor.0.metrics.is_ready.set(i64::from(monitor.ready().is_ok()));
    answer(&request, || json(metrics::MEDIA_TYPE, monitor.0.metrics.render().into_bytes()))
}

/// The router without what is for administration, where another listener serves that: what asks for
/// the role admin, were there users.
pub fn without_administration(router: Router) -> Router {
    router.layer(middleware::from_fn(|request: Request, next: Next| async move {
        if roles::is_administration(request.uri().path()) {
            let mut response = no_such_path(request).await;
            complete(&mut response);
            return response;
        }
        next.run(request).await
    }))
}

/// Refuses whoever takes this server for another.
async fn known(
    State(hosts): State<Arc<Option<Vec<String>>>>,
    request: Request,
    next: Next,
) -> Response {
    match guard::check(hosts.as_deref(), request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(fault) => {
            let mut response = fault.into_response(Face::Native);
            complete(&mut response);
            response
        }
    }
}

/// How the server is, in detail.
async fn healthz(State(monitor): State<Monitor>, request: Request) -> Response {
    let ready = monitor.ready();
    let stats = monitor.0.tracker.get().map(Tracker::stats);
    let store = stats.map(|stats| {
        json!({
            "revision": stats.revision,
            "jobs": stats.counts.total(),
            "commits": stats.commits,
            "store_errors": stats.store_errors,
            "queued_commands": stats.queued,
            "due_jobs": stats.due,
            "sweep_lag_seconds": stats.sweep_lag.as_secs_f64(),
            "memory_bytes": stats.memory,
            "watchers": stats.watches,
            "trouble": stats.trouble.map(|error| error.to_string()),
        })
    });
    let archive = monitor.0.tracker.get().and_then(|tracker| tracker.archive_status().ok()?);
    let archive = archive.map(|archive| {
        let (since, why) = archive.failing.unzip();
        json!({
            "archived_jobs": archive.archived,
            "waiting_jobs": archive.waiting,
            "failing_since": since,
            "trouble": why.map(|error| error.to_string()),
        })
    });
    let health = json!({
        "ready": ready.is_ok(),
        "reason": ready.err(),
        "version": env!("CARGO_PKG_VERSION"),
        "up_seconds": monitor.0.clock.monotonic().as_secs(),
        "store": store,
        "archive": archive,
    });
    answer(&request, || json("application/json", to_json(&health)))
}

/// The answer to GET and HEAD, and the refusal of all else.
fn answer(request: &Request, answer: impl FnOnce() -> Response) -> Response {
    const METHODS: &str = "GET, HEAD";
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => answer(),
        ref other => {
            let fault = Fault::method_not_allowed(other.as_str(), METHODS);
            fault.into_response(Face::Native)
        }
    };
    complete(&mut response);
    response
}

fn text(body: impl Into<Vec<u8>>) -> Response {
    json("text/plain; charset=utf-8", body.into())
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
/// The longest id that is taken over from a client.
const LONGEST_ID: usize = 128;

/// Notes a request and its answer.
async fn observe(State(monitor): State<Monitor>, request: Request, next: Next) -> Response {
    let metrics = &monitor.0.metrics;
    let id = request_id(request.headers())
        .unwrap_or_else(|| monitor.0.clock.new_id().simple().to_string());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("(none)", MatchedPath::as_str);
    let method = request.method().clone();
    // Of the target the path alone: filters are the client's own affair.
    let span = tracing::error_span!(
        "request",
        id,
        %method,
        path = request.uri().path(),
        trace = trace_id(request.headers()),
    );
    let begun = monitor.0.clock.monotonic();
    let in_progress = InProgress::begin(metrics);
    let mut response = next.run(request).instrument(span.clone()).await;
    drop(in_progress);
    let took = monitor.0.clock.monotonic().saturating_sub(begun);
    metrics.answered(&method, route, response.status(), took);
    if let Some(Refused(kind)) = response.extensions().get() {
        metrics.refused(kind);
    }
    if let Some(level) = monitor.0.request_log {
        let _within = span.enter();
        log(level, route, response.status().as_u16(), took);
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// One that is being answered; also if its client goes away meanwhile.
struct InProgress<'a>(&'a Metrics);

impl InProgress<'_> {
    fn begin(metrics: &Metrics) -> InProgress<'_> {
        metrics.in_progress.inc();
        InProgress(metrics)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.in_progress.dec();
    }
}

/// The macros take a level that is known when they are compiled.
fn log(level: Level, route: &str, status: u16, took: Duration) {
    let milliseconds = took.as_secs_f64() * 1e3;
    macro_rules! at {
        ($level:expr) => {
            tracing::event!($level, route, status, milliseconds, "answered")
        };
    }
    match level {
        Level::ERROR => at!(Level::ERROR),
        Level::WARN => at!(Level::WARN),
        Level::INFO => at!(Level::INFO),
        Level::DEBUG => at!(Level::DEBUG),
        Level::TRACE => at!(Level::TRACE),
    }
}

/// The client's own id of a request, if it is one: what is odd or long would serve to deceive who
/// reads the log.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/+=".contains(c);
    (!id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(is_plain)).then(|| id.to_owned())
}

/// The trace that a request belongs to, as W3C Trace Context has it.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(TRACE_PARENT)?.to_str().ok()?;
    let (version, rest) = text.split_once('-')?;
    let (trace, rest) = rest.split_once('-')?;
    let (span, flags) = rest.split_once('-')?;
    let is_hex = |part: &str, length: usize| {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        part.len() == length && part.bytes().all(is_digit)
    };
    let is_set = |part: &str| part.bytes().any(|byte| byte != b'0');
    let is_right = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && is_set(trace)
        && is_hex(span, 16)
        && is_set(span)
        // A later version may have more behind them.
        && is_hex(flags.get(..2)?, 2);
    is_right.then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn an_id_of_the_client_is_taken_over_if_it_is_plain() {
        let id = |value: &str| request_id(&headers(REQUEST_ID, value));
        assert_eq!(id("7f3a-9_x.1:2"), Some("7f3a-9_x.1:2".to_owned()));
        assert_eq!(id(&"x".repeat(LONGEST_ID)).map(|id| id.len()), Some(LONGEST_ID));
        for odd in ["", "a b", "a\tb", "a\"b", "a=b,c", &"x".repeat(LONGEST_ID + 1)] {
            assert_eq!(id(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_trace_is_taken_over_if_it_is_one() {
        let trace = |value: &str| trace_id(&headers(TRACE_PARENT, value));
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace(&format!("00-{id}-00f067aa0ba902b7-01")).as_deref(), Some(id));
        assert_eq!(trace(&format!("cc-{id}-00f067aa0ba902b7-01-more")).as_deref(), Some(id));
        for wrong in [
            String::new(),
            id.to_owned(),
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{id}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{id}-00f067aa0ba902b7-0"),
            format!("00-{id}-00f067aa0ba902b7-é"),
        ] {
            let headers = HeaderMap::from_iter([(
                TRACE_PARENT,
                HeaderValue::from_bytes(wrong.as_bytes()).unwrap(),
            )]);
            assert_eq!(trace_id(&headers), None, "{wrong}");
        }
    }
}
