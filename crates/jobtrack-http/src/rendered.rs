//! Records as they were rendered lately, so that a page is put together of pieces: clients ask for
//! the same jobs over and over while they wait, and a list for the same ones as the list before.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use jobtrack::{Field, Job, JobId, Names};
use parking_lot::Mutex;

use crate::errors::to_json;

/// Bytes that are kept at most, the jobs themselves included.
const KEPT_BYTES: usize = 16 * 1024 * 1024;
/// Larger pages are rendered without being kept: they would put out what is asked for more often.
const LARGEST_PAGE: usize = 1_000;
/// What a record takes beside its text, its members and its job's own, by estimate.
const RECORD_BYTES: usize = 1_024;

/// Records that were rendered lately.
///
/// Each stands under its job's uuid with the very job that it was made of, and is taken only for one
/// that equals it; so what is kept never becomes wrong, whatever changes.
pub(crate) struct Rendered {
    generations: Mutex<Generations>,
    most_bytes: usize,
}

/// Those that were asked for since the last change of generations, and those before. What is asked
/// for again moves to the young, and the old go all at once.
#[derive(Default)]
struct Generations {
    young: HashMap<JobId, Arc<Record>>,
    young_bytes: usize,
    old: HashMap<JobId, Arc<Record>>,
}

/// A job's JSON on one line, and where in it its members stand.
#[derive(Debug)]
pub(crate) struct Record {
    job: Arc<Job>,
    text: Vec<u8>,
    members: Vec<Member>,
}

/// A member of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its place in [`names`]; None for one that is no field, which no selection shows.
    pub(crate) name: Option<usize>,
    /// Name and value, as they stand in the text.
    at: Range<usize>,
}

impl Default for Rendered {
    fn default() -> Self {
        Rendered::of_bytes(KEPT_BYTES)
    }
}

impl Rendered {
    fn of_bytes(most_bytes: usize) -> Rendered {
        Rendered { generations: Mutex::default(), most_bytes }
    }

    /// The records of these jobs, in their order.
    pub(crate) fn of(&self, jobs: &[Arc<Job>]) -> Vec<Arc<Record>> {
        if jobs.len() > LARGEST_PAGE {
            return jobs.iter().map(|job| Arc::new(Record::of(job))).collect();
        }
        let kept: Vec<_> = {
            let mut generations = self.generations.lock();
            jobs.iter().map(|job| generations.get(job)).collect()
        };
        let mut made = Vec::new();
        let of = |(job, kept): (&Arc<Job>, Option<Arc<Record>>)| {
            kept.unwrap_or_else(|| {
                let record = Arc::new(Record::of(job));
                made.push(Arc::clone(&record));
                record
            })
        };
        let records = jobs.iter().zip(kept).map(of).collect();
        if !made.is_empty() {
            // What goes is dropped after the lock.
            let _gone = self.generations.lock().put(made, self.most_bytes / 2);
        }
        records
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").field("most_bytes", &self.most_bytes).finish_non_exhaustive()
    }
}

impl Generations {
    fn get(&mut self, job: &Arc<Job>) -> Option<Arc<Record>> {
        let is_of = |record: &&Arc<Record>| Arc::ptr_eq(&record.job, job) || record.job == *job;
        if let Some(record) = self.young.get(&job.uuid) {
            return Some(record).filter(is_of).cloned();
        }
        let record = self.old.remove(&job.uuid)?;
        Some(&record).filter(is_of)?;
        self.young_bytes += record.bytes();
        self.young.insert(job.uuid, Arc::clone(&record));
        Some(record)
    }

    /// Keeps these, and returns what goes for them, if a generation is full.
    fn put(&mut self, made: Vec<Arc<Record>>, most_bytes: usize) -> HashMap<JobId, Arc<Record>> {
        for record in made {
            self.young_bytes += record.bytes();
            let before = self.young.insert(record.job.uuid, record);
            self.young_bytes -= before.map_or(0, |before| before.bytes());
        }
        if self.young_bytes <= most_bytes {
            return HashMap::new();
        }
        self.young_bytes = 0;
        std::mem::replace(&mut self.old, std::mem::take(&mut self.young))
    }
}

impl Record {
    fn of(job: &Arc<Job>) -> Record {
        let mut text = to_json(&**job);
        text.shrink_to_fit();
        let members = members(&text);
        Record { job: Arc::clone(job), text, members }
    }

    /// The job that it shows.
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// All of it.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Its members, in their order, each with its name and value as text.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Member, &[u8])> {
        let text = |member: &Member| self.text.get(member.at.clone()).unwrap_or_default();
        self.members.iter().map(move |member| (member, text(member)))
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.members.len() * size_of::<Member>() + RECORD_BYTES
    }
}

/// The place in [`names`] of what holds the labels.
pub(crate) const LABELS: usize = 0;

/// The names of a job's members: its fields, up to the first full stop.
pub(crate) fn names() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names = vec!["labels".to_owned()];
        for name in Field::FIXED.iter().filter_map(|field| field.name(Names::Native)) {
            let name = name.split('.').next().unwrap_or_default();
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    })
}

/// Where the members of an object stand, which is JSON without a space.
fn members(object: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    let mut begin = 1;
    for (at, byte) in object.iter().enumerate() {
        if is_text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => is_text = false,
                _ => {}
            }
            continue;
        }
        let ends = match byte {
            b'"' => {
                is_text = true;
                false
            }
            b'{' | b'[' => {
                depth += 1;
                false
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                depth == 0
            }
            b',' => depth == 1,
            _ => false,
        };
        if ends && begin < at {
            members.push(member(object, begin..at));
            begin = at + 1;
        }
    }
    members
}

fn member(object: &[u8], at: Range<usize>) -> Member {
    let text = object.get(at.clone()).unwrap_or_default();
    let name = text.get(1..).and_then(|text| text.split(|byte| *byte == b'"').next());
    let name = name.and_then(|name| names().iter().position(|known| known.as_bytes() == name));
    Member { name, at }
}

#[cfg(test)]
mod tests {
    use jobtrack::{Command, MemoryStore, NewJob, Options, Query, Tracker};

    use super::*;

    fn jobs(count: usize) -> (Tracker, Vec<Arc<Job>>) {
        let tracker = Tracker::open(MemoryStore::new(), Options::default()).unwrap();
        let new = |n| Command::create(NewJob::described(format!("job {n}: {}", "x".repeat(200))));
        assert!(tracker.run_all((0..count).map(new)).iter().all(Result::is_ok));
        let jobs = tracker.query(&Query::default()).unwrap().jobs;
        (tracker, jobs)
    }

    #[test]
    fn a_record_is_found_again_as_long_as_its_job_is_the_same() {
        let (tracker, jobs) = jobs(3);
        let rendered = Rendered::default();
        let records = rendered.of(&jobs);
        for (record, job) in records.iter().zip(&jobs) {
            assert_eq!(record.text(), serde_json::to_vec(&**job).unwrap());
        }
        assert!(Arc::ptr_eq(&rendered.of(&jobs)[1], &records[1]));
        // One that is equal will do, be it another.
        let equal = vec![Arc::new(Job::clone(&jobs[1]))];
        assert!(Arc::ptr_eq(&rendered.of(&equal)[0], &records[1]));
        tracker.start(jobs[1].uuid).unwrap();
        let changed = vec![Arc::clone(&tracker.get(jobs[1].uuid).unwrap().job)];
        let text = serde_json::to_vec(&*changed[0]).unwrap();
        assert_eq!(rendered.of(&changed)[0].text(), text);
        // What it was before is not given out for what it is now, nor the other way round.
        assert_eq!(rendered.of(&jobs)[1].text(), records[1].text());
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_asked_for_stays() {
        let (_tracker, jobs) = jobs(900);
        let rendered = Rendered::of_bytes(100 * 1_500);
        let first = Arc::clone(&rendered.of(&jobs[..1])[0]);
        for some in jobs.chunks(10) {
            rendered.of(some);
            assert!(Arc::ptr_eq(&rendered.of(&jobs[..1])[0], &first), "it is asked for again");
            let generations = rendered.generations.lock();
            assert!(generations.young.len() + generations.old.len() <= 120);
        }
        let second = rendered.of(&jobs[1..2]);
        assert_eq!(Arc::strong_count(&second[0]), 2, "it was made anew, and is kept");
    }

    #[test]
    fn members_are_found_whatever_stands_in_them() {
        let object = r#"{"uuid":"u","description":"a \"b\", {c} \\","labels":{"a":"}","b":{}},"code":-1,"x":[1,[2,3]],"allows":{}}"#;
        let found = members(object.as_bytes());
        let texts: Vec<_> = found.iter().map(|member| &object[member.at.clone()]).collect();
        assert_eq!(
            texts,
            [
                r#""uuid":"u""#,
                r#""description":"a \"b\", {c} \\""#,
                r#""labels":{"a":"}","b":{}}"#,
                r#""code":-1"#,
                r#""x":[1,[2,3]]"#,
                r#""allows":{}"#,
            ]
        );
        let named: Vec<_> = found.iter().map(|it| it.name.map(|it| names()[it].as_str())).collect();
        let of = Some;
        let expected =
            [of("uuid"), of("description"), of("labels"), of("code"), None, of("allows")];
        assert_eq!(named, expected);
        assert_eq!(members(b"{}"), []);
    }
}
