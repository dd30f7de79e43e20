//! The seam between redb and the file: notices a failed sync, and is where tests put bad disks.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

/// What a test puts around the file.
type Wrap = dyn Fn(FileBackend) -> Box<dyn StorageBackend> + Send + Sync;

/// How redb gets at its file, and whether a sync of it has ever failed.
#[derive(Clone, Default)]
pub(crate) struct Seam {
    wrap: Option<Arc<Wrap>>,
    has_failed_sync: Arc<AtomicBool>,
}

impl Seam {
    pub(crate) fn around(
        wrap: impl Fn(FileBackend) -> Box<dyn StorageBackend> + Send + Sync + 'static,
    ) -> Seam {
        Seam { wrap: Some(Arc::new(wrap)), ..Seam::default() }
    }

    pub(crate) fn has_failed_sync(&self) -> bool {
        self.has_failed_sync.load(Ordering::Acquire)
    }

    pub(crate) fn backend(&self, file: File) -> Result<Watched, DatabaseError> {
        let file = FileBackend::new(file)?;
        let inner = match &self.wrap {
            None => Box::new(file),
            Some(wrap) => wrap(file),
        };
        Ok(Watched { inner, has_failed_sync: self.has_failed_sync.clone() })
    }
}

/// The file, watched for failed syncs. All else is handed on.
pub(crate) struct Watched {
    inner: Box<dyn StorageBackend>,
    has_failed_sync: Arc<AtomicBool>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl StorageBackend for Watched {
    fn sync_data(&self) -> io::Result<()> {
        let outcome = self.inner.sync_data();
        if outcome.is_err() {
            self.has_failed_sync.store(true, Ordering::Release);
        }
        outcome
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
