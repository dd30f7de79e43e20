//! A store that knows what a power cut would leave of it.

use jobtrack::Result;
use jobtrack::store::{
    Abilities, Batch, CommitError, Durability, Inspect, MemoryStore, Record, Space, Store, Visit,
};
use parking_lot::Mutex;

/// A store in memory that tells synced commits from deferred ones.
///
/// [`crash`](CrashStore::crash) gives the store that a power cut would leave: everything up to the
/// last synced commit, and as many of the deferred ones after it as the test says, since an
/// operating system may have written some of them already, first ones first.
///
/// ```
/// use jobtrack::store::{Durability, Space, Store};
/// use jobtrack_testkit::conformance::{batch, write};
/// use jobtrack_testkit::CrashStore;
///
/// let store = CrashStore::new();
/// for (key, durability) in
///     [(b"a", Durability::Synced), (b"b", Durability::Deferred), (b"c", Durability::Deferred)]
/// {
///     store.commit(&batch([], [write(Space::Job, key, Some(b"v"))]), durability).unwrap();
/// }
/// assert_eq!(store.deferred(), 2);
/// let left = store.crash(1);
/// assert!(left.read(Space::Job, b"b").unwrap().is_some());
/// assert!(left.read(Space::Job, b"c").unwrap().is_none());
/// ```
#[derive(Debug, Default)]
pub struct CrashStore {
    /// What readers see.
    live: MemoryStore,
    /// The batches that made it, in order.
    history: Mutex<History>,
}

#[derive(Debug, Default)]
struct History {
    batches: Vec<Batch>,
    /// How many of them are synced.
    synced: usize,
}

impl CrashStore {
    /// A store without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many deferred commits a power cut could take.
    pub fn deferred(&self) -> usize {
        let history = self.history.lock();
        history.batches.len() - history.synced
    }

    /// The store that a power cut would leave if it kept so many of the deferred commits, or all
    /// of them if there are fewer. This one goes on as if nothing had happened.
    pub fn crash(&self, kept: usize) -> CrashStore {
        let history = self.history.lock();
        let left = CrashStore::new();
        for batch in history.batches.iter().take(history.synced.saturating_add(kept)) {
            // It met its expectations before, and everything before it is as it was.
            let _ = left.commit(batch, Durability::Synced);
        }
        left
    }
}

impl Store for CrashStore {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.live.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.live.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        let mut history = self.history.lock();
        let revision = self.live.commit(batch, durability)?;
        history.batches.push(batch.clone());
        if durability == Durability::Synced {
            history.synced = history.batches.len();
        }
        Ok(revision)
    }

    fn abilities(&self) -> Abilities {
        Abilities { scan: true, ..Abilities::default() }
    }

    fn scan(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        self.live.scan(visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{batch, write};

    #[test]
    fn a_crash_keeps_what_is_synced_and_a_prefix_of_the_rest() {
        let store = CrashStore::new();
        let durabilities =
            [Durability::Deferred, Durability::Synced, Durability::Deferred, Durability::Deferred];
        for (key, durability) in (0u8..).zip(durabilities) {
            store.commit(&batch([], [write(Space::Job, &[key], Some(b"v"))]), durability).unwrap();
        }
        for (kept, expected) in [(0, 2), (1, 3), (2, 4), (9, 4)] {
            let mut keys = Vec::new();
            let left = store.crash(kept);
            let last = left.load(&mut |_, key, record| {
                keys.push(key[0]);
                assert_eq!(record.revision, u64::from(key[0]) + 1, "numbers are as before");
                Ok(())
            });
            assert_eq!(last.unwrap(), expected);
            assert_eq!(keys, Vec::from_iter(0..u8::try_from(expected).unwrap()));
            assert_eq!(left.deferred(), 0);
        }
    }
}
