//! From one store into another.

use super::codec::{EPOCHS_KEY, FORGOTTEN_KEY, FORMAT, HEAD_KEY, decode_head, decode_job};
use super::codec::{decode_tombstone, encode_epochs, encode_head, encode_job, encode_tombstone};
use super::{Batch, CommitError, Durability, Space, Store, Write};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Job, JobParts};

/// How many records are written in one commit, and how many bytes at most before it is made.
const RECORDS: usize = 1000;
const BYTES: usize = 1 << 20;

/// Copies everything in a store into a new one, of whichever kind; returns how many records.
///
/// Neither store may be in use by a [`Tracker`](crate::Tracker). `progress` is told after each commit
/// how many records have been copied. The last commit writes the head and is synced, so a copy that
/// was interrupted is refused as no store.
///
/// A revision is the number of a commit, and the commits of the copy are its own: its jobs keep
/// everything but their revisions, which are all of a new epoch, so that none is taken for another
/// that was seen before. Whoever watches from an earlier revision is told that there is a gap.
///
/// # Errors
///
/// `InvalidValue` if the store that is copied into has ever been written; `StoreTooNew` and
/// `StoreDamaged` for what cannot be read; `Contradiction` for a job with a payload or a result,
/// which [`Store::load`] does not visit and no version has written yet; and those of either store.
pub fn copy(
    from: &dyn Store,
    to: &dyn Store,
    clock: &dyn Clock,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    let used = || {
        Error::new(
            ErrorKind::InvalidValue,
            "the store to copy into is in use; give one that is new",
        )
    };
    if to.load(&mut |_, _, _| Err(used()))? > 0 {
        return Err(used());
    }
    let Some(head) = from.read(Space::Meta, HEAD_KEY)? else {
        return match from.load(&mut |_, _, _| Ok(()))? {
            0 => Ok(0),
            _ => Err(Error::new(ErrorKind::StoreForeign, "the store to copy has no head")),
        };
    };
    let mut head = decode_head(&head.value)?;
    if head.format > FORMAT {
        return Err(Error::new(
            ErrorKind::StoreTooNew,
            format!("the store has format level {}, this build knows {FORMAT}", head.format),
        ));
    }
    head.epoch += 1;
    head.is_clean = true;

    let epoch = head.epoch;
    let mut copy = Copy { to, clock, progress, writes: Vec::new(), bytes: 0, records: 0 };
    // In the first commit, which is where the new epoch begins.
    copy.put(Space::Meta, EPOCHS_KEY, encode_epochs(epoch, &[])?);
    from.load(&mut |space, key, record| {
        let value = match space {
            // Of the epochs that were; the head comes last.
            Space::Meta if [HEAD_KEY, EPOCHS_KEY, FORGOTTEN_KEY].contains(&key) => return Ok(()),
            Space::Job => in_epoch(&decode_job(&record.value, record.revision)?, epoch)?,
            Space::Tombstone => {
                let mut tombstone = decode_tombstone(&record.value, record.revision)?;
                tombstone.revision.epoch = epoch;
                encode_tombstone(&tombstone)?
            }
            _ => record.value,
        };
        copy.put(space, key, value);
        if copy.writes.len() < RECORDS && copy.bytes < BYTES {
            return Ok(());
        }
        copy.commit(Durability::Deferred)
    })?;
    copy.put(Space::Meta, HEAD_KEY, encode_head(&head)?);
    copy.commit(Durability::Synced)?;
    Ok(copy.records)
}

/// The record of the same job in another epoch.
fn in_epoch(job: &Job, epoch: u64) -> Result<Vec<u8>> {
    let mut parts = JobParts::from(job);
    if parts.payload_bytes.is_some() || parts.result_bytes.is_some() {
        let message = "a job with a payload or a result cannot be copied by this version";
        return Err(Error::new(ErrorKind::Contradiction, message).with_job(parts.uuid));
    }
    parts.revision.epoch = epoch;
    encode_job(&Job::try_from(parts)?)
}

struct Copy<'a> {
    to: &'a dyn Store,
    clock: &'a dyn Clock,
    progress: &'a mut dyn FnMut(u64),
    writes: Vec<Write>,
    bytes: usize,
    records: u64,
}

impl Copy<'_> {
    fn put(&mut self, space: Space, key: &[u8], value: Vec<u8>) {
        self.bytes += value.len();
        self.writes.push(Write { space, key: key.to_vec(), value: Some(value) });
    }

    fn commit(&mut self, durability: Durability) -> Result<()> {
        self.bytes = 0;
        let writes = std::mem::take(&mut self.writes);
        self.records += writes.len() as u64;
        let batch = Batch { id: self.clock.new_id(), expectations: Vec::new(), writes };
        self.to.commit(&batch, durability).map_err(|error| match error {
            CommitError::Failed(error) | CommitError::Unknown(error) => error,
            conflict @ CommitError::Conflict(_) => {
                Error::new(ErrorKind::Conflict, conflict.to_string())
            }
        })?;
        (self.progress)(self.records);
        Ok(())
    }
}
