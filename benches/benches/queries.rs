//! Query classes and changes by size: a baseline, and what a change is compared with.
//!
//! Ten thousand jobs, unless `JOBTRACK_BENCH_JOBS` says how many.

// What goes wrong must end the measurement.
#![allow(clippy::expect_used, clippy::panic)]

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main};
use jobtrack::{Command, Durability, NewJob, Success, Tracker};
use jobtrack_benches::{Asked, Examples, Jobs, QueryClass, query_classes, tracker_of};

const SEED: u64 = 1;
const JOBS: usize = 10_000;
const VARIABLE: &str = "JOBTRACK_BENCH_JOBS";
/// From so many jobs on few samples are taken, since each may take long.
const MANY: usize = 100_000;

/// Whether a class asks in some way.
type Way = fn(&Asked) -> bool;

fn size() -> usize {
    match std::env::var(VARIABLE) {
        Err(_) => JOBS,
        Ok(text) => match text.replace('_', "").parse() {
            Ok(jobs) if jobs >= 1_000 => jobs,
            _ => panic!("{VARIABLE}: {text:?} is no number from 1000 on"),
        },
    }
}

/// One group for each way to ask, one bench for each class.
fn queries(criterion: &mut Criterion) {
    let jobs = size();
    let tracker = tracker_of(Jobs::new(SEED, jobs));
    let classes = query_classes(&tracker, &Examples::among(Jobs::new(SEED, jobs), jobs));
    let ways: [(&str, Way); 3] = [
        ("get", |asked| matches!(asked, Asked::Get(_))),
        ("page", |asked| matches!(asked, Asked::Page(_))),
        ("count", |asked| matches!(asked, Asked::Count(_) | Asked::Counts)),
    ];
    for (way, is_one) in ways {
        let mut group = group(criterion, way, jobs);
        for class in classes.iter().filter(|class| is_one(&class.asked)) {
            bench_class(&mut group, &tracker, class);
        }
        group.finish();
    }
}

fn bench_class(group: &mut BenchmarkGroup<'_, WallTime>, tracker: &Tracker, class: &QueryClass) {
    let mut turn = 0;
    group.bench_function(class.name, |bencher| {
        bencher.iter(|| {
            turn += 1;
            black_box(class.ask(tracker, turn))
        });
    });
}

/// A job's life beside all those that are there, which stay.
fn changes(criterion: &mut Criterion) {
    let jobs = size();
    let tracker = tracker_of(Jobs::new(SEED, jobs));
    let run = |command: Command| {
        tracker.run(command.durability(Durability::Deferred)).expect("the change is legal").job.uuid
    };
    let mut group = group(criterion, "change", jobs);
    group.bench_function("create, start, succeed, delete", |bencher| {
        bencher.iter_batched(
            || NewJob::described("Create volume vol_0001"),
            |job| {
                let id = run(Command::create(job));
                run(Command::start(id));
                run(Command::succeed(id, Success::default()));
                run(Command::delete(id))
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
    jobs: usize,
) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(format!("{name}/{jobs}"));
    group.warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    group.sample_size(if jobs < MANY { 50 } else { 10 });
    group
}

criterion_group!(benches, queries, changes);
criterion_main!(benches);
