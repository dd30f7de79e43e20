//! What the disk gives a program that does nothing but append and sync.

use std::path::Path;
use std::time::{Duration, Instant};

use jobtrack_benches::BareLog;

/// Appends so many records of this size to a file that was laid out before, with one fdatasync
/// after each `group` of them, and returns how long that took.
pub(crate) fn append(folder: &Path, records: usize, size: usize, group: usize) -> Duration {
    let mut log = BareLog::create(folder, records * size);
    let records_of_a_group = vec![0xa5; size * group];
    let began = Instant::now();
    let mut left = records;
    while left > 0 {
        let now = left.min(group);
        log.append(records_of_a_group.get(..now * size).expect("no more than a group"));
        left -= now;
    }
    began.elapsed()
}
