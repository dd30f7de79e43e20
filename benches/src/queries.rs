//! The main classes of queries, each by name, with the SQL that asks the same.

use std::collections::BTreeMap;
use std::time::Duration;

use jobtrack::{
    Budget, Expr, JobId, JobParts, Names, Order, PageToken, Query, State, Timestamp, Tracker,
};

use crate::random::Random;

/// Records of a page.
const PAGE: usize = 100;
/// Of how many jobs one is got, in turn, so that not always the same one is at hand.
const IDS: usize = 4_096;
/// So long that no query is cut short by it: what is slow must be measured, not refused.
const PATIENCE: Duration = Duration::from_secs(86_400);

/// One class of queries, with the query that stands for it.
#[derive(Debug, Clone)]
pub struct QueryClass {
    /// Its name, as benches and figures call it.
    pub name: &'static str,
    /// What is asked.
    pub asked: Asked,
    /// The same, for SQLite.
    pub sql: Sql,
}

/// What is asked of the tracker.
#[derive(Debug, Clone)]
pub enum Asked {
    /// One of these jobs, each in its turn.
    Get(Vec<JobId>),
    /// A page of jobs.
    Page(Query),
    /// How many jobs.
    Count(Query),
    /// How many jobs of each kind in each state.
    Counts,
}

/// What is asked of SQLite, on a table of one row a job: times in microseconds, texts that are
/// unset as NULL, states as [`state_number`] has them. A get and the counts need neither part.
///
/// A tracker lets ties go by uuid. Where an index of SQLite gives the order, ties go as they stand
/// in the index, by `id`: going by uuid would cost it a sort of every page. That is the same as
/// long as no two jobs of a page have the same time, to the microsecond; where they may, the order
/// in which they come is checked by [`exact_order`](Sql::exact_order).
#[derive(Debug, Clone, Default)]
pub struct Sql {
    /// What stands after WHERE, if anything.
    pub filter: String,
    /// What stands after ORDER BY.
    pub order: String,
}

impl Sql {
    /// The order with ties as a tracker has them.
    pub fn exact_order(&self) -> String {
        let by_id = [", id DESC", ", id"].iter().find_map(|ties| self.order.strip_suffix(ties));
        by_id.map_or_else(|| self.order.clone(), |keys| format!("{keys}, uuid"))
    }
}

/// The number under which SQLite keeps a state: its place in the alphabet, which is its order.
pub fn state_number(state: State) -> i64 {
    match state {
        State::Failure => 0,
        State::Paused => 1,
        State::Queued => 2,
        State::Running => 3,
        State::Success => 4,
    }
}

impl QueryClass {
    /// Asks for the `turn`th time, and returns how many jobs came back or were counted.
    ///
    /// # Panics
    ///
    /// If the query is refused.
    pub fn ask(&self, tracker: &Tracker, turn: usize) -> u64 {
        match &self.asked {
            Asked::Get(ids) => {
                let id = ids[turn % ids.len()];
                u64::from(tracker.get(id).expect("the job is there").job.uuid == id)
            }
            Asked::Page(query) => tracker.query(query).expect("a page").jobs.len() as u64,
            Asked::Count(query) => tracker.count(query).expect("a count").count,
            Asked::Counts => tracker.counts().expect("counts").total(),
        }
    }
}

/// Every class, for a tracker that holds the jobs of these examples.
///
/// # Panics
///
/// If the tracker does not hold them.
pub fn query_classes(tracker: &Tracker, examples: &Examples) -> Vec<QueryClass> {
    let Examples { count: jobs, ids, code, rare, ticket } = examples;
    // Whole seconds in the last days, so that the range is neither empty nor everything. A time
    // written without a fraction means its whole second.
    let days_ago = |days: i64| {
        let micros = tracker.now().floor_to_second().as_micros() - days * 86_400_000_000;
        Timestamp::from_micros(micros).expect("within the years 1 to 9999")
    };
    let (from, until) = (days_ago(9), days_ago(3));
    let range = format!("{from}..{until}");
    let [from_micros, until_micros] = [from, until].map(Timestamp::as_micros);
    let range_sql = format!("start_time BETWEEN {from_micros} AND {}", until_micros + 999_999);
    let and = |one: &str, other: &str| format!("{one} AND {other}");

    let by_start = ("start_time desc", "start_time DESC, id DESC");
    let by_end = ("end_time desc", "end_time DESC, id DESC");
    let snap = ("description", "*snap*");
    let snap_sql = "description GLOB '*snap*'";
    let not_success = ("state", "!success");
    let not_success_sql = "state <> 4";
    vec![
        class("get by uuid", Asked::Get(ids.clone()), "", ""),
        page("one state, by start", &[("state", "running")], by_start, "state = 3"),
        page(
            "rare state, by start",
            &[("state", "paused")],
            ("start_time", "start_time, id"),
            "state = 1",
        ),
        page(
            "state and code, by end",
            &[("state", "failure"), ("code", code)],
            by_end,
            &format!("state = 0 AND code = {code}"),
        ),
        half_way(tracker, *jobs),
        class("counts by kind and state", Asked::Counts, "", ""),
        count("count of a state", &[("state", "success")], "state = 4"),
        count(
            "count of a state in a range",
            &[("state", "success"), ("start_time", &range)],
            &and("state = 4", &range_sql),
        ),
        count("count with a wildcard", &[snap], snap_sql),
        count(
            "count with a longer wildcard",
            &[("description", "*SnapMirror*")],
            "description GLOB '*SnapMirror*'",
        ),
        count(
            "count with a wildcard of names",
            &[("description", "*_04*")],
            "description GLOB '*_04*'",
        ),
        count(
            "count of a negation and a wildcard",
            &[not_success, snap],
            &and(not_success_sql, snap_sql),
        ),
        page(
            "everything, by description",
            &[],
            ("description", "description NULLS LAST, uuid"),
            "",
        ),
        page(
            "everything, by two keys",
            &[],
            ("message,end_time desc", "message NULLS LAST, end_time DESC, uuid"),
            "",
        ),
        page(
            "one state, by description",
            &[("state", "success")],
            ("description", "description NULLS LAST, uuid"),
            "state = 4",
        ),
        page(
            "two keys",
            &[("start_time", &format!(">{from}")), ("code", ">=100")],
            ("code desc,start_time", "code DESC, start_time, uuid"),
            &format!("start_time > {} AND code >= 100", from_micros + 999_999),
        ),
        page("wildcard, by start", &[snap], by_start, snap_sql),
        page(
            "rare substring",
            &[("description", &format!("*{rare}*"))],
            ("", "uuid"),
            &format!("description GLOB '*{rare}*'"),
        ),
        page(
            "range and negation",
            &[("start_time", &range), not_success],
            by_start,
            &and(&range_sql, not_success_sql),
        ),
        count(
            "count of a range and a negation",
            &[("start_time", &range), not_success],
            &and(&range_sql, not_success_sql),
        ),
        page(
            "states or, wildcards or, by message",
            &[("state", "queued|failure"), ("description", "*snap*|*scheduled")],
            ("message", "message NULLS LAST, uuid"),
            "state IN (2, 0) AND (description GLOB '*snap*' OR description GLOB '*scheduled')",
        ),
        page(
            "unset",
            &[("start_time", "null")],
            ("create_time", "create_time, uuid"),
            "start_time IS NULL",
        ),
        page("set", &[("error.target", "!null")], by_end, "error_target IS NOT NULL"),
        page("label", &[("labels.tier", "gold")], by_end, "labels ->> 'tier' = 'gold'"),
        page(
            "rare label",
            &[("labels.ticket", ticket)],
            by_end,
            &format!("labels ->> 'ticket' = '{ticket}'"),
        ),
        page(
            "nothing matches",
            &[("description", "No job is called so")],
            by_start,
            "description = 'No job is called so'",
        ),
        page("everything matches", &[("description", "*")], ("", "uuid"), "description GLOB '*'"),
    ]
}

fn class(name: &'static str, asked: Asked, filter: &str, order: &str) -> QueryClass {
    let sql = Sql { filter: filter.to_owned(), order: order.to_owned() };
    QueryClass { name, asked, sql }
}

fn page(
    name: &'static str,
    filters: &[(&str, &str)],
    (order, order_sql): (&str, &str),
    filter_sql: &str,
) -> QueryClass {
    class(name, Asked::Page(query(filters, order)), filter_sql, order_sql)
}

fn count(name: &'static str, filters: &[(&str, &str)], filter_sql: &str) -> QueryClass {
    let query = Query { max_records: None, ..query(filters, "") };
    class(name, Asked::Count(query), filter_sql, "")
}

fn query(filters: &[(&str, &str)], order: &str) -> Query {
    let parse = |(field, text): &(&str, &str)| {
        Expr::parse(field, text, Names::Native).expect("a filter that is right")
    };
    let filter = filters.iter().map(parse).fold(Expr::default(), Expr::and);
    let order = match order {
        "" => Order::default(),
        text => Order::parse(text, Names::Native).expect("an order that is right"),
    };
    let budget = Budget { soft: PATIENCE, hard: PATIENCE, ..Budget::default() };
    Query { filter, order, max_records: Some(PAGE), budget, ..Query::default() }
}

/// The page in the middle of everything in order of start, where keyset paging must not be slower
/// than at the beginning.
fn half_way(tracker: &Tracker, jobs: usize) -> QueryClass {
    let wanted = query(&[], "start_time desc");
    let (start, after) = place(tracker, &wanted, jobs / 2);
    let filter = format!("start_time < {}", start.as_micros());
    let asked = Asked::Page(Query { after: Some(after), ..wanted });
    class("page half way, by start", asked, &filter, "start_time DESC, id DESC")
}

/// The start of the job that is so far into the answer, from 1, and the token of the page that ends
/// with the last job of the same start.
fn place(tracker: &Tracker, wanted: &Query, at: usize) -> (Timestamp, PageToken) {
    let ask = |query: &Query| tracker.query(query).expect("a page on the way");
    let first = (at - 1).min(jobtrack::limits::OFFSET_RECORDS);
    let mut page = ask(&Query { offset: first, max_records: Some(1), ..wanted.clone() });
    let mut left = at - first - 1;
    let next = |after: &Option<PageToken>, records: usize| {
        ask(&Query { after: after.clone(), max_records: Some(records), ..wanted.clone() })
    };
    while left > 0 {
        page = next(&page.next, left.min(jobtrack::limits::PAGE_RECORDS));
        left -= page.jobs.len();
    }
    let last = page.jobs.last().expect("the tracker holds the jobs");
    let start = last.start_time().expect("half of all have started");
    loop {
        let following = next(&page.next, PAGE);
        let alike = following.jobs.iter().take_while(|job| job.start_time() == Some(start));
        match alike.count() {
            0 => return (start, page.next.expect("more jobs follow")),
            alike => page = next(&page.next, alike),
        }
    }
}

/// What the jobs have that the queries ask for.
#[derive(Debug, Clone)]
pub struct Examples {
    count: usize,
    ids: Vec<JobId>,
    /// The commonest code.
    code: String,
    /// Seven digits out of the variable part of one description.
    rare: String,
    /// A label's value that hardly any other job has.
    ticket: String,
}

impl Examples {
    /// Examples among these jobs, so many.
    ///
    /// # Panics
    ///
    /// If there are too few to find one of each kind (a thousand will do).
    pub fn among(jobs: impl Iterator<Item = JobParts>, count: usize) -> Self {
        let mut ids = Vec::new();
        let mut codes = BTreeMap::<i64, usize>::new();
        let (mut rare, mut ticket) = (None, None);
        for (n, job) in jobs.enumerate() {
            if n.is_multiple_of((count / IDS).max(1)) {
                ids.push(job.uuid);
            }
            if job.code != 0 {
                *codes.entry(job.code).or_default() += 1;
            }
            if n >= count / 2
                && rare.is_none()
                && let Some((_, digits)) = job.description.split_once(" of request ")
            {
                rare = Some(digits[5..12].to_owned());
            }
            if n >= count / 2 && ticket.is_none() && job.state == State::Success {
                ticket = job.labels.get("ticket").cloned();
            }
        }
        shuffle(&mut ids);
        let commonest = codes.into_iter().max_by_key(|(_, count)| *count);
        let (code, _) = commonest.expect("a failure");
        Examples {
            count,
            ids,
            code: code.to_string(),
            rare: rare.expect("a description of a request"),
            ticket: ticket.expect("a job with a ticket"),
        }
    }

    /// Jobs from all over, in no order.
    pub fn ids(&self) -> &[JobId] {
        &self.ids
    }
}

fn shuffle(ids: &mut [JobId]) {
    let mut random = Random::new(1);
    for n in (1..ids.len()).rev() {
        let other = random.below(n as u64 + 1);
        ids.swap(n, usize::try_from(other).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker_with;

    /// A bench of a query that finds nothing, or everything, by mistake measures nothing.
    #[test]
    fn each_class_finds_what_its_name_says() {
        let (tracker, jobs) = tracker_with(1, 3_000);
        let of =
            |test: &dyn Fn(&JobParts) -> bool| jobs.iter().filter(|job| test(job)).count() as u64;
        let snap = |job: &JobParts| job.description.contains("snap");
        let is_success = |job: &JobParts| job.state == State::Success;
        let examples = Examples::among(jobs.iter().cloned(), jobs.len());
        for class in query_classes(&tracker, &examples) {
            let found = class.ask(&tracker, 0);
            let expected = match class.name {
                "get by uuid" | "rare substring" | "rare label" => 1..=1,
                "nothing matches" => 0..=0,
                "count of a state" => of(&is_success)..=of(&is_success),
                "count with a wildcard" => of(&snap)..=of(&snap),
                "count with a longer wildcard" => {
                    of(&|job| job.description.contains("SnapMirror"))..=600
                }
                "count with a wildcard of names" => 10..=60,
                "count of a negation and a wildcard" => {
                    let both = of(&|job| snap(job) && !is_success(job));
                    both..=both
                }
                "count of a range and a negation" => 1..=of(&|job| !is_success(job)) - 1,
                "count of a state in a range" => 1..=of(&is_success) - 1,
                "counts by kind and state" => 3_000..=3_000,
                "everything, by description"
                | "everything, by two keys"
                | "one state, by description"
                | "everything matches"
                | "wildcard, by start"
                | "label"
                | "page half way, by start" => 100..=100,
                _ => 1..=100,
            };
            assert!(expected.contains(&found), "{}: {found}, not in {expected:?}", class.name);
        }
    }
}
