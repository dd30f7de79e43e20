//! PATCH of the collection: one action on every job that a filter matches.
//!
//! The jobs are walked in order of uuid, a step at a time, for as long as `return_timeout` says; what
//! is left then is reached through `next`. An answer never stands for all or nothing: it says how
//! many jobs were changed, which refused and why, and where it stopped.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use jobtrack::limits::PAGE_RECORDS;
use jobtrack::{
    Access, Action, Actor, Applied, Command, Durability, Error, ErrorKind, Job, JobId, Names,
    PageToken, Query,
};
use serde::Serialize;

use super::JOBS;
use super::change::{action, expect_no_fields, is_of_the_job, request};
use super::render::{EnvelopeLinks, Key, Style};
use super::tunnel::Tunnel;
use crate::auth::actor;
use crate::base::Base;
use crate::errors::{Fault, HttpKind, OntapError};
use crate::layout::Layout;
use crate::listing;
use crate::params::Params;
use crate::respond::{Answer, blocking};
use crate::{App, Options, PageKey};

/// The parameters that are no filter.
pub(crate) const PARAMETERS: &[&str] = &[
    "action",
    "continue_on_failure",
    "return_records",
    "return_timeout",
    listing::TOKEN,
    Layout::PARAMETER,
];
/// Jobs in one step: between two, the time is looked at.
const STEP: usize = 256;
/// How often a job that changes meanwhile is looked at again.
const TRIES: usize = 8;

pub(super) async fn patch(app: Arc<App>, parts: &Parts, content: &[u8]) -> Answer {
    let bulk = Bulk::parse(parts, content, &app.options)?;
    blocking(move || {
        let done = bulk.run(&app.tracker)?;
        Ok(bulk.answer(&done))
    })
    .await
}

/// What is asked.
struct Bulk {
    action: Action,
    actor: Actor,
    query: Query,
    /// Whether a refusal is reported and the next job asked, or ends it all.
    continue_on_failure: bool,
    return_records: bool,
    params: Params,
    style: Style,
    /// Where the collection stands for this client.
    path: String,
    page_key: Option<PageKey>,
}

/// What was done.
#[derive(Default)]
struct Done {
    changed: Vec<JobId>,
    refused: Vec<(JobId, Fault)>,
    /// Where it ended before its time, and why.
    stopped: Option<(JobId, Fault)>,
    next: Option<PageToken>,
}

impl Bulk {
    fn parse(parts: &Parts, content: &[u8], options: &Options) -> Result<Bulk, Fault> {
        let params = Params::parse(parts.uri.query())?;
        let style = Style::of(parts, &params)?;
        let tunnel = Tunnel::of(&parts.headers)?;
        if let Some((name, _)) = params.iter().find(|(name, _)| listing::is_search(name)) {
            let message = "only a GET takes a search; write filters on single fields";
            return Err(Fault::new(HttpKind::SearchNotRead, message).on(name));
        }
        let filter = listing::filter_but(&params, Names::Ontap, PARAMETERS)?;
        expect_no_fields(content)?;
        let action = action(&params)?;
        if params.iter().all(|(name, _)| PARAMETERS.contains(&name)) {
            let message = "at least one filter is required; uuid=* is all jobs";
            return Err(Fault::new(HttpKind::MissingParameter, message));
        }
        let query = Query {
            filter: tunnel.narrow(filter)?,
            max_records: Some(STEP),
            after: listing::token(&params, options)?,
            budget: listing::budget(&params, options)?,
            ..Query::default()
        };
        Ok(Bulk {
            action,
            actor: actor(&parts.extensions),
            query,
            continue_on_failure: params.boolean("continue_on_failure", false)?,
            return_records: params.boolean("return_records", false)?,
            params,
            style,
            path: Base::of(parts).path(JOBS),
            page_key: options.page_key.clone(),
        })
    }

    /// Steps until all is done, the time is up, or a refusal ends it.
    fn run(&self, tracker: &Access) -> Result<Done, Fault> {
        let clock = &tracker.options().clock;
        let begun = clock.monotonic();
        let mut query = self.query.clone();
        let mut done = Done::default();
        let mut asked = 0;
        loop {
            let page = tracker.query(&query).map_err(listing::fault)?;
            asked += page.jobs.len();
            if self.continue_on_failure {
                self.ask_all(tracker, &page.jobs, &mut done);
            } else {
                self.ask_in_turn(tracker, &page.jobs, &mut done)?;
            }
            let elapsed = clock.monotonic().saturating_sub(begun);
            let left = self.query.budget.soft.saturating_sub(elapsed);
            if done.stopped.is_some() || page.next.is_none() {
                return Ok(done);
            }
            // What is told of each job has a bound, too.
            if left.is_zero() || asked >= PAGE_RECORDS {
                done.next = page.next;
                return Ok(done);
            }
            query.after = page.next;
            query.budget.soft = left;
        }
    }

    /// Asks all of a step at once, in as few commits as may be.
    fn ask_all(&self, tracker: &Access, jobs: &[Arc<Job>], done: &mut Done) {
        let outcomes = tracker.run_all(jobs.iter().map(|job| self.command(job)));
        for (job, outcome) in jobs.iter().zip(outcomes) {
            match self.settled(tracker, job, outcome, Durability::Synced) {
                Settled::Changed => done.changed.push(job.uuid),
                Settled::Refused(fault) => done.refused.push((job.uuid, fault)),
                Settled::NotMeant => {}
                Settled::Failed(fault) => {
                    done.stopped.get_or_insert((job.uuid, fault));
                }
            }
        }
    }

    /// Asks one after the other, since those after the first refusal must stay as they are. Each is
    /// a commit of its own; they are made durable together, before anything is answered.
    fn ask_in_turn(
        &self,
        tracker: &Access,
        jobs: &[Arc<Job>],
        done: &mut Done,
    ) -> Result<(), Fault> {
        for job in jobs {
            let outcome = tracker.run(self.command(job).durability(Durability::Deferred));
            match self.settled(tracker, job, outcome, Durability::Deferred) {
                Settled::Changed => done.changed.push(job.uuid),
                Settled::NotMeant => {}
                Settled::Refused(fault) | Settled::Failed(fault) => {
                    done.stopped = Some((job.uuid, fault));
                    break;
                }
            }
        }
        Ok(tracker.sync()?)
    }

    /// The command for a job as it was found: one that has changed since may not match any more.
    fn command(&self, job: &Job) -> Command {
        request(job.uuid, self.action, &self.actor).expecting(job.revision)
    }

    /// What became of a job, looked at again if it has changed meanwhile.
    fn settled(
        &self,
        tracker: &Access,
        job: &Job,
        mut outcome: Result<Applied, Error>,
        durability: Durability,
    ) -> Settled {
        for _ in 0..TRIES {
            match &outcome {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                _ => break,
            }
            outcome = match tracker.get(job.uuid) {
                Ok(found) if !self.query.filter.matches(&found) => return Settled::NotMeant,
                Ok(found) => tracker.run(self.command(&found).durability(durability)),
                Err(error) => Err(error),
            };
        }
        match outcome {
            Ok(_) => Settled::Changed,
            Err(error) if is_of_the_job(error.kind()) => Settled::Refused(error.into()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) => {
                Settled::NotMeant
            }
            Err(error) => Settled::Failed(error.into()),
        }
    }

    fn answer(&self, done: &Done) -> Response {
        let records = self
            .return_records
            .then(|| done.changed.iter().map(|id| Key::of(*id, &self.style.links)).collect());
        let written = |token| listing::written(token, self.page_key.as_ref());
        let next = done
            .next
            .as_ref()
            .map(|token| self.params.link(&self.path, (listing::TOKEN, &written(token))));
        let refused = done.refused.iter().map(|(id, fault)| Refused {
            key: Key::of(*id, &self.style.links),
            error: fault.clone().into_ontap().1,
        });
        let (status, error, links) = match &done.stopped {
            None => {
                let this = self.params.self_link(&self.path);
                let links = EnvelopeLinks::of(this, next.clone(), &self.style.links);
                (StatusCode::OK, None, links)
            }
            Some((id, fault)) => {
                let (status, mut error) = fault.clone().into_ontap();
                error.stopped_at(*id, done.changed.len());
                (status, Some(error), None)
            }
        };
        let body = Body {
            error,
            records,
            num_records: done.changed.len() as u64,
            errors: refused.collect(),
            links,
        };
        let mut response = self.style.answer(&body, next.as_deref());
        *response.status_mut() = status;
        response
    }
}

enum Settled {
    Changed,
    Refused(Fault),
    /// It is gone, or does not match any more.
    NotMeant,
    /// By the store or the tracker: no other job would fare better.
    Failed(Fault),
}

#[derive(Serialize)]
struct Body {
    /// What ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<OntapError>,
    /// The jobs that were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<Key>>,
    /// How many were.
    num_records: u64,
    /// The jobs that refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Refused>,
    #[serde(rename = "_links", skip_serializing_if = "Option::is_none")]
    links: Option<EnvelopeLinks>,
}

#[derive(Serialize)]
struct Refused {
    #[serde(flatten)]
    key: Key,
    error: OntapError,
}
