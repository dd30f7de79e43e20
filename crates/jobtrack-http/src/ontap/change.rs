//! PATCH of one job: `?action=pause|resume|cancel`.

use std::sync::Arc;

use axum::http::request::Parts;
use jobtrack::{Action, Actor, Command, ErrorKind, Field, JobId, Names, quoted};

use super::render::Style;
use super::tunnel::Tunnel;
use crate::App;
use crate::auth::actor;
use crate::body;
use crate::errors::{Fault, HttpKind};
use crate::layout::Layout;
use crate::listing;
use crate::params::Params;
use crate::respond::{Answer, blocking};

pub(super) async fn patch(app: Arc<App>, parts: &Parts, content: &[u8]) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&["action", "return_timeout", Layout::PARAMETER])?;
    let style = Style::of(parts, &params)?;
    let tunnel = Tunnel::of(&parts.headers)?;
    expect_no_fields(content)?;
    // One job is changed at once; the parameter is only checked.
    listing::budget(&params, &app.options)?;
    let action = action(&params)?;
    let id = super::id(&parts.uri)?;
    let actor = actor(&parts.extensions);
    blocking(move || {
        if !tunnel.is_open() {
            // A job's SVM never changes, so this still holds when the command is decided.
            let found = app.tracker.get(id)?;
            tunnel.check(&found)?;
        }
        app.tracker.run(request(id, action, &actor))?;
        Ok(())
    })
    .await?;
    Ok(style.answer(&serde_json::Map::new(), None))
}

/// The command that stands for an action, on one job or on each of many.
pub(super) fn request(id: JobId, action: Action, actor: &Actor) -> Command {
    Command::request(id, action).by(actor.clone())
}

/// The action asked for.
pub(super) fn action(params: &Params) -> Result<Action, Fault> {
    let Some(text) = params.given("action")? else {
        let message = "nothing is to be changed; write action=pause, resume or cancel";
        return Err(Fault::new(HttpKind::NothingToChange, message).on("action"));
    };
    text.parse().map_err(|error: jobtrack::Error| Fault::from(error).on_value("action", text))
}

/// The body of a PATCH says nothing: no field of a job can be changed here.
pub(super) fn expect_no_fields(content: &[u8]) -> Result<(), Fault> {
    let body: serde_json::Value =
        body::parse_any(content).map_err(|fault| fault.into_http(HttpKind::InvalidJson))?;
    let members = match body {
        serde_json::Value::Object(members) => members,
        serde_json::Value::Array(_) => {
            let message = "the body is an array, where an object is expected";
            return Err(Fault::new(HttpKind::ArrayNotExpected, message));
        }
        other => {
            let message = format!("the body is {other}, where an object is expected");
            return Err(Fault::new(HttpKind::InvalidJson, message));
        }
    };
    match members.keys().next() {
        None => Ok(()),
        Some(name) if !is_field(name) => Err(Fault::unexpected_parameter(name)),
        Some(name) => {
            let message = format!("Field {} cannot be set in this operation", quoted(name));
            Err(Fault::new(HttpKind::NotSettable, message).on(name))
        }
    }
}

/// Whether a member of this name is a field of a job, or an object with fields in it.
fn is_field(name: &str) -> bool {
    Field::FIXED.iter().filter_map(|field| field.name(Names::Ontap)).any(|known| {
        known.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Whether the refusal is about this one job, so that others may still be asked.
pub(super) fn is_of_the_job(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Conflict
            | ErrorKind::JobEnded
            | ErrorKind::NotQueued
            | ErrorKind::NotRunning
            | ErrorKind::NotPaused
            | ErrorKind::StillLive
            | ErrorKind::Held
            | ErrorKind::CannotPause
            | ErrorKind::CannotCancel
            | ErrorKind::CancelPending
    )
}
