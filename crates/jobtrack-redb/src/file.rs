//! The layout of the redb file: making it, opening it, one commit, one record.
//!
//! A table for each space, from key to (number of the commit that wrote it, bytes), and a table
//! `store` with the layout's level and the number of the last commit.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::OpenOptions;

use jobtrack::store::{
    Batch, Durability, Expectation, Folder, Record, Restored, Space, check_number,
};
use jobtrack::{Error, ErrorKind, Result};
use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend, Table,
    TableDefinition, TableError, WriteTransaction,
};

use crate::backend::Seam;
use crate::refusal::{refusal, with_path};

/// The level of the layout that this build writes; a file of a higher one is refused by name.
const LAYOUT: u64 = 1;

/// The store's own table.
const STORE: TableDefinition<'static, &str, u64> = TableDefinition::new("store");
const LAYOUT_KEY: &str = "layout";
const COMMIT_KEY: &str = "commit";

/// The newest format of redb's own file that this build reads.
const REDB_FORMAT: u8 = 3;

/// Why a commit was not made.
pub(crate) enum Setback {
    /// An expectation was not met; nothing was written.
    Conflict(Expectation),
    /// The batch cannot be written; nothing was, and the database is as good as before.
    Refused(Error),
    /// Something failed underneath; what was written is not known here, and redb is stuck.
    Broken(Error),
}

pub(crate) fn space_table(space: Space) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(space.name())
}

/// Makes the file under a temporary name and puts it in place when it is whole, so that a crash
/// leaves either no store or an empty one.
pub(crate) fn create(folder: &Folder, seam: &Seam) -> Result<()> {
    let failed = |error: redb::Error| refusal(folder, "make", error);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(folder.temporary_path())
        .map_err(|error| folder.error("make", error))?;
    let fill = || -> Result<(), redb::Error> {
        let database = Builder::new().create_with_backend(seam.backend(file)?)?;
        let transaction = database.begin_write()?;
        {
            let mut store = transaction.open_table(STORE)?;
            store.insert(LAYOUT_KEY, LAYOUT)?;
            store.insert(COMMIT_KEY, 0)?;
        }
        for &space in Space::ALL {
            transaction.open_table(space_table(space))?;
        }
        transaction.commit()?;
        Ok(database.close()?)
    };
    fill().map_err(failed)?;
    folder.put_in_place()
}

/// Opens the file, checks it, and tells the number of the last commit.
pub(crate) fn open(folder: &Folder, seam: &Seam, cache_bytes: usize) -> Result<(Database, u64)> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(folder.data_path())
        .map_err(|error| folder.error("open", error))?;
    let failed = |error: redb::Error| refusal(folder, "open", error);
    let backend = seam.backend(file).map_err(|error| failed(error.into()))?;
    if folder.is_doubted() {
        write_again(&backend).map_err(|error| folder.error("write", error))?;
        folder.trust()?;
    }
    inspect(folder, &backend)?;
    let database = Builder::new()
        .set_cache_size(cache_bytes)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend)
        .map_err(|error| failed(error.into()))?;
    let snapshot = database.begin_read().map_err(|error| failed(error.into()))?;
    let last = last_commit(folder, &snapshot)?;
    for &space in Space::ALL {
        snapshot.open_table(space_table(space)).map_err(|error| failed(error.into()))?;
    }
    Ok((database, last))
}

/// The number of the last commit in the snapshot, of a file that is a store of a known layout.
pub(crate) fn last_commit(folder: &Folder, snapshot: &ReadTransaction) -> Result<u64> {
    let failed = |error: redb::Error| refusal(folder, "read", error);
    let table = snapshot.open_table(STORE).map_err(|error| match error {
        TableError::Storage(error) => failed(error.into()),
        // Another program's redb file has no such table, or one of other types.
        error => with_path(folder, ErrorKind::StoreForeign, "is not a jobtrack store", &error),
    })?;
    let number = |key| -> Result<u64> {
        let value = table.get(key).map_err(|error| failed(error.into()))?;
        value.map(|value| value.value()).ok_or_else(|| {
            with_path(folder, ErrorKind::StoreDamaged, "is damaged", &format!("it has no {key}"))
        })
    };
    let layout = number(LAYOUT_KEY)?;
    if layout > LAYOUT {
        let why = format!("it has layout {layout}, this build reads up to {LAYOUT}");
        return Err(with_path(folder, ErrorKind::StoreTooNew, "is of a newer jobtrack", &why));
    }
    number(COMMIT_KEY)
}

/// Makes one commit.
pub(crate) fn commit(
    folder: &Folder,
    database: &Database,
    batch: &Batch,
    durability: Durability,
) -> Result<u64, Setback> {
    transact(folder, database, durability, |transaction, broken| {
        write(folder, transaction, batch, broken)
    })
}

/// Writes records as another store had them.
pub(crate) fn restore(
    folder: &Folder,
    database: &Database,
    restored: &Restored,
    durability: Durability,
) -> Result<u64, Setback> {
    transact(folder, database, durability, |transaction, broken| {
        let mut store = transaction.open_table(STORE).map_err(|error| broken(error.into()))?;
        let last = store.get(COMMIT_KEY).map_err(|error| broken(error.into()))?;
        let last = last.map_or(0, |last| last.value());
        check_number(last, restored.number).map_err(Setback::Refused)?;
        store.insert(COMMIT_KEY, restored.number).map_err(|error| broken(error.into()))?;
        let mut tables = Tables { transaction, opened: BTreeMap::new() };
        for (space, key, record) in &restored.records {
            let table = tables.of(*space).map_err(|error| broken(error.into()))?;
            let bytes = encode(record.revision, &record.value);
            table.insert(key.as_slice(), bytes.as_slice()).map_err(|error| broken(error.into()))?;
        }
        Ok(restored.number)
    })
}

/// Makes what is written in one transaction durable, or takes it back.
fn transact(
    folder: &Folder,
    database: &Database,
    durability: Durability,
    write: impl FnOnce(&WriteTransaction, &dyn Fn(redb::Error) -> Setback) -> Result<u64, Setback>,
) -> Result<u64, Setback> {
    let broken = |error: redb::Error| match error {
        redb::Error::ValueTooLarge(_) => Setback::Refused(refusal(folder, "write", error)),
        error => Setback::Broken(refusal(folder, "write", error)),
    };
    let mut transaction = database.begin_write().map_err(|error| broken(error.into()))?;
    transaction
        .set_durability(match durability {
            Durability::Deferred => redb::Durability::None,
            Durability::Synced => redb::Durability::Immediate,
        })
        .map_err(|error| broken(error.into()))?;
    // Dropped uncommitted on every error, which takes back what it wrote.
    let number = write(&transaction, &broken)?;
    transaction.commit().map_err(|error| broken(error.into()))?;
    Ok(number)
}

/// Checks and writes a batch within a transaction.
fn write(
    folder: &Folder,
    transaction: &WriteTransaction,
    batch: &Batch,
    broken: &dyn Fn(redb::Error) -> Setback,
) -> Result<u64, Setback> {
    let mut tables = Tables { transaction, opened: BTreeMap::new() };
    for expectation in &batch.expectations {
        let table = tables.of(expectation.space).map_err(|error| broken(error.into()))?;
        let found = table.get(expectation.key.as_bytes()).map_err(|error| broken(error.into()))?;
        let found = match found {
            None => None,
            Some(value) => {
                let record = decode(folder, expectation.space, &expectation.key, value.value());
                Some(record.map_err(Setback::Refused)?.revision)
            }
        };
        if found != expectation.revision {
            return Err(Setback::Conflict(expectation.clone()));
        }
    }

    let mut store = transaction.open_table(STORE).map_err(|error| broken(error.into()))?;
    let last = store.get(COMMIT_KEY).map_err(|error| broken(error.into()))?;
    let number = last.map_or(0, |last| last.value()) + 1;
    store.insert(COMMIT_KEY, number).map_err(|error| broken(error.into()))?;
    for write in &batch.writes {
        let table = tables.of(write.space).map_err(|error| broken(error.into()))?;
        let key = write.key.as_bytes();
        match &write.value {
            None => table.remove(key).map(drop),
            Some(value) => {
                let bytes = encode(number, value);
                table.insert(key, bytes.as_slice()).map(drop)
            }
        }
        .map_err(|error| broken(error.into()))?;
    }
    Ok(number)
}

/// What a table has of a record.
fn encode(revision: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 8);
    bytes.extend(revision.to_be_bytes());
    bytes.extend(value);
    bytes
}

/// A record as its table has it.
pub(crate) fn decode(folder: &Folder, space: Space, key: &[u8], value: &[u8]) -> Result<Record> {
    match value.split_first_chunk() {
        Some((revision, value)) => {
            Ok(Record { revision: u64::from_be_bytes(*revision), value: value.to_vec() })
        }
        None => {
            let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            let what = format!("the record {key} of space {} is cut short", space.name());
            Err(with_path(folder, ErrorKind::StoreDamaged, "is damaged", &what))
        }
    }
}

/// The tables of one transaction, each opened once, when it is first asked for.
struct Tables<'t> {
    transaction: &'t WriteTransaction,
    opened: BTreeMap<Space, Table<'t, &'static [u8], &'static [u8]>>,
}

impl<'t> Tables<'t> {
    fn of(
        &mut self,
        space: Space,
    ) -> Result<&mut Table<'t, &'static [u8], &'static [u8]>, TableError> {
        Ok(match self.opened.entry(space) {
            Entry::Occupied(opened) => opened.into_mut(),
            Entry::Vacant(free) => free.insert(self.transaction.open_table(space_table(space))?),
        })
    }
}

/// Writes the file again as it is read, and syncs it. After a failed sync the system may show what it
/// has not written, and would take it for written.
fn write_again(file: &impl StorageBackend) -> std::io::Result<()> {
    const BLOCK: usize = 1 << 20;
    let length = file.len()?;
    for at in (0..length).step_by(BLOCK) {
        let rest = usize::try_from(length - at).unwrap_or(BLOCK);
        let mut block = vec![0; rest.min(BLOCK)];
        file.read(at, &mut block)?;
        file.write(at, &block)?;
    }
    // The length as well, in case that it was not written.
    file.set_len(length)?;
    file.sync_data()
}

/// Refuses by name what redb would only call corrupted, or would make into an empty database.
fn inspect(folder: &Folder, file: &impl StorageBackend) -> Result<()> {
    // redb's header: nine bytes of magic, a byte whose lowest bit tells which of two commit slots
    // is current, and at 64 and 192 the slots, each beginning with the version of the format.
    let read = || {
        let mut header = vec![0; usize::try_from(file.len()?.min(193)).unwrap_or(0)];
        file.read(0, &mut header)?;
        Ok(header)
    };
    let header: Vec<u8> = read().map_err(|error| folder.error("read", error))?;
    if header.is_empty() {
        return Err(with_path(folder, ErrorKind::StoreDamaged, "is damaged", &"it is empty"));
    }
    if !header.starts_with(b"redb\x1a\x0a\xa9\x0d\x0a") {
        let why = "it does not begin as a redb file does";
        return Err(with_path(folder, ErrorKind::StoreForeign, "is not a jobtrack store", &why));
    }
    let is_second = header.get(9).is_some_and(|flags| flags & 1 == 1);
    match header.get(if is_second { 192 } else { 64 }) {
        Some(&version) if version > REDB_FORMAT => {
            let why = format!(
                "its redb format is {version}, this build reads up to {REDB_FORMAT} (or its header \
                 is damaged)"
            );
            Err(with_path(folder, ErrorKind::StoreTooNew, "is of a newer jobtrack", &why))
        }
        Some(_) => Ok(()),
        None => Err(with_path(folder, ErrorKind::StoreDamaged, "is damaged", &"it is cut short")),
    }
}
