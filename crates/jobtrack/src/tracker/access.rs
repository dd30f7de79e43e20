//! A tracker as one caller may use it.
//!
//! Tenancy is put in here, above every answer and below every face: the filters of queries, watches
//! and claims are narrowed before anything is planned, so that plans, counts and tokens are of the
//! narrowed filter; whatever names one job goes through the same lookup as for a uuid that nobody
//! has. What tells of all jobs alike is not to be had by a tenant at all.

use std::mem;
use std::time::Duration;

use super::ticket::Slot;
use super::{Applied, Bulk, BulkRequest, Found, Options, Ticket, Tracker, Tree, Watch};
use crate::command::{Change, Command};
use crate::error::{Error, ErrorKind, Result};
use crate::field::{Field, Names};
use crate::job::{JobId, Log, Progress, State, Tenant};
use crate::query::{Budget, Comparison, Count, Explanation, Expr, Order, Page, Query};
use crate::table::Counts;
use crate::timestamp::Timestamp;
use crate::watch::Position;

/// A tracker as one caller may use it: whole, or confined to the jobs of one [`Tenant`].
///
/// A tenant sees, counts, watches, claims and changes the jobs of their scope; jobs of other scopes,
/// and what is left of them, are to them as if they had never been. A job that a tenant makes is of
/// their scope. What they may not do at all is refused as [`ErrorKind::NotPermitted`]:
///
/// - bring a uuid, by `create` or by import: a refusal would tell that another has it, and taking it
///   would keep it from them. An idempotency key does what a uuid of one's own is mostly for;
/// - have a query explained: what it reads tells how many jobs others have.
///
/// What a tenant can notice of others is that the store is shared: revisions rise with everybody's
/// commits, and room, memory and time are used up by all.
///
/// ```
/// use jobtrack::{ErrorKind, MemoryStore, NewJob, Options, Query, Tenant, Tracker};
///
/// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
/// let others = tracker.create(NewJob::described("Backup of vol1"))?.uuid;
///
/// let access = tracker.access(Some(Tenant::named("vs1")?));
/// assert_eq!(access.get(others).unwrap_err().kind(), ErrorKind::NotFound);
/// let own = access.run(jobtrack::Command::create(NewJob::described("Backup of vol2")))?.job;
/// assert_eq!(own.scope.as_ref().map(|scope| &*scope.name), Some("vs1"));
/// assert_eq!(access.query(&Query::default())?.jobs, [own]);
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Access {
    tracker: Tracker,
    tenant: Option<Tenant>,
}

impl Tracker {
    /// The tracker for a caller: a tenant, or (None) somebody who may see and change everything.
    pub fn access(&self, tenant: Option<Tenant>) -> Access {
        Access { tracker: self.clone(), tenant }
    }
}

impl Access {
    /// Whose jobs it is confined to.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }

    /// The tracker itself, for what concerns the whole store.
    ///
    /// # Errors
    ///
    /// `NotPermitted` to a tenant.
    pub fn whole(&self) -> Result<&Tracker> {
        match self.tenant {
            None => Ok(&self.tracker),
            Some(_) => {
                Err(not_permitted("this concerns all jobs of the store, and not yours alone"))
            }
        }
    }

    /// The options of the tracker.
    pub fn options(&self) -> &Options {
        self.tracker.options()
    }

    /// Engine time; see [`Tracker::now`].
    pub fn now(&self) -> Timestamp {
        self.tracker.now()
    }

    /// See [`Tracker::run`].
    ///
    /// # Errors
    ///
    /// As there; `NotPermitted`; `InvalidValue` for a job of another scope.
    pub fn run(&self, command: Command) -> Result<Applied> {
        self.tracker.run(self.confined(command)?)
    }

    /// See [`Tracker::run_all`].
    pub fn run_all(&self, commands: impl IntoIterator<Item = Command>) -> Vec<Result<Applied>> {
        let mut permitted = Vec::new();
        let mut refused = Vec::new();
        for command in commands {
            match self.confined(command) {
                Ok(command) => {
                    permitted.push(command);
                    refused.push(None);
                }
                Err(error) => refused.push(Some(error)),
            }
        }
        let mut outcomes = self.tracker.run_all(permitted).into_iter();
        let in_turn = refused.into_iter().filter_map(|refused| match refused {
            Some(error) => Some(Err(error)),
            None => outcomes.next(),
        });
        in_turn.collect()
    }

    /// See [`Tracker::submit`].
    pub fn submit(&self, command: Command) -> Ticket {
        match self.confined(command) {
            Ok(command) => self.tracker.submit(command),
            Err(error) => Ticket(Slot::decided(Err(error))),
        }
    }

    /// See [`Tracker::get`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn get(&self, id: JobId) -> Result<Found> {
        self.tracker.get_for(self.tenant(), id)
    }

    /// See [`Tracker::query`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn query(&self, query: &Query) -> Result<Page> {
        match self.narrowed(query) {
            None => self.tracker.query(query),
            Some(query) => self.tracker.query(&query),
        }
    }

    /// See [`Tracker::query_at_once`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn query_at_once(&self, query: &Query) -> Result<Option<Page>> {
        match self.narrowed(query) {
            None => self.tracker.query_at_once(query),
            Some(query) => self.tracker.query_at_once(&query),
        }
    }

    /// See [`Tracker::count`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn count(&self, query: &Query) -> Result<Count> {
        match self.narrowed(query) {
            None => self.tracker.count(query),
            Some(query) => self.tracker.count(&query),
        }
    }

    /// See [`Tracker::explain`].
    ///
    /// # Errors
    ///
    /// As there; `NotPermitted` to a tenant.
    pub fn explain(&self, query: &Query) -> Result<Explanation> {
        self.explaining()?.explain(query)
    }

    /// See [`Tracker::explain_count`].
    ///
    /// # Errors
    ///
    /// As there; `NotPermitted` to a tenant.
    pub fn explain_count(&self, query: &Query) -> Result<Explanation> {
        self.explaining()?.explain_count(query)
    }

    /// See [`Tracker::counts`]. Those of a tenant are counted when they are asked for, at a cost that
    /// rises with the number of their kinds.
    ///
    /// # Errors
    ///
    /// `Closed`; `DeadlineExceeded` for a tenant with more kinds than can be counted in the time that
    /// a query has.
    pub fn counts(&self) -> Result<Counts> {
        if self.tenant.is_none() {
            return self.tracker.counts();
        }
        let inner = &*self.tracker.0;
        let snapshot = inner.snapshot()?;
        let mut budget = Left::of(|| inner.time.clock().monotonic());
        let mut counts = Counts::none(snapshot.revision, snapshot.horizon);
        let mut count = |kind: &str, of_kind: &Expr| -> Result<()> {
            for state in State::ALL {
                let filter = of_kind.clone().and(Expr::is(Field::State, *state)?);
                let query = Query { budget: budget.left(), ..Query::matching(filter) };
                counts.set(kind, *state, inner.run(&snapshot, |run| run.count(&query))?.count);
            }
            Ok(())
        };
        count("", &self.own().and(Expr::is_null(Field::Kind)))?;
        // Their own kinds, one after the other: to look through all kinds would take longer the more
        // of them others have.
        let mut following = self.own().and(Expr::is_set(Field::Kind));
        loop {
            let query = Query {
                order: Order::parse("kind", Names::Native)?,
                max_records: Some(1),
                ..Query::matching(following)
            };
            let page = inner.run(&snapshot, |run| run.page(&query))?;
            let Some(job) = page.jobs.first() else { break };
            let kind = &*job.kind;
            count(kind, &self.own().and(Expr::is(Field::Kind, kind)?))?;
            following = self.own().and(Expr::compare(Field::Kind, Comparison::Greater, kind)?);
        }
        Ok(counts)
    }

    /// See [`Tracker::counts_at_once`]. Those of a tenant have to be counted, so there are none.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn counts_at_once(&self) -> Result<Option<Counts>> {
        match self.tenant {
            None => self.tracker.counts_at_once(),
            Some(_) => Ok(None),
        }
    }

    /// See [`Tracker::tree`]. Children of another scope are none of a tenant's.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn tree(&self, id: JobId, at_most: usize) -> Result<Tree> {
        self.tracker.tree_for(self.tenant(), id, at_most)
    }

    /// See [`Tracker::log`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn log(&self, id: JobId) -> Result<Log> {
        self.tracker.log_for(self.tenant(), id)
    }

    /// See [`Tracker::bulk`]. A tenant's goes over their own jobs, and its job is one of them.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn bulk(&self, request: BulkRequest) -> Result<Bulk> {
        let filter = self.narrow(request.filter);
        self.tracker.bulk_for(self.tenant(), BulkRequest { filter, ..request })
    }

    /// See [`Tracker::wait`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn wait(&self, id: JobId, timeout: Duration) -> Result<Found> {
        self.tracker.wait_for(self.tenant(), id, timeout)
    }

    /// See [`Tracker::watch`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn watch(&self, filter: Expr, after: Option<Position>) -> Result<Watch> {
        self.tracker.watch(self.narrow(filter), after)
    }

    /// See [`Tracker::progress`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn progress(&self, id: JobId, progress: Progress, token: Option<u64>) -> Result<Found> {
        self.tracker.progress_for(self.tenant(), id, progress, token)
    }

    /// See [`Tracker::sync`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn sync(&self) -> Result<()> {
        self.tracker.sync()
    }

    /// The command, as far as this caller may give it.
    fn confined(&self, mut command: Command) -> Result<Command> {
        let Some(tenant) = &self.tenant else { return Ok(command) };
        // Every change has its arm here, so that a new one cannot be forgotten.
        match &mut command.change {
            Change::Create(new) => {
                if new.uuid.is_some() {
                    let message = "who is confined to a scope brings no uuid; leave it out, and give \
                                   an idempotency_key to have a creation that can be repeated";
                    return Err(not_permitted(message).with_field("uuid"));
                }
                new.scope = Some(tenant.scope_of_new(new.scope.take())?);
            }
            Change::Import(_) => {
                let message = "who is confined to a scope imports nothing, since what is imported \
                               brings its uuid; create jobs instead";
                return Err(not_permitted(message));
            }
            // The job is looked for among the tenant's when the command is decided.
            Change::Update(..) => {}
            Change::Claim(claim) => claim.filter = self.narrow(mem::take(&mut claim.filter)),
        }
        command.tenant = Some(tenant.clone());
        Ok(command)
    }

    fn explaining(&self) -> Result<&Tracker> {
        let refused = |_| {
            let message =
                "what a query reads tells of jobs that are not yours; ask without explain";
            not_permitted(message).with_field("explain")
        };
        self.whole().map_err(refused)
    }

    fn narrowed(&self, query: &Query) -> Option<Query> {
        self.tenant.as_ref()?;
        // How far a page comes in a time that is short enough tells how many rows of others it had
        // to pass by; so a tenant's ends with its records, or with the time that a query has.
        let budget = Budget { soft: query.budget.hard, ..query.budget.clone() };
        Some(Query { filter: self.narrow(query.filter.clone()), budget, ..query.clone() })
    }

    /// The filter, for the tenant's jobs alone.
    fn narrow(&self, filter: Expr) -> Expr {
        filter.narrowed(self.own())
    }

    /// The filter that every job passes which this caller may see.
    fn own(&self) -> Expr {
        let Some(tenant) = &self.tenant else { return Expr::everything() };
        Expr::of_scope(&tenant.scope().name, &tenant.scope().id)
    }
}

/// What is left of the time that one query may take, for several.
struct Left<F> {
    now: F,
    begun: Duration,
}

impl<F: Fn() -> Duration> Left<F> {
    fn of(now: F) -> Self {
        let begun = now();
        Left { now, begun }
    }

    fn left(&mut self) -> Budget {
        let whole = Budget::default();
        let hard = whole.hard.saturating_sub((self.now)().saturating_sub(self.begun));
        Budget { soft: hard, hard, ..whole }
    }
}

fn not_permitted(message: &str) -> Error {
    Error::new(ErrorKind::NotPermitted, message)
}
