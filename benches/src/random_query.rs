//! Queries that nobody thought of: fields, tests, orders and depths of all kinds, from a seed.
//!
//! Values come from jobs that are there, so that most queries find something, from one job to
//! nearly all of them; patterns are pieces of their texts.

use std::time::Duration;

use jobtrack::{
    Budget, Comparison, Direction, Expr, Field, Job, JobParts, Order, OrderKey, Pattern, Query,
    Value, ValueRef,
};

use crate::random::Random;

/// Records of most pages.
const PAGE: usize = 100;
/// Labels that are asked for; no job has the last one.
const LABELS: &[&str] = &["tier", "owner", "ticket", "nobody"];
/// So long that no query is cut short by it.
const PATIENCE: Duration = Duration::from_secs(86_400);

/// An endless stream of random queries.
///
/// ```
/// use jobtrack_benches::{Jobs, RandomQueries};
///
/// let text = |seed| {
///     let mut queries = RandomQueries::new(seed, Jobs::new(1, 1_000), 1_000);
///     queries.next().map(|query| query.to_string())
/// };
/// assert_eq!(text(1), text(1));
/// assert_ne!(text(1), text(2));
/// ```
#[derive(Debug)]
pub struct RandomQueries {
    random: Random,
    fields: Vec<Field>,
    sample: Vec<Job>,
    jobs: usize,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct RandomQuery {
    /// What is asked.
    pub query: Query,
    /// Whether only the number of jobs is wanted.
    pub is_count: bool,
}

impl RandomQueries {
    /// Queries of this seed, to ask of so many jobs, with values out of the sample.
    ///
    /// # Panics
    ///
    /// If the sample is empty or a job in it is not legal.
    pub fn new(seed: u64, sample: impl Iterator<Item = JobParts>, jobs: usize) -> Self {
        let sample: Vec<Job> =
            sample.map(|parts| Job::try_from(parts).expect("the job is legal")).collect();
        assert!(!sample.is_empty(), "values are taken from jobs");
        let labels = LABELS.iter().map(|name| Field::Label((*name).into()));
        let fields = Field::FIXED.iter().cloned().chain(labels).collect();
        RandomQueries { random: Random::new(seed), fields, sample, jobs }
    }

    /// One to four tests, joined in either way.
    fn filter(&mut self) -> Expr {
        if self.random.chance(50) {
            return Expr::everything();
        }
        let mut filter = self.test();
        for _ in 0..self.random.skewed(4) {
            let other = self.test();
            filter = if self.random.chance(700) { filter.and(other) } else { filter.or(other) };
        }
        if self.random.chance(50) { filter.negate() } else { filter }
    }

    fn test(&mut self) -> Expr {
        let field = self.field();
        // A field that no job of the sample has can only be asked whether it is set.
        let Some(value) = self.value(&field) else { return Expr::is_null(field) };
        let test = match (self.random.below(100), &value) {
            (0..8, _) => Ok(Expr::is_set(field)),
            (8..12, _) => Ok(Expr::is_null(field)),
            (12..55, Value::Text(text)) => {
                let pattern = self.pattern(text);
                Expr::like(field, pattern)
            }
            (12..70, _) => {
                let how = self.random.pick(&[
                    Comparison::Equal,
                    Comparison::Less,
                    Comparison::AtMost,
                    Comparison::Greater,
                    Comparison::AtLeast,
                ]);
                Expr::compare(field, how, value)
            }
            (70..85, _) => {
                let other = self.value(&field).unwrap_or_else(|| value.clone());
                let is_ascending = value.borrowed().order(&other.borrowed()).is_le();
                let (low, high) = if is_ascending { (value, other) } else { (other, value) };
                Expr::between(field, low, high)
            }
            _ => {
                let others = (0..self.random.below(6)).filter_map(|_| self.value(&field));
                let values: Vec<Value> = others.chain([value]).collect();
                Expr::one_of(&field, values)
            }
        };
        let test = test.expect("the value is of the field's own type");
        if self.random.chance(150) { test.negate() } else { test }
    }

    /// Any field; those that people ask for far more often than the others.
    fn field(&mut self) -> Field {
        const COMMON: &[Field] = &[
            Field::State,
            Field::Description,
            Field::Message,
            Field::Code,
            Field::StartTime,
            Field::EndTime,
        ];
        let from = if self.random.chance(600) { COMMON } else { &self.fields };
        let index = self.random.below(from.len() as u64);
        from[usize::try_from(index).unwrap_or(0)].clone()
    }

    /// The field's value in some job of the sample that has one.
    fn value(&mut self, field: &Field) -> Option<Value> {
        for _ in 0..self.sample.len() {
            let index = self.random.below(self.sample.len() as u64);
            let job = &self.sample[usize::try_from(index).unwrap_or(0)];
            let mut found = None;
            field.any(job, &mut |value: ValueRef<'_>| {
                found = Some(Value::from(value));
                true
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// A piece of the text with a wildcard before it, behind it, or on both sides.
    fn pattern(&mut self, text: &str) -> Pattern {
        let letters: Vec<char> = text.chars().collect();
        let len = 1 + self.random.skewed(letters.len().min(12) as u64);
        let len = usize::try_from(len).unwrap_or(1);
        let begin = self.random.below((letters.len() - len + 1) as u64);
        let begin = usize::try_from(begin).unwrap_or(0);
        let piece = |from: usize| letters[from..from + len].iter().collect::<String>();
        match self.random.below(4) {
            0 => Pattern::between([piece(0), String::new()]),
            1 => Pattern::between([String::new(), piece(letters.len() - len)]),
            _ => Pattern::between([String::new(), piece(begin), String::new()]),
        }
    }

    fn order(&mut self) -> Order {
        let mut keys: Vec<OrderKey> = Vec::new();
        for _ in 0..self.random.below(4) {
            let field = self.field();
            if field.is_list() || keys.iter().any(|key| key.field == field) {
                continue;
            }
            let direction = self.random.pick(&[Direction::Ascending, Direction::Descending]);
            keys.push(OrderKey { field, direction });
        }
        Order::new(keys).expect("no field is a list, and none is given twice")
    }

    /// How many records to leave out: none in most cases, up to half of all in some.
    fn depth(&mut self) -> usize {
        let most = match self.random.below(100) {
            0..70 => 1,
            70..90 => 1_000,
            _ => (self.jobs as u64 / 2).min(jobtrack::limits::OFFSET_RECORDS as u64),
        };
        usize::try_from(self.random.below(most)).unwrap_or(0)
    }
}

impl Iterator for RandomQueries {
    type Item = RandomQuery;

    fn next(&mut self) -> Option<RandomQuery> {
        let is_count = self.random.chance(250);
        let filter = self.filter();
        let budget = Budget { soft: PATIENCE, hard: PATIENCE, ..Budget::default() };
        let mut query = Query { filter, budget, ..Query::default() };
        if !is_count {
            query.order = self.order();
            query.offset = self.depth();
            query.max_records = Some(if self.random.chance(800) { PAGE } else { 1 });
        }
        Some(RandomQuery { query, is_count })
    }
}

impl std::fmt::Display for RandomQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Query { filter, order, max_records, offset, .. } = &self.query;
        f.write_str(if self.is_count { "count of " } else { "page of " })?;
        write!(f, "{filter}")?;
        if !order.keys().is_empty() {
            write!(f, ", by {order}")?;
        }
        match max_records {
            Some(records) => write!(f, ", {records} records after {offset}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Jobs, Shape, tracker_of};

    #[test]
    fn they_are_all_legal_and_of_every_kind() {
        let jobs = || Jobs::new(1, 300).shaped(Shape::Full);
        let tracker = tracker_of(jobs());
        let mut found = BTreeSet::new();
        let (mut counts, mut deep) = (0, 0);
        let mut asked = String::new();
        for random in RandomQueries::new(1, jobs(), 300).take(2_000) {
            asked.push_str(&random.to_string());
            deep += usize::from(random.query.offset > 0);
            if random.is_count {
                counts += 1;
                found.insert(tracker.count(&random.query).expect("a legal query").count);
            } else {
                found
                    .insert(tracker.query(&random.query).expect("a legal query").jobs.len() as u64);
            }
        }
        assert!((400..600).contains(&counts) && deep > 100, "{counts} counts, {deep} deep");
        assert!(found.contains(&0) && found.contains(&1) && found.contains(&300), "{found:?}");
        for field in Field::FIXED {
            assert!(asked.contains(&field.to_string()), "nothing asks for {field}");
        }
        for mark in ["*", "!", "..", "<", ">=", "|", "null", " desc", " or ", " and "] {
            assert!(asked.contains(mark), "no query has {mark:?}");
        }
    }
}
