//! Where the stages meet: the type that an embedder holds.
//!
//! A change goes: command → queue → group → lifecycle → store → table → answers. One caller at a
//! time commits (`ticket` says who), the store comes first, and nothing is seen before it is stored
//! ([`commit`]). A read takes a snapshot of the table and disturbs nobody.

mod access;
mod archiving;
mod at_once;
mod bulk;
mod commit;
mod group;
mod image;
mod keep;
mod load;
mod log;
mod open;
mod progress;
mod shortlist;
mod stats;
mod ticket;
mod time;
mod tree;
mod upkeep;
mod waiters;
mod watch;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

pub use access::Access;
pub use archiving::ArchiveStatus;
pub use bulk::{Bulk, BulkAction, BulkRequest, BulkStep};
pub use keep::FormatLevel;
pub use load::Opening;
pub use log::LogOptions;
pub use open::OpenReport;
pub use progress::Estimate;
pub use stats::Stats;
pub use ticket::Ticket;
pub use tree::{Tree, TreeNode};
pub use watch::Watch;

use self::archiving::Archiving;
use self::commit::Driver;
use self::progress::Overlay;
use self::stats::Counters;
use self::ticket::{Entry, Queue, Slot};
use self::time::EngineTime;
use self::upkeep::Upkeep;
use self::waiters::Waiters;
use crate::archive::Archive;
use crate::clock::{Clock, SystemClock};
use crate::command::{
    Claim, Command, Failure, Hold, NewJob, Report, Success, check_retention, check_term,
};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Action, DEFAULT_RETENTION, Gone, Job, JobId, Revision, Tenant};
use crate::lifecycle::{FamilyOptions, LeaseOptions, RetentionRule};
use crate::limits::{COMMIT_COMMANDS, Limits, QUEUED_COMMANDS, check_name};
use crate::query::{Count, Explanation, Expr, Page, Query, Run};
use crate::store::{FORMAT, Store};
use crate::table::{Counts, Snapshot, Table};
use crate::timestamp::Timestamp;
use crate::watch::{Epochs, History, HistoryOptions, Position};

/// Options of a tracker.
///
/// ```
/// use std::time::Duration;
/// use jobtrack::Options;
///
/// let options = Options { retention: Duration::from_secs(3600), ..Options::default() };
/// assert_eq!(options.tombstones.keep, Duration::from_secs(3600));
/// ```
#[derive(Clone)]
pub struct Options {
    /// Where time and ids come from: the machine unless told otherwise.
    pub clock: Arc<dyn Clock>,
    /// How long a job stays after its end unless it says otherwise itself: 300 seconds.
    pub retention: Duration,
    /// How long jobs stay that differ from that: by kind, and by how they ended.
    pub retention_rules: Vec<RetentionRule>,
    /// How long and how many tombstones stay.
    pub tombstones: TombstoneOptions,
    /// How much of the past is kept for those who watch.
    pub history: HistoryOptions,
    /// How much is kept in the log of each job.
    pub log: LogOptions,
    /// What is too long and too many.
    pub limits: Limits,
    /// Whether a new job beyond [`Limits::jobs`] or [`Limits::bytes`] makes those go that have been
    /// finished for the longest time; otherwise it is refused, which is the default. None goes that
    /// lives or is held.
    pub evict: bool,
    /// Who gets jobs before they are removed; nobody unless set.
    pub archive: Option<Arc<dyn Archive>>,
    /// How the store is opened.
    pub opening: Opening,
    /// From how many jobs on [`close`](Tracker::close) leaves an image of all of them, from which they
    /// are opened several times faster than from their records; ten thousand. Only a store with a
    /// [folder](crate::Store::folder) has a place for it. `usize::MAX` for never.
    pub image_from: usize,
    /// How long leases last, and what becomes of jobs whose worker was lost.
    pub leases: LeaseOptions,
    /// When parents may succeed.
    pub families: FamilyOptions,
}

/// Fewer jobs are opened in some tens of milliseconds without an image.
const IMAGE_FROM: usize = 10_000;

impl Default for Options {
    fn default() -> Self {
        Options {
            clock: Arc::new(SystemClock::new()),
            retention: DEFAULT_RETENTION,
            retention_rules: Vec::new(),
            tombstones: TombstoneOptions::default(),
            history: HistoryOptions::default(),
            log: LogOptions::default(),
            limits: Limits::default(),
            evict: false,
            archive: None,
            opening: Opening::default(),
            image_from: IMAGE_FROM,
            leases: LeaseOptions::default(),
            families: FamilyOptions::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("retention", &self.retention)
            .field("retention_rules", &self.retention_rules)
            .field("tombstones", &self.tombstones)
            .field("history", &self.history)
            .field("log", &self.log)
            .field("limits", &self.limits)
            .field("evict", &self.evict)
            .field("opening", &self.opening)
            .field("image_from", &self.image_from)
            .field("leases", &self.leases)
            .field("families", &self.families)
            .finish_non_exhaustive()
    }
}

/// How long and how many tombstones stay. A watch that was interrupted can catch up for as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TombstoneOptions {
    /// How long each stays after its job is gone: an hour.
    pub keep: Duration,
    /// How many stay at most: a million. The oldest go first.
    pub at_most: usize,
}

impl Default for TombstoneOptions {
    fn default() -> Self {
        TombstoneOptions { keep: Duration::from_secs(3_600), at_most: 1_000_000 }
    }
}

impl TombstoneOptions {
    /// Up to when the tombstone of this job stays.
    fn until(&self, gone: &Gone) -> Timestamp {
        gone.gone_time.saturating_add(self.keep)
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The job after the command; a deleted one as it last stood.
    pub job: Arc<Job>,
    /// The commit that made it so.
    pub revision: Revision,
    /// Whether this was a creation that had been made before: the job is the one that the
    /// idempotency key had found, as it stands by now.
    pub is_repeat: bool,
}

/// A job that was found, and what the answer rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The job.
    pub job: Arc<Job>,
    /// The revision at which it was found.
    pub revision: Revision,
    /// The horizon: it had not expired by then.
    pub horizon: Timestamp,
    /// The number of the report from which its progress comes, if no revision knows of that yet:
    /// progress alone is told ahead of the store ([`Tracker::progress`]). Numbers rise as long as the
    /// job's revision stays.
    pub unflushed: Option<u64>,
}

impl Deref for Found {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.job
    }
}

/// What [`Tracker::maintain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Maintained {
    /// Expired jobs that were taken out.
    pub expired: usize,
    /// Jobs that had to go since there were more than may be.
    pub evicted: usize,
    /// Tombstones that were taken out.
    pub tombstones: usize,
    /// Jobs whose lease or deadline had run out.
    pub lapsed: usize,
    /// Children that followed a change of their parent: canceled along, or staying as long.
    pub followed: usize,
    /// Whether more is due.
    pub more: bool,
}

/// Tracks jobs in a store.
///
/// A handle, cheap to clone, for any number of threads. The store is let go when the last clone is
/// dropped; [`close`](Tracker::close) it before, to hear whether that went well.
///
/// ```
/// use jobtrack::{ErrorKind, MemoryStore, NewJob, Options, State, Success, Tracker};
///
/// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
/// let job = tracker.create(NewJob::described("Backup of vol1"))?;
/// tracker.start(job.uuid)?;
/// tracker.report(job.uuid, "7 of 40 files")?;
/// tracker.succeed(job.uuid, Success::with_message("40 files"))?;
///
/// let found = tracker.get(job.uuid)?;
/// assert_eq!(found.state(), State::Success);
/// assert_eq!(tracker.start(job.uuid).unwrap_err().kind(), ErrorKind::JobEnded);
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tracker(Arc<Inner>);

struct Inner {
    options: Options,
    store: Box<dyn Store>,
    time: EngineTime,
    report: OpenReport,
    view: RwLock<View>,
    driver: Mutex<Driver>,
    queue: Queue,
    upkeep: Upkeep,
    waiters: Waiters,
    epochs: Epochs,
    history: History,
    /// The newest format level that this build knows.
    newest_format: u32,
    overlay: Overlay,
    counters: Counters,
    archiving: Archiving,
}

/// What readers see.
struct View {
    table: Table,
    /// The format level of the store.
    format: u32,
    is_closed: bool,
    /// The horizon that is known to survive a crash.
    durable_horizon: Timestamp,
    /// Whether there are commits that are not synced yet.
    has_deferred: bool,
    /// Bytes of all records of jobs; kept up only where they are limited.
    record_bytes: u64,
    /// The latest expiry among jobs that such commits swept.
    swept_unsynced: Option<Timestamp>,
}

impl Tracker {
    /// Opens a store, new or not: loads everything, and begins a new epoch if it was not closed
    /// cleanly.
    ///
    /// # Errors
    ///
    /// `StoreTooNew`, `StoreForeign`, `StoreDamaged` (naming the record) for a store that cannot be
    /// taken; whatever the store says; `LimitExceeded` for options beyond what is documented;
    /// `InvalidValue` for a clock that shows a time at the end of the range.
    pub fn open(store: impl Store + 'static, options: Options) -> Result<Tracker> {
        check_retention(Some(options.retention))?;
        for rule in &options.retention_rules {
            check_retention(Some(rule.retention))
                .map_err(|error| error.with_field("retention_rules"))?;
        }
        options.limits.check()?;
        options.opening.check()?;
        options.log.check()?;
        check_term(options.leases.term).map_err(|error| error.with_field("leases.term"))?;
        let owner = options.leases.owner.as_deref().unwrap_or("nobody");
        check_name("leases.owner", owner, options.limits.name)?;
        let inner = open::open(Box::new(store), options, FORMAT)?;
        let tracker = Tracker(Arc::new(inner));
        tracker.take_up()?;
        Ok(tracker)
    }

    /// Does what opening asks of leases.
    fn take_up(&self) -> Result<()> {
        // What an earlier incarnation held, or ran past its deadline, is lost before anybody asks.
        let is_due = || {
            let view = self.0.view.read();
            view.table.sides.timers.due(self.now()).next().is_some()
        };
        while is_due() {
            self.0.sweep(COMMIT_COMMANDS)?;
            self.0.tidy_a_share();
        }
        // What others hold lasts a full term from now on. That is a change like any other, so that
        // whoever watched before the store was closed hears of it.
        let held = self.0.view.read().table.sides.timers.held();
        let renew = held.into_iter().map(|(job, token)| Command::renew(job, token, None));
        for renewed in self.run_all(renew) {
            // One whose deadline passes at this very moment has nothing left to renew.
            if let Err(error) = renewed
                && error.job().is_none()
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// What opening found.
    pub fn opened(&self) -> &OpenReport {
        &self.0.report
    }

    /// The options it was opened with.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Makes a change and waits until it is as durable as the command asks.
    ///
    /// # Errors
    ///
    /// Every refusal: what the lifecycle forbids, what is over a limit, what is not found or gone.
    /// Then nothing has changed. `OutcomeUnknown`: it may be stored, and no change is taken any more
    /// until the store is opened again.
    pub fn run(&self, command: Command) -> Result<Applied> {
        command.check(&self.0.options.limits)?;
        let entry = Entry::new(command, true);
        let slot = Arc::clone(&entry.slot);
        self.0.queue.push(vec![entry]);
        self.0.lead_until(&slot)
    }

    /// Makes many changes, in turn, in as few commits as may be; each is answered for itself.
    pub fn run_all(&self, commands: impl IntoIterator<Item = Command>) -> Vec<Result<Applied>> {
        self.0.run_all(commands)
    }

    /// Queues a change and returns at once. It is decided when somebody drives.
    ///
    /// ```
    /// use jobtrack::{Command, MemoryStore, NewJob, Options, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// let ticket = tracker.submit(Command::create(NewJob::described("Backup")));
    /// assert!(!ticket.is_decided());
    /// assert_eq!(tracker.drive(), 1);
    /// assert_eq!(ticket.wait()?.job.description, "Backup");
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    pub fn submit(&self, command: Command) -> Ticket {
        let refused = command.check(&self.0.options.limits).err().or_else(|| {
            (self.0.queue.len() >= QUEUED_COMMANDS).then(|| {
                Error::new(
                    ErrorKind::LimitExceeded,
                    format!("{QUEUED_COMMANDS} commands wait to be decided, which is the most"),
                )
            })
        });
        if let Some(error) = refused {
            return Ticket(Slot::decided(Err(error)));
        }
        let entry = Entry::new(command, false);
        let ticket = Ticket(Arc::clone(&entry.slot));
        self.0.queue.push(vec![entry]);
        ticket
    }

    /// Commits what is queued, on this thread, and returns how many commands that were. If another
    /// thread is committing, that one takes what is queued by now, and this returns at once.
    pub fn drive(&self) -> usize {
        let Some(mut lead) = self.0.queue.lead_or_defer() else { return 0 };
        let mut driven = 0;
        while let Some(entries) = lead.next(None) {
            driven += entries.len();
            self.0.commit_group(&entries);
        }
        driven
    }

    /// Makes a job known. See [`run`](Tracker::run) for this and all that follow.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the uuid is taken, also by a job that went lately; `KeyTaken` when the
    /// idempotency key is, by a job of other content; `LimitExceeded`.
    pub fn create(&self, job: NewJob) -> Result<Arc<Job>> {
        self.change(Command::create(job))
    }

    /// A worker begins a job.
    ///
    /// # Errors
    ///
    /// `NotQueued`, `JobEnded`.
    pub fn start(&self, job: JobId) -> Result<Arc<Job>> {
        self.change(Command::start(job))
    }

    /// A worker tells where a job stands.
    ///
    /// # Errors
    ///
    /// `JobEnded`.
    pub fn report(&self, job: JobId, report: impl Into<Report>) -> Result<Arc<Job>> {
        self.change(Command::report(job, report))
    }

    /// A worker has stopped for a while.
    ///
    /// # Errors
    ///
    /// `NotRunning`, `JobEnded`.
    pub fn pause(&self, job: JobId) -> Result<Arc<Job>> {
        self.change(Command::pause(job))
    }

    /// A worker goes on.
    ///
    /// # Errors
    ///
    /// `NotPaused`, `JobEnded`.
    pub fn resume(&self, job: JobId) -> Result<Arc<Job>> {
        self.change(Command::resume(job))
    }

    /// A worker is done.
    ///
    /// # Errors
    ///
    /// `NotRunning`, `JobEnded`.
    pub fn succeed(&self, job: JobId, success: Success) -> Result<Arc<Job>> {
        self.change(Command::succeed(job, success))
    }

    /// A worker gives up.
    ///
    /// # Errors
    ///
    /// `JobEnded`; `InvalidValue` for code 0, `Contradiction` for an error that says something else.
    pub fn fail(&self, job: JobId, failure: Failure) -> Result<Arc<Job>> {
        self.change(Command::fail(job, failure))
    }

    /// An operator asks for something. Unless the job answers for itself, it is so at once.
    ///
    /// # Errors
    ///
    /// `NotRunning`, `NotPaused`, `JobEnded`, `CannotPause`, `CannotCancel`, `CancelPending`.
    pub fn request(&self, job: JobId, action: Action) -> Result<Arc<Job>> {
        self.change(Command::request(job, action))
    }

    /// Lets a job stay at least so long after its end; counted from the end, and never shortened.
    ///
    /// # Errors
    ///
    /// `LimitExceeded`.
    pub fn extend(&self, job: JobId, retention: Duration) -> Result<Arc<Job>> {
        self.change(Command::extend(job, retention))
    }

    /// Keeps a job from expiring until it is [let go](Tracker::unhold). One that lives still stays
    /// so from its end on. A second hold changes nothing: the first one's actor, time and reason
    /// stand. [`Command::hold`] says who and why.
    ///
    /// ```
    /// use jobtrack::{Actor, Command, Field, MemoryStore, NewJob, Options, Query, Expr, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// let job = tracker.create(NewJob::described("Backup of vol1"))?;
    /// tracker.run(Command::hold(job.uuid).by(Actor::named("ana")).because("ticket 4711"))?;
    ///
    /// let held = tracker.query(&Query::matching(Expr::is_set(Field::HeldTime)))?.jobs;
    /// assert_eq!(held[0].held.as_ref().map(|held| &*held.reason), Some("ticket 4711"));
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Tracker::get).
    pub fn hold(&self, job: JobId) -> Result<Arc<Job>> {
        self.change(Command::hold(job))
    }

    /// Lets go of a job that was held. It expires once what was left of its stay is over: the time
    /// for which it was held does not count.
    ///
    /// # Errors
    ///
    /// As [`get`](Tracker::get).
    pub fn unhold(&self, job: JobId) -> Result<Arc<Job>> {
        self.change(Command::unhold(job))
    }

    /// Forgets a job that has ended; a tombstone stays for a while.
    ///
    /// # Errors
    ///
    /// `StillLive`, `Held`.
    pub fn delete(&self, job: JobId) -> Result<Arc<Job>> {
        self.change(Command::delete(job))
    }

    /// Gives a worker the best of the queued jobs that match, or None if none does. It runs from
    /// then on, and until the lease ends only who shows its token may write as the job's worker.
    /// Two claims never get the same job.
    ///
    /// ```
    /// use jobtrack::{Claim, Command, ErrorKind, Expr, Hold, MemoryStore, NewJob, Options, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// tracker.create(NewJob::described("Backup of vol1"))?;
    /// let claim = || Claim::matching(Expr::everything(), Hold::leased("worker-1"));
    ///
    /// let job = tracker.claim(claim())?.expect("it is queued");
    /// let token = job.lease.as_ref().map_or(0, |lease| lease.token);
    /// assert_eq!(tracker.claim(claim())?, None);
    /// assert_eq!(tracker.report(job.uuid, "hm").unwrap_err().kind(), ErrorKind::Leased);
    /// tracker.run(Command::report(job.uuid, "3 of 40 files").holding(token))?;
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidValue` for an owner in this process where the options name none.
    pub fn claim(&self, claim: Claim) -> Result<Option<Arc<Job>>> {
        match self.change(Command::claim(claim)) {
            Err(error) if error.kind() == ErrorKind::NothingToClaim => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    /// Gives a worker this job, if nobody holds it. One that is queued begins.
    ///
    /// # Errors
    ///
    /// `Leased`, `JobEnded`; `InvalidValue` for an owner in this process where the options name none.
    pub fn claim_job(&self, job: JobId, hold: Hold) -> Result<Arc<Job>> {
        self.change(Command::claim_job(job, hold))
    }

    /// Gives the lease of this token a full term again. Every other change that shows the token does
    /// so, too.
    ///
    /// # Errors
    ///
    /// `LeaseLost`, `JobEnded`.
    pub fn renew(&self, job: JobId, token: u64) -> Result<Arc<Job>> {
        self.change(Command::renew(job, token, None))
    }

    /// Gives a job back: it is queued again, or canceled if that was asked for.
    ///
    /// # Errors
    ///
    /// `LeaseLost`, `JobEnded`.
    pub fn release(&self, job: JobId, token: u64) -> Result<Arc<Job>> {
        self.change(Command::release(job, token))
    }

    fn change(&self, command: Command) -> Result<Arc<Job>> {
        self.run(command).map(|applied| applied.job)
    }

    /// The job as it stands.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Gone` when it expired or was deleted lately; `Closed`.
    pub fn get(&self, id: JobId) -> Result<Found> {
        self.get_for(None, id)
    }

    /// The same for a tenant, to whom the job of another, and what is left of it, is as unknown as
    /// one that never was.
    fn get_for(&self, tenant: Option<&Tenant>, id: JobId) -> Result<Found> {
        let found_in = |table: &Table, horizon: Timestamp| {
            find(table, id, horizon).filter(|found| sees(tenant, &found.job))
        };
        // A job that is there hides nothing, whatever else is due.
        {
            let view = self.0.view.read();
            let horizon = self.0.time.now();
            if !view.is_closed
                && let Some(found) = found_in(&view.table, horizon)
            {
                return Ok(self.0.with_progress(found));
            }
        }
        let found = self.0.read(|table, horizon| {
            found_in(table, horizon).ok_or_else(|| match table.row(id) {
                Some(row) if sees(tenant, &row.job) => {
                    group::expired(&row.job, &self.0.options, horizon)
                }
                Some(_) => group::not_found(id),
                None => match table.tombstones.get(id, horizon) {
                    Some(tombstone) if sees_gone(tenant, &tombstone.gone) => {
                        group::gone(&tombstone.gone)
                    }
                    _ => group::not_found(id),
                },
            })
        })?;
        found.map(|found| self.0.with_progress(found))
    }

    /// A page of the jobs that match, in the order asked for.
    ///
    /// # Errors
    ///
    /// `LimitExceeded` for a filter beyond the limits; `InvalidToken` for a token of another query;
    /// `DeadlineExceeded` where the budget does not suffice and a part would be wrong.
    pub fn query(&self, query: &Query) -> Result<Page> {
        let snapshot = self.0.snapshot()?;
        self.0.run(&snapshot, |run| run.page(query))
    }

    /// How many jobs match.
    ///
    /// # Errors
    ///
    /// As [`query`](Tracker::query).
    pub fn count(&self, query: &Query) -> Result<Count> {
        if let Some(count) = self.0.count_of_tally(query)? {
            return Ok(count);
        }
        let snapshot = self.0.snapshot()?;
        self.0.run(&snapshot, |run| run.count(query))
    }

    /// What [`query`](Tracker::query) does for this query, by doing it: the plan, and for each step
    /// what it expected beside what it read, skipped and found.
    ///
    /// # Errors
    ///
    /// As [`query`](Tracker::query).
    pub fn explain(&self, query: &Query) -> Result<Explanation> {
        let snapshot = self.0.snapshot()?;
        self.0.run(&snapshot, |run| run.explain_page(query))
    }

    /// What [`count`](Tracker::count) does for this query, by doing it.
    ///
    /// # Errors
    ///
    /// As [`query`](Tracker::query).
    pub fn explain_count(&self, query: &Query) -> Result<Explanation> {
        if let Some(count) = self.0.count_of_tally(query)? {
            return Ok(Explanation::of_tally(query, count.count));
        }
        let snapshot = self.0.snapshot()?;
        self.0.run(&snapshot, |run| run.explain_count(query))
    }

    /// How many jobs there are by kind and state. Kept up with each change, never scanned for.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn counts(&self) -> Result<Counts> {
        self.0.read(Table::counts)
    }

    /// How much memory the jobs take, orders, search and tombstones included; not what is kept for those
    /// who watch. Exact but for tombstones and some thousand jobs that changed last.
    ///
    /// ```
    /// use jobtrack::{MemoryStore, NewJob, Options, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// let empty = tracker.memory();
    /// tracker.create(NewJob::described("Backup of vol1"))?;
    /// assert!(tracker.memory() > empty);
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    pub fn memory(&self) -> usize {
        self.0.view.read().table.bytes()
    }

    /// Waits until the job has ended, for so long at most, and returns it as it then stands.
    ///
    /// The time is real time, whatever clock the tracker has.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Gone`; `Closed` when the tracker is closed meanwhile.
    pub fn wait(&self, id: JobId, timeout: Duration) -> Result<Found> {
        self.wait_for(None, id, timeout)
    }

    fn wait_for(&self, tenant: Option<&Tenant>, id: JobId, timeout: Duration) -> Result<Found> {
        let place = self.0.waiters.place(id);
        let found = self.get_for(tenant, id)?;
        if found.state().is_terminal() {
            return Ok(found);
        }
        match place.wait(timeout) {
            // The uuid may be another's by now.
            Some(Ok(ended)) if !sees(tenant, &ended.job) => Err(group::not_found(id)),
            Some(ended) => ended,
            None => self.get_for(tenant, id),
        }
    }

    /// Watches the jobs that match: tells of each that begins to match, changes while it does,
    /// ceases to, or goes, from this position on, or from now. See [`Watch`].
    ///
    /// To know all jobs at all times, list them, watch from the revision of the (first) page, and
    /// do to the listing what each event says.
    ///
    /// ```
    /// use std::time::Duration;
    /// use jobtrack::{EventKind, Expr, MemoryStore, Names, NewJob, Options, Query, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// let running = Expr::parse("state", "running", Names::Native)?;
    /// let listed = tracker.query(&Query::matching(running.clone()))?;
    /// let mut watch = tracker.watch(running, Some(listed.revision.into()))?;
    ///
    /// let job = tracker.create(NewJob::described("Backup of vol1"))?;
    /// tracker.start(job.uuid)?;
    /// tracker.report(job.uuid, "7 of 40 files")?;
    /// let mut names = Vec::new();
    /// while let Some(event) = watch.next(Duration::ZERO)? {
    ///     names.push(event.kind.name());
    /// }
    /// assert_eq!(names, ["in", "changed"]);
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `LimitExceeded` for a filter beyond the limits. A position that says nothing here is no
    /// error: the first event is then [`EventKind::Gap`](crate::EventKind::Gap).
    pub fn watch(&self, filter: Expr, after: Option<Position>) -> Result<Watch> {
        filter.check()?;
        Ok(Watch::new(Arc::clone(&self.0), filter, after))
    }

    /// The revision of the latest commit.
    pub fn revision(&self) -> Revision {
        self.0.view.read().table.revision
    }

    /// Engine time: the later of the wall and the stored horizon at opening, monotonic after.
    pub fn now(&self) -> Timestamp {
        self.0.time.now()
    }

    /// Takes out up to `budget` jobs and as many tombstones whose time is up, and does to as many
    /// jobs whose lease or deadline has run out what is due. Every commit does some of it; where
    /// none comes, this must: a job whose lease has run out is shown as it was, with the time at
    /// which that happened, until somebody writes.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn maintain(&self, budget: usize) -> Result<Maintained> {
        self.0.flush_if_due();
        let mut maintained = self.0.sweep(budget)?;
        // What is due as well would be sealed only to go.
        if !maintained.more || maintained.expired == 0 || self.0.is_untidy() {
            maintained.more |= self.0.tidy();
        }
        Ok(maintained)
    }

    /// Makes every change so far survive power loss, deferred ones included.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn sync(&self) -> Result<()> {
        self.0.sync()
    }

    /// Marks the store as closed cleanly. Changes and reads are refused from then on, and commands
    /// that wait are answered so; the store itself is let go with the last handle.
    ///
    /// # Errors
    ///
    /// What the store says; then the next opening begins a new epoch.
    pub fn close(&self) -> Result<()> {
        self.0.close()
    }
}

impl Inner {
    fn run_all(&self, commands: impl IntoIterator<Item = Command>) -> Vec<Result<Applied>> {
        // All of them are there before the first is queued: the lead may fall to any of them, and
        // must not fall to an iterator that waits for somebody else.
        let commands = commands.into_iter();
        let mut entries = Vec::with_capacity(commands.size_hint().0.min(COMMIT_COMMANDS));
        let slots: Vec<_> = commands
            .map(|command| {
                command.check(&self.options.limits)?;
                let entry = Entry::new(command, true);
                let slot = Arc::clone(&entry.slot);
                entries.push(entry);
                Ok(slot)
            })
            .collect();
        self.queue.push(entries);
        // All that one commit has decided need not wait for anything.
        let answer = |slot: Arc<Slot>| slot.outcome().unwrap_or_else(|| self.lead_until(&slot));
        slots.into_iter().map(|slot| slot.and_then(answer)).collect()
    }

    /// The job as it is known ahead of the store.
    fn with_progress(&self, found: Found) -> Found {
        match self.overlay.get(found.uuid) {
            None => found,
            Some((progress, number)) => {
                let job = progress::with(&found.job, progress);
                Found { job, unflushed: Some(number), ..found }
            }
        }
    }

    /// Leads commits, or waits while others do, until the slot is decided.
    fn lead_until(&self, slot: &Slot) -> Result<Applied> {
        loop {
            match self.queue.await_turn(slot) {
                Err(outcome) => return outcome,
                Ok(mut lead) => {
                    while let Some(entries) = lead.next(Some(slot)) {
                        self.commit_group(&entries);
                    }
                }
            }
        }
    }

    /// Reads at a horizon from now on such that everything the answer hides stays hidden, whatever
    /// happens to machine and clock.
    fn read<T>(&self, read: impl FnOnce(&Table, Timestamp) -> T) -> Result<T> {
        {
            let view = self.view.read();
            if view.is_closed {
                return Err(closed());
            }
            let horizon = self.time.now();
            if !view.hides_more(horizon) {
                return Ok(read(&view.table, horizon));
            }
        }
        self.hide_and_read(read)
    }

    fn snapshot(&self) -> Result<Snapshot> {
        self.read(Table::snapshot)
    }

    fn run<T>(&self, snapshot: &Snapshot, answer: impl FnOnce(Run<'_>) -> Result<T>) -> Result<T> {
        let monotonic = || self.time.clock().monotonic();
        answer(Run { snapshot, monotonic: &monotonic })
    }

    /// The count, if kind and state are all that is asked: it is kept up with each change.
    fn count_of_tally(&self, query: &Query) -> Result<Option<Count>> {
        if !query.is_of_tally() {
            return Ok(None);
        }
        self.read(|table, horizon| query.count_by_tally(table, horizon))
    }
}

/// The job, if it is there at this horizon.
fn find(table: &Table, id: JobId, horizon: Timestamp) -> Option<Found> {
    let (job, revision) = (table.row(id)?.job, table.revision);
    (!job.is_expired(horizon)).then_some(Found { job, revision, horizon, unflushed: None })
}

/// Whether the job is one that this caller sees; who is no tenant sees them all.
fn sees(tenant: Option<&Tenant>, job: &Job) -> bool {
    tenant.is_none_or(|tenant| tenant.owns(job.scope.as_ref()))
}

/// Whether this caller sees what is left of a job.
fn sees_gone(tenant: Option<&Tenant>, gone: &Gone) -> bool {
    tenant.is_none_or(|tenant| tenant.owns(gone.scope.as_ref()))
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the tracker was closed")
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revision = self.view.try_read().map(|view| view.table.revision);
        f.debug_struct("Tracker").field("revision", &revision).finish_non_exhaustive()
    }
}

/// The last handle marks the store as closed cleanly. Who wants to hear of a failure calls
/// [`Tracker::close`] before.
impl Drop for Inner {
    fn drop(&mut self) {
        let _unheard = self.close();
    }
}
