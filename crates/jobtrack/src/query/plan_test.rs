//! Which plan is chosen, and that it reads no more than it says.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::{Expr, Order, PageToken, Query, Run, Scan, random_jobs};
use crate::field::Names;
use crate::job::{Job, JobId, Phase};
use crate::table::{Row, SEGMENT_ROWS, Segment, Shape, Snapshot, Table};
use crate::timestamp::Timestamp;

const JOBS: u128 = 20_000;

/// Jobs of which each has another time, nine in ten run and the others are paused; a message is
/// shared by 64, a kind by all but every 5,000th, a node by every tenth.
fn job(number: u128) -> Job {
    let plain = random_jobs::plain(number);
    let offset = Duration::from_secs(u64::try_from(number).unwrap());
    let start_time = plain.create_time.saturating_add(offset);
    let phase = if number.is_multiple_of(10) {
        Phase::Paused { start_time }
    } else {
        Phase::Running { start_time }
    };
    let mut message = String::new();
    write!(message, "step {} of many", number / 64).unwrap();
    let kind = if number % 5_000 == 17 { "rare" } else { "common" }.to_owned();
    let node = format!("n{}", number % 10);
    let uuid = JobId::from_uuid(uuid::Uuid::from_u128(number * 7_919 % JOBS));
    Job {
        uuid,
        phase,
        message: message.into(),
        kind: kind.into(),
        node: node.into(),
        update_time: start_time,
        ..plain
    }
}

/// The jobs in two segments, those of the first half in the first.
fn snapshot() -> Snapshot {
    let shape = Shape { head_rows: 512, fan: 8, segment_rows: SEGMENT_ROWS };
    let mut table = Table::shaped(shape);
    for half in [0..JOBS / 2, JOBS / 2..JOBS] {
        let row = |number| Row { job: Arc::new(job(number)), key: 0, stored: 0 };
        let mut rows: Vec<Row> = half.map(row).collect();
        rows.sort_by_key(|row| row.job.uuid);
        table.add_segment(Segment::build(&rows), &[]).unwrap();
    }
    table.snapshot(Timestamp::MIN)
}

fn query(filters: &[(&str, &str)], order: &str) -> Query {
    let parse = |(name, text): &(&str, &str)| Expr::parse(name, text, Names::Native).unwrap();
    let order = match order {
        "" => Order::default(),
        text => Order::parse(text, Names::Native).unwrap(),
    };
    let filter = filters.iter().map(parse).fold(Expr::default(), Expr::and);
    Query { filter, order, max_records: Some(100), ..Query::default() }
}

fn run(snapshot: &Snapshot) -> Run<'_> {
    Run { snapshot, monotonic: &|| Duration::ZERO }
}

/// Checks the plan, the page, and that no more than so many rows and values were read.
#[track_caller]
fn check(snapshot: &Snapshot, query: &Query, plan: &str, most: u64) {
    let explained = run(snapshot).explain_page(query).unwrap();
    assert_eq!(explained.plan(), plan, "{explained}");
    let read: u64 = explained.steps.iter().map(|step| step.read).sum();
    assert!(read <= most, "{read} are too many: {explained}");
    let expected = Scan { snapshot, monotonic: &|| Duration::ZERO }.page(query).unwrap();
    assert_eq!(run(snapshot).page(query).unwrap().jobs, expected.jobs);
    assert_eq!(explained.records, expected.jobs.len() as u64);
}

#[test]
fn pages() {
    let jobs = snapshot();
    for (filters, order, plan, most) in [
        (&[][..], "start_time desc", "walk start_time desc", 101),
        (&[], "", "walk uuid", 202),
        (&[], "uuid desc", "walk uuid desc", 202),
        (&[("state", "paused")], "start_time", "walk start_time, test state", 101),
        (&[("state", "running")], "start_time desc", "walk start_time desc, test state", 101),
        (&[("kind", "rare")], "start_time", "set kind, sort start_time", 4),
        (&[("message", "step 7 of many")], "start_time", "set message, sort start_time", 64),
        (&[("node", "n3")], "start_time", "walk start_time, test node", 1_100),
        (
            &[("node", "n3"), ("kind", "rare")],
            "start_time",
            "set kind, test node, sort start_time",
            4,
        ),
        (&[("kind", "none")], "start_time", "skip, nothing in it can match", 0),
        (&[("description", "*1234*")], "", "set description, sort uuid", 40_000),
        (&[], "message,start_time desc", "walk message,start_time desc", 200),
        (&[], "kind,start_time desc", "walk kind,start_time desc", 300),
        (&[("state", "paused|running")], "description", "walk description", 300),
    ] {
        check(&jobs, &query(filters, order), plan, most);
    }
}

#[test]
fn a_page_in_the_middle_costs_what_the_first_costs() {
    let jobs = snapshot();
    for order in ["start_time desc", "message,start_time", ""] {
        let query = query(&[], order);
        let skipped = Query { offset: 9_000, ..query.clone() };
        let after: Option<PageToken> = run(&jobs).page(&skipped).unwrap().next;
        assert!(after.is_some());
        let plan = format!("walk {}", if order.is_empty() { "uuid" } else { order });
        check(&jobs, &Query { after, ..query }, &plan, 400);
    }
}

/// All that match stand at the far end of the order, where the counts do not tell.
#[test]
fn a_walk_that_deceives_is_given_up() {
    let jobs = snapshot();
    let filters = [("start_time", "2026-03-01T12:00:00Z..2026-03-01T12:05:00Z"), ("node", "n1|n2")];
    let query = query(&filters, "message desc");
    let read: u64 =
        run(&jobs).explain_page(&query).unwrap().steps.iter().map(|step| step.read).sum();
    assert!(read <= 3_000, "{read}");
    let plan = run(&jobs).explain_page(&query).unwrap();
    check(&jobs, &query, plan.plan(), 3_000);
}

#[test]
fn counts() {
    let jobs = snapshot();
    let count = |filters: &[(&str, &str)]| {
        let query = Query { max_records: None, ..query(filters, "") };
        let explained = run(&jobs).explain_count(&query).unwrap();
        let scan = Scan { snapshot: &jobs, monotonic: &|| Duration::ZERO };
        assert_eq!(explained.records, scan.count(&query).unwrap().count);
        let read: u64 = explained.steps.iter().map(|step| step.read).sum();
        (explained.plan().to_owned(), read)
    };
    let range = ("start_time", "2026-03-01T11:00:00Z..2026-03-01T12:00:00Z");
    for (filters, plan, most) in [
        (&[][..], "count all", 0),
        (&[("state", "running")], "count state", 0),
        (&[range], "count start_time", 0),
        (&[("state", "!running"), range], "count state, test start_time", 0),
        (&[("kind", "rare"), ("node", "n1|n7")], "count kind, test node", 4),
    ] {
        let (found, read) = count(filters);
        assert_eq!(found, plan);
        assert!(read <= most, "{plan}: {read}");
    }
}

#[test]
fn an_explanation_reads_as_a_text() {
    let jobs = snapshot();
    let explained = run(&jobs).explain_page(&query(&[("kind", "rare")], "start_time")).unwrap();
    assert_eq!(
        explained.to_string(),
        "set kind, sort start_time\n\
         filter: kind=rare\n\
         order: start_time\n\
         2 × set kind, sort start_time: 4 expected, 4 read, 4 found\n\
         4 records"
    );
}
