//! A history, four bytes an operation: the tracker and a plain model of it agree after each.

#![no_main]

use jobtrack_testkit::history;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Longer ones find nothing that shorter ones do not, and cost more than they are worth.
    history::play(&data[..data.len().min(4 * 100)]);
});
