//! The executor against the plain scan: random jobs in heads and segments, dead and expired ones
//! among them, random filters, orders, offsets and pages.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::filter_test::filter_text;
use super::page_test::order;
use super::{Budget, Cancel, Expr, Order, Query, Run, Scan, random_jobs};
use crate::error::ErrorKind;
use crate::field::{Field, Names};
use crate::job::{Job, JobId, State};
use crate::table::{Row, SEGMENT_ROWS, Shape, Snapshot, Table};
use crate::timestamp::Timestamp;

#[derive(Debug, Clone)]
enum Step {
    Put(u16, Box<Job>),
    Remove(u16),
    Rest,
    Work,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..200_u16, random_jobs::job()).prop_map(|(id, job)| Step::Put(id, Box::new(job))),
        2 => (0..200_u16).prop_map(Step::Remove),
        1 => Just(Step::Rest),
        4 => Just(Step::Work),
    ]
}

fn id(n: u16) -> JobId {
    // Scattered, so that rows of different segments lie among one another.
    JobId::from_uuid(uuid::Uuid::from_u128(u128::from(n.wrapping_mul(40_503)) << 80 | 7))
}

/// A table that has gone through these steps.
fn table(steps: Vec<Step>, head_rows: usize, segment_rows: usize) -> Table {
    let mut table = Table::shaped(Shape { head_rows, fan: 2, segment_rows });
    let put = |table: &mut Table, job: Job| {
        table.put(Row { job: Arc::new(job), key: 0, stored: 0 });
    };
    for step in steps {
        match step {
            Step::Put(n, job) => put(&mut table, Job { uuid: id(n), ..*job }),
            Step::Remove(n) => {
                table.remove(id(n));
            }
            Step::Rest => table.rest(),
            Step::Work => {
                if let Some(work) = table.next_seal().or_else(|| table.next_merge()) {
                    table.publish(work);
                }
            }
        }
    }
    table
}

fn filter() -> impl Strategy<Value = Expr> {
    let one = filter_text()
        .prop_map(|(name, text)| Expr::parse(&name, &text, Names::Native).unwrap_or_default());
    vec((one, any::<[bool; 2]>()), 0..5).prop_map(|parts| {
        parts.into_iter().fold(Expr::everything(), |filter, (part, [joins_by_and, negates])| {
            let part = if negates { part.negate() } else { part };
            if joins_by_and { filter.and(part) } else { filter.or(part) }
        })
    })
}

fn query() -> impl Strategy<Value = Query> {
    let sizes = (1..40_usize, prop_oneof![2 => Just(0_usize), 1 => 0..30_usize]);
    (filter(), order(), sizes).prop_map(|(filter, order, (size, offset))| Query {
        filter,
        order,
        max_records: Some(size),
        offset,
        ..Query::default()
    })
}

/// Pages followed to the end and every count agree with the scan's.
fn agree(snapshot: &Snapshot, query: &Query) -> Result<(), TestCaseError> {
    let still = || Duration::ZERO;
    let scan = Scan { snapshot, monotonic: &still };
    let run = Run { snapshot, monotonic: &still };
    let mut page = query.clone();
    loop {
        let (expected, found) = (scan.page(&page).unwrap(), run.page(&page).unwrap());
        let of = |jobs: &[Arc<Job>]| jobs.iter().map(|job| job.uuid).collect::<Vec<_>>();
        let plan = || run.explain_page(&page).map(|plan| plan.to_string()).unwrap_or_default();
        prop_assert_eq!(of(&found.jobs), of(&expected.jobs), "{:?}", plan());
        prop_assert_eq!(&found.jobs, &expected.jobs);
        prop_assert_eq!(&found.next, &expected.next, "{:?}", plan());
        let Some(next) = found.next else { break };
        page.after = Some(next.to_string().parse().unwrap());
    }
    let mut part = Query { order: Order::default(), ..query.clone() };
    loop {
        let (expected, found) = (scan.count(&part).unwrap(), run.count(&part).unwrap());
        prop_assert_eq!(&found, &expected);
        let whole = Query { max_records: None, ..part.clone() };
        prop_assert_eq!(run.count(&whole).unwrap(), scan.count(&whole).unwrap());
        let Some(next) = found.next else { break };
        part.after = Some(next);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_executor_agrees_with_the_scan(
        steps in vec(step(), 0..300),
        head_rows in 1..40_usize,
        segment_rows in prop_oneof![Just(30_usize), Just(100), Just(SEGMENT_ROWS)],
        horizon in prop_oneof![Just(Timestamp::MIN), random_jobs::time(), Just(Timestamp::MAX)],
        queries in vec(query(), 1..12),
    ) {
        let snapshot = table(steps, head_rows, segment_rows).snapshot(horizon);
        for query in queries {
            agree(&snapshot, &query)?;
        }
    }

    /// What ends an answer early leaves nothing out and brings nothing twice.
    #[test]
    fn parts_put_together_are_the_whole(
        steps in vec(step(), 0..300),
        head_rows in 1..40_usize,
        filter in filter(),
        soft in 0..3_u64,
        hard in 2..9_u64,
        size in 1..500_usize,
    ) {
        let snapshot = table(steps, head_rows, SEGMENT_ROWS).snapshot(Timestamp::MIN);
        let still = || Duration::ZERO;
        let whole = Query { filter, max_records: Some(10_000), ..Query::default() };
        let expected = Scan { snapshot: &snapshot, monotonic: &still }.page(&whole).unwrap().jobs;
        let [soft, hard] = [soft, hard].map(Duration::from_secs);
        let budget = Budget { soft, hard, ..Budget::default() };
        let mut query = Query { budget, max_records: Some(size), ..whole };
        let mut found = Vec::new();
        let mut counted = 0;
        let count = query.clone();
        for turn in 0.. {
            prop_assert!(turn < 1_000, "it must end");
            let page = Run { snapshot: &snapshot, monotonic: &ticking() }.page(&query);
            match page {
                Ok(page) => {
                    prop_assert!(page.next.is_none() || page.next != query.after);
                    found.extend(page.jobs);
                    query.after = page.next;
                }
                // Not even the first segment could be gone through.
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
                    return Ok(());
                }
            }
            if query.after.is_none() {
                break;
            }
        }
        prop_assert_eq!(&found, &expected);
        let mut query = count;
        loop {
            match (Run { snapshot: &snapshot, monotonic: &ticking() }).count(&query) {
                Ok(count) => {
                    counted += count.count;
                    query.after = count.next;
                }
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
                    return Ok(());
                }
            }
            if query.after.is_none() {
                break;
            }
        }
        prop_assert_eq!(counted, expected.len() as u64);
    }

    /// Counts by kind and state come from the tally, and are the scan's.
    #[test]
    fn the_tally_agrees_with_the_scan(
        steps in vec(step(), 0..120),
        states in vec(prop::sample::select(State::ALL), 0..3),
        kind in random_jobs::text(),
        negates in any::<[bool; 2]>(),
        horizon in random_jobs::time(),
    ) {
        let table = table(steps, 16, SEGMENT_ROWS);
        let states = Expr::one_of(&Field::State, states.iter().map(|state| state.as_str())).unwrap();
        let kind = Expr::is(Field::Kind, kind).unwrap();
        let [of_states, of_kind] = negates;
        let states = if of_states { states.negate() } else { states };
        let kind = if of_kind { kind.negate() } else { kind };
        let snapshot = table.snapshot(horizon);
        let scan = Scan { snapshot: &snapshot, monotonic: &|| Duration::ZERO };
        for filter in [states.clone(), states.clone().and(kind.clone()), states.or(kind)] {
            let query = Query::matching(filter);
            prop_assert!(query.is_of_tally());
            let found = query.count_by_tally(&table, horizon).unwrap();
            prop_assert_eq!(found, scan.count(&query).unwrap());
        }
    }
}

/// A clock that moves on a second each time it is looked at.
fn ticking() -> impl Fn() -> Duration {
    let now = Cell::new(Duration::ZERO);
    move || {
        now.set(now.get() + Duration::from_secs(1));
        now.get()
    }
}

#[test]
fn a_query_that_nobody_waits_for_ends() {
    let jobs = (0..400).map(|n| Step::Put(n, Box::new(random_jobs::plain(u128::from(n)))));
    let snapshot = table(jobs.collect(), 64, SEGMENT_ROWS).snapshot(Timestamp::MIN);
    let cancel = Cancel::default();
    let budget = Budget { cancel: Some(cancel.clone()), ..Budget::default() };
    let query = Query { budget, ..Query::default() };
    let run = Run { snapshot: &snapshot, monotonic: &|| Duration::ZERO };
    assert_eq!(run.page(&query).unwrap().jobs.len(), 400);
    cancel.cancel();
    for error in [run.page(&query).unwrap_err(), run.count(&query).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        assert!(error.message().contains("canceled"), "{error}");
    }
}

#[test]
fn a_query_reads_no_more_rows_than_it_may() {
    let jobs = (0..4_000).map(|n| Step::Put(n, Box::new(random_jobs::plain(u128::from(n)))));
    let snapshot = table(jobs.collect(), 64, SEGMENT_ROWS).snapshot(Timestamp::MIN);
    let run = Run { snapshot: &snapshot, monotonic: &|| Duration::ZERO };
    let by_message = Order::parse("message,code", Names::Native).unwrap();
    let filter = Expr::like(Field::Description, "*9*").unwrap();
    let few = Budget { rows: Some(500), ..Budget::default() };
    let query = Query { filter, order: by_message, budget: few, ..Query::default() };
    let error = run.page(&query).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(error.message().contains("500 rows"), "{error}");
    let enough = Query { budget: Budget::default(), ..query };
    assert!(!run.page(&enough).unwrap().jobs.is_empty());
}
