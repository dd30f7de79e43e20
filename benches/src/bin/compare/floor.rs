//! What no program on this machine can do without: the physical floor of some classes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;

use jobtrack::{JobId, JobParts};
use jobtrack_benches::{Asked, Examples, QueryClass};

/// Classes that nobody answers without an index before having read all descriptions.
const READ_ALL_TEXT: &[&str] = &[
    "count with a wildcard",
    "count with a longer wildcard",
    "count with a wildcard of names",
    "count of a negation and a wildcard",
    "rare substring",
];

/// What the floors are measured on.
#[derive(Default)]
pub(crate) struct Floors {
    /// The place of each job by its uuid.
    places: HashMap<JobId, usize, BuildHasherDefault<UuidBits>>,
    /// As many words of memory as all descriptions fill, end to end.
    text: Vec<u64>,
    /// Bytes of all descriptions.
    bytes: u64,
}

impl Floors {
    /// What can be asked of these jobs, so many, and the floors for it, in one pass.
    pub(crate) fn and_examples(
        jobs: impl Iterator<Item = JobParts>,
        count: usize,
    ) -> (Examples, Floors) {
        let mut floors = Floors::default();
        floors.places.reserve(count);
        let examples = Examples::among(jobs.inspect(|job| floors.add(job)), count);
        // Which words they are makes no difference to reading them.
        floors.text = (0..floors.bytes / 8).collect();
        (examples, floors)
    }

    fn add(&mut self, job: &JobParts) {
        self.places.insert(job.uuid, self.places.len());
        self.bytes += job.description.len() as u64;
    }

    /// The floor of this class, if it has one: a bare probe of a hash table, or reading as many
    /// bytes of memory as all descriptions have, once.
    pub(crate) fn floor<'a>(
        &'a mut self,
        class: &'a QueryClass,
    ) -> Option<Box<dyn FnMut(usize) + 'a>> {
        if let Asked::Get(ids) = &class.asked {
            let probe = |turn| _ = black_box(self.places.get(&ids[turn % ids.len()]));
            return Some(Box::new(probe));
        }
        let sum = || self.text.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word));
        let read = move |_| _ = black_box(sum());
        READ_ALL_TEXT.contains(&class.name).then(|| Box::new(read) as _)
    }
}

/// The last eight bytes of a uuid, which are as good as random already.
#[derive(Debug, Default)]
struct UuidBits(u64);

impl Hasher for UuidBits {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_be_bytes(*last);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use jobtrack_benches::{query_classes, tracker_with};

    use super::*;

    #[test]
    fn the_classes_that_read_all_text_exist() {
        let (tracker, jobs) = tracker_with(1, 1_000);
        let (examples, mut floors) = Floors::and_examples(jobs.iter().cloned(), jobs.len());
        assert!(jobs.iter().all(|job| floors.places.contains_key(&job.uuid)));
        let classes = query_classes(&tracker, &examples);
        let with_floor = classes.iter().filter(|class| floors.floor(class).is_some()).count();
        assert_eq!(with_floor, READ_ALL_TEXT.len() + 1);
    }
}
