//! Changes per second on redb, with each durability, beside the bare loop.
//!
//! The engine and the bare loop take turns, round by round, on the same disk, and the bare loop's
//! records are as large as what the tracker hands its store for the same change: so the median of
//! the rounds' ratios means something even on a machine that has other things to do. The bare loop
//! syncs once for as many records as the engine has under way at once, which no group commit can
//! beat; beside deferred changes it syncs once a batch all the same.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jobtrack::{Command, Durability, JobId, NewJob, NoStore, Options, Store, Success, Tracker};
use jobtrack_benches::{Jobs, Meter, MeteredStore, progress_bar};
use jobtrack_redb::RedbStore;

use crate::floor;
use crate::report::{Beside, Figure};

pub(crate) const SEED: u64 = 2;

/// How changes are handed to the tracker.
#[derive(Debug, Clone, Copy)]
struct Mode {
    name: &'static str,
    durability: Durability,
    writers: usize,
    /// Commands that a writer hands over at once.
    batch: usize,
    /// Jobs that each writer takes through its life in a round.
    jobs: usize,
}

const MODES: &[Mode] = &[
    Mode {
        name: "synced, one writer",
        durability: Durability::Synced,
        writers: 1,
        batch: 1,
        jobs: 200,
    },
    Mode {
        name: "synced, 8 writers",
        durability: Durability::Synced,
        writers: 8,
        batch: 1,
        jobs: 150,
    },
    Mode {
        name: "deferred, batches of 1000",
        durability: Durability::Deferred,
        writers: 1,
        batch: 1_000,
        jobs: 10_000,
    },
];

impl Mode {
    /// After how many records the bare loop syncs: as many as this mode has under way at once.
    fn group(&self) -> usize {
        self.writers * self.batch
    }

    fn total(&self) -> usize {
        self.writers * self.jobs
    }
}

/// What is done to each job, in turn.
const CHANGES: &[(&str, Change)] =
    &[("create", Change::Create), ("start", Change::Start), ("finish", Change::Finish)];

#[derive(Debug, Clone, Copy)]
enum Change {
    Create,
    Start,
    Finish,
}

/// The rounds of one change in one mode.
#[derive(Debug, Default, Clone)]
struct Rounds {
    rates: Vec<f64>,
    floors: Vec<f64>,
    ratios: Vec<f64>,
    commits: u64,
    changes: u64,
}

/// Measures every change in every mode.
pub(crate) fn figures(rounds: usize) -> Vec<Figure> {
    // Beside the program and not in the system's temporary folder, which may be in memory.
    let this = std::env::current_exe().expect("a program knows its file");
    let beside = this.parent().expect("a file is in a folder");
    let folder = tempfile::tempdir_in(beside).expect("a folder can be made beside the program");
    let sizes = sizes();
    let mut figures = Vec::new();
    for mode in MODES {
        let bar = progress_bar(rounds as u64, mode.name);
        let mut measured = vec![Rounds::default(); CHANGES.len()];
        for round in 0..rounds {
            let store = folder.path().join(format!("{} {round}", mode.name));
            let store = RedbStore::open(&store).expect("a new store opens");
            let (store, meter) = MeteredStore::new(store);
            run_round(mode, store, &meter, &sizes, folder.path(), &mut measured);
            bar.inc(1);
        }
        bar.finish_and_clear();
        for ((change, _), rounds) in CHANGES.iter().zip(measured) {
            figures.push(rounds.figure(format!("{change}, {}", mode.name)));
        }
    }
    figures
}

/// How many bytes the tracker hands its store for each change, on average, when it commits each
/// one by itself.
fn sizes() -> Vec<usize> {
    let (store, meter) = MeteredStore::new(NoStore::default());
    let mode = Mode { name: "", durability: Durability::Synced, writers: 1, batch: 1, jobs: 500 };
    let tracker = open(store);
    let mut ids = Vec::new();
    let mut before = meter.bytes();
    CHANGES
        .iter()
        .map(|(_, change)| {
            run_change(&tracker, &mode, *change, &mut ids);
            let after = meter.bytes();
            let bytes = after - std::mem::replace(&mut before, after);
            usize::try_from(bytes).expect("some bytes") / mode.total()
        })
        .collect()
}

fn open(store: impl Store + 'static) -> Tracker {
    // Nothing expires while it is measured.
    let options = Options { retention: Duration::from_secs(86_400), ..Options::default() };
    Tracker::open(store, options).expect("a new store opens")
}

/// One round: every change of every job, each change after a turn of the bare loop.
fn run_round(
    mode: &Mode,
    store: impl Store + 'static,
    meter: &Arc<Meter>,
    sizes: &[usize],
    folder: &Path,
    measured: &mut [Rounds],
) {
    let tracker = open(store);
    let mut ids = Vec::new();
    for (((_, change), size), rounds) in CHANGES.iter().zip(sizes).zip(measured) {
        let floor =
            per_second(mode.total(), floor::append(folder, mode.total(), *size, mode.group()));
        let commits = meter.commits();
        let rate = per_second(mode.total(), run_change(&tracker, mode, *change, &mut ids));
        rounds.commits += meter.commits() - commits;
        rounds.changes += mode.total() as u64;
        rounds.rates.push(rate);
        rounds.floors.push(floor);
        rounds.ratios.push(rate / floor);
    }
    tracker.close().expect("the store closes");
}

/// Makes the change to every job, and returns how long that took.
fn run_change(tracker: &Tracker, mode: &Mode, change: Change, ids: &mut Vec<JobId>) -> Duration {
    let command = |command: Command| command.durability(mode.durability);
    let commands: Vec<Command> = match change {
        Change::Create => Jobs::new(SEED, mode.total())
            .map(|job| {
                command(Command::create(NewJob {
                    kind: job.kind,
                    node: job.node,
                    scope: job.scope,
                    labels: job.labels,
                    ..NewJob::described(job.description)
                }))
            })
            .collect(),
        Change::Start => ids.iter().map(|id| command(Command::start(*id))).collect(),
        Change::Finish => ids
            .iter()
            .map(|id| command(Command::succeed(*id, Success::with_message("Complete: Successful"))))
            .collect(),
    };
    let mut shares: Vec<Vec<Vec<Command>>> = vec![Vec::new(); mode.writers];
    for (n, batch) in commands.chunks(mode.batch).enumerate() {
        if let Some(share) = shares.get_mut(n % mode.writers) {
            share.push(batch.to_vec());
        }
    }
    let began = Instant::now();
    let changed: Vec<JobId> = thread::scope(|scope| {
        let writers: Vec<_> =
            shares.into_iter().map(|share| scope.spawn(|| write(tracker, share))).collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer ends")).collect()
    });
    let took = began.elapsed();
    *ids = changed;
    took
}

fn write(tracker: &Tracker, batches: Vec<Vec<Command>>) -> Vec<JobId> {
    let applied = batches.into_iter().flat_map(|batch| tracker.run_all(batch));
    applied.map(|applied| applied.expect("the change is legal").job.uuid).collect()
}

impl Rounds {
    fn figure(mut self, name: String) -> Figure {
        #[allow(clippy::cast_precision_loss)] // Some thousands.
        let per_commit = self.changes as f64 / self.commits as f64;
        let beside =
            Beside { floor: median(&mut self.floors), ratio: median(&mut self.ratios), per_commit };
        Figure { name, value: median(&mut self.rates), unit: "changes/s", beside: Some(beside) }
    }
}

#[allow(clippy::cast_precision_loss)] // Some thousands.
fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().expect("at least one round")
}
