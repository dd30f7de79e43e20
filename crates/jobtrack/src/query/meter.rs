//! What a query has used of its budget.

use std::cell::Cell;
use std::time::Duration;

use super::Budget;
use crate::error::{Error, ErrorKind};

/// After how many rows the time is looked at.
const ROWS_PER_LOOK: u64 = 256;

/// Counts what a query reads, and looks at the clock now and then.
pub(super) struct Meter<'a> {
    monotonic: &'a dyn Fn() -> Duration,
    budget: &'a Budget,
    begun: Duration,
    rows: Cell<u64>,
    next_look: Cell<u64>,
    is_past_soft: Cell<bool>,
    stopped: Cell<Option<Stop>>,
}

/// Why a query ends before it is through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The hard limit is reached.
    Time,
    /// More rows were read than it may.
    Rows,
    /// Nobody waits for the answer any more.
    Canceled,
}

impl<'a> Meter<'a> {
    pub(super) fn new(budget: &'a Budget, monotonic: &'a dyn Fn() -> Duration) -> Meter<'a> {
        Meter {
            monotonic,
            budget,
            begun: monotonic(),
            rows: Cell::new(0),
            next_look: Cell::new(ROWS_PER_LOOK),
            is_past_soft: Cell::new(false),
            stopped: Cell::new(None),
        }
    }

    /// Takes so many more rows or values as read, and says whether to go on.
    pub(super) fn read(&self, rows: u64) -> bool {
        let read = self.rows.get() + rows;
        self.rows.set(read);
        if read >= self.next_look.get() {
            self.look();
        }
        self.stopped.get().is_none()
    }

    /// Looks at the clock, and says whether to go on.
    pub(super) fn look(&self) -> bool {
        self.next_look.set(self.rows.get() + ROWS_PER_LOOK);
        let elapsed = (self.monotonic)().saturating_sub(self.begun);
        self.is_past_soft.set(elapsed >= self.budget.soft);
        let stop = if self.budget.cancel.as_ref().is_some_and(super::Cancel::is_canceled) {
            Some(Stop::Canceled)
        } else if elapsed >= self.budget.hard {
            Some(Stop::Time)
        } else if self.budget.rows.is_some_and(|most| self.rows.get() > most) {
            Some(Stop::Rows)
        } else {
            None
        };
        if self.stopped.get().is_none() {
            self.stopped.set(stop);
        }
        self.stopped.get().is_none()
    }

    /// Rows and values read so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows.get()
    }

    /// Whether an answer that has a record would be given by now, as of the latest look.
    pub(super) fn is_past_soft(&self) -> bool {
        self.is_past_soft.get()
    }

    /// Why it ended, if it did.
    pub(super) fn stopped(&self) -> Option<Stop> {
        self.stopped.get()
    }

    /// The refusal of what could not be finished.
    pub(super) fn refusal(&self, what: &str) -> Error {
        let message = match self.stopped.get() {
            Some(Stop::Canceled) => "the query was canceled, since nobody waits for it".to_owned(),
            Some(Stop::Rows) => format!(
                "the jobs could not be {what} by reading {} rows; ask for fewer with a filter",
                self.budget.rows.unwrap_or_default()
            ),
            _ => format!(
                "the jobs could not be {what} within {} s; ask for fewer with a filter",
                self.budget.hard.as_secs_f64()
            ),
        };
        Error::new(ErrorKind::DeadlineExceeded, message)
    }
}
