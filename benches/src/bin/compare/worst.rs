//! The worst of ten thousand random queries: whether a plan can go catastrophically wrong is not
//! seen in classes that somebody chose.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use jobtrack::{JobId, JobParts, Tracker};
use jobtrack_benches::{Examples, RandomQueries, RandomQuery, progress_bar};

use crate::line::{Line, Of};
use crate::load::{SEED, Sides};
use crate::timing::Timed;

/// The name of the class.
pub(crate) const NAME: &str = "random queries";
/// How many are asked, unless the time is up before.
const QUERIES: usize = 10_000;
/// The time is up after so many budgets.
const BUDGETS: u32 = 60;

/// The slowest ones are asked again, so often each: another program that had its turn meanwhile must
/// not be taken for a bad plan.
const SLOWEST: usize = 24;
const AGAIN: usize = 3;

/// Asks random queries, and tells which took longest.
pub(crate) fn measure(sides: &Sides, examples: &Examples, budget: Duration) -> Line {
    let found = |id: &JobId| JobParts::from(&*sides.tracker.get(*id).expect("the job is there"));
    let queries = RandomQueries::new(SEED, examples.ids().iter().map(found), sides.jobs);
    let mut timed = Timed::default();
    let mut slowest: Vec<(Duration, RandomQuery)> = Vec::new();
    let bar = progress_bar(QUERIES as u64, NAME);
    for random in queries.take(QUERIES) {
        let took = ask(&sides.tracker, &random);
        timed.add(took, 1);
        slowest.push((took, random));
        if slowest.len() > SLOWEST {
            slowest.sort_by_key(|(took, _)| Reverse(*took));
            slowest.truncate(SLOWEST);
        }
        bar.inc(1);
        if timed.total() > budget * BUDGETS {
            break;
        }
    }
    bar.finish_and_clear();
    let again = slowest.into_iter().map(|(first, random)| {
        let best = (0..AGAIN).map(|_| ask(&sides.tracker, &random)).fold(first, Duration::min);
        (best, random)
    });
    let (worst, random) = again.max_by_key(|(took, _)| *took).expect("at least one was asked");
    let mut line = Line::new(Of::Query, NAME, sides.jobs).timed(&timed, None);
    line.jobtrack_worst_ns = u64::try_from(worst.as_nanos()).ok();
    line.rows = Some(timed.runs());
    line.note = Some(format!("the worst, each at its best of {}: {random}", AGAIN + 1));
    line
}

fn ask(tracker: &Tracker, random: &RandomQuery) -> Duration {
    let began = Instant::now();
    if random.is_count {
        tracker.count(&random.query).expect("a legal query");
    } else {
        tracker.query(&random.query).expect("a legal query");
    }
    began.elapsed()
}

#[cfg(test)]
mod tests {
    use jobtrack_benches::{Jobs, Shape};

    use super::*;
    use crate::load::load;

    #[test]
    fn the_worst_is_named() {
        let (sides, _) = load(1_000, Shape::Full).unwrap();
        let examples = Examples::among(Jobs::new(SEED, 1_000).shaped(Shape::Full), 1_000);
        let line = measure(&sides, &examples, Duration::from_millis(2));
        assert!(line.rows >= Some(1) && line.jobtrack_worst_ns.is_some(), "{line:?}");
        let note = line.note.unwrap();
        assert!(note.contains("best of 4: page of ") || note.contains("best of 4: count of "));
    }
}
