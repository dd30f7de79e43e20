//! `jobtrack tree`.

use jobtrack::JobId;
use serde_json::Value;

use crate::record::Record;
use crate::render::text::escaped;
use crate::render::{Format, OutputArguments};
use crate::target::TargetArguments;
use crate::{Exit, Failed};

/// Show a job and all below it: its children, theirs, and so on.
///
/// Beside each job that has children stands how many it has in each state.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which job
    uuid: JobId,

    /// How many to show at most, those nearest to the top; if there are more, standard error says so
    #[arg(long = "max", value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    max: u64,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) fn tree(arguments: &Arguments) -> Result<Exit, Failed> {
    let tree = arguments.target.open()?.tree(arguments.uuid, arguments.max)?;
    let output = arguments.output.output();
    match output.format {
        Format::Table => output.print(&drawn(&tree.records))?,
        Format::Json => output.json(&tree.records)?,
        Format::Ndjson => {
            for record in &tree.records {
                output.json(record)?;
            }
        }
    }
    if tree.is_cut {
        eprintln!("there are more; --max N shows more of them");
    }
    Ok(Exit::Done)
}

/// A line for each job, further in the lower it stands.
fn drawn(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        let depth = record.number("depth").and_then(|depth| usize::try_from(depth).ok());
        let (id, state) = (record.text("uuid"), record.text("state"));
        let what = match (record.text("description"), record.text("kind")) {
            ("", kind) => kind,
            (description, _) => description,
        };
        let indent = "  ".repeat(depth.unwrap_or_default());
        let line = format!("{indent}{id}  {state}  {}{}", escaped(what), children(record));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How many children it has in each state: `  (3 queued, 1 running)`.
fn children(record: &Record) -> String {
    let Some(Value::Object(counts)) = record.value("children") else { return String::new() };
    let counts: Vec<_> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    format!("  ({})", counts.join(", "))
}
