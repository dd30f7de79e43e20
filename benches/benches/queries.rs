//! The main query classes at ten thousand jobs: a baseline, and what a change is compared with.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jobtrack_benches::{Jobs, query_classes, tracker_with};

const SEED: u64 = 1;
const JOBS: usize = 10_000;

fn queries(criterion: &mut Criterion) {
    let (tracker, _) = tracker_with(SEED, JOBS);
    let mut group = criterion.benchmark_group("10k");
    for class in query_classes(&tracker, &Jobs::new(SEED, JOBS)) {
        let mut turn = 0;
        group.bench_function(class.name, |bencher| {
            bencher.iter(|| {
                turn += 1;
                black_box(class.ask(&tracker, turn))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, queries);
criterion_main!(benches);
