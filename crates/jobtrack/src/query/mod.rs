//! What can be asked of the jobs, and how it is answered.
//!
//! A [`Query`] says what matches ([`Expr`]), in which order ([`Order`]), and how much of it
//! ([`Page`]). Each part has a text form, the language of ONTAP's REST API, described in
//! `docs/query-language.md`. Whether records or only their number are wanted is not part of the
//! query: [`Tracker::query`](crate::Tracker::query) and [`Tracker::count`](crate::Tracker::count)
//! take the same one.

mod bits;
mod deep;
mod explain;
mod expr;
mod meter;
mod nth;
mod order;
mod parse;
mod pattern;
mod place;
mod resolve;
mod run;
mod scan;
mod search;
mod selection;
mod term;
mod token;
mod value;
mod walk;

#[cfg(test)]
mod corpus_test;
#[cfg(test)]
mod docs_test;
#[cfg(test)]
mod filter_test;
#[cfg(test)]
mod page_test;
#[cfg(test)]
mod plan_test;
#[cfg(test)]
pub(crate) mod random_jobs;
#[cfg(test)]
mod run_test;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use explain::{Explanation, Step};
pub use expr::Expr;
pub use order::{Direction, Order, OrderKey};
pub use pattern::Pattern;
pub use selection::Selection;
pub use term::{Comparison, Test};
pub use token::PageToken;
pub use value::Value;

pub(crate) use run::Run;
#[cfg(test)]
pub(crate) use scan::Scan;

use self::term::Term;
use crate::field::{Field, ValueRef};
use crate::job::{Job, Revision, State};
use crate::limits::PAGE_RECORDS;
use crate::table::Table;
use crate::timestamp::Timestamp;

/// What is asked.
///
/// ```
/// use jobtrack::{Expr, Names, Order, Query};
///
/// let query = Query {
///     filter: Expr::parse("state", "queued|running", Names::Native)?
///         .and(Expr::parse("description", "Volume*", Names::Native)?),
///     order: Order::parse("start_time desc", Names::Native)?,
///     max_records: Some(20),
///     ..Query::default()
/// };
/// assert_eq!(query.order.keys().len(), 1);
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Which jobs; all of them unless told otherwise.
    pub filter: Expr,
    /// In which order; by uuid unless told otherwise.
    pub order: Order,
    /// How many records a page may have: at least one. None means
    /// [`PAGE_RECORDS`] for records, and no end for a count.
    pub max_records: Option<usize>,
    /// How many of the first matches, in the order asked for, to leave out: at most
    /// [`OFFSET_RECORDS`](crate::limits::OFFSET_RECORDS). It belongs to the first page: one that goes
    /// on `after` another starts where that ended, and leaves out nothing.
    pub offset: usize,
    /// Where to go on: the token of the page before.
    pub after: Option<PageToken>,
    /// How long it may take.
    pub budget: Budget,
}

/// How much a query may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// After this an ordered walk returns the part it has, once that is at least one record.
    pub soft: Duration,
    /// After this the query is refused, or (an ordered walk) returns what it has, be it nothing.
    pub hard: Duration,
    /// How many rows, or values of a column, it may read before it ends as after `hard`: any number
    /// unless told otherwise.
    pub rows: Option<u64>,
    /// By which it can be ended from outside.
    pub cancel: Option<Cancel>,
}

/// Ends a query from another thread, when nobody waits for its answer any more: it is then refused
/// as one that took too long.
///
/// ```
/// use jobtrack::{Budget, Cancel, ErrorKind, MemoryStore, NewJob, Options, Query, Tracker};
///
/// let cancel = Cancel::default();
/// let budget = Budget { cancel: Some(cancel.clone()), ..Budget::default() };
/// let query = Query { budget, ..Query::default() };
/// cancel.cancel();
/// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
/// # let jobs = (0..300).map(|n| jobtrack::Command::create(NewJob::described(n.to_string())));
/// # assert!(tracker.run_all(jobs).iter().all(Result::is_ok));
/// assert_eq!(tracker.query(&query).unwrap_err().kind(), ErrorKind::DeadlineExceeded);
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends the query that has this in its budget, now or as soon as it looks.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was ended.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_canceled()).finish()
    }
}

impl PartialEq for Cancel {
    /// Whether both end the same query.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Cancel {}

impl Default for Budget {
    /// Fifteen seconds, as ONTAP has it.
    fn default() -> Self {
        let limit = Duration::from_secs(15);
        Budget { soft: limit, hard: limit, rows: None, cancel: None }
    }
}

/// A page of jobs.
#[derive(Debug, Clone)]
pub struct Page {
    /// The jobs, in the order asked for.
    pub jobs: Vec<Arc<Job>>,
    /// Where the next page begins, if there may be one.
    pub next: Option<PageToken>,
    /// The revision at which the jobs were read.
    pub revision: Revision,
    /// The horizon: no job that expired by then is among them.
    pub horizon: Timestamp,
}

/// A number of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// How many match, up to the query's `max_records`.
    pub count: u64,
    /// Where counting goes on, if `max_records` ended it.
    pub next: Option<PageToken>,
    /// The revision at which they were counted.
    pub revision: Revision,
    /// The horizon: no job that expired by then was counted.
    pub horizon: Timestamp,
}

impl Query {
    /// The query that this filter makes, in order of uuid.
    pub fn matching(filter: Expr) -> Self {
        Query { filter, ..Query::default() }
    }

    /// How many records a page has at most.
    pub(crate) fn page_records(&self) -> usize {
        self.max_records.unwrap_or(PAGE_RECORDS).min(PAGE_RECORDS)
    }

    /// How many matches this page leaves out before its first record.
    pub(crate) fn left_out(&self) -> usize {
        if self.after.is_none() { self.offset } else { 0 }
    }

    /// Whether counting it asks for nothing but kinds and states, of all jobs.
    pub(crate) fn is_of_tally(&self) -> bool {
        self.after.is_none()
            && self.max_records != Some(0)
            && self.offset <= crate::limits::OFFSET_RECORDS
            && self.filter.is_of(&[Field::Kind, Field::State])
    }

    /// The count by the tally of the table, if it needs no place to go on at.
    pub(crate) fn count_by_tally(&self, table: &Table, horizon: Timestamp) -> Option<Count> {
        let tests_kind = !self.filter.is_of(&[Field::State]);
        let passes = |kind: &str, state: State| {
            let kind = Some(kind).filter(|kind| !kind.is_empty()).map(ValueRef::Text);
            let passes = |term: &Term| match term.field {
                Field::Kind => term.holds(kind),
                _ => term.holds(Some(ValueRef::Text(state.as_str()))),
            };
            self.filter.holds(&passes)
        };
        let counted = if tests_kind {
            table.count_where(horizon, &passes)
        } else {
            let of_state: Vec<bool> = State::ALL.iter().map(|state| passes("", *state)).collect();
            table.count_where(horizon, &|_, state| {
                State::ALL.iter().zip(&of_state).any(|(own, passes)| *own == state && *passes)
            })
        };
        let count = counted?.saturating_sub(self.offset as u64);
        let most = self.max_records.map_or(u64::MAX, |most| most as u64);
        let revision = table.revision;
        (count <= most).then_some(Count { count, next: None, revision, horizon })
    }
}
