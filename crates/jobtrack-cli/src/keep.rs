//! `jobtrack extend` and `delete`: how long a job that has ended stays.

use std::time::Duration;

use jobtrack::{Extension, JobId};
use jobtrack_http::parse_span;

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

/// Forget jobs that have ended. One that has not is refused; cancel it first.
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

/// Prints each job as it last stood.
pub(crate) fn delete(arguments: &DeleteArguments) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    for_each(&arguments.ids, |id| arguments.output.job(&target.delete(id)?))
}
