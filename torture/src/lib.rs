//! What happens to every store when its machine fails.
//!
//! Each part is a campaign: cases by seed, until there were as many as wanted or time is up. It ends
//! with counts, or with the first promise that was broken and the seed that repeats it. `cargo xtask
//! torture` runs them at length, and the tests of this crate a tenth of them.

// Counts and sizes are far below where a cast could cut them, on every machine this runs on.
#![allow(clippy::cast_possible_truncation)]

pub mod course;
pub mod damage;
pub mod full_disk;
pub mod histories;
pub mod kills;
pub mod lossy;
pub mod machines;
pub mod operations;
pub mod parts;
pub mod power_cuts;
pub mod report;
pub mod stores;
pub mod wear;

pub use course::{Broken, Course, Tally};
