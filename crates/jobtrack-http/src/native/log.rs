//! `GET /v1/jobs/{uuid}/log`: what happened to a job.
//!
//! 200 with `entries`, oldest first, each an object of `revision`, `ordinal` (its place within that
//! commit), `time`, `kind`, and, where they apply, `from` and `to` (states), `actor`, `reason`,
//! `severity` and `message`; and `dropped`, how many are not kept any more. 404 and 410 as for the
//! job itself.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::Method;

use super::{JSON, READ_METHODS, id};
use crate::App;
use crate::body;
use crate::errors::Fault;
use crate::layout::Layout;
use crate::params::Params;
use crate::respond::{Answer, blocking, json, options};

pub(super) async fn log(app: Arc<App>, request: Request) -> Answer {
    let (parts, content) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => {
            body::expect_none(content).await?;
            let params = Params::parse(parts.uri.query())?;
            params.only(&[Layout::PARAMETER])?;
            let layout = Layout::of(&params)?;
            let id = id(&parts.uri)?;
            let log = blocking(move || Ok(app.tracker.log(id)?)).await?;
            Ok(json(JSON, layout.render(&log)))
        }
        Method::OPTIONS => Ok(options(JSON, READ_METHODS)),
        method => Err(Fault::method_not_allowed(method.as_str(), READ_METHODS)),
    }
}
