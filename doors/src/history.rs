//! A history, four bytes an operation: the tracker and a plain model of it agree after each.

use jobtrack_testkit::history::play;

/// Longer ones find nothing that shorter ones do not, and cost more than they are worth.
pub(crate) const LONGEST: usize = 4 * 100;

/// Plays the history in memory.
///
/// # Panics
///
/// Where tracker and model disagree.
pub fn history(data: &[u8]) {
    play(&data[..data.len().min(LONGEST)]);
}
