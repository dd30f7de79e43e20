//! What a change costs where nothing is durable: jobs are created, started, finished and expired on
//! both sides, beside all those that are there already.
//!
//! Both sides check what a change may not break (that only a queued job is started, only a running
//! one finished). The tracker does more besides: it hands each change to its store, keeps it for
//! those who watch, and leaves a tombstone of what expires.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jobtrack::{Clock, Command, Durability, JobParts, NewJob, Revision, State, Success};
use jobtrack_benches::{BenchClock, Jobs, progress_bar};
use rusqlite::{Statement, params};

use crate::line::{Line, Of};
use crate::load::Sides;
use crate::queries::counts;
use crate::sqlite::{Answer, Sqlite};
use crate::timing::Timed;

/// Jobs that go through their life in a round.
const ROUND: usize = 1_000;
/// As many rounds as there are at least.
const FEWEST_ROUNDS: u64 = 5;
/// How many expired jobs are taken out at once where changes come one by one: as many as a commit
/// of the tracker takes with it.
const SWEEP: usize = 64;
const MESSAGE: &str = "Complete: Successful";
/// How long a finished job stays.
const RETENTION: Duration = Duration::from_secs(300);

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
const MODES: &[(usize, &str)] = &[(1, "one by one"), (1_000, "by the thousand")];

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
            let timed = rounds(sides, *batch, budget);
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
    while seed < FEWEST_ROUNDS || !is_done(&timed) {
        let jobs = new_jobs(&sides.clock, seed);
        for ((step, _), [tracker, sqlite]) in STEPS.iter().zip(&mut timed) {
            if *step == Step::Expire {
                sides.clock.advance(RETENTION.as_secs() + 1);
            }
            change_tracker(sides, *step, &jobs, batch, tracker);
            changer.change(*step, &jobs, batch, &sides.clock, sqlite);
            // Not in every round: to count them all takes SQLite as long as many changes.
            if seed == 0 {
                check_alike(sides);
            }
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
fn check_alike(sides: &Sides) {
    let alike = Answer::Counts(counts(&sides.tracker)) == sides.sqlite.counts();
    assert!(alike, "the two sides differ after a change");
}

/// Jobs as generated, but new.
fn new_jobs(clock: &BenchClock, seed: u64) -> Vec<JobParts> {
    let now = clock.wall();
    let new = |job: JobParts| JobParts {
        uuid: jobtrack::JobId::from_uuid(clock.new_id()),
        state: State::Queued,
        cause: None,
        message: String::new(),
        code: 0,
        error: None,
        create_time: now,
        start_time: None,
        end_time: None,
        update_time: now,
        retention: RETENTION,
        retained_from: None,
        expire_time: None,
        progress: None,
        revision: Revision::default(),
        ..job
    };
    // Other seeds than that of the jobs which are there.
    Jobs::new(seed + 1_000, ROUND).map(new).collect()
}

fn change_tracker(sides: &Sides, step: Step, jobs: &[JobParts], batch: usize, timed: &mut Timed) {
    let tracker = &sides.tracker;
    if step == Step::Expire {
        return expire(jobs.len(), timed, || {
            tracker.maintain(batch.max(SWEEP)).expect("the store takes everything").expired
        });
    }
    let command = |job: &JobParts| command(step, job).durability(Durability::Deferred);
    for batch in jobs.chunks(batch) {
        let mut commands: Vec<Command> = batch.iter().map(command).collect();
        let began = Instant::now();
        match commands.pop() {
            Some(command) if commands.is_empty() => {
                tracker.run(command).expect("the change is legal");
            }
            last => {
                let applied = tracker.run_all(commands.into_iter().chain(last));
                assert!(applied.iter().all(Result::is_ok), "the changes are legal");
            }
        }
        timed.add(began.elapsed(), batch.len());
    }
}

/// Sweeps until so many expired jobs are gone.
fn expire(jobs: usize, timed: &mut Timed, mut sweep: impl FnMut() -> usize) {
    let mut gone = 0;
    while gone < jobs {
        let began = Instant::now();
        let swept = sweep();
        timed.add(began.elapsed(), swept);
        assert!(swept > 0, "{gone} of {jobs} expired jobs are gone, and the others stay");
        gone += swept;
    }
}

fn command(step: Step, job: &JobParts) -> Command {
    match step {
        Step::Create => Command::create(NewJob {
            uuid: Some(job.uuid),
            kind: job.kind.clone(),
            node: job.node.clone(),
            scope: job.scope.clone(),
            labels: job.labels.clone(),
            cooperative: job.cooperative,
            retention: Some(job.retention),
            ..NewJob::described(&job.description)
        }),
        Step::Start => Command::start(job.uuid),
        Step::Finish => Command::succeed(job.uuid, Success::with_message(MESSAGE)),
        Step::Expire => unreachable!("jobs expire by themselves"),
    }
}

/// The changes as SQLite makes them, prepared.
struct Changer<'a> {
    sqlite: &'a Sqlite,
    create: crate::sqlite::Inserter<'a>,
    start: Statement<'a>,
    finish: Statement<'a>,
    expire: Statement<'a>,
}

impl<'a> Changer<'a> {
    fn of(sqlite: &'a Sqlite) -> Self {
        let prepare = |text| sqlite.0.prepare(text).expect("the statement is right");
        Changer {
            sqlite,
            create: sqlite.inserter(),
            start: prepare(
                "UPDATE job SET state = 3, start_time = ?2, update_time = ?2, \
                 revision = revision + 1 WHERE uuid = ?1 AND state = 2",
            ),
            finish: prepare(
                "UPDATE job SET state = 4, end_time = ?2, update_time = ?2, message = ?3, \
                 retained_from = ?2, expire_time = ?2 + retention, \
                 revision = revision + 1 WHERE uuid = ?1 AND state = 3",
            ),
            expire: prepare(
                "DELETE FROM job WHERE id IN \
                 (SELECT id FROM job WHERE expire_time <= ?1 LIMIT ?2)",
            ),
        }
    }

    fn change(
        &mut self,
        step: Step,
        jobs: &[JobParts],
        batch: usize,
        clock: &Arc<BenchClock>,
        timed: &mut Timed,
    ) {
        if step == Step::Expire {
            let most = i64::try_from(batch.max(SWEEP)).expect("a small number");
            return expire(jobs.len(), timed, || {
                let now = clock.wall().as_micros();
                self.expire.execute([now, most]).expect("memory can be had")
            });
        }
        for batch in jobs.chunks(batch) {
            let began = Instant::now();
            // A single statement is a transaction of its own, which is faster than BEGIN and COMMIT.
            if batch.len() > 1 {
                self.sqlite.begin();
            }
            for job in batch {
                self.change_one(step, job, clock);
            }
            if batch.len() > 1 {
                self.sqlite.commit();
            }
            timed.add(began.elapsed(), batch.len());
        }
    }

    fn change_one(&mut self, step: Step, job: &JobParts, clock: &BenchClock) {
        let id = job.uuid.as_bytes();
        let now = clock.wall().as_micros();
        let changed = match step {
            Step::Create => {
                self.create.insert(job);
                Ok(1)
            }
            Step::Start => self.start.execute(params![id, now]),
            Step::Finish => self.finish.execute(params![id, now, MESSAGE]),
            Step::Expire => unreachable!("jobs expire by themselves"),
        };
        assert_eq!(changed.expect("memory can be had"), 1, "the change is legal");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;

    #[test]
    fn both_sides_make_the_same_changes() {
        let (sides, loaded) = load(2_000);
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
