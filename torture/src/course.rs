//! One campaign on its way: cases by seed, on every core, until there were enough or time is up.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long, how much, and from where.
pub struct Course<'a> {
    /// The seed of the first case; that of the n-th is n higher.
    pub seed: u64,
    /// How much is enough, in what the part counts.
    pub target: u64,
    began: Instant,
    limit: Duration,
    progress: &'a (dyn Fn(u64) + Sync),
}

/// What a campaign has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<&'static str, u64>,
    /// Why it was not run here, or not all of it.
    pub skipped: Vec<String>,
}

/// A promise that was broken.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The seed that repeats it.
    pub seed: u64,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

impl Tally {
    /// Nothing was run, for this reason.
    pub fn skipped(reason: impl Into<String>) -> Tally {
        Tally { skipped: vec![reason.into()], ..Tally::default() }
    }

    /// Counts so many of this kind.
    pub fn add(&mut self, kind: &'static str, count: u64) {
        *self.counts.entry(kind).or_default() += count;
    }

    /// How many there were of this kind.
    pub fn count(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or(0)
    }

    /// Every kind and its count.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(kind, count)| (*kind, *count))
    }

    /// Takes another's counts along.
    pub fn merge(&mut self, other: Tally) {
        for (kind, count) in other.counts {
            self.add(kind, count);
        }
        for reason in other.skipped {
            if !self.skipped.contains(&reason) {
                self.skipped.push(reason);
            }
        }
    }
}

impl<'a> Course<'a> {
    /// A course that begins now; `progress` is told how much is done.
    #[allow(clippy::disallowed_methods)] // It measures the campaign, and decides nothing of a store.
    pub fn new(
        seed: u64,
        target: u64,
        limit: Duration,
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Self {
        Course { seed, target, began: Instant::now(), limit, progress }
    }

    /// How long it has been on its way.
    pub fn took(&self) -> Duration {
        self.began.elapsed()
    }

    fn is_over(&self, done: u64) -> bool {
        done >= self.target || self.took() >= self.limit
    }

    /// Runs cases on every core until those of the kind `counted` are as many as wanted, or there
    /// are no more cases, or time is up. Each case is given its number and its seed; the first to
    /// panic ends all of it.
    ///
    /// # Errors
    ///
    /// What the case that failed said, and its seed.
    pub fn run(
        &self,
        counted: &'static str,
        cases: u64,
        threads: usize,
        case: impl Fn(u64, u64) -> Tally + Sync,
    ) -> Result<Tally, Broken> {
        let (next, done, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let tally = Mutex::new(Tally::default());
        let broken = Mutex::new(None);
        let work = || {
            while !is_over.load(Ordering::Acquire) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= cases || self.is_over(done.load(Ordering::Acquire)) {
                    return;
                }
                let seed = self.seed.wrapping_add(number);
                match catch_unwind(AssertUnwindSafe(|| case(number, seed))) {
                    Ok(found) => {
                        let count = found.count(counted);
                        tally.lock().merge(found);
                        (self.progress)(done.fetch_add(count, Ordering::AcqRel) + count);
                    }
                    Err(panic) => {
                        is_over.store(true, Ordering::Release);
                        broken.lock().get_or_insert(Broken { seed, what: said(&*panic) });
                    }
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads.max(1) {
                scope.spawn(work);
            }
            work();
        });
        match broken.into_inner() {
            Some(broken) => Err(broken),
            None => Ok(tally.into_inner()),
        }
    }
}

/// As many threads as there are cores.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

thread_local! {
    /// Where the last panic of this thread came from, if anybody has asked for that.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A hook for panics that prints nothing: they are verdicts, told with the seed by whoever runs the
/// course, or an engine's own, which its store turns into an error.
pub fn remember_place(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!(" (at {}:{})", place.file(), place.line()));
    PLACE.with_borrow_mut(|last| *last = place.unwrap_or_default());
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
    format!("{text}{}", PLACE.with_borrow(String::clone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Tally {
        let mut tally = Tally::default();
        tally.add("cases", 1);
        tally
    }

    #[test]
    fn it_ends_with_the_target_the_cases_or_the_time() {
        let minute = Duration::from_secs(60);
        let told = AtomicU64::new(0);
        let progress = |done| told.store(done, Ordering::Relaxed);
        let count = |target, cases, limit| {
            let course = Course::new(7, target, limit, &progress);
            course.run("cases", cases, 1, |_, _| one()).unwrap().count("cases")
        };
        assert_eq!(count(10, 1_000, minute), 10);
        assert_eq!(told.load(Ordering::Relaxed), 10);
        assert_eq!(count(10, 3, minute), 3);
        assert_eq!(count(10, 1_000, Duration::ZERO), 0);
    }

    #[test]
    fn a_case_that_fails_is_named_by_its_seed_and_ends_the_run() {
        let course = Course::new(100, u64::MAX, Duration::from_secs(60), &|_| {});
        let run = course.run("cases", u64::MAX, 2, |number, seed| {
            assert!(number < 5 || seed != 105, "number {number} fails");
            one()
        });
        let broken = run.unwrap_err();
        assert_eq!(broken.to_string(), "seed 105: number 5 fails");
    }
}
