//! What a worker does: it claims jobs, drives them, and tells how they ended.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use jobtrack::{
    Cause, Claim, Command, ErrorKind, Failure, FailureError, Hold, Progress, Renewal, Report,
    State, Success,
};
use serde::Deserialize;

use super::change::{Expected, Manner, Reason, change, run, with_reason};
use super::openapi::shapes;
use super::{id, render};
use crate::App;
use crate::body;
use crate::errors::{Fault, HttpKind};
use crate::layout::Layout;
use crate::listing;
use crate::params::Params;
use crate::respond::{Answer, blocking};

/// Begin: queued → running.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/start", operation_id = "start_job", tag = "worker",
    params(("uuid" = shapes::Uuid, Path, example = "0000000e-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::IfMatch),
    request_body(content = Option<shapes::Why>, example = json!({"reason": "first of the night"})),
    responses((status = 200, description = "The job, running", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn start(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InBody, |id, _| with_reason(Command::start(id), &content)).await
}

/// Report where the job stands: a message, progress, or both.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/report", operation_id = "report_job", tag = "worker",
    params(("uuid" = shapes::Uuid, Path, example = "0000000c-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::Reason, shapes::IfMatch),
    request_body(content = shapes::Report,
        example = json!({"message": "8 of 40 files", "progress": {"done": 8, "total": 40, "unit": "files"}})),
    responses((status = 200, description = "The job with what was reported", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn report(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InUrl, |id, _| {
        let report: Report = body::parse(&content)?;
        if report == Report::default() {
            let message = "nothing is reported; give a message, progress, or both";
            return Err(Fault::engine(ErrorKind::MissingValue, message).on("message"));
        }
        Ok(Command::report(id, report))
    })
    .await
}

/// Tell how far the job is, ahead of the store.
///
/// It costs no commit, so a worker may do so as often as it likes. The latest counts; it is seen at
/// once where the job itself is read, and within a second elsewhere. A crash may lose it.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/progress", operation_id = "tell_progress",
    tag = "worker",
    params(("uuid" = shapes::Uuid, Path, example = "0000000c-0000-4000-8000-000000000000"),
        shapes::Token, shapes::IfMatch),
    request_body(content = shapes::NewProgress,
        example = json!({"done": 9, "total": 40, "unit": "files"})),
    responses((status = 200, description = "The job with its progress", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn progress(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&["token"])?;
    let token = params.integer("token", 0, u64::MAX)?;
    let expected = Expected::of(&parts)?;
    let (id, progress) = (id(&parts.uri)?, body::parse::<Progress>(&content)?);
    let found = blocking(move || {
        if let Some(revision) = expected.revision(&app, id)? {
            // Nothing of a report has a revision, so there is no more to hold to it.
            let stands_at = app.tracker.get(id)?.job.revision;
            if stands_at != revision {
                let message = format!("the job is at revision {stands_at}, not {revision}");
                return Err(Fault::new(HttpKind::RevisionChanged, message).on("If-Match"));
            }
        }
        Ok(app.tracker.progress(id, progress, token)?)
    })
    .await?;
    Ok(render::found(&found, None, Layout::Compact))
}

/// Say that the work has stopped for a while: running → paused.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/pause", operation_id = "pause_job", tag = "worker",
    params(("uuid" = shapes::Uuid, Path, example = "0000000c-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::IfMatch),
    request_body(content = Option<shapes::Why>, example = json!({})),
    responses((status = 200, description = "The job, paused", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn pause(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InBody, |id, _| with_reason(Command::pause(id), &content)).await
}

/// Say that the work goes on: paused → running.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/resume", operation_id = "resume_job", tag = "worker",
    params(("uuid" = shapes::Uuid, Path, example = "0000000d-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::IfMatch),
    request_body(content = Option<shapes::Why>, example = json!({})),
    responses((status = 200, description = "The job, running", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn resume(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InBody, |id, _| with_reason(Command::resume(id), &content)).await
}

/// Say how the work ended.
///
/// A failure has a code and a message: those given, else those of its error, else those of its cause.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/finish", operation_id = "finish_job", tag = "worker",
    params(("uuid" = shapes::Uuid, Path, example = "0000000c-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::Reason, shapes::Force, shapes::IfMatch),
    request_body(content = shapes::Finish, examples(
        ("success" = (value = json!({"state": "success", "message": "40 files"}))),
        ("failure" = (value = json!({"state": "failure", "code": 917_658,
            "message": "The volume is in use", "error": {"target": "vol2",
            "arguments": [{"code": "clients", "message": "3"}]}}))))),
    responses((status = 200, description = "The job as it ended", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn finish(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InUrl, |id, _| {
        match body::parse::<Finish>(&content)?.outcome()? {
            Outcome::Success(success) => Ok(Command::succeed(id, success)),
            Outcome::Failure(failure) => Ok(Command::fail(id, failure)),
        }
    })
    .await
}

/// Take the best of the queued jobs that match.
///
/// It runs from then on, and until its lease ends only who shows the lease's token may write as its
/// worker. No two claims ever get the same job.
#[utoipa::path(post, path = "/v1/claim", operation_id = "claim", tag = "worker",
    params(shapes::ClaimParams),
    request_body(content = shapes::Holder, example = json!({"holder": "worker-1", "term": 30})),
    responses((status = 200, description = "The job, running, with its lease", body = shapes::Job),
        (status = 404, description = "`nothing_to_claim`: no queued job matches"),
        (status = 507)))]
pub(super) async fn claim(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    let (filter, order) = listing::claim(&params)?;
    let manner = Manner::of_claim(&params)?;
    let hold = body::parse::<Holder>(&content)?.hold()?;
    let command = manner.apply(Command::claim(Claim { filter, order, hold }));
    let applied = run(app, &parts, command).await?;
    Ok(render::job(&applied.job, None, Layout::Compact))
}

/// Take this job: one that is queued, or at work and held by nobody.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/claim", operation_id = "claim_job", tag = "worker",
    params(("uuid" = shapes::Uuid, Path, example = "0000000e-0000-4000-8000-000000000000"),
        shapes::ChangeParams, shapes::Reason, shapes::IfMatch),
    request_body(content = shapes::Holder, example = json!({"holder": "worker-1"})),
    responses((status = 200, description = "The job, with its lease", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn claim_job(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InUrl, |id, _| {
        Ok(Command::claim_job(id, body::parse::<Holder>(&content)?.hold()?))
    })
    .await
}

/// Hold the job for another term.
///
/// Every other change that shows the token does so, too. Deferred unless told otherwise.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/renew", operation_id = "renew_lease", tag = "worker",
    params(("uuid" = shapes::Uuid, Path, example = "00000010-0000-4000-8000-000000000000"),
        shapes::HeldParams, shapes::Reason, shapes::IfMatch),
    request_body(content = Option<shapes::Renewal>, example = json!({"term": 120})),
    responses((status = 200, description = "The job, with its lease", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn renew(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InUrl, |id, manner| {
        let token = manner.must_hold()?;
        Ok(Command::renew(id, token, body::parse::<Renewal>(&content)?.term))
    })
    .await
}

/// Give the job back: it is queued again, or canceled if that was asked for.
#[utoipa::path(post, path = "/v1/jobs/{uuid}/release", operation_id = "release_job",
    tag = "worker",
    params(("uuid" = shapes::Uuid, Path, example = "00000010-0000-4000-8000-000000000000"),
        shapes::HeldParams, shapes::IfMatch),
    request_body(content = Option<shapes::Why>, example = json!({"reason": "shutting down"})),
    responses((status = 200, description = "The job, held by nobody", body = shapes::Job),
        (status = 404), (status = 409), (status = 410), (status = 412), (status = 507)))]
pub(super) async fn release(app: Arc<App>, parts: Parts, content: Vec<u8>) -> Answer {
    change(app, &parts, Reason::InBody, |id, manner| {
        with_reason(Command::release(id, manner.must_hold()?), &content)
    })
    .await
}

/// Who wants to hold a job, and for how many seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Holder {
    holder: String,
    term: Option<f64>,
}

impl Holder {
    fn hold(self) -> Result<Hold, Fault> {
        let hold = Hold::leased(self.holder);
        let Some(seconds) = self.term else { return Ok(hold) };
        match Duration::try_from_secs_f64(seconds) {
            Ok(term) => Ok(hold.lasting(term)),
            Err(_) => {
                let message = format!("{seconds} s is no term of a lease");
                Err(Fault::engine(ErrorKind::InvalidValue, message).on("term"))
            }
        }
    }
}

/// How a job ended, as its worker tells it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    state: State,
    code: Option<i64>,
    message: Option<String>,
    error: Option<FailureError>,
    cause: Option<Cause>,
}

enum Outcome {
    Success(Success),
    Failure(Failure),
}

impl Finish {
    fn outcome(self) -> Result<Outcome, Fault> {
        match self.state {
            State::Success => {
                let failed = [("error", self.error.is_some()), ("cause", self.cause.is_some())];
                if let Some((name, _)) = failed.iter().find(|(_, is_given)| *is_given) {
                    let message = "a success has none; give it with the state failure";
                    return Err(Fault::engine(ErrorKind::Contradiction, message).on(name));
                }
                let code = self.code.unwrap_or(0);
                Ok(Outcome::Success(Success { message: self.message, code }))
            }
            State::Failure => Ok(Outcome::Failure(Failure {
                code: self.code,
                message: self.message,
                cause: self.cause,
                error: self.error,
            })),
            other => {
                let message = format!("{other} is no end; write success or failure");
                Err(Fault::engine(ErrorKind::InvalidValue, message).on("state"))
            }
        }
    }
}
