//! `store copy`, `backup` and `restore`: three ways to a store that holds what another does.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use jobtrack::SystemClock;
use serde_json::json;

use super::fresh::Fresh;
use super::progress::{self, Progress};
use crate::render::Output;
use crate::store::StoreName;
use crate::target::TargetArguments;
use crate::{Exit, Failed};

pub(super) fn copy(from: &StoreName, to: &StoreName, output: Output) -> Result<Exit, Failed> {
    let fresh = Fresh::begin(to)?;
    let from = super::open(from)?;
    let filled = fresh.open()?;
    let progress = Progress::begin("copying");
    let records =
        jobtrack::store::copy(&*from, &*filled, &SystemClock::new(), &mut |n| progress.at(n))?;
    drop((filled, progress));
    tell("copied", records, fresh, to, output)
}

pub(super) fn backup(
    target: &TargetArguments,
    to: &StoreName,
    output: Output,
) -> Result<Exit, Failed> {
    let fresh = Fresh::begin(to)?;
    let records = fill(BufReader::new(target.open()?.backup()?), &fresh)?;
    tell("backed up", records, fresh, to, output)
}

pub(super) fn restore(file: &Path, to: &StoreName, output: Output) -> Result<Exit, Failed> {
    let fresh = Fresh::begin(to)?;
    let records = if file == Path::new("-") {
        fill(io::stdin().lock(), &fresh)?
    } else {
        let named = |error| format!("{}: {error}", file.display());
        fill(BufReader::new(File::open(file).map_err(named)?), &fresh)?
    };
    tell("restored", records, fresh, to, output)
}

/// Makes the store of a backup.
fn fill(lines: impl BufRead, fresh: &Fresh) -> Result<u64, Failed> {
    let store = fresh.open()?;
    let progress = Progress::begin("received");
    Ok(jobtrack_http::restore(lines, &*store, &SystemClock::new(), &mut |n| progress.at(n))?)
}

/// Gives the store its name, and says so.
fn tell(
    done: &str,
    records: u64,
    fresh: Fresh,
    to: &StoreName,
    output: Output,
) -> Result<Exit, Failed> {
    let bytes = fresh.finish()?;
    if output.is_table() {
        output.print(&format!(
            "{records} records {done} to {}, which takes {}\n",
            to.url(),
            progress::bytes(bytes)
        ))?;
    } else {
        output.json(&json!({"records": records, "to": to.url(), "bytes": bytes}))?;
    }
    Ok(Exit::Done)
}
