//! The image that a tracker leaves when it closes: the next one that opens the store has the same jobs,
//! whether it finds the image, a damaged one, one of another commit, or none.

// A test that cannot go on stops; outside of `#[test]` functions clippy must be told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jobtrack::store::{Batch, CommitError, Record, Space, Visit};
use jobtrack::{
    Argument, Durability, ErrorKind, Failure, FailureError, Hold, Job, JobId, Limits, MemoryStore,
    NewJob, Opening, Options, Query, Result, State, Store, Success, Timestamp, Tracker,
};
use jobtrack_testkit::ManualClock;
use tempfile::TempDir;

/// A store in memory that outlives its trackers, with a folder.
#[derive(Clone)]
struct Kept {
    records: Arc<MemoryStore>,
    folder: Arc<TempDir>,
    clock: ManualClock,
}

impl Store for Kept {
    fn load(&self, visit: &mut Visit<'_>) -> Result<u64> {
        self.records.load(visit)
    }

    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Record>> {
        self.records.read(space, key)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, CommitError> {
        self.records.commit(batch, durability)
    }

    fn folder(&self) -> Option<&Path> {
        Some(self.folder.path())
    }
}

impl Kept {
    fn new() -> Kept {
        Kept {
            records: Arc::default(),
            folder: Arc::new(tempfile::tempdir().unwrap()),
            clock: ManualClock::new(Timestamp::from_micros(1_772_000_000_000_000).unwrap()),
        }
    }

    fn options(&self) -> Options {
        let clock = Arc::new(self.clock.clone());
        Options { clock, image_from: 1, retention: Duration::from_secs(300), ..Options::default() }
    }

    fn open(&self) -> Tracker {
        self.open_with(self.options())
    }

    fn open_with(&self, options: Options) -> Tracker {
        Tracker::open(self.clone(), options).unwrap()
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("IMAGE")
    }

    /// Filled and closed.
    fn filled() -> (Kept, Vec<JobId>) {
        let store = Kept::new();
        let tracker = store.open();
        let ids = fill(&tracker, &store.clock);
        tracker.close().unwrap();
        assert!(store.image().exists());
        (store, ids)
    }
}

/// Jobs in every state, with all that can be set, and some that are gone.
fn fill(tracker: &Tracker, clock: &ManualClock) -> Vec<JobId> {
    let mut ids: Vec<JobId> = Vec::new();
    for n in 0..400_usize {
        let job = NewJob {
            kind: format!("kind{}", n % 7),
            node: format!("node{}", n % 2),
            labels: BTreeMap::from([(format!("label{}", n % 50), format!("value{}", n % 3))]),
            idempotency_key: (n % 10 == 0).then(|| format!("key {n}")),
            parent: (n % 9 == 8).then(|| ids[n - 1]),
            ..NewJob::described(format!("Move volume vol_{n:04}"))
        };
        ids.push(tracker.create(job).unwrap().uuid);
        clock.advance(Duration::from_millis(7));
    }
    // Neither parents nor children.
    for (n, id) in ids.iter().enumerate().filter(|(n, _)| n % 9 < 7) {
        if n % 6 == 0 {
            tracker.claim_job(*id, Hold::leased(format!("worker{n}"))).unwrap();
        } else if n % 6 > 1 {
            tracker.start(*id).unwrap();
        }
        match n % 6 {
            2 => _ = tracker.pause(*id).unwrap(),
            3 => _ = tracker.succeed(*id, Success::default()).unwrap(),
            4 => {
                let arguments = vec![Argument { code: "volume".into(), message: n.to_string() }];
                let error = Some(FailureError { arguments, ..FailureError::default() });
                let failure = Failure { error, ..Failure::new(7, format!("broken {n}")) };
                tracker.fail(*id, failure).unwrap();
            }
            _ => {}
        }
    }
    // Some of those that have ended are held, and the others of the first half expire.
    for (n, id) in ids.iter().enumerate().filter(|(n, _)| n % 9 < 7 && matches!(n % 6, 3 | 4)) {
        if n % 5 == 0 {
            tracker.hold(*id).unwrap();
        } else if n >= 200 {
            tracker.extend(*id, Duration::from_secs(1_000)).unwrap();
        }
    }
    clock.advance(Duration::from_secs(301));
    tracker.maintain(1_000).unwrap();
    ids
}

/// All that a tracker tells.
#[derive(Debug, PartialEq)]
struct Told {
    jobs: Vec<Arc<Job>>,
    counts: Vec<(String, u64)>,
    each: Vec<Result<Arc<Job>, ErrorKind>>,
}

fn told(tracker: &Tracker, ids: &[JobId]) -> Told {
    let mut query = Query { max_records: Some(100), ..Query::default() };
    let mut jobs = Vec::new();
    loop {
        let page = tracker.query(&query).unwrap();
        jobs.extend(page.jobs);
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    let each = |id: &JobId| tracker.get(*id).map(|found| found.job).map_err(|error| error.kind());
    let counts = tracker.counts().unwrap();
    let count = |state: &State| (state.as_str().to_owned(), counts.of_state(*state));
    let counts = State::ALL.iter().map(count).collect();
    Told { jobs, counts, each: ids.iter().map(each).collect() }
}

/// The first job once more, as a client asks who has heard no answer.
fn first_again() -> NewJob {
    NewJob {
        kind: "kind0".to_owned(),
        node: "node0".to_owned(),
        labels: BTreeMap::from([("label0".to_owned(), "value0".to_owned())]),
        idempotency_key: Some("key 0".to_owned()),
        ..NewJob::described("Move volume vol_0000")
    }
}

#[test]
fn an_image_holds_what_the_records_hold() {
    let (store, ids) = Kept::filled();
    for threads in [1, 2, 4] {
        let opening = Opening { threads, progress: None };
        let tracker = store.open_with(Options { opening, ..store.options() });
        assert!(tracker.opened().from_image && tracker.opened().was_clean);
        let from_image = (tracker.opened().jobs, told(&tracker, &ids));
        assert_eq!(tracker.create(first_again()).unwrap().uuid, ids[0]);
        let parent = tracker.start(ids[7]).unwrap_or_else(|_| tracker.get(ids[7]).unwrap().job);
        let error = tracker.succeed(parent.uuid, Success::default()).unwrap_err();
        assert!(error.message().contains("children"), "{error}");
        tracker.close().unwrap();

        fs::remove_file(store.image()).unwrap();
        let tracker = store.open();
        assert!(!tracker.opened().from_image);
        let mut from_records = (tracker.opened().jobs, told(&tracker, &ids));
        if threads > 1 {
            assert_eq!(from_image, from_records);
        }
        from_records.1.jobs.retain(|job| job.held.is_some() || job.lease.is_some());
        assert!(from_records.1.jobs.len() > 20);
        assert!(from_records.1.each.contains(&Err(ErrorKind::Gone)));
        tracker.close().unwrap();
    }
}

#[test]
fn a_damaged_image_costs_time_and_nothing_else() {
    let (store, ids) = Kept::filled();
    let tracker = store.open();
    let expected = told(&tracker, &ids);
    tracker.close().unwrap();
    let length = fs::read(store.image()).unwrap().len();
    let mut harmless = 0;
    for place in (0..length).step_by(length / 47).chain(length - 40..length) {
        for damage in [cut, without_beginning, flipped] {
            // Each closing leaves a new one, of the commit that is there.
            let image = fs::read(store.image()).unwrap();
            let damaged = damage(&image, place.min(image.len() - 1));
            fs::write(store.image(), &damaged).unwrap();
            let tracker = store.open();
            let is_used = tracker.opened().from_image;
            assert!(!is_used || damaged == image, "{place} of {length}");
            assert_eq!(told(&tracker, &ids), expected, "{place} of {length}");
            harmless += usize::from(is_used);
            tracker.close().unwrap();
        }
    }
    assert_eq!(harmless, 1, "without no beginning it is whole");
}

fn cut(image: &[u8], place: usize) -> Vec<u8> {
    image[..place].to_vec()
}

fn without_beginning(image: &[u8], place: usize) -> Vec<u8> {
    image[place..].to_vec()
}

fn flipped(image: &[u8], place: usize) -> Vec<u8> {
    let mut bytes = image.to_vec();
    bytes[place] ^= 1 << (place % 8);
    bytes
}

#[test]
fn an_image_of_another_commit_is_not_looked_at() {
    let (store, ids) = Kept::filled();
    let image = fs::read(store.image()).unwrap();
    let tracker = store.open();
    tracker.start(ids[0]).unwrap_or_else(|_| tracker.get(ids[0]).unwrap().job);
    tracker.create(NewJob::described("One more")).unwrap();
    let expected = told(&tracker, &ids);
    // A crash, and then the image of before.
    std::mem::forget(tracker);
    assert_eq!(fs::read(store.image()).unwrap(), image, "it stays until the next one is left");
    let tracker = store.open();
    assert!(!tracker.opened().from_image && !tracker.opened().was_clean);
    let now = told(&tracker, &ids);
    assert_eq!(now.jobs, expected.jobs);
    tracker.close().unwrap();
    // Closed cleanly, but by another.
    fs::write(store.image(), &image).unwrap();
    let tracker = store.open();
    assert!(!tracker.opened().from_image && tracker.opened().was_clean);
    assert_eq!(told(&tracker, &ids), now);
}

#[test]
fn few_jobs_leave_no_image_and_take_away_what_is_there() {
    let (store, ids) = Kept::filled();
    let options = Options { image_from: 10_000, ..store.options() };
    let tracker = store.open_with(options);
    assert!(tracker.opened().from_image, "it is used wherever it is");
    tracker.close().unwrap();
    assert_eq!(fs::read_dir(store.folder.path()).unwrap().count(), 0);
    assert_eq!(told(&store.open(), &ids).jobs.len(), store.open().opened().jobs);
}

#[test]
fn an_image_that_does_not_fit_into_memory_is_refused_with_what_it_needs() {
    let (store, _) = Kept::filled();
    let limits = Limits { memory: 1_000, ..Limits::default() };
    let refused = Tracker::open(store.clone(), Options { limits, ..store.options() });
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("limits.memory")));
    assert!(store.open().opened().from_image, "a refusal changes nothing");
}

#[test]
fn a_folder_that_takes_no_image_does_not_keep_a_tracker_from_closing() {
    let (store, ids) = Kept::filled();
    let tracker = store.open();
    fs::remove_file(store.image()).unwrap();
    fs::create_dir_all(store.folder.path().join("IMAGE.new").join("in the way")).unwrap();
    tracker.close().unwrap();
    assert!(!store.image().exists());
    let tracker = store.open();
    assert!(!tracker.opened().from_image && tracker.opened().was_clean);
    assert!(told(&tracker, &ids).jobs.len() > 200);
}
