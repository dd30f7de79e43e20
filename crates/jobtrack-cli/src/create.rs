//! `jobtrack create`.

use std::time::Duration;

use jobtrack::{Allows, JobId, NewJob, Progress, Scope, Timestamp};
use jobtrack_http::parse_span;

use crate::render::OutputArguments;
use crate::target::TargetArguments;
use crate::{Exit, Failed};

/// Make a job known, queued.
///
/// Whoever does the work then drives it: start, report, succeed or fail.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What the job is
    #[arg(default_value = "", hide_default_value = true)]
    description: String,

    /// Where it stands
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    message: String,

    #[command(flatten)]
    pub(crate) about: About,

    /// How far it is, and of how much: 7 or 7/40
    #[arg(long, value_name = "DONE[/TOTAL]", value_parser = progress)]
    progress: Option<Progress>,

    /// Of what progress is counted, such as files
    #[arg(long, value_name = "WORD", requires = "progress")]
    unit: Option<String>,

    /// Operators may not pause it
    #[arg(long)]
    no_pause: bool,

    /// Operators may not cancel it
    #[arg(long)]
    no_cancel: bool,

    /// Its worker answers requests itself; a request waits until it does
    #[arg(long)]
    cooperative: bool,

    /// A name for this very creation: the same again prints the first job, and makes none
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,

    /// Its uuid; a new one unless given
    #[arg(long)]
    uuid: Option<JobId>,

    /// Print the uuid and nothing else
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// What a job is told at its creation, by whatever command.
#[derive(Debug, clap::Args)]
pub(crate) struct About {
    /// What sort of operation it is; for exec, command unless given
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) kind: String,

    /// Where it runs; for exec, this host unless given
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) node: String,

    /// The name of whose it is (ONTAP's svm.name)
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    scope: String,

    /// The id of whose it is (ONTAP's svm.uuid)
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    scope_id: String,

    /// A name and a value of your own; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// The job that it is a part of
    #[arg(long, value_name = "UUID")]
    parent: Option<JobId>,

    /// Past this time it fails if it still runs, as in 2026-03-01T12:00:00Z
    #[arg(long, value_name = "TIME")]
    deadline: Option<Timestamp>,

    /// How long it stays after its end: a number and s, m, h or d. Its store's own retention unless
    /// given
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    retention: Option<Duration>,
}

impl About {
    /// A new job of this description.
    pub(crate) fn job(&self, description: &str) -> NewJob {
        let scope = Scope { name: self.scope.clone().into(), id: self.scope_id.clone().into() };
        NewJob {
            kind: self.kind.clone(),
            node: self.node.clone(),
            scope: (scope != Scope::default()).then_some(scope),
            labels: self.labels.iter().cloned().collect(),
            parent: self.parent,
            deadline: self.deadline,
            retention: self.retention,
            ..NewJob::described(description)
        }
    }
}

pub(crate) fn create(arguments: &Arguments) -> Result<Exit, Failed> {
    let progress = arguments.progress.clone().map(|progress| Progress {
        unit: arguments.unit.clone().unwrap_or_default().into(),
        ..progress
    });
    let job = NewJob {
        uuid: arguments.uuid,
        message: arguments.message.clone(),
        progress,
        allows: Allows { pause: !arguments.no_pause, cancel: !arguments.no_cancel },
        cooperative: arguments.cooperative,
        idempotency_key: arguments.key.clone(),
        ..arguments.about.job(&arguments.description)
    };
    let record = arguments.target.open_or_make()?.create(&job)?;
    let output = arguments.output.output();
    match arguments.quiet {
        true => output.print(&format!("{}\n", record.id()?))?,
        false => output.job(&record, false)?,
    }
    Ok(Exit::Done)
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE, such as tier=gold".to_owned()),
    }
}

/// Reads a progress: a number done, and perhaps of how many.
pub(crate) fn progress(text: &str) -> Result<Progress, String> {
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or("write it as DONE or DONE/TOTAL, such as 7/40")
    };
    let (done, total) = match text.split_once('/') {
        None => (number(text)?, None),
        Some((done, total)) => (number(done)?, Some(number(total)?)),
    };
    Ok(Progress { done, total, unit: jobtrack::Text::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_number_and_perhaps_its_end() {
        let read = |text| progress(text).map(|progress| (progress.done, progress.total));
        assert_eq!(read("7"), Ok((7, None)));
        assert_eq!(read("7/40"), Ok((7, Some(40))));
        for bad in ["", "/", "7/", "/40", "-1", "+7", "7/40/80", "45%"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_may_be_empty_and_hold_equals_signs() {
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(label("a="), Ok(("a".to_owned(), String::new())));
        assert!(label("a").is_err() && label("=a").is_err());
    }
}
