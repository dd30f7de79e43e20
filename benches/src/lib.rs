//! What the benches, the figures and the comparison share: realistic jobs, the queries asked of them
//! (with the same in SQL), and a tracker that holds them.
//!
//! Nothing here asserts how fast anything is. It only makes sure that whoever speaks of a figure can
//! make it again: the jobs come from a seed, and each query class has a name.

// Whatever goes wrong while measuring must end the measurement: a wrong figure is worse than none.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

mod bare_log;
mod generator;
mod process;
mod queries;
mod random;
mod random_query;
mod vocabulary;
mod world;

pub use bare_log::BareLog;
pub use generator::{Jobs, RETENTION, Shape, WINDOW_END};
pub use process::{available, grouped, grouped_whole, progress_bar, resident, run_apart};
pub use queries::{Asked, Examples, QueryClass, Sql, query_classes, state_number};
pub use random::Random;
pub use random_query::{RandomQueries, RandomQuery};
pub use world::{BenchClock, Meter, MeteredStore, import, tracker_of, tracker_with};
