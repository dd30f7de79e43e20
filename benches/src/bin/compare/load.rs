//! Both sides, filled with the same jobs in turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jobtrack::{Command, Durability, JobParts, NoStore, Options, Tracker};
use jobtrack_benches::{BenchClock, Jobs, Shape, available, grouped_whole, progress_bar};

use crate::line::{Line, Of};
use crate::sqlite::Sqlite;
use crate::timing::Timed;

/// The seed of the jobs.
pub(crate) const SEED: u64 = 1;
/// Jobs that one side is given before it is the other's turn.
const TURN: usize = 10_000;
/// Commands that are handed to a tracker at once.
const BATCH: usize = 1_000;
/// Bytes that must be left, or loading ends before the system ends it.
const RESERVE: u64 = 1 << 30;

/// Both sides, with the same jobs in each. The tracker's store keeps nothing, so each side holds
/// every job once.
#[derive(Debug)]
pub(crate) struct Sides {
    pub(crate) jobs: usize,
    pub(crate) shape: Shape,
    pub(crate) tracker: Tracker,
    pub(crate) clock: Arc<BenchClock>,
    pub(crate) sqlite: Sqlite,
}

/// Loads both, and tells what that took: from decoded records to answering queries, SQLite in one
/// transaction and with its indexes made at the end. ANALYZE is not counted.
///
/// # Errors
///
/// What to do if the machine has too little memory for both.
pub(crate) fn load(jobs: usize, shape: Shape) -> Result<(Sides, Line), String> {
    let clock = Arc::new(BenchClock::default());
    let options = Options { clock: Arc::<BenchClock>::clone(&clock), ..Options::default() };
    let tracker = Tracker::open(NoStore::default(), options).expect("a new store opens");
    let sqlite = Sqlite::new();
    let (mut of_tracker, mut of_sqlite) = (Duration::ZERO, Duration::ZERO);

    let bar = progress_bar(jobs as u64, "loading both");
    let mut stream = Jobs::new(SEED, jobs).shaped(shape);
    sqlite.begin();
    let mut inserter = sqlite.inserter();
    loop {
        let chunk: Vec<JobParts> = stream.by_ref().take(TURN).collect();
        if chunk.is_empty() {
            break;
        }
        let commands: Vec<Vec<Command>> = chunk.chunks(BATCH).map(imports).collect();
        of_tracker += took(|| {
            for batch in commands {
                for imported in tracker.run_all(batch) {
                    imported.expect("a generated job is legal");
                }
            }
        });
        of_sqlite += took(|| chunk.iter().for_each(|job| inserter.insert(job)));
        bar.inc(chunk.len() as u64);
        if available() < RESERVE {
            let held = grouped_whole(bar.position());
            bar.finish_and_clear();
            return Err(format!(
                "hardly any memory is left with {held} jobs on both sides; ask for fewer, or only \
                 for other parts than those with {shape:?} jobs"
            ));
        }
    }
    drop(inserter);
    bar.finish_and_clear();
    // As SQLite is told to make its indexes and to analyse, the tracker is let tidy up.
    of_tracker += took(|| while tracker.maintain(BATCH).expect("nothing is due").more {});
    of_sqlite += took(|| {
        sqlite.commit();
        sqlite.index();
    });
    sqlite.analyze();

    let line =
        Line::new(Of::Whole, "bulk load", jobs).timed(&once(of_tracker), Some(&once(of_sqlite)));
    Ok((Sides { jobs, shape, tracker, clock, sqlite }, line))
}

fn imports(chunk: &[JobParts]) -> Vec<Command> {
    let import = |job: &JobParts| Command::import(job.clone()).durability(Durability::Deferred);
    chunk.iter().map(import).collect()
}

fn took(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn once(took: Duration) -> Timed {
    let mut timed = Timed::default();
    timed.add(took, 1);
    timed
}
