//! What a change costs where nothing is durable: jobs are created, started, finished and expired on
//! both sides, beside all those that are there already.

use std::time::{Duration, Instant};

use jobtrack::{Clock, Command, JobId, JobParts, Revision, State, Timestamp};
use jobtrack_benches::{BenchClock, Jobs, progress_bar};

use crate::change::{Change, Changer, commit};
use crate::line::{Line, Of};
use crate::load::Sides;
use crate::queries::counts;
use crate::sqlite::Answer;
use crate::timing::Timed;

/// Jobs that go through their life in a round.
pub(crate) const ROUND: usize = 1_000;
/// As many rounds as there are at least, beside the first, which is not counted.
const FEWEST_ROUNDS: u64 = 5;
/// How many expired jobs are taken out at once where changes come one by one: as many as a commit
/// of the tracker takes with it.
const SWEEP: usize = 64;
pub(crate) const MESSAGE: &str = "Complete: Successful";
/// How long a finished job stays: long enough for a round, and so short that the jobs which were
/// loaded do not expire by the time all rounds are done.
pub(crate) const RETENTION: Duration = Duration::from_secs(30);

/// What is done to each job, in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Create,
    Start,
    Finish,
    Expire,
}

const STEPS: &[(Step, &str)] = &[
    (Step::Create, "create"),
    (Step::Start, "start"),
    (Step::Finish, "finish"),
    (Step::Expire, "expire"),
];

/// How many changes make one commit, and what the classes are called then.
pub(crate) const MODES: [(usize, &str); 2] = [(1, "one by one"), (1_000, "by the thousand")];

/// Measures changes one by one and in batches, each mode for so long.
pub(crate) fn measure(
    sides: &Sides,
    is_wanted: impl Fn(&str) -> bool,
    budget: Duration,
) -> Vec<Line> {
    let names = |mode: &str| {
        let of_steps = STEPS.iter().map(|(_, step)| format!("{step}, {mode}"));
        of_steps.chain([format!("all four changes, {mode}")]).collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    for (batch, mode) in MODES {
        let names = names(mode);
        if names.iter().any(|name| is_wanted(name)) {
            let bar = progress_bar(0, &format!("changes {mode}"));
            let timed = rounds(sides, batch, budget);
            bar.finish_and_clear();
            for (name, [tracker, sqlite]) in names.iter().zip(timed).filter(|(n, _)| is_wanted(n)) {
                let line = Line::new(Of::Change, name, sides.jobs);
                lines.push(line.timed(&tracker, Some(&sqlite)));
            }
        }
    }
    lines
}

/// The times of each step, and of all, on the tracker and on SQLite.
fn rounds(sides: &Sides, batch: usize, budget: Duration) -> Vec<[Timed; 2]> {
    let mut changer = Changer::of(&sides.sqlite);
    let mut timed = vec![<[Timed; 2]>::default(); STEPS.len()];
    let is_done = |timed: &[[Timed; 2]]| {
        let both = timed.iter().flatten().map(Timed::total);
        both.sum::<Duration>() >= budget * 2
    };
    let mut seed = 0;
    while seed <= FEWEST_ROUNDS || !is_done(&timed) {
        let jobs = new_jobs(&sides.clock, seed);
        for ((step, _), [tracker, sqlite]) in STEPS.iter().zip(&mut timed) {
            if *step == Step::Expire {
                sides.clock.advance(RETENTION + Duration::from_secs(1));
                expire(sides, &mut changer, batch, tracker, sqlite);
            } else {
                let changes: Vec<Change> = jobs.iter().map(|job| change(*step, job)).collect();
                for batch in changes.chunks(batch) {
                    let commands: Vec<Command> = batch.iter().map(Change::command).collect();
                    let began = Instant::now();
                    commit(&sides.tracker, commands);
                    tracker.add(began.elapsed(), batch.len());
                }
                for batch in changes.chunks(batch) {
                    let began = Instant::now();
                    changer.commit(batch, sides.clock.wall(), None);
                    sqlite.add(began.elapsed(), batch.len());
                }
            }
            // Not in every round: to count them all takes SQLite as long as many changes.
            if seed == 0 {
                check_alike(sides);
            }
        }
        // Counting has SQLite give back memory in millions of pieces, and whoever asks for some next waits
        // until the allocator has joined them: that is neither side's change.
        if seed == 0 {
            timed.fill_with(Default::default);
        }
        seed += 1;
    }
    check_alike(sides);
    let mut all = <[Timed; 2]>::default();
    for of_step in &timed {
        all.iter_mut().zip(of_step).for_each(|(all, timed)| all.extend(timed));
    }
    timed.push(all);
    timed
}

/// Both sides must hold as many jobs of each kind in each state; only then did they do the same.
pub(crate) fn check_alike(sides: &Sides) {
    let alike = Answer::Counts(counts(&sides.tracker)) == sides.sqlite.counts();
    assert!(alike, "the two sides differ after a change");
}

/// A round's jobs: as generated, but new.
pub(crate) fn new_jobs(clock: &BenchClock, seed: u64) -> Vec<JobParts> {
    let now = clock.wall();
    let new = |job: JobParts| {
        let uuid = JobId::from_uuid(clock.new_id());
        as_new(JobParts { uuid, ..job }, now, RETENTION)
    };
    // Other seeds than those of the jobs which are there.
    Jobs::new(seed + 10_000, ROUND).map(new).collect()
}

/// This job as it was when it was made.
pub(crate) fn as_new(job: JobParts, now: Timestamp, retention: Duration) -> JobParts {
    JobParts {
        state: State::Queued,
        requested: None,
        cause: None,
        message: String::new(),
        code: 0,
        error: None,
        create_time: now,
        start_time: None,
        end_time: None,
        update_time: now,
        retention,
        retained_from: None,
        expire_time: None,
        progress: None,
        revision: Revision::default(),
        ..job
    }
}

fn change(step: Step, job: &JobParts) -> Change {
    match step {
        Step::Create => Change::Create(Box::new(job.clone())),
        Step::Start => Change::Start(job.uuid),
        Step::Finish => Change::Succeed(job.uuid, MESSAGE.to_owned()),
        Step::Expire => unreachable!("jobs expire by themselves"),
    }
}

/// Takes out a round's jobs, which have expired, on both sides.
fn expire(
    sides: &Sides,
    changer: &mut Changer<'_>,
    batch: usize,
    of_tracker: &mut Timed,
    of_sqlite: &mut Timed,
) {
    let budget = batch.max(SWEEP);
    let at_most = i64::try_from(budget).expect("a small number");
    sweep(of_tracker, || {
        sides.tracker.maintain(budget).expect("the store takes everything").expired
    });
    sweep(of_sqlite, || changer.expire(sides.clock.wall(), at_most));
}

/// Sweeps until the jobs of a round are gone.
fn sweep(timed: &mut Timed, mut sweep: impl FnMut() -> usize) {
    let mut gone = 0;
    while gone < ROUND {
        let began = Instant::now();
        let swept = sweep();
        timed.add(began.elapsed(), swept);
        assert!(swept > 0, "{gone} of {ROUND} expired jobs are gone, and the others stay");
        gone += swept;
    }
}

#[cfg(test)]
mod tests {
    use jobtrack_benches::Shape;

    use super::*;
    use crate::load::load;

    #[test]
    fn both_sides_make_the_same_changes() {
        let (sides, loaded) = load(2_000, Shape::Usual).unwrap();
        assert!(loaded.ratio.is_some());
        let before = counts(&sides.tracker);
        // Whether both hold the same is checked after each step.
        let lines = measure(&sides, |_| true, Duration::ZERO);
        assert_eq!(counts(&sides.tracker), before);
        assert_eq!(lines.len(), MODES.len() * (STEPS.len() + 1));
        let runs: Vec<_> = lines.iter().map(|line| line.jobtrack_runs.unwrap()).collect();
        assert_eq!(runs[..3], [5_000; 3]);
        assert_eq!(runs[5..8], [5; 3]);
    }
}
