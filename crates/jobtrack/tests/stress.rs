//! 64 writers and 256 readers at once, and everything they were told judged afterwards.
//!
//! `cargo xtask stress --seconds 600` goes on for longer.

use std::time::Duration;

use jobtrack::{MemoryStore, Tracker};
use jobtrack_testkit::stress::{self, Load};

#[test]
fn many_at_once_are_told_one_story() {
    stress::rounds(&mut || Tracker::open(MemoryStore::new(), stress::options()).unwrap());
    // Few who hardly ever meet take other ways than many who always do.
    let few = Load { writers: 2, readers: 2, watchers: 1, time: Duration::from_millis(300) };
    let tracker = Tracker::open(MemoryStore::new(), stress::options()).unwrap();
    assert!(stress::run(&tracker, &few).changes > 0);
}
