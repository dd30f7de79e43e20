//! The plain executor: reads every row, and is the judge of every other.

// Nothing but tests asks it.
#![cfg_attr(not(test), allow(dead_code))]

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use super::token::query_hash;
use super::{Count, Order, Page, PageToken, Query};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Job;
use crate::limits::OFFSET_RECORDS;
use crate::table::Snapshot;

/// After how many rows the time is looked at.
const ROWS_PER_LOOK: usize = 256;

/// The plain executor.
pub(crate) struct Scan<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// Monotonic time, asked now and then to keep to the budget.
    pub(crate) monotonic: &'a dyn Fn() -> Duration,
}

impl Scan<'_> {
    /// The page that the query asks for.
    ///
    /// In order of uuid the rows are walked from where the page before ended, up to one match more
    /// than the page takes: whether there is a next page is known, and the last is never empty.
    /// Any other order reads all rows and keeps the best.
    pub(crate) fn page(&self, query: &Query) -> Result<Page> {
        check(query, &query.order)?;
        let hash = query_hash(&query.filter, &query.order);
        let (jobs, next) = if query.order.is_by_uuid() {
            let mut jobs = Vec::new();
            let next = self.walk(query, &query.order, hash, query.page_records(), &mut |job| {
                jobs.push(job);
            })?;
            (jobs, next)
        } else {
            self.sort(query, hash)?
        };
        Ok(Page { jobs, next, revision: self.snapshot.revision, horizon: self.snapshot.horizon })
    }

    /// How many jobs match, less those left out: all of them, or up to `max_records` with where to go on. The order
    /// does not matter, so a count's token is bound to the filter alone.
    pub(crate) fn count(&self, query: &Query) -> Result<Count> {
        let by_uuid = Order::default();
        check(query, &by_uuid)?;
        let hash = query_hash(&query.filter, &by_uuid);
        let mut count = 0;
        let most = query.max_records.unwrap_or(usize::MAX);
        let next = self.walk(query, &by_uuid, hash, most, &mut |_| count += 1)?;
        if next.is_some() && query.max_records.is_none() {
            return Err(too_slow("counted", query));
        }
        let Snapshot { revision, horizon, .. } = *self.snapshot;
        Ok(Count { count, next, revision, horizon })
    }

    /// Walks the rows in order of uuid, takes up to `most` that match, and returns where to go on,
    /// if not all rows were read: after the last job taken when one more match was found, after
    /// the last row read when the time is up.
    fn walk(
        &self,
        query: &Query,
        order: &Order,
        hash: u64,
        most: usize,
        take: &mut dyn FnMut(Arc<Job>),
    ) -> Result<Option<PageToken>> {
        // A count of all has no use for a part, so only its hard limit ends it.
        let may_stop_early = most < usize::MAX;
        let budget = &query.budget;
        let begun = (self.monotonic)();
        let mut to_leave_out = query.left_out();
        let mut taken = 0;
        let mut last_taken: Option<Arc<Job>> = None;
        let mut last_read: Option<Arc<Job>> = None;
        for (n, job) in
            self.snapshot.jobs_after(query.after.as_ref().map(PageToken::uuid)).enumerate()
        {
            if n > 0 && n.is_multiple_of(ROWS_PER_LOOK) {
                let elapsed = (self.monotonic)().saturating_sub(begun);
                let is_enough = may_stop_early && taken > 0 && elapsed >= budget.soft;
                // A token names a job, not how many were still to be left out after it.
                if to_leave_out > 0 && elapsed >= budget.hard {
                    return Err(too_slow("passed over", query));
                }
                if is_enough || elapsed >= budget.hard {
                    return Ok(last_read.map(|job| PageToken::after(&job, hash, order)));
                }
            }
            last_read = Some(Arc::clone(&job));
            if !query.filter.matches(&job) {
                continue;
            }
            if to_leave_out > 0 {
                to_leave_out -= 1;
                continue;
            }
            if taken == most {
                return Ok(last_taken.map(|job| PageToken::after(&job, hash, order)));
            }
            last_taken = Some(Arc::clone(&job));
            take(job);
            taken += 1;
        }
        Ok(None)
    }

    /// Reads all rows and keeps the best of those after the page before: what is left out, the page,
    /// and one more.
    fn sort(&self, query: &Query, hash: u64) -> Result<(Vec<Arc<Job>>, Option<PageToken>)> {
        let left_out = query.left_out();
        let most = left_out + query.page_records();
        let begun = (self.monotonic)();
        // The worst of the best is on top, to be replaced by a better one.
        let mut best: BinaryHeap<Ranked<'_>> = BinaryHeap::new();
        for (n, job) in self.snapshot.jobs_after(None).enumerate() {
            if n > 0 && n.is_multiple_of(ROWS_PER_LOOK) {
                let elapsed = (self.monotonic)().saturating_sub(begun);
                if elapsed >= query.budget.hard {
                    return Err(too_slow("sorted", query));
                }
            }
            let comes_after = |token: &PageToken| {
                query.order.compare_to(&job, token.keys(), token.uuid()).is_gt()
            };
            if !query.filter.matches(&job) || !query.after.as_ref().is_none_or(comes_after) {
                continue;
            }
            let ranked = Ranked { job, order: &query.order };
            if best.len() <= most {
                best.push(ranked);
            } else if let Some(mut worst) = best.peek_mut()
                && ranked < *worst
            {
                *worst = ranked;
            }
        }
        let has_more = best.len() > most;
        let mut jobs: Vec<_> =
            best.into_sorted_vec().into_iter().map(|ranked| ranked.job).collect();
        jobs.truncate(most);
        let last = jobs.last().filter(|_| has_more);
        let next = last.map(|job| PageToken::after(job, hash, &query.order));
        jobs.drain(..left_out.min(jobs.len()));
        Ok((jobs, next))
    }
}

/// Checks what can be wrong with a query.
pub(super) fn check(query: &Query, order: &Order) -> Result<()> {
    query.filter.check()?;
    if query.max_records == Some(0) {
        return Err(Error::new(ErrorKind::InvalidValue, "0 is too few; write at least 1")
            .with_field("max_records"));
    }
    if query.offset > OFFSET_RECORDS {
        let message = format!(
            "at most {OFFSET_RECORDS} records may be left out; follow the pages to get further"
        );
        return Err(Error::new(ErrorKind::LimitExceeded, message).with_field("offset"));
    }
    match &query.after {
        Some(token) => token.check(query_hash(&query.filter, order), order),
        None => Ok(()),
    }
}

fn too_slow(what: &str, query: &Query) -> Error {
    Error::new(
        ErrorKind::DeadlineExceeded,
        format!(
            "the jobs could not be {what} within {} s; ask for fewer with a filter",
            query.budget.hard.as_secs_f64()
        ),
    )
}

/// A job that knows its place in an order.
struct Ranked<'a> {
    job: Arc<Job>,
    order: &'a Order,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.compare(&self.job, &other.job)
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked<'_> {}
