//! What the disk gives a program that does nothing but append and sync.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Appends so many records of this size to a file that was laid out before, with one fdatasync
/// after each `group` of them, and returns how long that took.
pub(crate) fn append(folder: &Path, records: usize, size: usize, group: usize) -> Duration {
    let path = folder.join("floor");
    let mut file = File::create(&path).expect("a file can be made");
    // Written and synced beforehand, so that the loop neither allocates blocks nor grows the file.
    file.write_all(&vec![0; records * size]).expect("the file can be laid out");
    file.sync_all().expect("the file can be synced");
    file.seek(SeekFrom::Start(0)).expect("the file can be rewound");

    let records_of_a_group = vec![0xa5; size * group];
    let began = Instant::now();
    let mut left = records;
    while left > 0 {
        let now = left.min(group);
        let bytes = records_of_a_group.get(..now * size).expect("no more than a group");
        file.write_all(bytes).expect("the file can be written");
        file.sync_data().expect("the file can be synced");
        left -= now;
    }
    let took = began.elapsed();
    std::fs::remove_file(&path).expect("the file can be removed");
    took
}
