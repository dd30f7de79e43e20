//! The main classes of queries, each by name.

use jobtrack::{Expr, JobId, JobParts, Names, Order, PageToken, Query, Tracker};

use crate::generator::WINDOW_END;

/// Records of a page.
const PAGE: usize = 100;

/// One class of queries, with the query that stands for it.
#[derive(Debug, Clone)]
pub struct QueryClass {
    /// Its name, as benches and figures call it.
    pub name: &'static str,
    /// What is asked.
    pub asked: Asked,
}

/// What is asked of the tracker.
#[derive(Debug, Clone)]
pub enum Asked {
    /// One job.
    Get(JobId),
    /// A page of jobs.
    Page(Query),
    /// How many jobs.
    Count(Query),
}

impl QueryClass {
    /// Asks, and returns how many jobs came back or were counted.
    ///
    /// # Panics
    ///
    /// If the query is refused.
    pub fn ask(&self, tracker: &Tracker) -> u64 {
        match &self.asked {
            Asked::Get(id) => {
                u64::from(tracker.get(*id).expect("the job is there").job.uuid == *id)
            }
            Asked::Page(query) => tracker.query(query).expect("a page").jobs.len() as u64,
            Asked::Count(query) => tracker.count(query).expect("a count").count,
        }
    }
}

/// Every class, for a tracker that holds these jobs.
///
/// # Panics
///
/// If the tracker does not hold them, or there are too few of them to find an example of each kind
/// among them (a thousand will do).
pub fn query_classes(tracker: &Tracker, jobs: &[JobParts]) -> Vec<QueryClass> {
    // A second in the last days, so that the range is neither empty nor everything.
    let recent = |days: i64| {
        let micros = WINDOW_END.as_micros() - days * 86_400_000_000;
        jobtrack::Timestamp::from_micros(micros).expect("within the window").to_string()
    };
    let range = format!("{}..{}", recent(9), recent(3));
    let middle = &jobs[jobs.len() / 2];
    let rare = rare_substring(jobs);
    let code = most_common_code(jobs);

    let by_start = "start_time desc";
    let mut classes = vec![
        class("get by uuid", Asked::Get(middle.uuid)),
        page("one state, by start", &[("state", "running")], by_start),
        page("state and code, by end", &[("state", "failure"), ("code", &code)], "end_time desc"),
        count("count of a state", &[("state", "success")]),
        count("count with a wildcard", &[("description", "*snap*")]),
        count(
            "count of a negation and a wildcard",
            &[("state", "!success"), ("description", "*snap*")],
        ),
        page("everything, by description", &[], "description"),
        page(
            "two keys",
            &[("start_time", &format!(">{}", recent(9))), ("code", ">=100")],
            "code desc,start_time",
        ),
        page("wildcard, by start", &[("description", "*snap*")], by_start),
        page("rare substring", &[("description", &rare)], ""),
        page("range and negation", &[("start_time", &range), ("state", "!success")], by_start),
        count("count of a range and a negation", &[("start_time", &range), ("state", "!success")]),
        page(
            "states or, wildcards or, by message",
            &[("state", "queued|failure"), ("description", "*snap*|*scheduled")],
            "message",
        ),
        page("unset", &[("start_time", "null")], "create_time"),
        page("label", &[("labels.tier", "gold")], "end_time desc"),
        page("nothing matches", &[("description", "No job is called so")], by_start),
        page("everything matches", &[("description", "*")], ""),
    ];
    classes.push(half_way(tracker, jobs.len()));
    classes
}

fn class(name: &'static str, asked: Asked) -> QueryClass {
    QueryClass { name, asked }
}

fn page(name: &'static str, filters: &[(&str, &str)], order: &str) -> QueryClass {
    class(name, Asked::Page(query(filters, order)))
}

fn count(name: &'static str, filters: &[(&str, &str)]) -> QueryClass {
    class(name, Asked::Count(Query { max_records: None, ..query(filters, "") }))
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
    Query { filter, order, max_records: Some(PAGE), ..Query::default() }
}

/// The page in the middle of everything in order of start, where keyset paging must not be slower
/// than at the beginning.
fn half_way(tracker: &Tracker, jobs: usize) -> QueryClass {
    let wanted = query(&[], "start_time desc");
    let mut left = jobs / 2;
    let mut after: Option<PageToken> = None;
    while left > 0 {
        let records = left.min(jobtrack::limits::PAGE_RECORDS);
        let way = Query { max_records: Some(records), after, ..wanted.clone() };
        let page = tracker.query(&way).expect("a page on the way");
        assert_eq!(page.jobs.len(), records, "the tracker holds the jobs");
        left -= records;
        after = page.next;
    }
    class("page half way, by start", Asked::Page(Query { after, ..wanted }))
}

/// A pattern with seven digits out of the variable part of one description.
fn rare_substring(jobs: &[JobParts]) -> String {
    let mark = " of request ";
    let descriptions = jobs.iter().skip(jobs.len() / 2).map(|job| &job.description);
    let (_, digits) = descriptions
        .filter_map(|text| text.split_once(mark))
        .next()
        .expect("a description with one");
    format!("*{}*", &digits[5..12])
}

fn most_common_code(jobs: &[JobParts]) -> String {
    let mut counts = std::collections::BTreeMap::<i64, usize>::new();
    for job in jobs.iter().filter(|job| job.code != 0) {
        *counts.entry(job.code).or_default() += 1;
    }
    let commonest = counts.into_iter().max_by_key(|(_, count)| *count);
    commonest.expect("a failure").0.to_string()
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
        let is_success = |job: &JobParts| job.state == jobtrack::State::Success;
        for class in query_classes(&tracker, &jobs) {
            let found = class.ask(&tracker);
            let expected = match class.name {
                "get by uuid" | "rare substring" => 1..=1,
                "nothing matches" => 0..=0,
                "count of a state" => of(&is_success)..=of(&is_success),
                "count with a wildcard" => of(&snap)..=of(&snap),
                "count of a negation and a wildcard" => {
                    let both = of(&|job| snap(job) && !is_success(job));
                    both..=both
                }
                "count of a range and a negation" => 1..=of(&|job| !is_success(job)) - 1,
                "everything, by description"
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
