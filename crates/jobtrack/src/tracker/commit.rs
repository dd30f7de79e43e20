//! Commits: one at a time, stored first and seen after.

use uuid::Uuid;

use super::archiving::Removals;
use super::group::{Answers, Group, NextKeys, Prepared, Published, head_expected, head_write};
use super::shortlist::Shortlists;
use super::ticket::Entry;
use super::{Applied, Found, Inner, Maintained, View, closed, image};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Batch, CommitError, Durability, HEAD_KEY, Head, Space};
use crate::table::Table;
use crate::timestamp::Timestamp;
use crate::watch::After;

/// Each commit sweeps at least so many jobs if they are due, and at least twice what it decides: so
/// sweeping keeps pace with whatever load there is.
const SWEEP_AT_LEAST: usize = 64;

/// What only whoever commits may touch.
#[derive(Debug)]
pub(super) struct Driver {
    keys: NextKeys,
    shortlists: Shortlists,
    status: Status,
    /// The id of the batch that opened the store, and how many there were since.
    first_batch: Uuid,
    batches: u128,
}

/// Whether changes are taken.
#[derive(Debug, Clone)]
pub(super) enum Status {
    Open,
    /// A commit is on its way. Found by another, it was ended by a panic.
    Committing,
    /// The outcome of a commit is not known.
    Unsettled(Error),
    Closed,
}

impl Status {
    fn check(&self) -> Result<()> {
        match self {
            Status::Open => Ok(()),
            Status::Committing => Err(Error::new(
                ErrorKind::Unsettled,
                "no change is taken until the store is opened again: a commit ended in a panic",
            )),
            Status::Unsettled(cause) => Err(Error::new(
                ErrorKind::Unsettled,
                format!("no change is taken until the store is opened again: {cause}"),
            )),
            Status::Closed => Err(closed()),
        }
    }
}

impl Inner {
    /// Decides and commits these commands as one group, and answers each.
    pub(super) fn commit_group(&self, entries: &[Entry]) {
        let mut driver = self.driver.lock();
        if let Err(error) = driver.status.check() {
            self.counters.stuck(&error);
            entries.iter().for_each(|entry| entry.slot.fill(Err(error.clone())));
            return;
        }
        let sweep = SWEEP_AT_LEAST.max(2 * entries.len());
        let (answers, _) = self.commit(&mut driver, entries, sweep, Durability::Deferred);
        drop(driver);
        self.history.wake();
        // A refusal that rests on an expiry must hold for ever, as any other answer.
        let says_gone = |answer: &Result<Applied>| {
            let kind = answer.as_ref().map_err(Error::kind).err();
            use ErrorKind::{AlreadyExists, Gone, NotFound};
            matches!(kind, Some(Gone | NotFound | AlreadyExists))
        };
        if answers.iter().any(says_gone) {
            self.hide(self.time.now());
        }
        for (entry, answer) in entries.iter().zip(answers) {
            entry.slot.fill(answer);
        }
        self.tidy_a_share();
    }

    /// Sweeps up to `budget` jobs and tombstones in a commit of their own.
    pub(super) fn sweep(&self, budget: usize) -> Result<Maintained> {
        let mut driver = self.driver.lock();
        driver.status.check()?;
        let (_, swept) = self.commit(&mut driver, &[], budget, Durability::Deferred);
        drop(driver);
        self.history.wake();
        let mut maintained = swept?;
        let view = self.view.read();
        let now = self.time.now();
        let tombstones = &view.table.tombstones;
        let tombstones_due = tombstones.due(now, self.options.tombstones.at_most).next();
        // Where none was, none of those that are too many may go.
        let limits = &self.options.limits;
        let is_over = view.table.len() > limits.jobs
            || limits.bytes != usize::MAX && view.record_bytes > limits.bytes as u64;
        maintained.more = tombstones_due.is_some()
            || maintained.evicted > 0 && is_over
            || view.table.has_due(now) && !self.archiving.is_failing()
            || view.table.sides.timers.due(now).next().is_some()
            || view.table.sides.families.unsettled().next().is_some();
        Ok(maintained)
    }

    /// Makes everything committed so far survive a crash.
    pub(super) fn sync(&self) -> Result<()> {
        let mut driver = self.driver.lock();
        driver.status.check()?;
        if !self.view.read().has_deferred {
            return Ok(());
        }
        let format = self.view.read().format;
        self.store_head(&mut driver, format, self.time.now(), false)
    }

    /// Raises the store to the newest format level that this build knows.
    pub(super) fn finalize(&self) -> Result<u32> {
        let mut driver = self.driver.lock();
        driver.status.check()?;
        if self.view.read().format < self.newest_format {
            self.store_head(&mut driver, self.newest_format, self.time.now(), false)?;
            self.view.write().format = self.newest_format;
        }
        drop(driver);
        self.history.wake();
        Ok(self.newest_format)
    }

    /// Stores the horizon if an answer at this one hides what a crash could bring back.
    pub(super) fn hide(&self, horizon: Timestamp) {
        if self.view.read().hides_more(horizon) {
            self.hide_holding(&mut self.driver.lock(), horizon);
            self.history.wake();
        }
    }

    /// Stores the horizon, and reads at it before anyone commits anything else.
    pub(super) fn hide_and_read<T>(&self, read: impl FnOnce(&Table, Timestamp) -> T) -> Result<T> {
        let answer = {
            let mut driver = self.driver.lock();
            if matches!(driver.status, Status::Closed) {
                return Err(closed());
            }
            let asked_at = self.time.now();
            self.hide_holding(&mut driver, asked_at);
            let view = self.view.read();
            let now = self.time.now();
            // Nobody commits while the driver is held, so at the horizon just stored nothing is
            // hidden that is not hidden for good; nor is it now, if another stored an earlier one
            // and nothing has expired since: the answer must not name that, or horizons would go
            // back. If none could be stored, the present one is right, though a crash and a clock
            // set back may undo it.
            let horizon = view.durable_horizon.max(asked_at);
            let is_stored = driver.status.check().is_ok() && !view.hides_more(horizon);
            read(&view.table, if is_stored { horizon } else { now })
        };
        self.history.wake();
        Ok(answer)
    }

    /// A store that fails here takes no change any more, or fails the next one as well; the answer
    /// is right all the same, and only a crash together with a clock set back could undo it.
    fn hide_holding(&self, driver: &mut Driver, horizon: Timestamp) {
        let hides_more = self.view.read().hides_more(horizon);
        if driver.status.check().is_ok() && hides_more {
            let (_, _stored) = self.commit(driver, &[], SWEEP_AT_LEAST, Durability::Synced);
        }
    }

    pub(super) fn close(&self) -> Result<()> {
        self.flush();
        let mut driver = self.driver.lock();
        match &driver.status {
            Status::Closed => return Ok(()),
            status => status.check()?,
        }
        let format = self.view.read().format;
        self.store_head(&mut driver, format, self.time.now(), true)?;
        driver.status = Status::Closed;
        self.view.write().is_closed = true;
        self.leave_image(&driver);
        drop(driver);
        self.queue.close();
        self.waiters.close();
        self.history.close();
        Ok(())
    }

    /// Leaves an image of the table beside the store that was just closed, if that is worth it.
    fn leave_image(&self, driver: &Driver) {
        let Some(folder) = self.store.folder() else { return };
        let view = self.view.read();
        if view.table.len() < self.options.image_from {
            image::remove(folder);
        } else if let Ok(Some(head)) = self.store.read(Space::Meta, HEAD_KEY) {
            image::leave(folder, &head, &view, driver.keys);
        }
    }

    fn commit(
        &self,
        driver: &mut Driver,
        entries: &[Entry],
        sweep: usize,
        at_least: Durability,
    ) -> (Answers, Result<Maintained>) {
        let is_upkeep = entries.is_empty() && at_least == Durability::Deferred;
        let removals = self.archiving.removals(self.time.clock().monotonic(), is_upkeep);
        self.commit_removing(driver, entries, sweep, at_least, removals)
    }

    fn commit_removing(
        &self,
        driver: &mut Driver,
        entries: &[Entry],
        sweep: usize,
        at_least: Durability,
        removals: Removals,
    ) -> (Answers, Result<Maintained>) {
        let now = self.time.moment();
        // Nobody but the holder of the driver writes to the table, so what is decided upon it here
        // still holds when it is published below.
        let view = self.view.read();
        let revision = view.table.revision;
        let clock = self.time.clock();
        let id = driver.next_batch_id();
        let (keys, shortlists) = (driver.keys, &mut driver.shortlists);
        let (options, overlay) = (&self.options, &self.overlay);
        let mut group = Group::new(&view, options, clock, now, keys, shortlists, overlay);
        let keeps_records = self.store.keeps_records();
        group = group.removing(removals).keeping(keeps_records).expecting(entries.len());
        group.sweep(sweep);
        for entry in entries {
            group.decide(entry);
        }
        // Upkeep alone is always synced: it is rare, and what a deferred commit leaves open would
        // keep a store from telling that a disk was only full for a while.
        let is_upkeep = entries.is_empty();
        let durability =
            if is_upkeep { Durability::Synced } else { at_least.max(group.durability()) };
        let syncs_nothing = is_upkeep || durability == Durability::Deferred || !view.has_deferred;
        let nothing_to_store =
            group.is_empty() && syncs_nothing && at_least == Durability::Deferred;
        let record_bytes = group.bytes();
        let prepared = match group.prepare(id) {
            Ok(prepared) => prepared,
            Err(error) => {
                driver.shortlists.clear();
                let answers = entries.iter().map(|_| Err(error.clone())).collect();
                return (answers, Err(error));
            }
        };
        drop(view);
        let Prepared { mut batch, plan } = prepared;
        if let Err(error) = self.archiving.take(&plan.leaving, clock.monotonic(), now.engine) {
            // All the same without removing anything, so that no change waits for the archive.
            driver.shortlists.clear();
            let removals = Removals::None(error);
            return self.commit_removing(driver, entries, sweep, at_least, removals);
        }
        if nothing_to_store {
            if !plan.looked_at.is_empty() {
                plan.note_looked_at(&mut self.view.write().table);
            }
            return (plan.without_commit(revision), Ok(Maintained::default()));
        }
        let logged = keeps_records.then(|| plan.logged(revision.epoch));
        let stored = self.write_logs(logged.into_iter().flatten(), &mut batch);
        match stored.and_then(|()| self.store_batch(driver, &batch, durability)) {
            Err(error) => {
                driver.shortlists.clear();
                (plan.failed(&error, revision), Err(error))
            }
            Ok(number) => {
                driver.keys = plan.keys;
                let swept_until = plan.swept_until;
                let maintained = Maintained {
                    expired: plan.swept,
                    evicted: plan.evicted,
                    lapsed: plan.lapsed,
                    followed: plan.followed,
                    tombstones: plan.forgotten_tombstones(),
                    more: false,
                };
                let mut view = self.view.write();
                view.record_bytes = record_bytes;
                view.stored(durability, now.engine, swept_until);
                let published = plan.publish(&mut view.table, number, &self.overlay);
                let Published { answers, ended, transitions } = published;
                let revision = view.table.revision;
                drop(view);
                self.counters.committed(transitions.len(), &maintained);
                if !driver.shortlists.is_empty() {
                    for transition in &transitions {
                        if let After::Job(job) = &transition.after {
                            driver.shortlists.changed(job.uuid, Some(job));
                        }
                    }
                }
                self.history.add(revision, now.engine, transitions);
                if !self.waiters.is_empty() {
                    for job in ended {
                        let (horizon, unflushed) = (now.engine, None);
                        self.waiters.tell(&Found { job, revision, horizon, unflushed });
                    }
                }
                (answers, Ok(maintained))
            }
        }
    }

    /// Stores the engine's own record alone.
    fn store_head(
        &self,
        driver: &mut Driver,
        format: u32,
        horizon: Timestamp,
        is_clean: bool,
    ) -> Result<()> {
        let revision = self.view.read().table.revision;
        let batch = Batch {
            id: driver.next_batch_id(),
            expectations: vec![head_expected(Some(revision.number))],
            writes: vec![head_write(Head { format, epoch: revision.epoch, horizon, is_clean })?],
        };
        let number = self.store_batch(driver, &batch, Durability::Synced)?;
        let mut view = self.view.write();
        view.table.revision.number = number;
        view.stored(Durability::Synced, horizon, None);
        Ok(())
    }

    fn store_batch(
        &self,
        driver: &mut Driver,
        batch: &Batch,
        durability: Durability,
    ) -> Result<u64> {
        driver.status = Status::Committing;
        let stored = self.store.commit(batch, durability);
        driver.status = Status::Open;
        stored.map_err(|error| {
            let error = driver.failed(error);
            self.counters.failed(&error);
            error
        })
    }
}

impl View {
    /// Whether an answer at this horizon hides a job that a crash could bring back.
    pub(super) fn hides_more(&self, horizon: Timestamp) -> bool {
        self.swept_unsynced.is_some_and(|swept| swept > self.durable_horizon)
            || self.table.expires_between(self.durable_horizon, horizon)
    }

    fn stored(
        &mut self,
        durability: Durability,
        horizon: Timestamp,
        swept_until: Option<Timestamp>,
    ) {
        match durability {
            Durability::Deferred => {
                self.has_deferred = true;
                self.swept_unsynced = self.swept_unsynced.max(swept_until);
            }
            Durability::Synced => {
                self.has_deferred = false;
                self.swept_unsynced = None;
                self.durable_horizon = self.durable_horizon.max(horizon);
            }
        }
    }
}

impl Driver {
    /// The driver of a store that is open by now; `first_batch` is the id of the batch that did it.
    pub(super) fn new(keys: NextKeys, first_batch: Uuid) -> Self {
        let (shortlists, status) = (Shortlists::default(), Status::Open);
        Driver { keys, shortlists, status, first_batch, batches: 0 }
    }

    /// An id that no batch has had. Drawn from the first one, which is random, since asking the
    /// machine for randomness takes longer than the rest of a small commit.
    fn next_batch_id(&mut self) -> Uuid {
        self.batches += 1;
        Uuid::from_u128(self.first_batch.as_u128().wrapping_add(self.batches))
    }

    fn failed(&mut self, error: CommitError) -> Error {
        match error {
            CommitError::Failed(error) => error,
            // One tracker at a time writes to a store, and every commit writes the head: whoever
            // finds another's there has been replaced, and must not write any more.
            CommitError::Conflict(expectation) => {
                let error = Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "another tracker has opened the store: it wrote a record of space {}",
                        expectation.space.name()
                    ),
                );
                self.status = Status::Unsettled(error.clone());
                error
            }
            CommitError::Unknown(cause) => {
                self.status = Status::Unsettled(cause.clone());
                Error::new(
                    ErrorKind::OutcomeUnknown,
                    format!("open the store again to know whether it was stored: {cause}"),
                )
                .with_source(cause)
            }
        }
    }
}
