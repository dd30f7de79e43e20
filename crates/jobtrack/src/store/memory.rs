//! The reference store: records in a map, gone with the process.

use std::collections::BTreeMap;

use parking_lot::RwLock;

use super::restore::check_number;
use super::{
    Abilities, Batch, CommitError, Durability, Inspect, Key, Record, Restored, Space, Store, Visit,
};
use crate::error::Result;

/// A store in memory, for tests and for jobs that need not outlive their process.
///
/// What is simplest to read: every other store must behave as this one does, but for what survives.
/// Shared through an `Arc`, it can be opened again within the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    records: BTreeMap<(Space, Key), Record>,
    revision: u64,
}

impl MemoryStore {
    /// A store without records.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        let inner = self.inner.read();
        for ((space, key), record) in &inner.records {
            if space.is_loaded() {
                visit(*space, key, record.clone())?;
            }
        }
        Ok(inner.revision)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        Ok(self.inner.read().records.get(&(space, key.into())).cloned())
    }

    fn commit(&self, batch: &Batch, _durability: Durability) -> Result<u64, CommitError> {
        let mut inner = self.inner.write();
        for expectation in &batch.expectations {
            let found = inner.records.get(&(expectation.space, expectation.key.clone()));
            if found.map(|record| record.revision) != expectation.revision {
                return Err(CommitError::Conflict(expectation.clone()));
            }
        }
        inner.revision += 1;
        let revision = inner.revision;
        for write in &batch.writes {
            let key = (write.space, write.key.clone());
            match &write.value {
                None => inner.records.remove(&key),
                Some(value) => inner.records.insert(key, Record { revision, value: value.clone() }),
            };
        }
        Ok(revision)
    }

    fn abilities(&self) -> Abilities {
        Abilities { scan: true, restore: true, ..Abilities::default() }
    }

    fn scan(&self, visit: &mut Inspect<'_>) -> Result<u64> {
        // A copy, so that commits go on while it is visited.
        let (records, revision) = {
            let inner = self.inner.read();
            (inner.records.clone(), inner.revision)
        };
        for ((space, key), record) in records {
            visit(space, &key, Ok(record))?;
        }
        Ok(revision)
    }

    fn restore(&self, restored: &Restored, _durability: Durability) -> Result<(), CommitError> {
        let mut inner = self.inner.write();
        check_number(inner.revision, restored.number).map_err(CommitError::Failed)?;
        inner.revision = restored.number;
        for (space, key, record) in &restored.records {
            inner.records.insert((*space, key.as_slice().into()), record.clone());
        }
        Ok(())
    }
}
