//! Bytes of memory per job.
//!
//! Each measurement is a process of its own, so that it begins with a clean heap. What is measured
//! is resident memory, so it includes what the allocator keeps for later; the jobs are made one
//! batch at a time and are not kept.

use std::fmt;
use std::str::FromStr;

use jobtrack::{MemoryStore, NoStore, Tracker};
use jobtrack_benches::{BenchClock, Jobs, import, progress_bar, resident, run_apart};

use crate::report::Figure;

const SEED: u64 = 1;

/// What holds the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// The tracker's table alone, above a store that keeps nothing.
    Table,
    /// The table above the store in memory, which keeps each record once more.
    TableAndMemoryStore,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Held::Table => "table",
            Held::TableAndMemoryStore => "table-and-memory-store",
        })
    }
}

impl FromStr for Held {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Held::Table, Held::TableAndMemoryStore];
        all.into_iter()
            .find(|held| held.to_string() == text)
            .ok_or_else(|| format!("{text:?} is nothing that can be measured"))
    }
}

/// Measures both in processes of their own.
pub(crate) fn figures(jobs: usize) -> Vec<Figure> {
    let measured = |held: Held, what: &str| {
        let bytes = measure_apart(held, jobs);
        #[allow(clippy::cast_precision_loss)] // Both are far below 2^52.
        let value = bytes as f64 / jobs as f64;
        Figure { name: format!("{what}, {jobs} jobs"), value, unit: "bytes/job", beside: None }
    };
    vec![
        measured(Held::Table, "resident, table alone"),
        measured(Held::TableAndMemoryStore, "resident, table and memory store"),
    ]
}

fn measure_apart(held: Held, jobs: usize) -> u64 {
    let text = run_apart(&[format!("--measure={held}"), format!("--jobs={jobs}")]);
    text.trim().parse().expect("the child prints a number")
}

/// By how much this process grows when a tracker is given so many jobs.
pub(crate) fn bytes_held(held: Held, jobs: usize) -> u64 {
    let options = BenchClock::options();
    let tracker = match held {
        Held::Table => Tracker::open(NoStore::default(), options),
        Held::TableAndMemoryStore => Tracker::open(MemoryStore::new(), options),
    }
    .expect("a new store opens");
    let before = resident();
    let bar = progress_bar(jobs as u64, &format!("importing into the {held}"));
    import(&tracker, Jobs::new(SEED, jobs), |done| bar.inc(done as u64));
    bar.finish_and_clear();
    let after = resident();
    let counted = tracker.counts().map_or(0, |counts| counts.total());
    assert_eq!(counted, jobs as u64, "every job is there");
    after.saturating_sub(before)
}
