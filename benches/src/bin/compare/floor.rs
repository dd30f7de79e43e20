//! What no program on this machine can do without: the physical floor of some classes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;

use jobtrack::JobId;
use jobtrack_benches::{Asked, Jobs, QueryClass};

use crate::load::SEED;

/// Classes that nobody answers without an index before having read all descriptions.
const READ_ALL_TEXT: &[&str] =
    &["count with a wildcard", "count of a negation and a wildcard", "rare substring"];

/// What the floors are measured on.
pub(crate) struct Floors {
    /// The place of each job by its uuid.
    places: HashMap<JobId, usize, BuildHasherDefault<UuidBits>>,
    /// All descriptions, end to end, as words of memory.
    text: Vec<u64>,
}

impl Floors {
    /// The floors for so many jobs.
    pub(crate) fn of(jobs: usize) -> Self {
        let mut places = HashMap::with_capacity_and_hasher(jobs, BuildHasherDefault::default());
        let mut bytes = 0;
        for (place, job) in Jobs::new(SEED, jobs).enumerate() {
            places.insert(job.uuid, place);
            bytes += job.description.len();
        }
        // Which words they are makes no difference to reading them.
        let text = (0..bytes as u64 / 8).collect();
        Floors { places, text }
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
        let (tracker, jobs) = tracker_with(SEED, 1_000);
        let mut floors = Floors::of(1_000);
        assert!(jobs.iter().all(|job| floors.places.contains_key(&job.uuid)));
        let classes = query_classes(&tracker, &Jobs::new(SEED, 1_000));
        let with_floor = classes.iter().filter(|class| floors.floor(class).is_some()).count();
        assert_eq!(with_floor, READ_ALL_TEXT.len() + 1);
    }
}
