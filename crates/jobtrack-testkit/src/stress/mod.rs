//! Many threads on one tracker at once, and a judge of all they were told.
//!
//! Writers change jobs of their own and jobs that all of them change; readers get, list and count;
//! watchers write down every transition; a sweeper sweeps. [`run`] lets them for a while and judges
//! afterwards ([`check`](self)): what was acknowledged is seen by every later read; every reader's
//! revisions rise; the acknowledged changes have one order, that of the revisions, and it is one in
//! which none comes before another that was answered before it was asked for; each answer shows a
//! job as it stood at the answer's revision; jobs are gone exactly when their time is up; and every
//! watch tells every transition once, in order.
//!
//! ```
//! use std::time::Duration;
//! use jobtrack::{MemoryStore, Tracker};
//! use jobtrack_testkit::stress::{self, Load};
//!
//! let tracker = Tracker::open(MemoryStore::new(), stress::options())?;
//! let load = Load { writers: 4, readers: 4, time: Duration::from_millis(200), ..Load::default() };
//! let done = stress::run(&tracker, &load);
//! assert!(done.changes > 0 && done.reads > 0, "{done}");
//! # Ok::<(), jobtrack::Error>(())
//! ```

// A panic is how a judge is heard.
#![allow(clippy::panic, clippy::expect_used, clippy::print_stdout)]

mod check;
mod clients;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use jobtrack::{Expr, Field, HistoryOptions, JobId, Options, State, Timestamp, Tracker};
use parking_lot::Mutex;

use self::check::Log;
use self::clients::Told;

/// How many of each, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Threads that change jobs: 64.
    pub writers: usize,
    /// Threads that get, list and count: 256.
    pub readers: usize,
    /// Watches of everything, and as many of running jobs: 2.
    pub watchers: usize,
    /// Real time: two seconds.
    pub time: Duration,
}

impl Default for Load {
    fn default() -> Self {
        Load { writers: 64, readers: 256, watchers: 2, time: Duration::from_secs(2) }
    }
}

/// What was done, and found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Acknowledged changes.
    pub changes: usize,
    /// Commits that they were made in.
    pub commits: usize,
    /// Answers to readers.
    pub reads: u64,
    /// Answers that said a job was gone, as it was.
    pub gone: u64,
    /// Events told to watchers.
    pub events: usize,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Done { changes, commits, reads, gone, events } = self;
        write!(
            f,
            "{changes} changes in {commits} commits, {reads} reads ({gone} of jobs that are gone), \
             {events} events"
        )
    }
}

/// Options with a history that keeps every transition, as the judge wants it.
pub fn options() -> Options {
    let history = HistoryOptions {
        changes: usize::MAX,
        bytes: usize::MAX,
        age: Duration::from_secs(24 * 60 * 60),
        ..HistoryOptions::default()
    };
    Options { history, ..Options::default() }
}

/// How long [`rounds`] go on, in seconds, if it is set.
pub const SECONDS: &str = "JOBTRACK_STRESS_SECONDS";

/// The whole load on one new tracker after another: once, or for as long as [`SECONDS`] says.
///
/// # Panics
///
/// As [`run`].
pub fn rounds(open: &mut dyn FnMut() -> Tracker) {
    let told = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    let load = Load::default();
    let mut left = told.map_or(load.time, Duration::from_secs);
    let mut total = Duration::ZERO;
    while !left.is_zero() {
        let done = run(&open(), &load);
        left = left.saturating_sub(load.time);
        total += load.time;
        println!("{:>5} s under load: {done}", total.as_secs());
    }
}

/// Puts the load on the tracker, which is opened with [`options`] and holds no jobs, waits, and
/// judges. Some of the jobs stay.
///
/// # Panics
///
/// Where anything was not as promised, with the job concerned.
pub fn run(tracker: &Tracker, load: &Load) -> Done {
    let begin = Some(tracker.revision().into());
    let everything = || tracker.watch(Expr::everything(), begin).expect("a watch");
    let running = Expr::is(Field::State, State::Running).expect("a filter");
    let running = running.and(Expr::is(Field::Kind, clients::LASTING).expect("a filter"));
    let world = World {
        tracker,
        tick: AtomicU64::new(0),
        stops: AtomicBool::new(false),
        writers_left: AtomicU64::new(load.writers as u64),
        shared: clients::make_shared(tracker),
        latest: (0..load.writers.max(1)).map(|_| Mutex::default()).collect(),
    };
    let (changes, reads, all, some) = thread::scope(|scope| {
        let world = &world;
        let all: Vec<_> = (0..load.watchers.max(1))
            .map(|_| everything())
            .map(|watch| scope.spawn(move || clients::watch(world, watch)))
            .collect();
        let some: Vec<_> = (0..load.watchers)
            .map(|_| tracker.watch(running.clone(), begin).expect("a watch"))
            .map(|watch| scope.spawn(move || clients::watch(world, watch)))
            .collect();
        let writers: Vec<_> =
            (0..load.writers).map(|n| scope.spawn(move || clients::write(world, n))).collect();
        let readers: Vec<_> = (0..load.readers)
            .map(|n| scope.spawn(move || clients::read(world, n as u64)))
            .collect();
        let sweeper = scope.spawn(move || clients::sweep(world));
        thread::sleep(load.time);
        world.stops.store(true, Ordering::SeqCst);
        // A panic in one of them is the verdict; the others end by themselves.
        let changes = writers.into_iter().flat_map(|writer| writer.join().expect("a writer"));
        let changes: Vec<_> = changes.collect();
        let reads = readers.into_iter().map(|reader| reader.join().expect("a reader"));
        let reads: Vec<_> = reads.collect();
        sweeper.join().expect("the sweeper");
        let all: Vec<_> = all.into_iter().map(|watch| watch.join().expect("a watch")).collect();
        let some: Vec<_> = some.into_iter().map(|watch| watch.join().expect("a watch")).collect();
        (changes, reads, all, some)
    });
    let log = Log::new(&all, &some);
    log.check_changes(&changes);
    log.check_reads(&reads);
    log.check_end(tracker);
    Done {
        changes: changes.len(),
        commits: log.commits(),
        reads: reads.iter().map(|reader| reader.asked).sum(),
        gone: reads.iter().map(|reader| reader.gone).sum(),
        events: all.iter().chain(&some).map(Vec::len).sum(),
    }
}

/// What all threads share.
struct World<'t> {
    tracker: &'t Tracker,
    /// Rises with each command that is asked for and each that is answered: real time, as far as the
    /// order of the two matters.
    tick: AtomicU64,
    stops: AtomicBool,
    writers_left: AtomicU64,
    /// Jobs that every writer reports on.
    shared: Vec<JobId>,
    /// The last acknowledged state of some job of each writer.
    latest: Vec<Mutex<Option<Told>>>,
}

impl World<'_> {
    fn tick(&self) -> u64 {
        self.tick.fetch_add(1, Ordering::SeqCst)
    }

    fn stops(&self) -> bool {
        self.stops.load(Ordering::SeqCst)
    }

    fn now(&self) -> Timestamp {
        self.tracker.now()
    }
}
