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
        self.0.is_decided()
    }

    /// Blocks until the command is decided. Something else must drive meanwhile, or close the
    /// tracker.
    ///
    /// # Errors
    ///
    /// Those of the command; `Closed` if the tracker went before the command was decided.
    pub fn wait(self) -> Result<Applied> {
        let mut state = self.0.state.lock();
        loop {
            if let Some(outcome) = &state.outcome {
                return outcome.clone();
            }
            self.0.changed.wait(&mut state);
        }
    }
}

impl Future for Ticket {
    type Output = Result<Applied>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state.lock();
        match &state.outcome {
            Some(outcome) => Poll::Ready(outcome.clone()),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Where a command's outcome is put, once.
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

impl Slot {
    /// A slot that is decided already.
    pub(super) fn decided(outcome: Result<Applied>) -> Arc<Slot> {
        let slot = Slot::default();
        slot.fill(outcome);
        Arc::new(slot)
    }

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

    fn is_decided(&self) -> bool {
        self.state.lock().outcome.is_some()
    }

    /// The outcome, if it is there.
    pub(super) fn outcome(&self) -> Option<Result<Applied>> {
        self.state.lock().outcome.clone()
    }

    fn hand_lead(&self) {
        self.state.lock().leads = true;
        self.changed.notify_all();
    }

    /// Waits for the outcome; None if the lead falls to the caller first.
    fn await_turn(&self) -> Option<Result<Applied>> {
        let mut state = self.state.lock();
        loop {
            if let Some(outcome) = &state.outcome {
                return Some(outcome.clone());
            }
            if std::mem::take(&mut state.leads) {
                return None;
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
    can_lead: bool,
}

impl Entry {
    pub(super) fn new(command: Command, can_lead: bool) -> Self {
        Entry { command, slot: Arc::default(), can_lead }
    }
}

/// Whatever becomes of a tracker, nobody is left waiting for ever.
impl Drop for Entry {
    fn drop(&mut self) {
        if self.slot.is_decided() {
            return;
        }
        let (kind, why) = if std::thread::panicking() {
            (ErrorKind::OutcomeUnknown, "the commit was ended by a panic; open the store again")
        } else {
            (ErrorKind::Closed, "the tracker went before the command was decided")
        };
        self.slot.fill(Err(Error::new(kind, why)));
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
    /// How many commands were ever taken from the queue.
    taken: u64,
    is_led: bool,
    /// Somebody who does not block wants so many commands taken in all.
    wanted: u64,
    is_closed: bool,
}

impl Queue {
    /// Queues all of them, or (once the tracker is closed) none: then each is answered so.
    ///
    /// Whoever queues commands that can lead must wait for them at once: the lead may fall to any
    /// of them.
    pub(super) fn push(&self, entries: Vec<Entry>) {
        let mut state = self.0.lock();
        if state.is_closed {
            return;
        }
        if state.entries.is_empty() {
            state.entries = entries.into();
        } else {
            state.entries.extend(entries);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().entries.len()
    }

    /// Takes the lead if nobody has it; otherwise the leader takes what is queued by now.
    pub(super) fn lead_or_defer(&self) -> Option<Lead<'_>> {
        let mut state = self.0.lock();
        if state.is_led {
            state.wanted = state.taken + state.entries.len() as u64;
            return None;
        }
        state.is_led = true;
        Some(Lead { queue: self, is_given_up: false })
    }

    /// Waits until the slot is decided, or until the lead falls to the caller.
    pub(super) fn await_turn(&self, slot: &Slot) -> Result<Lead<'_>, Result<Applied>> {
        {
            let mut state = self.0.lock();
            // Once closed the queue stays empty, and whoever took the command from it answers it:
            // to lead again and again until then would be to spin.
            if !state.is_led && !state.is_closed && !slot.is_decided() {
                state.is_led = true;
                return Ok(Lead { queue: self, is_given_up: false });
            }
        }
        match slot.await_turn() {
            Some(outcome) => Err(outcome),
            None => Ok(Lead { queue: self, is_given_up: false }),
        }
    }

    /// Takes no command any more, and answers those that wait.
    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        let left = std::mem::take(&mut state.entries);
        drop(state);
        drop(left);
    }
}

/// The right to commit.
#[derive(Debug)]
pub(super) struct Lead<'a> {
    queue: &'a Queue,
    is_given_up: bool,
}

impl Lead<'_> {
    /// The commands of the next commit; None once the lead is given up.
    ///
    /// That is decided under the one lock under which commands are queued, so none is left behind:
    /// the lead ends when the queue is empty, or when `own` is decided and either another caller
    /// waits, who leads then, or nobody is owed anything.
    pub(super) fn next(&mut self, own: Option<&Slot>) -> Option<Vec<Entry>> {
        let mut state = self.queue.0.lock();
        let is_done = own.is_some_and(Slot::is_decided);
        let can_rest = |state: &QueueState| {
            state.entries.iter().any(|entry| entry.can_lead) || state.taken >= state.wanted
        };
        if state.entries.is_empty() || (is_done && can_rest(&state)) {
            self.is_given_up = true;
            state.hand_on();
            return None;
        }
        let count = state.entries.len().min(COMMIT_COMMANDS);
        state.taken += count as u64;
        if count == state.entries.len() {
            return Some(std::mem::take(&mut state.entries).into());
        }
        Some(state.entries.drain(..count).collect())
    }
}

impl QueueState {
    fn hand_on(&mut self) {
        match self.entries.iter().find(|entry| entry.can_lead) {
            Some(entry) => entry.slot.hand_lead(),
            None => self.is_led = false,
        }
    }
}

/// Ended by a panic, the lead goes on all the same.
impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if !self.is_given_up {
            self.queue.0.lock().hand_on();
        }
    }
}
