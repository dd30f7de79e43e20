//! The best queued jobs of each claim that is made again and again, so that many workers can take
//! many jobs without a query for each.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::command::Claim;
use crate::error::Result;
use crate::field::Field;
use crate::job::{Job, JobId, State};
use crate::query::{Expr, Order};

/// How many of the best jobs are fetched at first, and at most at a time: each time more, since what
/// is claimed again and again is worth it.
const FETCHED_FIRST: usize = 64;
const FETCHED: usize = 8_192;
/// By how much more each time.
const FETCHED_MORE: usize = 4;
/// How many claims of different filters or orders are remembered; the one that was used longest ago
/// goes first.
const REMEMBERED: usize = 64;

/// A list for each filter and order by which workers claimed lately.
///
/// The lists follow every change of a job as a commit decides it, ahead of the table; a commit that
/// fails clears them, and they are fetched anew.
#[derive(Debug, Default)]
pub(super) struct Shortlists(Vec<Shortlist>);

/// The best queued jobs that match, best first.
#[derive(Debug)]
struct Shortlist {
    filter: Expr,
    order: Order,
    best: VecDeque<Arc<Job>>,
    /// The same by id: each job as it stood when it was put in its place.
    listed: HashMap<JobId, Arc<Job>>,
    reach: Reach,
    /// How many are fetched the next time.
    wanted: usize,
}

/// How far down a list is whole.
#[derive(Debug)]
enum Reach {
    /// It was never filled.
    Nothing,
    /// No job is missing that comes before this one.
    UpTo(Arc<Job>),
    /// No job is missing.
    Everything,
}

/// What a query says of the best jobs, and what has changed in the meantime.
pub(super) struct Fetched {
    /// The best of them, as many as were wanted.
    pub(super) jobs: Vec<Arc<Job>>,
    /// Whether there are more.
    pub(super) has_more: bool,
    /// Every job that has changed since, as it stands now; None if it is gone.
    pub(super) since: Vec<(JobId, Option<Arc<Job>>)>,
}

impl Shortlists {
    /// The best queued job for this claim. `fetch` asks for the best that match, in this order: for so
    /// many beside those that have changed since, so that a list which was just filled is empty only
    /// if nothing matches.
    pub(super) fn best(
        &mut self,
        claim: &Claim,
        fetch: impl FnOnce(Expr, &Order, usize) -> Result<Fetched>,
    ) -> Result<Option<JobId>> {
        let is_same = |list: &Shortlist| list.filter == claim.filter && list.order == claim.order;
        let found = self.0.iter().position(is_same).map(|at| self.0.remove(at));
        let mut list = found.unwrap_or_else(|| Shortlist::of(claim));
        if list.best.is_empty() && !matches!(list.reach, Reach::Everything) {
            let queued = Expr::is(Field::State, State::Queued)?.and(claim.filter.clone());
            list.fill(fetch(queued, &claim.order, list.wanted)?);
            list.wanted = FETCHED.min(list.wanted * FETCHED_MORE);
        }
        let best = list.best.front().map(|job| job.uuid);
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push(list);
        Ok(best)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A job is another now, or (None) gone.
    pub(super) fn changed(&mut self, id: JobId, job: Option<&Arc<Job>>) {
        self.0.iter_mut().for_each(|list| list.changed(id, job));
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Shortlist {
    fn of(claim: &Claim) -> Self {
        Shortlist {
            filter: claim.filter.clone(),
            order: claim.order.clone(),
            best: VecDeque::new(),
            listed: HashMap::new(),
            reach: Reach::Nothing,
            wanted: FETCHED_FIRST,
        }
    }

    fn fill(&mut self, fetched: Fetched) {
        let Fetched { jobs, has_more, since } = fetched;
        self.reach = match jobs.last() {
            Some(last) if has_more => Reach::UpTo(Arc::clone(last)),
            _ => Reach::Everything,
        };
        self.listed = jobs.iter().map(|job| (job.uuid, Arc::clone(job))).collect();
        self.best = jobs.into();
        for (id, job) in since {
            self.changed(id, job.as_ref());
        }
    }

    fn changed(&mut self, id: JobId, job: Option<&Arc<Job>>) {
        if let Some(listed) = self.listed.remove(&id)
            && let Ok(at) = self.place(&listed)
        {
            self.best.remove(at);
        }
        let Some(job) = job.filter(|job| job.state() == State::Queued) else { return };
        let is_within = match &self.reach {
            Reach::Nothing => false,
            Reach::UpTo(last) => self.order.compare(job, last).is_le(),
            Reach::Everything => true,
        };
        if !is_within || !self.filter.matches(job) {
            return;
        }
        let (Ok(at) | Err(at)) = self.place(job);
        self.best.insert(at, Arc::clone(job));
        self.listed.insert(id, Arc::clone(job));
        if self.best.len() > 2 * FETCHED
            && let Some(worst) = self.best.pop_back()
        {
            self.listed.remove(&worst.uuid);
            if let Some(last) = self.best.back() {
                self.reach = Reach::UpTo(Arc::clone(last));
            }
        }
    }

    fn place(&self, job: &Job) -> Result<usize, usize> {
        self.best.binary_search_by(|listed| self.order.compare(listed, job))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::Hold;
    use crate::field::Names;
    use crate::job::JobParts;

    fn job(id: u8, code: u8) -> Arc<Job> {
        let state = if code.is_multiple_of(3) { State::Running } else { State::Queued };
        let text = format!(
            r#"{{"uuid": "00000000-0000-0000-0000-0000000000{id:02x}", "state": "{state}",
                "message": "{code}", "kind": "k{}", "create_time": "1970-01-01T00:00:00Z",
                "start_time": "1970-01-01T00:00:00Z", "update_time": "1970-01-01T00:00:00Z"}}"#,
            code % 2
        );
        let parts: JobParts = serde_json::from_str(&text).unwrap();
        Arc::new(Job::try_from(parts).unwrap())
    }

    proptest! {
        /// Against all jobs in a list: whatever changes, the best is the best.
        #[test]
        fn the_best_is_the_best_whatever_changes(
            steps in proptest::collection::vec((any::<u8>(), any::<Option<u8>>()), 0..200),
            page in 1..20_usize,
        ) {
            let filter = Expr::parse("kind", "k1", Names::Native).unwrap();
            let order = Order::parse("message desc", Names::Native).unwrap();
            let claim = Claim { order: order.clone(), ..Claim::matching(filter, Hold::leased("w")) };
            let mut lists = Shortlists::default();
            let mut all: HashMap<JobId, Arc<Job>> = HashMap::new();
            for (id, code) in steps {
                let next = job(id % 32, code.unwrap_or_default());
                let id = next.uuid;
                let next = code.map(|_| next);
                match &next {
                    Some(job) => all.insert(id, Arc::clone(job)),
                    None => all.remove(&id),
                };
                lists.changed(id, next.as_ref());
                let mut matching: Vec<_> = all
                    .values()
                    .filter(|job| job.state() == State::Queued && claim.filter.matches(job))
                    .cloned()
                    .collect();
                matching.sort_by(|a, b| order.compare(a, b));
                let expected = matching.first().map(|job| job.uuid);
                let has_more = matching.len() > page;
                matching.truncate(page);
                let fetched = Fetched { jobs: matching, has_more, since: Vec::new() };
                prop_assert_eq!(lists.best(&claim, |_, _, _| Ok(fetched)).unwrap(), expected);
            }
        }
    }
}
