//! The end of a job, as soon as it comes.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use jobtrack::{Expr, Names, Watch};
use tokio::time::{Instant, sleep_until};

use super::openapi::shapes;
use super::{id, render, watch};
use crate::App;
use crate::errors::Fault;
use crate::layout::Layout;
use crate::listing;
use crate::params::Params;
use crate::respond::{Answer, blocking};
use crate::server::Stopping;

/// For how many seconds to wait unless told otherwise, and at most.
const TIMEOUT: u64 = 30;
const LONGEST_TIMEOUT: u64 = 120;

/// Wait until the job has ended.
///
/// The answer is the job as it ended, or as it stands when the time is up or the server stops: its
/// `state` tells which. Who waits is one of the clients that watch.
#[utoipa::path(get, path = "/v1/jobs/{uuid}/wait", operation_id = "wait_for_job", tag = "jobs",
    params(("uuid" = shapes::Uuid, Path, example = "0000000a-0000-4000-8000-000000000000"),
        shapes::WaitParams, shapes::FieldsParams),
    responses((status = 200, description = "The job", body = shapes::Record),
        (status = 404), (status = 410)))]
pub(super) async fn wait(app: Arc<App>, parts: Parts) -> Answer {
    let params = Params::parse(parts.uri.query())?;
    params.only(&["timeout", "fields", "ignore_unknown_fields", Layout::PARAMETER])?;
    let layout = Layout::of(&params)?;
    let fields = listing::selection(&params, Names::Native)?;
    let timeout = params.integer("timeout", 0, LONGEST_TIMEOUT)?.unwrap_or(TIMEOUT);
    let until = Instant::now() + Duration::from_secs(timeout);
    let id = id(&parts.uri)?;
    let Ok(_permit) = Arc::clone(&app.watchers).try_acquire_owned() else {
        return Err(watch::too_many(&app));
    };
    let mut stopping = parts.extensions.get::<Stopping>().cloned();
    let stopped = async {
        match &mut stopping {
            Some(stopping) => stopping.wait().await,
            None => pending().await,
        }
    };
    tokio::pin!(stopped);
    // It watches before it looks, so that it misses no end that comes between.
    let this_one = Expr::parse("uuid", &id.to_string(), Names::Native)?;
    let mut watch = app.tracker.watch(this_one, None)?;
    let mut is_last = false;
    loop {
        let tracker = app.tracker.clone();
        let found = blocking(move || Ok(tracker.get(id)?)).await?;
        if is_last || found.state().is_terminal() {
            return Ok(render::found(&found, fields.as_ref(), layout));
        }
        tokio::select! {
            () = poll_fn(|context| watch.poll_ready(context)) => watch = passed(watch).await?,
            () = sleep_until(until) => is_last = true,
            () = &mut stopped => is_last = true,
        }
    }
}

/// The watch, after all that it has to tell by now.
async fn passed(mut watch: Watch) -> Result<Watch, Fault> {
    blocking(move || {
        while watch.try_next()?.is_some() {}
        Ok(watch)
    })
    .await
}
