//! Churn: whole lives of jobs, as many as there are jobs, so that nothing of what was loaded is left.
//!
//! As one job is made, the oldest unfinished one ends and what has expired goes, so the number of
//! jobs stays. The mixture of states stays as well: a twentieth is unfinished, and of these some are
//! queued and some are paused. Both sides make the same changes at the same times, since the clock
//! is held while they do; so they can be asked the same afterwards, record for record.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jobtrack::{Clock, Command, JobId, JobParts, State, Timestamp, Tracker};
use jobtrack_benches::{BenchClock, Jobs, RETENTION, Shape, WINDOW_END, progress_bar};

use crate::change::{Change, Changer, commit};
use crate::changes::{as_new, check_alike};
use crate::line::{Line, Of};
use crate::load::{SEED, Sides};
use crate::timing::Timed;

/// The seed of the jobs that come in place of those that were loaded.
const LATER_SEED: u64 = 7_000;
/// Jobs whose lives share a commit.
const BATCH: usize = 64;
/// When the first of the loaded jobs is about to expire.
const BEGINS: Duration = Duration::from_secs(30 * 86_400);
/// How long it takes until all of them have, also those that ended or were extended meanwhile.
const TAKES: Duration = Duration::from_secs(31 * 86_400);
/// Version 7 UUIDs begin with a time; those of later jobs lie so many milliseconds after those of
/// the loaded ones.
const LATER_MILLIS: u64 = 60 * 86_400 * 1_000;
const MESSAGE: &str = "Complete: Successful";

/// The states of those jobs that have come into another since they were loaded.
pub(crate) type Moved = HashMap<JobId, State>;

/// Takes both sides through as many lives as there are jobs.
pub(crate) fn churn(sides: &Sides, moved: &Moved) -> Line {
    let mut changer = Changer::of(&sides.sqlite);
    let (mut of_tracker, mut of_sqlite) = (Timed::default(), Timed::default());
    let clock = &sides.clock;
    run(clock, sides.jobs, sides.shape, moved, |changes| {
        let commands: Vec<Command> = changes.iter().map(Change::command).collect();
        let began = Instant::now();
        commit(&sides.tracker, commands);
        of_tracker.add(began.elapsed(), changes.len());
        let began = Instant::now();
        changer.commit(changes, clock.wall(), Some(sides.tracker.now()));
        of_sqlite.add(began.elapsed(), changes.len());
    });
    drop(changer);
    sweep(&sides.tracker);
    sides.sqlite.analyze();
    check_alike(sides);
    clock.release();
    Line::new(Of::Change, "a whole life of each job", sides.jobs)
        .timed(&of_tracker, Some(&of_sqlite))
}

/// Takes a tracker alone through the same.
pub(crate) fn churn_tracker(tracker: &Tracker, clock: &BenchClock, jobs: usize, shape: Shape) {
    run(clock, jobs, shape, &Moved::new(), |changes| {
        commit(tracker, changes.iter().map(Change::command).collect());
    });
    sweep(tracker);
    clock.release();
}

/// The jobs that are there afterwards, each as it is or will be in the end.
pub(crate) fn later(jobs: usize, shape: Shape) -> impl Iterator<Item = JobParts> {
    Jobs::new(LATER_SEED, jobs)
        .shaped(shape)
        .map(|job| JobParts { uuid: later_id(job.uuid), ..job })
}

/// The jobs that are there afterwards, and in which state.
pub(crate) fn population(
    jobs: usize,
    shape: Shape,
    moved: &Moved,
) -> impl Iterator<Item = (JobId, State)> {
    let unfinished = loaded_unfinished(jobs, shape, moved).count();
    later_jobs(jobs, shape).enumerate().map(move |(n, (job, meanwhile))| {
        let has_ended = n + unfinished < jobs;
        (job.uuid, if has_ended { ending(&job) } else { meanwhile })
    })
}

fn run(
    clock: &BenchClock,
    jobs: usize,
    shape: Shape,
    moved: &Moved,
    mut apply: impl FnMut(&[Change]),
) {
    clock.hold();
    let now = clock.wall().saturating_since(WINDOW_END);
    assert!(now < BEGINS, "the loaded jobs have begun to expire before the churn");
    clock.advance(BEGINS - now);
    let batches = u32::try_from(jobs.div_ceil(BATCH)).expect("far fewer");
    let bar = progress_bar(jobs as u64, "churn");
    let mut lives = Lives::of(jobs, shape, moved);
    for _ in 0..batches {
        clock.advance(TAKES / batches);
        let changes = lives.next_batch(clock.wall());
        apply(&changes);
        bar.inc(BATCH as u64);
    }
    bar.finish_and_clear();
}

fn sweep(tracker: &Tracker) {
    while tracker.maintain(1_000).expect("the store takes everything").more {}
}

/// A job as it will end, and the state in which it waits for that.
type Waiting = (JobParts, State);

/// The changes of all lives, in turn.
struct Lives<'a> {
    creating: Box<dyn Iterator<Item = Waiting> + 'a>,
    /// The same jobs later, behind the unfinished ones that were loaded.
    finishing: Box<dyn Iterator<Item = Waiting> + 'a>,
}

impl<'a> Lives<'a> {
    fn of(jobs: usize, shape: Shape, moved: &'a Moved) -> Self {
        let loaded = loaded_unfinished(jobs, shape, moved);
        Lives {
            creating: Box::new(later_jobs(jobs, shape)),
            finishing: Box::new(loaded.chain(later_jobs(jobs, shape))),
        }
    }

    fn next_batch(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        for (job, meanwhile) in self.creating.by_ref().take(BATCH) {
            if let Some((job, state)) = self.finishing.next() {
                finish(job, state, &mut changes);
            }
            let id = job.uuid;
            changes.push(Change::Create(Box::new(as_new(job, now, RETENTION))));
            if meanwhile != State::Queued {
                changes.push(Change::Start(id));
            }
            if meanwhile == State::Paused {
                changes.push(Change::Pause(id));
            }
        }
        changes
    }
}

/// The loaded jobs that have not ended, neither as they were loaded nor since.
fn loaded_unfinished(jobs: usize, shape: Shape, moved: &Moved) -> impl Iterator<Item = Waiting> {
    let unfinished =
        Jobs::new(SEED, jobs).shaped(shape).filter(|job| !job.state.is_terminal()).map(|job| {
            let state = moved.get(&job.uuid).copied().unwrap_or(job.state);
            (job, state)
        });
    unfinished.filter(|(_, state)| !state.is_terminal())
}

/// The jobs that come later, each with the state in which it waits for its end.
fn later_jobs(jobs: usize, shape: Shape) -> impl Iterator<Item = Waiting> {
    later(jobs, shape).enumerate().map(|(n, job)| {
        let meanwhile = match n % 20 {
            0..8 => State::Queued,
            8..18 => State::Running,
            _ => State::Paused,
        };
        (job, meanwhile)
    })
}

/// How this job ends: as it was generated, or well if it was generated without an end.
fn ending(job: &JobParts) -> State {
    if job.state == State::Failure { State::Failure } else { State::Success }
}

/// What ends this job, which is in this state.
fn finish(job: JobParts, state: State, changes: &mut Vec<Change>) {
    let id = job.uuid;
    let never_began = ending(&job) == State::Failure && job.start_time.is_none();
    if state == State::Queued && !never_began {
        changes.push(Change::Start(id));
    }
    changes.push(match job.state {
        State::Failure => Change::Fail(id, Box::new(job)),
        State::Success => Change::Succeed(id, job.message),
        _ => Change::Succeed(id, MESSAGE.to_owned()),
    });
}

/// The uuid, so much later.
fn later_id(id: JobId) -> JobId {
    let bytes = u128::from_be_bytes(*id.as_bytes()) + (u128::from(LATER_MILLIS) << 80);
    JobId::from_uuid(uuid::Uuid::from_bytes(bytes.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;

    #[test]
    fn nothing_of_what_was_loaded_is_left_and_the_mixture_stays() {
        let jobs = 2_000;
        let (sides, _) = load(jobs, Shape::Full).unwrap();
        let before = sides.tracker.counts().unwrap();
        let line = churn(&sides, &Moved::new());
        assert!(line.ratio.is_some());
        let counts = sides.tracker.counts().unwrap();
        assert_eq!(counts.total(), jobs as u64);
        let unfinished = |of: &jobtrack::Counts| {
            let states = [State::Queued, State::Running, State::Paused];
            of.kinds().map(|kind| states.iter().map(|s| of.of(kind, *s)).sum::<u64>()).sum::<u64>()
        };
        assert_eq!(unfinished(&counts), unfinished(&before));
        for (id, state) in population(jobs, Shape::Full, &Moved::new()) {
            assert_eq!(sides.tracker.get(id).unwrap().job.state(), state);
        }
    }
}
