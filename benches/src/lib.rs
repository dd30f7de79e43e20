//! What the benches and the figures share: realistic jobs, the queries asked of them, and a tracker
//! that holds them.
//!
//! Nothing here asserts how fast anything is. It only makes sure that whoever speaks of a figure can
//! make it again: the jobs come from a seed, and each query class has a name.

// Whatever goes wrong while measuring must end the measurement: a wrong figure is worse than none.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

mod generator;
mod queries;
mod random;
mod vocabulary;
mod world;

pub use generator::{Jobs, WINDOW_END};
pub use queries::{Asked, QueryClass, query_classes};
pub use random::Random;
pub use world::{BenchClock, Meter, MeteredStore, NullStore, import, tracker_with};
