//! An archive in memory, for tests to see what left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jobtrack::{Archive, Error, ErrorKind, Job, JobId, Result};
use parking_lot::Mutex;

/// Keeps every job that is handed over, or fails if it is told to.
#[derive(Debug, Default)]
pub struct Shelf {
    jobs: Mutex<BTreeMap<JobId, Vec<Arc<Job>>>>,
    fails: AtomicBool,
}

impl Shelf {
    /// Whether it ever got a job of this uuid.
    pub fn has(&self, id: JobId) -> bool {
        self.jobs.lock().contains_key(&id)
    }

    /// Every version of this job that it got.
    pub fn versions(&self, id: JobId) -> Vec<Arc<Job>> {
        self.jobs.lock().get(&id).cloned().unwrap_or_default()
    }

    /// How many jobs it got, those that came again included.
    pub fn len(&self) -> usize {
        self.jobs.lock().values().map(Vec::len).sum()
    }

    /// Whether it got none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A job that it got though that had not ended, or was held.
    pub fn wrong(&self) -> Option<Arc<Job>> {
        let all = self.jobs.lock();
        let is_wrong = |job: &&Arc<Job>| !job.state().is_terminal() || job.held.is_some();
        all.values().flatten().find(is_wrong).cloned()
    }

    /// Has it fail from now on, or no more.
    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// Whether it fails.
    pub fn fails(&self) -> bool {
        self.fails.load(Ordering::Relaxed)
    }
}

impl Archive for Shelf {
    fn take(&self, jobs: &[Arc<Job>]) -> Result<()> {
        if self.fails() {
            return Err(Error::new(ErrorKind::StoreFull, "the shelf is full"));
        }
        let mut all = self.jobs.lock();
        for job in jobs {
            all.entry(job.uuid).or_default().push(Arc::clone(job));
        }
        Ok(())
    }
}
