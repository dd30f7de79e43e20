//! A task as a list of steps: each announced, each timed, the first failure ends it.

use std::time::{Duration, Instant};

use crate::shell::{Failed, Result};

/// What has been run so far.
#[derive(Debug)]
pub(crate) struct Steps {
    began: Instant,
    done: Vec<Done>,
}

#[derive(Debug)]
struct Done {
    name: String,
    took: Duration,
    outcome: Outcome,
}

/// How a step that did not fail came out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was run and is well.
    Passed,
    /// It cannot be run on this machine, for this reason.
    Skipped(String),
}

impl Steps {
    /// No step yet; the clock runs.
    pub(crate) fn begin() -> Self {
        Steps { began: Instant::now(), done: Vec::new() }
    }

    /// Runs a step that passes or fails, and hands on what it found.
    pub(crate) fn step<T>(&mut self, name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut found = None;
        self.step_or_skip(name, || {
            found = Some(run()?);
            Ok(Outcome::Passed)
        })?;
        found.ok_or_else(|| Failed::new(format!("{name}: nothing was run")))
    }

    /// Runs a step that may find that it cannot be run here.
    pub(crate) fn step_or_skip(
        &mut self,
        name: &str,
        run: impl FnOnce() -> Result<Outcome>,
    ) -> Result {
        println!("\n==> [{}] {name}", minutes(self.began.elapsed()));
        let began = Instant::now();
        let outcome = run();
        let took = began.elapsed();
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(failed) => {
                println!("\n{}", self.summary());
                println!("{:>8}  {name}: FAILED", minutes(took));
                return Err(Failed::new(format!("{name}: {failed}")));
            }
        };
        match &outcome {
            Outcome::Passed => println!("<== {name}: passed in {}", minutes(took)),
            Outcome::Skipped(reason) => println!("<== {name}: SKIPPED: {reason}"),
        }
        self.done.push(Done { name: name.to_owned(), took, outcome });
        Ok(())
    }

    /// Prints what was run and how long each step took.
    pub(crate) fn finish(self) {
        println!("\n{}", self.summary());
        let skipped = self.done.iter().filter(|done| done.outcome != Outcome::Passed).count();
        let passed = self.done.len() - skipped;
        let total = minutes(self.began.elapsed());
        match skipped {
            0 => println!("All {passed} steps passed in {total}."),
            _ => println!("{passed} steps passed in {total}, {skipped} SKIPPED."),
        }
    }

    fn summary(&self) -> String {
        let lines = self.done.iter().map(|done| {
            let took = minutes(done.took);
            match &done.outcome {
                Outcome::Passed => format!("{took:>8}  {}", done.name),
                Outcome::Skipped(reason) => format!("{took:>8}  {}: SKIPPED: {reason}", done.name),
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Minutes and seconds, as a stop-watch shows them.
fn minutes(span: Duration) -> String {
    let seconds = span.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_step_and_a_skip_keeps_its_reason() {
        let mut steps = Steps::begin();
        assert_eq!(steps.step("one", || Ok(1)).unwrap(), 1);
        steps.step_or_skip("two", || Ok(Outcome::Skipped("no compiler".to_owned()))).unwrap();
        let failed = steps.step("three", || Err::<(), _>(Failed::new("broken"))).unwrap_err();
        assert_eq!(failed.to_string(), "three: broken");
        let summary = steps.summary();
        assert!(summary.contains("two: SKIPPED: no compiler"), "{summary}");
        assert_eq!(summary.lines().count(), 2);
    }

    #[test]
    fn spans_read_as_on_a_stop_watch() {
        assert_eq!(minutes(Duration::from_secs(61)), "1:01");
        assert_eq!(minutes(Duration::from_secs(6_000)), "100:00");
    }
}
