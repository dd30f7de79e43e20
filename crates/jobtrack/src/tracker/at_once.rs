//! Answers that are sure to be short, for callers that must not wait: on an event loop, handing a
//! read to another thread takes longer than most reads.

use std::time::Duration;

use super::{Inner, Tracker, closed};
use crate::error::{ErrorKind, Result};
use crate::query::{Budget, Page, Query};
use crate::table::{Counts, Table};
use crate::timestamp::Timestamp;

/// The most records of a page, those left out before it included.
const RECORDS: usize = 256;
/// The most rows and values of columns that are read for it.
const ROWS: u64 = 16_384;
/// After this it is given up.
const TIME: Duration = Duration::from_millis(1);

impl Tracker {
    /// The page that [`query`](Tracker::query) gives, if that takes about a millisecond at most and
    /// waits for nobody; otherwise None, and the query is better run where it may block.
    ///
    /// Not at once are answered: a page of more than 256 records; a filter with wildcards, which may
    /// look at every text there is; what reads more than 16,384 rows; and a read that hides a job
    /// as expired before the store has that horizon.
    ///
    /// ```
    /// use jobtrack::{MemoryStore, NewJob, Options, Query, Tracker};
    ///
    /// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
    /// tracker.create(NewJob::described("Backup of vol1"))?;
    /// let short = Query { max_records: Some(20), ..Query::default() };
    /// assert_eq!(tracker.query_at_once(&short)?.map(|page| page.jobs.len()), Some(1));
    /// assert!(tracker.query_at_once(&Query::default())?.is_none()); // of up to 10,000 records
    /// # Ok::<(), jobtrack::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`query`](Tracker::query), but none of those that say that it took too much.
    pub fn query_at_once(&self, query: &Query) -> Result<Option<Page>> {
        let records = query.page_records();
        if query.left_out().saturating_add(records) > RECORDS || query.filter.has_patterns() {
            return Ok(None);
        }
        let Some(snapshot) = self.0.read_at_once(|table, now| Some(table.snapshot(now)))? else {
            return Ok(None);
        };
        let rows = query.budget.rows.map_or(ROWS, |rows| rows.min(ROWS));
        let budget = Budget {
            hard: query.budget.hard.min(TIME),
            rows: Some(rows),
            soft: query.budget.soft,
            cancel: query.budget.cancel.clone(),
        };
        let brief = Query { budget, ..query.clone() };
        match self.0.run(&snapshot, |run| run.page(&brief)) {
            // What is cut short by the budget may have become whole with the query's own.
            Ok(page) if page.next.is_some() && page.jobs.len() < records => Ok(None),
            Ok(page) => Ok(Some(page)),
            Err(error) if error.kind() == ErrorKind::DeadlineExceeded => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The [`counts`](Tracker::counts), if they are there without waiting for anybody: not where
    /// jobs have expired since they were last asked for, nor of a thousand kinds and more.
    ///
    /// # Errors
    ///
    /// `Closed` once the tracker is.
    pub fn counts_at_once(&self) -> Result<Option<Counts>> {
        self.0.read_at_once(Table::counts_at_once)
    }
}

impl Inner {
    /// Reads, if neither a writer nor the store has to be waited for.
    fn read_at_once<T>(
        &self,
        read: impl FnOnce(&Table, Timestamp) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(view) = self.view.try_read() else { return Ok(None) };
        if view.is_closed {
            return Err(closed());
        }
        let horizon = self.time.now();
        Ok((!view.hides_more(horizon)).then(|| read(&view.table, horizon)).flatten())
    }
}
