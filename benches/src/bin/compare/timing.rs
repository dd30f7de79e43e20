//! Timing of calls that take turns, so that a machine which drifts meanwhile hurts all alike.

use std::time::{Duration, Instant};

/// How long one is called before it is the other's turn, unless a single call takes longer.
const SLICE: Duration = Duration::from_millis(20);
/// Each is called so often at least, whatever that takes.
const FEWEST_CALLS: usize = 3;
/// But when it has had so long, it is not called again.
const PATIENCE: Duration = Duration::from_secs(10);
/// And so often at most.
const MOST_CALLS: usize = 20_000;

/// How long each of some calls took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timed {
    nanos: Vec<u64>,
    total: Duration,
    done: usize,
}

impl Timed {
    /// Adds a call that took so long and did so many things: each counts as its share.
    pub(crate) fn add(&mut self, took: Duration, done: usize) {
        let share = took.as_nanos() / u128::from(done.max(1) as u64);
        self.nanos.push(u64::try_from(share).unwrap_or(u64::MAX));
        self.total += took;
        self.done += done;
    }

    /// Adds the calls of another.
    pub(crate) fn extend(&mut self, other: &Timed) {
        self.nanos.extend(&other.nanos);
        self.total += other.total;
        self.done += other.done;
    }

    /// How long all calls took together.
    pub(crate) fn total(&self) -> Duration {
        self.total
    }

    /// How many calls.
    pub(crate) fn runs(&self) -> u64 {
        self.nanos.len() as u64
    }

    /// The time that half of the calls kept below.
    pub(crate) fn p50(&self) -> u64 {
        self.at(500)
    }

    /// The time that 99 of 100 calls kept below; of fewer than 100 calls, the longest.
    pub(crate) fn p99(&self) -> u64 {
        self.at(990)
    }

    /// The time that 999 of 1,000 calls kept below.
    pub(crate) fn p999(&self) -> u64 {
        self.at(999)
    }

    /// The longest call.
    pub(crate) fn worst(&self) -> u64 {
        self.at(1_000)
    }

    /// Nanoseconds for each thing done, over all of the calls.
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    pub(crate) fn mean(&self) -> f64 {
        self.total.as_nanos() as f64 / self.done.max(1) as f64
    }

    fn at(&self, per_mille: usize) -> u64 {
        let mut sorted = self.nanos.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * per_mille).div_ceil(1_000);
        sorted.get(rank.saturating_sub(1)).copied().expect("at least one call")
    }
}

/// Calls each of these in slices in turn, with the number of the call, until each has been called
/// for the whole budget. What is `timed` beforehand counts as called.
pub(crate) fn in_turn(
    calls: &mut [&mut dyn FnMut(usize)],
    mut timed: Vec<Timed>,
    budget: Duration,
) -> Vec<Timed> {
    timed.resize(calls.len(), Timed::default());
    let is_done = |timed: &Timed| {
        let runs = timed.nanos.len();
        runs >= MOST_CALLS
            || (runs >= FEWEST_CALLS && timed.total >= budget)
            || timed.total >= PATIENCE.max(budget)
    };
    while !timed.iter().all(is_done) {
        for (call, timed) in calls.iter_mut().zip(&mut timed) {
            let slice_ends = timed.total + SLICE;
            while !is_done(timed) {
                let began = Instant::now();
                call(timed.nanos.len());
                timed.add(began.elapsed(), 1);
                if timed.total >= slice_ends {
                    break;
                }
            }
        }
    }
    timed
}

/// What reading the clock twice takes, which is a part of every time.
pub(crate) fn clock_nanos() -> u64 {
    let mut timed = Timed::default();
    for _ in 0..10_000 {
        let began = Instant::now();
        timed.add(began.elapsed(), 1);
    }
    timed.p50()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut timed = Timed::default();
        for nanos in (1..=200).rev() {
            timed.add(Duration::from_nanos(nanos), 1);
        }
        assert_eq!((timed.p50(), timed.p99(), timed.runs()), (100, 198, 200));
        assert_eq!((timed.p999(), timed.worst()), (200, 200));
        assert!((timed.mean() - 100.5).abs() < 1e-9);
    }

    #[test]
    fn a_call_that_does_many_things_counts_as_its_share() {
        let mut timed = Timed::default();
        timed.add(Duration::from_nanos(1_000), 10);
        timed.add(Duration::from_nanos(3_000), 10);
        assert_eq!((timed.p50(), timed.p99()), (100, 300));
        assert!((timed.mean() - 200.0).abs() < 1e-9);
    }

    #[test]
    fn what_took_long_enough_before_is_not_called_again() {
        let mut before = Timed::default();
        before.add(PATIENCE, 1);
        let mut calls = 0;
        let mut call = |_: usize| calls += 1;
        let timed = in_turn(&mut [&mut call], vec![before], Duration::from_millis(1));
        assert_eq!((timed[0].runs(), calls), (1, 0));
    }

    #[test]
    fn slow_and_fast_take_turns_until_both_have_had_their_time() {
        let order = std::cell::RefCell::new(String::new());
        let wait = |name: char, millis: u64| {
            let order = &order;
            move |_: usize| {
                order.borrow_mut().push(name);
                std::thread::sleep(Duration::from_millis(millis));
            }
        };
        let (mut slow, mut fast) = (wait('s', 30), wait('f', 7));
        let timed = in_turn(&mut [&mut slow, &mut fast], Vec::new(), Duration::from_millis(60));
        assert_eq!(timed[0].runs(), 3);
        assert!(timed[1].runs() >= 3);
        // One slow call fills a slice; the fast one comes in between.
        assert!(order.borrow().starts_with("sf"), "{}", order.borrow());
        assert!(!order.borrow().contains("ss"), "{}", order.borrow());
    }
}
