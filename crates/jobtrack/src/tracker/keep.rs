//! What keeps a store for years: its format level, and a backup while it is in use.

use super::Tracker;
use crate::error::Result;
use crate::store::Inspect;

/// The format level of a store, and the newest that this build knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatLevel {
    /// That of the store: builds that know it can open the store.
    pub store: u32,
    /// The newest that this build knows.
    pub newest: u32,
}

impl Tracker {
    /// The format level of the store.
    ///
    /// ```
    /// use jobtrack::{MemoryStore, Options, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// let level = tracker.format();
    /// assert_eq!(level.store, level.newest, "a new store has the newest");
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    pub fn format(&self) -> FormatLevel {
        FormatLevel { store: self.0.view.read().format, newest: self.0.newest_format }
    }

    /// Raises the store to the newest format level that this build knows, and returns it. There is
    /// no way back: releases that do not know the level do not open the store any more. So it is
    /// done on purpose, once no such release may be needed, and never by opening alone.
    ///
    /// # Errors
    ///
    /// As [`sync`](Tracker::sync); the level is then as before, or it is not known until the store
    /// is opened again.
    pub fn finalize(&self) -> Result<u32> {
        self.0.finalize()
    }

    /// Visits every record of the store, all as of one commit, whose number it returns. Changes go
    /// on meanwhile. What [`Restorer`](crate::store::Restorer) makes of the records is a backup; it begins with the number of the
    /// tracker's revision before.
    ///
    /// # Errors
    ///
    /// `Closed`; `StoreCannot` for a kind of store that cannot be read whole; as
    /// [`Store::scan`](crate::Store::scan).
    pub fn backup(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        self.0.read(|_, _| ())?;
        self.0.store.scan(visit)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Options, open};
    use super::*;
    use crate::command::NewJob;
    use crate::error::ErrorKind;
    use crate::store::{FORMAT, MemoryStore};

    /// As a build opens it whose newest format level is this one.
    fn open_with(store: &Arc<MemoryStore>, newest: u32) -> Result<Tracker> {
        let store = Box::new(Arc::clone(store));
        open::open(store, Options::default(), newest).map(|inner| Tracker(Arc::new(inner)))
    }

    fn create(tracker: &Tracker) {
        tracker.create(NewJob::described("a job")).unwrap();
    }

    #[test]
    fn a_store_keeps_its_level_until_it_is_raised_on_purpose() {
        let store = Arc::new(MemoryStore::new());
        create(&open_with(&store, FORMAT).unwrap());
        // The next release, and back again, and the next one once more, crash included.
        for newest in [FORMAT + 1, FORMAT, FORMAT + 1] {
            let tracker = open_with(&store, newest).unwrap();
            assert_eq!(tracker.format(), FormatLevel { store: FORMAT, newest });
            create(&tracker);
            tracker.sync().unwrap();
            tracker.maintain(10).unwrap();
        }
        std::mem::forget(open_with(&store, FORMAT + 1).unwrap());
        assert_eq!(open_with(&store, FORMAT).unwrap().format().store, FORMAT);
    }

    #[test]
    fn a_raised_store_is_refused_by_name_and_stays_raised() {
        let store = Arc::new(MemoryStore::new());
        create(&open_with(&store, FORMAT).unwrap());
        let tracker = open_with(&store, FORMAT + 1).unwrap();
        let before = tracker.revision();
        assert_eq!(tracker.finalize().unwrap(), FORMAT + 1);
        assert_eq!(tracker.format().store, FORMAT + 1);
        let after = tracker.revision();
        assert!(after > before, "it is a commit");
        assert_eq!(tracker.finalize().unwrap(), FORMAT + 1);
        assert_eq!(tracker.revision(), after, "there is nothing more to raise");
        create(&tracker);
        drop(tracker);

        let error = open_with(&store, FORMAT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreTooNew);
        let parts = [format!("format level {}", FORMAT + 1), format!("levels up to {FORMAT}")];
        assert!(parts.iter().all(|part| error.message().contains(part)), "{error}");
        let tracker = open_with(&store, FORMAT + 1).unwrap();
        assert_eq!(tracker.format().store, FORMAT + 1);
        assert_eq!(tracker.opened().jobs, 2);
    }

    #[test]
    fn a_new_store_has_the_newest_level_and_a_closed_one_is_not_raised() {
        let tracker = open_with(&Arc::new(MemoryStore::new()), FORMAT + 1).unwrap();
        assert_eq!(tracker.format().store, FORMAT + 1);
        tracker.close().unwrap();
        assert_eq!(tracker.finalize().unwrap_err().kind(), ErrorKind::Closed);
        let backup = tracker.backup(&mut |_, _, _| Ok(()));
        assert_eq!(backup.unwrap_err().kind(), ErrorKind::Closed);
    }
}
