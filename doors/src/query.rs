//! One byte for the size of a page, an order, and filters, a line each (`name=text`): the pages that
//! the tracker gives are what one gets by looking at every job and sorting, and so is the count.

use std::sync::{Arc, OnceLock};

use jobtrack::{Command, Expr, Job, JobParts, MemoryStore, Names, Options, Order, Query, Tracker};
use jobtrack_testkit::ManualClock;
use serde_json::json;

/// Jobs to be asked for: enough for ties in every field, and for pages that end among them.
const JOBS: u64 = 180;

/// Asks, and judges the answer.
///
/// # Panics
///
/// Where the answer is not what looking at every job gives.
pub fn query(data: &[u8]) {
    let Some((&size, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut lines = text.lines();
    let names = if size & 1 == 0 { Names::Native } else { Names::Ontap };
    let Ok(order) = Order::parse(lines.next().unwrap_or_default(), names) else { return };
    let mut filter = Expr::everything();
    for line in lines {
        let (name, text) = line.split_once('=').unwrap_or((line, ""));
        let Ok(term) = Expr::parse(name, text, names) else { return };
        filter = filter.and(term);
    }
    let world = world();
    let page_size = usize::from(size / 2 % 32) + 1;
    let query = Query { filter, order, max_records: Some(page_size), ..Query::default() };
    let expected = expected(&world.jobs, &query);
    let Some(found) = all_pages(&world.tracker, &query) else {
        // Over a limit, which is a matter of the filter alone: then counting is refused, too.
        assert!(world.tracker.count(&query).is_err(), "{query:?}");
        return;
    };
    assert_eq!(ids(&found), ids(&expected), "{} by {}", query.filter, query.order);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    let counting = Query { max_records: None, ..query.clone() };
    let count = world.tracker.count(&counting).expect("what can be listed can be counted");
    assert_eq!(count.count, expected.len() as u64, "{}", query.filter);
    let offset = usize::from(size).min(expected.len());
    let rest = world.tracker.query(&Query { offset, max_records: Some(1), ..query.clone() });
    let rest = rest.expect("a page further on").jobs;
    assert_eq!(ids(&rest), ids(&expected[offset..expected.len().min(offset + 1)]));
}

fn expected(jobs: &[Arc<Job>], query: &Query) -> Vec<Arc<Job>> {
    let matching = jobs.iter().filter(|job| query.filter.matches(job));
    let mut matching: Vec<_> = matching.cloned().collect();
    matching.sort_by(|a, b| query.order.compare(a, b));
    matching
}

fn all_pages(tracker: &Tracker, query: &Query) -> Option<Vec<Arc<Job>>> {
    let mut query = query.clone();
    let mut all = Vec::new();
    loop {
        let page = match tracker.query(&query) {
            Ok(page) => page,
            Err(error) => {
                assert!(query.after.is_none(), "{error} in the middle of a listing");
                return None;
            }
        };
        let most = query.max_records.unwrap_or(usize::MAX);
        assert!(page.jobs.len() <= most && (page.next.is_none() || page.jobs.len() == most));
        all.extend(page.jobs);
        match page.next {
            None => return Some(all),
            // A client sees the text alone.
            Some(token) => query.after = Some(token.to_string().parse().expect("a token")),
        }
    }
}

fn ids(jobs: &[Arc<Job>]) -> Vec<jobtrack::JobId> {
    jobs.iter().map(|job| job.uuid).collect()
}

struct World {
    tracker: Tracker,
    jobs: Vec<Arc<Job>>,
}

/// Jobs that are alike in most fields and differ in some, imported in no order, some changed since.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let now = "2026-04-01T00:00:00Z".parse().expect("a time");
        let options = Options { clock: Arc::new(ManualClock::new(now)), ..Options::default() };
        let tracker = Tracker::open(MemoryStore::new(), options).expect("a new store opens");
        for n in 0..JOBS {
            let job: JobParts = serde_json::from_value(parts(n * 101 % JOBS)).expect("well formed");
            let import = Command::import(job);
            tracker.run(import).expect("a legal job is imported");
        }
        let mut live = tracker.query(&Query::default()).expect("a page").jobs;
        live.retain(|job| !job.state().is_terminal());
        for (n, job) in live.iter().enumerate() {
            match n % 5 {
                0 => drop(tracker.report(job.uuid, "häß").expect("it is live")),
                1 => drop(tracker.fail(job.uuid, jobtrack::Failure::new(7, "no")).expect("live")),
                _ => {}
            }
        }
        let jobs = tracker.query(&Query::default()).expect("a page").jobs;
        assert_eq!(jobs.len() as u64, JOBS, "none has expired, and all are on the first page");
        World { tracker, jobs }
    })
}

fn parts(n: u64) -> serde_json::Value {
    let pick = |words: &[&str], by: u64| {
        words[usize::try_from(n / by).expect("small") % words.len()].to_owned()
    };
    let state = pick(&["queued", "running", "paused", "success", "failure"], 1);
    let time = |seconds: u64| format!("2026-03-01T10:00:{:02}Z", 10 + n % 7 + seconds);
    let mut job = json!({
        "uuid": format!("{:08x}-0000-7000-8000-{:012x}", n * 7919 % 251, n),
        "state": state,
        "description": pick(&["Create volume vol1", "create volume VOL1", "a*b", "", "x|y"], 3),
        "message": pick(&["", "40 %", "null", "\u{e9}"], 2),
        "kind": pick(&["", "volume.create", "snapshot"], 4),
        "node": pick(&["n1", "n2", "n10"], 5),
        "create_time": time(0),
        "update_time": time(20),
        "cooperative": n.is_multiple_of(3),
        "retention": if n.is_multiple_of(2) { json!(9_000_000) } else { json!(8_000_000.5) },
    });
    let members = job.as_object_mut().expect("an object");
    if n.is_multiple_of(4) {
        members.insert("labels".into(), json!({"tier": pick(&["gold", "", "iron"], 4)}));
    }
    if n.is_multiple_of(6) {
        members.insert("scope".into(), json!({"name": pick(&["svm1", "svm2"], 6), "id": "7"}));
    }
    if state != "queued" {
        members.insert("start_time".into(), json!(time(5)));
    }
    if state == "success" || state == "failure" {
        members.insert("end_time".into(), json!(time(20)));
        members.insert("retained_from".into(), json!("2026-03-31T00:00:00Z"));
    }
    if state == "failure" {
        members.insert("cause".into(), json!(pick(&["error", "canceled", "lost", "timed_out"], 5)));
        members.insert("code".into(), json!(1 + n % 3));
        members.insert("message".into(), json!("It failed"));
    }
    if state == "running" && n.is_multiple_of(2) {
        members.insert("progress".into(), json!({"done": n, "total": 200, "unit": "files"}));
    }
    job
}
