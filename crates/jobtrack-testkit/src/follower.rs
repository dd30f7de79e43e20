//! Somebody who keeps a listing in step by watching, as a program does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jobtrack::{
    Error, Event, EventKind, Expr, Job, JobId, Page, Position, Query, Revision, Timestamp, Tracker,
    Watch,
};

/// A listing that is kept in step with the tracker by its events alone.
pub(crate) struct Follower {
    filter: Expr,
    jobs: BTreeMap<JobId, Arc<Job>>,
    position: Position,
    /// The revision of the latest listing. It may be ahead of the position, and a crash may take what
    /// lies between: so whoever takes up again must say that he has seen it.
    listed: Revision,
    watch: Option<Watch>,
    /// Whether it has had every event since its listing, each once.
    is_exact: bool,
    /// Jobs that it was told are gone: maybe ahead of time, in place of an event that would have
    /// shown them after theirs, and then what came between is told all the same.
    gone: BTreeSet<JobId>,
    /// Whether the tracker was opened again since it was last told something.
    is_interrupted: bool,
}

impl Follower {
    /// Lists what matches and watches from there.
    pub(crate) fn listing(tracker: &Tracker, filter: Expr) -> Follower {
        let page = query(tracker, &filter);
        let position = page.revision.into();
        Follower::new(filter, page, position)
    }

    /// Watches from now, and lists then what it will hear of as well.
    pub(crate) fn from_now(tracker: &Tracker, filter: Expr) -> Follower {
        let watch = watch(tracker, &filter, None);
        let page = query(tracker, &filter);
        let mut follower = Follower::new(filter, page, watch.position());
        follower.watch = Some(watch);
        follower
    }

    fn new(filter: Expr, page: Page, position: Position) -> Follower {
        let listed = page.revision;
        let jobs = page.jobs.into_iter().map(|job| (job.uuid, job)).collect();
        Follower {
            filter,
            jobs,
            position,
            listed,
            watch: None,
            is_exact: true,
            gone: BTreeSet::new(),
            is_interrupted: false,
        }
    }

    /// Hangs up; the next fetch watches again from where it stood.
    pub(crate) fn hang_up(&mut self) {
        self.watch = None;
        // What it had heard of a commit in part, it will hear again.
        self.is_exact &= Position::from(self.position.revision()) == self.position;
        let text = self.position.to_string();
        let (whole, seen) = text.split_once("..").unwrap_or((&text, &text));
        if seen.parse().is_ok_and(|seen: Revision| seen < self.listed) {
            let position = format!("{whole}..{}", self.listed).parse();
            self.position = position.unwrap_or_else(|error| fail(&error));
        }
    }

    /// As [`hang_up`](Follower::hang_up), since the tracker is no more.
    pub(crate) fn is_cut_off(&mut self) {
        self.hang_up();
        self.is_exact = false;
        self.is_interrupted = true;
    }

    /// Takes up to so many events, and returns what they say has expired, and when.
    pub(crate) fn fetch(
        &mut self,
        tracker: &Tracker,
        most: usize,
        keeps_all: bool,
    ) -> Vec<(JobId, Timestamp)> {
        let mut watching = match self.watch.take() {
            Some(watching) => watching,
            None => watch(tracker, &self.filter, Some(self.position)),
        };
        self.is_exact &= keeps_all;
        let mut expired = Vec::new();
        let mut before = None;
        for _ in 0..most {
            let event = match watching.try_next() {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => fail(&error),
            };
            assert!(before <= Some(event.revision), "{before:?} came before {event:?}");
            assert!(event.position.revision() >= self.position.revision(), "{event:?}");
            assert_eq!(event.position, watching.position());
            before = Some(event.revision);
            if let EventKind::Gone(gone) = &event.kind
                && !gone.was_deleted
            {
                expired.push((gone.uuid, gone.gone_time));
            }
            self.apply(tracker, event, keeps_all);
        }
        self.position = watching.position();
        self.watch = Some(watching);
        expired
    }

    fn apply(&mut self, tracker: &Tracker, event: Event, keeps_all: bool) {
        self.position = event.position;
        if let Some(job) = event.kind.job() {
            // An earlier form of a job may be past its time whose stay was extended since.
            let is_there = !job.is_expired(tracker.now()) || tracker.get(job.uuid).is_ok();
            assert!(is_there, "an event shows {job:?} after its time");
            let is_out = matches!(event.kind, EventKind::Out(_));
            assert_eq!(self.filter.matches(job), !is_out, "{event:?}");
            let was_in = !matches!(event.kind, EventKind::In(_));
            let is_known = self.is_exact && !self.gone.contains(&job.uuid);
            assert!(
                !is_known || self.jobs.contains_key(&job.uuid) == was_in,
                "{event:?} after {:?}",
                self.jobs
            );
        }
        match event.kind {
            EventKind::In(job) | EventKind::Changed(job) => {
                self.gone.remove(&job.uuid);
                self.jobs.insert(job.uuid, job);
            }
            EventKind::Out(job) => {
                self.jobs.remove(&job.uuid);
            }
            EventKind::Gone(gone) => {
                self.jobs.remove(&gone.uuid);
                self.gone.insert(gone.uuid);
            }
            EventKind::Gap => {
                assert!(!keeps_all || self.is_interrupted, "a gap, though all is kept");
                let page = query(tracker, &self.filter);
                assert!(page.revision >= event.revision, "the gap lies ahead of the listing");
                self.listed = page.revision;
                self.jobs = page.jobs.into_iter().map(|job| (job.uuid, job)).collect();
                self.is_exact = false;
            }
        }
    }

    /// Takes all events and compares with the listing of now.
    pub(crate) fn check(&mut self, tracker: &Tracker, keeps_all: bool) -> Vec<(JobId, Timestamp)> {
        let expired = self.fetch(tracker, usize::MAX, keeps_all);
        self.is_interrupted = false;
        let page = query(tracker, &self.filter);
        // What is due but not swept is not told yet, and who reads the job can see its time.
        let known = self.jobs.values().filter(|job| !job.is_expired(page.horizon));
        let known: Vec<_> = known.cloned().collect();
        assert_eq!(known, page.jobs, "of {} at {:?}", self.filter, self.position);
        // What was seen ahead in a listing is no news; a horizon alone may be all there was of it.
        let whole = self.position.revision();
        let told = [whole.to_string(), format!("{whole}..{}", self.listed)];
        assert!(told.contains(&self.position.to_string()), "told up to {}", self.position);
        expired
    }
}

fn query(tracker: &Tracker, filter: &Expr) -> Page {
    tracker.query(&Query::matching(filter.clone())).unwrap_or_else(|error| fail(&error))
}

fn watch(tracker: &Tracker, filter: &Expr, after: Option<Position>) -> Watch {
    tracker.watch(filter.clone(), after).unwrap_or_else(|error| fail(&error))
}

#[allow(clippy::panic)] // A judge's verdict.
fn fail(error: &Error) -> ! {
    panic!("{error}")
}
