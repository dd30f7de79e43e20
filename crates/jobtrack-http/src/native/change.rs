//! What all changes have in common: how they are made durable, by whom and why they are asked for,
//! and at which revision of the job.

use std::sync::Arc;

use axum::http::header;
use axum::http::request::Parts;
use jobtrack::{Applied, Command, Durability, ErrorKind, JobId, Revision, quoted};
use serde::Deserialize;

use super::{id, render};
use crate::App;
use crate::auth::actor;
use crate::body;
use crate::errors::{Fault, HttpKind};
use crate::layout::Layout;
use crate::listing::REASON;
use crate::params::{Params, invalid};
use crate::respond::{Answer, blocking};
use crate::tags::{Tag, Tags};

/// Makes a change of the job in the path, at a revision that `If-Match` names if it is there.
pub(super) async fn change(
    app: Arc<App>,
    parts: &Parts,
    reason: Reason,
    command: impl FnOnce(JobId, &Manner) -> Result<Command, Fault>,
) -> Answer {
    let manner = Manner::of(parts, reason)?;
    let id = id(&parts.uri)?;
    let expected = Expected::of(parts)?;
    let command = manner.apply(command(id, &manner)?).by(actor(&parts.extensions));
    let applied = blocking(move || {
        let command = match expected.revision(&app, id)? {
            None => command,
            Some(revision) => command.expecting(revision),
        };
        app.tracker.run(command).map_err(|error| match error.kind() {
            ErrorKind::Conflict if expected != Expected::Any => {
                Fault::from(error).into_http(HttpKind::RevisionChanged)
            }
            _ => error.into(),
        })
    })
    .await?;
    Ok(render::job(&applied.job, None, Layout::Compact))
}

/// Makes a change of no job that the request names.
pub(super) async fn run(app: Arc<App>, parts: &Parts, command: Command) -> Result<Applied, Fault> {
    let command = command.by(actor(&parts.extensions));
    blocking(move || Ok(app.tracker.run(command)?)).await
}

/// Where it is said why a change is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// In the body, which has little else.
    InBody,
    /// In the URL, since the body is about something else, or there is none.
    InUrl,
}

/// What the parameters of a change say.
#[derive(Default)]
pub(super) struct Manner {
    durability: Option<Durability>,
    /// The token of the lease under which the job is held.
    token: Option<u64>,
    /// Whether the job is ended over the head of whoever holds it.
    force: bool,
    reason: Option<String>,
}

impl Manner {
    fn of(parts: &Parts, reason_stands: Reason) -> Result<Manner, Fault> {
        let params = Params::parse(parts.uri.query())?;
        match reason_stands {
            Reason::InBody => params.only(&["durability", "token", "force"])?,
            Reason::InUrl => params.only(&["durability", "token", "force", REASON])?,
        }
        Ok(Manner {
            durability: durability(&params)?,
            token: params.integer("token", 0, u64::MAX)?,
            force: params.boolean("force", false)?,
            reason: reason(&params)?,
        })
    }

    /// Of a creation.
    pub(super) fn of_creation(parts: &Parts) -> Result<Manner, Fault> {
        let params = Params::parse(parts.uri.query())?;
        params.only(&["durability", REASON])?;
        let (durability, reason) = (durability(&params)?, reason(&params)?);
        Ok(Manner { durability, reason, ..Manner::default() })
    }

    /// Of a claim, whose other parameters say which job.
    pub(super) fn of_claim(params: &Params) -> Result<Manner, Fault> {
        Ok(Manner { reason: reason(params)?, ..Manner::default() })
    }

    /// The token, of a change that only a holder makes.
    pub(super) fn must_hold(&self) -> Result<u64, Fault> {
        self.token.ok_or_else(|| {
            let message = "show the token that the claim gave: ?token=1";
            Fault::new(HttpKind::MissingParameter, message).on("token")
        })
    }

    /// The command, made in this manner. What it leaves open stays as the command has it.
    pub(super) fn apply(&self, mut command: Command) -> Command {
        if let Some(durability) = self.durability {
            command = command.durability(durability);
        }
        if self.force {
            command = command.forced();
        }
        if let Some(token) = self.token {
            command = command.holding(token);
        }
        match &self.reason {
            None => command,
            Some(reason) => command.because(reason),
        }
    }
}

/// What the change must survive before it is acknowledged; each command has its own default.
fn durability(params: &Params) -> Result<Option<Durability>, Fault> {
    match params.given("durability")? {
        None => Ok(None),
        Some("synced") => Ok(Some(Durability::Synced)),
        Some("deferred") => Ok(Some(Durability::Deferred)),
        Some(other) => Err(invalid("durability", other, "synced or deferred")),
    }
}

fn reason(params: &Params) -> Result<Option<String>, Fault> {
    Ok(params.given(REASON)?.map(str::to_owned))
}

/// At which revision a job must stand, as `If-Match` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// At whichever. That the job be there, which is what `*` asks, every change does.
    Any,
    /// At one of these. There may be none: of tags that are no revision's, none is the job's.
    OneOf(Vec<Revision>),
}

impl Expected {
    pub(super) fn of(parts: &Parts) -> Result<Expected, Fault> {
        let mut lines = parts.headers.get_all(header::IF_MATCH).iter().peekable();
        if lines.peek().is_none() {
            return Ok(Expected::Any);
        }
        let mut revisions = Vec::new();
        for line in lines {
            let line = String::from_utf8_lossy(line.as_bytes());
            if line.trim() == "*" {
                return Ok(Expected::Any);
            }
            let mut tags = Tags::of(&line);
            for tag in &mut tags {
                // A tag of another make is that of no job, and a weak one may stand for others.
                revisions.extend(Some(&tag).filter(|tag| !tag.is_weak).and_then(revision_of));
            }
            if !tags.is_at_end() {
                let message = format!(
                    "{} is no tag of a job; write one revision as \"3-1024\"",
                    quoted(&line)
                );
                return Err(Fault::engine(ErrorKind::InvalidValue, message).on("If-Match"));
            }
        }
        Ok(Expected::OneOf(revisions))
    }

    /// The one revision at which a command on this job may find it.
    pub(super) fn revision(&self, app: &App, id: JobId) -> Result<Option<Revision>, Fault> {
        let revisions = match self {
            Expected::Any => return Ok(None),
            Expected::OneOf(revisions) => revisions,
        };
        if let [revision] = &revisions[..] {
            return Ok(Some(*revision));
        }
        let stands_at = app.tracker.get(id)?.job.revision;
        if revisions.contains(&stands_at) {
            return Ok(Some(stands_at));
        }
        let message = format!("the job is at revision {stands_at}, which is none of those");
        Err(Fault::new(HttpKind::RevisionChanged, message).on("If-Match"))
    }
}

/// The revision in a tag. What follows the dot counts reports of progress, which no revision knows.
fn revision_of(tag: &Tag<'_>) -> Option<Revision> {
    tag.opaque.split_once('.').map_or(tag.opaque, |(before, _)| before).parse().ok()
}

/// The body of a change that needs none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    #[serde(default)]
    reason: String,
}

/// The command with the reason in the body, if there is one.
pub(super) fn with_reason(command: Command, content: &[u8]) -> Result<Command, Fault> {
    let why: Why = body::parse(content)?;
    Ok(command.because(why.reason))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn expected(lines: &[&str]) -> Result<Expected, Fault> {
        let request = lines
            .iter()
            .fold(Request::builder(), |request, line| request.header(header::IF_MATCH, *line));
        Expected::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn if_match_is_a_list_of_strong_tags() {
        let revision = |number| Revision { epoch: 1, number };
        let found = |lines: &[&str]| expected(lines).unwrap();
        assert_eq!(found(&[]), Expected::Any);
        assert_eq!(found(&[" *"]), Expected::Any);
        assert_eq!(found(&["\"1-2.17\""]), Expected::OneOf(vec![revision(2)]));
        let both = Expected::OneOf(vec![revision(2), revision(3)]);
        assert_eq!(found(&["\"1-2\",\"1-3\""]), both);
        assert_eq!(found(&["\"1-2\"", ", \"1-3\" ,,"]), both);
        for none in ["W/\"1-2\"", "\"another,make\"", "\"\", W/\"\""] {
            assert_eq!(found(&[none]), Expected::OneOf(vec![]), "{none}");
        }
        for bad in ["1-2", "\"1-2", "w/\"1-2\"", "\"1-2\" \"1-3\"", "\"1-2\", *", "\"a b\""] {
            assert!(expected(&[bad]).unwrap_err().line().starts_with("If-Match: "), "{bad}");
        }
    }
}
