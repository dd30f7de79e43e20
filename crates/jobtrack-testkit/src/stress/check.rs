//! The judge: one order of all changes, as a watch was told it, and everything else held against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jobtrack::{Event, EventKind, Job, JobId, Query, Revision, State, Tracker};

use super::clients::{BRIEF, Change, LASTING, Reads};

/// Everything that happened, in order.
pub(super) struct Log {
    events: Vec<Event>,
    of_job: BTreeMap<JobId, Forms>,
}

/// The forms of one job, in order; None from when it was gone.
type Forms = Vec<(Revision, Option<Arc<Job>>)>;

impl Log {
    /// Of the watches of everything, and of the lasting jobs that run: all of a kind tell the same.
    pub(super) fn new(all: &[Vec<Event>], running: &[Vec<Event>]) -> Log {
        let events = all.first().cloned().unwrap_or_default();
        let mut of_job: BTreeMap<_, Forms> = BTreeMap::new();
        for event in &events {
            let (id, job) = match &event.kind {
                EventKind::In(job) | EventKind::Changed(job) => (job.uuid, Some(Arc::clone(job))),
                EventKind::Gone(gone) => (gone.uuid, None),
                other => panic!("a watch of everything was told {other:?}"),
            };
            of_job.entry(id).or_default().push((event.revision, job));
        }
        let log = Log { events, of_job };
        assert!(log.events.is_sorted_by_key(|event| event.revision), "events out of order");
        log.check_forms();
        for other in all.iter().skip(1) {
            assert_eq!(log.exact(other), log.exact(&log.events), "two watches of everything");
        }
        for watch in running {
            assert_eq!(log.exact(watch), log.running(), "a watch of those that run");
        }
        log
    }

    pub(super) fn commits(&self) -> usize {
        self.events.iter().map(|event| event.revision).collect::<BTreeSet<_>>().len()
    }

    /// A job comes in once, changes, and goes; none is told of again after it has gone, unless its
    /// time was up while the watch was behind.
    fn check_forms(&self) {
        let mut known = BTreeSet::new();
        let mut gone = BTreeSet::new();
        for event in &self.events {
            let id = match &event.kind {
                EventKind::In(job) => {
                    assert!(known.insert(job.uuid), "{job:?} came in twice");
                    job.uuid
                }
                EventKind::Changed(job) => job.uuid,
                EventKind::Gone(gone) => gone.uuid,
                _ => continue,
            };
            let is_brief = self.is_brief(id);
            assert!(is_brief || known.contains(&id), "{event:?} of a job that never came in");
            assert!(is_brief || !gone.contains(&id), "{event:?} of a job that was gone");
            if matches!(event.kind, EventKind::Gone(_)) {
                gone.insert(id);
            }
        }
    }

    /// Of a job that was gone by the time at which it was first told nothing is known.
    fn is_brief(&self, id: JobId) -> bool {
        let forms = self.of_job.get(&id).into_iter().flatten();
        forms.flat_map(|(_, job)| job).next().is_none_or(|job| job.kind == BRIEF)
    }

    /// What must be the same for every watch, however far behind it was: all but the brief jobs.
    fn exact(&self, events: &[Event]) -> Vec<(Revision, &'static str, JobId)> {
        let of = |event: &Event| {
            let id = match &event.kind {
                EventKind::Gone(gone) => gone.uuid,
                kind => kind.job()?.uuid,
            };
            (!self.is_brief(id)).then_some((event.revision, event.kind.name(), id))
        };
        events.iter().filter_map(of).collect()
    }

    /// What a watch of the lasting jobs that run should be told.
    fn running(&self) -> Vec<(Revision, &'static str, JobId)> {
        let mut matched = BTreeSet::new();
        let mut expected = Vec::new();
        for event in &self.events {
            let (id, matches) = match &event.kind {
                EventKind::Gone(gone) => (gone.uuid, false),
                kind => {
                    let Some(job) = kind.job() else { continue };
                    (job.uuid, job.state() == State::Running && job.kind == LASTING)
                }
            };
            let name = match (matched.contains(&id), matches) {
                (false, false) => continue,
                (false, true) => "in",
                (true, true) => "changed",
                (true, false) if matches!(event.kind, EventKind::Gone(_)) => "gone",
                (true, false) => "out",
            };
            if matches {
                matched.insert(id);
            } else {
                matched.remove(&id);
            }
            expected.push((event.revision, name, id));
        }
        expected
    }

    /// Each acknowledged change is told once and nothing else is; and no change comes before one
    /// that was answered before it was asked for.
    pub(super) fn check_changes(&self, changes: &[Change]) {
        // By job and by what it then was. Reports on shared jobs all say something else.
        let mut left: BTreeMap<(JobId, Revision), Vec<&Change>> = BTreeMap::new();
        for change in changes.iter().filter(|change| !change.was_deleted) {
            left.entry((change.job.uuid, change.job.revision)).or_default().push(change);
        }
        let mut in_order = Vec::new();
        for event in &self.events {
            let Some(job) = event.kind.job() else { continue };
            assert_eq!(job.revision, event.revision, "{event:?}");
            let candidates = left.get_mut(&(job.uuid, job.revision));
            let found = candidates.and_then(|candidates| {
                let at = candidates.iter().position(|change| change.job == *job)?;
                Some(candidates.remove(at))
            });
            match found {
                Some(change) => in_order.push(change),
                // Made before the writers began.
                None => assert!(is_before_all(job, &self.events), "nobody was told of {event:?}"),
            }
        }
        let mut untold = left.into_values().flatten();
        // A brief job may have been gone before the watch came to its changes.
        let lost = untold.find(|change| change.job.kind != BRIEF);
        assert!(lost.is_none(), "no watch was told of {:?}", lost.map(|change| &change.job));

        let mut earliest_answer = u64::MAX;
        for change in in_order.iter().rev() {
            assert!(
                change.asked < earliest_answer,
                "{:?} was made before one that was answered before it was asked for",
                change.job
            );
            earliest_answer = earliest_answer.min(change.answered);
        }
        for deleted in changes.iter().filter(|change| change.was_deleted) {
            let forms = self.of_job.get(&deleted.job.uuid).into_iter().flatten();
            assert!(
                forms.last().is_some_and(|(_, job)| job.is_none()),
                "{:?} was deleted and is still there",
                deleted.job
            );
        }
    }

    /// Every answer shows a job as it stood at the revision that the answer names.
    pub(super) fn check_reads(&self, reads: &[Reads]) {
        for (revision, job) in reads.iter().flat_map(|reader| &reader.samples) {
            match self.form(job.uuid, *revision) {
                Some(form) => assert_eq!(form, job, "at {revision}"),
                None => assert!(job.kind == BRIEF, "at {revision} there was no {job:?}"),
            }
        }
        for (revision, listed) in reads.iter().flat_map(|reader| &reader.listings) {
            assert!(listed.is_sorted());
            let expected = self.of_job.keys().filter(|id| {
                self.form(**id, *revision)
                    .is_some_and(|job| job.state() == State::Running && job.kind == LASTING)
            });
            assert!(expected.eq(listed), "a listing at {revision}");
        }
    }

    /// The job as it stood at this revision, as far as it was told.
    fn form(&self, id: JobId, revision: Revision) -> Option<&Arc<Job>> {
        let forms = self.of_job.get(&id)?;
        let after = forms.partition_point(|(at, _)| *at <= revision);
        forms.get(after.checked_sub(1)?)?.1.as_ref()
    }

    /// In the end the table has what the last events say.
    pub(super) fn check_end(&self, tracker: &Tracker) {
        let page = tracker.query(&Query::default()).unwrap_or_else(|error| panic!("{error}"));
        let now = page.horizon;
        let last = self.of_job.values().filter_map(|forms| forms.last()?.1.clone());
        let expected: Vec<_> = last.filter(|job| !job.is_expired(now)).collect();
        let mut listed = page.jobs;
        let mut next = page.next;
        while let Some(token) = next {
            let query = Query { after: Some(token), ..Query::default() };
            let page = tracker.query(&query).unwrap_or_else(|error| panic!("{error}"));
            listed.extend(page.jobs);
            next = page.next;
        }
        assert_eq!(listed.len(), expected.len());
        assert!(listed == expected, "the table is not what the watch was told");
        let counts = tracker.counts().unwrap_or_else(|error| panic!("{error}"));
        for state in State::ALL {
            let of_state = listed.iter().filter(|job| job.state() == *state).count();
            assert_eq!(counts.of_state(*state), of_state as u64, "{state}");
        }
    }
}

/// Whether the job stands among the first events, which made the shared jobs.
fn is_before_all(job: &Job, events: &[Event]) -> bool {
    let shared = events.iter().take_while(|event| {
        event.kind.job().is_some_and(|job| job.kind == LASTING && job.message.is_empty())
    });
    shared.map(|event| event.revision).any(|revision| revision == job.revision)
}
