//! The main query classes at ten thousand jobs: a baseline, and what a change is compared with.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jobtrack_benches::{query_classes, tracker_with};

const SEED: u64 = 1;
const JOBS: usize = 10_000;

fn queries(criterion: &mut Criterion) {
    let (tracker, jobs) = tracker_with(SEED, JOBS);
    let mut group = criterion.benchmark_group("10k");
    for class in query_classes(&tracker, &jobs) {
        group.bench_function(class.name, |bencher| bencher.iter(|| black_box(class.ask(&tracker))));
    }
    group.finish();
}

criterion_group!(benches, queries);
criterion_main!(benches);
