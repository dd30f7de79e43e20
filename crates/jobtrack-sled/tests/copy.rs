//! From every store into every other. Here, since this crate is the last of them to be built.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jobtrack::store::{Batch, Durability, Space, Write, copy};
use jobtrack::{
    Command, Error, ErrorKind, EventKind, Expr, Failure, Job, JobId, MemoryStore, NewJob, Options,
    Query, Revision, Store, Success, SystemClock, Tracker,
};
use jobtrack_fjall::FjallStore;
use jobtrack_redb::RedbStore;
use jobtrack_sled::SledStore;
use jobtrack_testkit::{Fault, FaultyStore};

type Open = fn(&Path) -> Box<dyn Store>;

const STORES: [(&str, Open); 3] = [
    ("redb", |path| Box::new(RedbStore::open(path).unwrap())),
    ("fjall", |path| Box::new(FjallStore::open(path).unwrap())),
    ("sled", |path| Box::new(SledStore::open(path).unwrap())),
];

/// More than fit into one commit of the copy.
const JOBS: u128 = 1500;

fn id(n: u128) -> JobId {
    JobId::from_uuid(uuid::Uuid::from_u128(n + 1))
}

/// Jobs in several states, one that is gone, and a crash in between.
fn fill(store: Box<dyn Store>) {
    let tracker = Tracker::open(store, Options::default()).unwrap();
    for n in 0..JOBS {
        let job = NewJob {
            uuid: Some(id(n)),
            description: format!("job {n}"),
            kind: "copy".to_owned(),
            ..NewJob::default()
        };
        tracker.run(Command::create(job).durability(Durability::Deferred)).unwrap();
    }
    tracker.start(id(1)).unwrap();
    tracker.start(id(2)).unwrap();
    tracker.fail(id(2), Failure::default()).unwrap();
    tracker.start(id(3)).unwrap();
    tracker.fail(id(3), Failure::default()).unwrap();
    tracker.delete(id(3)).unwrap();
}

/// Every job, and what became of the one that is gone.
fn content(tracker: &Tracker) -> Vec<Result<Arc<Job>, Error>> {
    (0..JOBS).map(|n| tracker.get(id(n)).map(|found| found.job)).collect()
}

fn same(left: &[Result<Arc<Job>, Error>], right: &[Result<Arc<Job>, Error>]) -> bool {
    left.iter()
        .map(|job| job.as_ref().map_err(ToString::to_string))
        .eq(right.iter().map(|job| job.as_ref().map_err(ToString::to_string)))
}

fn copied(from: &dyn Store, to: &dyn Store, progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
    copy(from, to, &SystemClock::new(), progress)
}

#[test]
fn all_jobs_go_round_through_every_store() {
    let parent = tempfile::tempdir().unwrap();
    let first = parent.path().join("first");
    fill(Box::new(RedbStore::open(&first).unwrap()));
    let tracker = Tracker::open(RedbStore::open(&first).unwrap(), Options::default()).unwrap();
    // Whoever has seen everything up to here, and a page's end, goes on with every copy.
    let before = tracker.revision();
    let ten = Query { max_records: Some(10), ..Query::default() };
    let token = tracker.query(&ten).unwrap().next;
    tracker.report(id(1), "seen later").unwrap();
    tracker.succeed(id(1), Success::default()).unwrap();
    tracker.delete(id(1)).unwrap();
    tracker.start(id(1400)).unwrap();
    let expected = content(&tracker);
    assert_eq!(expected.iter().filter(|job| job.is_err()).count(), 2);
    let page = Query { after: token, ..ten.clone() };
    let next_page = tracker.query(&page).unwrap().jobs;
    drop(tracker);

    let mut last_epoch = before.epoch;
    let mut from = RedbStore::open(&first).map(|store| Box::new(store) as Box<dyn Store>).unwrap();
    for (step, (name, open)) in STORES.iter().cycle().skip(1).take(4).enumerate() {
        let path = parent.path().join(format!("{step}-{name}"));
        let to = open(&path);
        let mut seen = Vec::new();
        let records = copied(&*from, &*to, &mut |records| seen.push(records)).unwrap();
        // The jobs and the log of each, two tombstones, the epochs and the head.
        assert_eq!(u128::from(records), 2 * (JOBS - 2) + 4, "{name}");
        assert_eq!(seen.last(), Some(&records));
        assert!(seen.len() > 1 && seen.is_sorted(), "{seen:?}");
        drop(to);

        let tracker = Tracker::open(open(&path), Options::default()).unwrap();
        assert!(tracker.opened().was_clean, "{name}");
        let epoch = tracker.revision().epoch;
        assert!(epoch > last_epoch, "{name}: an epoch of its own for each copy");
        last_epoch = epoch;
        assert!(same(&content(&tracker), &expected), "{name}: revisions included");
        assert_eq!(tracker.query(&page).unwrap().jobs, next_page, "{name}");
        let mut watch = tracker.watch(Expr::everything(), Some(before.into())).unwrap();
        let mut told = Vec::new();
        while let Ok(Some(event)) = watch.next(Duration::ZERO) {
            told.push(match event.kind {
                EventKind::Gone(gone) => (gone.uuid, "gone"),
                EventKind::In(job) | EventKind::Changed(job) => (job.uuid, "changed"),
                other => panic!("{name}: {other:?}"),
            });
        }
        told.sort_unstable();
        assert_eq!(told, [(id(1), "gone"), (id(1400), "changed")], "{name}");
        drop(watch);
        // What the first store does from here on is nothing that the copy has seen.
        let later = Revision { number: before.number + 1_000, ..before };
        let mut watch = tracker.watch(Expr::everything(), Some(later.into())).unwrap();
        let event = watch.next(Duration::ZERO).unwrap().unwrap();
        assert!(matches!(event.kind, EventKind::Gap), "{name}: {event:?}");
        drop((tracker, watch));
        from = open(&path);
    }
}

#[test]
fn what_cannot_be_copied_is_refused() {
    let progress = &mut |_| {};
    // An empty store gives an empty one.
    assert_eq!(copied(&MemoryStore::new(), &MemoryStore::new(), progress).unwrap(), 0);

    let record = |key: &[u8]| Batch {
        id: uuid::Uuid::nil(),
        expectations: Vec::new(),
        writes: vec![Write { space: Space::Meta, key: key.into(), value: Some(vec![9]) }],
    };
    let used = MemoryStore::new();
    used.commit(&record(b"x"), Durability::Synced).unwrap();
    let source = Arc::new(MemoryStore::new());
    fill(Box::new(Arc::clone(&source)));
    let error = copied(&source, &used, progress).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidValue, "{error}");
    let error = copied(&used, &MemoryStore::new(), progress).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreForeign, "{error}");

    // A copy that was interrupted is no store.
    let half = Arc::new(MemoryStore::new());
    let failing = FaultyStore::new(Arc::clone(&half));
    failing.fail_commit(2, Fault::Failed(ErrorKind::StoreFull));
    let error = copied(&source, &failing, progress).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreFull);
    let error = Tracker::open(half, Options::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::StoreForeign, "{error}");
}
