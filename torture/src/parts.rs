//! The list of campaigns, and how much of each is a run.

use std::time::Duration;

use crate::course::{Broken, Course, Tally};
use crate::stores::{self, Kind};
use crate::{damage, full_disk, histories, kills, lossy, operations, power_cuts, wear};

/// A campaign, over one store if there is one for each.
#[derive(Clone, Copy)]
pub struct Part {
    /// Its name, and that of the store.
    pub name: &'static str,
    /// The store, where there is one for each.
    pub store: Option<Kind>,
    /// What is counted towards the target.
    pub counted: &'static str,
    /// How many of that are a whole run.
    pub target: u64,
    /// What the project aims at, where that is another number: of each store, or of all together.
    pub aim: &'static str,
    /// How many seconds it is given in a whole run.
    pub seconds: u64,
    run: fn(Option<Kind>, &Course<'_>) -> Result<Tally, Broken>,
}

/// One over all stores, or none in particular.
macro_rules! part {
    ($name:literal, $counted:literal, $target:literal, $aim:literal, $seconds:literal, $run:path) => {
        Part {
            name: $name,
            store: None,
            counted: $counted,
            target: $target,
            aim: $aim,
            seconds: $seconds,
            run: |_, course| $run(course),
        }
    };
}

/// One for a store of its own.
macro_rules! part_of {
    ($name:literal, $counted:literal, $target:expr, $aim:literal, $seconds:literal, $run:path) => {
        Part {
            name: $name,
            store: Some(stores::ALL[0]),
            counted: $counted,
            target: $target,
            aim: $aim,
            seconds: $seconds,
            run: |kind, course| match kind {
                Some(kind) => $run(kind, course),
                None => Ok(Tally::skipped("of no store")),
            },
        }
    };
}

/// Every campaign, for every store that it concerns.
pub fn all() -> Vec<Part> {
    let of_all = [
        part!("histories", "histories", 20_000, "10,000", 60, histories::run),
        part!("power-cuts", "power cuts", 200_000, "200,000", 300, power_cuts::run),
        part!("operations", "workloads", 30, "30 workloads", 300, operations::run),
    ];
    let of_each = [
        part_of!("lossy", "power cuts", 70, "200 of all stores", 150, lossy::run),
        part_of!("kills", "rounds", 500, "500", 240, kills::run),
        part_of!("system-calls", "processes", 200, "every operation", 120, kills::system_calls),
        part_of!("damage", "damages", u64::MAX, "every byte, every length", 180, damage::run),
        part_of!("full-disk", "full disks", 10, "", 60, full_disk::run),
        part_of!("wear", "jobs", 1_000, "", 60, wear::run),
    ];
    let each = of_each.into_iter().flat_map(|part| {
        stores::ALL.into_iter().map(move |kind| Part { store: Some(kind), ..part })
    });
    of_all.into_iter().chain(each).collect()
}

impl Part {
    /// Its name with that of its store.
    pub fn full_name(&self) -> String {
        match self.store {
            None => self.name.to_owned(),
            Some(kind) => format!("{}-{}", self.name, kind.name),
        }
    }

    /// Whether `--only` with these words means it: its name, that with its store's, or the store's.
    pub fn is_meant_by(&self, word: &str) -> bool {
        word == self.name
            || word == self.full_name()
            || self.store.is_some_and(|kind| kind.name == word)
    }

    /// Runs it from this seed until its target, or a time, is reached.
    ///
    /// # Errors
    ///
    /// A promise that was broken.
    pub fn run(
        &self,
        seed: u64,
        target: u64,
        limit: Duration,
        progress: &(dyn Fn(u64) + Sync),
    ) -> (Duration, Result<Tally, Broken>) {
        let course = Course::new(seed, target, limit, progress);
        let outcome = (self.run)(self.store, &course);
        (course.took(), outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_part_has_a_name_of_its_own_and_goes_by_it() {
        let parts = all();
        let names: BTreeSet<_> = parts.iter().map(Part::full_name).collect();
        assert_eq!(names.len(), parts.len());
        let meant = |word| parts.iter().filter(|part| part.is_meant_by(word)).count();
        assert_eq!(meant("power-cuts"), 1);
        assert_eq!(meant("kills"), stores::ALL.len());
        assert_eq!(meant("kills-sled"), 1);
        assert_eq!(meant("sled"), 6);
        assert_eq!(meant("killing"), 0);
    }
}
