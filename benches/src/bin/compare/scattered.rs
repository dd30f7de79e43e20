//! Random changes over everything: a table that does well where jobs change soon after they were
//! made may do badly where old ones do.

use std::time::{Duration, Instant};

use jobtrack::{Clock, Command, JobId, State};
use jobtrack_benches::{RETENTION, Random, progress_bar};

use crate::change::{Change, Changer, commit};
use crate::changes::{MODES, check_alike};
use crate::churn::Moved;
use crate::line::{Line, Of};
use crate::load::Sides;
use crate::sqlite::Answer;
use crate::timing::Timed;

/// Changed jobs of which both sides' records are compared in the end.
const COMPARED: usize = 1_000;
/// Of so many unfinished jobs one may go on or end: the mixture of states must stay as it is, or what
/// is measured next has no job to ask for.
const MOVES: usize = 4;
/// Changes that are prepared at once.
const PREPARED: usize = 1_000;

/// Measures changes of jobs that are picked evenly out of all of them: finished ones are extended,
/// unfinished ones report, go on or end. Notes in `moved` what state they have come into.
pub(crate) fn measure(
    sides: &Sides,
    population: impl Iterator<Item = (JobId, State)>,
    moved: &mut Moved,
    is_wanted: impl Fn(&str) -> bool,
    budget: Duration,
) -> Vec<Line> {
    let modes = MODES.map(|(batch, mode)| (batch, format!("random over everything, {mode}")));
    if !modes.iter().any(|(_, name)| is_wanted(name)) {
        return Vec::new();
    }
    let mut picker = Picker::of(population);
    let mut changer = Changer::of(&sides.sqlite);
    let mut lines = Vec::new();
    sides.clock.hold();
    for (batch, name) in modes.iter().filter(|(_, name)| is_wanted(name)) {
        let bar = progress_bar(0, name);
        let (mut of_tracker, mut of_sqlite) = (Timed::default(), Timed::default());
        let mut is_first = true;
        while of_tracker.total() + of_sqlite.total() < budget * 2 || of_tracker.runs() < 5 {
            let changes: Vec<Change> = (0..PREPARED).map(|_| picker.pick(moved)).collect();
            // In turn, a thousand changes a turn, however many of them share a commit.
            for batch in changes.chunks(*batch) {
                let commands: Vec<Command> = batch.iter().map(Change::command).collect();
                let began = Instant::now();
                commit(&sides.tracker, commands);
                of_tracker.add(began.elapsed(), batch.len());
            }
            for batch in changes.chunks(*batch) {
                let began = Instant::now();
                changer.commit(batch, sides.clock.wall(), None);
                of_sqlite.add(began.elapsed(), batch.len());
            }
            // As with lives: what comes first pays for what was given back before.
            if std::mem::take(&mut is_first) {
                (of_tracker, of_sqlite) = <(Timed, Timed)>::default();
            }
            bar.inc(PREPARED as u64);
            sides.clock.advance(Duration::from_millis(1));
        }
        bar.finish_and_clear();
        let line = Line::new(Of::Change, name, sides.jobs);
        lines.push(line.timed(&of_tracker, Some(&of_sqlite)));
    }
    drop(changer);
    check_alike(sides);
    for id in picker.latest {
        let found = sides.tracker.get(id).expect("the job is there");
        let record = crate::queries::record(&found);
        assert_eq!(sides.sqlite.get(id), Answer::Records(vec![record]), "after random changes");
    }
    sides.clock.release();
    lines
}

/// Picks jobs, and what can be done to them.
struct Picker {
    jobs: Vec<(JobId, State)>,
    random: Random,
    /// By how much the next job is extended; each time by more, so that it is a change.
    longer: Duration,
    /// How many jobs may still go on or end; the others report.
    moves: usize,
    latest: Vec<JobId>,
}

impl Picker {
    fn of(population: impl Iterator<Item = (JobId, State)>) -> Self {
        let jobs: Vec<_> = population.collect();
        let random = Random::new(jobs.len() as u64);
        let unfinished = jobs.iter().filter(|(_, state)| !state.is_terminal()).count();
        let moves = unfinished / MOVES;
        Picker { jobs, random, longer: Duration::ZERO, moves, latest: Vec::new() }
    }

    fn pick(&mut self, moved: &mut Moved) -> Change {
        let at = self.random.below(self.jobs.len() as u64);
        let (id, state) = &mut self.jobs[usize::try_from(at).expect("a place in the list")];
        let id = *id;
        if self.latest.len() < COMPARED {
            self.latest.push(id);
        }
        if state.is_terminal() {
            self.longer += Duration::from_micros(100);
            return Change::Extend(id, RETENTION + self.longer);
        }
        if self.moves == 0 || self.random.chance(600) {
            return Change::Report(id, format!("Running: {} % done", self.random.below(100)));
        }
        self.moves -= 1;
        let is_queued = *state == State::Queued;
        *state = if is_queued { State::Running } else { State::Success };
        moved.insert(id, *state);
        if is_queued {
            return Change::Start(id);
        }
        Change::Succeed(id, format!("Complete: {} files", self.random.below(1_000)))
    }
}

#[cfg(test)]
mod tests {
    use jobtrack_benches::{Jobs, Shape};

    use super::*;
    use crate::load::{SEED, load};

    #[test]
    fn both_sides_make_the_same_random_changes() {
        let (sides, _) = load(2_000, Shape::Full).unwrap();
        let population =
            || Jobs::new(SEED, 2_000).shaped(Shape::Full).map(|job| (job.uuid, job.state));
        let mut moved = Moved::new();
        // The records of the jobs that were changed are compared within.
        let lines = measure(&sides, population(), &mut moved, |_| true, Duration::ZERO);
        assert_eq!(lines.len(), MODES.len());
        assert!(!moved.is_empty());
        for (id, state) in &moved {
            assert_eq!(sides.tracker.get(*id).unwrap().state(), *state);
        }
        // The churn that follows takes the jobs on from where they are.
        crate::churn::churn(&sides, &moved);
    }
}
