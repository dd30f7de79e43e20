//! Changes to the records of a store, six bytes each, made behind the engine's back: it is refused
//! by name, or what it shows is sound, and is the same after closing and opening.

use std::sync::{Arc, OnceLock};

use jobtrack::store::{Batch, Space, Write};
use jobtrack::{
    Durability, ErrorKind, Failure, Job, JobParts, MemoryStore, NewJob, Query, Store, Tracker,
};

use crate::jobs::{jobs, options};

type Record = (Space, Vec<u8>, Vec<u8>);

/// Makes the changes and opens the store.
///
/// # Panics
///
/// Where something is shown that cannot be.
pub fn records(data: &[u8]) {
    let mut records = sound().clone();
    for change in data.chunks_exact(6) {
        if let [which, what, at, above, value, more] = *change {
            let length = records.len();
            let record = &mut records[usize::from(which) % length];
            // The key as well as the value: both are read.
            let bytes = if what & 8 == 0 { &mut record.2 } else { &mut record.1 };
            let at = usize::from(u16::from_le_bytes([at, above])) % (bytes.len() + 1);
            match what % 6 {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, value),
                2 => bytes.extend(std::iter::repeat_n(value, usize::from(more))),
                3 => drop(records.remove(usize::from(which) % length)),
                4 => {
                    let other = records[usize::from(value) % length].2.clone();
                    records[usize::from(which) % length].2 = other;
                }
                _ => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= value.max(1)),
            }
            if records.is_empty() {
                return;
            }
        }
    }
    let store = Arc::new(MemoryStore::new());
    put(&store, &records);
    let tracker = match Tracker::open(Arc::clone(&store), options()) {
        Ok(tracker) => tracker,
        Err(error) => {
            let kinds = [ErrorKind::StoreDamaged, ErrorKind::StoreForeign, ErrorKind::StoreTooNew];
            assert!(kinds.contains(&error.kind()), "{error:?}");
            return;
        }
    };
    let shown = shown(&tracker);
    let _ = tracker.create(NewJob::default()).map(|job| tracker.fail(job.uuid, Failure::default()));
    let _ = tracker.maintain(100);
    if tracker.close().is_err() {
        return;
    }
    drop(tracker);
    let tracker = Tracker::open(store, options()).expect("what was taken once is taken again");
    let again = self::shown(&tracker);
    assert!(shown.iter().all(|job| again.contains(job)), "{shown:?} became {again:?}");
}

/// Everything that can be asked, each answer in agreement with the others.
fn shown(tracker: &Tracker) -> Vec<Arc<Job>> {
    let jobs = tracker.query(&Query::default()).expect("a page").jobs;
    assert!(jobs.is_sorted_by(|a, b| a.uuid < b.uuid));
    assert_eq!(tracker.counts().expect("counts").total(), jobs.len() as u64);
    for job in &jobs {
        assert_eq!(tracker.get(job.uuid).expect("it is listed").job, *job);
        // Whatever is shown keeps the invariants of a job, which reading it back checks.
        let again = Job::try_from(JobParts::from(&**job));
        assert_eq!(again.expect("a sound job"), **job);
        // Logs are read only now, so one may be refused where its job is not.
        match tracker.log(job.uuid) {
            Ok(log) => assert!(log.entries.iter().all(|it| it.revision <= tracker.revision())),
            Err(error) => {
                let kinds = [ErrorKind::StoreDamaged, ErrorKind::StoreTooNew];
                assert!(kinds.contains(&error.kind()), "{error:?}");
            }
        }
    }
    jobs
}

/// The records of a store with jobs in every state, and tombstones.
fn sound() -> &'static Vec<Record> {
    static SOUND: OnceLock<Vec<Record>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let store = Arc::new(MemoryStore::new());
        let tracker = Tracker::open(Arc::clone(&store), options()).expect("a new store opens");
        for job in jobs() {
            let import = jobtrack::Command::import(JobParts::from(job));
            tracker.run(import).expect("a legal job is imported");
        }
        let gone = tracker.create(NewJob::described("gone")).expect("made").uuid;
        tracker.fail(gone, Failure::default()).expect("ended");
        tracker.delete(gone).expect("deleted");
        tracker.close().expect("closed");
        let mut records = Vec::new();
        let visited = store.scan(&mut |space, key, record| {
            records.push((space, key.to_vec(), record?.value));
            Ok(())
        });
        visited.expect("a store in memory");
        records
    })
}

fn put(store: &MemoryStore, records: &[Record]) {
    // In as many commits as the store had, so that its numbers are not ahead of the last one's.
    for (space, key, value) in records {
        let write = Write { space: *space, key: key.as_slice().into(), value: Some(value.clone()) };
        let id = jobtrack::JobId::from_uuid(Default::default());
        let batch = Batch { id: *id.as_uuid(), expectations: Vec::new(), writes: vec![write] };
        store.commit(&batch, Durability::Synced).expect("a store in memory");
    }
}
