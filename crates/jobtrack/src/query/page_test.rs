//! Pages, counts, tokens and budgets of the plain scan.

use std::cell::Cell;
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{
    Budget, Count, Direction, Expr, Order, OrderKey, Page, PageToken, Query, Run, Scan, random_jobs,
};
use crate::error::{ErrorKind, Result};
use crate::field::{Field, Names};
use crate::job::{Job, JobId};
use crate::table::Snapshot;

/// Asked of both executors, with a clock that stands still.
fn page(snapshot: &Snapshot, query: &Query) -> Result<Page> {
    let page = Scan { snapshot, monotonic: &|| Duration::ZERO }.page(query);
    let other = Run { snapshot, monotonic: &|| Duration::ZERO }.page(query);
    match (&page, other) {
        (Ok(page), Ok(other)) => {
            assert_eq!((&page.jobs, &page.next), (&other.jobs, &other.next));
        }
        (Err(error), Err(other)) => assert_eq!(error.to_string(), other.to_string()),
        (page, other) => panic!("the scan has {page:?}, the other {other:?}"),
    }
    page
}

fn count(snapshot: &Snapshot, query: &Query) -> Result<Count> {
    let count = Scan { snapshot, monotonic: &|| Duration::ZERO }.count(query);
    let other = Run { snapshot, monotonic: &|| Duration::ZERO }.count(query);
    match (&count, other) {
        (Ok(count), Ok(other)) => assert_eq!(*count, other),
        (Err(error), Err(other)) => assert_eq!(error.to_string(), other.to_string()),
        (count, other) => panic!("the scan has {count:?}, the other {other:?}"),
    }
    count
}

/// Follows `next`, as text, to the end.
fn pages(query: &Query, page: impl Fn(&Query) -> Result<Page>) -> Vec<Vec<JobId>> {
    let mut query = query.clone();
    let mut pages = Vec::new();
    loop {
        let page = page(&query).unwrap();
        pages.push(page.jobs.iter().map(|job| job.uuid).collect());
        let Some(next) = page.next else { return pages };
        let next: PageToken = next.to_string().parse().unwrap();
        assert_ne!(query.after.as_ref(), Some(&next), "the token must move");
        query.after = Some(next);
    }
}

pub(super) fn order() -> impl Strategy<Value = Order> {
    let label = Field::Label("x".into());
    let fields: Vec<_> =
        Field::FIXED.iter().filter(|f| !f.is_list()).cloned().chain([label]).collect();
    let direction = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    let key = (prop::sample::select(fields), direction)
        .prop_map(|(field, direction)| OrderKey { field, direction });
    vec(key, 0..4).prop_map(|mut keys| {
        let mut seen = std::collections::BTreeSet::new();
        keys.retain(|key| seen.insert(key.field.clone()));
        Order::new(keys).unwrap()
    })
}

/// The whole list by a plain sort: set before unset, in the key's direction, then by uuid.
fn sorted(jobs: &[Job], query: &Query) -> Vec<JobId> {
    let mut jobs: Vec<_> = jobs.iter().filter(|job| query.filter.matches(job)).collect();
    jobs.sort_by_key(|job| job.uuid);
    for key in query.order.keys().iter().rev() {
        // Sorting is stable, so the last key goes first.
        jobs.sort_by(|a, b| match (key.field.value(a), key.field.value(b)) {
            (Some(a), Some(b)) if key.direction == Direction::Ascending => a.order(&b),
            (Some(a), Some(b)) => b.order(&a),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
    }
    jobs.iter().map(|job| job.uuid).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn pages_put_together_are_the_sorted_list(
        jobs in vec(random_jobs::job(), 0..30),
        order in order(),
        size in 1..8_usize,
        offset in 0..12_usize,
        filters in any::<bool>(),
    ) {
        let filter = if filters {
            Expr::parse("state", "!running", Names::Native).unwrap()
        } else {
            Expr::everything()
        };
        let query = Query { filter, order, max_records: Some(size), offset, ..Query::default() };
        let mut expected = sorted(&jobs, &query);
        expected.drain(..offset.min(expected.len()));
        let snapshot = random_jobs::snapshot(jobs);
        let pages = pages(&query, |query| page(&snapshot, query));
        prop_assert_eq!(pages.concat(), expected.clone());
        for full in &pages[..pages.len() - 1] {
            prop_assert_eq!(full.len(), size);
        }
        prop_assert!(pages.len() == 1 || !pages[pages.len() - 1].is_empty());

        let counted = count(&snapshot, &Query { max_records: None, ..query }).unwrap();
        prop_assert_eq!((counted.count, counted.next), (expected.len() as u64, None));
    }

    /// A page goes on after a job that has gone, or that has moved, from where it stood.
    #[test]
    fn a_token_outlives_its_job(jobs in vec(random_jobs::job(), 2..20), order in order()) {
        let query = Query { order, max_records: Some(1), ..Query::default() };
        let whole = sorted(&jobs, &query);
        let first = page(&random_jobs::snapshot(jobs.clone()), &query).unwrap();
        let rest = jobs.into_iter().filter(|job| job.uuid != whole[0]);
        let after = Query { after: first.next, max_records: None, ..query };
        let found = page(&random_jobs::snapshot(rest), &after).unwrap();
        let found: Vec<_> = found.jobs.iter().map(|job| job.uuid).collect();
        prop_assert_eq!(&found, &whole[1..]);
    }

    #[test]
    fn no_text_makes_a_token_panic(text in "[A-Za-z0-9_-]{0,120}|\\PC{0,20}") {
        let error = text.parse::<PageToken>();
        prop_assert_eq!(error.map_err(|error| error.kind()), Err(ErrorKind::InvalidToken));
    }

    /// A flipped bit is refused, by the token itself or at the latest by the query.
    #[test]
    fn a_damaged_token_is_refused(
        jobs in vec(random_jobs::job(), 2..6),
        order in order(),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let query = Query { order, max_records: Some(1), ..Query::default() };
        let token = page(&random_jobs::snapshot(jobs), &query).unwrap().next.unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(token.to_string()).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let damaged = URL_SAFE_NO_PAD.encode(bytes).parse::<PageToken>();
        prop_assert_eq!(damaged.unwrap_err().kind(), ErrorKind::InvalidToken);
    }

    /// Whatever a token says, a query with it answers or refuses.
    #[test]
    fn a_forged_token_is_refused_or_harmless(
        jobs in vec(random_jobs::job(), 2..6),
        order in order(),
        other in order(),
    ) {
        let snapshot = random_jobs::snapshot(jobs);
        let query = Query { order, max_records: Some(1), ..Query::default() };
        let foreign = page(&snapshot, &Query { order: other, ..query.clone() }).unwrap().next;
        // The hash of one query in front of the keys of another, with a checksum that fits.
        let Some(foreign) = foreign else { return Ok(()) }; // Both jobs are one.
        let forged = foreign.with_query_of(&query);
        let forged: PageToken = forged.to_string().parse().unwrap();
        // The scan and the executor agree, or `page` panics.
        match page(&snapshot, &Query { after: Some(forged), ..query }) {
            Ok(page) => prop_assert!(page.jobs.len() <= 1),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidToken),
        }
    }
}

/// A token tells the uuid twice where the order has it as a key; one that tells two is no token.
#[test]
fn a_token_that_names_two_uuids_is_refused() {
    let snapshot = numbered(10);
    let order = |text| Order::parse(text, Names::Native).unwrap();
    let query = Query { order: order("message, uuid"), max_records: Some(2), ..Query::default() };
    let second = page(&snapshot, &query).unwrap().next;
    assert_eq!(page(&snapshot, &Query { after: second, ..query.clone() }).unwrap().jobs.len(), 2);
    // Keys that are not set stand for any field, the uuid but for the job's own.
    let other = Query { order: order("lease.since, idempotency_key"), ..query.clone() };
    let forged = page(&snapshot, &other).unwrap().next.unwrap().with_query_of(&query);
    let error = page(&snapshot, &Query { after: Some(forged), ..query }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidToken);
}

fn numbered(jobs: u128) -> Snapshot {
    let text = r#"{"uuid": "00000000-0000-0000-0000-000000000000", "state": "queued",
        "create_time": "2026-03-01T10:00:00Z", "update_time": "2026-03-01T10:00:00Z"}"#;
    let job: Job = serde_json::from_str(text).unwrap();
    random_jobs::snapshot((0..jobs).map(|n| {
        let kind = if n % 1_000 == 999 { "rare" } else { "common" };
        let uuid = JobId::from_uuid(uuid::Uuid::from_u128(n));
        Job { uuid, kind: kind.into(), ..job.clone() }
    }))
}

/// A clock that moves on a second each time it is looked at.
fn ticking() -> impl Fn() -> Duration {
    let now = Cell::new(Duration::ZERO);
    move || {
        now.set(now.get() + Duration::from_secs(1));
        now.get()
    }
}

fn budget(soft: u64, hard: u64) -> Budget {
    let [soft, hard] = [soft, hard].map(Duration::from_secs);
    Budget { soft, hard, ..Budget::default() }
}

#[test]
fn a_page_ends_at_its_soft_budget_once_it_has_a_record() {
    let snapshot = numbered(5_000);
    let rare = Expr::is(Field::Kind, "rare").unwrap();
    for filter in [Expr::everything(), rare.clone()] {
        let query = Query { filter, budget: budget(0, 1_000), ..Query::default() };
        let expected: Vec<_> = snapshot
            .jobs_after(None)
            .filter(|job| query.filter.matches(job))
            .map(|job| job.uuid)
            .collect();
        let pages =
            pages(&query, |query| Scan { snapshot: &snapshot, monotonic: &ticking() }.page(query));
        assert!(pages.len() > 1, "the budget must have cut the answer");
        // Only the last may be empty: nobody looked ahead.
        assert!(pages[..pages.len() - 1].iter().all(|page| !page.is_empty()));
        assert_eq!(pages.concat(), expected);
    }
}

#[test]
fn a_walk_ends_at_its_hard_budget_and_still_moves_forward() {
    let snapshot = numbered(5_000);
    let filter = Expr::is(Field::Kind, "rare").unwrap();
    let query = Query { filter, budget: budget(1, 1), ..Query::default() };
    let pages =
        pages(&query, |query| Scan { snapshot: &snapshot, monotonic: &ticking() }.page(query));
    assert!(pages[0].is_empty());
    assert_eq!(pages.concat().len(), 5);
}

#[test]
fn a_sort_and_a_whole_count_are_never_partial() {
    let snapshot = numbered(5_000);
    let query = Query {
        order: Order::by(Field::Kind, Direction::Descending).unwrap(),
        max_records: Some(3),
        budget: budget(0, 5),
        ..Query::default()
    };
    let clock = ticking();
    let slow = Scan { snapshot: &snapshot, monotonic: &clock };
    assert_eq!(slow.page(&query).unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    let whole = Query { max_records: None, ..query.clone() };
    assert_eq!(slow.count(&whole).unwrap_err().kind(), ErrorKind::DeadlineExceeded);

    // The soft budget alone ends neither.
    let query = Query { budget: budget(0, 1_000), ..query };
    assert_eq!(slow.page(&query).unwrap().jobs.len(), 3);
    let whole = Query { max_records: None, ..query };
    assert_eq!(slow.count(&whole).unwrap().count, 5_000);
}

#[test]
fn parts_of_a_count_add_up_whatever_ends_them() {
    let snapshot = numbered(5_000);
    let clock = ticking();
    let slow = Scan { snapshot: &snapshot, monotonic: &clock };
    for (most, budget) in
        [(700, budget(1_000, 1_000)), (700, budget(1, 1_000)), (9_999, budget(1, 1))]
    {
        let mut query = Query { max_records: Some(most), budget, ..Query::default() };
        let mut total = 0;
        let mut parts = 0;
        loop {
            let counted = slow.count(&query).unwrap();
            total += counted.count;
            parts += 1;
            query.after = counted.next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(total, 5_000);
        assert!(parts > 1);
    }
}

#[test]
fn what_is_left_out_is_never_cut_short() {
    let snapshot = numbered(5_000);
    let slow = Query { offset: 4_000, budget: budget(0, 10), ..Query::default() };
    let page = |query: &Query| Scan { snapshot: &snapshot, monotonic: &ticking() }.page(query);
    // A token could not say how many are still to be left out, so there is none.
    assert_eq!(page(&slow).unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    // The soft budget waits for the first record.
    let query = Query { budget: budget(0, 1_000), ..slow };
    let first = page(&query).unwrap();
    assert_eq!(first.jobs[0].uuid, JobId::from_uuid(uuid::Uuid::from_u128(4_000)));
    assert!(first.next.is_some() && first.jobs.len() < 1_000);
}

#[test]
fn the_records_to_leave_out_have_a_limit() {
    let snapshot = numbered(10);
    let at_limit = Query { offset: crate::limits::OFFSET_RECORDS, ..Query::default() };
    assert!(page(&snapshot, &at_limit).unwrap().jobs.is_empty());
    assert_eq!(count(&snapshot, &at_limit).unwrap().count, 0);
    let over = Query { offset: at_limit.offset + 1, ..at_limit };
    for error in [page(&snapshot, &over).unwrap_err(), count(&snapshot, &over).unwrap_err()] {
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("offset")));
    }
}

#[test]
fn a_page_has_at_most_the_limit_and_at_least_one() {
    let snapshot = numbered(10_001);
    let all = page(&snapshot, &Query::default()).unwrap();
    assert_eq!(all.jobs.len(), crate::limits::PAGE_RECORDS);
    assert!(all.next.is_some());
    let more = Query { max_records: Some(usize::MAX), ..Query::default() };
    assert_eq!(page(&snapshot, &more).unwrap().jobs.len(), crate::limits::PAGE_RECORDS);

    let none = Query { max_records: Some(0), ..Query::default() };
    for error in [page(&snapshot, &none).unwrap_err(), count(&snapshot, &none).unwrap_err()] {
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidValue, Some("max_records")));
    }
}

#[test]
fn a_filter_over_its_limits_is_refused() {
    let snapshot = numbered(1);
    let filter = Expr::one_of(&Field::Code, 0..2_000).unwrap();
    let query = Query::matching(filter);
    assert_eq!(page(&snapshot, &query).unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert_eq!(count(&snapshot, &query).unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_token_belongs_to_its_filter_and_order() {
    let snapshot = numbered(10);
    let filter = Expr::is(Field::Kind, "common").unwrap();
    let query = Query { filter, max_records: Some(2), ..Query::default() };
    let after = page(&snapshot, &query).unwrap().next;
    assert!(after.is_some());

    let again = Query { after: after.clone(), ..query.clone() };
    assert!(page(&snapshot, &again).is_ok());
    let other_page_size = Query { max_records: Some(7), ..again.clone() };
    assert!(page(&snapshot, &other_page_size).is_ok());

    let other_filter = Query { filter: Expr::everything(), ..again.clone() };
    let other_order =
        Query { order: Order::by(Field::Kind, Direction::Ascending).unwrap(), ..again };
    for query in [other_filter, other_order] {
        let error = page(&snapshot, &query).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidToken);
    }
}

#[test]
fn a_client_may_change_the_order_of_parameters_between_pages() {
    let snapshot = numbered(10);
    let parts = [
        Expr::is(Field::Kind, "common").unwrap(),
        Expr::parse("state", "queued|running", Names::Native).unwrap(),
    ];
    let [a, b] = parts.clone();
    let query = Query { max_records: Some(2), ..Query::matching(a.and(b)) };
    let after = page(&snapshot, &query).unwrap().next;
    let [a, b] = parts;
    let turned = Query { filter: b.and(a), after, ..query };
    assert_eq!(page(&snapshot, &turned).unwrap().jobs.len(), 2);
}

/// Tokens are valid across releases: this one was made by the first, and must stay as it is.
#[test]
fn the_text_of_a_token_does_not_change() {
    let snapshot = numbered(2_000);
    let query = Query {
        filter: Expr::parse("state", "queued|!>running", Names::Native).unwrap(),
        order: Order::parse("create_time desc,start_time,kind,code", Names::Native).unwrap(),
        max_records: Some(1),
        ..Query::default()
    };
    let token = page(&snapshot, &query).unwrap().next.unwrap().to_string();
    assert_eq!(
        token,
        "AVDrH5vBioD6AAAAAAAAAAAAAAAAAAAAAAMABkvziIfIAAABAAAAAAAAAAZjb21tb24CAAAAAAAAAAAAAAAAAAAAAKfy2mk"
    );
    let second = page(&snapshot, &Query { after: Some(token.parse().unwrap()), ..query }).unwrap();
    assert_eq!(second.jobs[0].uuid, JobId::from_uuid(uuid::Uuid::from_u128(1)));
}

#[test]
fn a_job_that_expires_at_the_horizon_is_in_no_page_and_no_count() {
    let text = r#"{"uuid": "00000000-0000-0000-0000-000000000001", "state": "success",
        "create_time": "2026-03-01T10:00:00Z", "update_time": "2026-03-01T10:00:00Z",
        "end_time": "2026-03-01T10:00:00Z", "expire_time": "2026-03-01T10:05:00Z"}"#;
    let job: Job = serde_json::from_str(text).unwrap();
    let mut table = crate::table::Table::default();
    table.put(crate::table::Row { job: Arc::new(job), key: 0, stored: 0 });
    let by_kind = Order::by(Field::Kind, Direction::Ascending).unwrap();
    for (horizon, found) in [("2026-03-01T10:04:59.999999Z", 1), ("2026-03-01T10:05:00Z", 0)] {
        let snapshot = table.snapshot(horizon.parse().unwrap());
        for order in [Order::default(), by_kind.clone()] {
            let query = Query { order, ..Query::default() };
            let answer = page(&snapshot, &query).unwrap();
            assert_eq!(answer.jobs.len(), found);
            assert_eq!(answer.horizon, snapshot.horizon);
            assert_eq!(count(&snapshot, &query).unwrap().count, found as u64);
        }
    }
}

#[test]
fn an_order_is_total() {
    let snapshot = numbered(3);
    let jobs: Vec<_> = snapshot.jobs_after(None).collect();
    let order = Order::by(Field::StartTime, Direction::Descending).unwrap();
    assert_eq!(order.compare(&jobs[0], &jobs[1]), Ordering::Less);
    assert_eq!(order.compare(&jobs[1], &jobs[1]), Ordering::Equal);
}
