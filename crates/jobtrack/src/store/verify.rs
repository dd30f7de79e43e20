//! Whether what a store holds makes sense.

use std::collections::HashMap;
use std::fmt;

use super::codec::decode_log;
use super::codec::{EPOCHS_KEY, FORGOTTEN_KEY, FORMAT, HEAD_KEY, Head, check_format};
use super::codec::{claims_of_key, decode_claims, decode_epochs, decode_forgotten, decode_head};
use super::codec::{decode_job, decode_stay, decode_tombstone, stay_of_key};
use super::{Record, Space, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::job::{JobId, Revision};

/// What is wrong with a store, in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// The record, if it is one.
    pub record: Option<(Space, Vec<u8>)>,
    /// What is wrong with it.
    pub what: String,
}

impl Defect {
    fn of(space: Space, key: &[u8], what: impl fmt::Display) -> Self {
        Defect { record: Some((space, key.to_vec())), what: what.to_string() }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((space, key)) = &self.record {
            write!(f, "record {} of space {}: ", shown(key), space.name())?;
        }
        f.write_str(&self.what)
    }
}

/// A key as people read it: as text if it is a name, else in hexadecimal.
pub(crate) fn shown(key: &[u8]) -> String {
    let is_name = !key.is_empty() && key.iter().all(u8::is_ascii_lowercase);
    if is_name {
        return String::from_utf8_lossy(key).into_owned();
    }
    use fmt::Write as _;
    key.iter().fold(String::from("0x"), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// The last commit.
    pub commit: u64,
    /// The format level; None if there is no head that could be read.
    pub format: Option<u32>,
    /// The epoch, as the head has it.
    pub epoch: Option<u64>,
    /// How many records there are in each space, in the order of [`Space::ALL`].
    pub records: Vec<(Space, u64)>,
    /// How many defects were found.
    pub defects: u64,
}

/// Reads every record of every space, and checks each and what must hold between them:
///
/// - it can be read, is decoded whole, and breaks no invariant of a job;
/// - its key is what the engine makes, and its revision is that of a commit that was;
/// - no two jobs, no two tombstones, and no job and a tombstone have the same uuid;
/// - the claims and the log of a job, and how it was told to stay, are those of one that is there;
/// - the head is there, was written by the last commit, and agrees with the epochs.
///
/// Each defect is told as it is found. `progress` is told how many records have been read.
///
/// # Errors
///
/// `StoreCannot` if the store cannot be read whole; `StoreTooNew`; `StoreFailed`. Damage is no error
/// here, but a defect.
pub fn verify(
    store: &dyn Store,
    progress: &mut dyn FnMut(u64),
    defect: &mut dyn FnMut(Defect),
) -> Result<Verified> {
    let mut found = Findings::default();
    let mut read = 0;
    let scanned = store.scan(&mut |space, key, record| {
        read += 1;
        progress(read);
        match record.and_then(|record| found.take(space, key, &record)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::StoreDamaged => {
                found.tell(defect, Defect::of(space, key, error));
                Ok(())
            }
            Err(error) => Err(error),
        }
    });
    let commit = match scanned {
        Ok(commit) => Some(commit),
        Err(error) if error.kind() == ErrorKind::StoreDamaged => {
            found.tell(defect, Defect { record: None, what: error.to_string() });
            None
        }
        Err(error) => return Err(error),
    };
    for wrong in found.across(commit) {
        found.tell(defect, wrong);
    }
    let records = Space::ALL.iter().map(|space| (*space, found.count(*space))).collect();
    Ok(Verified {
        commit: commit.unwrap_or(found.latest),
        format: found.head.map(|(head, _)| head.format),
        epoch: found.head.map(|(head, _)| head.epoch),
        records,
        defects: found.defects,
    })
}

/// What is known of the records that were read.
#[derive(Default)]
struct Findings {
    counts: HashMap<Space, u64>,
    defects: u64,
    /// Every uuid, and where it was found.
    uuids: HashMap<JobId, (Space, Vec<u8>)>,
    /// The epochs of jobs and tombstones: of each the earliest and the latest number.
    spans: HashMap<u64, (u64, u64)>,
    /// The latest revision of a record.
    latest: u64,
    latest_key: Option<(Space, Vec<u8>)>,
    head: Option<(Head, u64)>,
    epochs: Option<Vec<Revision>>,
    forgotten: Option<Revision>,
    /// The jobs of which something is known beside their records: the numbers of these, and the
    /// keys of the others.
    beside: Vec<(u64, JobId, Vec<u8>)>,
    /// The jobs of which there is a log, with its key.
    logs: Vec<(Vec<u8>, JobId)>,
}

impl Findings {
    fn count(&self, space: Space) -> u64 {
        self.counts.get(&space).copied().unwrap_or(0)
    }

    fn tell(&mut self, defect: &mut dyn FnMut(Defect), wrong: Defect) {
        self.defects += 1;
        defect(wrong);
    }

    /// Checks a record by itself.
    fn take(&mut self, space: Space, key: &[u8], record: &Record) -> Result<()> {
        *self.counts.entry(space).or_default() += 1;
        if record.revision > self.latest {
            self.latest = record.revision;
            self.latest_key = Some((space, key.to_vec()));
        }
        if record.revision == 0 {
            return Err(damaged("it was written by commit 0, which never is"));
        }
        match space {
            Space::Job => {
                numbered(key)?;
                let job = decode_job(&record.value, record.revision)?;
                self.own(space, key, job.uuid, job.revision)
            }
            Space::Tombstone => {
                numbered(key)?;
                let tombstone = decode_tombstone(&record.value, record.revision)?;
                self.own(space, key, tombstone.gone.uuid, tombstone.revision)
            }
            Space::Meta if key == HEAD_KEY => {
                let head = decode_head(&record.value)?;
                check_format(head.format, FORMAT)?;
                self.head = Some((head, record.revision));
                Ok(())
            }
            Space::Meta if key == EPOCHS_KEY => {
                self.epochs = Some(decode_epochs(&record.value, record.revision)?);
                Ok(())
            }
            Space::Meta if key == FORGOTTEN_KEY => {
                self.forgotten = Some(decode_forgotten(&record.value, record.revision)?);
                Ok(())
            }
            Space::Meta => {
                if let Some(number) = claims_of_key(key) {
                    let job = decode_claims(&record.value)?.job;
                    self.beside.push((number, job, key.to_vec()));
                } else if let Some(number) = stay_of_key(key) {
                    let job = decode_stay(&record.value)?.job;
                    self.beside.push((number, job, key.to_vec()));
                }
                Ok(())
            }
            Space::Log => {
                numbered(key)?;
                let (job, _) = decode_log(&record.value, record.revision)?;
                self.logs.push((key.to_vec(), job));
                Ok(())
            }
            // Nothing is written there yet that could be checked.
            Space::Key | Space::Blob => Ok(()),
        }
    }

    /// Notes whose record this is.
    fn own(&mut self, space: Space, key: &[u8], id: JobId, revision: Revision) -> Result<()> {
        let number = revision.number;
        let span = self.spans.entry(revision.epoch).or_insert((number, number));
        *span = (span.0.min(number), span.1.max(number));
        match self.uuids.insert(id, (space, key.to_vec())) {
            None => Ok(()),
            Some((space, key)) => Err(damaged(format!(
                "the uuid {id} is also that of record {} of space {}",
                shown(&key),
                space.name()
            ))),
        }
    }

    /// What is wrong between records, given the last commit if the store knew it.
    fn across(&self, commit: Option<u64>) -> Vec<Defect> {
        let mut wrong = Vec::new();
        let mut meta = |key: &[u8], what: String| wrong.push(Defect::of(Space::Meta, key, what));
        let is_empty = self.latest == 0 && commit.unwrap_or(0) == 0;
        match self.head {
            // A head that cannot be read has been told of already, and is missing all the same.
            None if !is_empty => meta(HEAD_KEY, "there is no head that can be read".to_owned()),
            None => {}
            Some((head, written)) => {
                if let Some(commit) = commit
                    && written != commit
                {
                    let what =
                        format!("commit {written} wrote it, but the last one was commit {commit}");
                    meta(HEAD_KEY, what);
                }
                match self.epochs.as_ref().and_then(|epochs| epochs.last()) {
                    None => meta(EPOCHS_KEY, "there are no epochs that can be read".to_owned()),
                    Some(current) if current.epoch != head.epoch => {
                        let what = format!(
                            "the current epoch is {}, but {} by the head",
                            current.epoch, head.epoch
                        );
                        meta(EPOCHS_KEY, what);
                    }
                    Some(_) => {}
                }
                let last = Revision { epoch: head.epoch, number: written };
                if let Some(forgotten) = self.forgotten.filter(|forgotten| *forgotten > last) {
                    meta(FORGOTTEN_KEY, format!("it is {forgotten}, which is after {last}"));
                }
            }
        }
        for (number, id, beside) in &self.beside {
            let key = number.to_be_bytes();
            let of_job = self.uuids.get(id);
            if of_job.is_none_or(|(space, own)| *space != Space::Job || *own != key) {
                let what = format!("record {} of space job is not that of {id}", shown(&key));
                meta(beside, what);
            }
        }
        for (key, id) in &self.logs {
            let of_job = self.uuids.get(id);
            if of_job.is_none_or(|(space, own)| *space != Space::Job || own != key) {
                let what = format!("record {} of space job is not that of {id}", shown(key));
                wrong.push(Defect::of(Space::Log, key, what));
            }
        }
        let mut meta = |key: &[u8], what: String| wrong.push(Defect::of(Space::Meta, key, what));
        for (epoch, (from, to)) in self.outside() {
            let what = format!("records are of {epoch}-{from} to {epoch}-{to}, outside that epoch");
            meta(EPOCHS_KEY, what);
        }
        if let (Some(commit), Some((space, key))) = (commit, &self.latest_key)
            && self.latest > commit
        {
            let what = format!("commit {} wrote it, but the last was {commit}", self.latest);
            wrong.push(Defect::of(*space, key, what));
        }
        wrong
    }

    /// The epochs of which there are records that are not of it. Earlier ones may be forgotten.
    fn outside(&self) -> Vec<(u64, (u64, u64))> {
        let firsts = self.epochs.as_deref().unwrap_or_default();
        let Some(earliest) = firsts.first() else { return Vec::new() };
        let mut outside: Vec<_> = self
            .spans
            .iter()
            .filter(|(epoch, (from, to))| {
                let at = firsts.iter().position(|first| first.epoch == **epoch);
                let next = at.and_then(|at| firsts.get(at + 1));
                match at.and_then(|at| firsts.get(at)) {
                    Some(first) => {
                        *from < first.number || next.is_some_and(|next| *to >= next.number)
                    }
                    None => **epoch > earliest.epoch || *to >= earliest.number,
                }
            })
            .map(|(epoch, span)| (*epoch, *span))
            .collect();
        outside.sort_unstable();
        outside
    }
}

/// Jobs and tombstones are keyed by numbers.
pub(super) fn numbered(key: &[u8]) -> Result<()> {
    match <[u8; 8]>::try_from(key).map(u64::from_be_bytes) {
        Ok(number) if number > 0 => Ok(()),
        Ok(_) => Err(damaged("its key is the number 0, which is never given")),
        Err(_) => Err(damaged(format!("its key is {} bytes long, not eight", key.len()))),
    }
}

pub(super) fn damaged(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::StoreDamaged, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::command::{Command, Failure, Hold, NewJob, Update};
    use crate::store::claims_key;
    use crate::store::{Batch, Durability, MemoryStore, Write, copy};
    use crate::tracker::{Options, Tracker};
    use std::sync::Arc;

    fn store() -> Arc<MemoryStore> {
        let store = Arc::new(MemoryStore::new());
        let tracker = Tracker::open(Arc::clone(&store), Options::default()).unwrap();
        for n in 0..5 {
            let job = tracker.create(NewJob::described(format!("job {n}"))).unwrap().uuid;
            tracker.start(job).unwrap();
            tracker.fail(job, Failure::default()).unwrap();
            if n < 2 {
                tracker.delete(job).unwrap();
            }
        }
        tracker.close().unwrap();
        store
    }

    fn put(store: &MemoryStore, space: Space, key: &[u8], value: Option<Vec<u8>>) {
        let writes = vec![Write { space, key: key.into(), value }];
        let id = SystemClock::new().new_id();
        let batch = Batch { id, expectations: Vec::new(), writes };
        store.commit(&batch, Durability::Synced).unwrap();
    }

    fn defects(store: &MemoryStore) -> Vec<String> {
        let mut told = Vec::new();
        let verified = verify(store, &mut |_| {}, &mut |defect| told.push(defect.to_string()));
        assert_eq!(verified.unwrap().defects, told.len() as u64);
        told
    }

    #[test]
    fn a_store_of_the_engine_and_its_copy_have_no_defects() {
        let store = store();
        let copied = MemoryStore::new();
        copy(&store, &copied, &SystemClock::new(), &mut |_| {}).unwrap();
        for store in [&*store, &copied] {
            let mut read = 0;
            let verified = verify(store, &mut |count| read = count, &mut |_| {}).unwrap();
            assert_eq!(verified.defects, 0);
            assert_eq!(verified.format, Some(1));
            // Three jobs with a log each, two tombstones, and the head and the epochs.
            assert_eq!(read, 10);
            assert_eq!(verified.records[0], (Space::Job, 3));
            assert_eq!(verified.records[2], (Space::Tombstone, 2));
            assert_eq!(defects(store), [""; 0]);
        }
        assert_eq!(defects(&MemoryStore::new()), [""; 0], "a new one");
    }

    #[test]
    fn claims_are_those_of_a_job_that_is_there() {
        let store = store();
        let options = Options::default();
        let tracker = Tracker::open(Arc::clone(&store), options).unwrap();
        let job = tracker.create(NewJob::default()).unwrap().uuid;
        tracker.run(Command::update(job, Update::Claim(Hold::leased("w")))).unwrap();
        tracker.close().unwrap();
        assert_eq!(defects(&store), [""; 0]);

        let key = claims_key(6);
        let value = store.read(Space::Meta, &key).unwrap().unwrap().value;
        put(&store, Space::Meta, &claims_key(3), Some(value.clone()));
        let told = defects(&store).join("\n");
        let expected = format!("record 0x0000000000000003 of space job is not that of {job}");
        assert!(told.contains(&expected), "{told}");
        put(&store, Space::Meta, &claims_key(3), Some(value[1..].to_vec()));
        let told = defects(&store).join("\n");
        assert!(told.contains("the claims of a job cannot be decoded"), "{told}");
    }

    #[test]
    fn logs_are_those_of_a_job_that_is_there() {
        let store = store();
        let key = 3u64.to_be_bytes();
        let value = store.read(Space::Log, &key).unwrap().unwrap().value;
        put(&store, Space::Log, &4u64.to_be_bytes(), Some(value.clone()));
        put(&store, Space::Log, &5u64.to_be_bytes(), Some(value[..9].to_vec()));
        put(&store, Space::Log, b"name", Some(value));
        let told = defects(&store).join("\n");
        for part in [
            "0x0000000000000004 of space log: record 0x0000000000000004 of space job is not that of",
            "0x0000000000000005 of space log: the log of a job cannot be decoded",
            "record name of space log: its key is 4 bytes long, not eight",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn every_defect_is_told_with_its_place() {
        let key = 3u64.to_be_bytes();
        let late = "the last one was commit";

        let cut = store();
        let mut value = cut.read(Space::Job, &key).unwrap().unwrap().value;
        value.pop();
        put(&cut, Space::Job, &key, Some(value));
        let told = defects(&cut);
        let place = "record 0x0000000000000003 of space job: a job cannot be decoded";
        assert_eq!(told.first().map(String::as_str), Some(place));
        assert!(told[1].starts_with("record head of space meta: ") && told[1].contains(late));
        let place =
            "record 0x0000000000000003 of space log: record 0x0000000000000003 of space job";
        assert!(told[2].starts_with(place), "its log is nobody's");
        assert_eq!(told.len(), 3, "{told:?}");

        let twice = store();
        let value = twice.read(Space::Job, &key).unwrap().unwrap().value;
        put(&twice, Space::Job, &9u64.to_be_bytes(), Some(value));
        put(&twice, Space::Job, b"short", Some(vec![1]));
        let told = defects(&twice).join("\n");
        let parts = ["is also that of record 0x0000000000000003 of space job", "is 5 bytes long"];
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");

        for (key, what) in [
            (HEAD_KEY, "record head of space meta: there is no head that can be read"),
            (EPOCHS_KEY, "record epochs of space meta: there are no epochs that can be read"),
        ] {
            let without = store();
            put(&without, Space::Meta, key, None);
            assert!(defects(&without).iter().any(|told| told == what), "{what}");
        }
    }
}
