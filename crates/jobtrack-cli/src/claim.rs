//! `jobtrack claim`, `renew` and `release`: holding a job, so that it is not "running" for ever when
//! its worker dies.

use std::time::Duration;

use jobtrack::{JobId, Lost};
use jobtrack_http::parse_span;
use serde_json::{Value, json};

use crate::listing::Filters;
use crate::render::{ChangedArguments, OutputArguments};
use crate::target::{TargetArguments, query};
use crate::{Exit, Failed};

/// Take the best queued job that matches, and hold it.
///
/// It runs from then on. The token that is printed must be shown with every change that its worker
/// makes (--token); each gives the lease a full term again, and so does renew. When nothing is heard
/// for a term, the job is lost: it fails, or whatever the server does with its kind. Status 6 if
/// nothing matches.
#[derive(Debug, clap::Args)]
pub(crate) struct ClaimArguments {
    #[command(flatten)]
    filters: Filters,

    /// Which of them first: fields, each with asc or desc; the oldest unless told otherwise
    #[arg(long, value_name = "FIELDS")]
    order_by: Option<String>,

    /// Take this job, whatever else is queued; also one that runs and is held by nobody
    #[arg(long, conflicts_with_all = ["filters", "order_by"])]
    uuid: Option<JobId>,

    /// Who takes it
    #[arg(long, value_name = "NAME")]
    holder: String,

    /// For how long, unless it is heard of again: a number and s, m, h or d. As long as the server
    /// says unless given
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    term: Option<Duration>,

    /// Print uuid and token and nothing else
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// Hold a job for another term.
#[derive(Debug, clap::Args)]
pub(crate) struct RenewArguments {
    /// Which job
    uuid: JobId,

    /// The token that the claim gave
    #[arg(long, value_name = "N")]
    token: u64,

    /// For how long from now on: a number and s, m, h or d. As long as before unless given
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    term: Option<Duration>,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: ChangedArguments,
}

/// Give a job back: it is queued again, for another worker to claim.
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArguments {
    /// Which job
    uuid: JobId,

    /// The token that the claim gave
    #[arg(long, value_name = "N")]
    token: u64,

    /// Why
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: ChangedArguments,
}

pub(crate) fn claim(arguments: &ClaimArguments) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    let body = json!({ "holder": arguments.holder, "term": arguments.term.map(|it| it.as_secs()) });
    let record = match arguments.uuid {
        Some(id) => target.change(id, "claim", &body)?,
        None => {
            let filters = arguments.filters.parameters();
            let order = arguments.order_by.as_deref().map(|order| ("order_by", order));
            let claimed = target.claim(&query(filters.chain(order)), &body);
            claimed.map_err(|failed| arguments.filters.point_out(failed))?
        }
    };
    let output = arguments.output.output();
    if arguments.quiet {
        let token = record.value("lease.token").and_then(Value::as_u64).unwrap_or_default();
        output.print(&format!("{} {token}\n", record.id()?))?;
    } else {
        output.job(&record, false)?;
    }
    Ok(Exit::Done)
}

pub(crate) fn renew(arguments: &RenewArguments) -> Result<Exit, Failed> {
    let body = json!({ "term": arguments.term.map(|term| term.as_secs()) });
    let verb = format!("renew?token={}", arguments.token);
    let record = arguments.target.open()?.change(arguments.uuid, &verb, &body)?;
    arguments.output.job(&record)?;
    Ok(Exit::Done)
}

pub(crate) fn release(arguments: &ReleaseArguments) -> Result<Exit, Failed> {
    let body = json!({ "reason": arguments.reason });
    let verb = format!("release?token={}", arguments.token);
    let record = arguments.target.open()?.change(arguments.uuid, &verb, &body)?;
    arguments.output.job(&record)?;
    Ok(Exit::Done)
}

/// Reads what becomes of lost jobs, of one kind if one is named: `fail`, `leave`, `queue:3`,
/// `backup=queue:3`.
pub(crate) fn lost(text: &str) -> Result<(Option<String>, Lost), String> {
    let (kind, policy) = match text.split_once('=') {
        None => (None, text),
        Some((kind, policy)) => (Some(kind.to_owned()), policy),
    };
    let lost = match (policy, policy.strip_prefix("queue:").map(str::parse)) {
        ("fail", _) => Lost::Fail,
        ("leave", _) => Lost::Leave,
        (_, Some(Ok(at_most))) => Lost::QueueAgain { at_most },
        _ => return Err("write [KIND=]fail, [KIND=]leave or [KIND=]queue:TIMES".to_owned()),
    };
    Ok((kind, lost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_for_all_kinds_or_for_one() {
        assert_eq!(lost("fail"), Ok((None, Lost::Fail)));
        assert_eq!(lost("a=leave"), Ok((Some("a".to_owned()), Lost::Leave)));
        let again = Lost::QueueAgain { at_most: 3 };
        assert_eq!(lost("a=queue:3"), Ok((Some("a".to_owned()), again)));
        for bad in ["", "queue", "queue:", "queue:-1", "a=", "retry"] {
            assert!(lost(bad).is_err(), "{bad}");
        }
    }
}
