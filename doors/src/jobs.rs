//! Jobs to try things on.

use std::sync::{Arc, OnceLock};

use jobtrack::{Command, Job, JobParts, MemoryStore, Options, Tracker};
use jobtrack_testkit::ManualClock;

/// A job in each state, with most fields set in one or another.
const JOBS: &str = r#"[
  {"uuid": "018f0000-0000-7000-8000-000000000001", "state": "queued", "description": "Create volume vol_0001",
   "create_time": "2026-03-01T10:00:00Z", "update_time": "2026-03-01T10:00:00Z", "kind": "volume.create"},
  {"uuid": "018f0000-0000-7000-8000-000000000002", "state": "running", "description": "a|b \"c\" {d} *",
   "message": "Running: 40 % done", "create_time": "2026-03-01T10:00:00.5Z", "start_time": "2026-03-01T10:00:01Z",
   "update_time": "2026-03-01T10:00:02Z", "cooperative": true, "labels": {"tier": "gold", "a": ""},
   "requested": {"action": "pause", "by": "alice", "time": "2026-03-01T10:00:02Z", "reason": "maintenance"},
   "progress": {"done": 40, "total": 100, "unit": "percent"}, "node": "node-01"},
  {"uuid": "018f0000-0000-7000-8000-000000000003", "state": "paused", "message": "häß 漢字 \u0001",
   "create_time": "0001-01-01T00:00:00Z", "start_time": "1969-12-31T23:59:59.999999Z",
   "update_time": "2026-03-01T10:00:00Z", "allows": {"pause": false, "cancel": true}},
  {"uuid": "018f0000-0000-7000-8000-000000000004", "state": "success", "message": "null", "code": -7,
   "create_time": "2026-03-01T10:00:00Z", "start_time": "2026-03-01T10:00:00Z", "end_time": "2026-03-01T10:00:00Z",
   "update_time": "2026-03-01T10:00:00Z", "scope": {"name": "svm1", "id": "7"}, "retention": 0.000001,
   "retained_from": "2026-04-01T00:00:00Z", "expire_time": "2026-04-01T00:00:00.000001Z"},
  {"uuid": "ffffffff-ffff-ffff-ffff-ffffffffffff", "state": "failure", "cause": "error", "message": "No space left",
   "code": 917658, "create_time": "2026-03-01T10:00:00Z", "start_time": "2026-03-01T10:00:00Z",
   "end_time": "2026-03-01T10:00:05Z", "update_time": "2026-03-01T10:00:05Z", "retention": 300,
   "error": {"code": "917658", "message": "No space left", "target": "size",
     "arguments": [{"code": "1", "message": "vol1"}, {"message": "aggr1"}]}}
]"#;

/// The jobs that filters and orders are tried on.
pub(crate) fn jobs() -> &'static [Job] {
    static ALL: OnceLock<Vec<Job>> = OnceLock::new();
    ALL.get_or_init(|| {
        let parts: Vec<JobParts> = serde_json::from_str(JOBS).expect("the jobs are well formed");
        parts.into_iter().map(|parts| Job::try_from(parts).expect("the jobs are legal")).collect()
    })
}

/// Options with a clock that stands at the last moment before the first job expires.
pub(crate) fn options() -> Options {
    let now = "2026-04-01T00:00:00Z".parse().expect("a time");
    Options { clock: Arc::new(ManualClock::new(now)), ..Options::default() }
}

/// A tracker that holds the jobs.
pub(crate) fn tracker() -> Tracker {
    let tracker = Tracker::open(MemoryStore::new(), options()).expect("a new store opens");
    for job in jobs() {
        tracker.run(Command::import(JobParts::from(job))).expect("a legal job is imported");
    }
    tracker
}

/// Two parts of the input, divided by its first line break, if it is text.
pub(crate) fn two_texts(data: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.split_once('\n').unwrap_or((text, "")))
}
