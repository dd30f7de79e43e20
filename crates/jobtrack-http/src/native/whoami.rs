//! As whom the server takes the one who asks, and what they may do.

use std::sync::Arc;

use axum::http::request::Parts;
use jobtrack::{Scope, Tenant};
use serde::Serialize;

use super::JSON;
use super::openapi::shapes;
use crate::App;
use crate::layout::Layout;
use crate::params::Params;
use crate::respond::{Answer, json};

/// As whom the server takes you, and what you may do.
#[utoipa::path(get, path = "/v1/whoami", operation_id = "whoami", tag = "server",
    params(shapes::Pretty),
    responses((status = 200, description = "User, role and scope", body = shapes::Whoami)))]
pub(super) async fn whoami(app: Arc<App>, parts: Parts) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&[Layout::PARAMETER])?;
    let answer = Whoami {
        user: app.caller.user.as_deref(),
        role: app.caller.role.as_str(),
        scope: app.tracker.tenant().map(Tenant::scope),
    };
    Ok(json(JSON, Layout::of(&params)?.render(&answer)))
}

#[derive(Serialize)]
struct Whoami<'a> {
    /// None where the server has no users.
    user: Option<&'a str>,
    /// `read`, `control` or `admin`.
    role: &'a str,
    /// The scope whose jobs alone they see; none where they see all.
    scope: Option<&'a Scope>,
}
