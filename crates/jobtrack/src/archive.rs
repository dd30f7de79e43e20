//! Where jobs go that leave the store.

use std::sync::Arc;

use crate::error::Result;
use crate::job::Job;

/// Keeps jobs that leave the store: those that expired, were deleted or evicted.
///
/// A tracker with an archive ([`Options::archive`](crate::Options::archive)) hands over every job
/// before its removal is committed, as it last stood. So a job gets there **at least once**: after a
/// crash, or a commit that failed, between the two it is handed over again. What is handed over may
/// still be in the store, and an archive that must not have a job twice goes by its uuid and
/// [end](Job::end_time).
///
/// **While the archive fails, nothing is removed.** Expired jobs stay hidden all the same, and their
/// memory is not given back; deleting and evicting is refused; every other change goes on.
/// [`Tracker::archive_status`](crate::Tracker::archive_status) says so. It is tried again with the
/// commits that come, once a second at most.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use jobtrack::{Archive, Failure, Job, MemoryStore, NewJob, Options, Tracker};
///
/// #[derive(Default)]
/// struct Shelf(Mutex<Vec<Arc<Job>>>);
///
/// impl Archive for Shelf {
///     fn take(&self, jobs: &[Arc<Job>]) -> jobtrack::Result<()> {
///         self.0.lock().unwrap().extend_from_slice(jobs);
///         Ok(())
///     }
/// }
///
/// let shelf = Arc::new(Shelf::default());
/// let archive: Arc<dyn Archive> = shelf.clone();
/// let options = Options { archive: Some(archive), ..Options::default() };
/// let tracker = Tracker::open(MemoryStore::new(), options)?;
/// let job = tracker.create(NewJob::described("Backup of vol1"))?;
/// tracker.fail(job.uuid, Failure::default())?;
/// tracker.delete(job.uuid)?;
/// assert_eq!(shelf.0.lock().unwrap()[0].description, "Backup of vol1");
/// # Ok::<(), jobtrack::Error>(())
/// ```
pub trait Archive: Send + Sync {
    /// Takes these jobs, all of them or none, and returns once they are safe.
    ///
    /// It is called by whoever commits, and nothing else is committed meanwhile: it must end, and
    /// soon.
    ///
    /// # Errors
    ///
    /// Whatever stands in the way, by a name that an operator understands.
    fn take(&self, jobs: &[Arc<Job>]) -> Result<()>;
}
