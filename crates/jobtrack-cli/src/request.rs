//! `jobtrack pause`, `resume` and `cancel`: what an operator asks.

use jobtrack::{Action, JobId};
use serde_json::json;

use crate::each::for_each;
use crate::render::ChangedArguments;
use crate::target::TargetArguments;
use crate::{Exit, Failed};

/// What is asked of which jobs.
///
/// A job whose worker answers for itself (cooperative) keeps the request until it does; with any
/// other it is so at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
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

/// A pause or its end, which a worker answers.
#[derive(Debug, clap::Args)]
pub(crate) struct AnswerableArguments {
    #[command(flatten)]
    arguments: Arguments,

    /// Say as the jobs' worker that it is so, in place of asking for it
    #[arg(long)]
    worker: bool,
}

pub(crate) fn pause(arguments: &AnswerableArguments) -> Result<Exit, Failed> {
    ask_or_answer(arguments, Action::Pause)
}

pub(crate) fn resume(arguments: &AnswerableArguments) -> Result<Exit, Failed> {
    ask_or_answer(arguments, Action::Resume)
}

pub(crate) fn cancel(arguments: &Arguments) -> Result<Exit, Failed> {
    ask(arguments, Action::Cancel)
}

fn ask_or_answer(arguments: &AnswerableArguments, action: Action) -> Result<Exit, Failed> {
    let AnswerableArguments { arguments, worker } = arguments;
    if !worker {
        return ask(arguments, action);
    }
    change(arguments, action.as_str(), &json!({ "reason": arguments.reason }))
}

fn ask(arguments: &Arguments, action: Action) -> Result<Exit, Failed> {
    change(arguments, "request", &json!({ "action": action, "reason": arguments.reason }))
}

fn change(arguments: &Arguments, verb: &str, body: &serde_json::Value) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    for_each(&arguments.ids, |id| arguments.output.job(&target.change(id, verb, body)?))
}
