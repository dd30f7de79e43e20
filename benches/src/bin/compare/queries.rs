//! Each class of queries on both sides: first that they agree, then what they cost.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use jobtrack::{Job, JobParts, Query, Revision, State, Tracker};
use jobtrack_benches::{Asked, Examples, QueryClass, progress_bar, query_classes, state_number};

use crate::floor::Floors;
use crate::line::{Line, Of};
use crate::load::Sides;
use crate::sqlite::Answer;
use crate::timing::{Timed, in_turn};

/// Measures the classes that are wanted, each side for so long.
///
/// # Panics
///
/// If the two sides do not answer alike: then there is nothing to compare.
pub(crate) fn measure(
    sides: &Sides,
    examples: &Examples,
    mut floors: Floors,
    is_wanted: impl Fn(&str) -> bool,
    budget: Duration,
) -> Vec<Line> {
    let mut classes = query_classes(&sides.tracker, examples);
    classes.retain(|class| is_wanted(class.name));
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
    let answer = answer(&sides.tracker, class, 0);
    let mut prepared = sides.sqlite.prepare(class);
    let began = Instant::now();
    let found = prepared.ask(0);
    let took = began.elapsed();
    assert!(
        answer == found || is_alike_but_for_ties(sides, class, &answer, &found),
        "{}: the two sides do not answer alike",
        class.name
    );

    // A query that finds nothing by mistake measures nothing.
    let is_right = answer.rows() > 0 || class.name == "nothing matches";
    assert!(is_right, "{}: no job is found", class.name);

    let mut ask_tracker = |turn| _ = black_box(class.ask(&sides.tracker, turn));
    let mut ask_sqlite = |turn| _ = black_box(prepared.ask(turn));
    let mut calls: Vec<&mut dyn FnMut(usize)> = vec![&mut ask_tracker, &mut ask_sqlite];
    let mut floor = floors.floor(class);
    if let Some(floor) = &mut floor {
        calls.push(floor);
    }
    // What takes seconds is not asked more often than need be.
    let mut before = vec![Timed::default(); 2];
    if took > Duration::from_secs(1) {
        before[1].add(took, 1);
    }
    let timed = in_turn(&mut calls, before, budget);
    let mut line = Line::new(Of::Query, class.name, sides.jobs).timed(&timed[0], timed.get(1));
    line.floor_p50_ns = timed.get(2).map(Timed::p50);
    line.rows = Some(answer.rows());
    line.plan = Some(plan(&sides.tracker, class));
    line.sqlite_plan = Some(sides.sqlite.plan(class));
    line
}

/// Whether the answers are the same once SQLite, too, lets ties go by uuid, and what it found is
/// in the same order at least.
fn is_alike_but_for_ties(
    sides: &Sides,
    class: &QueryClass,
    answer: &Answer,
    found: &Answer,
) -> bool {
    let (Asked::Page(query), Answer::Records(expected), Answer::Records(found)) =
        (&class.asked, answer, found)
    else {
        return false;
    };
    let has_same_keys = |(a, b): (&JobParts, &JobParts)| keys(query, a) == keys(query, b);
    expected.len() == found.len()
        && expected.iter().zip(found).all(has_same_keys)
        && sides.sqlite.ask_exactly(class) == *answer
}

/// What the query orders this job by, as text.
fn keys(query: &Query, job: &JobParts) -> Vec<Option<String>> {
    let job = Job::try_from(job.clone()).expect("both sides hold legal jobs");
    let keys = query.order.keys().iter();
    keys.map(|key| key.field.value(&job).map(|value| value.to_string())).collect()
}

/// How the tracker answers, in a word.
fn plan(tracker: &Tracker, class: &QueryClass) -> String {
    let explained = match &class.asked {
        Asked::Get(_) => return "uuid".to_owned(),
        Asked::Counts => return "tally".to_owned(),
        Asked::Page(query) => tracker.explain(query),
        Asked::Count(query) => tracker.explain_count(query),
    };
    explained.expect("what is answered can be explained").plan().to_owned()
}

/// The job as both sides have it: revisions are each side's own.
pub(crate) fn record(job: &Job) -> JobParts {
    // SQLite has no column for how a retention was told.
    JobParts { revision: Revision::default(), retention_told: None, ..job.into() }
}

/// What the tracker answers, in a form that both sides have.
fn answer(tracker: &Tracker, class: &QueryClass, turn: usize) -> Answer {
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
    use jobtrack_benches::{Jobs, Shape};

    use super::*;
    use crate::load::{SEED, load};

    const JOBS: usize = 3_000;

    fn both(shape: Shape) -> (Sides, Examples) {
        let (sides, _) = load(JOBS, shape).unwrap();
        (sides, Examples::among(Jobs::new(SEED, JOBS).shaped(shape), JOBS))
    }

    #[test]
    fn sqlite_answers_every_class_as_the_tracker_does() {
        for shape in [Shape::Usual, Shape::Full, Shape::Wide] {
            let (sides, examples) = both(shape);
            for class in query_classes(&sides.tracker, &examples) {
                let mut prepared = sides.sqlite.prepare(&class);
                for turn in 0..2 {
                    let expected = answer(&sides.tracker, &class, turn);
                    let found = prepared.ask(turn);
                    assert_eq!(found, expected, "{}", class.name);
                    assert_eq!(found.rows(), class.ask(&sides.tracker, turn), "{}", class.name);
                }
            }
        }
    }

    #[test]
    fn both_sides_answer_alike_after_churn_and_ties_are_seen_through() {
        let (sides, _) = both(Shape::Full);
        crate::churn::churn(&sides, &crate::churn::Moved::new());
        let examples = Examples::among(crate::churn::later(JOBS, Shape::Full), JOBS);
        let mut found_ties = false;
        for class in query_classes(&sides.tracker, &examples) {
            let expected = answer(&sides.tracker, &class, 0);
            let found = sides.sqlite.prepare(&class).ask(0);
            assert!(class.name == "nothing matches" || expected.rows() > 0, "{}", class.name);
            if expected != found {
                found_ties = true;
                let alike = is_alike_but_for_ties(&sides, &class, &expected, &found);
                assert!(alike, "{}: {expected:?}, {found:?}", class.name);
                // A record too few is not a tie.
                let Answer::Records(mut records) = found else { unreachable!() };
                records.pop();
                let shorter = Answer::Records(records);
                assert!(!is_alike_but_for_ties(&sides, &class, &expected, &shorter));
            }
        }
        assert!(found_ties, "jobs of one commit have the same times");
    }

    /// What is compared with must be SQLite at its best: where an index serves, it is used.
    #[test]
    fn sqlite_uses_its_indexes() {
        let (sides, examples) = both(Shape::Usual);
        let plans: BTreeMap<_, _> = query_classes(&sides.tracker, &examples)
            .iter()
            .map(|class| (class.name, sides.sqlite.plan(class)))
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
