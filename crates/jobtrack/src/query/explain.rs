//! What a query takes: its plan, and for each step what it expected, read and found.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Query;
use super::place::deciding;
use super::resolve::Tests;
use super::walk::Search;

/// What a query takes, by running it: the plan, and for each step what was expected beside what
/// was.
///
/// ```
/// use jobtrack::{Expr, Field, MemoryStore, NewJob, Options, Query, Tracker};
///
/// let tracker = Tracker::open(MemoryStore::new(), Options::default())?;
/// tracker.create(NewJob::described("Backup"))?;
/// let query = Query::matching(Expr::like(Field::Description, "Back*")?);
/// let explanation = tracker.explain(&query)?;
/// assert_eq!(explanation.records, 1);
/// assert!(explanation.to_string().starts_with(explanation.plan()));
/// # Ok::<(), jobtrack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    plan: String,
    /// The filter, as it was understood.
    pub filter: String,
    /// The order; empty means by uuid.
    pub order: String,
    /// What was done, in the order in which it was first done.
    pub steps: Vec<Step>,
    /// How many records the page has, or how many jobs were counted.
    pub records: u64,
}

/// What was done in some of the places where jobs stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was done.
    pub what: String,
    /// In how many segments (or heads).
    pub places: u64,
    /// How many rows it was expected to read.
    pub expected: u64,
    /// How many rows, or values of a column, it read.
    pub read: u64,
    /// How many rows it found.
    pub found: u64,
}

impl Explanation {
    /// Of a count that is kept.
    pub(crate) fn of_tally(query: &Query, count: u64) -> Explanation {
        let mut trace = Trace::on();
        trace.note(|| "tally".to_owned(), 1, 0, 0, count);
        trace.explanation(query, count)
    }

    /// The plan in one line: what was done where most was read.
    pub fn plan(&self) -> &str {
        &self.plan
    }
}

impl fmt::Display for Explanation {
    /// The plan, then a line for each step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.plan)?;
        writeln!(f, "filter: {}", self.filter)?;
        writeln!(f, "order: {}", if self.order.is_empty() { "uuid" } else { &self.order })?;
        for step in &self.steps {
            let Step { what, places, expected, read, found } = step;
            if *read == 0 && *found == 0 && *expected == 0 {
                writeln!(f, "{places} × {what}")?;
            } else {
                writeln!(f, "{places} × {what}: {expected} expected, {read} read, {found} found")?;
            }
        }
        write!(f, "{} records", self.records)
    }
}

/// What is done, where it is always the same.
pub(super) const HEAD: &str = "test the latest changes one by one";
pub(super) const NO_MATCH: &str = "skip, nothing in it can match";
pub(super) const TOO_LATE: &str = "skip, nothing in it comes early enough";

/// Takes down what is done, if anybody wants to know.
pub(super) struct Trace(Option<Vec<Step>>);

impl Trace {
    pub(super) fn off() -> Trace {
        Trace(None)
    }

    pub(super) fn on() -> Trace {
        Trace(Some(Vec::new()))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// So many places were passed by.
    pub(super) fn skip(&mut self, what: &str, places: usize) {
        self.note(|| what.to_owned(), places as u64, 0, 0, 0);
    }

    pub(super) fn note(
        &mut self,
        what: impl FnOnce() -> String,
        places: u64,
        expected: u64,
        read: u64,
        found: u64,
    ) {
        let Some(steps) = &mut self.0 else { return };
        let what = what();
        match steps.iter_mut().find(|step| step.what == what) {
            Some(step) => {
                step.places += places;
                step.expected += expected;
                step.read += read;
                step.found += found;
            }
            None => steps.push(Step { what, places, expected, read, found }),
        }
    }

    pub(super) fn explanation(self, query: &Query, records: u64) -> Explanation {
        let steps = self.0.unwrap_or_default();
        // What had to be done anyway is the plan only where nothing else was done.
        let weight = |step: &&Step| match &*step.what {
            TOO_LATE => (0, 0, 0),
            HEAD => (1, 0, 0),
            NO_MATCH => (2, 0, 0),
            _ => (3, step.read, step.places),
        };
        let first = steps.iter().rev().max_by_key(weight);
        let plan = first.map_or_else(|| "nothing to read".to_owned(), |step| step.what.clone());
        let (filter, order) = (query.filter.to_string(), query.order.to_string());
        Explanation { plan, filter, order, steps, records }
    }
}

/// The names of the two ways through a segment.
pub(super) struct Names {
    pub(super) walk: String,
    pub(super) set: String,
}

impl Search<'_, '_> {
    pub(super) fn names(&self, query: &Query) -> Names {
        let order = match deciding(&query.order) {
            [] => "uuid".to_owned(),
            _ => query.order.to_string(),
        };
        let tested = self.tested();
        let walk = if tested.is_empty() {
            format!("walk {order}")
        } else {
            format!("walk {order}, test {}", tested.join(" and "))
        };
        let (base, rest) = self.base_and_rest();
        let rest =
            if rest.is_empty() { String::new() } else { format!(", test {}", rest.join(" and ")) };
        Names { walk, set: format!("set {base}{rest}, sort {order}") }
    }

    pub(super) fn count_name(&self, _query: &Query) -> String {
        if self.resolved.is_all() {
            return "count all".to_owned();
        }
        let (base, rest) = self.base_and_rest();
        if rest.is_empty() {
            return format!("count {base}");
        }
        format!("count {base}, test {}", rest.join(" and "))
    }

    /// The fields that are tested.
    fn tested(&self) -> Vec<String> {
        let mut names = Vec::new();
        if self.resolved.states.is_some() {
            names.push("state".to_owned());
        }
        names.extend(self.resolved.tests.iter().map(name_of));
        names.dedup();
        names
    }

    /// The test whose rows are taken, and those that are asked of them.
    fn base_and_rest(&self) -> (String, Vec<String>) {
        let rows = self.view.rows();
        let mut tests: Vec<(usize, String)> = Vec::new();
        if let Some(states) = &self.resolved.states {
            tests.push((states.count, "state".to_owned()));
        }
        tests.extend(self.resolved.tests.iter().map(|test| (test.reads(rows), name_of(test))));
        let least = (0..tests.len()).min_by_key(|at| tests.get(*at).map(|(reads, _)| *reads));
        let Some(least) = least else { return ("everything".to_owned(), Vec::new()) };
        let (_, base) = tests.remove(least);
        (base, tests.into_iter().map(|(_, name)| name).collect())
    }
}

fn name_of(test: &Tests<'_>) -> String {
    let joined = |tests: &[Tests<'_>], word: &str| {
        let mut names: Vec<_> = tests.iter().map(name_of).collect();
        names.dedup();
        format!("({})", names.join(word))
    };
    match test {
        Tests::All => "everything".to_owned(),
        Tests::None => "nothing".to_owned(),
        Tests::Codes(test) => test.field.to_string(),
        Tests::Rows(_) => "error.arguments".to_owned(),
        Tests::Lazy(lazy) => lazy.field().to_string(),
        Tests::And(tests) => joined(tests, " and "),
        Tests::Or(tests) => joined(tests, " or "),
    }
}
