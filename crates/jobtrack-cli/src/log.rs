//! `jobtrack log`.

use anstyle::{AnsiColor, Style};
use jobtrack::{JobId, Log, LogEntry, Severity};

use crate::render::table::{Cell, Column, line, titles, widths};
use crate::render::text::escaped;
use crate::render::{Format, Output, OutputArguments};
use crate::target::TargetArguments;
use crate::{Exit, Failed};

/// Show what happened to a job, and its latest messages.
///
/// How much is kept is bounded; if something was dropped, standard error says how much.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which job
    uuid: JobId,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) fn log(arguments: &Arguments) -> Result<Exit, Failed> {
    let log = arguments.target.open()?.log(arguments.uuid)?;
    let output = arguments.output.output();
    match output.format {
        Format::Table => {
            output.print(&drawn(&log.entries, &output))?;
            tell_dropped(&log);
        }
        Format::Json => output.json(&log)?,
        Format::Ndjson => {
            for entry in &log.entries {
                output.json(entry)?;
            }
            tell_dropped(&log);
        }
    }
    Ok(Exit::Done)
}

fn tell_dropped(log: &Log) {
    if log.dropped > 0 {
        eprintln!("{} earlier entries are not kept any more", log.dropped);
    }
}

/// A row for each entry.
fn drawn(entries: &[LogEntry], output: &Output) -> String {
    let titled = [
        ("TIME", false),
        ("WHAT", false),
        ("STATE", false),
        ("WHO", false),
        ("WHY", true),
        ("MESSAGE", true),
    ];
    let column = |(title, gives_way): (&str, bool)| Column { title: title.to_owned(), gives_way };
    let columns: Vec<Column> = titled.into_iter().map(column).collect();
    let rows: Vec<Vec<Cell>> = entries.iter().map(cells).collect();
    let widths = widths(&columns, &rows, output.width);
    let lines = rows.iter().map(|row| line(row, &widths, output));
    titles(&columns, &widths, output) + &lines.collect::<String>()
}

fn cells(entry: &LogEntry) -> Vec<Cell> {
    let state = match (entry.from, entry.to) {
        (None, Some(to)) => to.to_string(),
        (Some(from), Some(to)) => format!("{from} → {to}"),
        _ => String::new(),
    };
    let message = Cell {
        text: escaped(entry.message.as_deref().unwrap_or_default()),
        style: style_of(entry.severity),
    };
    vec![
        // To the second: what comes first stands first.
        Cell::plain(entry.time.to_string().chars().take(19).collect::<String>().replace('T', " ")),
        Cell::plain(entry.kind.as_str().replace('_', " ")),
        Cell::plain(state),
        Cell::plain(escaped(entry.actor.name())),
        Cell::plain(escaped(&entry.reason)),
        message,
    ]
}

fn style_of(severity: Option<Severity>) -> Style {
    match severity {
        Some(Severity::Error) => AnsiColor::Red.on_default(),
        Some(Severity::Warning) => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    }
}
