//! `jobtrack export`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use crate::listing::Filters;
use crate::target::TargetArguments;
use crate::{Exit, Failed};

/// Export jobs, one JSON object a line, in order of uuid: all, or those that match.
///
/// A job that is there throughout comes exactly once.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filters: Filters,

    #[command(flatten)]
    target: TargetArguments,

    /// The file to write, whole or not at all; standard output unless given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn export(arguments: &Arguments) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    let filters = &arguments.filters;
    let body = target.export(&filters.query()).map_err(|failed| filters.point_out(failed))?;
    let jobs = match &arguments.output {
        None => copy(body, io::stdout().lock())
            .map_err(|error| format!("the export is not whole: {error}"))?,
        Some(path) => to_file(body, path)?,
    };
    eprintln!("{jobs} jobs exported");
    Ok(Exit::Done)
}

/// Writes beside the file and renames at the end, so that what bears its name is whole.
fn to_file(body: impl Read, path: &Path) -> Result<u64, Failed> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let named =
        |path: &Path, error: io::Error| Failed::because(format!("{}: {error}", path.display()));
    let file = File::create(&partial).map_err(|error| named(&partial, error))?;
    let copied = copy(body, &file).and_then(|jobs| file.sync_all().map(|()| jobs));
    let jobs = copied.map_err(|error| {
        let _ = fs::remove_file(&partial);
        format!("the export is not whole, {} is not written: {error}", path.display())
    })?;
    fs::rename(&partial, path).map_err(|error| named(path, error))?;
    Ok(jobs)
}

/// Copies all of it and counts the lines.
fn copy(mut body: impl Read, output: impl Write) -> io::Result<u64> {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} jobs, {bytes} received") {
        bar.set_style(style);
    }
    let mut output = BufWriter::new(output);
    let mut buffer = vec![0; 64 * 1024];
    let mut jobs = 0;
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = buffer.get(..count).unwrap_or_default();
        output.write_all(read)?;
        jobs += read.iter().filter(|byte| **byte == b'\n').count() as u64;
        bar.inc(count as u64);
        bar.set_message(jobs.to_string());
    }
    output.flush()?;
    bar.finish_and_clear();
    Ok(jobs)
}
