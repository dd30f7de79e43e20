//! Workers that behave as badly as they can.
//!
//! `JOBTRACK_SIMULATIONS=100 cargo nextest run -p jobtrack -E 'binary(simulation)'` runs as many seeds
//! of 10,000 steps each: a hundred are a million steps.

use jobtrack_testkit::simulation::{Simulated, run};

const STEPS: u64 = 10_000;

#[test]
fn no_worker_however_bad_is_a_second_owner_and_no_job_is_held_for_ever() {
    let told = std::env::var("JOBTRACK_SIMULATIONS").ok().and_then(|text| text.parse().ok());
    let seeds: u64 = told.unwrap_or(4);
    let mut all = Simulated::default();
    for seed in 0..seeds {
        let seen = std::panic::catch_unwind(|| run(seed, STEPS));
        let seen = seen.unwrap_or_else(|_| panic!("seed {seed} of {STEPS} steps does not hold"));
        all.claims += seen.claims;
        all.accepted += seen.accepted;
        all.late += seen.late;
        all.lost += seen.lost;
        all.timed_out += seen.timed_out;
        all.restarts += seen.restarts;
        all.held += seen.held;
        all.evicted += seen.evicted;
        all.refused += seen.refused;
        all.archived += seen.archived;
    }
    println!("{seeds} seeds of {STEPS} steps: {all:?}");
    // A simulation in which nothing goes wrong proves nothing.
    let worked = [all.claims, all.accepted, all.late, all.lost, all.timed_out, all.restarts];
    let stayed = [all.held, all.evicted, all.refused, all.archived];
    let least = [&worked[..], &stayed].concat();
    assert!(least.iter().all(|count| *count >= 10 * seeds), "{all:?}");
}
