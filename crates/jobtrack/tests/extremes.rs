//! Queries and jobs at the edges of what is allowed: each is answered rightly and within bounds, or
//! refused by name.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jobtrack::limits::{FILTER_TERMS, OFFSET_RECORDS, PAGE_RECORDS};
use jobtrack::{
    Command, Comparison, Durability, ErrorKind, Expr, Field, Job, JobId, Limits, MemoryStore,
    Names, NewJob, Options, Order, Query, Timestamp, Tracker,
};
use jobtrack_testkit::ManualClock;

fn open(clock: &ManualClock) -> Tracker {
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    Tracker::open(MemoryStore::new(), options).unwrap()
}

fn clock() -> ManualClock {
    ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap())
}

/// A tracker of these jobs, in segments.
fn filled(jobs: impl Iterator<Item = NewJob>) -> Tracker {
    let tracker = open(&clock());
    let commands: Vec<Command> =
        jobs.map(|job| Command::create(job).durability(Durability::Deferred)).collect();
    for batch in commands.chunks(1_000) {
        tracker.run_all(batch.to_vec()).into_iter().for_each(|created| drop(created.unwrap()));
    }
    while tracker.maintain(1_000).unwrap().more {}
    tracker
}

fn by(order: &str) -> Order {
    Order::parse(order, Names::Native).unwrap()
}

/// All that match, page by page.
fn all(tracker: &Tracker, query: &Query) -> Vec<Arc<Job>> {
    let mut query = query.clone();
    let mut jobs = Vec::new();
    loop {
        let page = tracker.query(&query).unwrap();
        jobs.extend(page.jobs);
        query.after = page.next;
        if query.after.is_none() {
            return jobs;
        }
    }
}

fn count(tracker: &Tracker, filter: Expr) -> u64 {
    tracker.count(&Query { filter, ..Query::default() }).unwrap().count
}

#[test]
fn a_page_of_ten_million_by_text_has_as_many_as_a_page_may() {
    let jobs = PAGE_RECORDS + 2_000;
    let tracker = filled((0..jobs).map(|n| NewJob::described(format!("job {}", n * 7_919 % jobs))));
    let query =
        Query { order: by("description"), max_records: Some(10_000_000), ..Query::default() };
    let page = tracker.query(&query).unwrap();
    assert_eq!(page.jobs.len(), PAGE_RECORDS);
    assert!(page.next.is_some());
    let found = all(&tracker, &query);
    assert_eq!(found.len(), jobs);
    assert!(found.is_sorted_by(|a, b| a.description < b.description));
    // As deep as it goes, and no deeper.
    let last = Query { offset: jobs - 1, ..query.clone() };
    assert_eq!(tracker.query(&last).unwrap().jobs[0].uuid, found[jobs - 1].uuid);
    let deeper = tracker.query(&Query { offset: OFFSET_RECORDS + 1, ..query }).unwrap_err();
    assert_eq!((deeper.kind(), deeper.field()), (ErrorKind::LimitExceeded, Some("offset")));
}

#[test]
fn ten_thousand_wildcards_are_refused_and_a_thousand_are_answered() {
    let tracker =
        filled((0..600).map(|n| NewJob::described(format!("move volume v{n}x{}", n % 9))));
    let any = |wildcards: usize| {
        (0..wildcards).fold(Expr::nothing(), |any, n| {
            any.or(Expr::like(Field::Description, &*format!("*v{n}*{}", n % 5)).unwrap())
        })
    };
    let refused = tracker.query(&Query { filter: any(10_000), ..Query::default() }).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded, "{refused}");
    let filter = any(FILTER_TERMS);
    let everything = all(&tracker, &Query::default());
    let expected: Vec<JobId> =
        everything.iter().filter(|job| filter.matches(job)).map(|job| job.uuid).collect();
    assert!(expected.len() > 100 && expected.len() < everything.len());
    let found = all(&tracker, &Query { filter, ..Query::default() });
    assert_eq!(found.iter().map(|job| job.uuid).collect::<Vec<_>>(), expected);
}

#[test]
fn every_job_may_have_a_label_of_its_own() {
    let labelled = |n: usize| {
        let labels = [(format!("label {n}"), "set".to_owned()), ("all".to_owned(), n.to_string())];
        NewJob { labels: labels.into(), ..NewJob::default() }
    };
    let tracker = filled((0..4_000).map(labelled));
    for n in [0, 1_234, 3_999] {
        let own = Field::Label(format!("label {n}").into());
        let found = all(&tracker, &Query { filter: Expr::is_set(own.clone()), ..Query::default() });
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].labels.get("all"), Some(&*n.to_string()));
        assert_eq!(count(&tracker, Expr::is_null(own)), 3_999);
    }
    let by_label = Query { order: by("labels.all"), ..Query::default() };
    let found = all(&tracker, &by_label);
    assert!(found.is_sorted_by(|a, b| a.labels.get("all") < b.labels.get("all")));
    assert_eq!(found.len(), 4_000);
}

#[test]
fn every_text_may_be_as_long_as_the_limit() {
    let Limits { description, message, name, label_name, label_value, .. } = Limits::default();
    let long = |len: usize, n: usize| {
        let end = n.to_string();
        // Characters of two bytes, so that ends do not fall together with those of words.
        "é".repeat((len - end.len()) / 2) + &"-".repeat((len - end.len()) % 2) + &end
    };
    let job = |n: usize| NewJob {
        description: long(description, n),
        message: long(message, n % 7),
        kind: long(name, n % 3),
        node: long(name, n),
        labels: [(long(label_name, n % 5), long(label_value, n))].into(),
        ..NewJob::default()
    };
    let tracker = filled((0..700).map(job));
    let found = all(&tracker, &Query { order: by("description desc"), ..Query::default() });
    assert_eq!(found.len(), 700);
    assert!(found.is_sorted_by(|a, b| a.description > b.description));
    for found in found {
        let end: usize = found.description.trim_start_matches(['é', '-']).parse().unwrap();
        let expected = job(end);
        assert_eq!(found.message, expected.message);
        assert_eq!((&*found.kind, &*found.node), (&*expected.kind, &*expected.node));
        assert!(found.labels.iter().eq(expected.labels.iter().map(|(n, v)| (&**n, &**v))));
    }
    let ends = |text: &str| count(&tracker, Expr::like(Field::Description, text).unwrap());
    assert_eq!((ends("*é*-699"), ends("é*99"), ends("*é*")), (1, 7, 700));
    let whole = Expr::is(Field::Message, long(message, 3)).unwrap();
    assert_eq!(count(&tracker, whole), 100);
    let longer = NewJob { message: long(message + 1, 0), ..NewJob::default() };
    let refused = tracker.create(longer).unwrap_err();
    assert_eq!((refused.kind(), refused.field()), (ErrorKind::LimitExceeded, Some("message")));
}

#[test]
fn jobs_that_are_equal_in_every_key_go_by_uuid() {
    let tracker = filled((0..9_000).map(|_| NewJob::described("the same")));
    let expected: Vec<JobId> = all(&tracker, &Query::default()).iter().map(|j| j.uuid).collect();
    assert!(expected.is_sorted() && expected.len() == 9_000);
    for order in ["description", "create_time desc,description", "kind,state,node"] {
        let query = Query { order: by(order), max_records: Some(1_000), ..Query::default() };
        let found: Vec<JobId> = all(&tracker, &query).iter().map(|job| job.uuid).collect();
        assert_eq!(found, expected, "{order}");
        for offset in [0, 4_095, 4_096, 8_999] {
            let page = tracker.query(&Query { offset, ..query.clone() }).unwrap();
            assert_eq!(page.jobs[0].uuid, expected[offset], "{order} after {offset}");
        }
        let beyond = tracker.query(&Query { offset: 9_000, ..query }).unwrap();
        assert!(beyond.jobs.is_empty() && beyond.next.is_none());
    }
}

#[test]
fn times_may_lie_at_both_ends_of_the_range() {
    let deadlines = [None, Some(Timestamp::MAX), Some("9999-12-31T23:59:59Z".parse().unwrap())];
    let tracker =
        filled((0..900).map(|n| NewJob { deadline: deadlines[n % 3], ..NewJob::default() }));
    let compare = |how, time| count(&tracker, Expr::compare(Field::Deadline, how, time).unwrap());
    assert_eq!(compare(Comparison::AtMost, Timestamp::MAX), 600);
    assert_eq!(compare(Comparison::Less, Timestamp::MAX), 300);
    assert_eq!(compare(Comparison::Equal, Timestamp::MAX), 300);
    assert_eq!(compare(Comparison::Greater, Timestamp::MAX), 0);
    assert_eq!(compare(Comparison::AtLeast, Timestamp::MIN), 600);
    assert_eq!(compare(Comparison::Less, Timestamp::MIN), 0);
    let within = |field| Expr::between(field, Timestamp::MIN, Timestamp::MAX).unwrap();
    assert_eq!(count(&tracker, within(Field::CreateTime)), 900);
    assert_eq!(count(&tracker, within(Field::Deadline)), 600);
    let found = all(&tracker, &Query { order: by("deadline desc"), ..Query::default() });
    let found: Vec<_> = found.iter().map(|job| job.deadline).collect();
    assert!(found[..300].iter().all(|deadline| *deadline == Some(Timestamp::MAX)));
    assert!(found[600..].iter().all(Option::is_none), "what is unset comes last");
}

#[test]
fn a_clock_that_steps_back_disturbs_no_order_and_no_page() {
    let clock = clock();
    let tracker = open(&clock);
    for step in 0..600_u64 {
        tracker.create(NewJob::described(step.to_string())).unwrap();
        clock.advance(Duration::from_secs(1));
        if step % 100 == 99 {
            // Each hundred jobs are stamped a day before those that came before them.
            let back = clock_back(&tracker, step);
            clock.step_wall(back);
        }
    }
    let query = Query { order: by("create_time"), max_records: Some(7), ..Query::default() };
    let found = all(&tracker, &query);
    assert_eq!(found.len(), 600);
    assert!(found.is_sorted_by(|a, b| (a.create_time, a.uuid) < (b.create_time, b.uuid)));
    // The last hundred lie before all others.
    let steps = found[..100].iter().map(|job| job.description.parse::<u64>().unwrap());
    assert!(steps.eq(500..600));
    let middle = found[300].create_time;
    let before = Expr::compare(Field::CreateTime, Comparison::Less, middle).unwrap();
    assert_eq!(count(&tracker, before), 300);
}

/// A day before the earliest job of the last hundred.
fn clock_back(tracker: &Tracker, step: u64) -> Timestamp {
    let first = (step - 99).to_string();
    let filter = Expr::is(Field::Description, first).unwrap();
    let job = tracker.query(&Query { filter, ..Query::default() }).unwrap().jobs.remove(0);
    Timestamp::from_micros(job.create_time.as_micros() - 86_400_000_000).unwrap()
}
