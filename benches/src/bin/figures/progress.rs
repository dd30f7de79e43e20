//! What many reports of progress cost the store.

use std::time::{Duration, Instant};

use jobtrack::{Command, JobId, NewJob, NoStore, Options, Progress, Report, Tracker};
use jobtrack_benches::MeteredStore;

use crate::report::Figure;

const JOBS: usize = 1_000;
const REPORTS_PER_SECOND: u32 = 10_000;
const SECONDS: u32 = 5;

/// Bytes that the store is handed each second, for reports ahead of it and for ordinary ones.
pub(crate) fn figures() -> Vec<Figure> {
    [("ahead of the store", true), ("as ordinary changes", false)]
        .into_iter()
        .map(|(name, is_ahead)| Figure {
            name: format!("{REPORTS_PER_SECOND} progress reports/s over {JOBS} jobs, {name}"),
            value: bytes_per_second(is_ahead),
            unit: "bytes/s",
            beside: None,
        })
        .collect()
}

fn bytes_per_second(is_ahead: bool) -> f64 {
    let (store, meter) = MeteredStore::new(NoStore::default());
    let tracker = Tracker::open(store, Options::default()).expect("a new store opens");
    let create = |_| tracker.create(NewJob::described("Backup of vol1")).expect("it is new").uuid;
    let ids: Vec<JobId> = (0..JOBS).map(create).collect();
    for id in &ids {
        tracker.start(*id).expect("it is queued");
    }
    let before = meter.bytes();
    let began = Instant::now();
    for (n, id) in (0..SECONDS * REPORTS_PER_SECOND).zip(ids.iter().cycle()) {
        // Evenly, as far as the machine keeps up.
        let at = Duration::from_secs(1) / REPORTS_PER_SECOND * n;
        while began.elapsed() < at {
            std::hint::spin_loop();
        }
        let progress = Progress { done: n.into(), total: None, unit: "bytes".into() };
        if is_ahead {
            tracker.progress(*id, progress, None).expect("it is running");
        } else {
            tracker.run(Command::report(*id, Report::from(progress))).expect("it is running");
        }
    }
    let bytes = meter.bytes() - before;
    #[allow(clippy::cast_precision_loss)] // Some millions.
    let bytes = bytes as f64;
    bytes / began.elapsed().as_secs_f64()
}
