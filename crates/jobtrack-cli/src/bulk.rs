//! `jobtrack bulk`: one action on every job that a filter matches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jobtrack::JobId;
use jobtrack_http::parse_span;
use serde_json::{Map, Value, json};

use crate::listing::Filters;
use crate::record::Record;
use crate::render::ChangedArguments;
use crate::target::{Target, TargetArguments};
use crate::{Exit, Failed};

/// Cancel, delete, extend or relabel all jobs that match, as a job of its own.
///
/// The jobs that match when it begins are gone over once. Exits with 0 if none refused, 7 if some
/// did, 4 if it was canceled itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Ask all that match to end.
    Cancel(Common),
    /// Forget all that match. Those that have not ended refuse.
    Delete(Common),
    /// Let all that match stay longer after their end.
    Extend(Extend),
    /// Give all that match other labels.
    Relabel(Relabel),
}

#[derive(Debug, clap::Args)]
struct Extend {
    /// How long they are to stay after their end, at least: a number and s, m, h or d
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    retention: Duration,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Relabel {
    /// A label to set; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = label, required_unless_present = "remove")]
    set: Vec<(String, String)>,

    /// A label to take out; may be given several times
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    filters: Filters,

    /// Why
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,

    /// Change nothing, and say how many match
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: ChangedArguments,
}

pub(crate) fn bulk(arguments: &Arguments) -> Result<Exit, Failed> {
    match &arguments.action {
        Action::Cancel(common) => common.run("cancel", json!({})),
        Action::Delete(common) => common.run("delete", json!({})),
        Action::Extend(extend) => {
            extend.common.run("extend", json!({ "retention": extend.retention.as_secs_f64() }))
        }
        Action::Relabel(relabel) => {
            let set = relabel.set.iter().map(|(name, value)| (name.clone(), json!(value)));
            let removed = relabel.remove.iter().map(|name| (name.clone(), Value::Null));
            let labels: Map<String, Value> = set.chain(removed).collect();
            relabel.common.run("relabel", json!({ "labels": labels }))
        }
    }
}

impl Common {
    fn run(&self, action: &str, mut body: Value) -> Result<Exit, Failed> {
        if let Some(members) = body.as_object_mut() {
            let filter = self.filters.query();
            members.insert("action".to_owned(), json!(action));
            members.insert("filter".to_owned(), json!(filter.trim_start_matches('?')));
            members.insert("reason".to_owned(), json!(self.reason));
            members.insert("dry_run".to_owned(), json!(self.dry_run));
        }
        let target = self.target.open()?;
        let answer = target.bulk(&body).map_err(|failed| self.filters.point_out(failed))?;
        if self.dry_run {
            return self.count(&answer);
        }
        let ended = follow(&target, answer.id()?)?;
        self.output.job(&ended)?;
        Ok(match (ended.text("state"), ended.value("code").and_then(Value::as_i64)) {
            ("success", None | Some(0)) => Exit::Done,
            ("success", _) => Exit::Refused,
            _ => Exit::JobFailed,
        })
    }

    fn count(&self, answer: &Record) -> Result<Exit, Failed> {
        let output = self.output.output();
        if output.is_table() {
            let count = answer.number("num_records").unwrap_or_default();
            output.print(&format!("{count} jobs match\n"))?;
        } else {
            output.json(answer)?;
        }
        Ok(Exit::Done)
    }
}

/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// Shows how far it is until it has ended, and returns its job.
fn follow(target: &Target, id: JobId) -> Result<Record, Failed> {
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} jobs") {
        bar.set_style(style);
    }
    let mut pause = Duration::from_millis(5);
    loop {
        let record = target.get(id, "")?;
        if record.has_ended() {
            bar.finish_and_clear();
            return Ok(record);
        }
        bar.set_length(record.number("progress.total").unwrap_or_default());
        bar.set_position(record.number("progress.done").unwrap_or_default());
        std::thread::sleep(pause);
        pause = PAUSE.min(pause * 2);
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE, such as tier=gold")?;
    Ok((name.to_owned(), value.to_owned()))
}
