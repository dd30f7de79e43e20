//! A job as a line of an import: what is taken is the same after JSON, after the store's codec, and
//! after an export and an import elsewhere.

use std::sync::Arc;

use crate::jobs::options;
use jobtrack::{Command, Job, JobParts, MemoryStore, Revision, Tracker};

/// Imports the job, opens its store again, and imports it elsewhere.
///
/// # Panics
///
/// Where it is not the same everywhere.
pub fn job_json(data: &[u8]) {
    let Ok(parts) = serde_json::from_slice::<JobParts>(data) else { return };
    if let Ok(job) = Job::try_from(parts.clone()) {
        let text = serde_json::to_string(&job).expect("a job can be written");
        assert_eq!(serde_json::from_str::<Job>(&text).expect("and read back"), job, "{text}");
    }
    let store = Arc::new(MemoryStore::new());
    let tracker = Tracker::open(Arc::clone(&store), options()).expect("a new store opens");
    let Ok(imported) = tracker.run(Command::import(parts)) else { return };
    let job = imported.job;
    drop(tracker);

    let tracker = Tracker::open(store, options()).expect("the store opens again");
    if job.lease.is_some() || job.deadline.is_some() {
        // Opening gives a lease a full term again, and what runs past its deadline fails.
        tracker.get(job.uuid).ok();
        return;
    }
    let found = tracker.get(job.uuid).expect("the job is there").job;
    assert_eq!(found, job, "after the codec");

    let text = serde_json::to_string(&*found).expect("a job can be exported");
    let parts: JobParts = serde_json::from_str(&text).expect("and read elsewhere");
    let tracker = Tracker::open(MemoryStore::new(), options()).expect("a new store opens");
    let elsewhere = tracker.run(Command::import(parts)).expect("and imported there").job;
    let less_revision =
        |job: &Job| JobParts { revision: Revision::default(), ..JobParts::from(job) };
    assert_eq!(less_revision(&elsewhere), less_revision(&job));
}
