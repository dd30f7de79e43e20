//! How many jobs a second many workers can claim, and how that changes with the number of jobs that
//! are queued.
//!
//! The store is in memory: what is measured is the choosing. On a disk, claims are synced, and share
//! commits as other synced changes do.

use std::thread;
use std::time::{Duration, Instant};

use jobtrack::{
    Claim, Command, Direction, Durability, Expr, Field, Hold, MemoryStore, NewJob, Options, Order,
    Tracker,
};
use jobtrack_benches::Jobs;

use crate::changes::SEED;
use crate::report::Figure;

const CLAIMERS: usize = 64;
/// Claims of each claimer that are measured.
const CLAIMS: usize = 50;

/// Measures with so many jobs queued, with a tenth and with a hundredth of them.
pub(crate) fn figures(jobs: usize) -> Vec<Figure> {
    [jobs / 100, jobs / 10, jobs]
        .into_iter()
        .filter(|queued| *queued > 2 * CLAIMERS * CLAIMS)
        .flat_map(|queued| {
            let tracker = queued_jobs(queued);
            let oldest = Order::default();
            let by_text = Order::by(Field::Description, Direction::Descending);
            let by_text = by_text.expect("a field that can be ordered by");
            [("oldest first", oldest), ("by description", by_text)].map(|(name, order)| {
                // The first claim by an order fetches the best jobs, which the others then share.
                let first = Instant::now();
                claim(&tracker, &order);
                let first = first.elapsed();
                let rate = rate(&tracker, &order);
                let name = format!("claim, {CLAIMERS} claimers, {queued} queued, {name}");
                let shown = format!("{name} (the first took {:.1} ms)", first.as_secs_f64() * 1e3);
                Figure { name: shown, value: rate, unit: "claims/s", beside: None }
            })
        })
        .collect()
}

fn queued_jobs(count: usize) -> Tracker {
    let tracker = Tracker::open(MemoryStore::new(), Options::default()).expect("it opens");
    let mut jobs = Jobs::new(SEED, count);
    loop {
        let commands: Vec<_> = jobs
            .by_ref()
            .take(10_000)
            .map(|job| {
                let new = NewJob { kind: job.kind, ..NewJob::described(job.description) };
                Command::create(new).durability(Durability::Deferred)
            })
            .collect();
        if commands.is_empty() {
            return tracker;
        }
        for created in tracker.run_all(commands) {
            created.expect("it is new");
        }
    }
}

fn rate(tracker: &Tracker, order: &Order) -> f64 {
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CLAIMERS {
            scope.spawn(|| {
                for _ in 0..CLAIMS {
                    claim(tracker, order);
                }
            });
        }
    });
    per_second(CLAIMERS * CLAIMS, began.elapsed())
}

fn claim(tracker: &Tracker, order: &Order) {
    let hold = Hold::leased("worker").lasting(Duration::from_secs(3_600));
    let claim = Claim { order: order.clone(), ..Claim::matching(Expr::everything(), hold) };
    tracker.claim(claim).expect("it is legal").expect("enough are queued");
}

#[allow(clippy::cast_precision_loss)] // Some thousands.
fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
