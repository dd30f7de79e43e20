//! Each class of queries on both sides: first that they agree, then what they cost.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use jobtrack::{JobParts, Revision, State, Tracker};
use jobtrack_benches::{Asked, Jobs, QueryClass, progress_bar, query_classes, state_number};

use crate::floor::Floors;
use crate::line::{Line, Of};
use crate::load::{SEED, Sides};
use crate::sqlite::Answer;
use crate::timing::in_turn;

/// How a tracker answers a query today; it has nothing that would tell.
const SCAN: &str = "scan";

/// Measures the classes that are wanted, each side for so long.
///
/// # Panics
///
/// If the two sides do not answer alike: then there is nothing to compare.
pub(crate) fn measure(
    sides: &Sides,
    is_wanted: impl Fn(&str) -> bool,
    budget: Duration,
) -> Vec<Line> {
    let mut classes = query_classes(&sides.tracker, &Jobs::new(SEED, sides.jobs));
    classes.retain(|class| is_wanted(class.name));
    let mut floors = Floors::of(sides.jobs);
    let bar = progress_bar(classes.len() as u64, "queries");
    let measured = classes
        .iter()
        .map(|class| {
            bar.set_message(class.name);
            bar.inc(1);
            measure_class(sides, class, &mut floors, budget)
        })
        .collect();
    bar.finish_and_clear();
    measured
}

fn measure_class(sides: &Sides, class: &QueryClass, floors: &mut Floors, budget: Duration) -> Line {
    let mut prepared = sides.sqlite.prepare(class);
    let answer = answer(&sides.tracker, class, 0);
    assert!(answer == prepared.ask(0), "{}: the two sides do not answer alike", class.name);

    let mut ask_tracker = |turn| _ = black_box(class.ask(&sides.tracker, turn));
    let mut ask_sqlite = |turn| _ = black_box(prepared.ask(turn));
    let mut calls: Vec<&mut dyn FnMut(usize)> = vec![&mut ask_tracker, &mut ask_sqlite];
    let mut floor = floors.floor(class);
    if let Some(floor) = &mut floor {
        calls.push(floor);
    }
    let timed = in_turn(&mut calls, budget);
    let mut line = Line::new(Of::Query, class.name, sides.jobs).timed(&timed[0], timed.get(1));
    line.floor_p50_ns = timed.get(2).map(crate::timing::Timed::p50);
    line.rows = Some(answer.rows());
    line.plan = Some(plan(class).to_owned());
    line.sqlite_plan = Some(sides.sqlite.plan(class));
    line
}

/// How the tracker answers.
fn plan(class: &QueryClass) -> &'static str {
    match class.asked {
        Asked::Get(_) => "uuid",
        Asked::Counts => "counters",
        Asked::Page(_) | Asked::Count(_) => SCAN,
    }
}

/// What the tracker answers, in a form that both sides have.
fn answer(tracker: &Tracker, class: &QueryClass, turn: usize) -> Answer {
    let record = |job: &jobtrack::Job| JobParts { revision: Revision::default(), ..job.into() };
    match &class.asked {
        Asked::Get(ids) => {
            let found = tracker.get(ids[turn % ids.len()]).expect("the job is there");
            Answer::Records(vec![record(&found)])
        }
        Asked::Page(query) => {
            let page = tracker.query(query).expect("a page");
            Answer::Records(page.jobs.iter().map(|job| record(job)).collect())
        }
        Asked::Count(query) => Answer::Count(tracker.count(query).expect("a count").count),
        Asked::Counts => Answer::Counts(counts(tracker)),
    }
}

/// Jobs of each kind in each state; those that there are none of are left out.
pub(crate) fn counts(tracker: &Tracker) -> BTreeMap<(String, i64), u64> {
    let counts = tracker.counts().expect("counts");
    let each = counts.kinds().flat_map(|kind| {
        let of_state =
            |state: &State| ((kind.to_owned(), state_number(*state)), counts.of(kind, *state));
        State::ALL.iter().map(of_state).collect::<Vec<_>>()
    });
    each.filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use jobtrack_benches::tracker_with;

    use super::*;
    use crate::sqlite::Sqlite;

    const JOBS: usize = 3_000;

    fn both() -> (Tracker, Sqlite) {
        let (tracker, jobs) = tracker_with(SEED, JOBS);
        (tracker, Sqlite::holding(jobs.into_iter()))
    }

    #[test]
    fn sqlite_answers_every_class_as_the_tracker_does() {
        let (tracker, sqlite) = both();
        for class in query_classes(&tracker, &Jobs::new(SEED, JOBS)) {
            let mut prepared = sqlite.prepare(&class);
            for turn in 0..2 {
                let expected = answer(&tracker, &class, turn);
                let found = prepared.ask(turn);
                assert_eq!(found, expected, "{}", class.name);
                assert_eq!(found.rows(), class.ask(&tracker, turn), "{}", class.name);
            }
        }
    }

    /// What is compared with must be SQLite at its best: where an index serves, it is used.
    #[test]
    fn sqlite_uses_its_indexes() {
        let (tracker, sqlite) = both();
        let plans: BTreeMap<_, _> = query_classes(&tracker, &Jobs::new(SEED, JOBS))
            .iter()
            .map(|class| (class.name, sqlite.plan(class)))
            .collect();
        for (class, index) in [
            ("get by uuid", "job_uuid"),
            ("one state, by start", "job_state_start"),
            ("rare state, by start", "job_state_start"),
            ("page half way, by start", "job_start"),
            ("count of a state", "job_state_start"),
            ("count of a state in a range", "job_state_start"),
            ("wildcard, by start", "job_start"),
            ("range and negation", "job_start"),
            ("label", "job_end"),
            ("everything matches", "job_uuid"),
        ] {
            let plan = &plans[class];
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{class}: {plan}");
        }
    }
}
