//! `store salvage`.

use std::fs;
use std::path::{Path, PathBuf};

use jobtrack::SystemClock;
use jobtrack::store::{Loss, rebuild};
use serde_json::{Map, Value, json};

use super::fresh::Fresh;
use super::progress::{self, Progress};
use super::verify::hex;
use crate::export::beside;
use crate::render::Output;
use crate::render::text::escaped;
use crate::store::StoreName;
use crate::{Exit, Failed};

pub(super) fn salvage(name: &StoreName, to: &StoreName, output: Output) -> Result<Exit, Failed> {
    name.expect_there()?;
    let fresh = Fresh::begin(to)?;
    let progress = Progress::begin("salvaged");
    let (remains, file) = {
        let scratch = Scratch::beside(to);
        name.salvage(&scratch.0)?
    };
    let store = fresh.open()?;
    let clock = SystemClock::new();
    let (records, losses) =
        rebuild(remains, &file, &*store, &clock, &mut |records| progress.at(records))?;
    drop((store, progress));
    let bytes = fresh.finish()?;
    for loss in &losses {
        tell(loss, output)?;
    }
    let lost = losses.len();
    if output.is_table() {
        let size = progress::bytes(bytes);
        output.print(&format!("{records} records saved to {}, which takes {size}\n", to.url()))?;
        output.print(&match lost {
            0 => "nothing was lost\n".to_owned(),
            1 => "1 loss, told above\n".to_owned(),
            more => format!("{more} losses, told above\n"),
        })?;
    } else {
        let to = to.url();
        output.json(&json!({"records": records, "to": to, "bytes": bytes, "losses": lost}))?;
    }
    Ok(if losses.is_empty() { Exit::Done } else { Exit::Failed })
}

fn tell(loss: &Loss, output: Output) -> Result<(), Failed> {
    if output.is_table() {
        return output.print(&format!("{}\n", escaped(&loss.to_string())));
    }
    let mut line = Map::new();
    line.insert("file".to_owned(), loss.file.display().to_string().into());
    if let Some(offset) = loss.offset {
        line.insert("offset".to_owned(), offset.into());
    }
    if let Some((space, key)) = &loss.record {
        line.insert("space".to_owned(), space.name().into());
        line.insert("key".to_owned(), hex(key).into());
    }
    line.insert("loss".to_owned(), loss.what.clone().into());
    output.json(&Value::Object(line))
}

/// A folder for what an engine must write to read its files.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(to: &StoreName) -> Self {
        Scratch(beside(to.folder().unwrap_or(Path::new("store"))))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A kind of store that needed none has made none.
        let _ = fs::remove_dir_all(&self.0);
    }
}
