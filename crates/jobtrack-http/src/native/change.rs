//! What can be changed.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use jobtrack::{
    Action, Applied, Cause, Claim, Command, Durability, ErrorKind, Extension, Failure,
    FailureError, Hold, NewJob, Progress, Renewal, Report, Revision, State, Success, quoted,
};
use serde::Deserialize;

use super::{JOBS, id, render};
use crate::App;
use crate::auth::actor;
use crate::body;
use crate::errors::{Fault, HttpKind};
use crate::layout::Layout;
use crate::listing;
use crate::params::{Params, invalid};
use crate::respond::{Answer, blocking};

/// The changes of a job that its worker or an operator makes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    Start,
    Report,
    Pause,
    Resume,
    Finish,
    Request,
    Extend,
    Claim,
    Renew,
    Release,
    FreeKey,
    Hold,
    Unhold,
}

impl Verb {
    pub(super) const NAMES: &str = "start, report, pause, resume, finish, request, extend, claim, \
                                     renew, release, free-key, hold, unhold";

    pub(super) fn named(name: &str) -> Option<Verb> {
        match name {
            "start" => Some(Verb::Start),
            "report" => Some(Verb::Report),
            "pause" => Some(Verb::Pause),
            "resume" => Some(Verb::Resume),
            "finish" => Some(Verb::Finish),
            "request" => Some(Verb::Request),
            "extend" => Some(Verb::Extend),
            "claim" => Some(Verb::Claim),
            "renew" => Some(Verb::Renew),
            "release" => Some(Verb::Release),
            "free-key" => Some(Verb::FreeKey),
            "hold" => Some(Verb::Hold),
            "unhold" => Some(Verb::Unhold),
            _ => None,
        }
    }
}

pub(super) async fn create(app: Arc<App>, parts: &Parts, content: &[u8]) -> Answer {
    let durability = durability(&Params::parse(parts.uri.query())?, &["durability"])?;
    let job: NewJob = body::parse(content)?;
    let command = Command::create(job).by(actor(&parts.extensions));
    let command = with_durability(command, durability);
    let applied = run(app, command).await?;
    let mut response = render::job(&applied.job, None, Layout::Compact);
    *response.status_mut() = if applied.is_repeat { StatusCode::OK } else { StatusCode::CREATED };
    if let Ok(location) = HeaderValue::try_from(format!("{JOBS}/{}", applied.job.uuid)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn update(app: Arc<App>, parts: &Parts, verb: Verb, content: &[u8]) -> Answer {
    let manner = Manner::of(parts)?;
    let id = id(&parts.uri)?;
    let command = match verb {
        Verb::Start => with_reason(Command::start(id), content)?,
        Verb::Pause => with_reason(Command::pause(id), content)?,
        Verb::Resume => with_reason(Command::resume(id), content)?,
        Verb::Report => Command::report(id, report(content)?),
        Verb::Finish => match body::parse::<Finish>(content)?.outcome()? {
            Outcome::Success(success) => Command::succeed(id, success),
            Outcome::Failure(failure) => Command::fail(id, failure),
        },
        Verb::Request => {
            let asked: Asked = body::parse(content)?;
            Command::request(id, asked.action).because(asked.reason)
        }
        Verb::Extend => Command::extend(id, body::parse::<Extension>(content)?.retention),
        Verb::Claim => Command::claim_job(id, body::parse::<Holder>(content)?.hold()?),
        Verb::Renew => {
            Command::renew(id, manner.must_hold()?, body::parse::<Renewal>(content)?.term)
        }
        Verb::FreeKey => with_reason(Command::free_key(id), content)?,
        Verb::Hold => with_reason(Command::hold(id), content)?,
        Verb::Unhold => with_reason(Command::unhold(id), content)?,
        Verb::Release => with_reason(Command::release(id, manner.must_hold()?), content)?,
    };
    change(app, parts, manner, command).await
}

/// Tells how far a job is, ahead of the store: it costs no commit.
pub(super) async fn progress(app: Arc<App>, parts: &Parts, content: &[u8]) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&["token"])?;
    let token = params.integer("token", 0, u64::MAX)?;
    let (id, progress) = (id(&parts.uri)?, body::parse::<Progress>(content)?);
    let found = blocking(move || Ok(app.tracker.progress(id, progress, token)?)).await?;
    Ok(render::found(&found, None, Layout::Compact))
}

/// Gives a worker the best of the queued jobs that match. Its parameters are those of a listing's
/// filter and order.
pub(super) async fn claim(app: Arc<App>, parts: &Parts, content: &[u8]) -> Answer {
    let (filter, order) = listing::claim(&Params::parse(parts.uri.query())?)?;
    let hold = body::parse::<Holder>(content)?.hold()?;
    let command = Command::claim(Claim { filter, order, hold }).by(actor(&parts.extensions));
    let applied = run(app, command).await?;
    Ok(render::job(&applied.job, None, Layout::Compact))
}

pub(super) async fn delete(app: Arc<App>, parts: &Parts) -> Answer {
    let manner = Manner::of(parts)?;
    let id = id(&parts.uri)?;
    change(app, parts, manner, Command::delete(id)).await
}

/// Runs a change of a job that is known, at the revision that `If-Match` names if it is there.
async fn change(app: Arc<App>, parts: &Parts, manner: Manner, command: Command) -> Answer {
    let expected = expected(&parts.headers)?;
    let command = manner.apply(command.by(actor(&parts.extensions)));
    let command = match expected {
        None => command,
        Some(revision) => command.expecting(revision),
    };
    let applied = run(app, command).await.map_err(|fault| {
        match expected.is_some() && fault.is(ErrorKind::Conflict) {
            true => fault.into_http(HttpKind::RevisionChanged),
            false => fault,
        }
    })?;
    Ok(render::job(&applied.job, None, Layout::Compact))
}

async fn run(app: Arc<App>, command: Command) -> Result<Applied, Fault> {
    blocking(move || Ok(app.tracker.run(command)?)).await
}

/// What the parameters of a change say.
#[derive(Clone, Copy)]
struct Manner {
    durability: Option<Durability>,
    /// The token of the lease under which the job is held.
    token: Option<u64>,
    /// Whether the job is ended over the head of whoever holds it.
    force: bool,
}

impl Manner {
    fn of(parts: &Parts) -> Result<Manner, Fault> {
        let params = Params::parse(parts.uri.query())?;
        Ok(Manner {
            durability: durability(&params, &["durability", "token", "force"])?,
            token: params.integer("token", 0, u64::MAX)?,
            force: params.boolean("force", false)?,
        })
    }

    /// The token, of a change that only a holder makes.
    fn must_hold(&self) -> Result<u64, Fault> {
        self.token.ok_or_else(|| {
            let message = "show the token that the claim gave: ?token=1";
            Fault::new(HttpKind::MissingParameter, message).on("token")
        })
    }

    fn apply(self, command: Command) -> Command {
        let command = with_durability(command, self.durability);
        let command = if self.force { command.forced() } else { command };
        match self.token {
            None => command,
            Some(token) => command.holding(token),
        }
    }
}

/// What the change must survive before it is acknowledged; each command has its own default.
fn durability(params: &Params, others: &[&str]) -> Result<Option<Durability>, Fault> {
    params.only(others)?;
    match params.given("durability")? {
        None => Ok(None),
        Some("synced") => Ok(Some(Durability::Synced)),
        Some("deferred") => Ok(Some(Durability::Deferred)),
        Some(other) => Err(invalid("durability", other, "synced or deferred")),
    }
}

fn with_durability(command: Command, durability: Option<Durability>) -> Command {
    match durability {
        None => command,
        Some(durability) => command.durability(durability),
    }
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

/// The revision in `If-Match`; `*` asks only that the job be there, which every change does.
fn expected(headers: &HeaderMap) -> Result<Option<Revision>, Fault> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    if text.trim() == "*" {
        return Ok(None);
    }
    let tag = text.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    // What follows the dot counts reports of progress, which no revision knows.
    let revision = tag.map(|tag| tag.split_once('.').map_or(tag, |(revision, _)| revision));
    match revision.map(str::parse) {
        Some(Ok(revision)) => Ok(Some(revision)),
        _ => {
            let message =
                format!("{} is no tag of a job; write one revision as \"3-1024\"", quoted(&text));
            Err(Fault::engine(ErrorKind::InvalidValue, message).on("If-Match"))
        }
    }
}

/// The body of a change that needs none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    #[serde(default)]
    reason: String,
}

fn with_reason(command: Command, content: &[u8]) -> Result<Command, Fault> {
    let why: Why = body::parse(content)?;
    Ok(command.because(why.reason))
}

fn report(content: &[u8]) -> Result<Report, Fault> {
    let report: Report = body::parse(content)?;
    if report == Report::default() {
        let message = "nothing is reported; give a message, progress, or both";
        return Err(Fault::engine(ErrorKind::MissingValue, message).on("message"));
    }
    Ok(report)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    action: Action,
    #[serde(default)]
    reason: String,
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
