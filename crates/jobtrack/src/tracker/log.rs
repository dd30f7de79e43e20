//! The log of a job: what happened to it, kept in the store and bounded.
//!
//! It is one record under the key of the job's own, written by the commit that changes the job and
//! removed by the one that takes it out. So it needs neither memory nor a reading at opening, and
//! goes with its job without being looked for; what it costs is that record, read and written again
//! with each change. `docs/design/0011-the-log-of-a-job.md` says why it is not one record each time.

use super::group::Logged;
use super::load::named;
use super::{Inner, Tracker, sees};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{JobId, Log, LogEntry, LogKind, Tenant};
use crate::limits::{LOG_BYTES, LOG_ENTRIES};
use crate::store::{Batch, Space, Write, decode_log, encode_log};

/// How much is kept in the log of each job. What is over goes as new entries come: the oldest
/// message as long as messages make half of the rest, else the oldest of the others. The latest entry
/// stays, whatever its size. With either bound at 0 nothing is logged; what is there already stays
/// until its job goes.
///
/// ```
/// use jobtrack::{LogOptions, MemoryStore, NewJob, Options, Tracker};
///
/// let log = LogOptions { entries: 3, ..LogOptions::default() };
/// let tracker = Tracker::open(MemoryStore::new(), Options { log, ..Options::default() })?;
/// let job = tracker.create(NewJob::described("Backup of vol1"))?.uuid;
/// tracker.start(job)?;
/// for file in ["1 of 40 files", "2 of 40 files", "3 of 40 files"] {
///     tracker.report(job, file)?;
/// }
/// let log = tracker.log(job)?;
/// let kinds: Vec<&str> = log.entries.iter().map(|entry| entry.kind.as_str()).collect();
/// assert_eq!((kinds, log.dropped), (vec!["started", "message", "message"], 2));
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Entries at most: 64.
    pub entries: usize,
    /// Bytes at most, counting the texts of each entry (who, why, the message) and 32 more: 4,096.
    pub bytes: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions { entries: 64, bytes: 4_096 }
    }
}

impl LogOptions {
    /// Options with which nothing is logged.
    pub fn off() -> Self {
        LogOptions { entries: 0, bytes: 0 }
    }

    pub(super) fn check(&self) -> Result<()> {
        let bounds =
            [("log.entries", self.entries, LOG_ENTRIES), ("log.bytes", self.bytes, LOG_BYTES)];
        for (name, given, most) in bounds {
            if given > most {
                let message = format!("{given} is too much, at most {most} may be");
                return Err(Error::new(ErrorKind::LimitExceeded, message).with_field(name));
            }
        }
        Ok(())
    }

    fn is_off(&self) -> bool {
        self.entries == 0 || self.bytes == 0
    }

    /// Drops what is over.
    fn trim(&self, log: &mut Log) {
        let mut bytes: usize = log.entries.iter().map(LogEntry::bytes).sum();
        while log.entries.len() > self.entries || bytes > self.bytes {
            let Some((_latest, older)) = log.entries.split_last() else { return };
            if older.is_empty() {
                return;
            }
            let is_message = |entry: &&LogEntry| entry.kind == LogKind::Message;
            let messages = older.iter().filter(is_message).count();
            let goes_message = messages * 2 >= older.len();
            let goes = older.iter().position(|entry| is_message(&entry) == goes_message);
            // There is one of either sort: it was counted, or is what was left by the count.
            let dropped = log.entries.remove(goes.unwrap_or(0));
            bytes -= dropped.bytes();
            log.dropped += 1;
        }
    }
}

impl Tracker {
    /// What happened to a job, as far as it is kept ([`Options::log`](crate::Options::log)): each
    /// change of its state, each request and claim, and its latest messages. Renewals of a lease and
    /// progress without a message are not told.
    ///
    /// # Errors
    ///
    /// As [`get`](Tracker::get); what the store says, `StoreDamaged` for a log that cannot be read.
    pub fn log(&self, id: JobId) -> Result<Log> {
        self.log_for(None, id)
    }

    /// The same, of the jobs of one tenant.
    pub(super) fn log_for(&self, tenant: Option<&Tenant>, id: JobId) -> Result<Log> {
        loop {
            // Whatever is to be said of a job that is not there is said by this.
            self.get_for(tenant, id)?;
            if let Some(log) = self.0.read_log(tenant, id)? {
                return Ok(log);
            }
            // It was never logged, or is about to go. While nobody commits, that is certain.
            let _driver = self.0.driver.lock();
            let is_there =
                self.0.view.read().table.row(id).is_some_and(|row| sees(tenant, &row.job));
            if is_there {
                return Ok(self.0.read_log(tenant, id)?.unwrap_or_default());
            }
        }
    }
}

impl Inner {
    /// The log in the store, as far as its commits are to be seen; None if there is none.
    fn read_log(&self, tenant: Option<&Tenant>, id: JobId) -> Result<Option<Log>> {
        let (key, latest) = {
            let view = self.view.read();
            // The uuid may be another's by now.
            let row = view.table.row(id).filter(|row| sees(tenant, &row.job));
            let Some(row) = row else { return Ok(None) };
            (row.key, view.table.revision)
        };
        let Some((of, mut log)) = self.log_at(key)? else { return Ok(None) };
        if of != id {
            return Ok(None);
        }
        log.entries.retain(|entry| entry.revision <= latest);
        Ok(Some(log))
    }

    fn log_at(&self, key: u64) -> Result<Option<(JobId, Log)>> {
        let key = key.to_be_bytes();
        let read = self.store.read(Space::Log, &key).and_then(|record| match record {
            None => Ok(None),
            Some(record) => decode_log(&record.value, record.revision).map(Some),
        });
        read.map_err(|error| named(Space::Log, &key, &error))
    }

    /// Adds to the batch what it does to the logs of its jobs.
    pub(super) fn write_logs(
        &self,
        logged: impl Iterator<Item = Logged>,
        batch: &mut Batch,
    ) -> Result<()> {
        let options = &self.options.log;
        for logged in logged {
            let (key, value) = match logged {
                Logged::Ends(key) => (key, None),
                Logged::Begins(key, ..) if options.is_off() => (key, None),
                Logged::Grows(..) if options.is_off() => continue,
                Logged::Begins(key, id, entries) => {
                    let mut log = Log { entries, dropped: 0 };
                    options.trim(&mut log);
                    (key, Some(encode_log(id, log)?))
                }
                Logged::Grows(key, id, entries) => {
                    let mut log = self.log_to_grow(key, id)?;
                    log.entries.extend(entries);
                    options.trim(&mut log);
                    (key, Some(encode_log(id, log)?))
                }
            };
            batch.writes.push(Write { space: Space::Log, key: key.to_be_bytes().into(), value });
        }
        Ok(())
    }

    /// What the log of a job holds so far. One that cannot be read does not keep the job from changing
    /// (nor, with a job that has lapsed, every commit that comes): it is begun anew, and says that
    /// something was dropped.
    fn log_to_grow(&self, key: u64, id: JobId) -> Result<Log> {
        match self.log_at(key) {
            Ok(Some((of, log))) if of == id => Ok(log),
            Ok(_) => Ok(Log::default()),
            // A level that has newer ones is refused at opening, so that is damage as well.
            Err(error)
                if matches!(error.kind(), ErrorKind::StoreDamaged | ErrorKind::StoreTooNew) =>
            {
                Ok(Log { entries: Vec::new(), dropped: 1 })
            }
            Err(error) => Err(error),
        }
    }
}
