//! A tenth of what `cargo xtask torture` runs, and of some parts less, so that each is known to work.
//!
//! `JOBTRACK_TORTURE=1000000 cargo nextest run -p jobtrack-torture -E 'test(power)'` runs more.

// Outside of the test functions themselves clippy does not see that this is a test.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use std::time::Duration;

use jobtrack_torture::parts::{self, Part};
use jobtrack_torture::{Tally, machines};

/// The same for every run, so that what fails once fails again.
const SEED: u64 = 1;

/// So many of what the part counts; what cannot be run here says so, loudly.
fn run(name: &str, target: u64) -> Tally {
    machines::set_program(env!("CARGO_BIN_EXE_jobtrack-torture"));
    let told = std::env::var("JOBTRACK_TORTURE").ok();
    let target = told.map_or(target, |told| told.parse().unwrap());
    let part: Part = parts::all().into_iter().find(|part| part.full_name() == name).unwrap();
    let (took, outcome) = part.run(SEED, target, Duration::from_secs(240), &|_| {});
    let tally = outcome.unwrap_or_else(|broken| {
        panic!(
            "{broken}\nto see it again: cargo xtask torture --only {name} --seed {}",
            broken.seed
        )
    });
    for reason in &tally.skipped {
        println!("SKIPPED: {name}: {reason}");
    }
    println!("{name} in {took:?}: {:?}", tally.counts().collect::<Vec<_>>());
    let is_done = !tally.skipped.is_empty() || tally.count(part.counted) >= target;
    assert!(is_done, "only {} of {target}", tally.count(part.counted));
    tally
}

#[test]
fn power_cuts_beneath_redb() {
    let tally = run("power-cuts", 20_000);
    assert!(tally.count("within a step") > 50 && tally.count("between steps") > 50, "{tally:?}");
}

#[test]
fn every_operation_of_redb_fails_in_turn() {
    let tally = run("operations", 3);
    for kind in ["not opened", "failed", "unknown or refused after it"] {
        assert!(tally.count(kind) > 100, "{tally:?}");
    }
}

/// Makes a test of each store.
macro_rules! of_each_store {
    ($($test:ident: $name:literal $target:literal)+) => {
        $(
            mod $test {
                #[test]
                fn redb() {
                    super::run(concat!($name, "-redb"), $target);
                }

                #[test]
                fn fjall() {
                    super::run(concat!($name, "-fjall"), $target);
                }

                #[test]
                fn sled() {
                    super::run(concat!($name, "-sled"), $target);
                }
            }
        )+
    };
}

of_each_store! {
    power_cuts_on_a_lossy_file_system: "lossy" 16
    killed_processes: "kills" 20
    failing_system_calls: "system-calls" 20
    damage: "damage" 1_000
    a_full_disk: "full-disk" 1
    wear: "wear" 100
}
