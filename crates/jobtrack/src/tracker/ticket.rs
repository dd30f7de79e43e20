//! Tickets and the queue of commands that wait for a commit.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Condvar, Mutex};

use super::Applied;
use crate::command::Command;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::COMMIT_COMMANDS;

/// A command on its way: poll it, wait for it, or await it without any runtime.
///
/// A ticket never drives: it is decided by [`Tracker::drive`](crate::Tracker::drive) or by a caller
/// that blocks. Dropping it does not withdraw the command.
#[derive(Debug)]
#[must_use = "the command's outcome is known through its ticket alone"]
pub struct Ticket(pub(super) Arc<Slot>);

impl Ticket {
    /// Whether the command's outcome is there.
    pub fn is_decided(&self) -> bool {
        self.0.state.lock().outcome.is_some()
    }

    /// Blocks until the command is decided. Something else must drive meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the command.
    pub fn wait(self) -> Result<Applied> {
        let mut state = self.0.state.lock();
        loop {
            if let Some(outcome) = state.outcome.take() {
                return outcome;
            }
            self.0.changed.wait(&mut state);
        }
    }
}

impl Future for Ticket {
    type Output = Result<Applied>;

    /// # Panics
    ///
    /// Never; polled again after it was ready, it stays pending.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state.lock();
        match state.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Where a command's outcome is put.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<SlotState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SlotState {
    outcome: Option<Result<Applied>>,
    waker: Option<Waker>,
    /// The caller who waits here is to lead the next commit.
    leads: bool,
}

/// What a blocking caller wakes up to.
pub(super) enum Turn {
    Decided(Result<Applied>),
    Lead,
}

impl Slot {
    pub(super) fn fill(&self, outcome: Result<Applied>) {
        let mut state = self.state.lock();
        state.outcome = Some(outcome);
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn hand_lead(&self) {
        self.state.lock().leads = true;
        self.changed.notify_all();
    }

    /// The outcome, if it is there.
    pub(super) fn take(&self) -> Option<Result<Applied>> {
        self.state.lock().outcome.take()
    }

    pub(super) fn is_filled(&self) -> bool {
        self.state.lock().outcome.is_some()
    }

    fn await_turn(&self) -> Turn {
        let mut state = self.state.lock();
        loop {
            if let Some(outcome) = state.outcome.take() {
                return Turn::Decided(outcome);
            }
            if std::mem::take(&mut state.leads) {
                return Turn::Lead;
            }
            self.changed.wait(&mut state);
        }
    }
}

/// A command that waits to be decided.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) command: Command,
    pub(super) slot: Arc<Slot>,
    /// Whether a caller blocks on the slot, and so can lead.
    pub(super) can_lead: bool,
}

/// A panic in a store must not leave anyone waiting for ever.
impl Drop for Entry {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.slot.is_filled() {
            self.slot.fill(Err(Error::new(
                ErrorKind::OutcomeUnknown,
                "the commit was ended by a panic; open the store again to know its outcome",
            )));
        }
    }
}

/// Commands in the order in which they came, and who commits them.
///
/// One caller at a time leads: takes what is queued, commits it as one group, and takes again until
/// its own command is decided. Then the lead goes to a caller who waits, if there is one. So callers
/// that come together share a commit, and no thread is kept for it.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<QueueState>);

#[derive(Debug, Default)]
struct QueueState {
    entries: VecDeque<Entry>,
    is_led: bool,
    /// Somebody asked to drive while another led: the leader goes on until the queue is empty.
    drive_on: bool,
}

impl Queue {
    pub(super) fn push(&self, entry: Entry) {
        self.0.lock().entries.push_back(entry);
    }

    /// Takes the lead if nobody has it; otherwise sees to it that the leader empties the queue.
    pub(super) fn lead_or_defer(&self) -> Option<Lead<'_>> {
        let mut state = self.0.lock();
        if state.is_led {
            state.drive_on = true;
            return None;
        }
        state.is_led = true;
        Some(Lead { queue: self })
    }

    /// Waits until the slot is filled, or until the lead falls to the caller.
    pub(super) fn await_turn(&self, slot: &Slot) -> Result<Lead<'_>, Result<Applied>> {
        {
            let mut state = self.0.lock();
            if !state.is_led {
                state.is_led = true;
                return Ok(Lead { queue: self });
            }
        }
        match slot.await_turn() {
            Turn::Decided(outcome) => Err(outcome),
            Turn::Lead => Ok(Lead { queue: self }),
        }
    }
}

/// The right to commit. Dropped, it goes to a caller who waits.
#[derive(Debug)]
pub(super) struct Lead<'a> {
    queue: &'a Queue,
}

impl Lead<'_> {
    /// The commands of the next commit.
    pub(super) fn take(&self) -> Vec<Entry> {
        let mut state = self.queue.0.lock();
        let count = state.entries.len().min(COMMIT_COMMANDS);
        state.entries.drain(..count).collect()
    }

    /// Whether somebody who does not lead wants the queue empty.
    pub(super) fn must_go_on(&self) -> bool {
        let mut state = self.queue.0.lock();
        if state.entries.is_empty() {
            state.drive_on = false;
        }
        state.drive_on
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.0.lock();
        match state.entries.iter().find(|entry| entry.can_lead) {
            Some(entry) => entry.slot.hand_lead(),
            None => state.is_led = false,
        }
    }
}
