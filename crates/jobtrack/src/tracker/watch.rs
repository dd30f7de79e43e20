//! Watches: a filter and a place in the history, or behind it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Gone, Job, JobId, Revision};
use crate::query::Expr;
use crate::table::Tombstones;
use crate::timestamp::Timestamp;
use crate::watch::{After, Before, Commit, Event, EventKind, Next, Position, Transition};

/// Commits that one poll looks through before it lets others have the thread.
const COMMITS_A_POLL: usize = 64;

/// Tells what happens to the jobs that match a filter, in order, and where it cannot, says so.
///
/// Made by [`Tracker::watch`](crate::Tracker::watch). It blocks ([`next`](Watch::next)), or is
/// awaited without any runtime ([`poll_next`](Watch::poll_next)). It never holds up a commit, and
/// costs a few kilobytes however far behind it is: what is not fetched waits in the history that
/// all watches share.
///
/// # What is told
///
/// - **Within the history** ([`HistoryOptions`](crate::HistoryOptions)), every transition that
///   enters, stays within, or leaves the filter, in order of revision and, within one commit, of
///   the commands: each of several changes of one job is told.
/// - **Beyond the history**, where the tombstones still tell of all that went: each job that has
///   changed since, once, in order of its latest revision, as `In` if it matches now and as `Out`
///   if it does not; and each job that went as `Gone`. What a job's uuid and scope rule out for
///   ever is left out of both.
/// - **Beyond the tombstones**, and after a position that a crash has taken or that is none of this
///   store's: one `Gap`, and then what happens from its revision on.
///
/// So who applies each event to a listing as old as the watch has the listing of now. `In` and
/// `Changed` put a job in, or in place of what was there; `Out` and `Gone` take it out, if it was
/// there.
///
/// # Expiry
///
/// No event shows a job after its time. `Gone` is told once the job is swept, which the next commit
/// does, or [`maintain`](crate::Tracker::maintain); and earlier, in place of any event that would
/// show the job; then it is told twice, and what came between all the same. Before it is told the
/// horizon is stored, so that no crash and no clock bring the job back.
///
/// # What it holds
///
/// A watch is a handle on the tracker: the store is let go when the last of both is dropped.
///
/// ```
/// use std::time::Duration;
/// use jobtrack::{EventKind, Expr, Failure, MemoryStore, NewJob, Options, Tracker};
///
/// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
/// let mut watch = tracker.watch(Expr::everything(), None)?;
/// let job = tracker.create(NewJob::described("Backup of vol1"))?.uuid;
/// let event = watch.next(Duration::from_secs(1))?.expect("it is there already");
/// assert_eq!(event.kind.job().map(|job| job.uuid), Some(job));
///
/// // Another watch goes on from there.
/// let mut other = tracker.watch(Expr::everything(), Some(event.position))?;
/// assert_eq!(other.next(Duration::ZERO)?, None);
/// tracker.fail(job, Failure::default())?;
/// tracker.delete(job)?;
/// let changed = other.next(Duration::ZERO)?.expect("it has failed");
/// assert!(matches!(changed.kind, EventKind::Changed(_)));
/// let gone = other.next(Duration::ZERO)?.expect("it was deleted");
/// assert!(matches!(gone.kind, EventKind::Gone(gone) if gone.was_deleted));
/// # Ok::<(), jobtrack::Error>(())
/// ```
pub struct Watch {
    inner: Arc<Inner>,
    filter: Expr,
    /// Under which it waits.
    id: u64,
    position: Position,
    place: Place,
    /// Events that were taken out and not told yet.
    ready: VecDeque<Event>,
}

/// Up to where a watch has taken events out.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// The history, after this revision.
    History(Revision),
    /// The table and the tombstones, in order of latest revision and uuid, after these.
    Table(Revision, JobId),
}

impl Watch {
    pub(super) fn new(inner: Arc<Inner>, filter: Expr, after: Option<Position>) -> Self {
        let now = inner.view.read().table.revision;
        let position = after.unwrap_or(now.into());
        inner.counters.watches.fetch_add(1, Ordering::Relaxed);
        let mut watch = Watch {
            id: inner.history.join(),
            filter,
            position,
            place: Place::History(position.whole),
            ready: VecDeque::new(),
            inner,
        };
        let epochs = &watch.inner.epochs;
        if !epochs.hold(position.whole, now) || !epochs.hold(position.seen, now) {
            watch.skip_to(now);
        }
        watch
    }

    /// How far the events have told so far: where another watch of the same filter goes on. It
    /// moves on without events, too, while nothing happens that concerns the filter.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next event, if it comes within the time.
    ///
    /// The time is real time, whatever clock the tracker has.
    ///
    /// # Errors
    ///
    /// `Closed` once the tracker is closed and everything before that was told.
    // Not an iterator: it takes a time, and None is not its end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Event>> {
        // How long a caller is kept waiting is not a time of jobs.
        #[allow(clippy::disallowed_methods)]
        let until = Instant::now().checked_add(timeout);
        loop {
            if let Some(event) = self.try_next()? {
                return Ok(Some(event));
            }
            if let Place::History(after) = self.place
                && !self.inner.history.wait(after, until)
            {
                return Ok(None);
            }
        }
    }

    /// The next event, if there is one by now.
    ///
    /// It does not wait for events, but it does work: to catch up from beyond the history it reads
    /// the table, and before it says that a job has expired it may store the horizon.
    ///
    /// # Errors
    ///
    /// `Closed` once the tracker is closed and everything before that was told.
    pub fn try_next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(self.tell(event)));
            }
            match self.place {
                Place::Table(revision, id) => self.catch_up((revision, id)),
                Place::History(after) => match self.inner.history.next(after) {
                    Next::Commit(commit) => self.take(&commit),
                    Next::Forgotten => self.leave_history(after),
                    Next::Nothing => return Ok(None),
                    Next::Closed => return Err(closed()),
                },
            }
        }
    }

    /// Waits for the next event without blocking a thread, for any runtime or none.
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use jobtrack::{Expr, MemoryStore, NewJob, Options, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// let mut watch = tracker.watch(Expr::everything(), None)?;
    /// // In a task this is: std::future::poll_fn(|context| watch.poll_next(context)).await
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(watch.poll_next(&mut context).is_pending());
    /// tracker.create(NewJob::described("Backup of vol1"))?;
    /// let Poll::Ready(event) = watch.poll_next(&mut context) else { panic!("it is there") };
    /// assert_eq!(event?.kind.name(), "in");
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    ///
    /// It does the work of [`try_next`](Watch::try_next), a few commits of the history or one reading
    /// of the table at a time: where these hold nothing for the filter, it asks to be polled again
    /// and lets others go first. To tell that a job has expired may still take the time of a sync;
    /// where that matters, await [`poll_ready`](Watch::poll_ready) and call `try_next` elsewhere.
    ///
    /// # Errors
    ///
    /// `Closed` once the tracker is closed and everything before that was told.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Event>> {
        for _ in 0..COMMITS_A_POLL {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Ok(self.tell(event)));
            }
            match self.place {
                Place::Table(revision, id) => {
                    self.catch_up((revision, id));
                    if self.ready.is_empty() {
                        // It went through the whole table, and that is enough for once.
                        break;
                    }
                }
                Place::History(after) => {
                    match self.inner.history.poll_next(after, self.id, context.waker()) {
                        Next::Commit(commit) => self.take(&commit),
                        Next::Forgotten => self.leave_history(after),
                        Next::Nothing => return Poll::Pending,
                        Next::Closed => return Poll::Ready(Err(closed())),
                    }
                }
            }
        }
        // There is more to look through; but first others have the thread.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits until [`try_next`](Watch::try_next) is worth a call: there is an event, or something
    /// to be read that may hold one, or the end. It never blocks and never reads more than a few
    /// commits of the history.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..COMMITS_A_POLL {
            let Place::History(after) = self.place else { return Poll::Ready(()) };
            if !self.ready.is_empty() {
                return Poll::Ready(());
            }
            match self.inner.history.poll_next(after, self.id, context.waker()) {
                Next::Commit(commit) => self.take(&commit),
                Next::Nothing => return Poll::Pending,
                Next::Forgotten | Next::Closed => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }

    /// Takes out what one commit has for the filter.
    fn take(&mut self, commit: &Commit) {
        let revision = commit.revision;
        let partly = self.position.with(revision);
        for transition in &commit.transitions {
            if let Some(kind) = seen_through(&self.filter, transition) {
                self.ready.push_back(Event { kind, revision, position: partly });
            }
        }
        self.place = Place::History(revision);
        self.reach(revision);
    }

    /// Everything up to this revision is told once the last event taken out is.
    fn reach(&mut self, revision: Revision) {
        match self.ready.back_mut() {
            Some(last) => last.position = revision.into(),
            None => self.position = revision.into(),
        }
    }

    /// Goes on with what the table and the tombstones know.
    fn leave_history(&mut self, after: Revision) {
        self.place = Place::Table(after, last_id());
    }

    /// Takes out the next jobs that have changed, and those that went, since this place. What is
    /// told is what is so now; so only with the last of them is everything told up to a revision.
    fn catch_up(&mut self, place: (Revision, JobId)) {
        let view = self.inner.view.read();
        let now = view.table.revision;
        // A tombstone that went at this revision or later could be one that was not told.
        if (view.table.tombstones.forgotten(), last_id()) > place {
            drop(view);
            self.skip_to(now);
            return;
        }
        let most = self.inner.options.history.catch_up.max(1);
        let (mut found, mut end) = gone_after(&view.table.tombstones, place, most);
        // Jobs whose time is up are told, as gone, whether they are swept or not.
        let snapshot = view.table.snapshot(Timestamp::MIN);
        drop(view);

        let mut changed = Vec::new();
        for (at, job) in snapshot.changed_after(place) {
            if end.is_some_and(|end| at > end) {
                break;
            }
            if self.filter.admits_job(job.uuid, job.scope.as_ref()) {
                changed.push((at, job));
            }
            if changed.len() == most {
                end = Some(at);
                break;
            }
        }
        found.retain(|gone| {
            end.is_none_or(|end| gone.0 <= end)
                && self.filter.admits_job(gone.1.uuid, gone.1.scope.as_ref())
        });
        let jobs = changed.into_iter().map(|(at, job)| {
            let matches = self.filter.matches(&job);
            (at, if matches { EventKind::In(job) } else { EventKind::Out(job) })
        });
        let gone = found.into_iter().map(|(at, gone)| (at, EventKind::Gone(gone)));
        let mut events: Vec<_> = jobs.chain(gone).collect();
        events.sort_unstable_by_key(|(at, _)| *at);
        for ((revision, _), kind) in events {
            let position = self.position.with(revision);
            self.ready.push_back(Event { kind, revision, position });
        }
        match end {
            Some((revision, id)) => self.place = Place::Table(revision, id),
            None => {
                self.place = Place::History(now);
                self.reach(now);
            }
        }
    }

    /// Says that what happened up to this revision is not known.
    fn skip_to(&mut self, revision: Revision) {
        self.place = Place::History(revision);
        self.ready.push_back(Event { kind: EventKind::Gap, revision, position: revision.into() });
    }

    /// The event as it is told now.
    fn tell(&mut self, event: Event) -> Event {
        self.position = event.position;
        let now = self.inner.time.now();
        let gone = event.kind.job().and_then(|job| self.gone_by_now(job, now));
        let kind = gone.map_or(event.kind, EventKind::Gone);
        if matches!(&kind, EventKind::Gone(gone) if !gone.was_deleted) {
            // What is said to be gone must stay so, whatever happens to machine and clock.
            self.inner.hide(now);
        }
        Event { kind, ..event }
    }

    /// How the job has gone, if its time was up as the event has it.
    fn gone_by_now(&self, job: &Job, now: Timestamp) -> Option<Gone> {
        if !job.is_expired(now) {
            return None;
        }
        let view = self.inner.view.read();
        if let Some(row) = view.table.row(job.uuid)
            && row.job.create_time == job.create_time
        {
            // Its stay may have been extended since.
            return row.job.is_expired(now).then(|| Gone::expired(&row.job));
        }
        // It may have been deleted before its time was up.
        let tombstone = view.table.tombstones.get(job.uuid, now);
        let gone = tombstone.map(|tombstone| &tombstone.gone);
        let gone = gone.filter(|gone| job.end_time() == Some(gone.end_time));
        Some(gone.map_or_else(|| Gone::expired(job), |gone| Gone::clone(gone)))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("filter", &self.filter)
            .field("position", &self.position)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.inner.history.leave(self.id);
        self.inner.counters.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the transition is to those who see only what matches.
fn seen_through(filter: &Expr, transition: &Transition) -> Option<EventKind> {
    let matched = transition.before.as_ref().is_some_and(|before| match before {
        Before::Job(job) => filter.matches(job),
        row => filter.matches(&row.job()),
    });
    match &transition.after {
        After::Gone(gone) => matched.then(|| EventKind::Gone(Gone::clone(gone))),
        After::Job(job) => {
            let job = Arc::clone(job);
            match (matched, filter.matches(&job)) {
                (false, false) => None,
                (false, true) => Some(EventKind::In(job)),
                (true, true) => Some(EventKind::Changed(job)),
                (true, false) => Some(EventKind::Out(job)),
            }
        }
    }
}

type Found<T> = ((Revision, JobId), T);

/// The next jobs that went after this place, and up to where these are all.
fn gone_after(
    tombstones: &Tombstones,
    place: (Revision, JobId),
    most: usize,
) -> (Vec<Found<Gone>>, Option<(Revision, JobId)>) {
    let next = tombstones.after(place).take(most);
    let found: Vec<Found<Gone>> = next
        .map(|tombstone| ((tombstone.revision, tombstone.gone.uuid), Gone::clone(&tombstone.gone)))
        .collect();
    let end = if found.len() < most { None } else { found.last().map(|last| last.0) };
    (found, end)
}

/// The id that no other comes after.
fn last_id() -> JobId {
    JobId::from_uuid(uuid::Uuid::max())
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the tracker was closed")
}
