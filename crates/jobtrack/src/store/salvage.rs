//! What is left of a damaged store, and a new one made of it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::codec::{EPOCHS_KEY, FORGOTTEN_KEY, FORMAT, HEAD_KEY, Head, claims_of_key};
use super::codec::{decode_claims, decode_head, decode_job, decode_log, decode_stay};
use super::codec::{decode_tombstone, encode_head, stay_of_key};
use super::restore::Restorer;
use super::verify::shown;
use super::{Record, Space, Store};
use crate::clock::Clock;
use crate::error::{ErrorKind, Result};
use crate::job::JobId;
use crate::timestamp::Timestamp;

/// Something in a damaged store that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: Option<u64>,
    /// The record, if its key could be read.
    pub record: Option<(Space, Vec<u8>)>,
    /// What is lost, or why.
    pub what: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        if let Some((space, key)) = &self.record {
            write!(f, ", record {} of space {}", shown(key), space.name())?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What a kind of store could still read of a damaged one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remains {
    /// The last commit, as far as is known.
    pub commit: u64,
    /// Every record that is proved to be as it was written, each once.
    pub records: Vec<(Space, Vec<u8>, Record)>,
    /// The rest.
    pub losses: Vec<Loss>,
}

/// Fills a new store with what is left of a damaged one, and returns how many records that is, with
/// everything that was lost.
///
/// A record that does not make sense by itself is lost as well. The new store is in an epoch of its
/// own and knows of no other: whoever watched before is told that there is a gap, since what was
/// lost cannot be told. `file` stands in the losses that are found here.
///
/// # Errors
///
/// `StoreTooNew` for records of a newer jobtrack; those of [`Restorer`] and of the store.
pub fn rebuild(
    remains: Remains,
    file: &Path,
    to: &dyn Store,
    clock: &dyn Clock,
    progress: &mut dyn FnMut(u64),
) -> Result<(u64, Vec<Loss>)> {
    let Remains { commit, mut records, mut losses } = remains;
    let latest = records.iter().map(|(_, _, record)| record.revision).max().unwrap_or(0);
    let commit = commit.max(latest);
    // Jobs before tombstones: of one uuid the job is kept.
    records.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut restorer = Restorer::begin(to, commit)?;
    let mut known = Known::default();
    let mut kept = 0;
    for (space, key, record) in records {
        match known.take(space, &key, &record) {
            Ok(true) => {
                restorer.put(space, &key, record)?;
                kept += 1;
                progress(kept);
            }
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::StoreTooNew => return Err(error),
            Err(error) => losses.push(Loss {
                file: file.to_owned(),
                offset: None,
                record: Some((space, key)),
                what: error.to_string(),
            }),
        }
    }
    let head = known.head.unwrap_or(Head {
        format: FORMAT,
        epoch: known.epoch,
        horizon: known.latest.unwrap_or(clock.wall()),
        is_clean: true,
    });
    let value = encode_head(&head)?;
    restorer.put(Space::Meta, HEAD_KEY, Record { revision: commit, value })?;
    restorer.finish(commit, clock)?;
    Ok((kept, losses))
}

/// What the records have told so far.
#[derive(Default)]
struct Known {
    uuids: HashMap<JobId, Space>,
    /// The key of each job.
    keys: HashMap<JobId, Vec<u8>>,
    head: Option<Head>,
    /// The latest epoch of a record.
    epoch: u64,
    /// The latest moment of which a record tells.
    latest: Option<Timestamp>,
}

impl Known {
    /// Whether the record goes into the new store; an error if it makes no sense.
    fn take(&mut self, space: Space, key: &[u8], record: &Record) -> Result<bool> {
        let (id, revision, time) = match space {
            Space::Job => {
                super::verify::numbered(key)?;
                let job = decode_job(&record.value, record.revision)?;
                (job.uuid, job.revision, job.update_time)
            }
            Space::Tombstone => {
                super::verify::numbered(key)?;
                let tombstone = decode_tombstone(&record.value, record.revision)?;
                (tombstone.gone.uuid, tombstone.revision, tombstone.gone.gone_time)
            }
            Space::Meta if key == HEAD_KEY => {
                self.head = Some(decode_head(&record.value)?);
                return Ok(false);
            }
            // What they say of the past is no longer so.
            Space::Meta if key == EPOCHS_KEY || key == FORGOTTEN_KEY => return Ok(false),
            Space::Log => {
                super::verify::numbered(key)?;
                let (job, _) = decode_log(&record.value, record.revision)?;
                return Ok(self.is_of(job, key));
            }
            Space::Meta => {
                return Ok(if let Some(number) = claims_of_key(key) {
                    self.is_of(decode_claims(&record.value)?.job, &number.to_be_bytes())
                } else if let Some(number) = stay_of_key(key) {
                    self.is_of(decode_stay(&record.value)?.job, &number.to_be_bytes())
                } else {
                    true
                });
            }
            Space::Key | Space::Blob => return Ok(true),
        };
        if let Some(before) = self.uuids.insert(id, space) {
            let what = format!("the uuid {id} is also that of a {}", before.name());
            return Err(super::verify::damaged(what));
        }
        if space == Space::Job {
            self.keys.insert(id, key.to_vec());
        }
        self.epoch = self.epoch.max(revision.epoch);
        self.latest = self.latest.max(Some(time));
        Ok(true)
    }

    /// Whether this is the key of the job's own record. Jobs come before what is said of them
    /// elsewhere; of one that is lost nothing is to be known.
    fn is_of(&self, job: JobId, key: &[u8]) -> bool {
        self.keys.get(&job).is_some_and(|own| own == key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::command::{Failure, NewJob};
    use crate::job::{Gone, Job, State};
    use crate::store::codec::{Claims, Stay, Tombstone, encode_claims, encode_stay};
    use crate::store::codec::{encode_tombstone, stay_key};
    use crate::store::{Key, MemoryStore, claims_key, verify};
    use crate::tracker::{Options, Tracker};

    #[test]
    fn what_is_left_becomes_a_whole_store() {
        let from = Arc::new(MemoryStore::new());
        let tracker = Tracker::open(Arc::clone(&from), Options::default()).unwrap();
        for n in 0..4 {
            let job = tracker.create(NewJob::described(format!("job {n}"))).unwrap().uuid;
            tracker.start(job).unwrap();
            if n == 3 {
                tracker.fail(job, Failure::default()).unwrap();
                tracker.delete(job).unwrap();
            }
        }
        let commit = tracker.revision().number;
        let mut all = Vec::new();
        from.scan(&mut |space, key, record| {
            all.push((space, key.to_vec(), record?));
            Ok(())
        })
        .unwrap();
        // Without anything of the engine's own, and with a job that is cut short.
        all.retain(|(space, ..)| *space != Space::Meta);
        all[1].2.value.pop();
        let lost = all[1].1.clone();
        let remains = Remains { commit: 0, records: all, losses: Vec::new() };
        let to = Arc::new(MemoryStore::new());
        let clock = SystemClock::new();
        let (kept, losses) = rebuild(remains, Path::new("x"), &to, &clock, &mut |_| {}).unwrap();
        // Two jobs with their logs, and a tombstone; the log of the lost one goes with it.
        assert_eq!((kept, losses.len()), (5, 1));
        assert_eq!(losses[0].record, Some((Space::Job, lost)));
        let told = losses[0].to_string();
        assert!(told.starts_with("x, record 0x0000000000000002 of space job: a job"), "{told}");

        assert_eq!(verify(&to, &mut |_| {}, &mut |_| {}).unwrap().defects, 0);
        let again = Tracker::open(to, Options::default()).unwrap();
        assert_eq!(again.opened().jobs, 2);
        assert!(again.revision().number > commit);
    }

    /// What stands beside a job's record is kept under the number of that alone: another would be a
    /// defect of the new store.
    #[test]
    fn what_is_beside_a_job_stays_where_the_job_s_record_is() {
        let from = Arc::new(MemoryStore::new());
        let tracker = Tracker::open(Arc::clone(&from), Options::default()).unwrap();
        let id = tracker.create(NewJob::default()).unwrap().uuid;
        let held = tracker.hold(id).unwrap();
        let mut all = Vec::new();
        from.scan(&mut |space, key, record| {
            all.push((space, key.to_vec(), record?));
            Ok(())
        })
        .unwrap();
        let beside = |key: Key, value| (Space::Meta, key.into(), Record { revision: 2, value });
        let stay = encode_stay(&Stay::of(&held).unwrap()).unwrap();
        let claimed = Job { claims: 1, ..Job::clone(&held) };
        let claims = encode_claims(&Claims::of(&claimed).unwrap()).unwrap();
        all.push(beside(stay_key(7), stay));
        all.push(beside(claims_key(7), claims.clone()));
        all.push(beside(claims_key(1), claims));
        // The tombstone of a job that is there is lost, and the job no less known for it.
        let gone = Arc::new(gone(&held));
        let tombstone = Tombstone { gone, until: Timestamp::MAX, revision: held.revision };
        let value = encode_tombstone(&tombstone).unwrap();
        all.push((Space::Tombstone, 1u64.to_be_bytes().into(), Record { revision: 2, value }));
        let remains = Remains { commit: 0, records: all, losses: Vec::new() };
        let to = Arc::new(MemoryStore::new());
        let clock = SystemClock::new();
        let (_, losses) = rebuild(remains, Path::new("x"), &to, &clock, &mut |_| {}).unwrap();
        assert_eq!(losses.len(), 1, "{losses:?}");
        assert_eq!(verify(&to, &mut |_| {}, &mut |_| {}).unwrap().defects, 0);
        let again = Tracker::open(to, Options::default()).unwrap().get(id).unwrap();
        assert_eq!((&again.held, again.claims), (&held.held, 1));
    }

    fn gone(job: &Job) -> Gone {
        Gone {
            uuid: job.uuid,
            scope: None,
            state: State::Success,
            code: 0,
            end_time: job.update_time,
            gone_time: job.update_time,
            was_deleted: true,
        }
    }
}
