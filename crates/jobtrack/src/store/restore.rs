//! Filling a new store with the records of another, revisions included.

use super::codec::{EPOCHS_KEY, FORMAT, HEAD_KEY, check_format, decode_epochs, decode_head};
use super::codec::{encode_epochs, encode_head};
use super::{CommitError, Durability, Record, Restored, Space, Store};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Revision;

/// How many records are written in one commit, and how many bytes at most before it is made.
const RECORDS: usize = 1000;
const BYTES: usize = 1 << 20;

/// Fills a new store with the records of another, as they were: watches and page tokens of the one
/// go on with the other.
///
/// The records come in any order. The head is written with the last commit, so what was interrupted
/// is refused as no store.
///
/// **The new store is in an epoch of its own**, which begins after everything that was copied. What
/// the other store does later is thus never taken for something that this one has done: whoever
/// comes with a revision of it is told that there is a gap. The epoch is the number of the second at
/// which it began, since the other may begin one as well, by counting on.
pub struct Restorer<'a> {
    to: &'a dyn Store,
    pending: Restored,
    bytes: usize,
    records: u64,
    head: Option<Record>,
    epochs: Option<Record>,
}

impl<'a> Restorer<'a> {
    /// Begins, with the number of a commit of the other store that it has made already: the last,
    /// or one not long before.
    ///
    /// # Errors
    ///
    /// `InvalidValue` if the store to fill has ever been written, `StoreCannot` if it cannot be
    /// filled, and its own.
    pub fn begin(to: &'a dyn Store, number: u64) -> Result<Self> {
        if !to.abilities().restore {
            return Err(super::cannot("take records as another had them"));
        }
        check_new(to)?;
        let pending = Restored { number: number.saturating_add(1), records: Vec::new() };
        Ok(Restorer { to, pending, bytes: 0, records: 0, head: None, epochs: None })
    }

    /// Takes a record; returns how many were written so far.
    ///
    /// # Errors
    ///
    /// `StoreTooNew` and `StoreDamaged` for a head that cannot be taken over; those of the store.
    pub fn put(&mut self, space: Space, key: &[u8], record: Record) -> Result<u64> {
        if space == Space::Meta && key == HEAD_KEY {
            check_format(decode_head(&record.value)?.format, FORMAT)?;
            self.head = Some(record);
        } else if space == Space::Meta && key == EPOCHS_KEY {
            self.epochs = Some(record);
        } else {
            self.bytes += record.value.len();
            self.pending.records.push((space, key.to_vec(), record));
            if self.pending.records.len() >= RECORDS || self.bytes >= BYTES {
                self.write(Durability::Deferred)?;
            }
        }
        Ok(self.records)
    }

    /// Writes what is left and the head, durably, once every record was given; returns how many
    /// records that was. `number` is the commit as of which they were read.
    ///
    /// # Errors
    ///
    /// `StoreForeign` if there were records but no head among them; `StoreDamaged` if the epochs
    /// cannot be read; those of the store.
    pub fn finish(mut self, number: u64, clock: &dyn Clock) -> Result<u64> {
        let Some(head) = self.head.take() else {
            if number == 0 {
                return Ok(0);
            }
            let message = "the store to copy holds records, but not the one that every store has";
            return Err(Error::new(ErrorKind::StoreForeign, message));
        };
        // Few or none: what was committed between the number that it began with and the reading.
        while self.pending.number <= number {
            self.write(Durability::Deferred)?;
        }
        let mut head = decode_head(&head.value)?;
        let earlier = match &self.epochs {
            Some(record) => decode_epochs(&record.value, record.revision)?,
            None => Vec::new(),
        };
        head.epoch = own_epoch(head.epoch, clock);
        head.is_clean = true;
        let first = Revision { epoch: head.epoch, number: number.saturating_add(1) };
        let epochs = encode_epochs(head.epoch, &earlier)?;
        let last = self.pending.number;
        for (key, revision, value) in
            [(EPOCHS_KEY, first.number, epochs), (HEAD_KEY, last, encode_head(&head)?)]
        {
            self.pending.records.push((Space::Meta, key.to_vec(), Record { revision, value }));
        }
        self.write(Durability::Synced)?;
        Ok(self.records)
    }

    fn write(&mut self, durability: Durability) -> Result<()> {
        self.to.restore(&self.pending, durability).map_err(|error| match error {
            CommitError::Failed(error) | CommitError::Unknown(error) => error,
            conflict @ CommitError::Conflict(_) => {
                Error::new(ErrorKind::Conflict, conflict.to_string())
            }
        })?;
        self.records += self.pending.records.len() as u64;
        self.pending.records.clear();
        self.pending.number = self.pending.number.saturating_add(1);
        self.bytes = 0;
        Ok(())
    }
}

/// Refuses a store that has ever been written.
///
/// # Errors
///
/// `InvalidValue`, and those of the store.
pub fn check_new(store: &dyn Store) -> Result<()> {
    let used =
        || Error::new(ErrorKind::InvalidValue, "the store to fill is in use; give one that is new");
    if store.load(&mut |_, _, _| Err(used()))? > 0 { Err(used()) } else { Ok(()) }
}

/// Refuses the number of a [restoring](Store::restore) commit that does not follow on the last one.
///
/// # Errors
///
/// `InvalidValue`.
pub fn check_number(last: u64, number: u64) -> Result<()> {
    if number == last.saturating_add(1) || last == 0 && number > 0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidValue,
        format!("the commit {number} does not follow on commit {last}"),
    ))
}

/// An epoch after this one that no other store of the same origin has begun.
fn own_epoch(before: u64, clock: &dyn Clock) -> u64 {
    let seconds = u64::try_from(clock.wall().as_micros() / 1_000_000).unwrap_or(0);
    seconds.max(before.saturating_add(1))
}
