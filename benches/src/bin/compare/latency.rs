//! How long the caller of a change waits at worst: alone, beside a reader that reads everything
//! without pause, and beside a janitor as a host has one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jobtrack::{Expr, Field, Query, Tracker};
use jobtrack_benches::progress_bar;

use crate::change::{Change, commit};
use crate::changes::{MESSAGE, RETENTION, ROUND, new_jobs};
use crate::line::{Line, Of};
use crate::load::Sides;
use crate::timing::Timed;

/// What a host's janitor takes out at once, and how long it rests in between.
const SWEEP: usize = 256;
const REST: Duration = Duration::from_millis(5);

/// Who is at work beside the writer.
const BESIDE: &[(&str, bool, bool)] = &[
    ("a change, alone", false, false),
    ("a change, beside a reader of everything", true, false),
    ("a change, beside a janitor", false, true),
    ("a change, beside a reader and a janitor", true, true),
];

/// Measures single changes, each case for so long. SQLite has no side here: a connection of its own
/// for each reader would make the database in memory another one.
pub(crate) fn measure(
    sides: &Sides,
    is_wanted: impl Fn(&str) -> bool,
    budget: Duration,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for (seed, (name, has_reader, has_janitor)) in BESIDE.iter().enumerate() {
        if !is_wanted(name) {
            continue;
        }
        let (tracker, is_over) = (&sides.tracker, &AtomicBool::new(false));
        let bar = progress_bar(0, name);
        let (timed, read) = std::thread::scope(|scope| {
            let reader = has_reader.then(|| scope.spawn(move || read(tracker, is_over)));
            let janitor = has_janitor.then(|| scope.spawn(move || maintain(tracker, is_over)));
            let timed = write(sides, 1_000_000 * (seed as u64 + 1), budget);
            is_over.store(true, Ordering::Relaxed);
            if let Some(janitor) = janitor {
                janitor.join().expect("the janitor ends");
            }
            (timed, reader.map(|reader| reader.join().expect("the reader ends")))
        });
        bar.finish_and_clear();
        let mut line = Line::new(Of::Change, name, sides.jobs).timed(&timed, None);
        line.note = read.map(|read| format!("{read} counts were read meanwhile"));
        lines.push(line);
        sides.clock.advance(RETENTION + Duration::from_secs(1));
        while sides.tracker.maintain(1_000).expect("the store takes everything").more {}
    }
    lines
}

/// Creates, starts, reports and finishes jobs one by one, while those before expire.
fn write(sides: &Sides, seed: u64, budget: Duration) -> Timed {
    let mut timed = Timed::default();
    let mut round = 0;
    while timed.total() < budget {
        let jobs = new_jobs(&sides.clock, seed + round);
        let ids: Vec<_> = jobs.iter().map(|job| job.uuid).collect();
        let creates = jobs.into_iter().map(|job| Change::Create(Box::new(job)));
        let starts = ids.iter().map(|id| Change::Start(*id));
        let reports = ids.iter().map(|id| Change::Report(*id, "Running: 50 % done".to_owned()));
        let ends = ids.iter().map(|id| Change::Succeed(*id, MESSAGE.to_owned()));
        for change in creates.chain(starts).chain(reports).chain(ends) {
            let command = change.command();
            let began = Instant::now();
            commit(&sides.tracker, vec![command]);
            timed.add(began.elapsed(), 1);
        }
        // What has ended is due from here on: the next round's commits or the janitor take it out.
        sides.clock.advance(RETENTION + Duration::from_secs(1));
        round += 1;
    }
    assert!(timed.runs() >= ROUND as u64, "a round was written");
    timed
}

/// Counts by a wildcard that nothing narrows, over and over, and returns how often.
fn read(tracker: &Tracker, is_over: &AtomicBool) -> u64 {
    let patience = Duration::from_secs(86_400);
    let query = Query {
        filter: Expr::like(Field::Description, "*e*").expect("a text is matched by a pattern"),
        budget: jobtrack::Budget { soft: patience, hard: patience, ..jobtrack::Budget::default() },
        ..Query::default()
    };
    let mut read = 0;
    while !is_over.load(Ordering::Relaxed) {
        let count = tracker.count(&query).expect("it takes all the time it needs").count;
        assert!(count > 0, "most descriptions hold an e");
        read += 1;
    }
    read
}

fn maintain(tracker: &Tracker, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let done = tracker.maintain(SWEEP).expect("the store takes everything");
        if !done.more {
            std::thread::sleep(REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use jobtrack_benches::Shape;

    use super::*;
    use crate::load::load;

    #[test]
    fn every_case_is_measured_and_leaves_nothing_behind() {
        let (sides, _) = load(1_000, Shape::Usual).unwrap();
        let lines = measure(&sides, |_| true, Duration::from_millis(1));
        assert_eq!(lines.len(), BESIDE.len());
        for line in lines {
            assert!(line.jobtrack_p50_ns <= line.jobtrack_p999_ns, "{line:?}");
            assert!(line.jobtrack_p999_ns <= line.jobtrack_worst_ns, "{line:?}");
            assert_eq!(line.note.is_some(), line.class.contains("reader"), "{line:?}");
        }
        assert_eq!(sides.tracker.counts().unwrap().total(), 1_000);
    }
}
