//! fjall as an [`Engine`]: one keyspace, one batch for each commit.

use fjall::{Database, Keyspace, KeyspaceCreateOptions, LsmError, PersistMode, Readable};
use jobtrack::store::{Abilities, Loss};
use jobtrack::{Clock, Error, ErrorKind, Result};
use jobtrack_checked::{Engine, Place, VisitPair};

use crate::{Options, journal, manifest};

/// The keyspace that holds every record.
const KEYSPACE: &str = "records";

/// The least that fjall allows. The journals of what is not in tables yet are read at opening.
const JOURNAL_BYTES: u64 = 64 << 20;

/// An open database, which is of use to [`CheckedStore`](jobtrack_checked::CheckedStore) alone.
pub struct Fjall {
    // In this order, since fields are dropped in it.
    records: Keyspace,
    database: Database,
    place: Place,
}

impl Engine for Fjall {
    type Options = Options;

    const NAME: &'static str = "fjall";
    const LABEL: &'static str = "jobs.fjall";
    const ABILITIES: Abilities = Abilities {
        compact: true,
        scan: true,
        restore: true,
        outlasts_a_full_disk: false,
        removes_on_a_full_disk: false,
    };

    fn clock(options: &Options) -> &dyn Clock {
        &*options.clock
    }

    fn open(place: &Place, options: &Options) -> Result<Fjall> {
        if !place.is_new {
            manifest::inspect(place)?;
            journal::inspect(place)?;
        }
        Self::open_inspected(place, options)
    }

    fn open_damaged(place: &Place, losses: &mut Vec<Loss>) -> Result<Fjall> {
        // On damaged tables fjall may end the process, so those must be whole.
        manifest::inspect(place)?;
        journal::mend(place, losses)?;
        Self::open_inspected(place, &Options::default())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        // By a snapshot, since the keyspace itself shows batches that are on their way.
        let found = self.database.snapshot().get(&self.records, key);
        let found = found.map_err(|error| refusal(&self.place, "read", error))?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn scan(&self, is_backwards: bool, visit: &mut VisitPair<'_>) -> Result<()> {
        let mut pairs = self.database.snapshot().iter(&self.records);
        while let Some(pair) = if is_backwards { pairs.next_back() } else { pairs.next() } {
            let (key, value) =
                pair.into_inner().map_err(|error| refusal(&self.place, "read", error))?;
            visit(&key, &value)?;
        }
        Ok(())
    }

    fn write(&self, pairs: Vec<(Vec<u8>, Option<Vec<u8>>)>, is_synced: bool) -> Result<()> {
        let mode = if is_synced { PersistMode::SyncAll } else { PersistMode::Buffer };
        let mut batch = self.database.batch().durability(Some(mode));
        for (key, value) in pairs {
            match value {
                None => batch.remove(&self.records, key),
                Some(value) => batch.insert(&self.records, key, value),
            }
        }
        batch.commit().map_err(|error| refusal(&self.place, "write", error))
    }

    fn compact(&self) -> Result<()> {
        let failed = |error| refusal(&self.place, "compact", error);
        // What is in the journal alone goes into tables, so that the journal can go.
        self.records.rotate_memtable_and_wait().map_err(failed)?;
        self.records.major_compact().map_err(failed)
    }

    fn sync(&self) -> Result<()> {
        self.database
            .persist(PersistMode::SyncAll)
            .map_err(|error| refusal(&self.place, "write", error))
    }
}

impl Fjall {
    /// Opens files that were looked at before.
    fn open_inspected(place: &Place, options: &Options) -> Result<Fjall> {
        let database = Database::builder(&place.path)
            .cache_size(options.cache_bytes)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .manual_journal_persist(true)
            .open()
            .map_err(|error| refusal(place, "open", error))?;
        if !place.is_new && !database.keyspace_exists(KEYSPACE) {
            return Err(place.damaged("its keyspace records is gone"));
        }
        let records = database
            .keyspace(KEYSPACE, || {
                KeyspaceCreateOptions::default().max_memtable_size(options.buffer_bytes)
            })
            .map_err(|error| refusal(place, "open", error))?;
        Ok(Fjall { records, database, place: place.clone() })
    }
}

/// fjall's errors in jobtrack's words.
fn refusal(place: &Place, doing: &str, error: fjall::Error) -> Error {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(LsmError::Io(error)) => {
            place.refusal(doing, &place.path, error)
        }
        fjall::Error::Locked => {
            place.error(ErrorKind::StoreHeld, "is held by another program", "fjall's lock is taken")
        }
        error => {
            let (kind, how) = match error {
                fjall::Error::Poisoned => {
                    (ErrorKind::StoreFailed, "takes nothing more after an error")
                }
                _ => (ErrorKind::StoreDamaged, "is damaged"),
            };
            place.error(kind, how, &error).with_source(error)
        }
    }
}
