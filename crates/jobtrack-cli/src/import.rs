//! `jobtrack import`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use jobtrack_http::{ImportReport, parse_span};

use crate::render::text::escaped;
use crate::render::{Output, OutputArguments};
use crate::target::{TargetArguments, query};
use crate::{Exit, Failed};

/// Import jobs from a file, one JSON object a line, as `export` writes them.
///
/// Every time in a line is kept. A line whose expire_time is past is skipped as expired. A bad line
/// (malformed, its times out of order or in the future, its uuid taken) is named by its number and
/// skipped.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file; - reads standard input
    file: PathBuf,

    #[command(flatten)]
    target: TargetArguments,

    /// How long finished jobs stay that bring neither an expire_time nor a retention, counted from
    /// now: a number and s, m, h or d. The server's own retention unless given
    #[arg(long, value_name = "SPAN", value_parser = retain)]
    retain: Option<String>,

    /// Stop at the first bad line; those before it stay imported
    #[arg(long)]
    fail: bool,

    #[command(flatten)]
    output: OutputArguments,
}

/// Checks here what the server would refuse only after the file is on its way.
fn retain(text: &str) -> Result<String, jobtrack::Error> {
    parse_span(text).map(|_| text.to_owned())
}

pub(crate) fn import(arguments: &Arguments) -> Result<Exit, Failed> {
    let (input, bar) = open(&arguments.file)?;
    let target = arguments.target.open_or_make()?;
    let retain = arguments.retain.as_deref().map(|retain| ("retain", retain));
    let stop = arguments.fail.then_some(("on_bad", "fail"));
    let query = query(retain.into_iter().chain(stop));
    let report = target.import(&query, Box::new(bar.wrap_read(input)));
    bar.finish_and_clear();
    tell(&report?, arguments.output.output())
}

fn open(path: &Path) -> Result<(Box<dyn Read + Send>, ProgressBar), Failed> {
    let style = |template| ProgressStyle::with_template(template);
    if path == Path::new("-") {
        let bar = ProgressBar::new_spinner();
        bar.set_style(style("{spinner} {bytes} sent, {bytes_per_sec}")?);
        return Ok((Box::new(io::stdin()), bar));
    }
    let named = |error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(named)?;
    let metadata = file.metadata().map_err(named)?;
    if metadata.is_dir() {
        return Err(Failed::because(format!("{}: it is a folder", path.display())));
    }
    let bar = ProgressBar::new(metadata.len());
    bar.set_style(style("{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")?);
    Ok((Box::new(file), bar))
}

fn tell(report: &ImportReport, output: Output) -> Result<Exit, Failed> {
    for bad in &report.bad {
        eprintln!("line {}: {}", bad.line, escaped(&bad.error));
    }
    let told = report.bad.len() as u64;
    if report.bad_count > told {
        eprintln!("and {} more bad lines", report.bad_count - told);
    }
    if output.is_table() {
        let ImportReport { imported, expired, bad_count, .. } = report;
        let mut text = format!("{imported} imported, {expired} expired, {bad_count} bad\n");
        if let Some(line) = report.stopped_at {
            text += &format!("stopped at line {line}; the lines after it were not looked at\n");
        }
        output.print(&text)?;
    } else {
        output.json(report)?;
    }
    Ok(if report.bad_count == 0 { Exit::Done } else { Exit::BadLines })
}
