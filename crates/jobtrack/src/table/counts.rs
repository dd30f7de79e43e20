//! Counts by kind and state, kept up with each change.

use serde::{Serialize, Serializer};

use super::hash::FastMap;
use crate::job::{Revision, State, Text};
use crate::timestamp::Timestamp;

const STATES: usize = State::ALL.len();

/// The counts as they are kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    // Each change looks a kind up, and only an answer needs them in order.
    by_kind: FastMap<Text, [u64; STATES]>,
}

fn slot(state: State) -> usize {
    match state {
        State::Queued => 0,
        State::Running => 1,
        State::Paused => 2,
        State::Success => 3,
        State::Failure => 4,
    }
}

impl Tally {
    pub(crate) fn add(&mut self, kind: &str, state: State) {
        self.add_many(kind, state, 1);
    }

    /// Adds so many jobs of one kind and state.
    pub(crate) fn add_many(&mut self, kind: &str, state: State, jobs: u64) {
        if let Some(count) = self.count(kind, state) {
            *count += jobs;
            return;
        }
        let mut counts = [0; STATES];
        if let Some(count) = counts.get_mut(slot(state)) {
            *count = jobs;
        }
        self.by_kind.insert(kind.into(), counts);
    }

    /// Takes back a job that was added before.
    pub(crate) fn take(&mut self, kind: &str, state: State) {
        let Some(count) = self.count(kind, state) else { return };
        *count -= 1;
        // A kind without jobs goes, so that kinds with a number in their name do not pile up.
        if *count == 0 && self.by_kind.get(kind) == Some(&[0; STATES]) {
            self.by_kind.remove(kind);
        }
    }

    /// What is left when all that the other has is taken out, which must be a part of this one.
    pub(crate) fn less(&self, part: &Tally) -> Tally {
        let mut left = self.clone();
        for (kind, taken) in &part.by_kind {
            let Some(counts) = left.by_kind.get_mut(kind) else { continue };
            counts.iter_mut().zip(taken).for_each(|(count, taken)| *count -= taken);
            if *counts == [0; STATES] {
                left.by_kind.remove(kind);
            }
        }
        left
    }

    /// How many kinds have jobs.
    pub(crate) fn kinds(&self) -> usize {
        self.by_kind.len()
    }

    /// How many jobs are of a kind and state that pass.
    pub(crate) fn sum(&self, passes: &dyn Fn(&str, State) -> bool) -> u64 {
        let of_kind = |(kind, counts): (&Text, &[u64; STATES])| -> u64 {
            let states = State::ALL.iter().zip(counts);
            let counted = states.filter(|(state, count)| **count > 0 && passes(kind, **state));
            counted.map(|(_, count)| *count).sum()
        };
        self.by_kind.iter().map(of_kind).sum()
    }

    fn count(&mut self, kind: &str, state: State) -> Option<&mut u64> {
        self.by_kind.get_mut(kind)?.get_mut(slot(state))
    }

    pub(crate) fn into_counts(self, revision: Revision, horizon: Timestamp) -> Counts {
        let mut by_kind: Vec<_> = self.by_kind.into_iter().collect();
        by_kind.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Counts { by_kind, revision, horizon }
    }
}

/// How many jobs there are, by kind and state: exact, at one revision and horizon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In the order of their kinds.
    #[serde(serialize_with = "as_map")]
    by_kind: Vec<(Text, [u64; STATES])>,
    /// The revision at which they were counted.
    pub revision: Revision,
    /// The horizon at which they were counted: no job that expired by then is among them.
    pub horizon: Timestamp,
}

impl Counts {
    /// No jobs, for [`set`](Counts::set) to add to.
    pub(crate) fn none(revision: Revision, horizon: Timestamp) -> Counts {
        Counts { by_kind: Vec::new(), revision, horizon }
    }

    /// Sets how many jobs of this kind are in this state.
    pub(crate) fn set(&mut self, kind: &str, state: State, count: u64) {
        if count == 0 {
            return;
        }
        let found = self.by_kind.binary_search_by(|(other, _)| other.as_str().cmp(kind));
        let at = found.unwrap_or_else(|at| {
            self.by_kind.insert(at, (kind.into(), [0; STATES]));
            at
        });
        let known = self.by_kind.get_mut(at).and_then(|(_, counts)| counts.get_mut(slot(state)));
        if let Some(known) = known {
            *known = count;
        }
    }

    /// All jobs.
    pub fn total(&self) -> u64 {
        self.by_kind.iter().flat_map(|(_, counts)| counts).sum()
    }

    /// Jobs in this state.
    pub fn of_state(&self, state: State) -> u64 {
        self.by_kind.iter().filter_map(|(_, counts)| counts.get(slot(state))).sum()
    }

    /// Jobs of this kind (empty: those without one) in this state.
    pub fn of(&self, kind: &str, state: State) -> u64 {
        let found = self.by_kind.binary_search_by(|(other, _)| other.as_str().cmp(kind)).ok();
        let counts = found.and_then(|found| self.by_kind.get(found));
        counts.and_then(|(_, counts)| counts.get(slot(state))).copied().unwrap_or(0)
    }

    /// The kinds that have jobs; the empty one stands for jobs without a kind.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.by_kind.iter().map(|(kind, _)| kind.as_str())
    }
    /// The same, each with its jobs by state.
    pub fn by_kind(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = (State, u64)>)> {
        self.by_kind.iter().map(|(kind, counts)| {
            (kind.as_str(), State::ALL.iter().zip(counts).map(|(state, count)| (*state, *count)))
        })
    }
}

fn as_map<S: Serializer>(
    by_kind: &[(Text, [u64; STATES])],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(by_kind.iter().map(|(kind, counts)| (kind, counts)))
}
