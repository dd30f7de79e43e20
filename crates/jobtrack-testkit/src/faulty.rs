//! A store whose commits fail as planned.

use std::collections::BTreeMap;

use jobtrack::store::{
    Abilities, Batch, CommitError, Durability, Inspect, Record, Restored, Space, Store, Visit,
};
use jobtrack::{Error, ErrorKind, Result};
use parking_lot::Mutex;

/// How a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written, with an error of this kind; the next commit may be tried.
    Failed(ErrorKind),
    /// The caller is not told whether the batch was written.
    Unknown {
        /// Whether it was, as seen after [`FaultyStore::heal`].
        was_written: bool,
    },
}

/// A store around another, whose n-th commit fails as planned.
///
/// After an unknown outcome every later commit is answered so, as the contract has it, until
/// [`heal`](FaultyStore::heal) stands for opening the store again; and until then a batch that was
/// written is not seen.
///
/// ```
/// use jobtrack::store::{CommitError, Durability, Store};
/// use jobtrack::MemoryStore;
/// use jobtrack_testkit::conformance::{batch, write};
/// use jobtrack_testkit::{Fault, FaultyStore};
///
/// let store = FaultyStore::new(MemoryStore::new());
/// store.fail_commit(2, Fault::Unknown { was_written: true });
/// let batch = batch([], [write(jobtrack::store::Space::Job, b"k", Some(b"v"))]);
/// assert!(store.commit(&batch, Durability::Synced).is_ok());
/// for _ in 0..2 {
///     let outcome = store.commit(&batch, Durability::Synced);
///     assert!(matches!(outcome, Err(CommitError::Unknown(_))));
/// }
/// store.heal().unwrap();
/// assert_eq!(store.commit(&batch, Durability::Synced).unwrap(), 3);
/// ```
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    /// How many commits were asked for.
    asked: u64,
    /// What happens to the commit of this number.
    faults: BTreeMap<u64, Fault>,
    is_unsettled: bool,
    /// A batch that was written but is not seen yet.
    unseen: Option<(Batch, Durability)>,
}

impl<S: Store> FaultyStore<S> {
    /// A store around `inner`, in which nothing fails yet.
    pub fn new(inner: S) -> Self {
        FaultyStore { inner, plan: Mutex::default() }
    }

    /// Lets the n-th commit from now on fail; 1 is the next.
    ///
    /// A commit with an expectation that is not met is answered `Conflict` all the same.
    pub fn fail_commit(&self, n: u64, fault: Fault) {
        let mut plan = self.plan.lock();
        let number = plan.asked + n;
        plan.faults.insert(number, fault);
    }

    /// Takes back every fault that is planned.
    pub fn forget_faults(&self) {
        self.plan.lock().faults.clear();
    }

    /// Settles an unknown outcome, as opening the store again does. Plans stay.
    ///
    /// # Errors
    ///
    /// Those of the store underneath, when it writes the batch that was written.
    pub fn heal(&self) -> Result<(), CommitError> {
        let mut plan = self.plan.lock();
        plan.is_unsettled = false;
        match plan.unseen.take() {
            None => Ok(()),
            Some((batch, durability)) => self.inner.commit(&batch, durability).map(drop),
        }
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.inner.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.inner.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        let mut plan = self.plan.lock();
        if plan.is_unsettled {
            return Err(CommitError::Unknown(Error::new(
                ErrorKind::Unsettled,
                "an earlier outcome is unknown, as planned",
            )));
        }
        plan.asked += 1;
        let number = plan.asked;
        let Some(fault) = plan.faults.remove(&number) else {
            return self.inner.commit(batch, durability);
        };
        for expectation in &batch.expectations {
            let found = self.inner.read(expectation.space, &expectation.key);
            let revision = found.map_err(CommitError::Failed)?.map(|record| record.revision);
            if revision != expectation.revision {
                return Err(CommitError::Conflict(expectation.clone()));
            }
        }
        match fault {
            Fault::Failed(kind) => {
                Err(CommitError::Failed(Error::new(kind, "the commit failed, as planned")))
            }
            Fault::Unknown { was_written } => {
                plan.is_unsettled = true;
                plan.unseen = was_written.then(|| (batch.clone(), durability));
                Err(CommitError::Unknown(Error::new(
                    ErrorKind::OutcomeUnknown,
                    "the outcome is unknown, as planned",
                )))
            }
        }
    }

    /// As the store underneath.
    fn abilities(&self) -> Abilities {
        self.inner.abilities()
    }

    fn scan(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        self.inner.scan(visit)
    }

    /// Counts as a commit; an outcome that would be unknown fails.
    fn restore(&self, restored: &Restored, durability: Durability) -> Result<(), CommitError> {
        let mut plan = self.plan.lock();
        plan.asked += 1;
        let number = plan.asked;
        match plan.faults.remove(&number) {
            None => self.inner.restore(restored, durability),
            Some(fault) => {
                let kind = match fault {
                    Fault::Failed(kind) => kind,
                    Fault::Unknown { .. } => ErrorKind::StoreFailed,
                };
                Err(CommitError::Failed(Error::new(kind, "the restoring failed, as planned")))
            }
        }
    }

    fn compact(&self) -> Result<()> {
        self.inner.compact()
    }
}

#[cfg(test)]
mod tests {
    use jobtrack::MemoryStore;

    use super::*;
    use crate::conformance::{batch, expect, write};

    fn value(store: &impl Store) -> Option<Vec<u8>> {
        store.read(Space::Job, b"k").unwrap().map(|record| record.value)
    }

    #[test]
    fn a_failed_commit_writes_nothing_and_the_next_may_be_tried() {
        let store = FaultyStore::new(MemoryStore::new());
        let first = batch([], [write(Space::Job, b"k", Some(b"1"))]);
        store.fail_commit(1, Fault::Failed(ErrorKind::StoreFull));
        match store.commit(&first, Durability::Synced) {
            Err(CommitError::Failed(error)) => assert_eq!(error.kind(), ErrorKind::StoreFull),
            other => panic!("{other:?}"),
        }
        assert_eq!(value(&store), None);
        assert_eq!(store.commit(&first, Durability::Synced).unwrap(), 1);
    }

    #[test]
    fn an_unknown_commit_shows_only_after_healing_and_only_if_written() {
        for was_written in [false, true] {
            let store = FaultyStore::new(MemoryStore::new());
            store.fail_commit(1, Fault::Unknown { was_written });
            let first = batch([], [write(Space::Job, b"k", Some(b"1"))]);
            assert!(store.commit(&first, Durability::Synced).is_err());
            assert_eq!(value(&store), None);
            let later = batch([], [write(Space::Job, b"k", Some(b"2"))]);
            match store.commit(&later, Durability::Synced) {
                Err(CommitError::Unknown(error)) => assert_eq!(error.kind(), ErrorKind::Unsettled),
                other => panic!("{other:?}"),
            }
            store.heal().unwrap();
            assert_eq!(value(&store), was_written.then(|| b"1".to_vec()));
        }
    }

    #[test]
    fn a_conflict_comes_before_the_fault() {
        let store = FaultyStore::new(MemoryStore::new());
        store.fail_commit(1, Fault::Unknown { was_written: true });
        let conflicting = batch([expect(Space::Job, b"k", Some(7))], []);
        let outcome = store.commit(&conflicting, Durability::Synced);
        assert!(matches!(outcome, Err(CommitError::Conflict(_))), "{outcome:?}");
    }
}
