//! `store compact`.

use jobtrack::ErrorKind;
use serde_json::json;

use super::fresh::bytes_on_disk;
use super::progress::{Progress, bytes};
use crate::render::Output;
use crate::store::StoreName;
use crate::{Exit, Failed};

pub(super) fn compact(name: &StoreName, output: Output) -> Result<Exit, Failed> {
    let store = super::open(name)?;
    let size = || name.folder().map_or(Ok(0), bytes_on_disk);
    let before = size()?;
    let progress = Progress::begin("compacting");
    store.compact().map_err(|error| match error.kind() {
        ErrorKind::StoreCannot => Failed::because(format!(
            "{error}; copy it into a new one, and use that: jobtrack store copy FROM TO"
        )),
        _ => error.into(),
    })?;
    // Closed first: some of what a store gives back it gives then.
    drop((store, progress));
    let after = size()?;
    if output.is_table() {
        output.print(&format!(
            "{}: {} before, {} after\n",
            name.url(),
            bytes(before),
            bytes(after)
        ))?;
    } else {
        output.json(&json!({"store": name.url(), "before": before, "after": after}))?;
    }
    Ok(Exit::Done)
}
