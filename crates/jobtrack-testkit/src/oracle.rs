//! A judge that knows what a store must hold, since it saw every batch and every answer.
//!
//! It is told of each commit by the [`Watched`] store around the one under test. After a fault, a
//! crash or a power cut, and opening again, it [judges](Oracle::judge) what is left: every
//! acknowledged commit that was synced is there, of the others the first ones or none, each wholly,
//! with its number, and nothing else.

// A judge's verdict is a panic.
#![allow(clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use jobtrack::store::{Batch, CommitError, Durability, Record, Space, Store, Visit, Write};
use jobtrack::{ErrorKind, Result};
use parking_lot::Mutex;

/// Everything that can be read of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// The number of the last commit.
    pub commit: u64,
    /// Every record.
    pub records: BTreeMap<(Space, Vec<u8>), Record>,
}

impl Content {
    fn apply(&mut self, commit: u64, batch: &Batch) {
        self.commit = commit;
        for write in &batch.writes {
            let key = (write.space, write.key.to_vec());
            match &write.value {
                None => drop(self.records.remove(&key)),
                Some(value) => {
                    let record = Record { revision: commit, value: value.clone() };
                    self.records.insert(key, record);
                }
            }
        }
    }
}

/// The judge. Clones are handles on the same one.
///
/// ```
/// use jobtrack::store::{Durability, Space, Store};
/// use jobtrack_testkit::conformance::{batch, write};
/// use jobtrack_testkit::{CrashStore, Oracle};
///
/// let (oracle, store) = (Oracle::default(), std::sync::Arc::new(CrashStore::new()));
/// let watched = oracle.watch(store.clone());
/// let change = |value: &[u8]| batch([], [write(Space::Job, b"k", Some(value))]);
/// watched.commit(&change(b"1"), Durability::Synced).unwrap();
/// watched.commit(&change(b"2"), Durability::Deferred).unwrap();
/// assert_eq!(oracle.judge(&store.crash(0))?.commit, 1);
/// assert_eq!(oracle.judge(&store.crash(1))?.commit, 2);
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    /// What is there whatever happens.
    synced: Content,
    /// What was acknowledged after that, in order, with its number.
    since: Vec<(u64, Batch)>,
    /// The batch whose outcome is unknown, which ends all commits.
    unknown: Option<Batch>,
}

impl Oracle {
    /// The store, watched by this judge. Only one at a time may be at work.
    pub fn watch<S: Store>(&self, store: S) -> Watched<S> {
        Watched { store, oracle: self.clone() }
    }

    /// Judges a store that was opened again, and tells what it holds.
    ///
    /// # Errors
    ///
    /// Those of the store, while it is read.
    ///
    /// # Panics
    ///
    /// If what it holds is not what must, or may, be left.
    pub fn judge(&self, store: &dyn Store) -> Result<Content> {
        let known = self.known.lock();
        let found = known.read(store, &[])?;
        known.check(&found);
        Ok(found)
    }

    /// A judge of its own who knows the same.
    pub fn copy(&self) -> Oracle {
        Oracle { known: Arc::new(Mutex::new(self.known.lock().clone())) }
    }

    /// Takes what was found for what is there from now on, and synced: as a store is that was
    /// opened again.
    pub fn settle(&self, content: Content) {
        *self.known.lock() = Known { synced: content, ..Known::default() };
    }
}

impl Known {
    /// What readers must see now.
    fn seen(&self) -> Content {
        let mut content = self.synced.clone();
        self.since.iter().for_each(|(commit, batch)| content.apply(*commit, batch));
        content
    }

    fn last(&self) -> u64 {
        self.since.last().map_or(self.synced.commit, |(commit, _)| *commit)
    }

    fn check(&self, found: &Content) {
        let mut may_be = self.synced.clone();
        if *found == may_be {
            return;
        }
        let unknown = self.unknown.iter().map(|batch| (self.last() + 1, batch));
        let since = self.since.iter().map(|(commit, batch)| (*commit, batch));
        for (commit, batch) in since.chain(unknown) {
            may_be.apply(commit, batch);
            if *found == may_be {
                return;
            }
        }
        panic!(
            "after commit {} was synced, {} more acknowledged and {} begun, commit {} is left, \
             and is not what it was: {}",
            self.synced.commit,
            self.since.len(),
            usize::from(self.unknown.is_some()),
            found.commit,
            difference(&self.synced, found),
        );
    }

    /// Reads everything: what is loaded, and of the other spaces every key that was ever written or
    /// that these writes name.
    fn read(&self, store: &dyn Store, also: &[Write]) -> Result<Content> {
        let mut content = Content::default();
        content.commit = store.load(&mut |space, key, record| {
            content.records.insert((space, key.to_vec()), record);
            Ok(())
        })?;
        let batches = self.since.iter().map(|(_, batch)| batch).chain(&self.unknown);
        let written = batches.flat_map(|batch| &batch.writes).chain(also);
        let written = written.map(|write| (write.space, write.key.as_bytes()));
        let kept = self.synced.records.keys().map(|(space, key)| (*space, key.as_slice()));
        for (space, key) in written.chain(kept).filter(|(space, _)| !space.is_loaded()) {
            if let Some(record) = store.read(space, key)? {
                content.records.insert((space, key.to_vec()), record);
            }
        }
        Ok(content)
    }
}

/// A store whose every commit and answer a judge hears of, and which it judges on the way.
#[derive(Debug)]
pub struct Watched<S> {
    store: S,
    oracle: Oracle,
}

impl<S: Store> Watched<S> {
    /// What cannot be read is not judged: the disk may be broken. What can be read must be so.
    fn must_not_show(&self, batch: &Batch, known: &Known, why: &str) {
        if let Ok(found) = known.read(&self.store, &batch.writes) {
            let expected = known.seen();
            assert!(found == expected, "{why}: {}", difference(&expected, &found));
        }
    }
}

impl<S: Store> Store for Watched<S> {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.store.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.store.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        let mut known = self.oracle.known.lock();
        let outcome = self.store.commit(batch, durability);
        match &outcome {
            Ok(number) => {
                assert!(known.unknown.is_none(), "a commit was taken after an unknown outcome");
                assert!(*number > known.last(), "commit {number} comes after {}", known.last());
                known.since.push((*number, batch.clone()));
                if durability == Durability::Synced {
                    known.synced = known.seen();
                    known.since.clear();
                }
            }
            Err(CommitError::Conflict(unmet)) => {
                let key = (unmet.space, unmet.key.to_vec());
                let revision = known.seen().records.get(&key).map(|record| record.revision);
                assert!(revision != unmet.revision, "a conflict over what was met: {unmet:?}");
            }
            Err(CommitError::Failed(error)) => {
                assert!(known.unknown.is_none(), "tried after an unknown outcome: {error}");
                self.must_not_show(batch, &known, "a commit that failed has written something");
            }
            Err(CommitError::Unknown(error)) => {
                let expected = match known.unknown {
                    None => ErrorKind::OutcomeUnknown,
                    Some(_) => ErrorKind::Unsettled,
                };
                assert_eq!(error.kind(), expected, "{error}");
                self.must_not_show(batch, &known, "a commit whose outcome is unknown can be seen");
                known.unknown.get_or_insert_with(|| batch.clone());
            }
        }
        outcome
    }
}

/// The first records in which the two differ, for the message of a failure.
fn difference(expected: &Content, found: &Content) -> String {
    let keys = expected.records.keys().chain(found.records.keys());
    let differing = keys.filter(|key| expected.records.get(key) != found.records.get(key));
    let shown: Vec<String> = differing
        .take(4)
        .map(|(space, key)| {
            let revision = |content: &Content| {
                let record = content.records.get(&(*space, key.clone()));
                record.map_or_else(|| "absent".to_owned(), |record| record.revision.to_string())
            };
            format!("{} {key:02x?} {} -> {}", space.name(), revision(expected), revision(found))
        })
        .collect();
    format!("commit {} -> {}; {}", expected.commit, found.commit, shown.join(", "))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use jobtrack::MemoryStore;

    use super::*;
    use crate::conformance::{batch, write};
    use crate::{CrashStore, Fault, FaultyStore};

    fn change(key: u8) -> Batch {
        batch([], [Space::Job, Space::Blob].map(|space| write(space, &[key], Some(b"v"))))
    }

    fn is_refused(oracle: &Oracle, store: &dyn Store) -> bool {
        catch_unwind(AssertUnwindSafe(|| oracle.judge(store))).is_err()
    }

    #[test]
    fn a_prefix_of_what_is_deferred_may_be_left_and_nothing_less() {
        let (oracle, store) = (Oracle::default(), Arc::new(CrashStore::new()));
        let watched = oracle.watch(Arc::clone(&store));
        watched.commit(&change(1), Durability::Synced).unwrap();
        watched.commit(&change(2), Durability::Deferred).unwrap();
        watched.commit(&change(3), Durability::Deferred).unwrap();
        for kept in 0..3 {
            assert_eq!(oracle.judge(&store.crash(kept)).unwrap().commit, 1 + kept as u64);
        }
        let with = |batches: &[Batch]| {
            let store = MemoryStore::new();
            for batch in batches {
                store.commit(batch, Durability::Synced).unwrap();
            }
            store
        };
        assert!(is_refused(&oracle, &MemoryStore::new()), "what was synced is lost");
        assert!(is_refused(&oracle, &with(&[change(1), change(3)])), "a hole");
        let half = batch([], [write(Space::Job, &[2], Some(b"v"))]);
        assert!(is_refused(&oracle, &with(&[change(1), half])), "half of a commit");
        let all = [change(1), change(2), change(3)];
        assert_eq!(oracle.judge(&with(&all)).unwrap().commit, 3);
        let more = [all.to_vec(), vec![change(4)]].concat();
        assert!(is_refused(&oracle, &with(&more)), "what nobody wrote");
    }

    #[test]
    fn an_unknown_commit_may_be_there_and_a_failed_one_may_not() {
        let oracle = Oracle::default();
        let faulty = FaultyStore::new(MemoryStore::new());
        faulty.fail_commit(2, Fault::Failed(ErrorKind::StoreFull));
        faulty.fail_commit(3, Fault::Unknown { was_written: true });
        let watched = oracle.watch(faulty);
        for key in 1..5 {
            assert_eq!(watched.commit(&change(key), Durability::Synced).is_ok(), key == 1);
        }
        assert_eq!(oracle.judge(&watched.store).unwrap().commit, 1);
        watched.store.heal().unwrap();
        let found = oracle.judge(&watched.store).unwrap();
        assert_eq!(found.records.keys().filter(|(space, _)| *space == Space::Blob).count(), 2);
        oracle.settle(found);
        watched.commit(&change(4), Durability::Synced).unwrap();
    }
}
