//! `jobtrack start`, `report`, `succeed` and `fail`: what a worker tells of its job.

use jobtrack::{Argument, Cause, Failure, FailureError, JobId, Progress, Report, Severity};
use serde_json::{Value, json};

use crate::create::progress;
use crate::render::ChangedArguments;
use crate::target::{TargetArguments, query};
use crate::{Exit, Failed};

/// Begin a job's work: queued becomes running.
#[derive(Debug, clap::Args)]
pub(crate) struct StartArguments {
    /// Which job
    uuid: JobId,

    #[command(flatten)]
    common: Common,
}

/// Tell where a job stands. What is left out stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArguments {
    /// Which job
    uuid: JobId,

    /// Where it stands
    #[arg(required_unless_present = "progress")]
    message: Option<String>,

    /// How much the message matters, in the job's log: info, warning or error
    #[arg(long, value_name = "WORD", requires = "message", value_parser = severity)]
    severity: Option<Severity>,

    /// How far it is, and of how much: 7 or 7/40
    #[arg(long, value_name = "DONE[/TOTAL]", value_parser = progress)]
    progress: Option<Progress>,

    /// Of what progress is counted, such as files
    #[arg(long, value_name = "WORD", requires = "progress")]
    unit: Option<String>,

    #[command(flatten)]
    common: Common,
}

/// End a job well.
#[derive(Debug, clap::Args)]
pub(crate) struct SucceedArguments {
    /// Which job
    uuid: JobId,

    /// Its last message; the one it has unless given
    message: Option<String>,

    /// A warning's code
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    code: i64,

    /// Whoever holds it
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    common: Common,
}

/// End a job badly.
#[derive(Debug, clap::Args)]
pub(crate) struct FailArguments {
    /// Which job
    uuid: JobId,

    /// What went wrong
    message: Option<String>,

    /// The error's code, not 0
    #[arg(long, allow_negative_numbers = true)]
    code: Option<i64>,

    /// What kind of failure it is: error, canceled, lost or timed_out. An error, or canceled if that
    /// was asked for, unless given
    #[arg(long, value_parser = cause)]
    cause: Option<Cause>,

    /// The parameter or object at fault
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    error_target: String,

    /// An argument of the message; may be given several times
    #[arg(long = "argument", value_name = "CODE=MESSAGE", value_parser = argument)]
    arguments: Vec<Argument>,

    /// Whoever holds it
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The token that the claim gave, of a job that is held
    #[arg(long, value_name = "N")]
    token: Option<u64>,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: ChangedArguments,
}

pub(crate) fn start(arguments: &StartArguments) -> Result<Exit, Failed> {
    change(&arguments.common, arguments.uuid, "start", &json!({}), false)
}

pub(crate) fn report(arguments: &ReportArguments) -> Result<Exit, Failed> {
    let progress = arguments.progress.clone().map(|progress| Progress {
        unit: arguments.unit.clone().unwrap_or_default().into(),
        ..progress
    });
    let (message, severity) = (arguments.message.clone(), arguments.severity);
    let report = Report { message, severity, progress };
    change(&arguments.common, arguments.uuid, "report", &serde_json::to_value(report)?, false)
}

pub(crate) fn succeed(arguments: &SucceedArguments) -> Result<Exit, Failed> {
    let success = json!({
        "state": "success", "message": arguments.message, "code": arguments.code
    });
    change(&arguments.common, arguments.uuid, "finish", &success, arguments.force)
}

pub(crate) fn fail(arguments: &FailArguments) -> Result<Exit, Failed> {
    let (target, list) = (&arguments.error_target, &arguments.arguments);
    let error = (!target.is_empty() || !list.is_empty()).then(|| FailureError {
        target: target.clone(),
        arguments: list.clone(),
        ..FailureError::default()
    });
    let failure = Failure {
        code: arguments.code,
        message: arguments.message.clone(),
        cause: arguments.cause,
        error,
    };
    change(&arguments.common, arguments.uuid, "finish", &body_of(&failure), arguments.force)
}

/// A failure as the native face takes it.
pub(crate) fn body_of(failure: &Failure) -> Value {
    json!({
        "state": "failure",
        "code": failure.code,
        "message": failure.message,
        "cause": failure.cause,
        "error": failure.error,
    })
}

fn change(
    common: &Common,
    id: JobId,
    verb: &str,
    body: &Value,
    force: bool,
) -> Result<Exit, Failed> {
    let (force, token) = (force.then_some(("force", "true")), common.token.map(|n| n.to_string()));
    let token = token.as_deref().map(|token| ("token", token));
    let verb = format!("{verb}{}", query(token.into_iter().chain(force)));
    let record = common.target.open()?.change(id, &verb, body)?;
    common.output.job(&record)?;
    Ok(Exit::Done)
}

fn cause(text: &str) -> Result<Cause, String> {
    Cause::ALL
        .iter()
        .find(|cause| cause.as_str() == text)
        .copied()
        .ok_or_else(|| format!("write one of {}", Cause::WORDS.join(", ")))
}

fn severity(text: &str) -> Result<Severity, String> {
    let is_it = |severity: &&Severity| severity.as_str() == text;
    let words = || format!("write one of {}", Severity::WORDS.join(", "));
    Severity::ALL.iter().find(is_it).copied().ok_or_else(words)
}

fn argument(text: &str) -> Result<Argument, String> {
    let (code, message) =
        text.split_once('=').ok_or("write it as CODE=MESSAGE, such as volume=vol1")?;
    Ok(Argument { code: code.to_owned(), message: message.to_owned() })
}
