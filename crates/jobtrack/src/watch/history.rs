//! The latest transitions of all jobs, kept once for everybody who watches.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::HistoryOptions;
use crate::job::{Gone, Job, Revision};
use crate::table::{RowId, Segment, job_bytes};
use crate::timestamp::Timestamp;

/// One job before and after a command, or at its end.
#[derive(Debug)]
pub(crate) struct Transition {
    pub(crate) before: Option<Before>,
    pub(crate) after: After,
}

/// A job as it was. One that has expired is mostly a row, of which a job is made only for those who
/// look.
#[derive(Debug)]
pub(crate) enum Before {
    Job(Arc<Job>),
    Row(Arc<Segment>, RowId),
}

impl Before {
    /// The job.
    pub(crate) fn job(&self) -> Arc<Job> {
        match self {
            Before::Job(job) => Arc::clone(job),
            Before::Row(segment, row) => Arc::new(segment.job(*row)),
        }
    }
}

#[derive(Debug)]
pub(crate) enum After {
    Job(Arc<Job>),
    Gone(Arc<Gone>),
}

/// All transitions of one commit, in turn.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) revision: Revision,
    pub(crate) transitions: Vec<Transition>,
    time: Timestamp,
    bytes: usize,
}

/// The latest commits, and those who wait for the next one.
#[derive(Debug)]
pub(crate) struct History {
    options: HistoryOptions,
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Debug)]
struct State {
    commits: VecDeque<Arc<Commit>>,
    /// Every transition after this one is in `commits`.
    since: Revision,
    changes: usize,
    bytes: usize,
    wakers: HashMap<u64, Waker>,
    next_id: u64,
    /// Whether there is something that nobody was woken for.
    has_grown: bool,
    is_closed: bool,
}

/// What comes after a place in the history.
#[derive(Debug)]
pub(crate) enum Next {
    Commit(Arc<Commit>),
    /// Nothing so far.
    Nothing,
    /// The history begins later.
    Forgotten,
    /// Nothing any more.
    Closed,
}

impl History {
    /// A history that begins after this revision.
    pub(crate) fn new(options: HistoryOptions, since: Revision) -> Self {
        let state = State {
            commits: VecDeque::new(),
            since,
            changes: 0,
            bytes: 0,
            wakers: HashMap::new(),
            next_id: 0,
            has_grown: false,
            is_closed: false,
        };
        History { options, state: Mutex::new(state), grown: Condvar::new() }
    }

    /// Adds a commit that is visible now, and lets go of what is over the bounds. Who waits is woken
    /// by [`wake`](History::wake), which may run anything and so is called without any lock.
    pub(crate) fn add(&self, revision: Revision, time: Timestamp, transitions: Vec<Transition>) {
        if transitions.is_empty() {
            return;
        }
        let bytes = transitions.iter().map(Transition::bytes).sum();
        let commit = Arc::new(Commit { revision, transitions, time, bytes });
        let mut state = self.state.lock();
        state.changes += commit.transitions.len();
        state.bytes += bytes;
        state.commits.push_back(commit);
        let let_go = state.shrink(&self.options, time);
        state.has_grown = true;
        drop(state);
        drop(let_go);
    }

    /// Wakes who waits, if there is anything new.
    pub(crate) fn wake(&self) {
        let mut state = self.state.lock();
        if !mem::take(&mut state.has_grown) {
            return;
        }
        let wakers = mem::take(&mut state.wakers);
        drop(state);
        self.grown.notify_all();
        wakers.into_values().for_each(Waker::wake);
    }

    /// Tells everyone that nothing comes any more.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.has_grown = true;
        drop(state);
        self.wake();
    }

    /// A number under which to wait; [`leave`](History::leave) gives it back.
    pub(crate) fn join(&self) -> u64 {
        let mut state = self.state.lock();
        state.next_id += 1;
        state.next_id
    }

    pub(crate) fn leave(&self, id: u64) {
        let waker = self.state.lock().wakers.remove(&id);
        // Dropping a waker may run anything, so not while the lock is held.
        drop(waker);
    }

    /// What comes after this revision.
    pub(crate) fn next(&self, after: Revision) -> Next {
        self.state.lock().next(after)
    }

    /// What comes after this revision; if that is nothing so far, wakes this waker once it is
    /// something.
    pub(crate) fn poll_next(&self, after: Revision, id: u64, waker: &Waker) -> Next {
        let waker = waker.clone();
        let mut state = self.state.lock();
        let next = state.next(after);
        let unused = match next {
            Next::Nothing => state.wakers.insert(id, waker),
            _ => Some(waker),
        };
        drop(state);
        drop(unused);
        next
    }

    /// Blocks until something comes after this revision, or until the time. Whether it does.
    pub(crate) fn wait(&self, after: Revision, until: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while matches!(state.next(after), Next::Nothing) {
            match until {
                None => self.grown.wait(&mut state),
                Some(until) => {
                    if self.grown.wait_until(&mut state, until).timed_out() {
                        return !matches!(state.next(after), Next::Nothing);
                    }
                }
            }
        }
        true
    }
}

impl State {
    fn next(&self, after: Revision) -> Next {
        if after < self.since {
            return Next::Forgotten;
        }
        let at = self.commits.partition_point(|commit| commit.revision <= after);
        match self.commits.get(at) {
            Some(commit) => Next::Commit(Arc::clone(commit)),
            None if self.is_closed => Next::Closed,
            None => Next::Nothing,
        }
    }

    /// Takes out what is over the bounds, to be dropped when nobody waits for it.
    fn shrink(&mut self, options: &HistoryOptions, now: Timestamp) -> Vec<Arc<Commit>> {
        let mut let_go = Vec::new();
        while let Some(oldest) = self.commits.front()
            && (self.changes > options.changes
                || self.bytes > options.bytes
                || oldest.time.saturating_add(options.age) < now)
        {
            self.since = oldest.revision;
            self.changes -= oldest.transitions.len();
            self.bytes -= oldest.bytes;
            let_go.extend(self.commits.pop_front());
        }
        let_go
    }
}

impl Transition {
    /// What it keeps in memory. The job before is the one after of an earlier transition, if that is
    /// still kept; the job after, or what is left of it, soon stands nowhere else, since the table
    /// makes it a row and tombstones go.
    fn bytes(&self) -> usize {
        let after = match &self.after {
            After::Job(job) => job_bytes(job),
            After::Gone(gone) => size_of::<Gone>() + scope_bytes(gone.scope.as_ref()),
        };
        let before = match &self.before {
            Some(Before::Row(..)) => ROW_BYTES,
            _ => 0,
        };
        size_of::<Transition>() + after + before
    }
}

/// What a row stands for that is kept with its segment. Segments are merged, and one that the table
/// has let go stays here; but as each row is merged a few times in its life, what is kept that way is
/// a few rows for each change.
const ROW_BYTES: usize = 512;

fn scope_bytes(scope: Option<&crate::job::Scope>) -> usize {
    scope.map_or(0, |scope| scope.name.len() + scope.id.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(number: u64) -> Revision {
        Revision { epoch: 1, number }
    }

    fn job(message: &str) -> Arc<Job> {
        let text = format!(
            r#"{{"uuid": "00000000-0000-0000-0000-000000000001", "state": "queued",
            "create_time": "1970-01-01T00:00:00Z", "update_time": "1970-01-01T00:00:00Z",
            "message": "{message}"}}"#
        );
        Arc::new(serde_json::from_str(&text).unwrap())
    }

    fn transitions(count: usize, message: &str) -> Vec<Transition> {
        let one =
            || Transition { before: Some(Before::Job(job(""))), after: After::Job(job(message)) };
        (0..count).map(|_| one()).collect()
    }

    fn first(history: &History, after: u64) -> Option<u64> {
        match history.next(at(after)) {
            Next::Commit(commit) => Some(commit.revision.number),
            Next::Nothing => Some(0),
            Next::Forgotten | Next::Closed => None,
        }
    }

    #[test]
    fn what_is_over_a_bound_goes_a_commit_at_a_time() {
        let options = HistoryOptions {
            changes: 5,
            bytes: 100_000,
            age: Duration::from_micros(10),
            ..HistoryOptions::default()
        };
        let history = History::new(options, at(1));
        let time = |micros| Timestamp::from_micros(micros).unwrap();
        assert_eq!((first(&history, 0), first(&history, 1)), (None, Some(0)));
        history.add(at(2), time(0), transitions(3, ""));
        history.add(at(4), time(1), transitions(2, ""));
        // Commits that change no job leave no trace, so 3 is as good as 2.
        history.add(at(5), time(1), Vec::new());
        let seen = |history: &History| (1..=5).map(|n| first(history, n)).collect::<Vec<_>>();
        assert_eq!(seen(&history), [Some(2), Some(4), Some(4), Some(0), Some(0)]);

        history.add(at(6), time(2), transitions(1, ""));
        assert_eq!(seen(&history), [None, Some(4), Some(4), Some(6), Some(6)], "count");
        history.add(at(7), time(12), transitions(1, ""));
        assert_eq!(seen(&history), [None, None, None, Some(6), Some(6)], "age");
        history.add(at(8), time(12), transitions(1, &"x".repeat(100_000)));
        assert_eq!(seen(&history), [None; 5], "bytes");
        assert_eq!((first(&history, 7), first(&history, 8)), (None, Some(0)));
        let state = history.state.lock();
        assert_eq!((state.changes, state.bytes, state.commits.len()), (0, 0, 0));
    }

    #[test]
    fn what_was_there_before_the_end_is_still_given() {
        let history = History::new(HistoryOptions::default(), at(1));
        history.add(at(2), Timestamp::MIN, transitions(1, ""));
        history.close();
        assert!(matches!(history.next(at(1)), Next::Commit(_)));
        assert!(matches!(history.next(at(2)), Next::Closed));
        assert!(history.wait(at(2), None));
    }
}
