//! `jobtrack extend`, `hold`, `unhold` and `delete`: how long a job that has ended stays.

use std::time::Duration;

use jobtrack::{Extension, JobId};
use jobtrack_http::parse_span;
use serde_json::json;

use crate::each::for_each;
use crate::render::ChangedArguments;
use crate::target::TargetArguments;
use crate::{Exit, Failed};

/// Let jobs stay longer after their end. A retention is never shortened.
#[derive(Debug, clap::Args)]
pub(crate) struct ExtendArguments {
    /// Which jobs
    #[arg(required = true, value_name = "UUID")]
    ids: Vec<JobId>,

    /// How long they are to stay after their end, at least: a number and s, m, h or d
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    retention: Duration,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: ChangedArguments,
}

/// Keep jobs from expiring until they are let go.
///
/// One that has not ended stays so from its end on. By whom, since when and why is shown with the
/// job, and stands until it is let go: a second hold changes nothing. Those that are held:
/// jobtrack list 'held.time=!null'
#[derive(Debug, clap::Args)]
pub(crate) struct HoldArguments {
    /// Which jobs
    #[arg(required = true, value_name = "UUID")]
    ids: Vec<JobId>,

    /// Why
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: ChangedArguments,
}

/// Let go of jobs that are held. Each expires once what was left of its stay is over.
#[derive(Debug, clap::Args)]
pub(crate) struct UnholdArguments {
    #[command(flatten)]
    arguments: HoldArguments,
}

/// Forget jobs that have ended. One that has not is refused; cancel it first.
///
/// One that is held is refused, too; let it go first.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArguments {
    /// Which jobs
    #[arg(required = true, value_name = "UUID")]
    ids: Vec<JobId>,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: ChangedArguments,
}

pub(crate) fn extend(arguments: &ExtendArguments) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    let body = serde_json::to_value(Extension { retention: arguments.retention })?;
    for_each(&arguments.ids, |id| arguments.output.job(&target.change(id, "extend", &body)?))
}

pub(crate) fn hold(arguments: &HoldArguments) -> Result<Exit, Failed> {
    change(arguments, "hold")
}

pub(crate) fn unhold(arguments: &UnholdArguments) -> Result<Exit, Failed> {
    change(&arguments.arguments, "unhold")
}

fn change(arguments: &HoldArguments, verb: &str) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    let body = json!({ "reason": arguments.reason });
    for_each(&arguments.ids, |id| arguments.output.job(&target.change(id, verb, &body)?))
}

/// Prints each job as it last stood.
pub(crate) fn delete(arguments: &DeleteArguments) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    for_each(&arguments.ids, |id| arguments.output.job(&target.delete(id)?))
}
