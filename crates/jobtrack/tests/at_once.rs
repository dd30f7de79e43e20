//! What is answered at once is what is answered otherwise; what may take longer is not.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::{
    Budget, ErrorKind, Expr, MemoryStore, Names, NewJob, Options, Order, Query, Success, Tracker,
};
use jobtrack_testkit::ManualClock;

fn tracker(jobs: usize) -> (Tracker, ManualClock) {
    let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap());
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    let tracker = Tracker::open(MemoryStore::new(), options).unwrap();
    for n in 0..jobs {
        let new = NewJob { kind: format!("kind {}", n % 7), ..NewJob::described(n.to_string()) };
        let job = tracker.create(new).unwrap();
        if n % 3 == 0 {
            tracker.start(job.uuid).unwrap();
            tracker.succeed(job.uuid, Success::default()).unwrap();
        }
    }
    (tracker, clock)
}

fn query(field: &str, value: &str, order: &str, most: usize) -> Query {
    Query {
        filter: Expr::parse(field, value, Names::Native).unwrap(),
        order: Order::parse(order, Names::Native).unwrap(),
        max_records: Some(most),
        ..Query::default()
    }
}

#[test]
fn pages_are_the_same_from_the_first_to_the_last() {
    let (tracker, _clock) = tracker(900);
    for order in ["uuid", "start_time desc", "kind,description desc"] {
        let mut query = query("state", "success", order, 64);
        loop {
            let page = tracker.query(&query).unwrap();
            let at_once = tracker.query_at_once(&query).unwrap().unwrap();
            assert_eq!(at_once.jobs, page.jobs);
            assert_eq!(at_once.next, page.next);
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
    }
    assert_eq!(tracker.counts_at_once().unwrap(), Some(tracker.counts().unwrap()));
}

#[test]
fn what_may_take_long_is_left_to_others() {
    let (tracker, _clock) = tracker(600);
    let is_at_once = |query: &Query| tracker.query_at_once(query).unwrap().is_some();
    assert!(is_at_once(&query("state", "success", "uuid", 256)));
    assert!(!is_at_once(&query("state", "success", "uuid", 257)));
    assert!(!is_at_once(&query("kind", "*3", "uuid", 20)));
    assert!(!is_at_once(&Query { offset: 250, ..query("state", "success", "uuid", 20) }));
    // Of what a budget cuts short, the rest may be there for those who have more of it.
    let budget = Budget { rows: Some(100), ..Budget::default() };
    assert!(!is_at_once(&Query { budget, ..query("state", "failure", "start_time", 20) }));
}

#[test]
fn nothing_is_hidden_at_once_before_it_is_stored_to_be() {
    let (tracker, clock) = tracker(9);
    let all = query("state", "success", "uuid", 20);
    assert_eq!(tracker.query_at_once(&all).unwrap().unwrap().jobs.len(), 3);
    clock.advance(Duration::from_secs(300));
    assert!(tracker.query_at_once(&all).unwrap().is_none());
    assert_eq!(tracker.counts_at_once().unwrap(), None);
    assert_eq!(tracker.query(&all).unwrap().jobs.len(), 0);
    assert_eq!(tracker.query_at_once(&all).unwrap().unwrap().jobs.len(), 0);
    let counts = tracker.counts().unwrap();
    assert_eq!(counts.total(), 6);
    assert_eq!(tracker.counts_at_once().unwrap(), Some(counts));
    tracker.close().unwrap();
    assert_eq!(tracker.query_at_once(&all).unwrap_err().kind(), ErrorKind::Closed);
}
