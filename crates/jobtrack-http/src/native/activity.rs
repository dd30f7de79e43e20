//! How many jobs began and ended in each of the latest stretches of time.
//!
//! Counts of ranges of time, which the table answers from its orders without reading jobs; so the
//! answer costs about the same whether there are a thousand jobs or ten million. A filter may make
//! it dearer, therefore all of it has one budget.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use jobtrack::{
    Access, Budget, Cancel, Count, Expr, Field, Names, Query, Revision, State, Timestamp,
};
use serde::Serialize;

use super::JSON;
use super::openapi::shapes;
use crate::App;
use crate::errors::Fault;
use crate::layout::Layout;
use crate::listing;
use crate::params::Params;
use crate::respond::{Answer, json, reading};

/// Parameters beside the filter.
pub(crate) const PARAMETERS: &[&str] = &["span", "buckets", Layout::PARAMETER];
/// An hour, unless told otherwise, and a year at most; in seconds.
const SPAN: u64 = 3_600;
const LONGEST_SPAN: u64 = 366 * 24 * 3_600;
const BUCKETS: u64 = 60;
const MOST_BUCKETS: u64 = 240;
/// How long all counts of one answer may take together. It is asked for again and again, so it must
/// not become what the server is busy with.
const BUDGET: Duration = Duration::from_secs(2);

/// How many jobs began and ended lately.
///
/// Filters as for a list. 503 with `deadline_exceeded` where they take too long to count.
#[utoipa::path(get, path = "/v1/activity", operation_id = "activity", tag = "jobs",
    params(shapes::ActivityParams, shapes::Pretty),
    responses((status = 200, description = "A number for each stretch of time, the earliest first",
        body = shapes::Activity)))]
pub(super) async fn activity(app: Arc<App>, parts: Parts) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    let layout = Layout::of(&params)?;
    let buckets = params.integer("buckets", 1, MOST_BUCKETS)?.unwrap_or(BUCKETS);
    let span = params.integer("span", buckets, LONGEST_SPAN)?.unwrap_or(SPAN.max(buckets));
    let filter = listing::matching(&params, Names::Native, PARAMETERS)?;
    let limit = BUDGET.min(app.options.query_limit);
    let cancel = Cancel::default();
    let _while_asked = listing::EndsQuery(cancel.clone());
    let body = reading(app, move |app| {
        let times = Times::until(app.tracker.now(), span, buckets);
        let counting = Counting { tracker: &app.tracker, filter, limit, cancel };
        counting.over(&times)
    })
    .await?;
    Ok(json(JSON, layout.render(&body)))
}

#[derive(Serialize)]
struct Body {
    from: Timestamp,
    to: Timestamp,
    step: u64,
    created: Vec<u64>,
    succeeded: Vec<u64>,
    failed: Vec<u64>,
    revision: Revision,
    horizon: Timestamp,
}

/// Stretches of one length; the last one holds the present.
struct Times {
    from: Timestamp,
    to: Timestamp,
    /// In seconds.
    step: u64,
    edges: Vec<Timestamp>,
}

impl Times {
    /// They begin at multiples of their length, so that the same job is in the same one each time
    /// it is asked.
    fn until(now: Timestamp, span: u64, buckets: u64) -> Times {
        let step = span.div_ceil(buckets).max(1);
        let micros = i64::try_from(step.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        let buckets = i64::try_from(buckets).unwrap_or(i64::MAX);
        let last = now.as_micros().div_euclid(micros);
        let edge = |at: i64| {
            let micros = at.saturating_mul(micros);
            Timestamp::from_micros(micros).unwrap_or(if at < 0 {
                Timestamp::MIN
            } else {
                Timestamp::MAX
            })
        };
        let edges: Vec<_> = (last + 1 - buckets..=last + 1).map(edge).collect();
        let from = edges.first().copied().unwrap_or(now);
        Times { from, to: edge(last + 1), step, edges }
    }
}

struct Counting<'a> {
    tracker: &'a Access,
    filter: Expr,
    limit: Duration,
    cancel: Cancel,
}

impl Counting<'_> {
    fn over(&self, times: &Times) -> Result<Body, Fault> {
        let began = self.tracker.now();
        let (mut created, mut succeeded, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        let (mut revision, mut horizon) = (Revision::default(), times.from);
        for (from, to) in times.edges.iter().zip(times.edges.iter().skip(1)) {
            let within = |field| Expr::between(field, *from, before(*to));
            let ended = |state: State| {
                Ok::<_, Fault>(within(Field::EndTime)?.and(Expr::is(Field::State, state.as_str())?))
            };
            for (besides, counts) in [
                (within(Field::CreateTime)?, &mut created),
                (ended(State::Success)?, &mut succeeded),
                (ended(State::Failure)?, &mut failed),
            ] {
                let counted = self.count(besides, began)?;
                counts.push(counted.count);
                // The last one's are the answer's: what happened meanwhile is in it.
                (revision, horizon) = (counted.revision, counted.horizon);
            }
        }
        let Times { from, to, step, .. } = *times;
        Ok(Body { from, to, step, created, succeeded, failed, revision, horizon })
    }

    fn count(&self, besides: Expr, began: Timestamp) -> Result<Count, Fault> {
        let left = self.limit.saturating_sub(self.tracker.now().saturating_since(began));
        if left.is_zero() {
            return Err(listing::not_counted_in(self.limit));
        }
        let cancel = Some(self.cancel.clone());
        let query = Query {
            budget: Budget { soft: left, hard: left, cancel, ..Budget::default() },
            ..Query::matching(self.filter.clone().and(besides))
        };
        let count = self.tracker.count(&query).map_err(listing::fault)?;
        // A part of it would look like all.
        if count.next.is_some() {
            return Err(listing::not_counted_in(self.limit));
        }
        Ok(count)
    }
}

fn before(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_micros() - 1).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_begin_at_multiples_of_their_length_and_the_last_holds_the_present() {
        let now: Timestamp = "2026-03-01T10:04:07.5Z".parse().unwrap();
        let times = Times::until(now, 3_600, 60);
        assert_eq!(times.step, 60);
        assert_eq!(times.from.to_string(), "2026-03-01T09:05:00Z");
        assert_eq!(times.to.to_string(), "2026-03-01T10:05:00Z");
        assert_eq!(times.edges.len(), 61);
        let at_an_edge = Times::until(times.to, 3_600, 60);
        assert_eq!(at_an_edge.to.to_string(), "2026-03-01T10:06:00Z");
    }

    #[test]
    fn a_span_that_does_not_divide_is_rounded_up() {
        let times = Times::until("2026-03-01T10:04:07Z".parse().unwrap(), 100, 60);
        assert_eq!((times.step, times.edges.len()), (2, 61));
    }
}
