//! `jobtrack export`.

use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
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

    /// The file to write, whole or not at all; - or nothing is standard output. A device or a pipe
    /// is written to as it is
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn export(arguments: &Arguments) -> Result<Exit, Failed> {
    let target = arguments.target.open()?;
    let filters = &arguments.filters;
    let body = target.export(&filters.query()).map_err(|failed| filters.point_out(failed))?;
    let jobs = match &arguments.output {
        Some(path) if !STDOUT.iter().any(|name| path == Path::new(name)) => to(body, path)?,
        _ => copy(body, io::stdout().lock())
            .map_err(|error| format!("the export is not whole: {error}"))?,
    };
    eprintln!("{jobs} jobs exported");
    Ok(Exit::Done)
}

/// The names of standard output, which may be a file that others write to as well.
const STDOUT: [&str; 2] = ["-", "/dev/stdout"];

/// Writes to whatever bears this name, or makes a file of it.
fn to(body: impl Read, path: &Path) -> Result<u64, Failed> {
    let named = |error: io::Error| Failed::because(format!("{}: {error}", path.display()));
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(Failed::because(format!("{}: it is a folder", path.display())))
        }
        Ok(found) if found.is_file() => {
            // The file itself is replaced, and not a link to it.
            let path = fs::canonicalize(path).map_err(named)?;
            to_file(body, &path, Some(found.permissions()))
        }
        Ok(_) => {
            let device = OpenOptions::new().write(true).open(path).map_err(named)?;
            copy(body, device).map_err(|error| {
                format!("the export to {} is not whole: {error}", path.display()).into()
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            Err(Failed::because(format!("{}: it is a link to what is not there", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => to_file(body, path, None),
        Err(error) => Err(named(error)),
    }
}

/// Writes beside the file and renames at the end, so that what bears its name is whole.
fn to_file(
    body: impl Read,
    path: &Path,
    permissions: Option<fs::Permissions>,
) -> Result<u64, Failed> {
    let partial = beside(path);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&partial)
        .map_err(|error| format!("{}: {error}", partial.display()))?;
    let written =
        fill(body, &file, permissions).and_then(|jobs| fs::rename(&partial, path).map(|()| jobs));
    written.map_err(|error| {
        let _ = fs::remove_file(&partial);
        format!("the export is not whole, {} is not written: {error}", path.display()).into()
    })
}

fn fill(body: impl Read, file: &File, permissions: Option<fs::Permissions>) -> io::Result<u64> {
    if let Some(permissions) = permissions {
        // Before there is anything to read in it.
        file.set_permissions(permissions)?;
    }
    let jobs = copy(body, file)?;
    file.sync_all()?;
    Ok(jobs)
}

/// A name in the same folder that nobody has, and nobody can guess.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // The keys of every new state are random.
    name.push(format!(".{:016x}.partial", RandomState::new().build_hasher().finish()));
    path.with_file_name(name)
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
