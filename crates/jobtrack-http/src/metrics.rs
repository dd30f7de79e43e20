//! What the server tells of itself in numbers, as Prometheus reads them.
//!
//! Every number is kept up as things happen, or read from the tracker in microseconds; none is
//! scanned for. Labels are words of this program (routes, methods, kinds of refusals, states), and
//! kinds of jobs, of which the largest alone are named. `docs/operating.md` lists every metric, and
//! a test compares that list with what is told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use jobtrack::{Counts, State, Stats, Tracker};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The form in which metrics are written.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// So many kinds of jobs have numbers of their own, those with the most jobs; the others share one.
const KINDS: usize = 20;
/// The label of all kinds beyond them, and of one that has this very name.
const OTHER_KINDS: &str = "(other)";
/// The label of jobs without a kind.
const NO_KIND: &str = "(none)";

/// Seconds: from a read of a page to an import.
const BUCKETS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The metrics of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Without jobtrack's prefix, since every dashboard knows these names.
    process: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    refusals: Family<RefusalLabels, Counter>,
    pub(crate) in_progress: Gauge,
    pub(crate) is_ready: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) accepted: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    kind: &'static str,
}

impl Metrics {
    /// The metrics of a server whose tracker will be there, once it is open.
    pub(crate) fn new(tracker: Arc<OnceLock<Tracker>>) -> Metrics {
        let metrics = Metrics {
            registry: Registry::with_prefix("jobtrack"),
            process: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            refusals: Family::default(),
            in_progress: Gauge::default(),
            is_ready: Gauge::default(),
            connections: Gauge::default(),
            accepted: Counter::default(),
        };
        metrics.registered(tracker)
    }

    fn registered(mut self, tracker: Arc<OnceLock<Tracker>>) -> Metrics {
        let registry = &mut self.registry;
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program that runs", build);
        registry.register(
            "ready",
            "1 if the server takes requests, as /readyz says",
            self.is_ready.clone(),
        );
        registry.register(
            "http_requests",
            "Requests answered, by method, route and class of status",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to the head of its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "http_requests_in_progress",
            "Requests that are being answered",
            self.in_progress.clone(),
        );
        registry.register(
            "refusals",
            "Requests refused, by kind; too_many_requests and too_many_watchers were shed",
            self.refusals.clone(),
        );
        registry.register("connections", "Connections that are open", self.connections.clone());
        registry.register("connections_accepted", "Connections accepted", self.accepted.clone());
        registry.register_collector(Box::new(OfTracker(tracker)));
        self.process.register_collector(Box::new(OfProcess));
        self
    }

    /// Notes an answer.
    pub(crate) fn answered(
        &self,
        method: &Method,
        route: &str,
        status: StatusCode,
        took: Duration,
    ) {
        let (method, status) = (method_label(method), status_label(status));
        let labels = RequestLabels { method, route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        let labels = RouteLabels { route: labels.route };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Notes a refusal.
    pub(crate) fn refused(&self, kind: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { kind }).inc();
    }

    /// All of them, as text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // A string takes whatever is written to it.
        let _ = encode_registry(&mut text, &self.registry);
        let _ = encode_registry(&mut text, &self.process);
        let _ = encode_eof(&mut text);
        text
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// A method is what a client writes, so those that nothing serves share one label.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// What the tracker tells, once it is open.
struct OfTracker(Arc<OnceLock<Tracker>>);

impl fmt::Debug for OfTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfTracker")
    }
}

impl Collector for OfTracker {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(tracker) = self.0.get() else { return Ok(()) };
        let stats = tracker.stats();
        let limit = tracker.options().limits.memory;
        jobs(&mut encoder, &stats.counts)?;
        for (name, help, value) in counters(&stats) {
            write(&mut encoder, name, help, None, &ConstCounter::new(value))?;
        }
        for (name, help, value) in gauges(&stats) {
            write(&mut encoder, name, help, None, &ConstGauge::new(signed(value)))?;
        }
        if let Some(waits) = tracker.oldest_queued() {
            let (name, help) =
                ("oldest_queued", "Age of the oldest job that is queued, 0 if none is");
            let gauge = ConstGauge::new(waits.as_secs_f64());
            write(&mut encoder, name, help, Some(&Unit::Seconds), &gauge)?;
        }
        if let Ok(Some(archive)) = tracker.archive_status() {
            let (name, help) = ("archived_jobs", "Jobs that the archive has taken");
            write(&mut encoder, name, help, None, &ConstCounter::new(archive.archived))?;
            let failing = u64::from(archive.failing.is_some());
            for (name, help, value) in [
                (
                    "archive_waiting_jobs",
                    "Expired jobs that the archive has yet to take",
                    archive.waiting,
                ),
                ("archive_failing", "1 if the archive takes none", failing),
            ] {
                write(&mut encoder, name, help, None, &ConstGauge::new(signed(value)))?;
            }
        }
        for (name, help, value) in [
            ("memory", "Memory that the jobs take, orders and search included", stats.memory),
            ("memory_limit", "Memory that they may take", limit),
        ] {
            let gauge = ConstGauge::new(signed(value as u64));
            write(&mut encoder, name, help, Some(&Unit::Bytes), &gauge)?;
        }
        for (name, help, value) in [
            (
                "sweep_lag",
                "For how long the first expired job has waited to be swept",
                stats.sweep_lag,
            ),
            ("horizon_lag", "How far the stored horizon is behind the time", stats.horizon_lag),
        ] {
            let gauge = ConstGauge::new(value.as_secs_f64());
            write(&mut encoder, name, help, Some(&Unit::Seconds), &gauge)?;
        }
        Ok(())
    }
}

fn counters(stats: &Stats) -> [(&'static str, &'static str, u64); 6] {
    [
        ("commits", "Commits stored", stats.commits),
        ("changes", "Changes of jobs stored, those by the engine itself included", stats.changes),
        ("store_errors", "Commits that failed or whose outcome is not known", stats.store_errors),
        ("sweeps", "Commits that swept expired jobs", stats.sweeps),
        ("expired_jobs", "Expired jobs that were swept", stats.expired),
        ("lapsed_jobs", "Jobs whose lease or deadline ran out", stats.lapsed),
    ]
}

fn gauges(stats: &Stats) -> [(&'static str, &'static str, u64); 6] {
    let watches = u64::try_from(stats.watches).unwrap_or(u64::MAX);
    [
        ("due_jobs", "Expired jobs that wait to be swept; no answer shows them", stats.due),
        ("tombstones", "Tombstones kept of jobs that are gone", stats.tombstones as u64),
        ("queued_commands", "Commands that wait to be decided", stats.queued as u64),
        ("watchers", "Watches that are open", watches),
        ("revision", "Number of the latest commit", stats.revision.number),
        ("poisoned", "1 if no change is taken any more", u64::from(stats.trouble.is_some())),
    ]
}

/// Jobs by state, and by state and kind.
fn jobs(encoder: &mut DescriptorEncoder<'_>, counts: &Counts) -> fmt::Result {
    let by_state = Family::<Vec<(&str, &str)>, Gauge>::default();
    for state in State::ALL {
        let jobs = signed(counts.of_state(*state));
        by_state.get_or_create(&vec![("state", state.as_str())]).set(jobs);
    }
    write(encoder, "jobs", "Jobs by state", None, &by_state)?;
    let by_kind = Family::<Vec<(&str, String)>, Gauge>::default();
    for ((kind, state), jobs) in bounded(counts) {
        let labels = vec![("kind", kind.to_owned()), ("state", state.to_owned())];
        by_kind.get_or_create(&labels).set(signed(jobs));
    }
    let help = "Jobs by kind and state; the kinds with the most jobs by name";
    write(encoder, "jobs_of_kind", help, None, &by_kind)
}

/// Jobs by kind and state, of so many kinds at most.
fn bounded(counts: &Counts) -> BTreeMap<(&str, &str), u64> {
    let total = |kind: &str| State::ALL.iter().map(|state| counts.of(kind, *state)).sum::<u64>();
    let mut kinds: Vec<(&str, u64)> = counts.kinds().map(|kind| (kind, total(kind))).collect();
    kinds.sort_by_key(|(_, jobs)| std::cmp::Reverse(*jobs));
    let mut told = BTreeMap::new();
    for (place, (kind, _)) in kinds.into_iter().enumerate() {
        let label = match kind {
            "" => NO_KIND,
            kind if place < KINDS => kind,
            _ => OTHER_KINDS,
        };
        for state in State::ALL {
            *told.entry((label, state.as_str())).or_default() += counts.of(kind, *state);
        }
    }
    told
}

/// What every Prometheus client tells of its process.
#[derive(Debug)]
struct OfProcess;

impl Collector for OfProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(bytes) = resident_bytes() {
            let (name, help) = ("process_resident_memory", "Memory of the process");
            let gauge = ConstGauge::new(signed(bytes));
            write(&mut encoder, name, help, Some(&Unit::Bytes), &gauge)?;
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            let gauge = ConstGauge::new(signed(open.count() as u64));
            write(&mut encoder, "process_open_fds", "File descriptors open", None, &gauge)?;
        }
        Ok(())
    }
}

/// Where Linux tells it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    // The registry ends the help of what is registered with a full stop.
    let help = format!("{help}.");
    metric.encode(encoder.encode_descriptor(name, &help, unit, metric.metric_type())?)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use jobtrack::{Archive, Job, MemoryStore, NewJob, Options};

    use super::*;

    struct Nowhere;

    impl Archive for Nowhere {
        fn take(&self, _: &[Arc<Job>]) -> jobtrack::Result<()> {
            Ok(())
        }
    }

    fn metrics() -> (Metrics, Tracker) {
        let options = Options { archive: Some(Arc::new(Nowhere)), ..Options::default() };
        let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
        let opened = Arc::new(OnceLock::new());
        let metrics = Metrics::new(Arc::clone(&opened));
        assert!(!metrics.render().contains("jobtrack_jobs"), "it is not open yet");
        opened.set(tracker.clone()).unwrap();
        (metrics, tracker)
    }

    #[test]
    fn what_the_tracker_did_is_told() {
        let (metrics, tracker) = metrics();
        let of_kind = |kind: &str| NewJob { kind: kind.to_owned(), ..NewJob::default() };
        for _ in 0..3 {
            tracker.create(of_kind("backup")).unwrap();
        }
        tracker.create(NewJob::default()).unwrap();
        let text = metrics.render();
        for line in [
            "jobtrack_jobs{state=\"queued\"} 4",
            "jobtrack_jobs{state=\"failure\"} 0",
            "jobtrack_jobs_of_kind{kind=\"backup\",state=\"queued\"} 3",
            "jobtrack_jobs_of_kind{kind=\"(none)\",state=\"queued\"} 1",
            "jobtrack_commits_total 4",
            "jobtrack_changes_total 4",
            "jobtrack_poisoned 0",
            "jobtrack_watchers 0",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn kinds_are_bounded_whatever_clients_name_them() {
        let (metrics, tracker) = metrics();
        for n in 0..KINDS + 30 {
            let kind = format!("kind \"{n}\" \\ of many");
            tracker.create(NewJob { kind, ..NewJob::default() }).unwrap();
        }
        let text = metrics.render();
        let lines = text.lines().filter(|line| line.starts_with("jobtrack_jobs_of_kind{"));
        assert_eq!(lines.clone().count(), (KINDS + 1) * State::ALL.len());
        assert!(text.contains("jobtrack_jobs_of_kind{kind=\"(other)\",state=\"queued\"} 30\n"));
        assert!(text.contains("{kind=\"kind \\\"0\\\" \\\\ of many\",state=\"queued\"} 1\n"));
    }

    #[test]
    fn requests_are_told_by_route_and_what_clients_invent_is_not() {
        let (metrics, _tracker) = metrics();
        let took = Duration::from_millis(3);
        let made_up = Method::from_bytes(b"EVIL").unwrap();
        for method in [Method::GET, Method::GET, made_up] {
            metrics.answered(&method, "/v1/jobs/{uuid}", StatusCode::OK, took);
        }
        metrics.refused("not_found");
        let text = metrics.render();
        for line in [
            "jobtrack_http_requests_total{method=\"GET\",route=\"/v1/jobs/{uuid}\",status=\"2xx\"} 2",
            "jobtrack_http_requests_total{method=\"other\",route=\"/v1/jobs/{uuid}\",status=\"2xx\"} 1",
            "jobtrack_http_request_duration_seconds_count{route=\"/v1/jobs/{uuid}\"} 3",
            "jobtrack_refusals_total{kind=\"not_found\"} 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
    }

    #[test]
    fn every_metric_has_its_row_on_the_operator_s_page() {
        let (metrics, tracker) = metrics();
        tracker.create(NewJob::default()).unwrap();
        metrics.answered(&Method::GET, "/", StatusCode::OK, Duration::ZERO);
        metrics.refused("not_found");
        let text = metrics.render();
        let told = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let told = told.map(|line| line.split_once(' ').unwrap());
        let told: Vec<_> = told.map(|(name, kind)| format!("| `{name}` | {kind} |")).collect();
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, table) = page.split_once("Every metric:").unwrap();
        let rows = table.lines().skip_while(|line| !line.starts_with('|')).skip(2);
        let rows: Vec<_> = rows.take_while(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), told.len(), "{told:#?}");
        for row in told {
            assert!(rows.iter().any(|known| known.starts_with(&row)), "{row}");
        }
    }
}
