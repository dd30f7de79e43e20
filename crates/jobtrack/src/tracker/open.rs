//! Opening: everything loaded, the epoch settled, the clock anchored.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::archiving::Archiving;
use super::commit::Driver;
use super::group::{NextKeys, head_expected, head_write};
use super::image::{self, Image};
use super::load::{self, RawJob};
use super::progress::Overlay;
use super::stats::Counters;
use super::ticket::Queue;
use super::time::EngineTime;
use super::upkeep::Upkeep;
use super::waiters::Waiters;
use super::{Inner, Options, View};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{BULK_KIND, Job, JobId, Revision};
use crate::lifecycle::{LeaseOptions, Moment, follow};
use crate::limits::RETENTION_SECONDS;
use crate::store::{
    Batch, Claims, CommitError, Durability, EPOCHS_KEY, FORGOTTEN_KEY, HEAD_KEY, Head, Record,
    Space, Stay, Store, Write, check_format, claims_of_key, decode_claims, decode_epochs,
    decode_forgotten, decode_head, decode_stay, decode_tombstone, encode_epochs, stay_of_key,
};
use crate::table::{Table, Tombstones};
use crate::timestamp::Timestamp;
use crate::watch::{Epochs, History};

/// What opening a store found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// The epoch that has begun, or goes on.
    pub epoch: u64,
    /// Whether the store was closed cleanly, or is new. Otherwise a new epoch has begun.
    pub was_clean: bool,
    /// Jobs that were loaded.
    pub jobs: usize,
    /// Whether they come from the image that the last tracker left when it closed, and not from their
    /// records.
    pub from_image: bool,
    /// How many of them have expired while nobody had the store open.
    pub expired: usize,
    /// How many were held by an earlier incarnation of this tracker's owner, and are lost.
    pub lost: usize,
    /// How far the wall clock stands after the stored horizon: the store was closed for so long,
    /// or the clock was set forward meanwhile, which cannot be told apart.
    pub downtime: Duration,
    /// How far the wall clock stands before the stored horizon: it was set back. Engine time goes
    /// on from the horizon, so nothing that had expired returns.
    pub set_back: Duration,
}

impl fmt::Display for OpenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} jobs in epoch {}", self.jobs, self.epoch)?;
        if !self.was_clean {
            f.write_str(", after an unclean stop")?;
        }
        if self.from_image {
            f.write_str(", from their image")?;
        }
        if self.expired > 0 {
            write!(f, ", {} of them expired meanwhile", self.expired)?;
        }
        if self.lost > 0 {
            write!(f, ", {} of them lost with their owner", self.lost)?;
        }
        if self.set_back > Duration::ZERO {
            write!(
                f,
                "; the clock was set back by {} s, expiry goes on from where it was",
                self.set_back.as_secs_f64()
            )?;
        } else if self.downtime >= Duration::from_secs(1) {
            write!(f, "; {} s since it was last open", self.downtime.as_secs())?;
        }
        Ok(())
    }
}

pub(super) fn open(store: Box<dyn Store>, options: Options, newest: u32) -> Result<Inner> {
    let record = store.read(Space::Meta, HEAD_KEY)?;
    let head_at = record.as_ref().map(|record| record.revision);
    let head = record.as_ref().map(|record| decode_head(&record.value)).transpose()?;
    if let Some(head) = head {
        check_format(head.format, newest)?;
    }
    if let (Some(record), Some(head)) = (&record, head)
        && head.is_clean
        && let Some(image) = open_image(&*store, record, &options)?
    {
        let (table, loaded) = image;
        check_memory(&table, &options)?;
        let found = Found { head: Some(head), head_at, number: record.revision };
        return settle(store, options, newest, &found, table, loaded);
    }
    let mut loaded = Loaded::default();
    let mut number = 0;
    let table = load::jobs(&options.opening, |take| {
        number = store.load(&mut |space, key, record| {
            let known = match space {
                Space::Job => number_of(space, key).map(|key| {
                    loaded.record_bytes += record.value.len() as u64;
                    loaded.next.job = loaded.next.job.max(key.saturating_add(1));
                    Some(RawJob { key, bytes: record.value, stored: record.revision })
                }),
                Space::Tombstone => number_of(space, key)
                    .and_then(|key| loaded.tombstone(key, &record))
                    .map(|()| None),
                Space::Meta => loaded.meta(key, &record).map(|()| None),
                _ => Ok(None),
            };
            match known.map_err(|error| load::named(space, key, &error))? {
                Some(job) => take(job),
                None => Ok(()),
            }
        })?;
        Ok(())
    })?;
    check_memory(&table, &options)?;
    if head.is_none() && number > 0 {
        return Err(Error::new(
            ErrorKind::StoreForeign,
            "the store holds records, but not the one that every jobtrack store has",
        ));
    }
    let found = Found { head, head_at, number };
    settle(store, options, newest, &found, table, loaded)
}

/// All that is loaded, if an image was left with this head: of the engine's own records only those are
/// read that it does not hold.
fn open_image(
    store: &dyn Store,
    head: &Record,
    options: &Options,
) -> Result<Option<(Table, Loaded)>> {
    let image = store.folder().and_then(|folder| image::read(folder, head, &options.opening));
    let Some(Image { mut table, next, record_bytes }) = image else { return Ok(None) };
    let mut loaded = Loaded { next, record_bytes, from_image: true, ..Loaded::default() };
    loaded.tombstones = std::mem::take(&mut table.tombstones);
    for key in [EPOCHS_KEY, FORGOTTEN_KEY] {
        if let Some(record) = store.read(Space::Meta, key)? {
            loaded.meta(key, &record).map_err(|error| load::named(Space::Meta, key, &error))?;
        }
    }
    Ok(Some((table, loaded)))
}

fn check_memory(table: &Table, options: &Options) -> Result<()> {
    let (needed, limit) = (table.bytes(), options.limits.memory);
    if needed <= limit {
        return Ok(());
    }
    let message = format!("the jobs take {needed} bytes of memory, of {limit} that they may");
    Err(Error::new(ErrorKind::LimitExceeded, message).with_field("limits.memory"))
}

/// What the store says of itself.
struct Found {
    head: Option<Head>,
    /// The commit that wrote the head.
    head_at: Option<u64>,
    /// The last commit.
    number: u64,
}

/// Refuses a time after which no job could live for as long as it may: a machine whose clock shows
/// the year 9999 for a moment would otherwise leave a store in which every job is gone at its end,
/// for the horizon never goes back.
fn check_room(engine: Timestamp) -> Result<()> {
    let room = Duration::from_secs(RETENTION_SECONDS);
    if Timestamp::MAX.saturating_since(engine) > room {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidValue,
        format!("it is {engine}, which leaves no room for a retention; set the machine's clock"),
    )
    .with_field("clock"))
}

/// Anchors engine time, begins an epoch if need be, and marks the store as open.
fn settle(
    store: Box<dyn Store>,
    options: Options,
    newest: u32,
    found: &Found,
    mut table: Table,
    loaded: Loaded,
) -> Result<Inner> {
    let clock = Arc::clone(&options.clock);
    let wall = clock.wall();
    let Found { head, head_at, number } = *found;
    let head = head.unwrap_or(Head { format: newest, epoch: 1, horizon: wall, is_clean: true });
    // A crash may have taken commits that were never synced, and their numbers will come again.
    let epoch = if head.is_clean { Some(head.epoch) } else { head.epoch.checked_add(1) };
    let engine = wall.max(head.horizon);
    check_room(engine)?;
    let Loaded { tombstones, next, mut epochs, claims, stays, record_bytes, from_image } = loaded;
    table.tombstones = tombstones;
    let claims = (!from_image).then_some(&claims);
    let lost = revive_leases(&mut table, claims, &options.leases, engine);
    if !stays.is_empty() {
        table.set_stays(&|key, id| stays.get(&key).filter(|stay| stay.job == id));
    }
    drop(stays);
    let now = Moment { wall, engine };
    let parents: Vec<JobId> = table.sides.families.parents().collect();
    for parent in parents {
        if is_unsettled(&table, parent, now) {
            table.sides.families.unsettle(parent);
        }
    }
    // Both are written by the commit that begins an epoch. If they disagreed, what is written now
    // could not be read the next time.
    let agrees = epochs.current().is_none_or(|current| current == head.epoch);
    let Some(epoch) = epoch.filter(|_| agrees) else {
        return Err(Error::new(
            ErrorKind::StoreDamaged,
            format!("the store's head says epoch {}, its epochs say otherwise", head.epoch),
        ));
    };
    let begins = epochs.current() != Some(epoch);
    let mut writes =
        vec![head_write(Head { format: head.format, epoch, horizon: engine, is_clean: false })?];
    if begins {
        let earlier = epochs.remembered(table.tombstones.forgotten());
        let (space, key) = (Space::Meta, EPOCHS_KEY.into());
        writes.push(Write { space, key, value: Some(encode_epochs(epoch, earlier)?) });
    }
    let batch = Batch { id: clock.new_id(), expectations: vec![head_expected(head_at)], writes };
    let number_now = store.commit(&batch, Durability::Synced).map_err(|error| match error {
        CommitError::Failed(error) | CommitError::Unknown(error) => error,
        conflict @ CommitError::Conflict(_) => {
            Error::new(ErrorKind::Conflict, conflict.to_string())
        }
    })?;
    debug_assert!(number_now > number, "the store's contract: revisions rise");
    table.revision = Revision { epoch, number: number_now };
    if begins {
        epochs.begin(table.revision);
    }
    let report = OpenReport {
        epoch,
        was_clean: head.is_clean,
        jobs: table.len(),
        from_image,
        expired: table.due(engine).count(),
        lost,
        downtime: wall.saturating_since(head.horizon),
        set_back: head.horizon.saturating_since(wall),
    };
    Ok(Inner {
        time: EngineTime::starting_at(engine, Arc::clone(&options.clock)),
        epochs,
        newest_format: newest,
        history: History::new(options.history, table.revision),
        archiving: Archiving::new(options.archive.clone()),
        options,
        store,
        report,
        view: RwLock::new(View {
            table,
            format: head.format,
            is_closed: false,
            durable_horizon: engine,
            has_deferred: false,
            record_bytes,
            swept_unsynced: None,
        }),
        driver: Mutex::new(Driver::new(next, batch.id)),
        queue: Queue::default(),
        upkeep: Upkeep::default(),
        waiters: Waiters::default(),
        overlay: Overlay::default(),
        counters: Counters::default(),
    })
}

/// Whether a child has not followed its parent's change yet.
fn is_unsettled(table: &Table, parent: JobId, now: Moment) -> bool {
    let job = table.row(parent).map(|row| row.job);
    let mut children = table.sides.families.children(parent, None);
    children.any(|child| {
        table.row(child).is_some_and(|row| follow(&row.job, job.as_deref(), 0, now).is_some())
    })
}

/// What is loaded beside the jobs.
struct Loaded {
    tombstones: Tombstones,
    next: NextKeys,
    epochs: Epochs,
    /// What is known of a job's claims, by the key of its record.
    claims: HashMap<u64, Claims>,
    /// The same of how it was told to stay.
    stays: HashMap<u64, Stay>,
    /// Bytes of all records of jobs.
    record_bytes: u64,
    /// Whether the jobs come from an image, and have all that `claims` and `stays` would add.
    from_image: bool,
}

impl Default for Loaded {
    fn default() -> Self {
        let next = NextKeys { job: 1, tombstone: 1 };
        let (claims, stays) = (HashMap::new(), HashMap::new());
        let (tombstones, epochs) = (Tombstones::default(), Epochs::default());
        Loaded { tombstones, next, epochs, claims, stays, record_bytes: 0, from_image: false }
    }
}

impl Loaded {
    fn tombstone(&mut self, key: u64, record: &Record) -> Result<()> {
        self.next.tombstone = self.next.tombstone.max(key.saturating_add(1));
        self.tombstones.put(key, decode_tombstone(&record.value, record.revision)?);
        Ok(())
    }

    fn meta(&mut self, key: &[u8], record: &Record) -> Result<()> {
        if key == EPOCHS_KEY {
            self.epochs = Epochs::new(decode_epochs(&record.value, record.revision)?);
        } else if key == FORGOTTEN_KEY {
            let forgotten = decode_forgotten(&record.value, record.revision)?;
            self.tombstones.forget(forgotten);
        } else if let Some(job) = claims_of_key(key) {
            self.claims.insert(job, decode_claims(&record.value)?);
        } else if let Some(job) = stay_of_key(key) {
            self.stays.insert(job, decode_stay(&record.value)?);
        }
        Ok(())
    }
}

/// Puts what is known of each job's claims where it belongs, and gives every lease a full term again:
/// what was not heard of while nobody listened is not lost. Only what an owner's earlier incarnation
/// held is, at once; returns how many those are. Without `claims` all of it is known already.
fn revive_leases(
    table: &mut Table,
    claims: Option<&HashMap<u64, Claims>>,
    leases: &LeaseOptions,
    engine: Timestamp,
) -> usize {
    let of = |key: u64, id: JobId| claims?.get(&key).filter(|claims| claims.job == id);
    if claims.is_some_and(|claims| !claims.is_empty()) {
        table.set_claims(&|key, id| of(key, id).map(|claims| (claims.claims, claims.losses)));
    }
    let mut lost = 0;
    for id in table.leased() {
        let Some(mut row) = table.row(id) else { continue };
        let known = of(row.key, id);
        let mut job = Job::clone(&row.job);
        let Some(lease) = &mut job.lease else { continue };
        job.claims = job.claims.max(u32::try_from(lease.token).unwrap_or(u32::MAX));
        if claims.is_some() {
            lease.since = known.and_then(|it| it.since);
            lease.term = known.map_or(Some(leases.term), |it| it.term);
        }
        let is_of_owner = leases.owner.as_deref() == Some(&*lease.holder);
        // Who goes through the jobs of a bulk did so in the process that had the store open.
        let is_bulk = job.kind == BULK_KIND;
        lease.until = match lease.term {
            Some(_) if is_bulk => engine,
            Some(term) => engine.saturating_add(term),
            None if is_of_owner => engine,
            None => Timestamp::MAX,
        };
        lost += usize::from(is_bulk || lease.term.is_none() && is_of_owner);
        row.job = Arc::new(job);
        table.put(row);
    }
    lost
}

fn number_of(space: Space, key: &[u8]) -> Result<u64> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| {
        Error::new(
            ErrorKind::StoreDamaged,
            format!("the key of a record of space {} is not eight bytes long", space.name()),
        )
    })
}
