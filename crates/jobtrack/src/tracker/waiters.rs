//! Callers that wait for the end of a job.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Found;
use crate::error::{Error, ErrorKind, Result};
use crate::job::JobId;

/// Who waits for which job.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    by_job: HashMap<JobId, Vec<Arc<Waiter>>>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Waiter {
    ended: Mutex<Option<Result<Found>>>,
    changed: Condvar,
}

/// A place among the waiters; dropped, it is given up.
#[derive(Debug)]
pub(super) struct Place<'a> {
    waiters: &'a Waiters,
    id: JobId,
    waiter: Arc<Waiter>,
}

impl Waiters {
    /// Takes a place before the job is looked at, so that no end goes by unseen in between.
    pub(super) fn place(&self, id: JobId) -> Place<'_> {
        let waiter = Arc::new(Waiter::default());
        let mut state = self.0.lock();
        if state.is_closed {
            waiter.fill(Err(closed()));
        } else {
            state.by_job.entry(id).or_default().push(Arc::clone(&waiter));
        }
        drop(state);
        Place { waiters: self, id, waiter }
    }

    /// Whether anyone waits at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().by_job.is_empty()
    }

    /// Tells those who wait for this job.
    pub(super) fn tell(&self, found: &Found) {
        if let Some(waiters) = self.0.lock().by_job.remove(&found.job.uuid) {
            for waiter in waiters {
                waiter.fill(Ok(found.clone()));
            }
        }
    }

    /// Sends everyone home, also those who come later.
    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        for waiter in state.by_job.drain().flat_map(|(_, waiters)| waiters) {
            waiter.fill(Err(closed()));
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the tracker was closed")
}

impl Waiter {
    fn fill(&self, ended: Result<Found>) {
        *self.ended.lock() = Some(ended);
        self.changed.notify_all();
    }
}

impl Place<'_> {
    /// The end of the job, if it comes within the time.
    pub(super) fn wait(&self, timeout: Duration) -> Option<Result<Found>> {
        let mut ended = self.waiter.ended.lock();
        self.waiter.changed.wait_while_for(&mut ended, |ended| ended.is_none(), timeout);
        ended.take()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.waiters.0.lock();
        if let Some(places) = state.by_job.get_mut(&self.id) {
            places.retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
            if places.is_empty() {
                state.by_job.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Job, Revision};
    use crate::timestamp::Timestamp;

    fn found() -> Found {
        let text = r#"{"uuid": "00000000-0000-0000-0000-000000000001", "state": "queued",
            "create_time": "1970-01-01T00:00:00Z", "update_time": "1970-01-01T00:00:00Z"}"#;
        let job: Arc<Job> = Arc::new(serde_json::from_str(text).unwrap());
        let (revision, horizon) = (Revision::default(), Timestamp::MIN);
        Found { job, revision, horizon, unflushed: None }
    }

    #[test]
    fn who_has_a_place_hears_of_the_end_and_a_place_is_given_up() {
        let waiters = Waiters::default();
        let id = found().job.uuid;
        let (first, second) = (waiters.place(id), waiters.place(id));
        drop(second);
        assert!(!waiters.is_empty());
        waiters.tell(&found());
        let heard = first.wait(Duration::ZERO).unwrap().unwrap();
        assert_eq!(heard, found());
        assert!(waiters.is_empty());
        assert!(waiters.place(id).wait(Duration::ZERO).is_none());
        assert!(waiters.is_empty());
    }

    #[test]
    fn after_closing_nobody_waits() {
        let waiters = Waiters::default();
        let before = waiters.place(found().job.uuid);
        waiters.close();
        let after = waiters.place(found().job.uuid);
        for place in [before, after] {
            let ended = place.wait(Duration::from_secs(60)).unwrap();
            assert_eq!(ended.unwrap_err().kind(), ErrorKind::Closed);
        }
    }
}
