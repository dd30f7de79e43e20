//! What can be asked of the jobs, and how it is answered.
//!
//! A [`Query`] says what matches ([`Expr`]), in which order ([`Order`]), and how much of it
//! ([`Page`]). Each part has a text form, the language of ONTAP's REST API, described in
//! `docs/query-language.md`. Whether records or only their number are wanted is not part of the
//! query: [`Tracker::query`](crate::Tracker::query) and [`Tracker::count`](crate::Tracker::count)
//! take the same one.

mod expr;
mod order;
mod parse;
mod pattern;
mod scan;
mod search;
mod selection;
mod term;
mod token;
mod value;

#[cfg(test)]
mod corpus_test;
#[cfg(test)]
mod docs_test;
#[cfg(test)]
mod filter_test;
#[cfg(test)]
mod page_test;
#[cfg(test)]
pub(crate) mod random_jobs;

use std::sync::Arc;
use std::time::Duration;

pub use expr::Expr;
pub use order::{Direction, Order, OrderKey};
pub use pattern::Pattern;
pub use selection::Selection;
pub use term::{Comparison, Test};
pub use token::PageToken;
pub use value::Value;

pub(crate) use scan::Scan;

use crate::job::{Job, Revision};
use crate::limits::PAGE_RECORDS;
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

/// How long a query may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// After this an ordered walk returns the part it has, once that is at least one record.
    pub soft: Duration,
    /// After this the query is refused, or (an ordered walk) returns what it has, be it nothing.
    pub hard: Duration,
}

impl Default for Budget {
    /// Fifteen seconds, as ONTAP has it.
    fn default() -> Self {
        Budget { soft: Duration::from_secs(15), hard: Duration::from_secs(15) }
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
}
