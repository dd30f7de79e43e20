//! Random histories, the engine against the plain model, over a store that loses deferred commits.

use jobtrack_testkit::{Random, history};

use crate::course::{Broken, Course, Tally, cores};

/// How many steps a history has.
const STEPS: usize = 150;

/// Plays history after history.
///
/// # Errors
///
/// A disagreement.
pub fn run(course: &Course<'_>) -> Result<Tally, Broken> {
    course.run("histories", u64::MAX, cores(), |_, seed| {
        history::play(&Random::new(seed).bytes(STEPS * 4));
        let mut tally = Tally::default();
        tally.add("histories", 1);
        tally
    })
}
