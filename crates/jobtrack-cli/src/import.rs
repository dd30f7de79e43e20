//! `jobtrack import`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use jobtrack_http::{ImportReport, parse_span};
use ureq::SendBody;

use crate::client::{Server, refusal};
use crate::{Done, Failed};

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
    server: Server,

    /// How long finished jobs stay that bring neither an expire_time nor a retention, counted from
    /// now: a number and s, m, h or d. The server's own retention unless given
    #[arg(long, value_name = "SPAN", value_parser = retain)]
    retain: Option<String>,

    /// Stop at the first bad line; those before it stay imported
    #[arg(long)]
    fail: bool,
}

/// Checks here what the server would refuse only after the file is on its way.
fn retain(text: &str) -> Result<String, jobtrack::Error> {
    parse_span(text).map(|_| text.to_owned())
}

pub(crate) fn import(arguments: &Arguments) -> Result<Done, Failed> {
    // A password is asked for before the bar is drawn.
    let client = arguments.server.client()?;
    let (input, bar) = open(&arguments.file)?;
    let mut request = client.post("/v1/import").content_type("application/x-ndjson");
    if let Some(retain) = &arguments.retain {
        request = request.query("retain", retain);
    }
    if arguments.fail {
        request = request.query("on_bad", "fail");
    }
    let mut input = bar.wrap_read(input);
    let response = request.send(SendBody::from_reader(&mut input));
    bar.finish_and_clear();
    let mut response = response.map_err(|error| client.unreachable(&error))?;
    let text = match response.status().as_u16() {
        200 => response.body_mut().read_to_string()?,
        // Stopped at a bad line: the report says which. Anything else is a refusal of it all.
        400 if is_json(response.headers()) => response.body_mut().read_to_string()?,
        _ => return Err(refusal(response)),
    };
    let report: ImportReport = serde_json::from_str(&text)?;
    Ok(tell(&report))
}

fn is_json(headers: &ureq::http::HeaderMap) -> bool {
    headers.get("content-type").is_some_and(|media_type| media_type == "application/json")
}

fn open(path: &Path) -> Result<(Box<dyn Read>, ProgressBar), Failed> {
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
        return Err(Failed(format!("{}: it is a folder", path.display())));
    }
    let bar = ProgressBar::new(metadata.len());
    bar.set_style(style("{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")?);
    Ok((Box::new(file), bar))
}

fn tell(report: &ImportReport) -> Done {
    for bad in &report.bad {
        eprintln!("line {}: {}", bad.line, bad.error);
    }
    let told = report.bad.len() as u64;
    if report.bad_count > told {
        eprintln!("and {} more bad lines", report.bad_count - told);
    }
    println!("{} imported, {} expired, {} bad", report.imported, report.expired, report.bad_count);
    if let Some(line) = report.stopped_at {
        println!("stopped at line {line}; the lines after it were not looked at");
    }
    if report.bad_count == 0 { Done::Wholly } else { Done::ButForBadLines }
}
